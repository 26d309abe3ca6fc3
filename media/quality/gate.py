"""The quality gate: what a clip shows, in words, and whether it is histology or cytology at all."""

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
from videopath.media.quality.overlays import find_overlays, without_overlays

Verdict = Literal["good", "fair", "refused"]

JUDGED_FRAMES = 16
"""Frames of a clip that are looked at, evenly spread."""
TISSUE_FRAMES = 0.15
"""Share of them that must show tissue: a lecture's title cards and empty stretches of glass are no reason to refuse."""

_MIN_COLOUR = 5.0  # chroma, CIE Lab, of the most coloured twentieth of a picture
_MIN_ALIKE = 0.2  # correlation of neighbouring pixels; lymphocytes at a low power have 0.25
_MIN_DETAIL = -0.3  # logarithm of the finest contrast; pale cytology has -0.1, an even shade less than -0.6
_MAX_ONE_COLOUR = 0.3  # share of one exact colour other than grey
_MAX_BLACK = 0.5  # share of black; a round field of view leaves 0.2 to 0.4 of a frame black, a night sky more
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


class Quality(BaseModel):
    """The gate's answer; shares and marks in [0, 1], over the frames that show tissue (all, if none does)."""

    model_config = ConfigDict(frozen=True)

    tissue: float = Field(ge=0, le=1, description="share of the picture that tissue or cells cover")
    focus: float = Field(ge=0, le=1, description="0 blurred, 1 sharp, of the sharper half of the frames")
    exposure: float = Field(ge=0, le=1, description="0 too dark or burnt out, 1 well lit")
    glass: float = Field(ge=0, le=1, description="share of the picture that is empty glass")
    is_histology: bool
    verdict: Verdict
    sentences: list[str]


@dataclass(frozen=True)
class _View:
    """One frame, looked at."""

    reason: str | None  # why it is not tissue; None where it is
    tissue: float
    glass: float
    focus: float
    exposure: float


def assess(clip: Clip) -> Quality:
    """Look at up to JUDGED_FRAMES frames of a clip: tissue, glass, focus, exposure, and whether it is tissue at all."""
    positions = np.unique(np.linspace(0, len(clip) - 1, min(len(clip), JUDGED_FRAMES), dtype=int))
    views = [_look(clip.frames[i]) for i in positions]
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
    found = []
    if tissue < _LITTLE_TISSUE:
        found.append(f"Only {tissue:.0%} of the picture is tissue; a closer view would help.")
    if focus < _SHARP:
        found.append("The picture is out of focus or enlarged beyond its detail.")
    if exposure < _EXPOSED:
        found.append("The picture is badly lit: too dark, or burnt out where it should show tissue.")
    return found


def _look(frame: np.ndarray) -> _View:
    sharp = without_frame(shrink(frame))
    small = undithered(sharp, frame)
    drawn = find_overlays(small)
    measured = measure(small)
    reason = _reason(measured)
    # So much black was not drawn over tissue: covering it would leave a nebula without its sky.
    mostly_black = measured["black_share"] > _MAX_BLACK
    if reason and not mostly_black and (bare := without_overlays(small, drawn)) is not None:
        reason = _reason(measure(bare)) and reason
    tissue, glass = _areas(small)
    # Sharp tissue has at least three quarters of the contrast of its 2-pixel detail at 1 pixel, blurred has a third.
    focus = 1 / (1 + np.exp(-(fineness(sharp, drawn) + 0.75) / 0.12))
    return _View(reason, tissue, glass, float(focus), _exposure(small))


def _reason(measured: dict[str, float]) -> str | None:
    """Why a picture is not tissue, a key of _REASONS; None where it is."""
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
    blame = {group: sum(parts[name] for name in names) for group, names in _GROUPS.items()}
    worst = min(blame, key=lambda group: blame[group])
    return worst if blame[worst] < min(-1.5, sum(parts.values()) / 3) else "photo"


def _areas(rgb: np.ndarray) -> tuple[float, float]:
    """Shares of tissue and of empty glass; black (a viewer's frame, a shadow) is neither."""
    pixels = cv2.GaussianBlur(rgb, (0, 0), 1.5).astype(np.float32)
    light = np.clip(np.percentile(pixels.reshape(-1, 3), 99, axis=0), 160, 255)
    dense = optical_density(pixels, light).sum(axis=-1) > 0.24
    black = highest(pixels) < 40
    return float((dense & ~black).mean()), float((~dense & ~black).mean())


def _exposure(rgb: np.ndarray) -> float:
    """1 where the light part is bright and less than a tenth is black; falls to 0 with a dark or clipped picture."""
    brightest = float(np.percentile(highest(rgb), 98)) / 255
    black = float((highest(rgb) < 25).mean())
    burnt = float((lowest(rgb) >= 254).mean())
    lit = np.clip((brightest - 0.25) / 0.35, 0, 1)
    return float(lit * np.clip(1.5 - black, 0, 1) * np.clip((1.0 - burnt) / 0.05, 0, 1))


def _mean(values: list[float]) -> float:
    return float(np.clip(np.mean(values), 0, 1))
