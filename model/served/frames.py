"""The frames of a clip as parts of a message: encoded once, byte-identical in every request."""

from __future__ import annotations

import base64
import io
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

from PIL import Image

if TYPE_CHECKING:
    import numpy as np

    from videopath.media.clip import Clip

Part = dict[str, Any]
ImageFormat = Literal["jpeg", "png"]

_JPEG_QUALITY = 90


@dataclass(frozen=True)
class EncodedFrames:
    """The frames of a clip, ready to be sent."""

    seconds: tuple[float, ...]
    pictures: tuple[str, ...]
    """Base64."""
    image_format: ImageFormat
    still: bool = False
    """Whether the clip is a single image, which has no second."""

    def __len__(self) -> int:
        return len(self.pictures)

    def take(self, positions: Sequence[int]) -> EncodedFrames:
        """Return the frames at these positions."""
        seconds = tuple(self.seconds[position] for position in positions)
        pictures = tuple(self.pictures[position] for position in positions)
        return EncodedFrames(seconds, pictures, self.image_format, self.still)

    def evenly_spaced(self, count: int) -> list[int]:
        """Return the positions of at most ``count`` frames, evenly spread from the first to the last."""
        if count >= len(self):
            return list(range(len(self)))
        last = len(self) - 1
        return [round(number * last / max(count - 1, 1)) for number in range(count)]

    def evenly(self, count: int) -> EncodedFrames:
        """Return at most ``count`` frames, evenly spread from the first to the last."""
        return self.take(self.evenly_spaced(count))

    def labels(self) -> list[str]:
        """Return the words before each frame: ``Frame at 3.2 s:``."""
        if self.still:
            return ["Image:"]
        return [f"Frame at {seconds_text(second)} s:" for second in self.seconds]

    def as_pictures(self) -> list[Part]:
        """Return each frame as a picture after its second in words."""
        kind = f"data:image/{self.image_format};base64,"
        return [
            part
            for label, picture in zip(self.labels(), self.pictures, strict=True)
            for part in (
                {"type": "text", "text": label},
                {"type": "image_url", "image_url": {"url": kind + picture}},
            )
        ]

    def as_video(self) -> list[Part]:
        """Return all frames as one video, a sequence of JPEG pictures as vLLM takes it, after their seconds in words."""
        times = ", ".join(seconds_text(second) for second in self.seconds)
        url = "data:video/jpeg;base64," + ",".join(self.pictures)
        return [
            {"type": "text", "text": f"Video of {len(self)} frames, at {times} s:"},
            {"type": "video_url", "video_url": {"url": url}},
        ]

    def video_settings(self) -> dict[str, Any]:
        """Return how vLLM reads the video: every frame, at the clip's own pace."""
        span = self.seconds[-1] - self.seconds[0]
        pace = (len(self) - 1) / span if len(self) > 1 and span > 0 else 1.0
        return {"media_io_kwargs": {"video": {"num_frames": -1, "fps": round(pace, 4)}}}


def encode_frames(
    clip: Clip,
    *,
    longest_side: int,
    image_format: ImageFormat,
    on_frames: Callable[[int, int], None] | None = None,
) -> EncodedFrames:
    """Encode the frames of a clip.

    Args:
        clip: The clip.
        longest_side: Longest side in pixels; larger frames are scaled down.
        image_format: "jpeg" with quality 90 and full colour resolution, or "png" without loss.
        on_frames: Called with (frames encoded, all frames).
    """
    pictures: list[str] = []
    for number, frame in enumerate(clip.frames, start=1):
        repeats = number > 1 and clip.indices[number - 1] == clip.indices[number - 2]
        pictures.append(pictures[-1] if repeats else picture_text(frame, longest_side, image_format))
        if on_frames is not None:
            on_frames(number, len(clip))
    seconds = tuple(float(second) for second in clip.seconds)
    return EncodedFrames(seconds, tuple(pictures), image_format, clip.kind == "image")


def picture_text(frame: np.ndarray, longest_side: int, image_format: ImageFormat) -> str:
    """Return a frame, uint8 [H, W, 3] RGB, as an encoded picture in base64; equal frames give equal texts."""
    picture = Image.fromarray(frame)
    scale = longest_side / max(picture.size)
    if scale < 1:
        width, height = (max(1, round(side * scale)) for side in picture.size)
        picture = picture.resize((width, height), Image.Resampling.LANCZOS)
    buffer = io.BytesIO()
    if image_format == "jpeg":
        picture.save(buffer, "JPEG", quality=_JPEG_QUALITY, subsampling=0)
    else:
        picture.save(buffer, "PNG", compress_level=6)
    return base64.b64encode(buffer.getvalue()).decode("ascii")


def seconds_text(second: float) -> str:
    """Return a time with at most two decimals, as short as possible."""
    return f"{second:.2f}".rstrip("0").rstrip(".")
