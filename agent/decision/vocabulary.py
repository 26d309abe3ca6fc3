"""The check whether labels are terms of pathology: a model may write words that do not exist."""

from __future__ import annotations

from collections.abc import Callable, Collection
from typing import TYPE_CHECKING

from videopath.core.pathology.labels import normalised_label
from videopath.core.pathology.terms import is_term, names_disease, words_of
from videopath.tools.diagnose import NO_DIAGNOSIS
from videopath.tools.schemas import Candidate, DiagnoseResult

if TYPE_CHECKING:
    from videopath.model.card import Card

_WRITTEN = {"model", "sample"}  # the support of a candidate that only the model wrote


def mark_unknown_terms(
    result: DiagnoseResult, card: Card, base_diagnoses: Callable[[], Collection[str]]
) -> DiagnoseResult:
    """Return the diagnosis; its candidates that are not known terms are marked with ``known_term=False``.

    Known terms are the labels of the card, the entities, the diagnoses of the knowledge base, and names that consist of
    known words.

    Args:
        result: The diagnosis.
        card: The model's card.
        base_diagnoses: Returns the diagnoses of the knowledge base; called only if it matters.
    """
    differential = [_marked(candidate, card, base_diagnoses) for candidate in result.differential]
    return result.model_copy(update={"differential": differential})


def is_known(label: str, card: Card, base_diagnoses: Callable[[], Collection[str]]) -> bool:
    """Return whether a label is a known term; see :func:`mark_unknown_terms`."""
    from videopath.core.pathology.entities import entity_of

    listed = [
        *(name for names in card.labels.values() for name in names),
        card.unknown_label or "",
        NO_DIAGNOSIS,
    ]
    if normalised_label(label) in map(normalised_label, listed) or _is_term(label) or entity_of(label):
        return True
    names = [*listed, *base_diagnoses()]
    words = {word for name in names for word in words_of(name)}
    return normalised_label(label) in map(normalised_label, names) or _is_term(label, words)


def _is_term(label: str, more: Collection[str] = ()) -> bool:
    """Return whether all words are known, and one of them names a disease or a tissue."""
    return is_term(label, more) and names_disease(label)


def _marked(candidate: Candidate, card: Card, base_diagnoses: Callable[[], Collection[str]]) -> Candidate:
    if not set(candidate.support) <= _WRITTEN or is_known(candidate.label, card, base_diagnoses):
        return candidate
    return candidate.model_copy(update={"known_term": False})
