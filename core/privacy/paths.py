"""Names of files and folders without a person's data.

``MRN 4839201 DOE JOHN.mp4`` is stored as ``name-3f2a….mp4``. The hash is that of the name without its suffix, so that
the file is found again in its folder although neither its name nor a copy of it is stored. Whoever can guess the name
can check the guess.
"""

from __future__ import annotations

import hashlib
import os
import re
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from functools import lru_cache
from pathlib import Path

from videopath.core.errors import VideoPathError
from videopath.core.privacy.personal import reasons_in_name

_SCREENED = re.compile(r"name-[0-9a-f]{12}(?:\.[A-Za-z0-9]{1,5})?")
_USERS = ("home", "Users")  # folders whose entries are the accounts of users, not patients
_SUFFIXES = frozenset(
    """.mp4 .m4v .mov .mkv .avi .webm .gif .mpg .mpeg .m2ts .mts .ts .wmv .flv .ogv .3gp .jpg .jpeg .png .apng .tif .tiff
    .bmp .webp .heic .heif .avif .svs .ndpi .mrxs .dcm .czi .jp2 .jxl .pdf .zip .srt .vtt .json .jsonl .csv .txt .md
    .npy .pt .yaml .yml .html""".split()  # noqa: SIM905
)
"""Suffixes that stay: of anything else, such as ``DOE.JOHN``, the last part may be a name."""


def screened_path(path: str | Path) -> Path:
    """Return a path with each part that holds a person's data replaced by the hash of its name.

    Args:
        path: The file or folder; it need not exist. A link is not followed.

    Returns:
        The path; ``name-`` and the first 12 digits of the name's SHA-256, with its suffix, stand for such a part. The
        user's home folder stays, and so does an ordinary path.
    """
    path = Path(path)
    own = _account_parts(path)
    parts = [part if n < own else screened_name(part) for n, part in enumerate(path.parts)]
    return path if parts == list(path.parts) else Path(*parts)


@lru_cache(4096)
def screened_name(name: str) -> str:
    """Return the name of a file or folder, or a hash of it if the name holds a person's data."""
    if _SCREENED.fullmatch(name) or not reasons_in_name(name):
        return name
    stem, suffix = _split(name)
    return f"name-{_hash(stem)}{suffix}"


def find_path(path: str | Path) -> Path:
    """Return the existing file or folder that a screened path stands for.

    Args:
        path: The path that :func:`screened_path` returned, or any other.

    Returns:
        The path under its own name. Any other path, and one whose file is gone, comes back as it is.
    """
    path = Path(path)
    if not any(_SCREENED.fullmatch(part) for part in path.parts):
        return path
    found = Path(path.anchor) if path.anchor else Path()
    for part in path.parts[1 if path.anchor else 0 :]:
        found = found / (_own_name(found, part) if _SCREENED.fullmatch(part) else part)
    return found


def screened_label(label: str) -> str:
    """Return the name of a source, patient or group with each part that holds a person's data replaced by its hash."""
    return "".join(part if part in "/\\" else screened_name(part) for part in re.split(r"([/\\])", label))


def is_screened(name: str | Path) -> bool:
    """Return whether a part of a path or label stands for a name that is not stored."""
    return any(_SCREENED.fullmatch(part) for part in re.split(r"[/\\]", str(name)))


def stands_for(screened: str, name: str) -> bool:
    """Return whether ``screened``, without folders, is the hash of a name, whatever the suffixes of the two."""
    return _SCREENED.fullmatch(screened) is not None and _hash(_split(name)[0]) == screened[5:17]


def screened_sentence(text: str, *paths: str | Path) -> str:
    """Return a sentence with the names of these files and folders, and of what the folders hold, screened."""
    names: set[str] = set()
    for path in map(Path, paths):
        names.update(path.parts)
        with suppress(OSError):
            names.update(path.resolve().parts)
            names.update(entry.name for entry in path.iterdir() if entry.name in text)
    for name in sorted(names, key=len, reverse=True):
        if name in text:
            text = text.replace(name, screened_name(name))
    return text


@contextmanager
def screened_errors(path: str | Path) -> Iterator[None]:
    """Screen the names of a file or folder in the errors that are raised within the block, since cases store them."""
    try:
        yield
    except VideoPathError as error:
        error.args = tuple(
            screened_sentence(part, path) if isinstance(part, str) else part for part in error.args
        )
        raise


def _own_name(folder: Path, screened: str) -> str:
    """Return the name of the folder's entry that is stored as ``screened``; ``screened`` itself if there is none."""
    if os.path.lexists(folder / screened):
        return screened
    try:
        names = [entry.name for entry in folder.iterdir()]
    except OSError:  # missing, or it may not be listed: opening the file gives the reason
        return screened
    alike = (name for name in names if stands_for(screened, name))
    return next((name for name in alike if screened_name(name) == screened), screened)


def _split(name: str) -> tuple[str, str]:
    """Return a name without its suffix, and the suffix if it is one of a kind of file."""
    suffix = Path(name).suffix
    return (name[: -len(suffix)], suffix) if suffix.lower() in _SUFFIXES else (name, "")


def _hash(name: str) -> str:
    return hashlib.sha256(os.fsencode(name)).hexdigest()[:12]


def _account_parts(path: Path) -> int:
    """Return how many parts at the beginning are a home folder: the user's, or that of another account."""
    home = Path.home()
    if path.is_relative_to(home):
        return len(home.parts)
    return 3 if len(path.parts) > 2 and path.anchor and path.parts[1] in _USERS else 0
