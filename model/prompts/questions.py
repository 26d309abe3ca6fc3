"""The questions of VideoPath's own models, and the form of their answers.

Training and tools use the same templates (``wordings/videopath``), so training asks exactly the questions of the tools.
The functions here never use a user's own templates. The one-prompt form and the form of the answer (description, then
``Diagnosis: …``) are those of the ViDRiP-LLaVA instruction data.
"""

from __future__ import annotations

from collections.abc import Sequence

from videopath.core.pathology.answers import DIAGNOSIS_START, RATIONALE_START
from videopath.model.prompts.prompt_set import PromptFacts, PromptSet, SimilarCaseText, packaged_prompts

__all__ = [
    "DIAGNOSIS_START",
    "FIRST_DESCRIBE",
    "RATIONALE_START",
    "SimilarCaseText",
    "default_question",
    "describe_question",
    "diagnose_question",
    "diagnosis_answer",
    "one_prompt_answer",
    "one_prompt_question",
]

FIRST_DESCRIBE = "First, describe the image information relevant to the question. Then, provide your answer."
"""The end of every question in the one-prompt form."""


def default_question(site: str | None) -> str:
    """Return the question that is asked if the user gives none."""
    return _prompts().default_question(PromptFacts(site=site))


def describe_question(site: str | None) -> str:
    """Return the question for a description without a diagnosis."""
    return _prompts().describe(PromptFacts(site=site))


def one_prompt_question(site: str | None, question: str | None = None) -> str:
    """Return the question in the original's form: it asks for description and diagnosis in one answer."""
    return _prompts().one_prompt(PromptFacts(site=site, question=question))


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
    return _prompts().diagnose(
        PromptFacts(site=site, question=question, description=description, cases=neighbours)
    )


def diagnosis_answer(diagnosis: str, rationale: str) -> str:
    """Return an answer to :func:`diagnose_question`."""
    return f"{DIAGNOSIS_START} {diagnosis}\n{RATIONALE_START} {rationale}"


def one_prompt_answer(description: str, diagnosis: str) -> str:
    """Return an answer to :func:`one_prompt_question`."""
    return f"{description}\n{DIAGNOSIS_START} {diagnosis}"


def _prompts() -> PromptSet:
    return packaged_prompts("videopath")
