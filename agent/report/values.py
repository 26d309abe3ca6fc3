"""Values as text: moments, changes, and the fields of the quality and the provenance."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from videopath.media.crop import Crop
    from videopath.media.writing.records import Writing

_SECONDS = 4  # times of one place with writing that are named


def moment(seconds: float) -> str:
    """Return a presentation time in seconds as minutes and seconds: ``1:04.50``."""
    minutes, rest = divmod(max(round(seconds, 2), 0.0), 60)
    return f"{int(minutes)}:{rest:05.2f}"


def change_in_words(value: Any) -> str:
    """Return one side of a decision's ``changes`` as one line: a text, a list of texts, or a segment."""
    if isinstance(value, list) and len(value) == 2 and not any(isinstance(part, str) for part in value):
        start, end = value  # a segment
        return f"{moment(start or 0.0)} to {'the end' if end is None else moment(end)}"
    return " / ".join(map(str, value)) or "none" if isinstance(value, list) else str(value) or "none"


def value_in_words(value: Any) -> str:
    """Return a value of the quality or the provenance as one line."""
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, float):
        return f"{value:.4g}"
    if isinstance(value, list | tuple):
        return "; ".join(value_in_words(part) for part in value) or "–"
    return "–" if value is None else str(value)


def flat_fields(values: dict[str, Any], prefix: str = "") -> Iterator[tuple[str, Any]]:
    """Yield the values of nested fields, each with its dotted name."""
    for name, value in values.items():
        if isinstance(value, dict):
            yield from flat_fields(value, f"{prefix}{name}.")
        else:
            yield f"{prefix}{name}", value


def box_in_words(box: Crop) -> str:
    """Return a part of the frame in per cent of its width and height.

    >>> box_in_words((0.1, 0.0, 0.55, 1.0))
    '10–55% from left to right, 0–100% from top to bottom'
    """
    left, top, right, bottom = (f"{100 * number:.3g}" for number in box)
    return f"{left}–{right}% from left to right, {top}–{bottom}% from top to bottom"


def place_in_words(writing: Writing) -> str:
    """Return where burned-in writing is, what it is taken for and whether it was filled; never what it says."""
    what = writing.kind if writing.reason == "writing" else f"{writing.kind}, {writing.reason}"
    what = writing.reason if writing.kind == "drawn" else what
    seconds = writing.seconds
    when = ", ".join(f"{second:.1f}" for second in seconds)
    if len(seconds) > _SECONDS:
        when = f"{seconds[0]:.1f}–{seconds[-1]:.1f}, {len(seconds)} frames"
    return f"{'filled' if writing.filled else 'KEPT'} ({what}): {box_in_words(writing.box)}; at {when} s"
