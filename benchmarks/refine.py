"""What refining a recording costs and leaves: python benchmarks/refine.py --lectures DIR [--fields 2]

DIR holds recordings (``*.mp4``; or it is one of them) with their true parts (``*.truth.json``: seconds, ``tissue_box``, ``burned_in_text``).
Three things are measured:

- speed: seconds of video per second of work and per second of processor time, for each stage (shots, field, cursor, reading
  frames, writing, encoding) on ``--threads`` threads; 1 is real time, on an idle machine. Processor time is what counts on a
  busy one: two cores give two seconds of it in a second;
- the field: intersection over union with the true box, on the recordings and on viewers of many kinds that are drawn;
- writing: the share of the searched frames with writing in which it was found, and in how many of them rapidocr and
  tesseract read any of its words at its place, in the recording and in the clip (three quarters of the letters agree). Numbers in the text are searched in the bytes of all
  files that were written.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from difflib import SequenceMatcher
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from videopath.core.files import sha256_file
from videopath.dataset.options import ClipOptions
from videopath.dataset.records import Clips, Recording, RefinedClip, Segment, Segments
from videopath.dataset.set_folder import SetFolder
from videopath.media.video.source import VideoSource
from videopath.media.writing.records import Writing

_LIKE = 0.75  # share of the letters of a word that agree


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--lectures", type=Path, required=True)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--fields", type=int, default=1, help="drawn viewers of each kind; 0: none")
    parser.add_argument("--fps", type=float, default=2.0)
    arguments = parser.parse_args()
    os.environ.setdefault("VIDEOPATH_READER_THREADS", str(arguments.threads))
    import cv2

    cv2.setNumThreads(arguments.threads)
    one = arguments.lectures.is_file()
    for video in [arguments.lectures] if one else sorted(arguments.lectures.glob("*.mp4")):
        truth = video.with_suffix(".truth.json")
        if truth.exists():
            print(video.name, flush=True)
            for line in _lecture(video, truth, arguments.fps):
                print(f"  {line}", flush=True)
    if arguments.fields:
        print("\n".join(_fields(arguments.fields)), flush=True)


def _lecture(video: Path, truth_file: Path, fps: float) -> Iterator[str]:
    truth = json.loads(truth_file.read_text())
    source = VideoSource(video)
    stages: dict[str, _Work] = {"shots (of the whole recording)": _timed(lambda: _cut(video))}
    with tempfile.TemporaryDirectory() as folder, _measured(stages):
        out = SetFolder(Path(folder))
        recording = Recording(
            id=sha256_file(video)[:16], path=video.name, sha256=sha256_file(video), seconds=source.duration,
            width=source.width, height=source.height, fps=source.fps,
        )  # fmt: skip
        options = ClipOptions(fps=fps, cursor="remove")
        made: list[Clips] = []
        stages["all of refining"] = _timed(
            lambda: made.append(_refined(video, recording, _segments(truth), options, out))
        )
        (clips,) = made
        slides = [part for part in truth["segments"] if part["kind"] == "slide"]
        seconds = sum(part["seconds"][1] - part["seconds"][0] for part in slides)
        yield f"{source.width}×{source.height}, {source.duration:.1f} s, {seconds:.1f} s of slide views"
        for name, work in stages.items():
            length = source.duration if name.startswith("shots") else seconds
            yield f"{name}: {work.of(length)}"
        cases = [clip for clip in clips.clips if clip.product == "case video"]
        for clip, part in zip(cases, slides, strict=True):
            yield from _case(clip, part, out, source)
        numbers = [
            word
            for part in slides
            for text in part.get("burned_in_text", ())
            for word in text["text"].split()
            if word.isdigit()
        ]
        holding = [
            file.name
            for file in out.path.rglob("*")
            if file.is_file() and any(n.encode() in file.read_bytes() for n in numbers)
        ]
        yield f"files whose bytes hold a number of the text ({', '.join(numbers) or 'none'}): {len(holding)}"
        sheet = np.asarray(Image.open(out.path / clips.contact_sheet).convert("RGB"))
        words = [
            word
            for part in slides
            for text in part.get("burned_in_text", ())
            for word in text["text"].split()
        ]
        title = {
            word.lower()
            for part in truth["segments"]
            for text in part.get("text", ())
            for word in text.split()
        }
        left = [word for word in _read(sheet) if _matches(word, words) and word.lower() not in title]
        yield f"words of the burned-in text on the contact sheet: {len(left)}"


def _case(clip: RefinedClip, part: dict[str, Any], out: SetFolder, source: VideoSource) -> Iterator[str]:
    size = source.width, source.height
    box = [share * side for share, side in zip(clip.crop, size * 2, strict=True)]
    yield f"case {clip.case}: field IoU {_overlap(box, part['tissue_box']):.3f}"
    frames = [frame for _, frame in VideoSource(out.path / clip.file).film()]
    times = [clip.start + number / clip.fps for number in range(len(frames))]
    left, top, right, bottom = (round(value) for value in box)
    raw = [
        clip_frame
        for moment in times
        for clip_frame in source.read(
            [int(np.searchsorted(source.seconds, moment + 1e-4, side="right")) - 1],
            lambda frame: np.ascontiguousarray(frame[top:bottom, left:right]),
        )[0]
    ]
    for text in part.get("burned_in_text", ()):
        first, last = text["seconds"]
        has = [number for number, moment in enumerate(times) if first <= moment < last]
        x, y = (at / side for at, side in zip(text["at"], size, strict=True))
        over = [
            one
            for one in clip.erased
            if one.box[0] <= x + 0.01 <= one.box[2] and one.box[1] <= y + 0.02 <= one.box[3]
        ]
        seen = {round(moment, 3) for one in over for moment in one.seconds}
        found = sum(round(times[number], 3) in seen for number in has)
        words = [word for word in text["text"].split() if len(word) > 2]
        places = [_place(clip, number, over, times) for number in has]
        yield (
            f"case {clip.case}: writing found in {found} of {len(has)} frames; "
            f"at its place rapidocr reads it in {_count(_read, frames, has, places, words)} of them afterwards, "
            f"tesseract in {_count(_tesseract, frames, has, places, words)}"
            f" (before: {_count(_read, raw, has, places, words)} and {_count(_tesseract, raw, has, places, words)})"
        )


def _place(
    clip: RefinedClip, number: int, over: Sequence[Writing], times: Sequence[float]
) -> tuple[slice, slice]:
    """Return where the writing was in a frame of the clip, with as much around it."""
    boxes = [
        one.box for one in over if round(times[number], 3) in {round(moment, 3) for moment in one.seconds}
    ]
    if not boxes:
        return np.s_[:, :]
    left, top, right, bottom = (
        min(b[0] for b in boxes),
        min(b[1] for b in boxes),
        max(b[2] for b in boxes),
        max(b[3] for b in boxes),
    )
    high = bottom - top
    x = [
        (share - clip.crop[0]) / (clip.crop[2] - clip.crop[0]) * clip.width
        for share in (left - high, right + high)
    ]
    y = [
        (share - clip.crop[1]) / (clip.crop[3] - clip.crop[1]) * clip.height
        for share in (top - high, bottom + high)
    ]
    return slice(max(0, round(y[0])), max(1, round(y[1]))), slice(max(0, round(x[0])), max(1, round(x[1])))


def _count(
    read: Callable[[np.ndarray], list[str]],
    frames: Sequence[np.ndarray],
    numbers: Sequence[int],
    places: Sequence[tuple[slice, slice]],
    words: Sequence[str],
) -> int:
    """Return in how many frames a reader reads any of the words."""
    return sum(
        any(_matches(word, words) for word in read(np.ascontiguousarray(frames[number][place])))
        for number, place in zip(numbers, places, strict=True)
    )


def _fields(rounds: int) -> Iterator[str]:
    """Measure the field of drawn viewers, compressed as recordings are."""
    sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "tests"))
    from fixtures.fields import SIZES, STYLES, field_film

    from videopath.dataset.clips.field_box import find_field, sharpened, small

    values = []
    for number in range(rounds * len(STYLES)):
        style, size = STYLES[number % len(STYLES)], SIZES[number % len(SIZES)]
        film = field_film(style, 1000 + number, size)
        with tempfile.TemporaryDirectory() as folder:
            path = film.write(Path(folder) / "film.mp4", crf=(20, 26, 32)[number % 3])
            frames = [frame for _, frame in VideoSource(path).film()]
        crop = sharpened(find_field([small(frame) for frame in frames]).crop, frames[::6])
        values.append((_overlap([s * side for s, side in zip(crop, size * 2, strict=True)], film.box), style))
    low = [f"{style} {value:.2f}" for value, style in values if value < 0.9]
    yield f"drawn viewers: IoU ≥ 0.9 in {sum(value >= 0.9 for value, _ in values)} of {len(values)}, median {np.median([v for v, _ in values]):.3f}"
    if low:
        yield f"  below: {', '.join(low)}"


@contextmanager
def _measured(stages: dict[str, _Work]) -> Iterator[None]:
    """Count the time of the stages inside ``refine`` by wrapping them."""
    from videopath.dataset.clips import refining

    def counted(name: str, owner: Any, attribute: str) -> Callable[[], None]:
        original = getattr(owner, attribute)
        work = stages[name] = _Work()

        def wrapper(*arguments: Any, **named: Any) -> Any:
            return work.add(lambda: original(*arguments, **named))

        setattr(owner, attribute, wrapper)
        return lambda: setattr(owner, attribute, original)

    work = refining._CaseWork
    undo = [
        counted("field", work, "_find_field"),
        counted("cursor", work, "_cursors"),
        counted("reading frames, cursor and thumbnails filled", work, "_planned"),
        counted("finding writing", refining, "masked_film"),
        counted("encoding", refining.VideoWriter, "add"),
    ]
    try:
        yield
    finally:
        for one in undo:
            one()


def _segments(truth: dict[str, Any]) -> Segments:
    parts, case, title = [], 0, ""
    for part in truth["segments"]:
        start, end = part["seconds"]
        if part["kind"] == "slide":
            case += 1
            parts.append(Segment(start=start, end=end, kind="slide", case=case, title=title))
        else:
            title = " ".join(part.get("text", ()))
            parts.append(Segment(start=start, end=end, kind=part["kind"], title=title))
    return Segments(segments=tuple(parts))


def _refined(
    video: Path, recording: Recording, segments: Segments, options: ClipOptions, out: SetFolder
) -> Clips:
    from videopath.dataset.clips.refining import refine

    return refine(video, recording, segments, options, out, lambda share: None)


def _cut(video: Path) -> None:
    from videopath.dataset.options import SegmentOptions
    from videopath.dataset.segments.cutting import cut

    cut(video, SegmentOptions(), lambda share: None)


@dataclass
class _Work:
    """Time that a stage took."""

    seconds: float = 0.0
    processor: float = 0.0

    def of(self, video: float) -> str:
        """Say how fast this was for a video of so many seconds."""
        return (
            f"{self.seconds:.1f} s, {self.processor:.1f} s of processor time: "
            f"{video / max(self.seconds, 1e-3):.2f} s of video per second, {video / max(self.processor, 1e-3):.2f} per second of one core"
        )

    def add(self, work: Callable[[], Any]) -> Any:
        """Do something and count its time."""
        start, processor = time.perf_counter(), time.process_time()
        try:
            return work()
        finally:
            self.seconds += time.perf_counter() - start
            self.processor += time.process_time() - processor


def _timed(work: Callable[[], object]) -> _Work:
    timed = _Work()
    timed.add(work)
    return timed


def _read(frame: np.ndarray) -> list[str]:
    from videopath.media.writing.reader import read_lines

    return [word for line in read_lines(frame) for word in line.text.split()]


def _tesseract(frame: np.ndarray) -> list[str]:
    if shutil.which("tesseract") is None:
        raise SystemExit("Install tesseract: apt-get install tesseract-ocr.")
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "frame.png"
        Image.fromarray(frame).save(path)
        command = ["tesseract", str(path), "-", "--psm", "6"]
        return subprocess.run(command, capture_output=True, text=True, check=True).stdout.split()


def _matches(word: str, words: Sequence[str]) -> bool:
    return len(word) > 2 and any(
        SequenceMatcher(None, word.lower(), other.lower()).ratio() >= _LIKE
        for other in words
        if len(other) > 2
    )


def _overlap(a: Sequence[float], b: Sequence[float]) -> float:
    shared = max(0.0, min(a[2], b[2]) - max(a[0], b[0])) * max(0.0, min(a[3], b[3]) - max(a[1], b[1]))
    areas = [(box[2] - box[0]) * (box[3] - box[1]) for box in (a, b)]
    return shared / (sum(areas) - shared)


if __name__ == "__main__":
    main()
