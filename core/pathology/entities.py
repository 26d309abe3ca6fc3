"""Diagnoses as evaluations compare them: names of one entity count as equal, a parent of the true entity counts half.

The table is ``entities.yaml`` beside this module. A diagnosis that is not in the table is compared by its normalised text.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from functools import cache
from importlib.resources import files

import yaml
from pydantic import BaseModel, ConfigDict, TypeAdapter

PARENT = 0.5
"""Credit for a parent of the true entity."""

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
    """Return the entity's own name, or None if the table does not contain the diagnosis."""
    return _names().get(_normalised(diagnosis))


def comparable_name(diagnosis: str) -> str:
    """Return the entity's own name, or the normalised text if the table does not contain the diagnosis.

    Two diagnoses have equal comparable names exactly if :func:`credit` gives 1.
    """
    return entity_of(diagnosis) or _normalised(diagnosis)


def parents_of(entity: str) -> tuple[str, ...]:
    """Return the more general entities that an entity is a kind of, from the nearest to the widest."""
    return _parents()[entity]


def credit(diagnosis: str, truth: str) -> float:
    """Return 1 for the true entity, :data:`PARENT` for an entity that the true one is a kind of, otherwise 0."""
    if _normalised(diagnosis) == _normalised(truth):
        return 1.0
    answered, true = entity_of(diagnosis), entity_of(truth)
    if answered is None or true is None:
        return 0.0
    if answered == true:
        return 1.0
    return PARENT if answered in parents_of(true) else 0.0


def find_diagnosis(text: str) -> str:
    """Return the entity that a free answer names, or an empty text.

    If the text contains "diagnosis:" or "diagnosis is", the part after the last one is searched first, then the whole
    text. The longest name counts, and the first of equally long ones. Denied names ("no evidence of malignancy") do not
    count.
    """
    marks = list(_DIAGNOSIS.finditer(text))
    for part in [text[marks[-1].end() :], text] if marks else [text]:
        normalised = _normalised(part)
        mentions = [
            (len(name), -start, entity)
            for name, start, entity in _mentions(normalised)
            if not _DENIED.search(normalised[:start])
        ]
        if mentions:
            return max(mentions)[2]
    return ""


def named_entities(text: str) -> list[str]:
    """Return all entities that a text names, denied ones as well, each once, in the order of their first mention."""
    mentions = sorted(_mentions(_normalised(text)), key=lambda mention: mention[1])
    return list(dict.fromkeys(entity for _, _, entity in mentions))


def _mentions(normalised: str) -> Iterator[tuple[str, int, str]]:
    """Yield each mention of a name in a normalised text: the name, where it begins, and its entity."""
    for name, entity in _names().items():
        for match in re.finditer(rf"(?<!\w){re.escape(name)}(?!\w)", normalised):
            yield name, match.start(), entity


def _normalised(text: str) -> str:
    text = text.casefold()
    for pattern, replacement in _SPELLINGS:
        text = re.sub(pattern, replacement, text)
    return text.strip(" .,;:")


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
    """Every normalised name → the entity's own name."""
    return {_normalised(name): own for own, entity, _ in _table() for name in (own, *entity.also)}


@cache
def _parents() -> dict[str, tuple[str, ...]]:
    return {own: above for own, _, above in _table()}
