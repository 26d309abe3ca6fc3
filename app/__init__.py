"""The command line. No logic of diagnosis in it."""
