"""The label in a model's answer: one line that may be a diagnosis, or nothing."""

from __future__ import annotations

import re
from functools import cache
from typing import TYPE_CHECKING

from videopath.core.pathology.labels import normalised_label
from videopath.core.pathology.sites import SITES
from videopath.core.pathology.terms import names_disease, words_of
from videopath.model.prompts.questions import (
    DIAGNOSIS_START,
    RATIONALE_START,
    SimilarCaseText,
    describe_question,
    diagnose_question,
    one_prompt_question,
)
from videopath.model.prompts.template import without_marks

if TYPE_CHECKING:
    from videopath.model.card import Card

NO_DIAGNOSIS = "no diagnosis"
"""The label if the model wrote no diagnosis and there is no other candidate."""

_LONGEST = 120  # characters; what is longer is a sentence, not a diagnosis
_MARKS = re.compile(r"<\|?[^<>]{0,20}\|?>|\[/?\w{1,12}\]|\b(?:USER|ASSISTANT|SYSTEM)\s*:|^#+|[*`]+")
_START = re.compile(r"^(?:\W*\b(?:final\s+|the\s+)?(?:diagnosis|answer)\s*(?::|\bis\b))+\s*", re.IGNORECASE)
_LETTERS = re.compile(r"[^\W\d_]{2}")
_STUTTER = re.compile(r"(.)\1{3}|\b(\w{3,}?)\2+\b")
_REFUSALS = frozenset(
    ("yes", "no", "none", "unknown", "uncertain", "unclear", "unsure", "n/a", "na", "not applicable", "not sure", "maybe")
    + ("undetermined", "no answer", "not available", "not specified", "cannot be determined", "null", "true", "false")
)  # fmt: skip
_OTHER_WORDS = (
    ["user", "assistant", "system", "image", "video", "im", "start", "end", "endoftext", "question", "final", "a", "an"]
    + ["of", "it", "picture", "slide", "helpful", "you", "are"]
    + [word for site, others in SITES.items() for name in (site, *others) for word in words_of(name)]
)  # fmt: skip


@cache
def _question_words() -> frozenset[str]:
    """Return the words of the agent's own questions and of sites. A label made only of these echoes the question."""
    questions = (
        describe_question(None),
        one_prompt_question(None),
        diagnose_question(None, "", [SimilarCaseText("", "")]),
    )
    return frozenset(words_of(" ".join((*questions, DIAGNOSIS_START, RATIONALE_START))) + _OTHER_WORDS)


def clean_label(text: str, question: str | None = None) -> str:
    """Return the diagnosis in a text as one line of printable characters, or an empty string if it holds none.

    A text is not a diagnosis if it is longer than 120 characters, repeats itself, has no two letters in a row, declines
    to answer ("unknown", "yes"), or only repeats what it was asked: the template's marks, the words of the agent's
    questions, or a part of the user's ``question``.
    """
    bare = _MARKS.sub(" ", without_marks(text))
    label = " ".join("".join(c if c.isprintable() else " " for c in bare).split())
    label = _START.sub("", label).strip(" :;,-–")
    return "" if len(label) > _LONGEST or _is_no_diagnosis(label, question) else label


def is_in_vocabulary(label: str, card: Card) -> bool:
    """Return whether a model was trained to write a label, by its card.

    A small model mixes words: "malignant tumour of the cell carcinoma" is not a candidate. If the card has no
    vocabulary, every label is accepted.
    """
    listed = [*(label for labels in card.labels.values() for label in labels), *card.vocabulary]
    return not card.vocabulary or normalised_label(label) in {
        normalised_label(name) for name in (*listed, card.unknown_label or "")
    }


def site_labels(labels: dict[str, list[str]], site: str | None) -> list[str]:
    """Return the diagnoses that the card lists for a site, or for all sites if the site is ``None``."""
    if site is None:
        return [label for of_site in labels.values() for label in of_site]
    return labels.get(site, [])


def _is_no_diagnosis(label: str, question: str | None) -> bool:
    words = words_of(label)
    return (
        not _LETTERS.search(label)
        or normalised_label(label) in _REFUSALS
        or bool(_STUTTER.search(label.casefold()))
        or _repeats(words)
        or set(words) <= _question_words()
        or _echoes(label, question)
    )


def _repeats(words: list[str]) -> bool:
    """Return whether one or two words stand twice in a row, or a long text has few different words."""
    runs = any(
        words[i : i + n] == words[i + n : i + 2 * n] for n in (1, 2) for i in range(len(words) - 2 * n + 1)
    )
    whole = any(words == words[:n] * (len(words) // n) for n in range(1, len(words) // 2 + 1))
    return runs or whole or (len(words) > 6 and len(set(words)) <= len(words) / 2)


def _echoes(label: str, question: str | None) -> bool:
    """Return whether a label only repeats the question; "chordoma" may answer "Is this a chordoma?"."""
    question_words, label_words = (f" {' '.join(words_of(text))} " for text in (question or "", label))
    return label_words in question_words and not names_disease(label)
