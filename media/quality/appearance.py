"""The appearance of a picture as numbers, and the rule that tells stained tissue under a microscope from other pictures.

The numbers are image statistics: optical density, colour, detail at several scales, edges. A logistic rule over them and
their squares tells histology and cytology from photographs, drawings and screens. It was fitted on 10,900 views of tissue
(originals, crops, zooms, other stains, blur, JPEG, stretched fields) and 13,900 views of other pictures (photographs and
drawings, their crops, and crops recoloured to the hues of stains). In cross-validation, with each set of tissue and a
fifth of the other sources left out in turn, it rejected 0.04% of unchanged tissue, and accepted 2.5% of the other pictures
and 5.6% of their crops. ``benchmarks/gate.py`` measures this again.
"""

from __future__ import annotations

from typing import NamedTuple

import cv2
import numpy as np

LONG_SIDE = 384
"""Long side in pixels to which larger pictures are reduced before they are measured."""
_CELL = 16
_PALETTE = 128  # most colours of a dithered picture; tissue has 20 to 107 of a fixed palette
_COUNTED = 20_000  # pixels whose colours are counted
_EVEN = 0.5  # share of neighbours with the same colour: 0.1 to 0.45 with dithering, more in drawings
_DOT, _DOT_COLOUR = 0.7, 2.0  # pixels over which dots are blurred, in lightness and in colour
_LEAST_FIELD = 0.2
"""Least share of a frame that a field of view covers; an upright film in a wide frame covers 0.3."""
_REACH = np.ones((9, 9), np.uint8)  # reach of an edge in the finest bands
_FAR = 5.0  # values are limited to so many spreads


class Term(NamedTuple):
    """One term of the logistic rule: ``weight * z + square * z²`` with ``z = (value - centre) / spread`` in [-5, 5]."""

    centre: float
    spread: float
    weight: float
    square: float

    def __call__(self, value: float) -> float:
        z = min(max((value - self.centre) / self.spread, -_FAR), _FAR)
        return self.weight * z + self.square * z * z


INTERCEPT = 10.74
TERMS = {
    "yellow": Term(-16.190, 13.966, -0.362, -0.020),
    "yellow_spread": Term(6.735, 4.057, -0.283, +0.019),
    "orange_share": Term(0.000, 0.127, -0.956, +0.156),
    "green_share": Term(0.000, 0.062, -0.850, +0.117),
    "black_share": Term(0.000, 0.038, -0.270, -0.065),
    "light_chroma": Term(-0.860, 0.271, -1.030, +0.113),
    "light_red": Term(-0.809, 0.281, -0.047, -0.013),
    "density": Term(0.283, 0.176, -0.635, +0.087),
    "second_stain": Term(-4.158, 0.928, -0.518, -0.195),
    "detail_1_2": Term(-0.054, 0.378, -1.992, +0.350),
    "detail_2_4": Term(-0.217, 0.298, +0.274, +0.075),
    "colour_detail": Term(-0.459, 0.584, -1.446, -0.468),
    "smooth_share": Term(0.000, 0.048, -0.237, -0.109),
    "covered_share": Term(0.940, 0.200, -1.007, -0.438),
    "between_cells": Term(-0.118, 0.608, -0.732, -0.091),
    "colour_between_cells": Term(2.017, 0.631, +0.122, -0.058),
    "upright_edges": Term(0.126, 0.024, -0.088, -0.183),
    "sparse_edges": Term(0.570, 0.340, -0.800, -0.006),
    "green_density": Term(0.308, 0.159, +0.360, -0.526),
    "blue_density": Term(-0.359, 0.347, +0.118, +0.223),
    "third_stain": Term(-5.694, 1.493, +0.309, -0.074),
    "glass_light": Term(84.015, 14.975, -0.328, +0.255),
    "glass_chroma": Term(10.694, 11.155, +0.210, -0.132),
    "red": Term(17.758, 10.973, -0.278, +0.006),
    "edges_even": Term(-0.335, 0.544, +0.074, -0.150),
    "cell_sparse": Term(0.383, 0.149, +0.084, -0.103),
    "contrast_low": Term(1.801, 0.820, +0.315, +0.173),
    "contrast_even": Term(-0.810, 0.558, +0.812, +0.564),
}
"""The rule: a picture is tissue if INTERCEPT plus all terms is above 0."""


def shrink(frame: np.ndarray) -> np.ndarray:
    """Reduce a picture, uint8 [H,W,3], to a long side of at most LONG_SIDE pixels."""
    height, width = frame.shape[:2]
    scale = min(1.0, LONG_SIDE / max(height, width))
    if scale == 1.0:
        return np.ascontiguousarray(frame)
    size = (max(_CELL, round(width * scale)), max(_CELL, round(height * scale)))
    return cv2.resize(frame, size, interpolation=cv2.INTER_AREA)


def undithered(rgb: np.ndarray, frame: np.ndarray) -> np.ndarray:
    """Blur the dots in the small picture ``rgb`` if its full frame is dithered; otherwise return it unchanged."""
    if not _is_dithered(frame):
        return rgb
    light, *chroma = cv2.split(cv2.cvtColor(rgb, cv2.COLOR_RGB2YCrCb))
    blurred = [cv2.GaussianBlur(light, (0, 0), _DOT)]
    blurred += [cv2.GaussianBlur(channel, (0, 0), _DOT_COLOUR) for channel in chroma]
    return cv2.cvtColor(cv2.merge(blurred), cv2.COLOR_YCrCb2RGB)


def _is_dithered(frame: np.ndarray) -> bool:
    """Return whether a frame has few colours, as with a fixed palette, but no even areas, as drawings have."""
    step = max(1, round((frame.shape[0] * frame.shape[1] / _COUNTED) ** 0.5))
    seen = frame[::step, ::step].reshape(-1, 3).astype(np.int32)
    colours = np.unique((seen[:, 0] << 16) | (seen[:, 1] << 8) | seen[:, 2])
    if len(colours) > _PALETTE:
        return False
    rows = frame[::step]
    return bool((rows[:, 1:] == rows[:, :-1]).all(axis=-1).mean() < _EVEN)


def highest(rgb: np.ndarray) -> np.ndarray:
    """Return the largest channel of every pixel, [h,w]; many times faster than ``max(axis=-1)``."""
    return np.maximum(np.maximum(rgb[..., 0], rgb[..., 1]), rgb[..., 2])


def lowest(rgb: np.ndarray) -> np.ndarray:
    """Return the smallest channel of every pixel, [h,w]."""
    return np.minimum(np.minimum(rgb[..., 0], rgb[..., 1]), rgb[..., 2])


def without_frame(rgb: np.ndarray) -> np.ndarray:
    """Cut off dark bars at the sides (letterbox, a viewer's frame); a picture that is nearly all dark is unchanged."""
    dark = highest(rgb) < 64
    rows = np.flatnonzero(dark.mean(axis=1) < 0.9)
    if len(rows) < 2 * _CELL:
        return rgb
    columns = np.flatnonzero(dark[rows[0] : rows[-1] + 1].mean(axis=0) < 0.9)
    if len(columns) < 2 * _CELL:
        return rgb
    if (rows[-1] + 1 - rows[0]) * (columns[-1] + 1 - columns[0]) < _LEAST_FIELD * dark.size:
        return rgb  # a light in the dark, such as a galaxy
    return np.ascontiguousarray(rgb[rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1])


def optical_density(rgb: np.ndarray, light: np.ndarray) -> np.ndarray:
    """Return -ln of the transmitted share of light, float32 [h,w,3]; ``light`` [3] is the light of empty glass."""
    return -np.log(np.clip((rgb + 1.0) / (light + 1.0), 1 / 256, 1.0))


def measure(rgb: np.ndarray) -> dict[str, float]:
    """Measure a small picture, uint8 [h,w,3]; lightness and chroma are in CIE Lab units, shares in [0, 1]."""
    pixels = rgb.astype(np.float32)
    lab = cv2.cvtColor(pixels / 255, cv2.COLOR_RGB2LAB)
    return {
        "one_colour": _one_colour(rgb),
        **_colour(pixels, lab),
        **_density(pixels),
        **_detail(lab),
        **_cells(lab),
        **_edges(lab[..., 0]),
    }


def contributions(measured: dict[str, float]) -> dict[str, float]:
    """Return what each number adds to the sum of the rule, without the intercept."""
    return {name: term(measured[name]) for name, term in TERMS.items()}


def fineness(rgb: np.ndarray, left_out: np.ndarray) -> float:
    """Return ``detail_1_2`` without the masked pixels (bool [h,w]); of the whole picture if the mask leaves little."""
    light = cv2.cvtColor(rgb.astype(np.float32) / 255, cv2.COLOR_RGB2LAB)[..., 0]
    counted = cv2.dilate(left_out.astype(np.uint8), _REACH) == 0
    if counted.mean() < 0.2:
        counted[:] = True
    first, second, _ = (float(band[counted].std()) + 0.05 for band in _bands(light))
    return float(np.log(first / second))


def _one_colour(rgb: np.ndarray) -> float:
    """Return the share of the most common exact colour, without greys: at most 0.12 in tissue, above 0.5 behind text."""
    coloured = rgb[highest(rgb) - lowest(rgb) >= 10].astype(np.int32)
    if not len(coloured):
        return 0.0
    codes = (coloured[:, 0] << 16) | (coloured[:, 1] << 8) | coloured[:, 2]
    return float(np.unique(codes, return_counts=True)[1].max() / rgb[..., 0].size)


def _colour(pixels: np.ndarray, lab: np.ndarray) -> dict[str, float]:
    light, red, yellow = (lab[..., i] for i in range(3))
    chroma = np.hypot(red, yellow)
    hue = np.degrees(np.arctan2(yellow, red)) % 360
    total = float(chroma.sum()) + 1e-3
    return {
        "chroma_high": float(np.percentile(chroma, 95)),
        "yellow": float(yellow.mean()),
        "yellow_spread": float(yellow.std()),
        "orange_share": float((chroma * ((hue >= 30) & (hue < 75))).sum()) / total,
        "green_share": float((chroma * ((hue >= 105) & (hue < 170))).sum()) / total,
        "black_share": float((highest(pixels) < 50).mean()),
        "light_chroma": _correlation(light, chroma),
        "light_red": _correlation(light, red),
        "red": float(red.mean()),
        "glass_light": float(np.percentile(light, 97)),
        "glass_chroma": float(chroma[light > np.percentile(light, 95) - 0.01].mean()),
    }


def _density(pixels: np.ndarray) -> dict[str, float]:
    """Measure stains: with one or two stains the optical densities lie near a line or a plane."""
    flat = pixels.reshape(-1, 3)
    density = optical_density(flat, np.maximum(np.percentile(flat, 97, axis=0), 60))
    strengths = np.linalg.eigvalsh(np.cov(density.T) + 1e-6 * np.eye(3))  # rising
    _, green, blue = np.log(3 * (density.mean(axis=0) + 1e-3) / (density.mean(axis=0) + 1e-3).sum())
    return {
        "density": float(density.mean()),
        "green_density": float(green),
        "blue_density": float(blue),
        "third_stain": float(np.log(strengths[0] / strengths[2])),
        "second_stain": float(np.log(strengths[1] / strengths[2])),
    }


def _detail(lab: np.ndarray) -> dict[str, float]:
    """Measure contrast in bands of 1, 2 and 4 pixels: logarithms of it, and of ratios of neighbouring bands."""
    light = lab[..., 0]
    bands = [float(band.std()) + 0.05 for band in _bands(light)]
    colour_detail = sum(float((c - cv2.GaussianBlur(c, (0, 0), 1)).std()) for c in (lab[..., 1], lab[..., 2]))
    centred = light - light.mean()
    neighbours = (centred[:, 1:] * centred[:, :-1]).mean() + (centred[1:] * centred[:-1]).mean()
    return {
        "detail": float(np.log(bands[0] + bands[1])),
        "detail_1_2": float(np.log(bands[0] / bands[1])),
        "detail_2_4": float(np.log(bands[1] / bands[2])),
        "colour_detail": float(np.log((colour_detail + 0.1) / (bands[0] + 0.1))),
        "neighbours_alike": float(neighbours / 2 / (centred.var() + 1e-3)),
    }


def _bands(light: np.ndarray) -> list[np.ndarray]:
    """Split lightness into bands of 1, 2 and 4 pixels."""
    smooth = [light, *(cv2.GaussianBlur(light, (0, 0), sigma) for sigma in (1, 2, 4))]
    return [fine - coarse for fine, coarse in zip(smooth, smooth[1:], strict=False)]


def _cells(lab: np.ndarray) -> dict[str, float]:
    """Measure means and contrasts of cells of 16 × 16 pixels: tissue has detail everywhere, photographs have smooth areas."""
    rows, columns = (side // _CELL for side in lab.shape[:2])
    cells = lab[: rows * _CELL, : columns * _CELL].reshape(rows, _CELL, columns, _CELL, 3)
    means, contrast = cells.mean((1, 3)), cells[..., 0].std((1, 3))  # [rows, columns, 3], [rows, columns]
    covered = means[..., 0] < np.percentile(lab[..., 0], 97) - 6
    return {
        "smooth_share": float(((contrast < 2.0) & covered).mean()),
        "covered_share": float(covered.mean()),
        "between_cells": float(np.log((means[..., 0].std() + 0.5) / (contrast.mean() + 0.5))),
        "colour_between_cells": float(np.log(np.hypot(means[..., 1].std(), means[..., 2].std()) + 0.5)),
        "contrast_low": float(np.log(np.percentile(contrast, 20) + 0.5)),
        "contrast_even": float(np.log((contrast.std() + 0.3) / (contrast.mean() + 0.3))),
    }


def _edges(light: np.ndarray) -> dict[str, float]:
    across, down = cv2.Sobel(light, cv2.CV_32F, 1, 0), cv2.Sobel(light, cv2.CV_32F, 0, 1)
    strength = np.hypot(across, down) + 1e-3
    angle = np.degrees(np.arctan2(down, across)) % 90
    upright = np.minimum(angle, 90 - angle) < 5
    energy = strength * strength
    cells = _mean_of_cells(energy), _mean_of_cells(strength)
    return {
        "edges_even": float(np.log((cells[0].std() + 1) / (cells[0].mean() + 1))),
        "cell_sparse": float(np.median(np.log((cells[0] + 1e-2) / (cells[1] ** 2 + 1e-2)))),
        "upright_edges": float((energy * upright).sum() / energy.sum()),
        "sparse_edges": float(np.log(energy.mean() / strength.mean() ** 2)),
    }


def _mean_of_cells(values: np.ndarray) -> np.ndarray:
    rows, columns = (side // _CELL for side in values.shape)
    return values[: rows * _CELL, : columns * _CELL].reshape(rows, _CELL, columns, _CELL).mean((1, 3))


def _correlation(first: np.ndarray, second: np.ndarray) -> float:
    if first.std() < 0.1 or second.std() < 0.1:
        return 0.0
    return float(np.corrcoef(first.ravel(), second.ravel())[0, 1])
