"""Answers in JSON: the first object in a model's text that fits a schema.

A model's text is not trusted: what is read of it is bounded in length and can be written as UTF-8.
"""

from __future__ import annotations

import json
import math
import re
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from typing import Annotated, Any, Generic, TypeVar

from pydantic import (
    AfterValidator,
    AliasChoices,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    ValidationError,
)
from pydantic_core import PydanticCustomError

from videopath.model.prompts.template import without_marks

MAX_ANSWER = 20_000
"""Characters of an answer that are read."""
MAX_FINDINGS = 24
MAX_DIFFERENTIAL = 8
MAX_SENTENCE = 400
"""Characters of one finding."""
MAX_LABEL = 200
MAX_RATIONALE = 2_000

DESCRIPTION_FORM = '{"findings": [{"text": "…", "frame_seconds": <seconds or null>}, …]}'
DIAGNOSIS_FORM = '{"diagnosis": "…", "rationale": "…", "differential": ["…", …]}'

_MAX_STARTS = 64  # "{" that are tried
_MAX_PROBLEM = 200
_END_OF_THOUGHTS = "</think>"
_CONTROL = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f\u2028\u2029]")
_LETTER = re.compile(r"[^\W\d_]")
_NUMBER = re.compile(r"-?\d{1,9}(?:\.\d{1,9})?")
_CLOCK = re.compile(r"(?:(\d{1,3}):)?(\d{1,3}):(\d{2}(?:\.\d{1,9})?)")

Answer = TypeVar("Answer", bound=BaseModel)


def safe_text(text: str, limit: int = MAX_ANSWER) -> str:
    """Return a model's text without control characters and marks of chat templates, of at most ``limit`` characters.

    Half characters, which cannot be written as UTF-8, become question marks.
    """
    writable = text[:MAX_ANSWER].encode(errors="replace").decode()
    clean = without_marks(_CONTROL.sub(" ", writable)).strip()
    return clean if len(clean) <= limit else clean[: limit - 1].rstrip() + "…"


def _line(limit: int) -> BeforeValidator:
    """Accept a text, and make it one line of at most ``limit`` characters."""

    def clean(value: Any) -> Any:
        return " ".join(safe_text(value, limit).split()) if isinstance(value, str) else value

    return BeforeValidator(clean)


def _with_a_word(value: str) -> str:
    if not _LETTER.search(value):
        raise PydanticCustomError("no_word", "it has no word")
    return value


def _line_or_nothing(limit: int) -> BeforeValidator:
    """Like :func:`_line`; a list is joined, and anything else counts as no text."""

    def clean(value: Any) -> Any:
        if isinstance(value, list):
            value = " ".join(part for part in value[:MAX_FINDINGS] if isinstance(part, str))
        return " ".join(safe_text(value, limit).split()) if isinstance(value, str) else ""

    return BeforeValidator(clean)


def _second(value: Any) -> float | None:
    """Return a number of seconds, also from a text such as "3.5 s" or "1:07"; ``None`` for anything else."""
    if isinstance(value, str):
        if clock := _CLOCK.search(value):
            return int(clock[1] or 0) * 3600 + int(clock[2]) * 60 + float(clock[3])
        number = _NUMBER.search(value)
        return float(number[0]) if number else None
    if isinstance(value, bool) or not isinstance(value, int | float):
        return None
    try:
        second = float(value)
    except OverflowError:
        return None
    return second if math.isfinite(second) else None


def _first_of(limit: int) -> BeforeValidator:
    """Accept a list, and keep its first entries; a single text or object counts as a list of one."""

    def cut(value: Any) -> Any:
        if isinstance(value, str | dict):
            value = [value]
        return value[:limit] if isinstance(value, list) else value

    return BeforeValidator(cut)


def _labels(value: Any) -> list[str]:
    """Return the diagnoses of a list of texts, or of objects with a diagnosis; other entries are left out."""
    entries = value if isinstance(value, list) else [value]
    names: list[str] = []
    for entry in entries[:MAX_DIFFERENTIAL]:
        if isinstance(entry, dict):
            entry = next((entry[key] for key in ("diagnosis", "label", "name") if key in entry), None)
        if isinstance(entry, str) and (name := " ".join(safe_text(entry, MAX_LABEL).split())):
            names.append(name)
    return names


def _as_finding(value: Any) -> Any:
    return {"text": value} if isinstance(value, str) else value


class NamedFinding(BaseModel):
    """One finding of an answer."""

    model_config = ConfigDict(extra="ignore")

    text: Annotated[str, _line(MAX_SENTENCE), AfterValidator(_with_a_word)]
    frame_seconds: Annotated[float | None, BeforeValidator(_second)] = None


class DescriptionAnswer(BaseModel):
    """The answer to a question for a description."""

    model_config = ConfigDict(extra="ignore")

    findings: Annotated[
        list[Annotated[NamedFinding, BeforeValidator(_as_finding)]],
        _first_of(MAX_FINDINGS),
        Field(min_length=1),
    ]


class DiagnosisAnswer(BaseModel):
    """The answer to a question for a diagnosis."""

    model_config = ConfigDict(extra="ignore")

    diagnosis: Annotated[
        str,
        _line(MAX_LABEL),
        AfterValidator(_with_a_word),
        Field(validation_alias=AliasChoices("diagnosis", "Diagnosis", "final_diagnosis")),
    ]
    rationale: Annotated[str, _line_or_nothing(MAX_RATIONALE)] = ""
    differential: Annotated[list[str], BeforeValidator(_labels)] = []


@dataclass(frozen=True)
class JsonReading(Generic[Answer]):
    """What was read of an answer."""

    answer: Answer | None
    """``None`` if no object in the text fits the schema."""
    problem: str = ""
    """Why none fits, in a sentence without text of the answer."""


def read_json(text: str, schema: type[Answer]) -> JsonReading[Answer]:
    """Return the first JSON object in a text that fits a schema. Other text and code fences around it are ignored.

    Args:
        text: The answer.
        schema: What the object must be.

    Returns:
        The answer, or the problem of the first object that does not fit.
    """
    text = final_part(text)
    problem = "it holds no JSON object." if text.strip() else "it is empty."
    for number, value in enumerate(_objects(text)):
        if value is None:
            fault = "it is not valid JSON, or it was cut off."
        else:
            try:
                return JsonReading(schema.model_validate(value))
            except ValidationError as error:
                fault = _problem_of(error)
        problem = problem if number else fault
    return JsonReading(None, problem)


def read_findings(text: str) -> list[NamedFinding]:
    """Return all findings that a damaged answer still holds, such as those before the place where it was cut off."""
    text, findings = final_part(text), []
    for start in _starts(text):
        value, _ = _decoded(text, start)
        with suppress(ValidationError):  # it is the object around the findings, or something else
            findings.append(NamedFinding.model_validate(value))
    return findings[:MAX_FINDINGS]


def final_part(text: str) -> str:
    """Return the end of an answer, after the thoughts of a model that writes them down; at most the length that is read."""
    return text.rpartition(_END_OF_THOUGHTS)[2][:MAX_ANSWER]


def _objects(text: str) -> Iterator[dict[str, Any] | None]:
    """Yield the outermost JSON objects in a text; ``None`` for a "{" at which none begins."""
    end = 0
    for start in _starts(text):
        if start >= end:
            value, end = _decoded(text, start)
            yield value


def _starts(text: str) -> list[int]:
    return [found.start() for found in re.finditer(r"\{", text)][:_MAX_STARTS]


def _decoded(text: str, start: int) -> tuple[dict[str, Any] | None, int]:
    """Return the JSON object that begins at ``start``, and where it ends; ``None`` if none begins there."""
    try:
        value, end = json.JSONDecoder(strict=False).raw_decode(text, start)
    except (ValueError, RecursionError):  # also for numbers with thousands of digits
        return None, start
    return value, end


def _problem_of(error: ValidationError) -> str:
    first = error.errors(include_input=False, include_url=False)[0]
    field = ".".join(map(str, first["loc"]))
    return f"{field}: {first['msg']}."[:_MAX_PROBLEM]
