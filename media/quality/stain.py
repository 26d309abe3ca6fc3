"""The colour of a clip as six numbers, and clips that are brought to the same colour.

Stain is a shortcut: slides of one laboratory, and even of one diagnosis, have similar colours. An evaluation therefore
reports a baseline that sees only these six numbers, and a control in which all clips have one colour.
"""

from __future__ import annotations

import cv2
import numpy as np

MEAN = (160.0, 150.0, 115.0)
DEVIATION = (30.0, 10.0, 9.0)
"""Mean and deviation of L, a and b, as OpenCV stores them, of a usual H&E stain."""


def colour_numbers(frames: np.ndarray) -> np.ndarray:
    """Return means and deviations of L, a and b over all frames (uint8 [T, H, W, 3] RGB): float32 [6]."""
    lab = np.stack([cv2.cvtColor(frame, cv2.COLOR_RGB2LAB) for frame in frames]).astype(np.float32)
    return np.concatenate([lab.mean(axis=(0, 1, 2)), lab.std(axis=(0, 1, 2))])


def one_colour(frames: np.ndarray) -> np.ndarray:
    """Return frames, uint8 [T, H, W, 3] RGB, shifted and scaled to the same means and deviations of L, a and b.

    Source: Reinhard et al., IEEE Computer Graphics and Applications 2001.
    """
    own = colour_numbers(frames)
    scale = np.array(DEVIATION, np.float32) / np.maximum(own[3:], 1.0)
    restained = []
    for frame in frames:
        lab = cv2.cvtColor(frame, cv2.COLOR_RGB2LAB).astype(np.float32)
        moved = (lab - own[:3]) * scale + np.array(MEAN, np.float32)
        restained.append(cv2.cvtColor(np.clip(moved, 0, 255).astype(np.uint8), cv2.COLOR_LAB2RGB))
    return np.stack(restained)
