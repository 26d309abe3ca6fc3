"""Which labels are terms of pathology: a model may write words that do not exist."""

from __future__ import annotations

from collections.abc import Callable, Collection
from typing import TYPE_CHECKING

from videopath.core.pathology.labels import normalised_label
from videopath.core.pathology.terms import is_term, names_disease, words_of
from videopath.tools.diagnose import NO_DIAGNOSIS
from videopath.tools.schemas import Candidate, DiagnoseResult

if TYPE_CHECKING:
    from videopath.model.inference.engine import Card

_WRITTEN = {"model", "sample"}  # support of a candidate that nobody but the model has named


def with_known_terms(
    result: DiagnoseResult, card: Card, learned: Callable[[], Collection[str]]
) -> DiagnoseResult:
    """A diagnosis, its candidates marked that are no known terms.

    Known are the labels of the card, the entities of the evaluation, the diagnoses of the knowledge base (``learned``,
    asked only where it matters) and what is made of known words.
    """
    differential = [_marked(candidate, card, learned) for candidate in result.differential]
    return result.model_copy(update={"differential": differential})


def is_known(label: str, card: Card, learned: Callable[[], Collection[str]]) -> bool:
    """Whether a label is a known term."""
    from videopath.core.pathology.entities import entity_of

    listed = [
        *(name for names in card.labels.values() for name in names),
        card.unknown_label or "",
        NO_DIAGNOSIS,
    ]
    if normalised_label(label) in map(normalised_label, listed) or _is_term(label) or entity_of(label):
        return True
    names = [*listed, *learned()]
    words = {word for name in names for word in words_of(name)}
    return normalised_label(label) in map(normalised_label, names) or _is_term(label, words)


def _is_term(label: str, more: Collection[str] = ()) -> bool:
    """Whether its words are known, and one of them says what it is."""
    return is_term(label, more) and names_disease(label)


def _marked(candidate: Candidate, card: Card, learned: Callable[[], Collection[str]]) -> Candidate:
    if not set(candidate.support) <= _WRITTEN or is_known(candidate.label, card, learned):
        return candidate
    return candidate.model_copy(update={"known_term": False})
