"""Context rules: which records that a search found become evidence.

How many become evidence follows from their scores, not from a fixed number. Each rule can be switched off (see
:class:`ContextRules`); ``videopath evaluate retrieval`` measures what each rule is worth.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from pydantic import BaseModel, ConfigDict, Field

from videopath.core.choices import STORED_VIEWS, VIEWS, View
from videopath.core.pathology.labels import normalised_label
from videopath.core.privacy.paths import screened_label
from videopath.tools.schemas import Neighbour

if TYPE_CHECKING:
    from videopath.knowledge import Hit
    from videopath.knowledge.query import ViewWeights


class ContextRules(BaseModel):
    """The rules by which a record becomes evidence."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    least: float = Field(
        0.25, ge=0, le=1, description="least cosine; below it two cases have nothing in common; 0: off"
    )
    ratio: float = Field(0.75, ge=0, le=1, description="least fit, as a share of the best fit; 0: off")
    gap: float = Field(
        0.15, gt=0, le=1, description="drop in fit from one record to the next that ends the list; 1: off"
    )
    copy_words: float = Field(
        0.8,
        gt=0,
        description="share of common words from which two cases of one diagnosis are copies; above 1: off",
    )
    rival: float = Field(
        0.95,
        gt=0,
        description="fit, as a share of the best fit, from which a second diagnosis is always kept; above 1: off",
    )


def neighbours_of(
    hits: Sequence[Hit], site: str | None, limit: int, rules: ContextRules | None = None
) -> list[Neighbour]:
    """Return the hits as neighbours, in their order, each with the reason why it is evidence or not.

    Args:
        hits: The hits of a search, best first.
        site: The canonical site of the case. Records of another site are never evidence; a record without a site fits
            every site.
        limit: How many neighbours are evidence at most.
        rules: The context rules; ``None`` uses the default rules.

    Returns:
        The first ``limit`` hits, and later hits that are evidence: the hit that fits best, by which the others are
        measured, and a rival.
    """
    rules = rules or ContextRules()
    fits = fit_of(hits, site)
    reasons = _refusals(hits, fits, site, rules)
    kept, rival = _evidence(hits, fits, reasons, site, limit, rules)
    listed = sorted({*range(min(limit, len(hits))), *kept})
    return [
        _neighbour(hits[index], index in kept, _why(index, kept, rival, reasons, fits)) for index in listed
    ]


def fit_of(hits: Sequence[Hit], site: str | None = None, weights: ViewWeights | None = None) -> list[float]:
    """Return how well each hit fits, in [0, 1].

    The fit is the weighted mean over the text and image views of the hit's cosine, divided by the best cosine of that
    view at the site. 1 means best in every view, 0 means unlike in all of them.
    """
    weights = weights or _default_weights()
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
    """Return a record's rank in each view, such as "text 3, image 1, lexical –"; empty if no rank is known."""
    return ", ".join(f"{view} {ranks.get(view, '–')}" for view in VIEWS) if ranks else ""


def same_site(hit: Hit, site: str | None) -> bool:
    """Return whether a hit is of the site. A record without a site fits every site."""
    return not site or not hit.record.site or hit.record.site == site


def _refusals(
    hits: Sequence[Hit], fits: Sequence[float], site: str | None, rules: ContextRules
) -> dict[int, str]:
    """Return index of a hit → why it is not evidence."""
    reasons: dict[int, str] = {}
    for index, (hit, fit) in enumerate(zip(hits, fits, strict=True)):
        if not same_site(hit, site):
            reasons[index] = f"from another site: {hit.record.site}"
        elif not _usable(hit, site, rules):
            reasons[index] = f"too far: similarity {_nearest(hit):.2f}, {rules.least:.2f} is needed"
        elif fit < rules.ratio:
            reasons[index] = f"too far: {_fit(fit)}, {rules.ratio:.2f} is needed"
    remaining = sorted((fits[index] for index in range(len(hits)) if index not in reasons), reverse=True)
    edge = next(
        (high for high, low in zip(remaining, remaining[1:], strict=False) if high - low > rules.gap), None
    )
    for index, fit in enumerate(fits):
        if edge is not None and index not in reasons and fit < edge:
            reasons[index] = f"behind a gap: {_fit(fit)}, the one before has {edge:.2f}"
    originals: list[int] = []
    for index, hit in enumerate(hits):
        if index in reasons:
            continue
        twin = next((other for other in originals if _are_copies(hits[other], hit, rules.copy_words)), None)
        if twin is None:
            originals.append(index)
        else:
            reasons[index] = f"nearly the same as {hits[twin].record.id}"
    return reasons


def _are_copies(one: Hit, other: Hit, shared: float) -> bool:
    """Return whether two hits of one diagnosis are the same case: same source, patient or group, or similar words.

    Words alone do not count if both have pictures: the descriptions of one laboratory often follow a template.
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


def _evidence(
    hits: Sequence[Hit],
    fits: Sequence[float],
    reasons: dict[int, str],
    site: str | None,
    limit: int,
    rules: ContextRules,
) -> tuple[list[int], int | None]:
    """Return the indices of the evidence, rising, and the index of a rival that the other rules had left out."""
    usable = [index for index in range(len(hits)) if index not in reasons]
    if not usable or limit < 1:
        return [], None
    best = max(usable, key=lambda index: fits[index])
    kept = _filled_up([best], usable, limit)
    rival = _rival(hits, fits, kept, site, rules) if limit > 1 else None
    return (kept, None) if rival is None else (_filled_up([best, rival], usable, limit), rival)


def _filled_up(certain: Sequence[int], usable: Sequence[int], limit: int) -> list[int]:
    """Return up to ``limit`` indices, rising: the certain ones, and the first of the others."""
    others = [index for index in usable if index not in certain]
    return sorted([*certain, *others[: limit - len(certain)]])


def _rival(
    hits: Sequence[Hit], fits: Sequence[float], kept: Sequence[int], site: str | None, rules: ContextRules
) -> int | None:
    """Return the first hit of a second diagnosis that fits nearly as well, if all evidence has one diagnosis."""
    labels = {normalised_label(hits[index].record.diagnosis) for index in kept}
    if len(labels) != 1 or rules.rival > 1:
        return None
    needed = rules.rival * max(fits[index] for index in kept)
    return next(
        (
            index
            for index, hit in enumerate(hits)
            if _usable(hit, site, rules)
            and fits[index] >= needed
            and normalised_label(hit.record.diagnosis) not in labels
        ),
        None,
    )


def _usable(hit: Hit, site: str | None, rules: ContextRules) -> bool:
    return same_site(hit, site) and (not rules.least or _nearest(hit) >= rules.least)


def _nearest(hit: Hit) -> float:
    return max((hit.scores[view] for view in STORED_VIEWS if view in hit.scores), default=0.0)


def _why(
    index: int, kept: Sequence[int], rival: int | None, reasons: dict[int, str], fits: Sequence[float]
) -> str:
    if index == rival:
        return f"a second diagnosis that fits nearly as well: {_fit(fits[index])}"
    if index in kept:
        return f"fits: {_fit(fits[index])}"
    return reasons.get(index, "enough others fit")


def _neighbour(hit: Hit, kept: bool, why: str) -> Neighbour:
    record = hit.record
    return Neighbour(
        id=record.id,
        source=screened_label(record.source),
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


def _default_weights() -> ViewWeights:
    from videopath.knowledge.query import ViewWeights

    return ViewWeights()


def _fit(value: float) -> str:
    return f"{value:.2f} of the best fit"


def _words(text: str) -> frozenset[str]:
    return frozenset(re.findall(r"\w+", text.casefold()))
