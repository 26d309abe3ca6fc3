"""A recording is cut into segments that show one kind of screen, and its slide views are numbered by case."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from videopath.core.choices import ScreenKind
from videopath.core.errors import InputError
from videopath.dataset.options import SegmentOptions
from videopath.dataset.records import Segment, Segments
from videopath.media.video.source import VideoSource, video_source

LEAST_SAMPLES = 4
"""A shorter recording is not cut."""

_SAME = 1e-4  # seconds
_MOST_FRAMES = 40  # between two samples
_BRIEF = 0.6  # seconds; a shorter shot is no screen of its own
_SAMPLING_SHARE = 0.9  # of the work, for the progress


@dataclass(frozen=True)
class _Piece:
    start: float
    end: float
    kind: ScreenKind
    hard: bool
    """Whether it begins with a cut."""
    words: str | None = None
    """What was read on it; None: it was not read."""


def cut(video: Path, options: SegmentOptions, on_progress: Callable[[float], None]) -> Segments:
    """Cut a recording into segments.

    Args:
        video: The recording.
        options: How it is cut; corrected cuts are not read here.
        on_progress: Called with the share of the work that is done.

    Returns:
        The segments in order, without gaps, from 0 to the end of the recording.

    Raises:
        InputError: The file is damaged, has no video, or is too short.
    """
    from videopath.dataset.segments.samples import sample
    from videopath.dataset.segments.screens import ShotLook, kinds_of
    from videopath.dataset.segments.shots import shots_of

    source = video_source(video)
    samples = sample(source, lambda share: on_progress(_SAMPLING_SHARE * share))
    if len(samples) < LEAST_SAMPLES:
        raise InputError(f"{video.name} is too short to be cut: it lasts {source.duration:.1f} s.")
    shots = shots_of(samples)
    looks = [ShotLook(samples, shot, lambda seconds: _frame_at(source, seconds)) for shot in shots]
    kinds = kinds_of(looks)
    ends = [*(shot.start for shot in shots[1:]), max(source.duration, float(samples.seconds[-1]))]
    pieces = [
        _Piece(look.shot.start, end, kind, look.shot.hard, look.words)
        for look, end, kind in zip(looks, ends, kinds, strict=True)
    ]
    cuts = {shot.start: shot.first for shot in shots if shot.first and shot.hard}
    joined = [
        replace(piece, start=_exact(source, samples.seconds, cuts[piece.start]))
        if piece.start in cuts
        else piece
        for piece in _joined(pieces, options.shortest)
    ]
    joined = [
        replace(piece, end=after.start) for piece, after in zip(joined, joined[1:], strict=False)
    ] + joined[-1:]
    segments = _numbered(joined, source)
    on_progress(1.0)
    return Segments(segments=tuple(segments))


def _frame_at(source: VideoSource, seconds: float) -> np.ndarray:
    """Return the frame that is shown at a time, uint8 [H,W,3]."""
    number = max(0, int(np.searchsorted(source.seconds, seconds + 1e-4, side="right")) - 1)
    frames, _ = source.read([number], lambda frame: frame)
    return frames[0]


def _exact(source: VideoSource, sampled: np.ndarray, number: int) -> float:
    """Return the time of the frame that begins a shot; samples are further apart than frames.

    Args:
        source: The video.
        sampled: Times of the samples.
        number: The first sample of the shot.
    """
    from videopath.dataset.segments.samples import shrink

    low, high = sampled[number - 1] - _SAME, sampled[number] + _SAME
    frames = np.flatnonzero((source.seconds > low) & (source.seconds <= high)).tolist()
    if not 2 < len(frames) <= _MOST_FRAMES:
        return float(sampled[number])
    pictures, _ = source.read(frames, lambda frame: shrink(frame).astype(np.int16))
    steps = [
        float(np.abs(after - before).mean()) for before, after in zip(pictures, pictures[1:], strict=False)
    ]
    return float(source.seconds[frames[1 + int(np.argmax(steps))]])


def _joined(pieces: Sequence[_Piece], shortest: float) -> list[_Piece]:
    """Join neighbours of one kind, and give brief pieces to their neighbours. Title cards stay apart at cuts."""
    joined = _merged(pieces)
    for least in (_BRIEF, shortest):
        while len(joined) > 1:
            number = min(range(len(joined)), key=lambda i: joined[i].end - joined[i].start)
            brief = joined[number]
            if brief.end - brief.start >= (least if brief.kind == "slide" else _BRIEF):
                break
            joined = _merged(_given_away(joined, number))
    return joined


def _given_away(pieces: list[_Piece], number: int) -> list[_Piece]:
    """Return the pieces without one of them, whose time its neighbours share."""
    brief = pieces[number]
    before, after = pieces[:number], pieces[number + 1 :]
    if not before:
        return [replace(after[0], start=brief.start), *after[1:]]
    if not after:
        return [*before[:-1], replace(before[-1], end=brief.end)]
    middle = (brief.start + brief.end) / 2
    return [
        *before[:-1],
        replace(before[-1], end=middle),
        replace(after[0], start=middle, hard=brief.hard and after[0].hard),
        *after[1:],
    ]


def _merged(pieces: Sequence[_Piece]) -> list[_Piece]:
    merged: list[_Piece] = []
    for piece in pieces:
        last = merged[-1] if merged else None
        if last and last.kind == piece.kind and not (piece.kind == "title card" and piece.hard):
            merged[-1] = replace(last, end=piece.end, words=piece.words or last.words)
        else:
            merged.append(piece)
    return merged


def _numbered(pieces: Sequence[_Piece], source: VideoSource) -> Iterator[Segment]:
    """Yield the segments; a title card before a slide view begins a new case."""
    case, title, new = 0, "", True
    for piece in pieces:
        words = ""
        if piece.kind == "title card":
            words = _words(source, piece) if piece.words is None else piece.words
            title, new = words or title, True
        elif piece.kind == "slide":
            case, new = case + new, False
            words = title
        yield Segment(
            start=round(piece.start, 3),
            end=round(piece.end, 3),
            kind=piece.kind,
            case=case if piece.kind == "slide" else None,
            title=words,
        )


def _words(source: VideoSource, piece: _Piece) -> str:
    """Read a title card near its end, where all of its lines are shown; a person's data is masked."""
    from videopath.dataset.segments.screens import smaller, words_of
    from videopath.media.writing.reader import read_lines

    frame = _frame_at(source, piece.end - min(0.7, 0.3 * (piece.end - piece.start)))
    return words_of(read_lines(smaller(frame)))
