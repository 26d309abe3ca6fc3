"""The questions of the pairs, in varied wordings, with the organ and the history if they give no diagnosis away."""

from __future__ import annotations

from typing import Literal

from videopath.core.files import sha256_text
from videopath.dataset.instructions.given_away import gives_diagnosis_away, names_diagnosis
from videopath.dataset.instructions.words import ClipWords, history_of
from videopath.model.card import Card
from videopath.tools.answers.organs import sites_of

DESCRIPTION_QUESTIONS = (
    "Describe the histological findings in this{site} tissue. Do not give a diagnosis.",
    "What does this{site} tissue show under the microscope? Describe it without naming a diagnosis.",
    "Describe the architecture, the cells and the stroma of this{site} tissue.",
    "Which morphological features can be seen in this{site} tissue?",
    "Write the microscopic description for this{site} specimen.",
    "Go through this{site} slide and describe what you see, without an interpretation.",
    "List the findings in this{site} tissue, the most important first.",
    "How would you describe this{site} tissue to a colleague who cannot see it?",
    "What stands out in the glands, cells, nuclei and background of this{site} tissue?",
    "Give a careful description of the morphology in this{site} specimen.",
)
DIAGNOSIS_QUESTIONS = (
    "What is the best diagnosis for this{site} tissue?",
    "What is your diagnosis of this{site} tissue, and why?",
    "Which diagnosis fits this{site} specimen best? Weigh what speaks for and against it.",
    "Think step by step: which diagnosis does this{site} tissue have?",
    "What is the most likely diagnosis of this{site} tissue, and what else was considered?",
    "How do you diagnose this{site} specimen?",
    "Give the diagnosis for this{site} tissue with its differential.",
    "From what this{site} slide shows, what is the diagnosis?",
    "Which disease, if any, does this{site} tissue show? Give your diagnosis.",
    "State the diagnosis of this{site} specimen and say what it rests on.",
)


def question_for(
    about: Literal["description", "diagnosis"], clip: str, words: ClipWords, label: str = ""
) -> str:
    """Return the question of a pair; the same clip always gets the same wording.

    Args:
        about: What the question asks for.
        clip: Id of the clip.
        words: Its words; the organ and the history come from its title card.
        label: The diagnosis if it is known. A history that names it, or any diagnosis, is left out.
    """
    wordings = DESCRIPTION_QUESTIONS if about == "description" else DIAGNOSIS_QUESTIONS
    chosen = wordings[int(sha256_text(f"{clip} {about}")[:8], 16) % len(wordings)]
    site = site_of(words)
    question = chosen.format(site=f" {site}" if site else "")
    history = safe_history(words, label) if about == "diagnosis" else ""
    return f"History: {history}. {question}" if history else question


def safe_history(words: ClipWords, label: str = "") -> str:
    """Return the history on the title card; empty if there is none, or if it names a diagnosis."""
    history = history_of(words.title)
    if not history or names_diagnosis(history) or (label and gives_diagnosis_away(label, history)):
        return ""
    return history


def site_of(words: ClipWords) -> str | None:
    """Return the organ that the title card names; ``None`` if it names none, or several in its first line with any."""
    for text in (history_of(words.title), words.title, *words.ambiguous):
        sites = sites_of(text, Card()) if text else []
        if sites:
            return sites[0] if len(sites) == 1 else None
    return None
