"""The cuts of all recordings as one CSV table, which a person may correct in a spreadsheet and which is read back.

The table has one row for each segment: path, start, end, kind, case, title. Rows may be changed, deleted, split or added, in
any order. Time that no row covers counts as "desktop", so it is never part of a case. A slide view without a case number
belongs to the case before it, or to a new one if a title card lies between them. A recording without any row keeps the
cuts that were found.
"""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import cast

from videopath.core.choices import SCREEN_KINDS, ScreenKind
from videopath.core.errors import InputError
from videopath.core.files import write_text
from videopath.core.privacy.personal import screened_text
from videopath.dataset.plaintext import decoded
from videopath.dataset.records import Recording, Segment, Segments

COLUMNS = ("path", "start", "end", "kind", "case", "title")
NO_ROW: ScreenKind = "desktop"
"""The kind of time that no row covers."""

_NEEDED = COLUMNS[:4]
_ROUNDED = 0.05  # seconds; a smaller overlap or gap comes from rounding in a spreadsheet
_AFTER_END = 0.5  # seconds; so much later than the end of the file a row may end
_FORMULA = (
    "=",
    "+",
    "-",
    "@",
    "\t",
    "\r",
    "'",
)  # cells that a spreadsheet would compute; an apostrophe stops it
_NUMBER = re.compile(r"\d{1,7}(?:[.,]\d*)?|[.,]\d+")
_CLOCK = re.compile(r"(?:(\d{1,4}):)?(\d{1,4}):(\d{1,2}(?:[.,]\d*)?)")


@dataclass(frozen=True)
class _Row:
    line: int
    start: float
    end: float
    kind: ScreenKind
    case: int | None
    title: str


def write_cuts(path: Path, cuts: Sequence[tuple[Recording, Segments]]) -> None:
    """Write the table as a whole or not at all, in UTF-8 with a byte order mark, as spreadsheets need it.

    Args:
        path: The CSV file.
        cuts: The recordings with their segments.
    """
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(COLUMNS)
    for recording, segments in cuts:
        for segment in segments.segments:
            times = f"{segment.start:.3f}", f"{segment.end:.3f}"
            case = "" if segment.case is None else segment.case
            writer.writerow((_guarded(recording.path), *times, segment.kind, case, _guarded(segment.title)))
    write_text(path, "\ufeff" + text.getvalue())


def read_cuts(path: Path, recording: Recording, found: Segments) -> Segments:
    """Read the cuts of a recording back from a table.

    Args:
        path: The CSV file; commas, semicolons or tabs between columns, decimal points or commas, times in seconds or as
            ``minutes:seconds`` or ``hours:minutes:seconds``.
        recording: The recording whose rows are read.
        found: Its cuts as they were found.

    Returns:
        ``found`` if nothing was changed; otherwise the corrected segments, in order and without gaps.

    Raises:
        InputError: A row of this recording is wrong; the message names the line.
    """
    rows = sorted(_rows(path, recording), key=lambda row: (row.start, row.line))
    if not rows:
        return found
    last = max(recording.seconds, found.segments[-1].end if found.segments else 0.0)
    if tuple(_numbered(iter(rows), found)) == found.segments:
        return found
    segments = tuple(_numbered(_without_gaps(_snapped(path, rows, last), last), found))
    return found if segments == found.segments else Segments(segments=segments, corrected=True)


def _guarded(text: str) -> str:
    return f"'{text}" if text.startswith(_FORMULA) else text


def _unguarded(text: str) -> str:
    return text[1:] if text.startswith("'") and text[1:].startswith(_FORMULA) else text


def _rows(path: Path, recording: Recording) -> Iterator[_Row]:
    try:
        text = decoded(path.read_bytes())
    except OSError as error:
        raise InputError(f"{path.name} cannot be read: {error.strerror or error}.") from error
    first, _, rest = text.partition("\n")
    skipped = 0
    if re.fullmatch(r"\"?sep=.\"?[,;\t]*", first.strip()):  # spreadsheets write the separator there
        text, skipped = rest, 1
    header = text.partition("\n")[0]
    reader = csv.reader(io.StringIO(text), delimiter=max(",;\t", key=header.count), strict=True)
    try:
        names = [name.strip().lower() for name in next(reader, [])]
        if any(name not in names for name in _NEEDED):
            raise InputError(f"{path.name} must begin with a line of columns: {', '.join(COLUMNS)}.")
        for cells in reader:
            row = dict(zip(names, (cell.strip() for cell in cells), strict=False))
            if not any(row.values()):
                continue
            if _unguarded(row.get("path", "")).replace("\\", "/") == recording.path.replace("\\", "/"):
                yield _row(path, reader.line_num + skipped, row)
    except csv.Error as error:
        raise InputError(
            f"{path.name}, line {reader.line_num + skipped}: this is not CSV ({error})."
        ) from error


def _row(path: Path, line: int, row: dict[str, str]) -> _Row:
    where = f"{path.name}, line {line}"
    times = {}
    for name in ("start", "end"):
        seconds = _seconds(row.get(name, ""))
        if seconds is None:
            raise InputError(
                f'{where}: the {name} "{row.get(name, "")}" is no time; give seconds ("75.5") or minutes ("1:15.5").'
            )
        times[name] = seconds
    if times["end"] <= times["start"]:
        raise InputError(f"{where}: the end {times['end']:g} s is not after the start {times['start']:g} s.")
    kind = " ".join(row.get("kind", "").lower().split())
    if kind not in SCREEN_KINDS:
        raise InputError(f'{where}: the kind "{kind}" is unknown; give one of: {", ".join(SCREEN_KINDS)}.')
    case = row.get("case", "")
    if not re.fullmatch(r"(?:0*[1-9]\d{0,5}(?:[.,]0*)?)?", case):
        raise InputError(f'{where}: the case "{case}" is no number from 1 on.')
    number = int(re.split("[.,]", case)[0]) if case else None
    return _Row(
        line, times["start"], times["end"], cast(ScreenKind, kind), number, _unguarded(row.get("title", ""))
    )


def _seconds(text: str) -> float | None:
    """Return the seconds of "75.5", "75,5", "1:15.5" or "0:01:15,5"; None if it is no time."""
    text = text.replace("\u00a0", "").removesuffix("s").strip()
    if _NUMBER.fullmatch(text):
        return round(float(text.replace(",", ".")), 3)
    clock = _CLOCK.fullmatch(text)
    if not clock or float(clock[3].replace(",", ".")) >= 60 or (clock[1] and int(clock[2]) >= 60):
        return None
    hours, minutes, seconds = int(clock[1] or 0), int(clock[2]), float(clock[3].replace(",", "."))
    return round(3600 * hours + 60 * minutes + seconds, 3)


def _snapped(path: Path, rows: Sequence[_Row], last: float) -> Iterator[_Row]:
    """Yield rows that follow each other; small overlaps and gaps, which rounding makes, are closed.

    Raises:
        InputError: Two rows overlap, or one ends after the end of the recording.
    """
    before: _Row | None = None
    for row in rows:
        if row.end > last + _AFTER_END:
            raise InputError(
                f"{path.name}, line {row.line}: the end {row.end:g} s lies after the end of the recording ({last:g} s)."
            )
        earliest = before.end if before else 0.0
        if before and row.start < earliest - _ROUNDED:
            raise InputError(
                f"{path.name}, line {row.line}: it begins at {row.start:g} s, before line {before.line} ends "
                f"({before.end:g} s)."
            )
        start = earliest if abs(row.start - earliest) <= _ROUNDED else row.start
        end = last if row is rows[-1] and last - row.end <= _ROUNDED else min(row.end, last)
        if end - start <= 0:
            raise InputError(f"{path.name}, line {row.line}: nothing of it is left between its neighbours.")
        before = _Row(row.line, start, end, row.kind, row.case, row.title)
        yield before


def _without_gaps(rows: Iterator[_Row], last: float) -> Iterator[_Row]:
    end = 0.0
    for row in rows:
        if row.start > end:
            yield _Row(0, end, row.start, NO_ROW, None, "")
        yield row
        end = row.end
    if end < last:
        yield _Row(0, end, last, NO_ROW, None, "")


def _numbered(rows: Iterator[_Row], found: Segments) -> Iterator[Segment]:
    """Yield the segments; a slide view without a case number gets one, and new titles are screened."""
    known = {segment.title for segment in found.segments} | {""}
    highest, case, card = 0, 0, True
    for row in rows:
        card = card or row.kind == "title card"
        if row.kind == "slide":
            case = row.case or (highest + 1 if card or not case else case)
            highest, card = max(highest, case), False
        title = row.title if row.title in known else screened_text(row.title).text
        number = case if row.kind == "slide" else None
        yield Segment(start=row.start, end=row.end, kind=row.kind, case=number, title=title)
