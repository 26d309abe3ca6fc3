"""The questions that the agent puts to the model, and the form of its answers.

One place for both sides: training asks exactly what the tools ask. The one-prompt form and the answer form
(description, then ``Diagnosis: …``) are those of the ViDRiP-LLaVA instruction data.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from videopath.core.pathology.answers import DIAGNOSIS_START, RATIONALE_START

FIRST_DESCRIBE = "First, describe the image information relevant to the question. Then, provide your answer."
_EVIDENCE_WORDS = 32


@dataclass(frozen=True)
class SimilarCaseText:
    """A similar case as the model reads it."""

    diagnosis: str
    description: str


def default_question(site: str | None) -> str:
    """The question that is asked when the user gives none."""
    return (
        f"What is the best diagnosis for this {site} tissue?"
        if site
        else "What is the best diagnosis for this tissue?"
    )


def describe_question(site: str | None) -> str:
    """Ask for the description alone."""
    tissue = f"this {site} tissue" if site else "this tissue"
    return f"Describe the histological findings in {tissue}. Do not give a diagnosis."


def one_prompt_question(site: str | None, question: str | None = None) -> str:
    """The original's form: description and diagnosis in one answer."""
    return f"{question or default_question(site)} {FIRST_DESCRIBE}"


def diagnose_question(
    site: str | None,
    description: str,
    neighbours: Sequence[SimilarCaseText] = (),
    question: str | None = None,
) -> str:
    """Ask for the diagnosis with the description, and similar cases where there are any, as evidence.

    The most similar case stands last, next to the answer.
    """
    lines = [question or default_question(site), f"Description: {description}"]
    if neighbours:
        lines.append("Similar cases, the most similar last:")
        lines += [f"- {case.diagnosis}: {_first_words(case.description)}" for case in neighbours]
    lines.append("Answer with the diagnosis, then the rationale.")
    return "\n".join(lines)


def diagnosis_answer(diagnosis: str, rationale: str) -> str:
    """The form of an answer to :func:`diagnose_question`."""
    return f"{DIAGNOSIS_START} {diagnosis}\n{RATIONALE_START} {rationale}"


def one_prompt_answer(description: str, diagnosis: str) -> str:
    """The form of an answer to :func:`one_prompt_question`."""
    return f"{description}\n{DIAGNOSIS_START} {diagnosis}"


def _first_words(text: str) -> str:
    words = text.split()
    return " ".join(words) if len(words) <= _EVIDENCE_WORDS else " ".join(words[:_EVIDENCE_WORDS]) + " …"
