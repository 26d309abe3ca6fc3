"""One picture per recording that shows what became of it: where the field was found, what was erased, and the clips.

Of the recording itself only what the clips show is drawn sharp; around the field it is blurred beyond recognition, so that
no name in a viewer's title bar is kept.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from importlib.resources import files
from io import BytesIO
from pathlib import Path

import cv2
import numpy as np
from PIL import Image, ImageDraw, ImageFont

from videopath.core.files import write_bytes
from videopath.core.notice import RESEARCH_USE
from videopath.core.privacy.personal import screened_text
from videopath.dataset.records import Recording, RefinedClip
from videopath.media.video.source import video_source

_CELL = (300, 200)  # pixels of a frame of a clip
_OVERVIEW = (400, 300)  # pixels of the recording's frame
_SHOWN = 5  # frames of a case video
_GAP, _TITLE, _LINE = 10, 22, 18
_PARTS = {"thumbnail", "cursor"}  # what is erased besides writing
_BLURRED = 14  # points along the longer side that are left of what lies around the field
_FIELD_INK, _ERASED_INK, _TEXT_INK, _PAPER = (0, 130, 60), (210, 40, 30), (25, 25, 25), (255, 255, 255)


@dataclass(frozen=True)
class SheetRow:
    """One case."""

    frame: np.ndarray
    """A whole frame of the recording, uint8 [H,W,3], as it was recorded."""
    seconds: float
    """Its time."""
    case_video: RefinedClip
    file: Path
    """The case video."""
    key_clips: Sequence[RefinedClip]


def write_contact_sheet(path: Path, recording: Recording, rows: Sequence[SheetRow]) -> None:
    """Draw the contact sheet of a recording as JPEG."""
    drawn = [_row(row) for row in rows]
    width = max(row.width for row in drawn) + 2 * _GAP
    head = _TITLE + 2 * _LINE + 2 * _GAP
    sheet = Image.new("RGB", (width, head + sum(row.height + _GAP for row in drawn)), _PAPER)
    draw = ImageDraw.Draw(sheet)
    name = screened_text(recording.path).text
    draw.text(
        (_GAP, _GAP),
        _fitting(draw, f"{name}  ({recording.id})", _font(16, True), width - 2 * _GAP),
        _TEXT_INK,
        _font(16, True),
    )
    about = f"{recording.seconds:.1f} s, {recording.width}×{recording.height}, {recording.fps:g} frames per second"
    draw.text((_GAP, _GAP + _TITLE), about, _TEXT_INK, _font(12))
    draw.text((_GAP, _GAP + _TITLE + _LINE), RESEARCH_USE, _ERASED_INK, _font(11))
    top = head
    for row in drawn:
        sheet.paste(row, (_GAP, top))
        top += row.height + _GAP
    buffer = BytesIO()
    sheet.save(buffer, "JPEG", quality=85)
    write_bytes(path, buffer.getvalue())


def _row(row: SheetRow) -> Image.Image:
    clip = row.case_video
    cells = [_overview(row), *_frames(row)]
    width = sum(cell.width + _GAP for cell in cells)
    tallest = max(cell.height for cell in cells)
    picture = Image.new("RGB", (width, _TITLE + tallest + 2 * _LINE), _PAPER)
    draw = ImageDraw.Draw(picture)
    title = screened_text(clip.title).text
    heading = f"{clip.case}. {title}" if title else f"Case {clip.case}"
    heading += f"   {clip.start:.1f}–{clip.end:.1f} s, {clip.frames} frames of {clip.width}×{clip.height}, field by {clip.crop_by}"
    draw.text((0, 0), _fitting(draw, heading, _font(13, True), width), _TEXT_INK, _font(13, True))
    left = 0
    for cell in cells:
        picture.paste(cell, (left, _TITLE))
        left += cell.width + _GAP
    keys = ", ".join(f"{key.start:.1f}–{key.end:.1f} s" for key in row.key_clips) or "none"
    reasons = sorted(
        {f"{one.kind}: {one.reason}" if one.reason not in _PARTS else one.reason for one in clip.erased}
    )
    said = f"Keyframe clips: {keys}.  Erased ({clip.writing}): {len(clip.erased)}"
    said += f" ({'; '.join(reasons)})." if reasons else "."
    draw.text(
        (0, _TITLE + tallest + _LINE // 2), _fitting(draw, said, _font(12), width), _TEXT_INK, _font(12)
    )
    return picture


def _overview(row: SheetRow) -> Image.Image:
    """Draw the frame of the recording: blurred around the field, as in the clip within it, with outlines."""
    height, width = row.frame.shape[:2]
    scale = _BLURRED / max(height, width)
    few = cv2.resize(
        row.frame, (max(2, round(width * scale)), max(2, round(height * scale))), interpolation=cv2.INTER_AREA
    )
    around = cv2.resize(few, (width, height), interpolation=cv2.INTER_LINEAR)
    left, top, right, bottom = _pixels(row.case_video.crop, width, height)
    nearest = _nearest(row)
    around[top:bottom, left:right] = cv2.resize(
        nearest, (right - left, bottom - top), interpolation=cv2.INTER_AREA
    )
    picture = Image.fromarray(around)
    picture.thumbnail(_OVERVIEW)
    draw = ImageDraw.Draw(picture)
    draw.rectangle(_inset(_pixels(row.case_video.crop, *picture.size)), outline=_FIELD_INK, width=3)
    for writing in row.case_video.erased:
        draw.rectangle(_inset(_pixels(writing.box, *picture.size)), outline=_ERASED_INK, width=2)
    return _stamped(picture, f"recording, {row.seconds:.1f} s")


def _nearest(row: SheetRow) -> np.ndarray:
    source = video_source(row.file)
    number = round((row.seconds - row.case_video.start) * row.case_video.fps)
    # parts of a case that are left out move the frames of the clip forward
    number = min(number, len(source.seconds) // 2) if number >= len(source.seconds) else max(0, number)
    (frame,), _ = source.read([number], np.ascontiguousarray)
    return frame


def _frames(row: SheetRow) -> list[Image.Image]:
    source = video_source(row.file)
    count = len(source.seconds)
    numbers = sorted(set(np.linspace(0, count - 1, min(count, _SHOWN)).round().astype(int).tolist()))
    frames, _ = source.read(numbers, np.ascontiguousarray)
    cells = []
    for number, frame in zip(numbers, frames, strict=True):
        picture = Image.fromarray(frame)
        picture.thumbnail(_CELL)
        cells.append(_stamped(picture, f"clip, {source.seconds[number]:.1f} s"))
    return cells


def _stamped(picture: Image.Image, text: str) -> Image.Image:
    """Return a picture with a line of text below it."""
    stamped = Image.new("RGB", (picture.width, picture.height + _LINE), _PAPER)
    stamped.paste(picture)
    ImageDraw.Draw(stamped).text((0, picture.height + 2), text, _TEXT_INK, _font(12))
    return stamped


def _pixels(box: Sequence[float], width: int, height: int) -> tuple[int, int, int, int]:
    left, top, right, bottom = box
    return round(left * width), round(top * height), round(right * width), round(bottom * height)


def _inset(box: tuple[int, int, int, int]) -> tuple[int, int, int, int]:
    left, top, right, bottom = box
    return left, top, max(left, right - 1), max(top, bottom - 1)


def _fitting(draw: ImageDraw.ImageDraw, text: str, font: ImageFont.FreeTypeFont, width: int) -> str:
    """Cut a text so that it is at most ``width`` pixels wide."""
    if draw.textlength(text, font) <= width:
        return text
    while text and draw.textlength(text + "…", font) > width:
        text = text[:-1]
    return text + "…"


def _font(size: int, bold: bool = False) -> ImageFont.FreeTypeFont:
    name = "DejaVuSans-Bold.ttf" if bold else "DejaVuSans.ttf"
    data = files("videopath.core").joinpath("fonts", name).read_bytes()
    return ImageFont.truetype(BytesIO(data), size)
