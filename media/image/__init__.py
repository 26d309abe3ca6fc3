"""Image files: every frame of one, upright and in its own colours."""
