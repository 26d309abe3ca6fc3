"""Checkpoints on disk: reading, checking, converting and writing every layout."""
