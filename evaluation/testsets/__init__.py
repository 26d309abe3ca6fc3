"""Evaluation on test sets of questions about videos."""
