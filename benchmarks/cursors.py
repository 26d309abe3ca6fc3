"""How well cursors are found: python benchmarks/cursors.py --slides DIR [--films 20]

DIR holds clips of slides without a cursor (``*.mp4``). On each, one cursor is drawn: an arrow, a hand, a cross, an I-beam or
a laser dot, black or white, 12 to 48 pixels high; in every second film it rests half of the time. The film is compressed and
read again. A cursor counts as found in a frame if the middle of the box lies in the true one. The same clips without a
cursor must give none.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

import cv2
import numpy as np

from videopath.dataset.clips.cursor import Template, cursor_boxes, find_cursors
from videopath.media.video.source import VideoSource

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "tests"))

from fixtures.fields import Field, arrow, film_view  # noqa: E402

KINDS = ("arrow", "hand", "cross", "I-beam", "laser dot")
LOOKS = ((12, 255), (20, 0), (32, 255), (48, 0))
SIZE = (960, 640)
_FPS, _SECONDS = 8, 12


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--slides", type=Path, required=True)
    parser.add_argument("--films", type=int, default=20)
    arguments = parser.parse_args()
    slides = sorted(arguments.slides.glob("*.mp4"))
    found = frames = wrong = alarms = 0
    for number in range(arguments.films):
        kind, (height, ink) = KINDS[number // len(LOOKS) % len(KINDS)], LOOKS[number % len(LOOKS)]
        slide = slides[number * 3 % len(slides)]
        plain = _slide(slide)
        alarms += bool(_learned(plain))
        drawn, places = _drawn(plain, kind, height, ink, number)
        right, off, looked_at = _compared(_compressed(drawn), places)
        found, wrong, frames = found + right, wrong + off, frames + looked_at
        print(
            f"{kind}, {height} pixels, {'white' if ink else 'black'}: {right} of {looked_at}, {off} wrong",
            flush=True,
        )
    print(
        f"found in {found} of {frames} frames, {wrong} wrong; clips without a cursor that give one: {alarms} of {arguments.films}"
    )


def _slide(path: Path) -> list[np.ndarray]:
    view = film_view([frame for _, frame in VideoSource(path).film()])
    return [view(number / _FPS, SIZE) for number in range(_SECONDS * _FPS)]


def _drawn(
    plain: Sequence[np.ndarray], kind: str, height: int, ink: int, seed: int
) -> tuple[list[np.ndarray], list[tuple[int, int, int, int]]]:
    rng = np.random.default_rng(seed)
    cursor = _cursor(kind, height, ink)
    rows, columns = cursor.shape[:2]
    phase, speed = rng.uniform(0, 6, 2), rng.uniform(0.5, 1.3, 2)
    frames, places = [], []
    for number, frame in enumerate(plain):
        moment = number / _FPS
        if seed % 2:
            moment = moment if moment % 4 < 2 else moment - moment % 4 + 2
        x = int(np.clip(480 + 400 * np.sin(speed[0] * moment + phase[0]), 0, SIZE[0] - columns))
        y = int(np.clip(310 + 260 * np.cos(speed[1] * moment + phase[1]), 0, SIZE[1] - rows))
        shown = frame.copy()
        part = shown[y : y + rows, x : x + columns]
        part[:] = np.where(cursor[..., 3:] > 0, cursor[..., :3], part)
        frames.append(shown)
        places.append((x, y, x + columns, y + rows))
    return frames, places


def _compressed(frames: list[np.ndarray]) -> list[np.ndarray]:
    with tempfile.TemporaryDirectory() as folder:
        path = Field(frames, _FPS, (0, 0, *SIZE)).write(Path(folder) / "film.mp4")
        return [frame for _, frame in VideoSource(path).film()]


def _learned(frames: Sequence[np.ndarray]) -> list[Template]:
    return find_cursors([(frames[i - 1], frames[i], frames[i + 1]) for i in range(1, len(frames) - 1, 3)])


def _compared(
    frames: Sequence[np.ndarray], places: Sequence[tuple[int, int, int, int]]
) -> tuple[int, int, int]:
    """Return in how many frames the cursor was found, how many other boxes there were, and how many frames."""
    templates = _learned(frames)
    right = off = 0
    looked_at = range(0, len(frames), 4)
    for number in looked_at:
        left, top, end, bottom = places[number]
        middles = [((a + c) / 2, (b + d) / 2) for (a, b, c, d), _ in cursor_boxes(frames[number], templates)]
        inside = [left <= x <= end and top <= y <= bottom for x, y in middles]
        right, off = right + any(inside), off + inside.count(False)
    return right, off, len(looked_at)


def _cursor(kind: str, height: int, ink: int) -> np.ndarray:
    """Draw a cursor with its outline, RGB and opacity, uint8 [h,w,4]."""
    side, line = height + 4, 255 - ink
    canvas = np.zeros((side, side, 4), np.uint8)
    middle = side // 2
    if kind == "arrow":
        points = [np.round((arrow(height) + 2) * 16).astype(np.int32)]
        cv2.fillPoly(canvas, points, (ink, ink, ink, 255), cv2.LINE_8, 4)
        cv2.polylines(canvas, points, True, (line, line, line, 255), 1, cv2.LINE_8, 4)
    elif kind == "laser dot":
        cv2.circle(canvas, (middle, middle), height // 2 - 1, (255, 30, 30, 255), -1)
        cv2.circle(canvas, (middle, middle), max(1, height // 4), (255, 120, 120, 255), -1)
    for wider, level in ((1, line), (0, ink)) if kind in ("hand", "cross", "I-beam") else ():
        colour = (level, level, level, 255)
        if kind == "hand":
            cv2.rectangle(
                canvas, (middle - 2 - wider, 3 - wider), (middle + 1 + wider, middle + wider), colour, -1
            )
            axes = side // 3 - 1 + wider, side // 4 - 1 + wider
            cv2.ellipse(canvas, (middle, int(side * 0.68)), axes, 0, 0, 360, colour, -1)
        elif kind == "cross":
            half = max(1, height // 24) + wider
            cv2.rectangle(canvas, (middle - half, 2), (middle + half - 1, side - 3), colour, -1)
            cv2.rectangle(canvas, (2, middle - half), (side - 3, middle + half - 1), colour, -1)
        else:
            reach = height // 4 + wider
            cv2.rectangle(canvas, (middle - wider, 2), (middle + 1 + wider, side - 3), colour, -1)
            for y in (2, side - 4):
                cv2.rectangle(
                    canvas, (middle - reach, y - wider), (middle + reach + 1, y + 1 + wider), colour, -1
                )
    return canvas


if __name__ == "__main__":
    main()
