"""Instruction records, and the readers of the files that they come in."""
