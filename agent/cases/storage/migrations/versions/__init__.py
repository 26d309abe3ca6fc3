"""One module for each revision of the case table."""
