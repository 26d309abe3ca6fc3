"""Attributes of a field that can be measured on its pixels: how cellular, how crowded, how pink, how open, how dark.

Haematoxylin and eosin are separated by colour deconvolution (Ruifrok and Johnston, Anal Quant Cytol Histol 2001).
Every frame is measured at 112 x 112 pixels, whatever its size, so that a number means the same for every source.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass

import cv2
import numpy as np

SIDE = 112
_OPTICAL_DENSITY = (-np.log((np.arange(256) + 1.0) / 256.0)).astype(np.float32)
# Columns: how much haematoxylin, eosin and residual an RGB optical density holds (inverse of the stain vectors).
_STAINS = np.array([[0.65, 0.70, 0.29], [0.07, 0.99, 0.11], [0.27, 0.57, 0.78]], dtype=np.float64)
_UNMIX = np.linalg.inv(_STAINS / np.linalg.norm(_STAINS, axis=1, keepdims=True)).astype(np.float32)
_TISSUE_DENSITY = 0.12
_LEAST_NUCLEAR_DENSITY = 0.25
_OPEN_DENSITY = 0.16


@dataclass(frozen=True)
class Attributes:
    """Means over the frames of a clip. All but ``stain`` and ``eosin`` are shares in [0, 1]."""

    cellularity: float
    """Share of the field that is nucleus."""
    crowding: float
    """How full of nuclei the neighbourhood of a nucleus is."""
    eosin: float
    """Mean eosin density of the tissue, optical density units."""
    open_space: float
    """Share of the field that is lumen, fat or glass."""
    stain: float
    """Mean optical density of the tissue."""
    fineness: float
    """Share of the structure that is finer than about 4 pixels: high at low power, low at high power."""

    def as_array(self) -> np.ndarray:
        """The values as float32 [6], in the order of the fields."""
        return np.array(list(asdict(self).values()), dtype=np.float32)


NAMES: tuple[str, ...] = tuple(Attributes.__dataclass_fields__)


@dataclass(frozen=True)
class Scale:
    """Words for one attribute: the bounds between the levels, and the wordings of each level, lowest first."""

    attribute: str
    bounds: tuple[float, ...]
    words: tuple[tuple[str, ...], ...]

    def level(self, value: float) -> int:
        """The level of a value: 0 is the lowest."""
        return int(np.searchsorted(self.bounds, value))

    def spoken_level(self, text: str) -> int | None:
        """The level that a text names, or None where it names none."""
        for level, wordings in enumerate(self.words):
            if any(wording in text for wording in wordings):
                return level
        return None


SCALES: tuple[Scale, ...] = (
    Scale("fineness", (0.50,), (("high-power view", "close view"), ("low-power view", "wide view"))),
    Scale(
        "cellularity",
        (0.13, 0.30),
        (
            ("sparsely cellular", "low in cells"),
            ("moderately cellular", "of medium cell content"),
            ("densely cellular", "rich in cells"),
        ),
    ),
    Scale(
        "crowding",
        (0.50,),
        (("well-spaced nuclei", "nuclei lying apart"), ("crowded nuclei", "tightly packed nuclei")),
    ),
    Scale(
        "stain",
        (0.36, 0.58),
        (
            ("pale staining", "weak stain"),
            ("medium staining", "stain of medium strength"),
            ("dark staining", "strong stain"),
        ),
    ),
    Scale(
        "eosin",
        (0.10, 0.30),
        (
            ("little eosinophilia", "hardly any pink"),
            ("moderate eosinophilia", "some pink"),
            ("marked eosinophilia", "much pink"),
        ),
    ),
    Scale(
        "open_space",
        (0.10,),
        (("hardly any lumina or fat", "few open spaces"), ("wide lumina or fat", "large open spaces")),
    ),
)


def measure(frames: np.ndarray) -> Attributes:
    """Measure a clip.

    ``frames``: uint8 [T, H, W, 3] RGB, T >= 1. Returns the means over the frames.
    """
    values = np.mean([_measure_frame(frame) for frame in frames], axis=0)
    return Attributes(*(float(v) for v in values))


def _measure_frame(frame: np.ndarray) -> list[float]:
    small = (
        frame
        if frame.shape[:2] == (SIDE, SIDE)
        else cv2.resize(frame, (SIDE, SIDE), interpolation=cv2.INTER_AREA)
    )
    density = _OPTICAL_DENSITY[small]  # [112, 112, 3]
    stains = density @ _UNMIX  # [112, 112, 3]: haematoxylin, eosin, residual
    mean_density = density.mean(axis=2)
    tissue = mean_density > _TISSUE_DENSITY
    amount = max(1, int(tissue.sum()))
    nuclei = _nuclei(stains[..., 0])
    nearby = cv2.GaussianBlur(nuclei, (0, 0), 4.0)
    return [
        float(nuclei.mean()),
        float((nearby * nuclei).sum() / max(1.0, float(nuclei.sum()))),
        float(np.clip(stains[..., 1], 0, 3)[tissue].sum() / amount),
        float((mean_density < _OPEN_DENSITY).mean()),
        float(mean_density[tissue].sum() / amount),
        _fineness(mean_density),
    ]


def _nuclei(haematoxylin: np.ndarray) -> np.ndarray:
    """Mask of the nuclei, float32: Otsu's threshold follows the stain's strength, a floor keeps pale fields empty."""
    scaled = np.clip(haematoxylin * 100.0, 0, 255).astype(np.uint8)
    threshold, _ = cv2.threshold(scaled, 0, 255, cv2.THRESH_BINARY + cv2.THRESH_OTSU)
    return (scaled > max(threshold, _LEAST_NUCLEAR_DENSITY * 100.0)).astype(np.float32)


def _fineness(density: np.ndarray) -> float:
    """Energy of the finest two octaves over that of all five."""
    levels = [density, *(cv2.GaussianBlur(density, (0, 0), sigma) for sigma in (1.0, 2.0, 4.0, 8.0, 16.0))]
    energy = [float(np.square(a - b).mean()) for a, b in zip(levels, levels[1:], strict=False)]
    return (energy[0] + energy[1]) / (sum(energy) + 1e-8)


def is_measured(text: str, frame: Attributes) -> bool:
    """Whether a sentence names measured attributes, and each as it is measured on a frame."""
    named = [(scale, level) for scale in SCALES if (level := scale.spoken_level(text)) is not None]
    return bool(named) and all(
        scale.level(getattr(frame, scale.attribute)) == level for scale, level in named
    )


def names_attributes(text: str) -> bool:
    """Whether a sentence says something that can be measured."""
    return any(scale.spoken_level(text) is not None for scale in SCALES)
