"""Which files those may name who use VideoPath over the network.

They have no account on this machine, so the setting ``folders`` confines them; without it they may name any path
that the server can read. One function decides for every place where a path is typed or sent.
"""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from videopath.core.errors import InputError
from videopath.core.settings import Settings

_OWN = ("cases", "knowledge")
"""Folders of the home folder that visitors see in any case: uploads, and the knowledge bases of the pages."""


def visitor_path(path: str | Path, settings: Settings) -> Path:
    """The file or folder that a visitor names, links followed where the setting confines visitors.

    Raises:
        InputError: It lies outside of the folders of the setting, or a file in it does.
    """
    try:
        named = Path(path).expanduser()
        if settings.folders is None:
            return named
        found = named.resolve()
        allowed = [folder.expanduser().resolve() for folder in _allowed(settings, settings.folders)]
        inside = _is_within(found, allowed)
        if inside and found.is_dir():
            inside = all(_is_within(entry.resolve(), allowed) for entry in found.iterdir())
    except (OSError, RuntimeError, ValueError) as error:  # an unknown ~user, links in a circle, a zero byte
        raise InputError(f"{str(path)[:200]!r} is no path that can be followed; name another one.") from error
    if not inside:
        raise InputError(
            f"{path} lies outside of the folders that may be named here "
            f"({', '.join(map(str, settings.folders))}): choose a path in one of them, or upload the file."
        )
    return found


def visitor_model(name: str, settings: Settings) -> str:
    """The model that a visitor names: nano, the setting's own, or a folder as above; hub ids only where all is free.

    Raises:
        InputError: It is another one.
    """
    if settings.folders is None or name in ("nano", settings.model):
        return name
    return str(visitor_path(name, settings))


def _allowed(settings: Settings, folders: Iterable[Path]) -> Iterable[Path]:
    yield from folders
    yield from (settings.home / name for name in _OWN)
    if settings.knowledge is not None:
        yield settings.knowledge


def _is_within(path: Path, folders: Iterable[Path]) -> bool:
    return any(path.is_relative_to(folder) for folder in folders)
