"""Measuring the vote: how often the cases of a knowledge base are right about a case that the base does not have.

Every group is left out once, and the other groups vote on its cases. The answers give the accuracy, and what a vote needs
to be believed: the probability that it is right, a logistic function of its share, margin and nearness (fitted on some
groups and tested on the others); how near a picture must be to count as *from here*; and from which probability the base
vouches for each diagnosis.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

import numpy as np

from videopath.core.fitting.calibration_error import calibration_error
from videopath.core.fitting.cuts import fit_cuts
from videopath.core.fitting.logistic import fit_weights, probability
from videopath.knowledge.voting.measure import (
    FEATURES,
    FOREIGN_AT_MOST,
    LEAST_CASES,
    LEAST_GROUPS,
    WRONG_AT_MOST,
    WRONG_OF_DIAGNOSIS,
    AnsweredPoint,
    Confusion,
    CurvePoint,
    DiagnosisMeasure,
    Measure,
    Rate,
    SiteMeasure,
)
from videopath.knowledge.voting.vote import NEAREST, SMOOTHING, Space, Voters, nearest_groups, own_share

_TEMPERATURES = (0.03, 0.05, 0.1, 0.2)
_LIMITS = [(far, own) for far in (0.02, 0.05, 0.10) for own in (0.6, 0.7, 0.8, 0.9)]
"""Pairs of (share of the measured cases that may be too far to count as from here, least share of own pictures among the
nearest). The widest pair that keeps other tissue out is used."""
_STRICTEST = (0.10, 0.9)
_CURVE = (1, 2, 3, 5, 10, 20, 50, 100, 200)  # cases of each diagnosis
_DRAWS = 3  # for each size of the curve
_MAX_TRIALS = 1500  # cases that are voted on at most; with more cases, a sample of the groups
_MAX_CURVE_TRIALS = 400
_FOLDS = 5
_RESAMPLES = 1000
_MAX_FOREIGN_TRIALS = 300  # pictures of each half of the other organs
_BLOCK = 256  # cases that are voted on at a time
_SEED = 12


def measure_vote(
    voters: Voters, space: Space, foreign: ForeignTissue, encoder: str, tested: Voters | None = None
) -> Measure | None:
    """Measure the vote of cases by leaving out each group.

    Args:
        voters: The cases.
        space: The space in which their vectors are placed.
        foreign: Tissue of other organs, placed in the same space.
        encoder: The SHA-256 of the encoder.
        tested: The cases to vote on, if they are not the voters themselves: for an encoder that was trained on the voters.

    Returns:
        The measure, or ``None`` if no case has another group at its site.
    """
    trials = _run_trials(voters, tested or voters.subset(_sample(voters, _MAX_TRIALS)), foreign.vectors)
    if trials is None:
        return None
    temperature = max(_TEMPERATURES, key=trials.likelihood)
    answers = trials.answers(temperature)
    weights, chances = _fitted(answers, trials.groups)
    limits = {str(site): _limits(voters, trials, str(site), foreign) for site in np.unique(trials.sites)}
    here = _from_here(trials, limits)
    cuts = _cuts(trials, answers, chances, here)
    answered = here & _sure(trials, answers, chances, cuts)
    return Measure(
        encoder=encoder,
        centre=[round(float(value), 6) for value in space.centre],
        sizes=list(space.sizes),
        temperature=temperature,
        background=len(foreign.vectors),
        cases=len(voters),
        groups=len(np.unique(voters.groups)),
        accuracy=_rate(answers.right, trials.groups),
        calibration_error=calibration_error(chances, answers.right) if weights else None,
        weights=weights,
        sites=[_site(site, limits[site], trials, answers, answered) for site in limits],
        diagnoses=_diagnoses(voters, trials, answers, answered, cuts),
        confusions=_confusions(trials, answers),
        curve=_curve(voters, temperature),
        by_answered=_by_answered(answers, np.where(here, chances, chances - 1)) if weights else [],
    )


@dataclass(frozen=True)
class ForeignTissue:
    """Pictures of organs that a knowledge base does not have."""

    vectors: np.ndarray
    """float32 [pictures, dimension], placed in the same space as the base's pictures."""
    sites: np.ndarray
    """str [pictures]"""
    groups: np.ndarray
    """str [pictures]"""


@dataclass(frozen=True)
class _Limits:
    """From where a picture counts as from here, at one site."""

    near: float
    own: float
    foreign: Rate | None


@dataclass(frozen=True)
class _Answers:
    """The leading diagnoses of the votes."""

    labels: np.ndarray
    """str [cases]"""
    right: np.ndarray
    """bool [cases]"""
    features: np.ndarray
    """float [cases, FEATURES]"""


@dataclass(frozen=True)
class _Trials:
    """Cases on which the other groups voted."""

    truth: np.ndarray
    """str [cases]"""
    groups: np.ndarray
    sites: np.ndarray
    similarities: np.ndarray
    """float [cases, NEAREST]: the similarities of the nearest groups; -inf if there are fewer groups."""
    labels: np.ndarray
    """str [cases, NEAREST]: the diagnoses of these groups' nearest cases."""
    own: np.ndarray
    """float [cases]: the share of the base's own pictures among the nearest."""
    candidates: dict[str, np.ndarray]
    """Site → all its diagnoses."""

    def shares(self, temperature: float) -> Iterator[tuple[np.ndarray, np.ndarray]]:
        """Yield for each case (diagnoses, their shares of the vote)."""
        weights = np.exp((self.similarities - self.similarities[:, :1]) / temperature)
        for labels, weight, site in zip(self.labels, weights, self.sites, strict=True):
            names = self.candidates[site]
            votes = SMOOTHING + (names[:, None] == labels[None, :]) @ weight
            yield names, votes / votes.sum()

    def likelihood(self, temperature: float) -> float:
        """Return the mean logarithm of the share of the true diagnosis."""
        true_shares = [
            float(shares[names == truth][0])
            for (names, shares), truth in zip(self.shares(temperature), self.truth, strict=True)
        ]
        return float(np.mean(np.log(true_shares)))

    def answers(self, temperature: float) -> _Answers:
        """Return the leading diagnosis of each vote with its features."""
        labels, features = [], []
        for (names, shares), nearest in zip(self.shares(temperature), self.similarities[:, 0], strict=True):
            order = np.argsort(-shares, kind="stable")
            second = shares[order[1]] if len(order) > 1 else 0.0
            labels.append(names[order[0]])
            features.append((shares[order[0]], shares[order[0]] - second, nearest))
        return _Answers(np.array(labels), np.array(labels) == self.truth, np.array(features))


def _run_trials(held: Voters, tested: Voters, foreign: np.ndarray) -> _Trials | None:
    """Let the held cases of other groups vote on each tested case at its site; ``None`` if no case has a voter."""
    parts = [
        part
        for site in np.unique(tested.sites)
        if (part := _trials_at(held.subset(held.sites == site), tested.subset(tested.sites == site), foreign))
    ]
    if not parts:
        return None
    candidates = {
        site: np.unique(held.diagnoses[held.sites == site])
        for part in parts
        for site in np.unique(part.sites)
    }
    joined = {
        name: np.concatenate([getattr(part, name) for part in parts])
        for name in ("truth", "groups", "sites", "similarities", "labels", "own")
    }
    return _Trials(**joined, candidates=candidates)


def _trials_at(held: Voters, tested: Voters, foreign: np.ndarray) -> _Trials | None:
    """Vote on the cases of one site."""
    _, codes = np.unique(np.concatenate([held.groups, tested.groups]), return_inverse=True)
    held_codes, tested_codes = codes[: len(held)], codes[len(held) :]
    similar = np.full((len(tested), NEAREST), -np.inf)
    labels = np.full((len(tested), NEAREST), "", held.diagnoses.dtype)
    own, has_voters = np.ones(len(tested)), np.zeros(len(tested), bool)
    for start in range(0, len(tested), _BLOCK):
        block = range(start, min(start + _BLOCK, len(tested)))
        to_held = tested.vectors[block.start : block.stop] @ held.vectors.T
        to_foreign = tested.vectors[block.start : block.stop] @ foreign.T
        for index, near, far in zip(block, to_held, to_foreign, strict=True):
            near[held_codes == tested_codes[index]] = -np.inf
            chosen = nearest_groups(near, held_codes)
            has_voters[index] = bool(len(chosen))
            similar[index, : len(chosen)] = near[chosen]
            labels[index, : len(chosen)] = held.diagnoses[chosen]
            own[index] = own_share(near[np.isfinite(near)], far)
    if not has_voters.any():
        return None
    used = tested.subset(has_voters)
    return _Trials(
        used.diagnoses, used.groups, used.sites, similar[has_voters], labels[has_voters], own[has_voters], {}
    )


def _sample(voters: Voters, limit: int) -> np.ndarray:
    """Return the indices of the cases to vote on: all, or those of groups that are drawn until there are enough."""
    if len(voters) <= limit:
        return np.arange(len(voters))
    names = np.unique(voters.groups)
    np.random.default_rng(_SEED).shuffle(names)
    sizes = Counter(voters.groups.tolist())
    count = int(np.searchsorted(np.cumsum([sizes[name] for name in names]), limit)) + 1
    return np.flatnonzero(np.isin(voters.groups, names[:count]))[:limit]


def _fitted(answers: _Answers, groups: np.ndarray) -> tuple[dict[str, float], np.ndarray]:
    """Return weights fitted on all answers, and each answer's probability by weights fitted on other groups."""
    count = len(answers.right)
    if count < LEAST_CASES or len(np.unique(groups)) < LEAST_GROUPS:
        return {}, np.zeros(count)
    chances = np.zeros(count)
    folds = _folds(groups)
    for fold in range(folds.max() + 1):
        weights = _weights(answers, folds != fold)
        chances[folds == fold] = [
            probability(weights, dict(zip(FEATURES, row, strict=True)))
            for row in answers.features[folds == fold]
        ]
    return _weights(answers, np.ones(count, bool)), chances


def _weights(answers: _Answers, used: np.ndarray) -> dict[str, float]:
    return fit_weights(FEATURES, answers.features[used], answers.right[used])


def _folds(groups: np.ndarray) -> np.ndarray:
    """Return the fold of each case, int [cases]. A group is always in one fold."""
    names, codes = np.unique(groups, return_inverse=True)
    order = np.random.default_rng(_SEED).permutation(len(names))
    return (order % min(_FOLDS, len(names)))[codes]


def _limits(voters: Voters, trials: _Trials, site: str, foreign: ForeignTissue) -> _Limits:
    """Return how near a picture from here must be: the widest limits that keep out tissue of unseen organs.

    Half of the other organs compete while tissue of the other half is tried; then the halves change places.
    """
    similarities = trials.similarities[trials.sites == site, 0]
    own_of_cases = trials.own[trials.sites == site]
    nearest, own, groups = _foreign_trials(voters.subset(voters.sites == site), foreign)
    best: tuple[float, _Limits] | None = None
    for far, share in _LIMITS if len(nearest) else [_STRICTEST]:
        near = float(np.clip(np.quantile(similarities, far), -1, 1))
        taken = (nearest >= near) & (own >= share)
        kept = float(((similarities >= near) & (own_of_cases >= share)).mean())
        limits = _Limits(near, share, _rate(taken, groups) if len(taken) else None)
        strict = (far, share) == _STRICTEST
        if (strict or taken.mean() <= FOREIGN_AT_MOST) and (best is None or kept > best[0]):
            best = (kept, limits)
    assert best is not None  # the strictest is always allowed
    return best[1]


def _foreign_trials(held: Voters, foreign: ForeignTissue) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Try tissue of other organs. Return (similarity of the nearest case, share of own pictures, group) of each."""
    sites = np.unique(foreign.sites)
    halves = [np.isin(foreign.sites, sites[start::2]) for start in (0, 1)]
    if len(sites) < 2:
        return np.zeros(0), np.zeros(0), np.zeros(0, str)
    rng = np.random.default_rng(_SEED)
    columns = []
    for tried, competing in (halves, halves[::-1]):
        indices = np.sort(rng.permutation(np.flatnonzero(tried))[:_MAX_FOREIGN_TRIALS])
        to_held = foreign.vectors[indices] @ held.vectors.T
        to_others = foreign.vectors[indices] @ foreign.vectors[competing].T
        own = [own_share(near, far) for near, far in zip(to_held, to_others, strict=True)]
        columns.append((to_held.max(axis=1), np.array(own), foreign.groups[indices]))
    return tuple(np.concatenate(column) for column in zip(*columns, strict=True))  # type: ignore[return-value]


def _by_answered(answers: _Answers, sureness: np.ndarray) -> list[AnsweredPoint]:
    """Return the accuracy of the surest tenth, two tenths … of the answers; pictures that are not from here come last."""
    right = answers.right[np.argsort(-sureness, kind="stable")]
    counts = sorted({max(1, round(len(right) * tenth / 10)) for tenth in range(1, 11)})
    return [
        AnsweredPoint(answered=count / len(right), accuracy=float(right[:count].mean())) for count in counts
    ]


def _from_here(trials: _Trials, limits: Mapping[str, _Limits]) -> np.ndarray:
    """Return which cases count as from here, bool [cases]: near enough, and nearer than tissue of other organs."""
    near = np.array([limits[site].near for site in trials.sites])
    own = np.array([limits[site].own for site in trials.sites])
    return (trials.similarities[:, 0] >= near) & (trials.own >= own)


def _cuts(
    trials: _Trials, answers: _Answers, chances: np.ndarray, from_here: np.ndarray
) -> dict[tuple[str, str], float]:
    """Return (site, diagnosis) → the probability from which the base vouches for it."""
    cuts: dict[tuple[str, str], float] = {}
    for site in np.unique(trials.sites):
        at_site = trials.sites == site
        usable = (from_here & (chances > 0))[at_site]
        of_label = fit_cuts(
            trials.truth[at_site],
            answers.labels[at_site],
            chances[at_site],
            WRONG_AT_MOST,
            WRONG_OF_DIAGNOSIS,
            usable,
        )
        cuts |= {(str(site), label): min(cut, 1.0) for label, cut in of_label.items()}
    return cuts


def _sure(
    trials: _Trials, answers: _Answers, chances: np.ndarray, cuts: dict[tuple[str, str], float]
) -> np.ndarray:
    """Return which answers are probable enough to vouch for, bool [cases]."""
    pairs = zip(trials.sites, answers.labels, strict=True)
    return chances >= np.array([cuts.get((site, label), 2.0) for site, label in pairs])


def _site(
    site: str, limits: _Limits, trials: _Trials, answers: _Answers, answered: np.ndarray
) -> SiteMeasure:
    here = trials.sites == site
    of_answered = here & answered
    right = answers.right[of_answered]
    return SiteMeasure(
        site=site,
        accuracy=_rate(answers.right[here], trials.groups[here]),
        answered=_rate(answered[here], trials.groups[here]),
        right_of_answered=_rate(right, trials.groups[of_answered]) if len(right) else None,
        near=limits.near,
        own=limits.own,
        foreign=limits.foreign,
    )


def _diagnoses(
    voters: Voters,
    trials: _Trials,
    answers: _Answers,
    answered: np.ndarray,
    cuts: dict[tuple[str, str], float],
) -> list[DiagnosisMeasure]:
    measures = []
    for site, diagnosis in sorted(set(zip(voters.sites.tolist(), voters.diagnoses.tolist(), strict=True))):
        held = (voters.sites == site) & (voters.diagnoses == diagnosis)
        own = (trials.sites == site) & (trials.truth == diagnosis)
        groups = len(np.unique(voters.groups[held]))
        measured = groups >= LEAST_GROUPS and own.any()
        measures.append(
            DiagnosisMeasure(
                site=site,
                diagnosis=diagnosis,
                cases=int(held.sum()),
                groups=groups,
                accuracy=_rate(answers.right[own], trials.groups[own]) if measured else None,
                least=cuts.get((site, diagnosis)) if measured else None,
                answered=int((own & answered).sum()),
                wrong=int((own & answered & ~answers.right).sum()),
            )
        )
    return measures


def _confusions(trials: _Trials, answers: _Answers) -> list[Confusion]:
    wrong = ~answers.right
    rows = zip(trials.sites[wrong], trials.truth[wrong], answers.labels[wrong], strict=True)
    names, counts = np.unique(
        np.array([*rows], dtype=object).reshape(-1, 3).astype(str), axis=0, return_counts=True
    )
    confusions = [
        Confusion(site=site, truth=truth, said=said, cases=int(count))
        for (site, truth, said), count in zip(names.tolist(), counts, strict=True)
    ]
    return sorted(confusions, key=lambda confusion: (-confusion.cases, confusion.truth, confusion.said))


def _curve(voters: Voters, temperature: float) -> list[CurvePoint]:
    """Return the accuracy with 1, 2, 3, … cases of each diagnosis, as long as half of the diagnoses have so many."""
    keys = np.array([f"{site}\0{name}" for site, name in zip(voters.sites, voters.diagnoses, strict=True)])
    names, counts = np.unique(keys, return_counts=True)
    tested = voters.subset(_sample(voters, _MAX_CURVE_TRIALS))
    nothing = np.zeros((0, voters.vectors.shape[1]), np.float32)
    points = []
    for each in (size for size in _CURVE if size <= np.median(counts)):
        right = []
        for draw in range(_DRAWS):
            rng = np.random.default_rng((_SEED, each, draw))
            held = [rng.permutation(np.flatnonzero(keys == name))[:each] for name in names]
            trials = _run_trials(voters.subset(np.concatenate(held)), tested, nothing)
            if trials is not None:
                right.append(trials.answers(temperature).right.mean())
        if right:
            points.append(CurvePoint(each=each, accuracy=float(np.mean(right))))
    return points


def _rate(flags: np.ndarray, groups: np.ndarray) -> Rate:
    """Return the mean of bool [cases] with its 95% interval over groups."""
    from scipy.stats import binomtest

    names, codes = np.unique(groups, return_inverse=True)
    hits = np.bincount(codes, weights=flags.astype(float))
    sizes = np.bincount(codes).astype(float)
    drawn = np.random.default_rng(_SEED).multinomial(
        len(names), [1 / len(names)] * len(names), size=_RESAMPLES
    )
    low, high = np.quantile((drawn @ hits) / (drawn @ sizes), [0.025, 0.975])
    value = float(hits.sum() / sizes.sum())
    if value in (0.0, 1.0):  # all draws are equal, so the interval is Wilson's (JASA 1927) over groups
        interval = binomtest(round(value * len(names)), len(names)).proportion_ci(method="wilson")
        low, high = interval.low, interval.high
    if len(names) == 1:
        low, high = 0.0, 1.0  # one group says nothing about other groups
    return Rate(value=value, low=float(low), high=float(high), cases=len(flags), groups=len(names))
