"""Several looks at one video: which one the report rests on, and what it means if they disagree.

A closer look with another diagnosis does not replace the first one. The report shows both, the confidence is at most
the mean of what the looks give the label, and a person has to decide.
"""

from __future__ import annotations

import json
from collections.abc import Sequence

from videopath.agent.cases.records import LookTaken
from videopath.agent.decision.confidence import probability_of
from videopath.agent.decision.verdict import is_no_diagnosis
from videopath.agent.graph.view import LookView, StateView
from videopath.core.pathology.labels import normalised_label


def best_look(looks: Sequence[LookView]) -> LookView:
    """Return the look with the highest confidence.

    On ties, return the latest look, which saw most. After a revision, only the looks since it count. If a second model
    contradicts one of the looks, a look without objections comes first: the contradicted look may have had more
    confidence, and the closer look was taken to settle it.
    """
    latest = [look for look in looks if look.revision == looks[-1].revision]
    if any(look.is_contradicted for look in latest):
        latest = [look for look in latest if not look.reasons] or latest
    return max(reversed(latest), key=lambda look: look.confidence)


def settled_look(case: StateView) -> LookView:
    """Return the best look of a case.

    If another look has another diagnosis, the confidence is lowered and the agent abstains on it.
    """
    best, unknown_label = best_look(case.looks), case.unknown_label
    diagnoses = _diagnoses(case.looks, unknown_label)
    if is_no_diagnosis(best.label, unknown_label) or len(set(map(normalised_label, diagnoses))) < 2:
        return best
    supports = [_support(look, best.label) for look in _latest_of_each_part(case.looks)]
    return LookView(
        {
            **best.data,
            "confidence": min(best.confidence, sum(supports) / len(supports)),
            "reasons": [f"The looks at the video disagree: {', then '.join(diagnoses)}.", *best.reasons],
        },
        best.model_is_calibrated,
    )


def looks_taken(looks: Sequence[LookView]) -> list[LookTaken]:
    """Return the report's record of each look, in order."""
    best = best_look(looks)
    return [
        LookTaken(
            diagnosis=look.label,
            probability=probability_of(look.label, look.final.differential),
            confidence=look.confidence if look.is_calibrated else None,
            start=look.request.start,
            end=look.request.end,
            crop=look.request.crop,
            reported=look is best,
            revision=look.revision,
            second_opinion=look.second.label if look.second else "",
            writing=_writing(look) if look.request != looks[0].request else "",
        )
        for look in looks
    ]


def _writing(look: LookView) -> str:
    """Return what writing a look's frames had, in a sentence; empty if there was none."""
    found = look.described.frames.writing
    return found.sentence if found is not None and found.writings else ""


def _latest_of_each_part(looks: Sequence[LookView]) -> list[LookView]:
    """Return the latest look at each part of the video: a person's correction replaces what was there before."""
    return list({json.dumps(look.data["request"]): look for look in looks}.values())


def _diagnoses(looks: Sequence[LookView], unknown_label: str | None) -> list[str]:
    """Return the diagnoses of the looks that count, in order; a look without a diagnosis contradicts nothing."""
    labels = [look.label for look in _latest_of_each_part(looks)]
    return [label for label in labels if not is_no_diagnosis(label, unknown_label)]


def _support(look: LookView, label: str) -> float:
    """Return what a look gives a label: its confidence if the label is its own, else the label's probability."""
    if normalised_label(look.label) == normalised_label(label):
        return look.confidence
    return probability_of(label, look.final.differential)
