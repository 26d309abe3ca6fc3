"""Attributes that are measured on the pixels of a field, such as cellularity, crowding and stain strength.

Haematoxylin and eosin are separated by colour deconvolution (Ruifrok and Johnston, Anal Quant Cytol Histol 2001).
Every frame is measured at 112 × 112 pixels, so that values of all sources can be compared.
"""

from __future__ import annotations

import cv2
import numpy as np

from videopath.media.quality.scales import (
    NAMES,
    NEIGHBOURHOOD,
    SCALES,
    Attributes,
    MeasuredFrame,
    Scale,
    is_measured,
    names_attributes,
)
from videopath.media.quality.stain import one_colour

__all__ = [
    "NAMES",
    "SCALES",
    "Attributes",
    "MeasuredFrame",
    "Scale",
    "bright_share",
    "is_measured",
    "measure",
    "measure_frames",
    "names_attributes",
    "nuclear_radius",
]

SIDE = 112
_OPTICAL_DENSITY = (-np.log((np.arange(256) + 1.0) / 256.0)).astype(np.float32)
# Columns: haematoxylin, eosin and residual in an RGB optical density (inverse of the stain vectors).
_STAINS = np.array([[0.65, 0.70, 0.29], [0.07, 0.99, 0.11], [0.27, 0.57, 0.78]], dtype=np.float64)
_UNMIX = np.linalg.inv(_STAINS / np.linalg.norm(_STAINS, axis=1, keepdims=True)).astype(np.float32)
_TISSUE_DENSITY = 0.12
_LEAST_NUCLEAR_DENSITY = 0.25
_OPEN_DENSITY = 0.16
_CLOSE_TO_BRIGHTEST = 0.09  # optical density


def measure(frames: np.ndarray) -> Attributes:
    """Measure the attributes of a clip.

    Args:
        frames: uint8 [T, H, W, 3] RGB, T ≥ 1.

    Returns:
        The means over the frames.
    """
    values = np.mean([_measure_frame(frame) for frame in frames], axis=0)
    return Attributes(*(float(v) for v in values))


def measure_frames(frames: np.ndarray) -> list[MeasuredFrame]:
    """Measure each frame of a clip, uint8 [T, H, W, 3] RGB, as it is and at the usual stain."""
    return [
        MeasuredFrame(measure(own[None]), measure(restained[None]), nuclear_radius(own), bright_share(own))
        for own, restained in zip(frames, one_colour(frames), strict=True)
    ]


def nuclear_radius(frame: np.ndarray) -> float:
    """Return the radius of the larger nuclei of a frame, uint8 [H, W, 3] RGB, in pixels at 112 × 112.

    It is the 90th percentile of the distances from points of the nuclei to their borders; 0 without nuclei.
    """
    stains = _OPTICAL_DENSITY[_small(frame)] @ _UNMIX
    mask = _nuclei(stains[..., 0]).astype(np.uint8)
    distances = cv2.distanceTransform(mask, cv2.DIST_L2, 5)[mask > 0]
    return float(np.percentile(distances, 90)) if len(distances) else 0.0


def bright_share(frame: np.ndarray) -> float:
    """Return the share of a frame, uint8 [H, W, 3] RGB, whose optical density is close to that of its brightest 1%."""
    density = _OPTICAL_DENSITY[_small(frame)].mean(axis=2)
    return float((density < np.percentile(density, 1) + _CLOSE_TO_BRIGHTEST).mean())


def _small(frame: np.ndarray) -> np.ndarray:
    if frame.shape[:2] == (SIDE, SIDE):
        return frame
    return cv2.resize(frame, (SIDE, SIDE), interpolation=cv2.INTER_AREA)


def _measure_frame(frame: np.ndarray) -> list[float]:
    density = _OPTICAL_DENSITY[_small(frame)]  # [112, 112, 3]
    stains = density @ _UNMIX  # [112, 112, 3]: haematoxylin, eosin, residual
    mean_density = density.mean(axis=2)
    tissue = mean_density > _TISSUE_DENSITY
    amount = max(1, int(tissue.sum()))
    nuclei = _nuclei(stains[..., 0])
    nearby = cv2.GaussianBlur(nuclei, (0, 0), NEIGHBOURHOOD)
    return [
        float(nuclei.mean()),
        float((nearby * nuclei).sum() / max(1.0, float(nuclei.sum()))),
        float(np.clip(stains[..., 1], 0, 3)[tissue].sum() / amount),
        float((mean_density < _OPEN_DENSITY).mean()),
        float(mean_density[tissue].sum() / amount),
        _fineness(mean_density),
    ]


def _nuclei(haematoxylin: np.ndarray) -> np.ndarray:
    """Return a mask of the nuclei, float32, by Otsu's threshold; a minimum keeps pale fields empty."""
    scaled = np.clip(haematoxylin * 100.0, 0, 255).astype(np.uint8)
    threshold, _ = cv2.threshold(scaled, 0, 255, cv2.THRESH_BINARY + cv2.THRESH_OTSU)
    return (scaled > max(threshold, _LEAST_NUCLEAR_DENSITY * 100.0)).astype(np.float32)


def _fineness(density: np.ndarray) -> float:
    """Return the energy of the two finest of five octaves as a share of all five."""
    levels = [density, *(cv2.GaussianBlur(density, (0, 0), sigma) for sigma in (1.0, 2.0, 4.0, 8.0, 16.0))]
    energy = [float(np.square(a - b).mean()) for a, b in zip(levels, levels[1:], strict=False)]
    return (energy[0] + energy[1]) / (sum(energy) + 1e-8)
