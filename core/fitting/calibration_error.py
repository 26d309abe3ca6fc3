"""The expected calibration error: how far confidences are from the observed accuracy."""

from __future__ import annotations

import numpy as np


def calibration_error(confidences: np.ndarray, right: np.ndarray, bins: int = 10) -> float:
    """Return the expected calibration error over bins of equal width (Naeini et al., AAAI 2015).

    Args:
        confidences: Float [answers] in [0, 1].
        right: Whether each answer is right, bool [answers].
        bins: Number of bins.

    Returns:
        The mean gap between confidence and accuracy, weighted by the size of the bins, in [0, 1].
    """
    bin_of = np.minimum((confidences * bins).astype(int), bins - 1)
    gaps = [
        abs(right[bin_of == b].mean() - confidences[bin_of == b].mean()) * (bin_of == b).mean()
        for b in np.unique(bin_of)
    ]
    return float(min(1.0, sum(gaps)))
