"""Redaction of a case that is handed on: names of files and folders instead of their whole paths.

A folder may contain the name of a patient or a user. The SHA-256 beside it still identifies the file.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path, PurePath, PurePosixPath, PureWindowsPath
from typing import Any

from videopath.agent.cases.records import CaseReport, FollowUp, Step

_MAX_PATH = 4096  # characters
_ENCODER = re.compile(r"\btower:((?:/|[A-Za-z]:[\\/]).+?)(?= \([0-9a-f]{12}…\)|$)", re.MULTILINE)
"""The image encoder of a knowledge base: the vision tower of a model folder; in a sentence its hash follows."""


def without_paths(report: CaseReport) -> CaseReport:
    """Return a copy of the report with the names of files and folders instead of their whole paths."""
    redacted = CaseReport.model_validate(_redacted(report.model_dump(mode="json"), _replacements(report)))
    redacted.folder = report.folder
    return redacted


def steps_without_paths(steps: list[Step], report: CaseReport) -> list[Step]:
    """Return copies of the steps of a trace, redacted as the steps of its report."""
    replacements = _replacements(report)
    return [Step.model_validate(_redacted(step.model_dump(mode="json"), replacements)) for step in steps]


def questions_without_paths(questions: list[FollowUp], report: CaseReport) -> list[FollowUp]:
    """Return copies of the questions that were asked about a case, redacted as the comments of its report."""
    replacements = _replacements(report)
    return [
        FollowUp.model_validate(_redacted(asked.model_dump(mode="json"), replacements)) for asked in questions
    ]


def _replacements(report: CaseReport) -> dict[str, str]:
    """Return what is replaced within sentences, longest first: the case's paths, their folders, the user's home."""
    paths = {text: path for text in _texts(report.model_dump(mode="json")) if (path := _absolute(text))}
    folders = {text.removesuffix(path.name): "" for text, path in paths.items() if len(path.parts) > 2}
    home = {} if len(Path.home().parts) < 2 else {str(Path.home()): "~"}
    names = {text: path.name for text, path in paths.items() if len(path.parts) > 2}
    return dict(sorted({**home, **folders, **names}.items(), key=lambda item: -len(item[0])))


def _redacted(value: Any, replacements: dict[str, str]) -> Any:
    if isinstance(value, dict):
        return {name: _redacted(part, replacements) for name, part in value.items()}
    if isinstance(value, list):
        return [_redacted(part, replacements) for part in value]
    if not isinstance(value, str):
        return value
    if path := _absolute(value):
        return path.name
    value = _ENCODER.sub(_tower_by_name, value)
    for path_text, name in replacements.items():
        value = value.replace(path_text, name)
    return value


def _tower_by_name(match: re.Match[str]) -> str:
    path = _absolute(match[1])
    return f"tower:{path.name}" if path else match[0]


def _absolute(text: str) -> PurePath | None:
    """Return the text as a path; None unless it is an absolute path and nothing else."""
    if len(text) > _MAX_PATH or "\n" in text:
        return None
    posix, windows = PurePosixPath(text), PureWindowsPath(text)
    if posix.is_absolute() and posix.name:
        return posix
    return windows if windows.is_absolute() and windows.name else None


def _texts(value: Any) -> Iterator[str]:
    if isinstance(value, str):
        yield value
    elif isinstance(value, dict | list):
        for part in value.values() if isinstance(value, dict) else value:
            yield from _texts(part)
