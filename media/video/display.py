"""Decoded video frames as they are displayed: deinterlaced, with square pixels, upright, in sRGB."""

from __future__ import annotations

import math
import struct
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from fractions import Fraction
from typing import Any

import av
import cv2
import numpy as np
from av.sidedata.sidedata import Type as SideData

from videopath.core.errors import InputError
from videopath.media.image.samples import on_white, squared
from videopath.media.tone import curve_of, in_ordinary_colours

_STRAIGHT = 0.02  # sine of the angle by which a rotation may differ from a quarter turn


@dataclass(frozen=True)
class Orientation:
    """One of the eight orientations of a picture: rows and columns are swapped first, then it is mirrored."""

    transposed: bool = False
    left_right: bool = False
    upside_down: bool = False

    def apply(self, picture: np.ndarray) -> np.ndarray:
        """Return the oriented picture, a view of [H,W,3]."""
        if self.transposed:
            picture = picture.transpose(1, 0, 2)
        if self.left_right:
            picture = picture[:, ::-1]
        return picture[::-1] if self.upside_down else picture


UPRIGHT = Orientation()


@dataclass(frozen=True)
class Display:
    """How a stored frame is displayed."""

    stored: tuple[int, int]  # width, height
    square: tuple[int, int]  # the same with square pixels
    orientation: Orientation
    interlaced: bool

    @property
    def size(self) -> tuple[int, int]:
        """Width and height of the picture that :func:`draw` returns."""
        width, height = self.square
        return (height, width) if self.orientation.transposed else (width, height)


def display_of(
    frame: Any, orientation: Orientation, aspect: Fraction | None, interlaced: bool, name: str
) -> Display:
    """Return how a frame is displayed.

    Args:
        frame: The decoded frame.
        orientation: Its orientation, see :func:`with_orientation`.
        aspect: Width of a pixel divided by its height; None or 0 if the file does not say.
        interlaced: Whether the file is marked as interlaced, whatever this frame says.
        name: The file's name, for messages.

    Raises:
        InputError: The aspect is impossible.
    """
    return Display(
        (frame.width, frame.height),
        squared(frame.width, frame.height, float(aspect or 1), name),
        orientation,
        interlaced or frame.interlaced_frame,
    )


def draw(frame: Any, display: Display) -> np.ndarray:
    """Convert a decoded frame to uint8 [H,W,3] RGB of the width and height ``display.size``."""
    if display.interlaced:
        frame = _one_field(frame)
    curve = curve_of(frame)
    if curve:
        picture = in_ordinary_colours(frame, curve)
    elif any(component.is_alpha for component in frame.format.components):
        layer = frame.to_ndarray(format="rgba")
        picture = on_white(np.ascontiguousarray(layer[..., :3]), layer[..., 3])
    else:
        picture = frame.to_ndarray(format="rgb24")
    if display.square != display.stored:
        picture = cv2.resize(picture, display.square, interpolation=cv2.INTER_CUBIC)
    return display.orientation.apply(picture)


def _one_field(frame: Any) -> Any:
    """Keep the lines of one field and interpolate the others along edges (FFmpeg's estdif).

    Only this frame is used, so the result does not depend on how the decoder reached it.
    """
    graph = av.filter.Graph()
    source = graph.add_buffer(
        width=frame.width, height=frame.height, format=frame.format, time_base=frame.time_base or Fraction(1)
    )
    deinterlacer, sink = graph.add("estdif", "deint=all"), graph.add("buffersink")
    source.link_to(deinterlacer)
    deinterlacer.link_to(sink)
    graph.configure()
    graph.push(frame)
    graph.push(None)
    return graph.pull()


def with_orientation(frames: Iterable[Any], name: str) -> Iterator[tuple[Any, Orientation]]:
    """Yield each decoded frame with its orientation; an orientation in the stream holds until the next keyframe.

    Args:
        frames: Decoded frames in order.
        name: The file's name, for messages.

    Raises:
        InputError: A frame is rotated by another angle than quarter turns, or slanted.
    """
    orientation = UPRIGHT
    for frame in frames:
        orientation = _orientation_of(frame, name) or (UPRIGHT if frame.key_frame else orientation)
        yield frame, orientation


def _orientation_of(frame: Any, name: str) -> Orientation | None:
    """Read the display matrix: a stored pixel (x, y) is shown at (a·x + c·y, b·x + d·y). None: there is no matrix."""
    matrix = frame.side_data.get(SideData.DISPLAYMATRIX)
    if matrix is None or len(bytes(matrix)) < 36:
        return None
    a, b, _, c, d = struct.unpack("=9i", bytes(matrix)[:36])[:5]
    first, second = math.hypot(a, b), math.hypot(c, d)
    if not first or not second:  # players ignore such a matrix
        return None
    a, b, c, d = a / first, b / first, c / second, d / second
    if max(abs(b), abs(c)) < _STRAIGHT:
        return Orientation(False, a < 0, d < 0)
    if max(abs(a), abs(d)) < _STRAIGHT:
        return Orientation(True, c < 0, b < 0)
    raise InputError(
        f"{name} is to be shown turned by {abs(math.degrees(math.atan2(b, a))):.0f}° or slanted; "
        "only quarter turns are possible: export it as it is to be seen."
    )
