"""The SHA-256 of a checkpoint's weights, by which reports name them."""

from __future__ import annotations

import json
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path

from videopath.core.files import sha256_file, sha256_text, write_text
from videopath.core.settings import home_folder

_REMEMBERED_FROM = 64 << 20  # bytes; a smaller file is hashed as fast as its hash is looked up
_CACHE = Path("cache", "weights_sha256.json")


def weights_sha256(files: Sequence[Path]) -> str:
    """Return the hash of weight files.

    It is the SHA-256 of a single file; for several files it is the SHA-256 of the output of ``sha256sum``, sorted by name.
    """
    if len(files) == 1:
        return _hash(files[0])
    lines = [f"{_hash(file)}  {file.name}\n" for file in sorted(files, key=lambda file: (file.name, file))]
    return sha256_text("".join(lines))


def _hash(file: Path) -> str:
    """Return the SHA-256 of a file. For a large file it is kept in the home folder until the file changes."""
    state = file.stat()
    if state.st_size < _REMEMBERED_FROM:
        return sha256_file(file)
    key = f"{file.resolve()}|{state.st_size}|{state.st_mtime_ns}"
    remembered = _remembered()
    if key not in remembered:
        remembered[key] = sha256_file(file)
        with suppress(OSError):  # without a writable home folder, the file is hashed again next time
            write_text(home_folder() / _CACHE, json.dumps(remembered, indent=1) + "\n", private=True)
    return remembered[key]


def _remembered() -> dict[str, str]:
    try:
        content = json.loads((home_folder() / _CACHE).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return content if isinstance(content, dict) else {}
