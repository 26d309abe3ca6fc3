"""Questions in plain words: they ask for JSON, and the answer is read as JSON, as repaired JSON, or as free text.

Reading never fails: an answer of which nothing can be read gives no findings, or no diagnosis.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Generic

from videopath.core.choices import MAX_ANSWER_TOKENS
from videopath.core.errors import InputError
from videopath.core.pathology.answers import parse_answer, parse_free_answer
from videopath.core.pathology.terms import names_disease
from videopath.tools.answers.json_answers import (
    DESCRIPTION_FORM,
    DIAGNOSIS_FORM,
    MAX_FINDINGS,
    MAX_LABEL,
    MAX_RATIONALE,
    Answer,
    DescriptionAnswer,
    DiagnosisAnswer,
    NamedFinding,
    final_part,
    read_findings,
    read_json,
    safe_text,
)
from videopath.tools.answers.sentences import split_sentences

if TYPE_CHECKING:
    from videopath.model.inference.engine import Generation
    from videopath.tools.session_pool import ClipSession

_JSON_TOKENS = 2  # times as many tokens as the same answer in words
_REPAIRED = 4_000  # characters of an answer that the model is shown again
_MARKS_OF_JSON = re.compile(
    r"```\w*|[{}\[\]\"]|\b(?:findings|text|frame_seconds|differential)\b\"?\s*:|\bnull\b"
)
_NEXT_FIELD = re.compile(r"\"\s*,\s*(?=\")")
_LIST_MARK = re.compile(r"^\s*(?:[-*•]+|\d{1,2}[.)])\s+", re.MULTILINE)
_SHORT = 120  # characters of an answer that is only a label


@dataclass(frozen=True)
class PlainAnswer(Generic[Answer]):
    """The answer to a question in plain words."""

    read: Answer | None
    """``None`` if it was not the JSON that was asked for, and could not be repaired."""
    generations: list[Generation]
    """What the model wrote: the first answer, and the repaired one if it was asked for."""
    notes: list[str] = field(default_factory=list)

    @property
    def text(self) -> str:
        """The text that was read: the repaired answer if it can be read, else the first one."""
        return self.generations[-1 if self.read else 0].text


@dataclass(frozen=True)
class PlainDescription:
    """A description that a model gave in plain words."""

    findings: list[NamedFinding]
    mean_logprob: float | None
    notes: list[str]

    @property
    def text(self) -> str:
        """All findings, one sentence each."""
        return " ".join(finding.text for finding in self.findings)


@dataclass(frozen=True)
class PlainDiagnosis:
    """A diagnosis that a model gave in plain words."""

    diagnosis: str
    rationale: str
    differential: list[str]
    text: str
    notes: list[str]


def ask_for_findings(session: ClipSession, prompt: str, max_new_tokens: int) -> PlainDescription:
    """Ask for a description, and read its findings, each with the second that the model names.

    Args:
        session: The clip.
        prompt: The question.
        max_new_tokens: Most tokens of a description in words; the answer in JSON may have twice as many.
    """
    answer = _asked(
        session,
        prompt,
        DescriptionAnswer,
        DESCRIPTION_FORM,
        max_new_tokens,
        lambda first: first.stopped == "length" and bool(read_findings(first.text)),
    )
    findings, notes = (answer.read.findings, answer.notes) if answer.read else _rest_of_description(answer)
    return PlainDescription(_as_sentences(findings), _mean_logprob(answer.generations[0]), notes)


def ask_for_diagnosis(session: ClipSession, prompt: str, max_new_tokens: int) -> PlainDiagnosis:
    """Ask for a diagnosis with its reasons and other possible diagnoses.

    Args:
        session: The clip.
        prompt: The question.
        max_new_tokens: Most tokens of an answer in words; the answer in JSON may have twice as many.
    """
    answer = _asked(session, prompt, DiagnosisAnswer, DIAGNOSIS_FORM, max_new_tokens)
    text = safe_text(answer.text)
    if answer.read:
        read = answer.read
        return PlainDiagnosis(read.diagnosis, read.rationale, read.differential, text, answer.notes)
    notes = [*answer.notes, _READ_AS_TEXT]
    for generation in answer.generations:
        diagnosis, rationale = _diagnosis_in(_prose(generation.text))
        if diagnosis:
            return PlainDiagnosis(diagnosis, rationale, [], safe_text(generation.text), notes)
    return PlainDiagnosis("", "", [], text, notes)


def diagnosis_in(text: str) -> str:
    """Return the diagnosis in a short answer, which may be JSON, a sentence or only a label; empty if there is none."""
    read = read_json(text, DiagnosisAnswer).answer
    return read.diagnosis if read else _diagnosis_in(_prose(text))[0]


def _asked(
    session: ClipSession,
    prompt: str,
    schema: type[Answer],
    form: str,
    max_new_tokens: int,
    is_enough: Callable[[Generation], bool] = lambda first: False,
) -> PlainAnswer[Answer]:
    """Ask, and ask once for a repair if the answer does not fit the schema.

    Args:
        session: The clip.
        prompt: The question.
        schema: What the answer must be.
        form: The same as a form that a model can fill in.
        max_new_tokens: Most tokens of an answer in words.
        is_enough: Whether an answer that does not fit needs no repair.
    """
    tokens = min(_JSON_TOKENS * max_new_tokens, MAX_ANSWER_TOKENS)
    first = session.generate(prompt, max_new_tokens=tokens)
    reading = read_json(first.text, schema)
    if reading.answer or first.stopped == "cancelled" or is_enough(first):
        return PlainAnswer(reading.answer, [first])
    problem = "it was cut off." if first.stopped == "length" else reading.problem
    repair = session.prompts.repair(prompt, safe_text(final_part(first.text), _REPAIRED), problem, form)
    fault = f"its answer was not the JSON that was asked for: {problem}"
    try:
        second = session.generate(repair, max_new_tokens=tokens)
    except InputError as error:  # the question with its answer is too long for this model
        return PlainAnswer(None, [first], [f"The model could not be asked again, though {fault} {error}"])
    note = f"The model was asked again, since {fault}"
    return PlainAnswer(read_json(second.text, schema).answer, [first, second], [note])


def _rest_of_description(answer: PlainAnswer[DescriptionAnswer]) -> tuple[list[NamedFinding], list[str]]:
    """Return what can be read of answers that are not the JSON that was asked for."""
    for generation in reversed(answer.generations):
        if findings := read_findings(generation.text):
            return findings, [*answer.notes, "Only a part of the answer could be read."]
    for generation in answer.generations:
        prose = _prose(generation.text)
        text = parse_free_answer(prose).description or prose
        sentences = [one for line in text.splitlines() for one in split_sentences(line) if _has_letters(one)]
        if sentences:
            findings = [NamedFinding(text=one) for one in sentences[:MAX_FINDINGS]]
            return findings, [*answer.notes, _READ_AS_TEXT]
    return [], [*answer.notes, "The answer has no description."]


_READ_AS_TEXT = "The answer was read as free text."


def _diagnosis_in(prose: str) -> tuple[str, str]:
    """Return the diagnosis and its reasons in free text; both are empty if there is no diagnosis."""
    free = parse_free_answer(prose)
    diagnosis = free.diagnosis
    if not diagnosis and len(prose) <= _SHORT and "\n" not in prose and names_disease(prose):
        return prose, ""
    reasons = (parse_answer(prose).rationale or free.description) if diagnosis else ""
    return safe_text(diagnosis, MAX_LABEL), safe_text(reasons, MAX_RATIONALE)


def _prose(text: str) -> str:
    """Return an answer without code fences, list marks and what is left of damaged JSON."""
    text = safe_text(final_part(text))
    text = _MARKS_OF_JSON.sub(" ", _NEXT_FIELD.sub('"\n', text)) if "{" in text or "```" in text else text
    lines = (" ".join(line.split()).strip(" ,") for line in _LIST_MARK.sub("", text).splitlines())
    return "\n".join(line for line in lines if line)


def _as_sentences(findings: Sequence[NamedFinding]) -> list[NamedFinding]:
    """Return the findings as sentences, each once."""
    sentences: dict[str, NamedFinding] = {}
    for finding in findings:
        text = finding.text.rstrip(" ,;:")
        text = text if text.endswith((".", "!", "?", "…")) else f"{text}."
        sentences.setdefault(text, finding.model_copy(update={"text": text}))
    return list(sentences.values())


def _mean_logprob(answer: Generation) -> float | None:
    return sum(answer.logprobs) / len(answer.logprobs) if answer.logprobs else None


def _has_letters(text: str) -> bool:
    return any(character.isalpha() for character in text)
