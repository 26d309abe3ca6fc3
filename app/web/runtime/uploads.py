"""Uploaded files: written into the case's folder under a safe name, which names no person."""

from __future__ import annotations

import re
import shutil
import time
import unicodedata
from collections.abc import Collection
from pathlib import Path, PurePosixPath
from typing import BinaryIO

from videopath.core.errors import InputError
from videopath.core.files import replaced_on_success
from videopath.core.privacy.paths import screened_name

_LONGEST = 80  # characters of the stem
_NOT_KEPT = re.compile(r"[^\w.\- ]+")
_RESERVED = re.compile(r"(con|prn|aux|nul|com\d|lpt\d)", re.IGNORECASE)  # names of devices on Windows


def save_upload(name: str, data: BinaryIO, folder: Path) -> Path:
    """Write an upload into ``folder`` under its safe name, completely or not at all; return its path.

    If the name holds a person's data, the file gets the name that such a path is stored as.
    """
    last = PurePosixPath(name.replace("\\", "/").replace("\0", "")).name
    path = folder / screened_name(clean_name(screened_name(last)))
    data.seek(0)
    with replaced_on_success(path, private=True) as part, part.open("wb") as target:
        shutil.copyfileobj(data, target, 1 << 20)
    return path


def clean_name(name: str) -> str:
    """Return the last part of a name, reduced to letters, digits, ``_``, ``-``, spaces and one suffix.

    Raises:
        InputError: If the name has no suffix, from which the reader knows the format.
    """
    last = PurePosixPath(name.replace("\\", "/").replace("\0", "")).name
    plain = unicodedata.normalize("NFC", last).encode("utf-8", "ignore").decode()
    stem, dot, suffix = plain.rpartition(".")
    suffix = re.sub(r"[^a-z0-9]", "", suffix.lower())[:8]
    if not dot or not suffix:
        raise InputError(
            f"The file {plain[:40]!r} has no suffix such as .mp4 or .png, so its format is not known."
        )
    stem = _NOT_KEPT.sub("_", stem.replace(".", "_")).strip(" ._-")[:_LONGEST].strip(" ._-")
    if not stem or _RESERVED.fullmatch(stem):
        stem = f"upload_{stem}".rstrip("_")
    return f"{stem}.{suffix}"


def discard_upload(path: Path) -> None:
    """Remove an upload that did not become a case, with its folders if they are empty."""
    path.unlink(missing_ok=True)
    for folder in (path.parent, path.parent.parent):
        if folder.is_dir() and not any(folder.iterdir()):
            folder.rmdir()


def discard_forgotten(cases: Path, known: Collection[str], older_than: float = 86_400) -> None:
    """Remove old uploads for cases that never started.

    Args:
        cases: Folder of the cases.
        known: Ids of the cases in the library.
        older_than: Age in seconds from which an upload is removed.
    """
    for folder in cases.glob("*/upload"):
        case = folder.parent
        forgotten = case.name not in known and [part.name for part in case.iterdir()] == ["upload"]
        if forgotten and time.time() - folder.stat().st_mtime > older_than:
            shutil.rmtree(case)
