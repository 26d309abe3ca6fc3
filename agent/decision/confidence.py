"""How sure the agent may be: six features of a look, weighed by a logistic function.

The weights come from the model card (``calibration``, keys ``confidence.intercept`` and ``confidence.<feature>``),
fitted on held-out clips. A card without them gets the defaults below, which were chosen, not fitted: everything in
favour gives 0.98, everything against 0.05, and everything undecided 0.62.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

from videopath.core.pathology.labels import normalised_label
from videopath.model.prompts.questions import DIAGNOSIS_START, one_prompt_question
from videopath.tools.diagnose import softmax
from videopath.tools.schemas import Candidate, CasesVote, DiagnoseResult, Neighbour
from videopath.tools.session_pool import ClipSession

DEFAULTS = {
    "confidence.intercept": -3.0,
    "confidence.top_probability": 2.0,
    "confidence.margin": 1.0,
    "confidence.samples": 1.0,
    "confidence.neighbours": 0.5,
    "confidence.description": 1.5,
    "confidence.blind": 1.0,
}

FEATURES = (*(key.removeprefix("confidence.") for key in DEFAULTS if key != "confidence.intercept"), "cases")
"""The share of the cases' vote came later: a card that was calibrated before gives it no weight."""
_UNDECIDED = 0.5  # a feature that nothing speaks for or against


def features(
    final: DiagnoseResult,
    blind: DiagnoseResult,
    neighbours: Sequence[Neighbour],
    description_probability: float | None,
    vote: CasesVote | None = None,
) -> dict[str, float]:
    """What speaks for the diagnosis, each in [0, 1]; 0.5 where there is nothing to tell from.

    ``top_probability`` and ``margin``: of the differential (both 0 with a single candidate: nothing was compared);
    ``samples``: share of the sampled answers that agree; ``neighbours``: share of the kept neighbours that agree,
    weighted by similarity; ``description``: ``description_probability``, of the label when the description alone is
    put before it in the original one-prompt form; ``blind``: probability of the label before any neighbour was seen;
    ``cases``: its share of the similar cases' vote.
    """
    return {
        "top_probability": final.differential[0].probability if len(final.differential) > 1 else 0.0,
        "margin": margin(final.differential),
        "samples": _share(
            [(normalised_label(s) == normalised_label(final.label), 1.0) for s in final.samples]
        ),
        "neighbours": _share(
            [
                (normalised_label(n.diagnosis) == normalised_label(final.label), max(n.score, 0.0))
                for n in neighbours
                if n.kept
            ]
        ),
        "description": _UNDECIDED if description_probability is None else description_probability,
        "blind": probability_of(final.label, blind.differential),
        "cases": _UNDECIDED if vote is None else _share_of(final.label, vote),
    }


def is_calibrated(calibration: dict[str, float]) -> bool:
    """Whether the confidence of this model was fitted: the weights of all features come from its card."""
    return DEFAULTS.keys() <= calibration.keys()


def confidence(values: dict[str, float], calibration: dict[str, float]) -> float:
    """The calibrated probability in [0, 1] that the diagnosis is right. Missing features count as undecided."""
    weights = {**DEFAULTS, **calibration}
    total = weights["confidence.intercept"]
    total += sum(weights.get(f"confidence.{name}", 0.0) * values.get(name, _UNDECIDED) for name in FEATURES)
    return 1.0 / (1.0 + math.exp(-total)) if total >= 0 else math.exp(total) / (1.0 + math.exp(total))


def description_support(
    session: ClipSession,
    site: str | None,
    question: str | None,
    description: str,
    differential: Sequence[Candidate],
) -> dict[str, float]:
    """Candidate → its probability after the description in the original one-prompt form, without neighbours.

    A second way of asking: a description that leads elsewhere shows here. Empty where there is nothing to compare.
    """
    if len(differential) < 2 or not description:
        return {}
    card = session.recording.info.card
    scores = session.score(
        one_prompt_question(site, question),
        [f" {candidate.label}" for candidate in differential],
        answer_start=f"{description}\n{DIAGNOSIS_START}",
        reduce=card.score_reduction,
    )
    chances = softmax(scores, card.calibration.get("temperature", 1.0))
    return {candidate.label: chance for candidate, chance in zip(differential, chances, strict=True)}


def margin(differential: Sequence[Candidate]) -> float:
    """How far the first candidate is before the second; 0 with a single one."""
    return differential[0].probability - differential[1].probability if len(differential) > 1 else 0.0


def probability_of(label: str, differential: Sequence[Candidate]) -> float:
    """A label's probability in a differential; 0 where it is not a candidate."""
    return sum(c.probability for c in differential if normalised_label(c.label) == normalised_label(label))


def _share_of(label: str, vote: CasesVote) -> float:
    return sum(
        share for named, share in vote.shares.items() if normalised_label(named) == normalised_label(label)
    )


def _share(votes: Sequence[tuple[bool, float]]) -> float:
    """The weighted share of votes in favour."""
    total = sum(weight for _, weight in votes)
    return sum(weight for agrees, weight in votes if agrees) / total if total > 0 else _UNDECIDED
