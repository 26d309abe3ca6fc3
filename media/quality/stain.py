"""Colour as such: six numbers of a picture, and pictures that all have the same ones.

Stain is a shortcut: slides of one laboratory, even of one diagnosis, look alike in colour. What six colour numbers alone tell
is the trivial baseline of every figure, and what is left where all pictures have one colour is the control.
"""

from __future__ import annotations

import cv2
import numpy as np

MEAN = (160.0, 150.0, 115.0)
DEVIATION = (30.0, 10.0, 9.0)
"""Of L, a and b as OpenCV stores them: a usual haematoxylin and eosin stain."""


def colour_numbers(frames: np.ndarray) -> np.ndarray:
    """Frames uint8 [T, H, W, 3] RGB to the means and deviations of L, a and b, float32 [6], over all of them."""
    lab = np.stack([cv2.cvtColor(frame, cv2.COLOR_RGB2LAB) for frame in frames]).astype(np.float32)
    return np.concatenate([lab.mean(axis=(0, 1, 2)), lab.std(axis=(0, 1, 2))])


def one_colour(frames: np.ndarray) -> np.ndarray:
    """The frames uint8 [T, H, W, 3] RGB with the same means and deviations of L, a and b as every other clip's.

    After Reinhard et al., IEEE Computer Graphics and Applications 2001.
    """
    own = colour_numbers(frames)
    scale = np.array(DEVIATION, np.float32) / np.maximum(own[3:], 1.0)
    restained = []
    for frame in frames:
        lab = cv2.cvtColor(frame, cv2.COLOR_RGB2LAB).astype(np.float32)
        moved = (lab - own[:3]) * scale + np.array(MEAN, np.float32)
        restained.append(cv2.cvtColor(np.clip(moved, 0, 255).astype(np.uint8), cv2.COLOR_LAB2RGB))
    return np.stack(restained)
