"""The SHA-256 of a checkpoint's weights, as reports name them."""

from __future__ import annotations

import json
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path

from videopath.core.files import sha256_file, sha256_text, write_text
from videopath.core.settings import home_folder

_REMEMBERED_FROM = 64 << 20  # bytes; hashing less takes no longer than looking it up
_CACHE = Path("cache", "weights_sha256.json")


def weights_sha256(files: Sequence[Path]) -> str:
    """Of one file its SHA-256; of several the SHA-256 of what ``sha256sum`` prints for them, sorted by name."""
    if len(files) == 1:
        return _hash(files[0])
    lines = [f"{_hash(file)}  {file.name}\n" for file in sorted(files, key=lambda file: (file.name, file))]
    return sha256_text("".join(lines))


def _hash(file: Path) -> str:
    """The hash of one file; of a large one it is remembered in the home folder for as long as the file is unchanged."""
    state = file.stat()
    if state.st_size < _REMEMBERED_FROM:
        return sha256_file(file)
    key = f"{file.resolve()}|{state.st_size}|{state.st_mtime_ns}"
    remembered = _remembered()
    if key not in remembered:
        remembered[key] = sha256_file(file)
        with suppress(OSError):  # a home that cannot be written to costs time, nothing else
            write_text(home_folder() / _CACHE, json.dumps(remembered, indent=1) + "\n", private=True)
    return remembered[key]


def _remembered() -> dict[str, str]:
    try:
        content = json.loads((home_folder() / _CACHE).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return content if isinstance(content, dict) else {}
