"""model/nano."""
