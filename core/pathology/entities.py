"""Diagnoses as an evaluation compares them: other names of an entity are equal to it, its parents count half.

The table is ``entities.yaml`` beside this module. A diagnosis that is not in it is compared by its words alone.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from functools import cache
from importlib.resources import files

import yaml
from pydantic import BaseModel, ConfigDict, TypeAdapter

PARENT = 0.5
"""What a parent of the true entity is worth."""

_SPELLINGS = (
    (r"tumour", "tumor"), (r"leukaemia", "leukemia"), (r"haemangioma", "hemangioma"), (r"oesophag", "esophag"),
    (r"\bgrey\b", "gray"), (r"hodgkin's", "hodgkin"), (r"crohn's", "crohn"), (r"\b(the|a|an)\b", " "), (r"[\s_‐-]+", " "),
)  # fmt: skip
_DIAGNOSIS = re.compile(r"diagnosis\s*(?:is|:)\s*", re.IGNORECASE)
_DENIED = re.compile(
    r"\b(no|not|without|negative for|rather than|rule out|ruled out|exclude[sd]?)\b[^.;:]{0,40}$"
)


class _Entity(BaseModel):
    model_config = ConfigDict(extra="forbid")

    also: tuple[str, ...] = ()
    kinds: dict[str, _Entity] = {}


def entity_of(diagnosis: str) -> str | None:
    """The entity's own name in the table; none where the table does not hold it."""
    return _names().get(_plain(diagnosis))


def comparable_name(diagnosis: str) -> str:
    """The entity's own name; of a diagnosis that is not in the table its words, evened out. Equal for what is worth 1."""
    return entity_of(diagnosis) or _plain(diagnosis)


def parents_of(entity: str) -> tuple[str, ...]:
    """What an entity is a kind of, from the nearest to the widest."""
    return _parents()[entity]


def credit(said: str, truth: str) -> float:
    """1 for the same entity, :data:`PARENT` for one that the true one is a kind of, else 0."""
    if _plain(said) == _plain(truth):
        return 1.0
    one, other = entity_of(said), entity_of(truth)
    if one is None or other is None:
        return 0.0
    if one == other:
        return 1.0
    return PARENT if one in parents_of(other) else 0.0


def find_diagnosis(text: str) -> str:
    """The diagnosis that a free answer names: behind "diagnosis:" where that stands, else anywhere; empty for none.

    The longest name counts, of equally long ones the first. What is denied ("no evidence of malignancy") is no mention.
    """
    marks = list(_DIAGNOSIS.finditer(text))
    for part in [text[marks[-1].end() :], text] if marks else [text]:
        plain = _plain(part)
        found = [
            (len(name), -hit.start(), entity)
            for name, entity in _names().items()
            for hit in re.finditer(rf"(?<!\w){re.escape(name)}(?!\w)", plain)
            if not _DENIED.search(plain[: hit.start()])
        ]
        if found:
            return max(found)[2]
    return ""


def _plain(text: str) -> str:
    plain = text.casefold()
    for spelling, even in _SPELLINGS:
        plain = re.sub(spelling, even, plain)
    return plain.strip(" .,;:")


@cache
def _table() -> list[tuple[str, _Entity, tuple[str, ...]]]:
    text = files("videopath.core.pathology").joinpath("entities.yaml").read_text(encoding="utf-8")
    top = TypeAdapter(dict[str, _Entity]).validate_python(yaml.safe_load(text))
    return list(_walked(top, ()))


def _walked(
    level: dict[str, _Entity], above: tuple[str, ...]
) -> Iterator[tuple[str, _Entity, tuple[str, ...]]]:
    for name, entity in level.items():
        yield name, entity, above
        yield from _walked(entity.kinds, (name, *above))


@cache
def _names() -> dict[str, str]:
    """Every name, evened out → the entity's own."""
    return {_plain(name): own for own, entity, _ in _table() for name in (own, *entity.also)}


@cache
def _parents() -> dict[str, tuple[str, ...]]:
    return {own: above for own, _, above in _table()}
