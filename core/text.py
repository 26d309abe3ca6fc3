"""Text that can be written as UTF-8.

File names and command lines may hold bytes that are not UTF-8. Python reads them as half characters (halves of surrogate
pairs), and no JSON file, report or index can hold those.
"""

from __future__ import annotations

import os
from pathlib import Path

from videopath.core.errors import InputError, VideoPathError


def has_half_characters(text: str) -> bool:
    """Return whether a text has half characters, so that it cannot be written as UTF-8."""
    try:
        text.encode()
    except UnicodeEncodeError:
        return True
    return False


def refuse_unwritable(name: str | Path, what: str, kind: type[VideoPathError] = InputError) -> None:
    """Raise an error if a name cannot be written as UTF-8.

    Args:
        name: The name or path.
        what: What it names, for the message: "the knowledge base".
        kind: Class of the error.
    """
    if has_half_characters(str(name)):
        shown = os.fsencode(name).decode(errors="replace") if _is_of_bytes(str(name)) else ascii(str(name))
        raise kind(f"The name of {what}, {shown}, is not valid UTF-8 text. Rename it, or give another one.")


def _is_of_bytes(name: str) -> bool:
    try:
        os.fsencode(name)
    except UnicodeEncodeError:
        return False
    return True
