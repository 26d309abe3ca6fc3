"""The trace: one JSON line per finished step, on disk before the next step starts.

The file can be read while the case runs. A kill in the middle of a line leaves a torn tail: readers ignore it, the
next writer removes it.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from pathlib import Path

from pydantic import ValidationError

from videopath.agent.cases.records import Step
from videopath.core.errors import CaseError
from videopath.core.jsonl import JsonLines, whole_lines

TRACE_NAME = "trace.jsonl"
DAMAGED = "damaged"
"""The name of the step that replaces one that cannot be read."""


def trace_text(steps: Iterable[Step]) -> str:
    """Return the text of a trace with these steps."""
    return "".join(_line_of(step) + "\n" for step in steps)


def _line_of(step: Step) -> str:
    return json.dumps(step.model_dump(mode="json"), ensure_ascii=False, separators=(",", ":"))


def trace_file(path: Path) -> JsonLines:
    """Return the trace at ``path`` as a file that steps are appended to."""
    return JsonLines(path, private=True, synced=True)


def append_step(path: Path, step: Step) -> None:
    """Append a step to the trace at ``path`` and wait until it is on disk. A missing file is created."""
    trace_file(path).append(_line_of(step))


def read_trace(path: Path) -> list[Step]:
    """Return the finished steps; none if the file is missing.

    A step named "damaged" replaces each line that cannot be read, and says so.

    Raises:
        CaseError: The file cannot be read at all.
    """
    return [_step_of(number, line, path.name) for number, line in enumerate(trace_lines(path), 1)]


def trace_lines(path: Path) -> list[bytes]:
    """Return the whole lines of a trace as they are on disk, each with its newline.

    Raises:
        CaseError: The file cannot be read.
    """
    try:
        return trace_file(path).read()
    except OSError as error:
        raise CaseError(f"{path} cannot be read: {error.strerror or error}.") from error


def parse_trace(data: bytes, name: str = TRACE_NAME) -> Iterator[Step]:
    """Yield the steps of a trace's bytes; a torn last line is ignored.

    Raises:
        CaseError: A whole line is not a step; the message names the line.
    """
    for number, line in enumerate(whole_lines(data), 1):
        try:
            yield Step.model_validate_json(line)
        except ValidationError as error:
            raise CaseError(_damage(number, name)) from error


def _step_of(number: int, line: bytes, name: str) -> Step:
    try:
        return Step.model_validate_json(line)
    except ValidationError:
        return Step(name=DAMAGED, summary=_damage(number, name), started="", seconds=0)


def _damage(number: int, name: str) -> str:
    return f"Line {number} of {name} is not a step of a trace: the file was changed or damaged."
