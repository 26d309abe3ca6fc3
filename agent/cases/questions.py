"""The questions that were asked about a case after its diagnosis: one JSON line each, beside the trace.

They are kept apart from the report, so that a signed report and its hash stay as they are.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from contextlib import AbstractContextManager
from pathlib import Path

from pydantic import ValidationError

from videopath.agent.cases.records import FollowUp
from videopath.core.errors import CaseError
from videopath.core.jsonl import JsonLines, whole_lines

QUESTIONS_NAME = "questions.jsonl"


def append_question(folder: Path, asked: FollowUp, lock: AbstractContextManager[None]) -> None:
    """Append a question with its answer to those of the case in ``folder``, and wait until it is on disk.

    Args:
        folder: The case folder.
        asked: The question.
        lock: Held while it is written; it raises ``TimeoutError`` if it is not free in time.

    Raises:
        CaseError: The case was deleted, or the file cannot be written. The message repeats the answer.
    """
    lost = f" The answer was not kept: {asked.answer}"
    if not folder.is_dir():  # taking the lock would create it
        raise CaseError(f"The folder of case {folder.name} is gone, as if it was deleted.{lost}")
    try:
        with lock:
            _file_in(folder).append(_line_of(asked))
    except TimeoutError as error:
        raise CaseError(f"Another process writes to the questions of case {folder.name}.{lost}") from error
    except OSError as error:
        reason = error.strerror or error
        raise CaseError(f"{folder / QUESTIONS_NAME} cannot be written: {reason}.{lost}") from error


def read_questions(folder: Path) -> list[FollowUp]:
    """Return the questions that were asked about the case in ``folder``, in order; none if the file is missing.

    A line that cannot be read is replaced by an entry that says so.

    Raises:
        CaseError: The file cannot be read at all.
    """
    file = _file_in(folder)
    try:
        lines = file.read()
    except OSError as error:
        raise CaseError(f"{file.path} cannot be read: {error.strerror or error}.") from error
    return [_question_of(number, line) for number, line in enumerate(lines, 1)]


def parse_questions(data: bytes) -> Iterator[FollowUp]:
    """Yield the questions of a file's bytes; a torn last line is ignored.

    Raises:
        CaseError: A whole line is not a question with its answer; the message names the line.
    """
    for number, line in enumerate(whole_lines(data), 1):
        try:
            yield FollowUp.model_validate_json(line)
        except ValidationError as error:
            raise CaseError(_damage(number)) from error


def questions_text(questions: Iterable[FollowUp]) -> str:
    """Return the text of a file with these questions."""
    return "".join(_line_of(asked) + "\n" for asked in questions)


def _file_in(folder: Path) -> JsonLines:
    return JsonLines(folder / QUESTIONS_NAME, private=True, synced=True)


def _line_of(asked: FollowUp) -> str:
    return json.dumps(asked.model_dump(mode="json"), ensure_ascii=False, separators=(",", ":"))


def _question_of(number: int, line: bytes) -> FollowUp:
    try:
        return FollowUp.model_validate_json(line)
    except ValidationError:
        return FollowUp(
            question="",
            answer="",
            answered=False,
            why_not=_damage(number),
            model="",
            weights="",
            device="",
            prompt_sha256="",
            seconds=0,
            asked="",
            frames=[],
        )


def _damage(number: int) -> str:
    return f"Line {number} of {QUESTIONS_NAME} is not a question with its answer: the file was changed or damaged."
