"""The measure of a knowledge base: how often its vote is right, and when the base vouches for a diagnosis."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np
from pydantic import BaseModel, Field

from videopath.core.choices import Scoring
from videopath.core.fitting.logistic import probability
from videopath.knowledge.voting.vote import NEAREST, Space, Vote

FEATURES = ("share", "margin", "nearness")
WRONG_AT_MOST = 0.05
"""The largest share of wrong answers among those that the base vouches for."""
WRONG_OF_DIAGNOSIS = 0.20
"""The largest share of wrong answers among a diagnosis's own cases, and among the cases that got this diagnosis."""
LEAST_GROUPS = 2
"""A diagnosis needs this many groups: if the only group is left out, no case of the diagnosis votes."""
LEAST_CASES = 20
"""With fewer cases no probability is fitted."""
_MORE = 20  # additional cases of each diagnosis, for which the gain is estimated
_LEAST_POINTS = 3  # of the curve, to estimate a trend
FOREIGN_AT_MOST = 0.01
"""The largest share of tissue of other organs that may count as from here."""


class Rate(BaseModel, frozen=True):
    """A share of cases with its 95% interval by a bootstrap over groups."""

    value: float = Field(ge=0, le=1)
    low: float = Field(ge=0, le=1)
    high: float = Field(ge=0, le=1)
    cases: int = Field(ge=1)
    groups: int = Field(ge=1)

    def __str__(self) -> str:
        return (
            f"{self.value:.2f} ({self.low:.2f}–{self.high:.2f}), {self.cases} cases of {self.groups} groups"
        )


class Confusion(BaseModel, frozen=True):
    """Cases of one diagnosis that got another diagnosis."""

    site: str
    truth: str
    said: str
    cases: int = Field(ge=1)


class DiagnosisMeasure(BaseModel, frozen=True):
    """The measure of one diagnosis at one site."""

    site: str
    diagnosis: str
    cases: int = Field(ge=1)
    groups: int = Field(ge=1)
    accuracy: Rate | None
    """``None`` if the diagnosis has only one group."""
    least: float | None = Field(ge=0, le=1)
    """The probability from which the base vouches for it; ``None`` means never."""
    answered: int = 0
    """How many of its measured cases got a diagnosis that the base vouches for."""
    wrong: int = 0
    """How many of these are wrong."""


class SiteMeasure(BaseModel, frozen=True):
    """The measure of one site."""

    site: str
    accuracy: Rate
    answered: Rate
    """The share of the measured cases for which the base vouches for a diagnosis."""
    right_of_answered: Rate | None
    """The share of right diagnoses among these."""
    near: float = Field(ge=-1, le=1)
    """The least similarity of the nearest case for a picture from here."""
    own: float = Field(ge=0, le=1)
    """The least share of the base's own pictures among the nearest for a picture from here."""
    foreign: Rate | None
    """The share of tissue of other organs that counts as from here; ``None`` if there is no such tissue."""


class CurvePoint(BaseModel, frozen=True):
    """The accuracy with a number of cases of each diagnosis."""

    each: int = Field(ge=1)
    accuracy: float = Field(ge=0, le=1)


class AnsweredPoint(BaseModel, frozen=True):
    """The accuracy if only a share of the cases is answered, the surest ones."""

    answered: float = Field(gt=0, le=1)
    accuracy: float = Field(ge=0, le=1)


class ModelMeasure(BaseModel, frozen=True):
    """How often a model and this base's cases are right together."""

    name: str
    calibration: dict[str, float]
    """As in a model's card: the fusion of the two, the confidence, and the threshold of each diagnosis."""
    scoring: Scoring = "token probabilities"
    """How the model's scores came about; the calibration holds for no other way."""
    cases: int = Field(ge=1)
    """How many cases of this base the model was asked about, with their own groups left out."""
    groups: int = Field(ge=1)
    right: float = Field(ge=0, le=1)
    """The share of these cases that both together are right about."""

    def __str__(self) -> str:
        return f"{self.cases} cases of {self.groups} groups, right in {self.right:.2f} of them together"


class Measure(BaseModel, frozen=True):
    """The measure of a knowledge base: how often the vote of its cases is right."""

    encoder: str
    """The SHA-256 of the image encoder."""
    centre: list[float]
    """The centre around which pictures are compared, [dimension]."""
    sizes: list[int]
    """How many numbers of a vector belong to each encoder."""
    temperature: float = Field(gt=0)
    background: int = Field(ge=0)
    """How many pictures of other organs compete; 0 if there are none for this encoder."""
    cases: int = Field(ge=1)
    groups: int = Field(ge=1)
    accuracy: Rate
    calibration_error: float | None = Field(ge=0, le=1)
    """The expected calibration error over ten bins, cross-fitted over groups."""
    weights: dict[str, float]
    """The weights of the probability that a vote is right; empty if it could not be fitted."""
    sites: list[SiteMeasure]
    diagnoses: list[DiagnosisMeasure]
    confusions: list[Confusion]
    curve: list[CurvePoint]
    by_answered: list[AnsweredPoint] = []
    """The accuracy by the share that is answered; empty if no probability was fitted, or in a measure of an older version."""
    models: dict[str, ModelMeasure] = {}
    """SHA-256 of a model's weights → its measure together with these cases."""

    @property
    def space(self) -> Space:
        """The space in which pictures are compared."""
        return Space(np.array(self.centre, np.float32), tuple(self.sizes))

    @property
    def outlook(self) -> str:
        """One sentence about the gain of more cases: the curve's last value and its trend."""
        if not self.curve:
            return "There are too few cases of each diagnosis to tell what more would bring."
        last = self.curve[-1]
        now = f"{last.each} of each diagnosis: {last.accuracy:.2f}"
        gain = self._gain(last.each + _MORE)
        return f"{now}; {_MORE} more of each would bring about {gain:.2f}." if gain is not None else f"{now}."

    def _gain(self, each: int) -> float | None:
        """Return the gain in accuracy from the curve's last point to ``each`` cases, by a power law of the errors."""
        points = [(point.each, 1.0 - point.accuracy) for point in self.curve if point.accuracy < 1.0]
        if len(points) < _LEAST_POINTS:
            return None
        sizes, errors = np.log(np.array(points)).T
        slope, level = np.polyfit(sizes, errors, 1)
        last = self.curve[-1].each
        return max(0.0, float(np.exp(level + slope * np.log(last)) - np.exp(level + slope * np.log(each))))

    def of_site(self, site: str) -> SiteMeasure | None:
        """Return the measure of a site, or ``None``."""
        return next((measure for measure in self.sites if measure.site == site), None)

    def of_diagnosis(self, site: str, diagnosis: str) -> DiagnosisMeasure | None:
        """Return the measure of a diagnosis at a site, or ``None``."""
        matching = (m for m in self.diagnoses if (m.site, m.diagnosis) == (site, diagnosis))
        return next(matching, None)

    def probability(self, vote: Vote) -> float | None:
        """Return how often such a vote is right, in [0, 1]; ``None`` if that could not be fitted."""
        return probability(self.weights, features_of(vote)) if self.weights else None


def features_of(vote: Vote) -> dict[str, float]:
    """Return the features of a vote from which its probability follows."""
    return {"share": vote.share, "margin": vote.margin, "nearness": vote.nearness}


class VoteJudgement(BaseModel, frozen=True):
    """Whether a knowledge base vouches for the leading diagnosis of a vote."""

    diagnosis: str
    site: str
    probability: float | None = Field(ge=0, le=1)
    """How often such a vote is right; ``None`` if that was never measured."""
    from_here: bool
    """Whether the picture is like the base's own cases."""
    vouches: bool
    reasons: list[str] = []
    """Why the base does not vouch, each with what is missing."""
    measured_on: str = ""
    """A phrase such as "90 cases of 57 groups, right in 0.92 of them"."""


def judge(vote: Vote, measure: Measure, site_known: bool = True) -> VoteJudgement:
    """Return whether the base vouches for the leading diagnosis of a vote.

    Args:
        vote: The vote.
        measure: The measure of the same base.
        site_known: Whether the site was given. Otherwise it is the site of the nearest case; votes without a given site
            were never measured.
    """
    at_site, of_diagnosis = measure.of_site(vote.site), measure.of_diagnosis(vote.site, vote.leading)
    if at_site is None or of_diagnosis is None:
        return VoteJudgement(
            diagnosis=vote.leading,
            site=vote.site,
            probability=None,
            from_here=False,
            vouches=False,
            reasons=["The vote cannot be measured at this site: all its cases are of one patient or source."],
        )
    chance = measure.probability(vote)
    near, own = vote.nearness >= at_site.near, vote.own >= at_site.own
    reasons = [*_not_from_here(vote, at_site, near, own), *_not_sure(of_diagnosis, chance, at_site)]
    if not site_known and len(measure.sites) > 1:
        reasons.append("The cases are of several sites and were measured with the site given: give the site.")
    return VoteJudgement(
        diagnosis=vote.leading,
        site=vote.site,
        probability=chance,
        from_here=near and own,
        vouches=not reasons,
        reasons=reasons,
        measured_on=f"{at_site.accuracy.cases} cases of {at_site.accuracy.groups} groups, right in {at_site.accuracy.value:.2f} of them",
    )


def _not_from_here(vote: Vote, at_site: SiteMeasure, near: bool, own: bool) -> Iterable[str]:
    if not near:
        yield (
            f"The picture is unlike every case of the knowledge base: similarity {vote.nearness:.2f}, "
            f"{at_site.near:.2f} is needed."
        )
    if not own:
        count = min(NEAREST, at_site.accuracy.cases)
        yield (
            f"The picture is as near to tissue of other organs as to the knowledge base: {round(vote.own * count)} of the "
            f"{count} nearest are its own, {round(at_site.own * count)} are needed."
        )


def _not_sure(measure: DiagnosisMeasure, chance: float | None, at_site: SiteMeasure) -> Iterable[str]:
    if measure.groups < LEAST_GROUPS:
        yield (
            f"How often the cases are right with {measure.diagnosis!r} cannot be measured: all {measure.cases} are of one patient or "
            f"source. Add cases of {_more(LEAST_GROUPS - measure.groups)}."
        )
    elif chance is None:
        yield (
            f"The probability of a vote was not fitted: there are {at_site.accuracy.cases} measured cases, {LEAST_CASES} are needed."
        )
    elif measure.least is None:
        yield (
            f"The cases are too often wrong with {measure.diagnosis!r}: right in {measure.accuracy.value if measure.accuracy else 0:.2f} of "
            f"its own {measure.cases} cases of {measure.groups} groups. Add cases of {_more(measure.groups)}."
        )
    elif chance < measure.least:
        yield (
            f"Such a vote for {measure.diagnosis!r} is right in {chance:.2f} of the measured cases; {measure.least:.2f} is needed."
        )


def _more(count: int) -> str:
    return "another patient" if count == 1 else f"{count} more patients"
