"""Which writing looks like a person's data. When in doubt, it does."""

from __future__ import annotations

import re

from videopath.media.writing.reader import PixelBox
from videopath.media.writing.tracks import Track

_LOOSE_DIGITS = re.compile(r"\d[\d\s./-]{3,}\d")  # a number of five characters or more, or a date
_ROW_GAP = 3.0  # of a line's height, between two parts of one row
_LINE_GAP = 1.0  # of a line's height, between two lines of one block


def judge(tracks: list[Track]) -> None:
    """Set the kind and the reason of tracks; lines of one block with personal data are personal as well."""
    for track in tracks:
        if any(_LOOSE_DIGITS.search(text) for text in track.texts):
            track.kind, track.reason = "personal", "a number of five or more digits"
    waiting = [track for track in tracks if track.kind == "personal"]
    while waiting:
        known = waiting.pop()
        for track in tracks:
            if track.kind == "label" and _one_block(track, known):
                track.kind, track.reason = "personal", f"beside {known.reason.removeprefix('beside ')}"
                waiting.append(track)


def _one_block(a: Track, b: Track) -> bool:
    """Return whether two tracks are neighbours in any frame."""
    return any(_neighbours(box, b.boxes[number]) for number, box in a.boxes.items() if number in b.boxes)


def _neighbours(a: PixelBox, b: PixelBox) -> bool:
    height = min(a[3] - a[1], b[3] - b[1])
    across = max(a[0], b[0]) - min(a[2], b[2])  # below 0: they share columns
    down = max(a[1], b[1]) - min(a[3], b[3])
    same_row = down < -0.3 * height and across < _ROW_GAP * height
    return same_row or (across < 0 and down < _LINE_GAP * height)
