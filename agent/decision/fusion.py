"""Fusion of the model's differential with the similar cases' vote.

If both know the same diagnoses, they are fused as model^a × cases^b, with exponents that were fitted for this model. If
the cases have diagnoses that the model does not know, its probabilities cannot judge them. Then the cases lead if they
vouch for their answer, or if the model's label is not on its card for this site; else the model leads.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from videopath.core.pathology.labels import normalised_label
from videopath.core.pathology.sites import canonical_site
from videopath.model.calibration import Calibration, FusionExponents
from videopath.tools.answers.labels import NO_DIAGNOSIS
from videopath.tools.schemas import Candidate, CasesVote, DiagnoseResult

if TYPE_CHECKING:
    from videopath.model.card import Card

Basis = Literal["model", "cases", "fused"]
"""What orders the candidates of a differential."""
CASES = "cases"

MIN_PROBABILITY = 1e-4
"""The probability of a candidate that only the model or only the cases have."""


@dataclass(frozen=True)
class FusedDiagnosis:
    """A diagnosis by the model and the similar cases together."""

    final: DiagnoseResult
    basis: Basis

    @property
    def of_model(self) -> str:
        """The model's own first candidate; empty if it has none."""
        return _first(self.final, "of_model")

    @property
    def by(self) -> str:
        """Whose first candidate the label is: "by the model", "by the cases", "by both" or "by neither alone"."""
        first = {name: _first(self.final, name) for name in ("of_model", "of_cases")}
        named = [
            who
            for name, who in (("of_model", "the model"), ("of_cases", "the cases"))
            if normalised_label(first[name]) == normalised_label(self.final.label)
        ]
        return "by both" if len(named) == 2 else f"by {named[0]}" if named else "by neither alone"


def fuse(
    final: DiagnoseResult,
    vote: CasesVote | None,
    site: str | None,
    card: Card,
    calibration: Mapping[str, float] | None = None,
) -> FusedDiagnosis:
    """Fuse the model's diagnosis with the similar cases' vote.

    Args:
        final: The model's diagnosis.
        vote: The vote; None leaves the model's diagnosis as it is.
        site: The canonical site; None if it was not given.
        card: The model's card.
        calibration: What was fitted for this model together with these cases; empty or None uses the card's.
    """
    of_model = [
        candidate.model_copy(update={"of_model": candidate.probability}) for candidate in final.differential
    ]
    if vote is None:
        return FusedDiagnosis(final.model_copy(update={"differential": of_model}), "model")
    candidates = _with_cases(of_model, vote)
    own = Calibration(calibration or {}).exponents
    basis = "fused" if own else _basis(final, vote, site, card)
    probabilities = _probabilities(candidates, basis, own or Calibration(card.calibration).exponents)
    ordered = sorted(
        (c.model_copy(update={"probability": p}) for c, p in zip(candidates, probabilities, strict=True)),
        key=lambda candidate: (candidate.other_organ, -candidate.probability, -(candidate.of_cases or 0.0)),
    )
    # If the model leads, its own "no diagnosis" (another organ, or none written) stays.
    label = final.label if basis == "model" else ordered[0].label
    update = {
        "differential": ordered,
        "label": label,
        "foreign": final.foreign if label == NO_DIAGNOSIS else "",
        "generated_differs": normalised_label(final.generated) != normalised_label(label),
    }
    return FusedDiagnosis(final.model_copy(update=update), basis)


def _basis(final: DiagnoseResult, vote: CasesVote, site: str | None, card: Card) -> Basis:
    """Return what orders the candidates: the cases lead if they vouch, or if the card does not know the model's label."""
    known = (
        {normalised_label(label) for label in card.labels.get(canonical_site(site), [])} if site else set()
    )
    comparable = bool(site) and {normalised_label(label) for label in vote.shares} <= known
    if comparable and Calibration(card.calibration).exponents:
        return "fused"
    model_knows = not (site and card.labels) or normalised_label(final.label) in known
    return "cases" if vote.vouches or not model_knows else "model"


def _with_cases(of_model: list[Candidate], vote: CasesVote) -> list[Candidate]:
    """Return the model's candidates with their shares of the vote, then those that only the cases have."""
    shares = {normalised_label(label): share for label, share in vote.shares.items()}
    named = {normalised_label(candidate.label) for candidate in of_model}
    both = [
        c.model_copy(
            update={
                "of_cases": shares[normalised_label(c.label)],
                "support": list(dict.fromkeys([*c.support, CASES])),
            }
        )
        if normalised_label(c.label) in shares
        else c
        for c in of_model
    ]
    alone = [
        Candidate(label=label, probability=0.0, support=[CASES], of_cases=share)
        for label, share in vote.shares.items()
        if normalised_label(label) not in named
    ]
    return [*both, *alone]


def _probabilities(
    candidates: list[Candidate], basis: Basis, exponents: FusionExponents | None
) -> list[float]:
    """Return the candidates' probabilities in the fused differential; they sum to 1."""
    if basis == "model":
        return [candidate.probability for candidate in candidates]
    if basis == "cases" or exponents is None:
        return [candidate.of_cases or 0.0 for candidate in candidates]
    weights = [
        0.0
        if candidate.other_organ
        else max(candidate.of_model or 0.0, MIN_PROBABILITY) ** exponents.model
        * max(candidate.of_cases or 0.0, MIN_PROBABILITY) ** exponents.cases
        for candidate in candidates
    ]
    return [weight / sum(weights) for weight in weights]


def _first(final: DiagnoseResult, name: str) -> str:
    """Return the first candidate by the field ``name``; empty if none has it."""
    known = [candidate for candidate in final.differential if getattr(candidate, name) is not None]
    return max(known, key=lambda candidate: getattr(candidate, name)).label if known else ""
