"""Refined clips: the field of a slide view alone, without writing, at a low frame rate."""
