"""Uploaded files: streamed into the case's folder under a name that can do no harm."""

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

_LONGEST = 80  # characters of the stem
_NOT_KEPT = re.compile(r"[^\w.\- ]+")
_RESERVED = re.compile(r"(con|prn|aux|nul|com\d|lpt\d)", re.IGNORECASE)  # devices, on some systems


def save_upload(name: str, data: BinaryIO, folder: Path) -> Path:
    """Write an upload into ``folder`` under its cleaned name, whole or not at all; returns where it is."""
    path = folder / clean_name(name)
    data.seek(0)
    with replaced_on_success(path, private=True) as part, part.open("wb") as target:
        shutil.copyfileobj(data, target, 1 << 20)
    return path


def clean_name(name: str) -> str:
    """The last part of a name, of letters, digits, ``_``, ``-``, spaces and one suffix.

    Raises ``InputError`` when the name has no suffix: the reader goes by it.
    """
    last = PurePosixPath(name.replace("\\", "/").replace("\0", "")).name
    plain = unicodedata.normalize("NFC", last).encode("utf-8", "ignore").decode()
    stem, dot, suffix = plain.rpartition(".")
    suffix = re.sub(r"[^a-z0-9]", "", suffix.lower())[:8]
    if not dot or not suffix:
        raise InputError(
            f"The file {plain[:40]!r} has no ending such as .mp4 or .png, so it is not known what it is."
        )
    stem = _NOT_KEPT.sub("_", stem.replace(".", "_")).strip(" ._-")[:_LONGEST].strip(" ._-")
    if not stem or _RESERVED.fullmatch(stem):
        stem = f"upload_{stem}".rstrip("_")
    return f"{stem}.{suffix}"


def discard_upload(path: Path) -> None:
    """Remove an upload that no case came of, with the folders that were made for it."""
    path.unlink(missing_ok=True)
    for folder in (path.parent, path.parent.parent):
        if folder.is_dir() and not any(folder.iterdir()):
            folder.rmdir()


def discard_forgotten(cases: Path, known: Collection[str], older_than: float = 86_400) -> None:
    """Remove what was uploaded for cases that never began: unknown ones with nothing but an upload, of yesterday."""
    for folder in cases.glob("*/upload"):
        case = folder.parent
        forgotten = case.name not in known and [part.name for part in case.iterdir()] == ["upload"]
        if forgotten and time.time() - folder.stat().st_mtime > older_than:
            shutil.rmtree(case)
