"""What a case's answer would be without some of the similar cases: the vote and the fusion, computed again.

No model runs. A case without a vote was only read by the model; its effect shows in a revision that drops it.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from typing import TYPE_CHECKING

from videopath.agent.decision.fusion import MIN_PROBABILITY, Basis
from videopath.core.errors import ModelError
from videopath.core.pathology.labels import normalised_label
from videopath.knowledge.voting.vote import Ballot, shares_of
from videopath.model.calibration import Calibration
from videopath.model.card import card_facts

if TYPE_CHECKING:
    from videopath.agent.cases.records import Candidate, CaseReport
    from videopath.tools.schemas import CasesVote


@dataclass(frozen=True)
class AnswerWithout:
    """The answer of a case without some of its similar cases."""

    cases: str
    """What the remaining cases would say; empty if none is left."""
    share: float
    """Its share of their vote, in [0, 1]."""
    answer: str
    """The label that would lead the differential; empty if that cannot be computed."""
    probability: float | None
    """Its probability in the differential; None if that cannot be computed."""
    basis: Basis
    """What orders the candidates of the case: the model, the cases, or both."""


def answer_without(
    vote: CasesVote, differential: list[Candidate], ids: Collection[str], basis: Basis, exponent: float | None
) -> AnswerWithout | None:
    """Return the answer without the votes of some records.

    Args:
        vote: The vote of all similar cases.
        differential: The fused candidates, best first.
        ids: The records that would be missing.
        basis: What orders the candidates.
        exponent: The exponent of the cases' share in the fusion; None if it is not known.

    Returns:
        The answer, or None if none of the records has a vote.
    """
    rest = [ballot for ballot in vote.ballots if ballot.id not in ids]
    if len(rest) == len(vote.ballots):
        return None
    shares = shares_of([Ballot(**ballot.model_dump()) for ballot in rest], vote.shares)
    leading = next(iter(shares)) if rest else ""
    said = AnswerWithout(leading, shares.get(leading, 0.0), "", None, basis)
    own = [candidate for candidate in differential if not candidate.other_organ]
    if not rest or not own or (basis == "fused" and exponent is None):
        return said
    if basis == "model":
        return AnswerWithout(leading, said.share, own[0].label, own[0].probability, basis)
    if basis == "cases":
        return AnswerWithout(leading, said.share, leading, said.share, basis)
    by_label = {normalised_label(label): share for label, share in shares.items()}
    weights = [_reweighted(candidate, by_label, exponent or 0.0) for candidate in own]
    best = max(range(len(own)), key=weights.__getitem__)
    return AnswerWithout(leading, said.share, own[best].label, weights[best] / sum(weights), basis)


def _reweighted(candidate: Candidate, shares: dict[str, float], exponent: float) -> float:
    """Return a candidate's probability with another share of the vote, before the sum is made 1."""
    before = max(candidate.of_cases or 0.0, MIN_PROBABILITY)
    after = max(shares.get(normalised_label(candidate.label), 0.0), MIN_PROBABILITY)
    return candidate.probability * (after / before) ** exponent


def fusion_of(report: CaseReport) -> tuple[Basis, float | None]:
    """Return what orders the candidates of a report, and the fitted exponent of the cases' share if it is known."""
    steps = {step.name: step.detail for step in report.steps}
    basis: Basis = steps.get("verify", {}).get("basis", "model")
    fitted = (steps.get("retrieve", {}).get("result") or {}).get("calibration") or {}
    if not fitted:
        try:
            card = card_facts(report.settings.model).card_of(str(report.provenance.get("weights", "")))
        except (ModelError, OSError):
            return basis, None
        fitted = card.calibration
    exponents = Calibration(fitted).exponents
    return basis, exponents.cases if exponents else None
