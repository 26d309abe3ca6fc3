"""Files: hashes, writes that succeed as a whole or not at all, and files that only their owner can read."""

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
    """Return the SHA-256 of a file as hexadecimal text; the file is read in pieces of 1 MiB."""
    digest = hashlib.sha256()
    with path.open("rb") as stream:
        while chunk := stream.read(_CHUNK):
            digest.update(chunk)
    return digest.hexdigest()


def sha256_text(text: str) -> str:
    """Return the SHA-256 of a text's UTF-8 bytes as hexadecimal text."""
    return hashlib.sha256(text.encode()).hexdigest()


def private_folder(path: Path) -> None:
    """Make a folder and its missing parents for their owner alone; existing folders keep their permissions."""
    for folder in reversed([path, *path.parents]):
        if not folder.exists():
            folder.mkdir(_OWNERS_FOLDER, exist_ok=True)
            folder.chmod(_OWNERS_FOLDER)  # the umask may remove more


def private_file(path: Path) -> None:
    """Make an empty file and its folder for their owner alone; an existing file is left as it is."""
    if not path.exists():
        private_folder(path.parent)
        path.touch(_OWNERS_FILE)
        path.chmod(_OWNERS_FILE)


def close_to_others(path: Path) -> None:
    """Remove all permissions of others on a file or folder, as far as possible."""
    # someone else's file, a disk without permissions, or a file that was deleted meanwhile
    with suppress(PermissionError, FileNotFoundError):
        if not path.is_symlink() and path.stat().st_mode & 0o077:
            path.chmod(_OWNERS_FOLDER if path.is_dir() else _OWNERS_FILE)


@contextmanager
def replaced_on_success(path: Path, *, private: bool = False) -> Iterator[Path]:
    """Yield a temporary path beside ``path`` that replaces ``path`` if the block ends without an exception.

    After a crash or an exception the old file is unchanged, and no half-written file is left.

    Args:
        path: The file to write; missing folders are made.
        private: Only the owner can read the file; otherwise the umask decides.
    """
    part = path.with_name(f".{path.name}.{uuid.uuid4().hex}.part")
    if private:
        private_file(part)
        mode = _OWNERS_FILE
    else:
        path.parent.mkdir(parents=True, exist_ok=True)
        part.touch()  # to learn the mode from the umask: some libraries write files that only their owner reads
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
    """Write a text file as a whole or not at all; ``private``: only its owner can read it."""
    with replaced_on_success(path, private=private) as part:
        part.write_text(text, encoding="utf-8")


def write_bytes(path: Path, data: bytes, *, private: bool = False) -> None:
    """Write a binary file as a whole or not at all; ``private``: only its owner can read it."""
    with replaced_on_success(path, private=private) as part:
        part.write_bytes(data)
