"""The judge's prompts, and how its replies are read.

``published`` reads a reply exactly as the benchmark's code does: ``ast.literal_eval``, then ``int`` of the dictionary's ``score``.
``strict`` accepts only JSON by a schema.
"""

from __future__ import annotations

import ast
from typing import Any, Literal, get_args

from pydantic import BaseModel, Field, ValidationError

from videopath.core.choices import JudgeParser
from videopath.evaluation.testsets.answers import Answer

Aspect = Literal["context", "correctness", "detail"]
ASPECTS: tuple[Aspect, ...] = get_args(Aspect)


HIGHEST = 5

_ASPECT_PROMPTS: dict[Aspect, str] = {
    "correctness": "Judge whether the prediction is factually right: the entity that is diagnosed, its grade and behaviour, and that no "
    "finding contradicts the reference. Synonyms of an entity are equal.",
    "detail": "Judge how complete and how specific the prediction is: whether it names the findings of the reference, of architecture, "
    "cells, stroma and background, and not generalities alone.",
    "context": "Judge whether the prediction understands the case as a whole as the reference does: organ, kind of specimen, the "
    "question that is asked, and how the findings lead to the diagnosis.",
}
_SYSTEM = (
    "You compare a predicted answer to a question about a pathology video with an expert's reference. {aspect} Give a whole number "
    "from 0 (nothing) to 5 (all)."
)
_PUBLISHED_FORM = "Reply with a Python dictionary alone, like {'score': 3}."
_STRICT_FORM = 'Reply with JSON alone, like {"score": 3}.'
_USER = "Question: {question}\nReference: {reference}\nPrediction: {prediction}"


class _Score(BaseModel):
    score: int = Field(ge=0, le=HIGHEST, strict=True)


class _Message(BaseModel):
    content: str | None = None


class _Choice(BaseModel):
    message: _Message


class _Reply(BaseModel):
    """The part of the protocol's reply that a score needs."""

    choices: list[_Choice]


def prompts(parser: JudgeParser) -> dict[Aspect, str]:
    """Return aspect → prompt without the answer."""
    form = _STRICT_FORM if parser == "strict" else _PUBLISHED_FORM
    return {aspect: f"{_SYSTEM.format(aspect=_ASPECT_PROMPTS[aspect])} {form}" for aspect in ASPECTS}


def in_question(answer: Answer) -> str:
    """Return the text of the answer with its question and reference."""
    return _USER.format(question=answer.question, reference=answer.reference, prediction=answer.text)


def response_format(parser: JudgeParser) -> dict[str, Any]:
    """Return the schema that ``strict`` asks for, as an argument of the call; empty for ``published``."""
    if parser == "published":
        return {}
    schema = {"name": "score", "schema": _Score.model_json_schema(), "strict": True}
    return {"response_format": {"type": "json_schema", "json_schema": schema}}


def content_of(body: str) -> str | None:
    """Return the model's text; None if the reply does not follow the protocol."""
    try:
        choices = _Reply.model_validate_json(body).choices
    except ValidationError:
        return None
    return (choices[0].message.content or "") if choices else None


def published_score(reply: str) -> int:
    """Return the score as the benchmark's code reads it: ``int`` of the dictionary's ``score``, otherwise 0."""
    try:
        return int(ast.literal_eval(reply)["score"])
    except (ValueError, SyntaxError, TypeError, LookupError, OverflowError, MemoryError, RecursionError):
        return 0


def strict_score(reply: str) -> int | None:
    """Return the score of a JSON reply, a whole number from 0 to 5; None if it has none."""
    try:
        return _Score.model_validate_json(reply).score
    except ValidationError:
        return None
