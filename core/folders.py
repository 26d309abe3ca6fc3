"""Files that visitors may name, people who use VideoPath over the network.

Visitors have no account on the server, so the setting ``folders`` confines them. Without it they may name any path that
the server can read. Every page and endpoint that takes a path calls the same function.
"""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from videopath.core.errors import InputError
from videopath.core.privacy.paths import find_path
from videopath.core.settings import Settings

_HOME_FOLDERS = ("cases", "knowledge")
"""Folders of the home folder that visitors may always name: uploads, and the knowledge bases of the pages."""


def visitor_path(path: str | Path, settings: Settings) -> Path:
    """Return the file or folder that a visitor names; links are followed if the setting confines visitors.

    Args:
        path: What the visitor typed or sent.
        settings: Those of the server; ``folders`` confines visitors.

    Raises:
        InputError: The path, or a file in that folder, lies outside of the allowed folders.
    """
    try:
        given = find_path(Path(path).expanduser())
        if settings.folders is None:
            return given
        target = given.resolve()
        allowed = [folder.expanduser().resolve() for folder in _allowed(settings, settings.folders)]
        inside = _is_within(target, allowed)
        if inside and target.is_dir():
            inside = all(_is_within(entry.resolve(), allowed) for entry in target.iterdir())
    except (OSError, RuntimeError, ValueError) as error:  # an unknown ~user, links in a circle, a zero byte
        raise InputError(f"{str(path)[:200]!r} is not a valid path. Name another one.") from error
    if not inside:
        raise InputError(
            f"{path} lies outside of the allowed folders ({', '.join(map(str, settings.folders))}). "
            "Choose a path in one of them, or upload the file."
        )
    return target


def visitor_model(name: str, settings: Settings) -> str:
    """Return the model that a visitor names.

    If the setting ``folders`` confines visitors, they may name nano, the model of the settings, or an allowed folder.
    Otherwise they may name any model.

    Raises:
        InputError: The model is not allowed.
    """
    if settings.folders is None or name in ("nano", settings.model):
        return name
    return str(visitor_path(name, settings))


def _allowed(settings: Settings, folders: Iterable[Path]) -> Iterable[Path]:
    yield from folders
    yield from (settings.home / name for name in _HOME_FOLDERS)
    if settings.knowledge is not None:
        yield settings.knowledge


def _is_within(path: Path, folders: Iterable[Path]) -> bool:
    return any(path.is_relative_to(folder) for folder in folders)
