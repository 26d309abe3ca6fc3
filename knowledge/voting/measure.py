"""What a knowledge base found out about itself: accuracy, what a vote must look like to be believed, what is missing."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np
from pydantic import BaseModel, Field

from videopath.core.fitting.logistic import probability
from videopath.knowledge.voting.vote import NEAREST, Space, Vote

FEATURES = ("share", "margin", "nearness")
WRONG_AT_MOST = 0.05
"""Of the answers that are vouched for, by the measured cases."""
WRONG_OF_DIAGNOSIS = 0.20
"""Of a diagnosis's own measured cases, and of those that were called so."""
LEAST_GROUPS = 2
"""Of a diagnosis that is to be vouched for: with one, none is left to answer by when it is left out."""
LEAST_CASES = 20
"""From fewer no probability is fitted."""
_MORE = 20  # cases of each diagnosis, of which it is told what they would bring
_POINTS = 3  # of the curve, from which a trend is read
FOREIGN_AT_MOST = 0.01
"""Of tissue of other organs, that may be taken for the base's own."""


class Rate(BaseModel, frozen=True):
    """How often something was so, with the 95% interval of a bootstrap over groups."""

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
    """Cases of one diagnosis that were called another."""

    site: str
    truth: str
    said: str
    cases: int = Field(ge=1)


class DiagnosisMeasure(BaseModel, frozen=True):
    """What the base is worth for one diagnosis at one site."""

    site: str
    diagnosis: str
    cases: int = Field(ge=1)
    groups: int = Field(ge=1)
    accuracy: Rate | None
    """None where it has one group alone."""
    least: float | None = Field(ge=0, le=1)
    """Probability from which it is vouched for; none: never."""
    answered: int = 0
    """Of its measured cases, those for which some diagnosis was vouched."""
    wrong: int = 0
    """Of these, the wrong ones."""


class SiteMeasure(BaseModel, frozen=True):
    """What the base is worth at one site."""

    site: str
    accuracy: Rate
    answered: Rate
    """Share of the measured cases for which a diagnosis is vouched."""
    right_of_answered: Rate | None
    near: float = Field(ge=-1, le=1)
    """Similarity of its nearest case that a case from here has at least."""
    own: float = Field(ge=0, le=1)
    """Share of the nearest places that the cases of a case from here hold at least against tissue of other organs."""
    foreign: Rate | None
    """Share of the tissue of other organs that was taken for the base's own; None where there is none to try."""


class CurvePoint(BaseModel, frozen=True):
    """The accuracy with so many cases of each diagnosis."""

    each: int = Field(ge=1)
    accuracy: float = Field(ge=0, le=1)


class ModelMeasure(BaseModel, frozen=True):
    """What a model and this base's cases are worth together."""

    name: str
    calibration: dict[str, float]
    """As in a model's card: how the two are fused, how sure that is, and from where each diagnosis is given out."""
    cases: int = Field(ge=1)
    """Of this base, that the model was asked with their own groups left out."""
    groups: int = Field(ge=1)
    right: float = Field(ge=0, le=1)
    """Of these, the share that both together are right about."""

    def __str__(self) -> str:
        return f"{self.cases} cases of {self.groups} groups, right in {self.right:.2f} of them together"


class Measure(BaseModel, frozen=True):
    """What a knowledge base found out about itself."""

    encoder: str
    """SHA-256 of what made the vectors."""
    centre: list[float]
    """Around which pictures are compared, [dimension]."""
    sizes: list[int]
    """Numbers of each encoder in a vector."""
    temperature: float = Field(gt=0)
    background: int = Field(ge=0)
    """Pictures of other organs that compete; 0: there are none for this encoder."""
    cases: int = Field(ge=1)
    groups: int = Field(ge=1)
    accuracy: Rate
    calibration_error: float | None = Field(ge=0, le=1)
    """Mean distance between probability and truth in ten bins, cross-fitted over groups."""
    weights: dict[str, float]
    """Of the probability that a vote is right; empty where it could not be fitted."""
    sites: list[SiteMeasure]
    diagnoses: list[DiagnosisMeasure]
    confusions: list[Confusion]
    curve: list[CurvePoint]
    models: dict[str, ModelMeasure] = {}
    """SHA-256 of a model's weights → what it is worth together with these cases."""

    @property
    def space(self) -> Space:
        """In which its pictures are compared."""
        return Space(np.array(self.centre, np.float32), tuple(self.sizes))

    @property
    def outlook(self) -> str:
        """What more cases would bring, by the curve: its last value, and where its trend leads."""
        if not self.curve:
            return "There are too few cases of each diagnosis to tell what more would bring."
        last = self.curve[-1]
        now = f"{last.each} of each diagnosis: {last.accuracy:.2f}"
        gain = self._gain(last.each + _MORE)
        return f"{now}; {_MORE} more of each would bring about {gain:.2f}." if gain is not None else f"{now}."

    def _gain(self, each: int) -> float | None:
        """The rise of the accuracy from the last point of the curve to ``each``, by a power law of its errors."""
        points = [(point.each, 1.0 - point.accuracy) for point in self.curve if point.accuracy < 1.0]
        if len(points) < _POINTS:
            return None
        sizes, errors = np.log(np.array(points)).T
        slope, level = np.polyfit(sizes, errors, 1)
        last = self.curve[-1].each
        return max(0.0, float(np.exp(level + slope * np.log(last)) - np.exp(level + slope * np.log(each))))

    def of_site(self, site: str) -> SiteMeasure | None:
        """The measure of a site."""
        return next((found for found in self.sites if found.site == site), None)

    def of_diagnosis(self, site: str, diagnosis: str) -> DiagnosisMeasure | None:
        """The measure of a diagnosis at a site."""
        return next(
            (found for found in self.diagnoses if (found.site, found.diagnosis) == (site, diagnosis)), None
        )

    def probability(self, vote: Vote) -> float | None:
        """How often such a vote is right, in [0, 1]; None where that could not be fitted."""
        return probability(self.weights, features_of(vote)) if self.weights else None


def features_of(vote: Vote) -> dict[str, float]:
    """What speaks for a vote."""
    return {"share": vote.share, "margin": vote.margin, "nearness": vote.nearness}


class VoteJudgement(BaseModel, frozen=True):
    """Whether a knowledge base vouches for what its cases voted for."""

    diagnosis: str
    site: str
    probability: float | None = Field(ge=0, le=1)
    """How often such a vote is right; None where that was never measured."""
    from_here: bool
    """Whether the picture is like the base's own."""
    vouches: bool
    reasons: list[str] = []
    """Why it does not, each with what is missing."""
    measured_on: str = ""
    """"90 cases of 57 groups, right in 0.92 of them"."""


def judge(vote: Vote, measure: Measure, site_known: bool = True) -> VoteJudgement:
    """Whether the base vouches for the leading diagnosis of a vote.

    ``site_known``: whether the site was given; else it is that of the nearest case, which was never measured.
    """
    at, of = measure.of_site(vote.site), measure.of_diagnosis(vote.site, vote.leading)
    if at is None or of is None:
        return VoteJudgement(
            diagnosis=vote.leading,
            site=vote.site,
            probability=None,
            from_here=False,
            vouches=False,
            reasons=[
                "No case of this site has another one of another patient or source beside it to be measured by."
            ],
        )
    chance = measure.probability(vote)
    near, own = vote.nearness >= at.near, vote.own >= at.own
    reasons = [*_not_from_here(vote, at, near, own), *_not_sure(of, chance, at)]
    if not site_known and len(measure.sites) > 1:
        reasons.append("The cases are of several sites, and were measured with the site given: give it.")
    return VoteJudgement(
        diagnosis=vote.leading,
        site=vote.site,
        probability=chance,
        from_here=near and own,
        vouches=not reasons,
        reasons=reasons,
        measured_on=f"{at.accuracy.cases} cases of {at.accuracy.groups} groups, right in {at.accuracy.value:.2f} of them",
    )


def _not_from_here(vote: Vote, at: SiteMeasure, near: bool, own: bool) -> Iterable[str]:
    if not near:
        yield (
            f"The picture is unlike every case of the knowledge base: similarity {vote.nearness:.2f}, "
            f"{at.near:.2f} is usual."
        )
    if not own:
        count = min(NEAREST, at.accuracy.cases)
        yield (
            f"The picture is as near to tissue of other organs as to the knowledge base: {round(vote.own * count)} of the "
            f"{count} nearest are its own, {round(at.own * count)} are needed."
        )


def _not_sure(of: DiagnosisMeasure, chance: float | None, at: SiteMeasure) -> Iterable[str]:
    if of.groups < LEAST_GROUPS:
        yield (
            f"How often the cases are right with {of.diagnosis!r} cannot be measured: all {of.cases} are of one patient or "
            f"source. Add cases of {_more(LEAST_GROUPS - of.groups)}."
        )
    elif chance is None:
        yield (
            f"How sure a vote is was not fitted: there are {at.accuracy.cases} measured cases, {LEAST_CASES} are needed."
        )
    elif of.least is None:
        yield (
            f"The cases are too often wrong with {of.diagnosis!r}: right in {of.accuracy.value if of.accuracy else 0:.2f} of "
            f"its own {of.cases} cases of {of.groups} groups. Add cases of {_more(of.groups)}."
        )
    elif chance < of.least:
        yield (
            f"Such a vote for {of.diagnosis!r} is right in {chance:.2f} of the measured cases; {of.least:.2f} is needed."
        )


def _more(count: int) -> str:
    return "another patient" if count == 1 else f"{count} more patients"
