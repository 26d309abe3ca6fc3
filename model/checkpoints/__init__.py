"""Weights on disk: every layout is read, checked, converted and written here."""
