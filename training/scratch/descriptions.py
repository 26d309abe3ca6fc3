"""The texts that nano learns: descriptions of measured attributes and facts, and rationales.

Cellularity, crowding, eosin, open space, stain and power in a description are measured on the frames that the model
sees. Only the facts come from the entity.
"""

from __future__ import annotations

from functools import cache
from importlib.resources import files

import numpy as np
import yaml

from videopath.media.quality.attributes import SCALES, Attributes


@cache
def _facts() -> dict[str, dict[str, list]]:
    return yaml.safe_load(
        files("videopath.training.scratch").joinpath("facts.yaml").read_text(encoding="utf-8")
    )


def _entity(diagnosis: str) -> dict[str, list]:
    """Facts and rationales of a diagnosis; an atlas diagnosis ("benign lesion of the colon") has those of its category."""
    return _facts().get(diagnosis) or _facts()[diagnosis.split(" of the ")[0]]


def describe_attributes(measured: Attributes, rng: np.random.Generator) -> str:
    """Return two sentences that name the level of each measured attribute; the wording of each is drawn."""
    phrases = [_pick(scale.words[scale.level(getattr(measured, scale.attribute))], rng) for scale in SCALES]
    power, cells, nuclei, stain, eosin, space = phrases
    return f"A {power} of a field {cells}, with {nuclei}. The picture shows {stain}, {eosin} and {space}."


def describe(diagnosis: str, measured: Attributes, rng: np.random.Generator) -> str:
    """Return a whole description: the attributes, then two or three facts of the entity in any order."""
    facts = _entity(diagnosis)["facts"]
    chosen = rng.permutation(len(facts))[: int(rng.integers(2, 4))]
    return " ".join([describe_attributes(measured, rng), *(_pick(facts[i], rng) for i in chosen)])


def typical(diagnosis: str) -> list[str]:
    """Return all wordings of the facts of a diagnosis: they are typical of it, whatever the picture shows."""
    return [wording for fact in _entity(diagnosis)["facts"] for wording in fact]


def rationale(diagnosis: str, rng: np.random.Generator) -> str:
    """Return one sentence that says why the diagnosis follows."""
    return _pick(_entity(diagnosis)["rationale"], rng)


def every_sentence() -> list[str]:
    """Return all wordings of facts, rationales and attributes, for the tokenizer."""
    entities = _facts().values()
    return [
        *(wording for entity in entities for fact in entity["facts"] for wording in fact),
        *(wording for entity in entities for wording in entity["rationale"]),
        *(wording for scale in SCALES for level in scale.words for wording in level),
    ]


def agreement(text: str, measured: Attributes) -> dict[str, bool]:
    """Return for each attribute whether the text names the measured level; a text without a level is wrong."""
    return {s.attribute: s.spoken_level(text) == s.level(getattr(measured, s.attribute)) for s in SCALES}


def _pick(options: tuple[str, ...] | list[str], rng: np.random.Generator) -> str:
    return options[int(rng.integers(len(options)))]
