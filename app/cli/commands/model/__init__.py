"""``videopath model``: inspect, convert, merge and calibrate checkpoints."""
