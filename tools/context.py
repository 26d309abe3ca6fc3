"""Which of the records that were found become evidence: how many follows from their scores, not from a constant.

Each rule can be switched off by itself (see :class:`ContextRules`); ``videopath evaluate retrieval`` measures what each
is worth.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from pydantic import BaseModel, ConfigDict, Field

from videopath.core.choices import STORED_VIEWS, View
from videopath.core.pathology.labels import normalised_label
from videopath.tools.schemas import Neighbour

if TYPE_CHECKING:
    from videopath.knowledge import Hit
    from videopath.knowledge.query import ViewWeights


class ContextRules(BaseModel):
    """When a record is evidence."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    least: float = Field(
        0.25, ge=0, le=1, description="cosine below which two cases have nothing in common; 0: off"
    )
    ratio: float = Field(0.75, ge=0, le=1, description="fit that is needed, of the best one's; 0: off")
    gap: float = Field(
        0.15, gt=0, le=1, description="fall in fit from one record to the next that ends the list; 1: off"
    )
    copy_words: float = Field(
        0.8, gt=0, description="shared words from which two of one diagnosis are copies; above 1: off"
    )
    rival: float = Field(
        0.95,
        gt=0,
        description="fit, of the best one's, with which a second diagnosis is kept in any case; above 1: off",
    )


def neighbours_of(
    hits: Sequence[Hit], site: str | None, most: int, rules: ContextRules | None = None
) -> list[Neighbour]:
    """The hits as neighbours, up to ``most`` of them evidence, and why; in their order.

    Listed are the first ``most``, and those beyond them that are evidence: the one that fits best of all, by which the
    others are measured, and a rival. Records of another site are never evidence; one without a site fits every site.
    """
    rules = rules or ContextRules()
    fits = fit_of(hits, site)
    reasons = _refusals(hits, fits, site, rules)
    kept, rival = _chosen(hits, fits, reasons, site, most, rules)
    listed = sorted({*range(min(most, len(hits))), *kept})
    return [
        _neighbour(hits[place], place in kept, _why(place, kept, rival, reasons, fits)) for place in listed
    ]


def fit_of(hits: Sequence[Hit], site: str | None = None, weights: ViewWeights | None = None) -> list[float]:
    """How well each hit fits: the mean, by the views' weights, of its cosine over the best one's of the site.

    1 is the best in every view with vectors, 0 is unlike in all of them.
    """
    weights = weights or _usual_weights()
    near = [hit for hit in hits if same_site(hit, site)]
    best = {
        view: max((hit.scores[view] for hit in near if view in hit.scores), default=0.0)
        for view in STORED_VIEWS
    }

    def fit(hit: Hit) -> float:
        known = [view for view in STORED_VIEWS if view in hit.scores and best[view] > 0 and weights.of(view)]
        total = sum(weights.of(view) for view in known)
        shares = (weights.of(view) * min(1.0, max(0.0, hit.scores[view] / best[view])) for view in known)
        return sum(shares) / total if known else 0.0

    return [fit(hit) for hit in hits]


def ranks_in_words(ranks: Mapping[str, int] | Mapping[View, int]) -> str:
    """A record's rank in each view: "text 3, image 1, lexical –"; empty where none is known."""
    return ", ".join(f"{view} {ranks.get(view, '–')}" for view in VIEWS) if ranks else ""


def same_site(hit: Hit, site: str | None) -> bool:
    """A record without a site fits every site."""
    return not site or not hit.record.site or hit.record.site == site


def _refusals(
    hits: Sequence[Hit], fits: Sequence[float], site: str | None, rules: ContextRules
) -> dict[int, str]:
    """Place → why the hit is no evidence."""
    reasons: dict[int, str] = {}
    for place, (hit, fit) in enumerate(zip(hits, fits, strict=True)):
        if not same_site(hit, site):
            reasons[place] = f"from another site: {hit.record.site}"
        elif not _usable(hit, site, rules):
            reasons[place] = f"too far: similarity {_nearest(hit):.2f}, {rules.least:.2f} is needed"
        elif fit < rules.ratio:
            reasons[place] = f"too far: {_fit(fit)}, {rules.ratio:.2f} is needed"
    left = sorted((fits[place] for place in range(len(hits)) if place not in reasons), reverse=True)
    edge = next((high for high, low in zip(left, left[1:], strict=False) if high - low > rules.gap), None)
    for place, fit in enumerate(fits):
        if edge is not None and place not in reasons and fit < edge:
            reasons[place] = f"behind a gap: {_fit(fit)}, the one before has {edge:.2f}"
    first: list[int] = []
    for place, hit in enumerate(hits):
        if place in reasons:
            continue
        twin = next((other for other in first if _copies(hits[other], hit, rules.copy_words)), None)
        if twin is None:
            first.append(place)
        else:
            reasons[place] = f"nearly the same as {hits[twin].record.id}"
    return reasons


def _copies(one: Hit, other: Hit, shared: float) -> bool:
    """Whether two hits of one diagnosis say the same twice: of one source, patient or group, or in the same words.

    Where both have pictures words alone are no sign: a laboratory's descriptions are often a template.
    """
    first, second = one.record, other.record
    if shared > 1 or normalised_label(first.diagnosis) != normalised_label(second.diagnosis):
        return False
    if first.source == second.source:
        return True
    if any(
        getattr(first, name) and getattr(first, name) == getattr(second, name)
        for name in ("patient", "group")
    ):
        return True
    if "image" in one.scores and "image" in other.scores:
        return False
    words, others = _words(first.description), _words(second.description)
    return bool(words | others) and len(words & others) >= shared * len(words | others)


def _chosen(
    hits: Sequence[Hit],
    fits: Sequence[float],
    reasons: dict[int, str],
    site: str | None,
    most: int,
    rules: ContextRules,
) -> tuple[list[int], int | None]:
    """The places of the evidence, rising, and that of a rival among them which the other rules had left out."""
    usable = [place for place in range(len(hits)) if place not in reasons]
    if not usable or most < 1:
        return [], None
    best = max(usable, key=lambda place: fits[place])
    kept = _first([best], usable, most)
    rival = _rival(hits, fits, kept, site, rules) if most > 1 else None
    return (kept, None) if rival is None else (_first([best, rival], usable, most), rival)


def _first(certain: Sequence[int], usable: Sequence[int], most: int) -> list[int]:
    """``most`` places: those that are certain, then the first of the others."""
    others = [place for place in usable if place not in certain]
    return sorted([*certain, *others[: most - len(certain)]])


def _rival(
    hits: Sequence[Hit], fits: Sequence[float], kept: Sequence[int], site: str | None, rules: ContextRules
) -> int | None:
    """The first hit of a second diagnosis that fits nearly as well as the best, where all evidence has one diagnosis."""
    labels = {normalised_label(hits[place].record.diagnosis) for place in kept}
    if len(labels) != 1 or rules.rival > 1:
        return None
    needed = rules.rival * max(fits[place] for place in kept)
    return next(
        (
            place
            for place, hit in enumerate(hits)
            if _usable(hit, site, rules)
            and fits[place] >= needed
            and normalised_label(hit.record.diagnosis) not in labels
        ),
        None,
    )


def _usable(hit: Hit, site: str | None, rules: ContextRules) -> bool:
    return same_site(hit, site) and (not rules.least or _nearest(hit) >= rules.least)


def _nearest(hit: Hit) -> float:
    return max((hit.scores[view] for view in STORED_VIEWS if view in hit.scores), default=0.0)


def _why(
    place: int, kept: Sequence[int], rival: int | None, reasons: dict[int, str], fits: Sequence[float]
) -> str:
    if place == rival:
        return f"a second diagnosis that fits nearly as well: {_fit(fits[place])}"
    if place in kept:
        return f"fits: {_fit(fits[place])}"
    return reasons.get(place, "enough others fit")


def _neighbour(hit: Hit, kept: bool, why: str) -> Neighbour:
    record = hit.record
    return Neighbour(
        id=record.id,
        source=record.source,
        site=record.site,
        diagnosis=record.diagnosis,
        description=record.description,
        score=round(hit.score, 6),
        kept=kept,
        why=why,
        rank=hit.rank,
        ranks=dict(hit.ranks),
        fused=round(hit.fused, 6),
        scores={view: round(score, 6) for view, score in hit.scores.items()},
    )


def _usual_weights() -> ViewWeights:
    from videopath.knowledge.query import ViewWeights

    return ViewWeights()


def _fit(value: float) -> str:
    return f"{value:.2f} of the best fit"


def _words(text: str) -> frozenset[str]:
    return frozenset(re.findall(r"\w+", text.casefold()))
