"""Several looks at one video: which one is reported, and what it means when they disagree.

A closer look that names another diagnosis does not replace the first one: the report shows both, the confidence is at
most what the looks give the label on average, and a person has to decide.
"""

from __future__ import annotations

import json
from collections.abc import Sequence

from videopath.agent.cases.records import LookTaken
from videopath.agent.decision.confidence import probability_of
from videopath.agent.decision.verdict import is_no_diagnosis
from videopath.agent.graph.state import Look
from videopath.core.pathology.labels import normalised_label
from videopath.tools.schemas import DiagnoseResult


def best_look(looks: Sequence[Look]) -> Look:
    """The look with the highest confidence; of equals the last, which saw most. After a revision only its own count."""
    latest = [look for look in looks if look.get("revision", 0) == looks[-1].get("revision", 0)]
    return max(reversed(latest), key=lambda look: look["confidence"])


def settled_look(looks: Sequence[Look], unknown_label: str | None) -> Look:
    """The best look, its confidence lowered and the agent abstaining where another look names another diagnosis."""
    best = best_look(looks)
    named = _named(looks, unknown_label)
    label = best["final"]["label"]
    if is_no_diagnosis(label, unknown_label) or len({normalised_label(one) for one in named}) < 2:
        return best
    given = [_given(look, label) for look in _counting(looks)]
    return {
        **best,
        "confidence": min(best["confidence"], sum(given) / len(given)),
        "reasons": [f"The looks at the video disagree: {', then '.join(named)}.", *best["reasons"]],
    }


def looks_taken(looks: Sequence[Look], calibrated: bool) -> list[LookTaken]:
    """What each look said, in order. ``calibrated``: of looks from before each said it of itself."""
    best = best_look(looks)
    return [
        LookTaken(
            diagnosis=look["final"]["label"],
            probability=probability_of(look["final"]["label"], DiagnoseResult(**look["final"]).differential),
            confidence=look["confidence"] if look.get("calibrated", calibrated) else None,
            start=look["request"]["start"],
            end=look["request"]["end"],
            crop=look["request"]["crop"],
            reported=look is best,
            revision=look.get("revision", 0),
        )
        for look in looks
    ]


def _counting(looks: Sequence[Look]) -> list[Look]:
    """The latest look at each part of the video: a person's correction stands in for what was there before."""
    return list({json.dumps(look["request"]): look for look in looks}.values())


def _named(looks: Sequence[Look], unknown_label: str | None) -> list[str]:
    """The diagnoses of the looks that count, in order; a look that found none contradicts nothing."""
    labels = [look["final"]["label"] for look in _counting(looks)]
    return [label for label in labels if not is_no_diagnosis(label, unknown_label)]


def _given(look: Look, label: str) -> float:
    """How much a look gives a label: its confidence where it is its own, else the probability in its differential."""
    if normalised_label(look["final"]["label"]) == normalised_label(label):
        return look["confidence"]
    return probability_of(label, DiagnoseResult(**look["final"]).differential)
