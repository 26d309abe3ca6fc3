"""Everyday questions for a diagnosis: an opening, the tissue and a closing give thousands of wordings."""

from __future__ import annotations

import numpy as np

_OPENINGS = (
    "What is your diagnosis",
    "What is the diagnosis",
    "What is the most likely diagnosis",
    "What is the best diagnosis",
    "What is the final diagnosis",
    "What would you call this",
    "What do you think this is",
    "What is this",
    "Which diagnosis fits best",
    "Which diagnosis would you make",
    "Which disease is this",
    "Which entity is this",
    "Please give a diagnosis",
    "Please give me the diagnosis",
    "Give the diagnosis",
    "Can you diagnose this",
    "Could you tell me the diagnosis",
    "Tell me the diagnosis",
    "How would you sign this out",
    "What does this show",
    "What do we see here",
    "What can be diagnosed",
    "Make a diagnosis",
    "I need a diagnosis",
    "Diagnosis",
)
_TISSUE = (
    "for this {site} tissue",
    "for this {site} specimen",
    "for this {site} biopsy",
    "in this {site} case",
    "in this {site} slide",
    "in this {site} section",
    "of this {site} sample",
    "on this {site} slide",
    "from the {site}",
    "in the {site}",
    "in this video of the {site}",
    "in this image of the {site}",
)
_NO_TISSUE = (
    "",
    "",
    "here",
    "in this case",
    "in this video",
    "in this image",
    "on this slide",
    "for this tissue",
)
_CLOSINGS = ("?", "?", "?", "", ".", ", please?", ", please.")


def diagnosis_question(site: str | None, rng: np.random.Generator) -> str:
    """Return a question for the diagnosis in everyday words; with a site, three in four name it."""
    opening = _pick(_OPENINGS, rng)
    tissues = _TISSUE if site and rng.random() < 0.75 else _NO_TISSUE
    words = f"{opening} {_pick(tissues, rng).format(site=site)}".strip()
    words = words.lower() if rng.random() < 0.1 else words
    return words + _pick(_CLOSINGS, rng)


def every_wording() -> list[str]:
    """Return questions that hold every opening, tissue and closing, for the tokenizer."""
    return [
        *(f"{opening}{closing}" for opening in _OPENINGS for closing in dict.fromkeys(_CLOSINGS)),
        *(f"Diagnosis {tissue.format(site='colon')}?" for tissue in (*_TISSUE, *_NO_TISSUE)),
    ]


def _pick(options: tuple[str, ...], rng: np.random.Generator) -> str:
    return options[int(rng.integers(len(options)))]
