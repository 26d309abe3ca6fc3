"""What a person decides about a case."""
