"""The questions of the agent, and the form of the model's answers.

Training and tools use the same functions, so training asks exactly the questions of the tools. The one-prompt form and the
form of the answer (description, then ``Diagnosis: …``) are those of the ViDRiP-LLaVA instruction data.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from videopath.core.pathology.answers import DIAGNOSIS_START, RATIONALE_START

FIRST_DESCRIBE = "First, describe the image information relevant to the question. Then, provide your answer."
_EVIDENCE_WORDS = 32


@dataclass(frozen=True)
class SimilarCaseText:
    """A similar case in a prompt."""

    diagnosis: str
    description: str


def default_question(site: str | None) -> str:
    """Return the question that is asked if the user gives none."""
    return (
        f"What is the best diagnosis for this {site} tissue?"
        if site
        else "What is the best diagnosis for this tissue?"
    )


def describe_question(site: str | None) -> str:
    """Return the question for a description without a diagnosis."""
    tissue = f"this {site} tissue" if site else "this tissue"
    return f"Describe the histological findings in {tissue}. Do not give a diagnosis."


def one_prompt_question(site: str | None, question: str | None = None) -> str:
    """Return the question in the original's form: it asks for description and diagnosis in one answer."""
    return f"{question or default_question(site)} {FIRST_DESCRIBE}"


def diagnose_question(
    site: str | None,
    description: str,
    neighbours: Sequence[SimilarCaseText] = (),
    question: str | None = None,
) -> str:
    """Return the question for a diagnosis.

    Args:
        site: The canonical site; ``None`` if it is not given.
        description: The description of the clip.
        neighbours: Similar cases as evidence, the most similar last: it stands next to the answer.
        question: The user's question; default: that of :func:`default_question`.
    """
    lines = [question or default_question(site), f"Description: {description}"]
    if neighbours:
        lines.append("Similar cases, the most similar last:")
        lines += [f"- {case.diagnosis}: {_first_words(case.description)}" for case in neighbours]
    lines.append("Answer with the diagnosis, then the rationale.")
    return "\n".join(lines)


def diagnosis_answer(diagnosis: str, rationale: str) -> str:
    """Return an answer to :func:`diagnose_question`."""
    return f"{DIAGNOSIS_START} {diagnosis}\n{RATIONALE_START} {rationale}"


def one_prompt_answer(description: str, diagnosis: str) -> str:
    """Return an answer to :func:`one_prompt_question`."""
    return f"{description}\n{DIAGNOSIS_START} {diagnosis}"


def _first_words(text: str) -> str:
    words = text.split()
    return " ".join(words) if len(words) <= _EVIDENCE_WORDS else " ".join(words[:_EVIDENCE_WORDS]) + " …"
