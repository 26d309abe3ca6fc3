"""Fit the calibration of a model's card: the fusion of model and cases, the confidence, and the thresholds.

The weights are fitted on all answers. The thresholds, above which a diagnosis is given out, are set on answers whose own
group was left out, so that they hold for new slides and patients.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from videopath.agent.cases.records import CaseReport
from videopath.agent.decision.confidence import features
from videopath.agent.decision.fusion import FusedDiagnosis, fuse
from videopath.core.fitting.cuts import fit_cuts
from videopath.core.fitting.logistic import INTERCEPT, fit_weights, probability
from videopath.core.pathology.labels import normalised_label
from videopath.model.calibration import (
    CONFIDENCE,
    FEATURES,
    FUSION_OF_CASES,
    FUSION_OF_MODEL,
    TEMPERATURE,
    THRESHOLD,
    THRESHOLD_OF,
)
from videopath.model.card import Card
from videopath.tools.schemas import CasesVote, DiagnoseResult, RetrieveResult

MAX_WRONG = 0.05
"""Largest share of wrong answers among those given out."""
MAX_WRONG_OF_DIAGNOSIS = 0.20
"""Largest share of wrong answers among a diagnosis's own cases, and among the answers with this diagnosis."""

_FOLDS = 5
_SEED = 12
_MAX_EXPONENT = 3.0  # of the fusion
_NEVER = 1.0  # threshold of a diagnosis that is wrong too often: no answer reaches it


@dataclass(frozen=True)
class Trial:
    """A case with a known diagnosis, and everything that the agent weighed for its answer."""

    truth: str
    group: str
    site: str | None
    final: DiagnoseResult
    """The model's own result, with the similar cases as evidence."""
    blind: DiagnoseResult
    retrieved: RetrieveResult
    description: dict[str, float]
    """Candidate → its probability after the description alone."""
    video: str = ""
    sentences: tuple[str, ...] = ()
    """Sentences of the model's description."""
    own: bool = False
    """Whether the model is measured together with these cases; their diagnoses are then the model's, too."""

    @property
    def known_tissue(self) -> CasesVote | None:
        """The vote of the tiles that the model was trained on; None if they are not shipped."""
        voters = self.retrieved.vote if self.retrieved.voters_are_known_tissue else None
        return self.retrieved.known_tissue or voters

    @property
    def may_be_known(self) -> bool:
        """Whether the picture resembles those that the model is measured on."""
        known = self.retrieved.vote if self.own else self.known_tissue
        return known is None or known.from_here

    def fuse(self, card: Card) -> FusedDiagnosis:
        """Return the diagnosis fused from model and cases, with its basis."""
        calibration = card.calibration if self.own else None
        return fuse(self.final, self.retrieved.vote, self.site, card, calibration)

    def fused(self, card: Card) -> DiagnoseResult:
        """Return the fused diagnosis alone."""
        return self.fuse(card).final

    def features(self, final: DiagnoseResult) -> dict[str, float]:
        """Return the confidence's features of a fused diagnosis."""
        supported = self.description.get(final.label)
        return features(final, self.blind, self.retrieved.neighbours, supported, self.retrieved.vote)


def trial_of(report: CaseReport, truth: str, group: str) -> Trial:
    """Return the trial of a case's first look."""
    detail = {step.name: step.detail for step in reversed(report.steps)}  # the first of each name
    return Trial(
        truth,
        group,
        report.site,
        DiagnoseResult.model_validate(detail["diagnose"]["result"]),
        DiagnoseResult.model_validate(detail["diagnose_blind"]["result"]),
        RetrieveResult.model_validate(detail["retrieve"]["result"]),
        detail["verify"]["description_support"] or {},
        report.video.path if report.video else "",
        tuple(finding["text"] for finding in detail["describe"]["result"]["findings"]),
    )


def fit_calibration(trials: Sequence[Trial], card: Card) -> dict[str, float]:
    """Fit the card's ``calibration``. ``trials`` must not be empty."""
    exponents = _exponents(trials, card)
    calibration = {**card.calibration, **exponents}
    card = card.model_copy(update={"calibration": calibration})
    answers = [trial.fused(card) for trial in trials]
    table = np.array(
        [[trial.features(a)[name] for name in FEATURES] for trial, a in zip(trials, answers, strict=True)]
    )
    labels = np.array([normalised_label(answer.label) for answer in answers])
    truth = np.array([normalised_label(trial.truth) for trial in trials])
    weights = fit_weights(FEATURES, table, truth == labels)
    probabilities = _cross_fitted(table, truth == labels, np.array([trial.group for trial in trials]))
    usable = np.array([trial.may_be_known for trial in trials])
    cuts = fit_cuts(truth, labels, probabilities, MAX_WRONG, MAX_WRONG_OF_DIAGNOSIS, usable)
    lowest = min(cuts.values(), default=_NEVER)
    needed = {label: cuts.get(label, _NEVER) for label in np.unique(labels).tolist()}
    return {
        **({TEMPERATURE: card.calibration[TEMPERATURE]} if TEMPERATURE in card.calibration else {}),
        **exponents,
        **{f"{CONFIDENCE}{name}": weight for name, weight in weights.items()},
        THRESHOLD: round(lowest, 4),
        **{f"{THRESHOLD_OF}{label}": round(cut, 4) for label, cut in needed.items() if cut > lowest},
    }


def _exponents(trials: Sequence[Trial], card: Card) -> dict[str, float]:
    """Return the exponents that make the truth most likely; empty if no cases voted on the model's own diagnoses."""
    from scipy.optimize import minimize

    fusable = {**card.calibration, FUSION_OF_MODEL: 1.0, FUSION_OF_CASES: 1.0}
    probe = card.model_copy(update={"calibration": fusable})
    usable = [trial for trial in trials if trial.fuse(probe).basis == "fused"]
    if not usable:
        return {}

    def loss(exponents: np.ndarray) -> float:
        weights = {FUSION_OF_MODEL: float(exponents[0]), FUSION_OF_CASES: float(exponents[1])}
        tried = card.model_copy(update={"calibration": {**card.calibration, **weights}})
        truth = [_probability_of(trial.fused(tried), trial.truth) for trial in usable]
        return float(-np.mean(np.log(np.maximum(truth, 1e-6))) + 0.5 * np.sum(exponents**2) / len(usable))

    exponents = minimize(
        loss, np.array([0.5, 0.5]), bounds=[(0.0, _MAX_EXPONENT)] * 2, method="Nelder-Mead"
    ).x
    return {FUSION_OF_MODEL: round(float(exponents[0]), 4), FUSION_OF_CASES: round(float(exponents[1]), 4)}


def _probability_of(final: DiagnoseResult, label: str) -> float:
    return sum(
        c.probability for c in final.differential if normalised_label(c.label) == normalised_label(label)
    )


def _cross_fitted(table: np.ndarray, right: np.ndarray, groups: np.ndarray) -> np.ndarray:
    """Return float [answers]: the probability of each answer by weights fitted on other groups."""
    names, group_of = np.unique(groups, return_inverse=True)
    folds = (np.random.default_rng(_SEED).permutation(len(names)) % min(_FOLDS, len(names)))[group_of]
    probabilities = np.zeros(len(right))
    for fold in range(folds.max() + 1):
        rest = folds != fold
        weights = fit_weights(FEATURES, table[rest], right[rest]) if rest.any() else {INTERCEPT: 0.0}
        probabilities[~rest] = [
            probability(weights, dict(zip((INTERCEPT, *FEATURES), (0.0, *row), strict=True)))
            for row in table[~rest]
        ]
    return probabilities
