"""A case as it is handed on: files and folders by their names, not by where they lie on this machine.

A folder may tell a patient's name or a user's; the SHA-256 beside it says which file is meant.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path, PurePath, PurePosixPath, PureWindowsPath
from typing import Any

from videopath.agent.cases.records import CaseReport, Step

_LONGEST = 4096  # characters of a path
_ENCODER = re.compile(r"\btower:((?:/|[A-Za-z]:[\\/]).+?)(?= \([0-9a-f]{12}…\)|$)", re.MULTILINE)
"""The tower of a model's folder, as knowledge bases name their encoder; in a sentence its hash follows."""


def without_paths(report: CaseReport) -> CaseReport:
    """The report with the names of files and folders in place of their whole paths."""
    shared = CaseReport.model_validate(_shortened(report.model_dump(mode="json"), _known(report)))
    shared.folder = report.folder
    return shared


def steps_without_paths(steps: list[Step], report: CaseReport) -> list[Step]:
    """The steps of a trace as those of its report become."""
    known = _known(report)
    return [Step.model_validate(_shortened(step.model_dump(mode="json"), known)) for step in steps]


def _known(report: CaseReport) -> dict[str, str]:
    """What is replaced within sentences, the longest first: whole paths of the case, their folders, the user's home."""
    paths = {text: path for text in _texts(report.model_dump(mode="json")) if (path := _absolute(text))}
    folders = {text.removesuffix(path.name): "" for text, path in paths.items() if len(path.parts) > 2}
    home = {} if len(Path.home().parts) < 2 else {str(Path.home()): "~"}
    found = {**home, **folders, **{text: path.name for text, path in paths.items() if len(path.parts) > 2}}
    return dict(sorted(found.items(), key=lambda item: -len(item[0])))


def _shortened(value: Any, known: dict[str, str]) -> Any:
    if isinstance(value, dict):
        return {name: _shortened(one, known) for name, one in value.items()}
    if isinstance(value, list):
        return [_shortened(one, known) for one in value]
    if not isinstance(value, str):
        return value
    if path := _absolute(value):
        return path.name
    value = _ENCODER.sub(_tower_by_name, value)
    for whole, name in known.items():
        value = value.replace(whole, name)
    return value


def _tower_by_name(found: re.Match[str]) -> str:
    path = _absolute(found[1])
    return f"tower:{path.name}" if path else found[0]


def _absolute(text: str) -> PurePath | None:
    """The text as a path, if it is a whole one and nothing else."""
    if len(text) > _LONGEST or "\n" in text:
        return None
    posix, windows = PurePosixPath(text), PureWindowsPath(text)
    if posix.is_absolute() and posix.name:
        return posix
    return windows if windows.is_absolute() and windows.name else None


def _texts(value: Any) -> Iterator[str]:
    if isinstance(value, str):
        yield value
    elif isinstance(value, dict | list):
        for one in value.values() if isinstance(value, dict) else value:
            yield from _texts(one)
