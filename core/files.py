"""Files: hashes, writes that are either whole or absent, and what is for its owner alone."""

from __future__ import annotations

import hashlib
import os
import uuid
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

_CHUNK = 1 << 20
_OWNERS_FOLDER, _OWNERS_FILE = 0o700, 0o600


def sha256_file(path: Path) -> str:
    """Hex SHA-256 of a file, read in pieces of 1 MiB."""
    digest = hashlib.sha256()
    with path.open("rb") as stream:
        while chunk := stream.read(_CHUNK):
            digest.update(chunk)
    return digest.hexdigest()


def sha256_text(text: str) -> str:
    """Hex SHA-256 of a text's UTF-8 bytes."""
    return hashlib.sha256(text.encode()).hexdigest()


def private_folder(path: Path) -> None:
    """Make a folder, with those above it that are missing, for its owner alone; what is there stays as it is."""
    for folder in reversed([path, *path.parents]):
        if not folder.exists():
            folder.mkdir(_OWNERS_FOLDER, exist_ok=True)
            folder.chmod(_OWNERS_FOLDER)  # the umask may have taken more


def private_file(path: Path) -> None:
    """Make an empty file for its owner alone, with its folder; what is there stays as it is."""
    if not path.exists():
        private_folder(path.parent)
        path.touch(_OWNERS_FILE)
        path.chmod(_OWNERS_FILE)


def close_to_others(path: Path) -> None:
    """Take from all but the owner what they may do with a file or a folder."""
    with suppress(
        PermissionError, FileNotFoundError
    ):  # another's file or a disk without permissions; or it is gone
        if not path.is_symlink() and path.stat().st_mode & 0o077:
            path.chmod(_OWNERS_FOLDER if path.is_dir() else _OWNERS_FILE)


@contextmanager
def replaced_on_success(path: Path, *, private: bool = False) -> Iterator[Path]:
    """Yield a temporary path beside ``path`` that takes its place when the block ends well.

    A crash or an exception leaves the old file as it was and no half-written one. ``private``: the file is for its
    owner alone; else the umask decides who reads it.
    """
    part = path.with_name(f".{path.name}.{uuid.uuid4().hex}.part")
    if private:
        private_file(part)
        mode = _OWNERS_FILE
    else:
        path.parent.mkdir(parents=True, exist_ok=True)
        part.touch()  # with the mode that the user's umask gives; some libraries write files that only their owner reads
        mode = part.stat().st_mode
        part.unlink()
    try:
        yield part
        part.chmod(mode)
        with part.open("rb") as stream:
            os.fsync(stream.fileno())
        part.replace(path)
    finally:
        part.unlink(missing_ok=True)


def write_text(path: Path, text: str, *, private: bool = False) -> None:
    """Write a text file, whole or not at all; ``private``: for its owner alone."""
    with replaced_on_success(path, private=private) as part:
        part.write_text(text, encoding="utf-8")


def write_bytes(path: Path, data: bytes, *, private: bool = False) -> None:
    """Write a binary file, whole or not at all; ``private``: for its owner alone."""
    with replaced_on_success(path, private=private) as part:
        part.write_bytes(data)
