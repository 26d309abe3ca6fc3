"""The pages; each has a ``show()``."""
