"""The trace: one JSON line per finished step, on disk before the next step starts.

A line is written by a single ``write`` and synchronised, so the file can be read while the case runs. A kill in
the middle of a line leaves a torn tail: readers leave it out, the next writer removes it.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterable, Iterator
from pathlib import Path

from pydantic import ValidationError

from videopath.agent.records import Step
from videopath.core.errors import CaseError
from videopath.core.files import private_file

TRACE_NAME = "trace.jsonl"
_TAIL = 1 << 16


def trace_line(step: Step) -> str:
    """A step as its line, with the newline."""
    return json.dumps(step.model_dump(mode="json"), ensure_ascii=False, separators=(",", ":")) + "\n"


def trace_text(steps: Iterable[Step]) -> str:
    """Steps as the text of a trace."""
    return "".join(trace_line(step) for step in steps)


def append_step(path: Path, step: Step) -> None:
    """Append a step to the trace at ``path`` (made where it is missing) and wait until it is on disk."""
    private_file(path)
    _drop_torn_tail(path)
    with path.open("ab") as stream:
        stream.write(trace_line(step).encode())
        stream.flush()
        os.fsync(stream.fileno())


def read_trace(path: Path) -> list[Step]:
    """The finished steps so far; an absent file is an empty trace.

    Raises ``CaseError`` naming the line when a whole line is not a step.
    """
    if not path.exists():
        return []
    return list(parse_trace(path.read_bytes(), path.name))


def parse_trace(data: bytes, name: str = TRACE_NAME) -> Iterator[Step]:
    """The steps of a trace's bytes; a torn last line is left out."""
    whole, _, _ = data.rpartition(b"\n")
    for number, line in enumerate(whole.split(b"\n") if whole else (), 1):
        try:
            yield Step.model_validate_json(line)
        except ValidationError as error:
            raise CaseError(
                f"Line {number} of {name} is not a step of a trace: the file was changed or damaged."
            ) from error


def _drop_torn_tail(path: Path) -> None:
    """Cut off what follows the last newline."""
    if not path.exists():
        return
    with path.open("r+b") as stream:
        end = stream.seek(0, os.SEEK_END)
        while end > 0:
            start = max(end - _TAIL, 0)
            stream.seek(start)
            piece = stream.read(end - start)
            cut = piece.rfind(b"\n")
            if cut >= 0:
                end = start + cut + 1
                break
            end = start
        stream.truncate(end)
