"""Which writing looks like a person's data. When in doubt, it does."""

from __future__ import annotations

import re
from collections.abc import Iterator

from videopath.core.privacy.personal import personal_reasons
from videopath.media.writing.boxes import one_block
from videopath.media.writing.tracks import Track

_DOUBTS = {
    "a number of five or more digits": re.compile(r"\d{5}"),
    "a date": re.compile(
        r"(?<!\d)(?:[0-3]?\d\s?[./-]\s?[01]?\d\s?[./-]\s?(?:19|20)\d\d|(?:19|20)\d\d\s?[./-]\s?[01]?\d\s?[./-]\s?[0-3]?\d)(?!\d)"
    ),
    "a name": re.compile(r"^[A-Z]{2,}\s?,\s?[A-Z][A-Za-z]+(?:\s[A-Z]\.?)?$"),
}
"""What stands in a picture and may be a person's data even without a word that says so."""


def judge(tracks: list[Track]) -> None:
    """Set the kind and the reason of tracks; all lines of a block with personal data are personal."""
    for track in tracks:
        if track.kind == "code":
            track.reason = "a bar code or QR code"
            continue
        _set(track, [reason for text in track.texts.values() for reason in _reasons(text)])
    for block in _blocks(tracks):
        _judge_block(block)
    _spread(tracks)


def _reasons(text: str) -> list[str]:
    return personal_reasons(text) or [reason for reason, sign in _DOUBTS.items() if sign.search(text.strip())]


def _set(track: Track, reasons: list[str]) -> None:
    if reasons:
        track.kind, track.reason = "personal", ", ".join(dict.fromkeys(reasons))


def _judge_block(lines: list[tuple[Track, int]]) -> None:
    """Judge the lines of one block in one frame together: a label may stand in one line, the name in the next."""
    if any(track.kind != "label" for track, _ in lines):
        return  # its neighbours become personal beside it
    texts = [track.texts[number] for track, number in lines if number in track.texts]
    if len(texts) > 1 and (reasons := personal_reasons("\n".join(texts))):
        for track, _ in lines:
            _set(track, reasons)


def _blocks(tracks: list[Track]) -> Iterator[list[tuple[Track, int]]]:
    """Yield the blocks of each frame, from top to bottom; equal blocks of several frames come once."""
    known: set[tuple[tuple[int, str], ...]] = set()
    for number in sorted({number for track in tracks for number in track.boxes}):
        waiting = sorted(
            (track for track in tracks if number in track.boxes), key=lambda track: track.boxes[number][1::-1]
        )
        while waiting:
            block = [waiting.pop(0)]
            for track in block:
                near = [one for one in waiting if one_block(one.boxes[number], track.boxes[number])]
                waiting = [one for one in waiting if one not in near]
                block += near
            lines = sorted(block, key=lambda track: track.boxes[number][1::-1])
            if (words := tuple((id(track), track.texts.get(number, "")) for track in lines)) not in known:
                known.add(words)
                yield [(track, number) for track in lines]


def _spread(tracks: list[Track]) -> None:
    """Make all neighbours of personal data and codes personal."""
    waiting = [track for track in tracks if track.kind != "label"]
    while waiting:
        known = waiting.pop()
        for track in tracks:
            if track.kind == "label" and _beside(track, known):
                track.kind, track.reason = "personal", f"beside {known.reason.removeprefix('beside ')}"
                waiting.append(track)


def _beside(a: Track, b: Track) -> bool:
    """Return whether two tracks are neighbours in any frame."""
    return any(one_block(box, b.boxes[number]) for number, box in a.boxes.items() if number in b.boxes)
