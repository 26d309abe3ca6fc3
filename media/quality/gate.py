"""The quality gate: whether a clip shows histology or cytology, and its quality in words."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from typing import Literal

import cv2
import numpy as np
from pydantic import BaseModel, ConfigDict, Field

from videopath.media.clip import Clip
from videopath.media.quality.appearance import (
    INTERCEPT,
    contributions,
    fineness,
    highest,
    lowest,
    measure,
    optical_density,
    shrink,
    undithered,
    without_frame,
)
from videopath.media.quality.overlays import find_letters, find_overlays, maybe_letters, without_overlays

QualityVerdict = Literal["good", "fair", "refused"]

JUDGED_FRAMES = 16
"""Frames of a clip that are looked at, evenly spread."""
TISSUE_FRAMES = 0.15
"""Share of these frames that must show tissue; title cards and empty glass may fill the rest."""

_MIN_COLOUR = 5.0  # chroma, CIE Lab, of the most coloured twentieth of a picture
_MIN_ALIKE = 0.2  # correlation of neighbouring pixels; lymphocytes at low power have 0.25
_MIN_DETAIL = (
    -0.3
)  # logarithm of the finest contrast; pale cytology has -0.1, a smooth gradient less than -0.6
_MAX_ONE_COLOUR = 0.3  # share of the most common exact colour, without greys
_MAX_BLACK = 0.5  # share of black; around a round field of view 0.2 to 0.4 of a frame is black
_SHARP = 0.5
_EXPOSED = 0.5
_LITTLE_TISSUE = 0.1

_REASONS = {
    "blank": "It shows nothing: one even colour or a smooth shade, such as empty glass or a blank frame.",
    "noise": "It is noise: neighbouring pixels have nothing to do with one another.",
    "grey": "It has no colour, as an X-ray, printed text or a grey photograph; stained tissue is coloured.",
    "screen": "It looks like text, a drawing or a screen: straight lines and even fills, not cells or tissue.",
    "dark": "Large parts of it are black, as in a fundus image, a night sky or an ordinary photograph; tissue is lit from below.",
    "photo": "Its colours and texture are not those of stained tissue under a microscope but of an ordinary photograph "
    "or another kind of picture.",
}
_GROUPS = {
    "screen": ("upright_edges", "sparse_edges", "smooth_share", "colour_detail", "detail_1_2"),
    "dark": ("black_share",),
}
_OF_WRITING = {"screen", "dark", "photo"}  # reasons that writing on tissue can give


class Quality(BaseModel):
    """The result of the gate. All numbers are in [0, 1], over the frames that show tissue, or over all if none does."""

    model_config = ConfigDict(frozen=True)

    tissue: float = Field(ge=0, le=1, description="share of the picture that tissue or cells cover")
    focus: float = Field(ge=0, le=1, description="0 blurred, 1 sharp, of the sharper half of the frames")
    exposure: float = Field(ge=0, le=1, description="0 too dark or burnt out, 1 well lit")
    glass: float = Field(ge=0, le=1, description="share of the picture that is empty glass")
    is_histology: bool
    verdict: QualityVerdict
    sentences: list[str]


@dataclass(frozen=True)
class _FrameQuality:
    """The measurements of one frame."""

    reason: str | None  # why it is not tissue, a key of _REASONS; None: it is tissue
    tissue: float
    glass: float
    focus: float
    exposure: float


def assess(clip: Clip) -> Quality:
    """Judge a clip on up to JUDGED_FRAMES frames: tissue, glass, focus, exposure, and whether it shows tissue at all."""
    positions = np.unique(np.linspace(0, len(clip) - 1, min(len(clip), JUDGED_FRAMES), dtype=int))
    views = [_measure_frame(clip.frames[i]) for i in positions]
    shown = [view for view in views if view.reason is None]
    is_histology = len(shown) >= max(1.0, TISSUE_FRAMES * len(views))
    counted = shown if is_histology else views
    values = {
        "tissue": _mean([v.tissue for v in counted]),
        "glass": _mean([v.glass for v in counted]),
        "exposure": _mean([v.exposure for v in counted]),
        "focus": _mean(sorted((v.focus for v in counted), reverse=True)[: (len(counted) + 1) // 2]),
    }
    if not is_histology:
        reason = Counter(v.reason for v in views if v.reason).most_common(1)[0][0]
        what = "image" if clip.kind == "image" else "video"
        sentences = [f"This {what} does not show histology or cytology.", _REASONS[reason], *clip.notes]
        return Quality(**values, is_histology=False, verdict="refused", sentences=sentences)
    complaints = _complaints(**values)
    sentences = [
        _summary(len(shown), len(views), values["tissue"], values["glass"]),
        *complaints,
        *clip.notes,
    ]
    return Quality(**values, is_histology=True, verdict="fair" if complaints else "good", sentences=sentences)


def _summary(shown: int, looked_at: int, tissue: float, glass: float) -> str:
    where = "" if looked_at == 1 else f" in {shown} of {looked_at} frames looked at"
    return f"Stained tissue or cells{where}: they cover {tissue:.0%} of the picture, empty glass {glass:.0%}."


def _complaints(tissue: float, glass: float, focus: float, exposure: float) -> list[str]:
    complaints = []
    if tissue < _LITTLE_TISSUE:
        complaints.append(f"Only {tissue:.0%} of the picture is tissue; a closer view would help.")
    if focus < _SHARP:
        complaints.append("The picture is out of focus or enlarged beyond its detail.")
    if exposure < _EXPOSED:
        complaints.append("The picture is badly lit: too dark, or burnt out where it should show tissue.")
    return complaints


def _measure_frame(frame: np.ndarray) -> _FrameQuality:
    sharp = without_frame(shrink(frame))
    small = undithered(sharp, frame)
    drawn = find_overlays(small)
    measured = measure(small)
    reason = _reason(measured)
    maybe = maybe_letters(small)
    if maybe.any() and (reason in _OF_WRITING or _focus(sharp, drawn | maybe) < _SHARP):
        # Only here can writing change the result: most frames are tissue, and sharp, whatever is written on them.
        drawn |= find_letters(small)
    # So much black is no overlay: if it were covered, a nebula without its sky would remain.
    mostly_black = measured["black_share"] > _MAX_BLACK
    if reason and not mostly_black and (uncovered := without_overlays(small, drawn)) is not None:
        reason = _reason(measure(uncovered)) and reason
    tissue, glass = _areas(small)
    return _FrameQuality(reason, tissue, glass, _focus(sharp, drawn), _exposure(small))


def _focus(rgb: np.ndarray, drawn: np.ndarray) -> float:
    """Return the focus in [0, 1] outside of what was drawn.

    In sharp tissue the contrast at 1 pixel is at least three quarters of that at 2 pixels; in blurred tissue a third.
    """
    return float(1 / (1 + np.exp(-(fineness(rgb, drawn) + 0.75) / 0.12)))


def _reason(measured: dict[str, float]) -> str | None:
    """Return why a picture is not tissue, a key of _REASONS, or None for tissue."""
    if measured["detail"] < _MIN_DETAIL:
        return "blank"
    if measured["neighbours_alike"] < _MIN_ALIKE:
        return "noise"
    if measured["chroma_high"] < _MIN_COLOUR:
        return "grey"
    if measured["one_colour"] > _MAX_ONE_COLOUR:
        return "screen"
    if measured["black_share"] > _MAX_BLACK:
        return "dark"
    parts = contributions(measured)
    if INTERCEPT + sum(parts.values()) > 0:
        return None
    group_sums = {group: sum(parts[name] for name in names) for group, names in _GROUPS.items()}
    worst = min(group_sums, key=lambda group: group_sums[group])
    return worst if group_sums[worst] < min(-1.5, sum(parts.values()) / 3) else "photo"


def _areas(rgb: np.ndarray) -> tuple[float, float]:
    """Return the shares of tissue and of empty glass; black (a viewer's frame, a shadow) is neither."""
    pixels = cv2.GaussianBlur(rgb, (0, 0), 1.5).astype(np.float32)
    light = np.clip(np.percentile(pixels.reshape(-1, 3), 99, axis=0), 160, 255)
    dense = optical_density(pixels, light).sum(axis=-1) > 0.24
    black = highest(pixels) < 40
    return float((dense & ~black).mean()), float((~dense & ~black).mean())


def _exposure(rgb: np.ndarray) -> float:
    """Return the exposure in [0, 1]: 1 for a bright picture with little black, 0 for a dark or clipped one."""
    brightest = float(np.percentile(highest(rgb), 98)) / 255
    black = float((highest(rgb) < 25).mean())
    burnt = float((lowest(rgb) >= 254).mean())
    lit = np.clip((brightest - 0.25) / 0.35, 0, 1)
    return float(lit * np.clip(1.5 - black, 0, 1) * np.clip((1.0 - burnt) / 0.05, 0, 1))


def _mean(values: list[float]) -> float:
    return float(np.clip(np.mean(values), 0, 1))
