"""``videopath model``: what a checkpoint is, other layouts of it, and its calibration."""
