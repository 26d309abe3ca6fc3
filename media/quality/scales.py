"""The measured attributes of a field, and a scale of words for each."""

from __future__ import annotations

from dataclasses import asdict, dataclass

import numpy as np


@dataclass(frozen=True)
class Attributes:
    """Attributes of a clip, as means over its frames. All except ``stain`` and ``eosin`` are shares in [0, 1]."""

    cellularity: float
    """Share of the field that nuclei cover."""
    crowding: float
    """Share of the neighbourhood of a nucleus that nuclei cover."""
    eosin: float
    """Mean eosin density of the tissue, as optical density."""
    open_space: float
    """Share of the field that is lumen, fat or glass."""
    stain: float
    """Mean optical density of the tissue."""
    fineness: float
    """Share of the structure that is finer than about 4 pixels; high at low power, low at high power."""

    def as_array(self) -> np.ndarray:
        """Return the values as float32 [6], in the order of the fields."""
        return np.array(list(asdict(self).values()), dtype=np.float32)


@dataclass(frozen=True)
class MeasuredFrame:
    """The attributes of a frame, as it is and after it was brought to the usual stain."""

    own: Attributes
    one_colour: Attributes
    """The same frame at the mean colour of :func:`videopath.media.quality.stain.one_colour`."""
    nuclear_radius: float
    """Radius of the larger nuclei, in pixels of the measured frame."""
    bright: float
    """Share of the field that is nearly as bright as its brightest parts: open space behind which the light is tinted."""


NAMES: tuple[str, ...] = tuple(Attributes.__dataclass_fields__)


@dataclass(frozen=True)
class Scale:
    """Words for one attribute: the bounds between its levels, and the wordings of each level, lowest level first."""

    attribute: str
    bounds: tuple[float, ...]
    words: tuple[tuple[str, ...], ...]

    def level(self, value: float) -> int:
        """Return the level of a value; 0 is the lowest."""
        return int(np.searchsorted(self.bounds, value))

    def is_clearly(self, value: float, level: int) -> bool:
        """Return whether a value lies in a level, and not so close to a bound that an eye may see the next level."""
        return self.level(value * (1 - _CLOSE)) == self.level(value * (1 + _CLOSE)) == level

    def spoken_level(self, text: str) -> int | None:
        """Return the level that a text names, or None."""
        for level, wordings in enumerate(self.words):
            if any(wording in text for wording in wordings):
                return level
        return None


_CLOSE = 0.1
"""A value within a tenth of a bound does not clearly lie in a level."""
NEIGHBOURHOOD = 4.0
"""Standard deviation of the neighbourhood of a nucleus, in pixels of the measured frame. A nucleus with a larger radius
fills its own neighbourhood, so it cannot be said whether others crowd it."""
_OF_THE_STAIN = ("stain", "eosin")
"""Attributes that are the colour itself. The others are structure: they must not change with the stain."""

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


def is_measured(text: str, frame: MeasuredFrame) -> bool:
    """Return whether a sentence names measured attributes, and the frame clearly has the named level of each.

    Words for structure must hold at the usual stain as well: in a dark stain everything looks rich in cells. "Few open
    spaces" must hold in tinted light as well. Words for
    crowding need nuclei that are smaller than their neighbourhood.
    """
    named = [(scale, level) for scale in SCALES if (level := scale.spoken_level(text)) is not None]
    return bool(named) and all(_has_level(frame, scale, level) for scale, level in named)


def _has_level(frame: MeasuredFrame, scale: Scale, level: int) -> bool:
    if scale.attribute == "crowding" and frame.nuclear_radius > NEIGHBOURHOOD:
        return False
    if scale.attribute == "open_space" and level == 0 and scale.level(frame.bright) > 0:
        return False
    own, restained = (getattr(one, scale.attribute) for one in (frame.own, frame.one_colour))
    return scale.is_clearly(own, level) and (
        scale.attribute in _OF_THE_STAIN or scale.level(restained) == level
    )


def names_attributes(text: str) -> bool:
    """Return whether a sentence names a measured attribute."""
    return any(scale.spoken_level(text) is not None for scale in SCALES)
