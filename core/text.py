"""Text that can be written: names of files and words of a command line may hold bytes that are no UTF-8.

Python reads such bytes as halves of surrogate pairs, which no JSON, report or index can hold.
"""

from __future__ import annotations

import os
from pathlib import Path

from videopath.core.errors import InputError, VideoPathError


def has_half_characters(text: str) -> bool:
    """Whether a text cannot be written as UTF-8."""
    return any("\ud800" <= character <= "\udfff" for character in text)


def refuse_unwritable(name: str | Path, what: str, kind: type[VideoPathError] = InputError) -> None:
    """Raise an error for a name that is not UTF-8; ``what``: "the knowledge base", say."""
    if has_half_characters(str(name)):
        shown = os.fsencode(name).decode(errors="replace") if _is_of_bytes(str(name)) else ascii(str(name))
        raise kind(f"The name of {what}, {shown}, is not valid UTF-8 text: rename it or give another.")


def _is_of_bytes(name: str) -> bool:
    try:
        os.fsencode(name)
    except UnicodeEncodeError:
        return False
    return True
