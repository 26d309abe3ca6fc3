"""Conversion of high dynamic range (PQ, HLG) and wide gamuts (BT.2020, Display P3) to sRGB.

The curves follow ITU-R BT.2100. Diffuse white is 203 cd/m² and the peak 1000 cd/m², as in ITU-R BT.2408.
"""

from __future__ import annotations

import functools
from typing import Any, Literal

import cv2
import numpy as np

from videopath.core.errors import InputError
from videopath.core.installing import package_command

TransferCurve = Literal["PQ", "HLG", "gamma"]
"""How 16-bit samples encode light; "gamma" is ordinary video (ITU-R BT.1886)."""

_PQ, _HLG = 16, 18  # FFmpeg's numbers of transfer functions
_DOLBY_VISION = {
    "dvh1",
    "dvhe",
    "dav1",
    "dva1",
    "dvav",
}  # only players for Dolby Vision show these colours correctly
_PRIMARIES = {
    9: np.array([[1.6605, -0.5876, -0.0728], [-0.1246, 1.1329, -0.0083], [-0.0182, -0.1006, 1.1187]], np.float32),
    12: np.array([[1.2249, -0.2247, 0.0], [-0.0420, 1.0419, 0.0], [-0.0197, -0.0786, 1.0979]], np.float32),
}  # fmt: skip
"""FFmpeg's numbers of BT.2020 and Display P3 → matrix to the primaries of BT.709 and sRGB."""
_WHITE, _PEAK = 203.0, 1000.0  # cd/m²
_KNEE = 0.8  # of diffuse white: light up to here is unchanged, brighter light is compressed
_LEVELS = np.arange(65536) / 65535


def curve_of(frame: Any) -> TransferCurve | None:
    """Return the curve by which a decoded frame must be converted, or None for ordinary colours."""
    if not hasattr(frame, "color_trc"):
        return None  # PyAV before 16 only knows it of the stream: see :func:`refuse_unreadable_colours`
    if frame.color_trc == _PQ:
        return "PQ"
    if frame.color_trc == _HLG:
        return "HLG"
    return "gamma" if frame.color_primaries in _PRIMARIES else None


def refuse_unreadable_colours(frame: Any, context: Any, name: str) -> None:
    """Raise for colours that cannot be converted.

    Args:
        frame: The first decoded frame.
        context: The codec context of the stream.
        name: The file's name, for the message.

    Raises:
        InputError: The stream is Dolby Vision without an ordinary layer; or it has HDR or a wide gamut, and PyAV is
            older than 16.
    """
    if context.codec_tag in _DOLBY_VISION:
        raise InputError(f"{name} is Dolby Vision, which is not supported. Export it as SDR or as HDR10.")
    if not hasattr(frame, "color_trc") and (
        context.color_trc in (_PQ, _HLG) or context.color_primaries in _PRIMARIES
    ):
        raise InputError(
            f"{name} has HDR or wide-gamut colours, which PyAV before 16 cannot convert; "
            f"run: {package_command('av', '--upgrade')}"
        )


def in_ordinary_colours(frame: Any, curve: TransferCurve) -> np.ndarray:
    """Convert a decoded frame to uint8 [H,W,3] in sRGB; diffuse white becomes white."""
    light = _light(curve)[frame.to_ndarray(format="rgb48le")]  # float32 [H,W,3]
    if curve == "HLG":  # the system gamma of HLG: brighter scenes are shown with more contrast
        luminance = light @ np.array([0.2627, 0.6780, 0.0593], np.float32)
        light *= (_PEAK / _WHITE * luminance**0.2)[..., None]
    if frame.color_primaries in _PRIMARIES:
        light = cv2.transform(light, _PRIMARIES[frame.color_primaries])
    if curve != "gamma":
        light *= _compression(light.max(axis=-1))[..., None]
    return _samples(curve)[(light.clip(0, 1) * 65535).astype(np.uint16)]


def _compression(brightest: np.ndarray) -> np.ndarray:
    """Return the factor for pixels with this brightest channel; light up to the peak then stays below 1."""
    room, peak = 1 - _KNEE, (_PEAK / _WHITE - _KNEE) / (1 - _KNEE)
    over = np.clip((brightest - _KNEE) / room, 0, peak)
    shown = _KNEE + room * over * (1 + over / peak**2) / (1 + over)
    return np.where(brightest > _KNEE, shown / np.maximum(brightest, _KNEE), 1).astype(np.float32)


@functools.cache
def _light(curve: TransferCurve) -> np.ndarray:
    """Return the light of every 16-bit sample, float32 [65536]."""
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
def _samples(curve: TransferCurve) -> np.ndarray:
    """Return the 8-bit samples for light of 0 … 1, uint8 [65536]."""
    if curve == "gamma":
        shown = _LEVELS ** (1 / 2.4)
    else:
        shown = np.where(_LEVELS <= 0.0031308, 12.92 * _LEVELS, 1.055 * _LEVELS ** (1 / 2.4) - 0.055)
    return np.rint(shown * 255).astype(np.uint8)
