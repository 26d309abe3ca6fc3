"""High dynamic range and wide gamuts in ordinary colours: PQ and HLG light, BT.2020 and P3 primaries, brought to sRGB.

Curves after ITU-R BT.2100; diffuse white is 203 cd/m² and a screen's brightest 1000 cd/m² as in ITU-R BT.2408.
"""

from __future__ import annotations

import functools
from typing import Any, Literal

import cv2
import numpy as np

from videopath.core.errors import InputError
from videopath.core.installing import package_command

Curve = Literal["PQ", "HLG", "gamma"]
"""How 16-bit samples say light; "gamma" is ordinary video (ITU-R BT.1886)."""

_PQ, _HLG = 16, 18  # FFmpeg's numbers of transfer functions
_DOLBY_VISION = {
    "dvh1",
    "dvhe",
    "dav1",
    "dva1",
    "dvav",
}  # marks of streams that only its own players colour rightly
_PRIMARIES = {
    9: np.array([[1.6605, -0.5876, -0.0728], [-0.1246, 1.1329, -0.0083], [-0.0182, -0.1006, 1.1187]], np.float32),
    12: np.array([[1.2249, -0.2247, 0.0], [-0.0420, 1.0419, 0.0], [-0.0197, -0.0786, 1.0979]], np.float32),
}  # fmt: skip
"""From BT.2020 and Display P3, by FFmpeg's numbers, to the primaries of BT.709 and sRGB."""
_WHITE, _PEAK = 203.0, 1000.0  # cd/m²
_KNEE = 0.8  # of diffuse white: up to here light stays as it is, what is brighter is pressed together
_LEVELS = np.arange(65536) / 65535


def curve_of(frame: Any) -> Curve | None:
    """Tell how a decoded frame has to be converted; None if it holds ordinary colours."""
    if not hasattr(frame, "color_trc"):
        return None  # PyAV before 16 says it of the stream alone: see :func:`refuse_unreadable_colours`
    if frame.color_trc == _PQ:
        return "PQ"
    if frame.color_trc == _HLG:
        return "HLG"
    return "gamma" if frame.color_primaries in _PRIMARIES else None


def refuse_unreadable_colours(frame: Any, context: Any, name: str) -> None:
    """Refuse colours that cannot be converted; ``context`` is the stream's codec context.

    Raises:
        InputError: The stream is Dolby Vision without an ordinary layer, or it is HDR or has a wide gamut and PyAV is
            older than 16.
    """
    if context.codec_tag in _DOLBY_VISION:
        raise InputError(
            f"{name} is Dolby Vision, whose colours are not known here: export it as SDR or as HDR10."
        )
    if not hasattr(frame, "color_trc") and (
        context.color_trc in (_PQ, _HLG) or context.color_primaries in _PRIMARIES
    ):
        raise InputError(
            f"{name} has HDR or wide-gamut colours, which PyAV before 16 cannot convert; "
            f"run: {package_command('av', '--upgrade')}"
        )


def in_ordinary_colours(frame: Any, curve: Curve) -> np.ndarray:
    """Convert a decoded frame to uint8 [H,W,3], sRGB; light is 1 where a picture is as bright as white paper."""
    light = _light(curve)[frame.to_ndarray(format="rgb48le")]  # float32 [H,W,3]
    if curve == "HLG":  # the screen's part of HLG: brighter scenes are shown with more contrast
        luminance = light @ np.array([0.2627, 0.6780, 0.0593], np.float32)
        light *= (_PEAK / _WHITE * luminance**0.2)[..., None]
    if frame.color_primaries in _PRIMARIES:
        light = cv2.transform(light, _PRIMARIES[frame.color_primaries])
    if curve != "gamma":
        light *= _pressed(light.max(axis=-1))[..., None]
    return _samples(curve)[(light.clip(0, 1) * 65535).astype(np.uint16)]


def _pressed(brightest: np.ndarray) -> np.ndarray:
    """By what to multiply pixels of this brightest channel, so that all light up to the peak stays below 1."""
    room, peak = 1 - _KNEE, (_PEAK / _WHITE - _KNEE) / (1 - _KNEE)
    over = np.clip((brightest - _KNEE) / room, 0, peak)
    shown = _KNEE + room * over * (1 + over / peak**2) / (1 + over)
    return np.where(brightest > _KNEE, shown / np.maximum(brightest, _KNEE), 1).astype(np.float32)


@functools.cache
def _light(curve: Curve) -> np.ndarray:
    """float32 [65536]: light of every 16-bit sample."""
    if curve == "PQ":
        root = _LEVELS ** (32 / 2523)
        steps = np.maximum(root - 3424 / 4096, 0) / (2413 / 128 - 2392 / 128 * root)
        light = 10000 / _WHITE * steps ** (16384 / 2610)
    elif curve == "HLG":
        a, b, c = 0.17883277, 0.28466892, 0.55991073
        light = np.where(_LEVELS <= 0.5, _LEVELS**2 / 3, (np.exp((_LEVELS - c) / a) + b) / 12)
    else:
        light = _LEVELS**2.4
    return light.astype(np.float32)


@functools.cache
def _samples(curve: Curve) -> np.ndarray:
    """uint8 [65536]: the sample that shows a light of 0 … 1."""
    if curve == "gamma":
        shown = _LEVELS ** (1 / 2.4)
    else:
        shown = np.where(_LEVELS <= 0.0031308, 12.92 * _LEVELS, 1.055 * _LEVELS ** (1 / 2.4) - 0.055)
    return np.rint(shown * 255).astype(np.uint8)
