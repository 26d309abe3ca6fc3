"""H.264 videos without sound and without container metadata, as browsers and other programs play them."""

from __future__ import annotations

from fractions import Fraction
from pathlib import Path
from types import TracebackType
from typing import Any

import av
import numpy as np

TICKS = 90_000
"""Ticks of a second in the files."""
_LIMITED, _BT601, _BT709 = 1, 6, 1  # FFmpeg's numbers for colour range and colour spaces


class VideoWriter:
    """Writes frames of one size at given times; use it as a context manager.

    Args:
        path: The file; it is written as mp4, whatever its suffix.
        width: Pixels, even.
        height: Pixels, even.
        fps: Frames per second; the last frame is shown for this time.
        crf: Quality of the encoding; lower is better.
    """

    def __init__(self, path: Path, width: int, height: int, fps: float, crf: int = 20) -> None:
        self.frames = 0
        # bitexact: neither the program nor the time of writing is stored
        self._target = av.open(
            str(path), "w", format="mp4", options={"fflags": "+bitexact", "movflags": "+faststart"}
        )
        rate = Fraction(fps).limit_denominator(1000)
        out: Any = self._target.add_stream(
            "libx264", rate=rate, options={"preset": "veryfast", "crf": str(crf)}
        )
        out.width, out.height, out.pix_fmt = width, height, "yuv420p"
        out.time_base = out.codec_context.time_base = Fraction(1, TICKS)
        out.codec_context.color_range, out.codec_context.colorspace = _LIMITED, _BT601
        out.codec_context.color_primaries = out.codec_context.color_trc = _BT709
        self._out, self._duration = out, round(TICKS / fps)

    def add(self, picture: np.ndarray, seconds: float) -> None:
        """Add a frame, uint8 [H,W,3], that is shown from ``seconds`` on; times must rise."""
        frame = av.VideoFrame.from_ndarray(np.ascontiguousarray(picture), format="rgb24").reformat(
            width=self._out.width,
            height=self._out.height,
            format="yuv420p",
            dst_colorspace=_BT601,
            dst_color_range=_LIMITED,
        )
        frame.pts, frame.time_base, frame.duration = (
            round(seconds * TICKS),
            Fraction(1, TICKS),
            self._duration,
        )
        self._target.mux(self._out.encode(frame))
        self.frames += 1

    def __enter__(self) -> VideoWriter:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        try:
            if kind is None:
                self._target.mux(self._out.encode())
        finally:
            self._target.close()
