"""Evaluation on held-out clips over tiles."""
