"""The features of a look, from which the confidence is computed.

The confidence is a logistic function of them, see :class:`videopath.model.calibration.Calibration`.
"""

from __future__ import annotations

from collections.abc import Sequence

from videopath.core.pathology.labels import normalised_label
from videopath.model.calibration import UNDECIDED, Calibration
from videopath.model.prompts.prompt_set import PromptFacts
from videopath.model.prompts.questions import DIAGNOSIS_START
from videopath.tools.diagnose import softmax
from videopath.tools.schemas import Candidate, CasesVote, DiagnoseResult, Neighbour
from videopath.tools.session_pool import ClipSession


def features(
    final: DiagnoseResult,
    blind: DiagnoseResult,
    neighbours: Sequence[Neighbour],
    description_probability: float | None,
    vote: CasesVote | None = None,
) -> dict[str, float]:
    """Return the features of a look, each in [0, 1]; 0.5 without evidence for or against.

    ``top_probability`` and ``margin`` of the differential (both 0 with a single candidate); ``samples``: the share of
    sampled answers that agree; ``neighbours``: the share of kept neighbours that agree, weighted by similarity;
    ``description``: the probability of the label after the description alone; ``blind``: its probability in the blind
    diagnosis; ``cases``: its share of the similar cases' vote.

    Args:
        final: The diagnosis of the look.
        blind: The blind diagnosis.
        neighbours: The similar cases.
        description_probability: See :func:`description_support`; None if there was nothing to compare.
        vote: The similar cases' vote; None if no case voted.
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
        "description": UNDECIDED if description_probability is None else description_probability,
        "blind": probability_of(final.label, blind.differential),
        "cases": UNDECIDED if vote is None else _share_of(final.label, vote),
    }


def supports_by_description(session: ClipSession) -> bool:
    """Return whether the model can be asked what :func:`description_support` needs.

    The model must know the question, and score sentences without a request for each of them.
    """
    abilities = session.abilities
    known = session.prompts.wording == "videopath"
    return known and abilities.scores_sentences and abilities.answers_often


def description_support(
    session: ClipSession,
    site: str | None,
    question: str | None,
    description: str,
    differential: Sequence[Candidate],
) -> dict[str, float]:
    """Return the probability of each candidate after the description alone, without similar cases.

    It is low if the description points to another diagnosis. The prompt is the published model's original form, which
    asks for description and diagnosis at once.

    Returns:
        Candidate → probability; empty with fewer than two candidates, without a description, or if the model cannot be
        asked.
    """
    if len(differential) < 2 or not description or not supports_by_description(session):
        return {}
    card = session.recording.info.card
    scores = session.score(
        session.prompts.one_prompt(PromptFacts(site=site, question=question)),
        [f" {candidate.label}" for candidate in differential],
        answer_start=f"{description}\n{DIAGNOSIS_START}",
        reduce=card.score_reduction,
    )
    probabilities = softmax(scores, Calibration(card.calibration).temperature)
    labels = (candidate.label for candidate in differential)
    return dict(zip(labels, probabilities, strict=True))


def margin(differential: Sequence[Candidate]) -> float:
    """Return how far the first candidate is ahead of the second; 0 with a single one."""
    return differential[0].probability - differential[1].probability if len(differential) > 1 else 0.0


def probability_of(label: str, differential: Sequence[Candidate]) -> float:
    """Return the probability of a label in a differential; 0 if it is not a candidate."""
    return sum(c.probability for c in differential if normalised_label(c.label) == normalised_label(label))


def _share_of(label: str, vote: CasesVote) -> float:
    return sum(
        share for named, share in vote.shares.items() if normalised_label(named) == normalised_label(label)
    )


def _share(votes: Sequence[tuple[bool, float]]) -> float:
    """Return the weighted share of votes in favour."""
    total = sum(weight for _, weight in votes)
    return sum(weight for agrees, weight in votes if agrees) / total if total > 0 else UNDECIDED
