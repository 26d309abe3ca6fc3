"""What speaks for and against the diagnosis of a case."""
