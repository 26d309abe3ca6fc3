"""The part of a frame that is looked at."""

from __future__ import annotations

Crop = tuple[float, float, float, float]
"""(left, top, right, bottom) as shares of the displayed frame's width and height, in [0, 1]."""

WHOLE: Crop = (0.0, 0.0, 1.0, 1.0)
