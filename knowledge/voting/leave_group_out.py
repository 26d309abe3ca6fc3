"""A knowledge base measures itself: how often the vote of its cases is right about a case that it does not hold.

Every group is left out once and its cases are asked of the others. This gives the accuracy, and from the same answers what
a vote has to look like to be believed: a logistic function of its share, its margin and its nearness, fitted on some groups
and tried on the others; how near a case has to be to be *from here* at all; and how sure each diagnosis has to be, so that
none is signed out that is wrong too often.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

import numpy as np

from videopath.core.fitting.cuts import fit_cuts
from videopath.core.fitting.logistic import fit_weights, probability
from videopath.knowledge.voting.measure import (
    FEATURES,
    FOREIGN_AT_MOST,
    LEAST_CASES,
    LEAST_GROUPS,
    WRONG_AT_MOST,
    WRONG_OF_DIAGNOSIS,
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
"""(share of the measured cases that are themselves too far to be from here, share of the nearest places that are the
base's own), of which the widest is taken that keeps other tissue out."""
_STRICTEST = (0.10, 0.9)
_CURVE = (1, 2, 3, 5, 10, 20, 50, 100, 200)  # cases of each diagnosis
_DRAWS = 3  # of each size of the curve
_ASKED = 1500  # cases that are asked at most; a sample of the groups where there are more
_ASKED_OF_CURVE = 400
_FOLDS = 5
_RESAMPLES = 1000
_FOREIGN_ASKED = 300  # pictures of each half of the other organs
_BLOCK = 256  # cases that are asked at a time
_SEED = 12


def measure(
    voters: Voters, space: Space, foreign: ForeignTissue, encoder: str, asked: Voters | None = None
) -> Measure | None:
    """Measure the vote of these cases by leaving out each group; None where no case has another group at its site.

    ``foreign``: tissue of other organs. ``asked``: cases that are asked instead of the voters themselves, for an encoder
    that was trained on the voters.
    """
    trials = _left_out(voters, asked or voters.of(_sample(voters, _ASKED)), foreign.vectors)
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
        calibration_error=_calibration_error(chances, answers.right) if weights else None,
        weights=weights,
        sites=[_site(site, limits[site], trials, answers, answered) for site in limits],
        diagnoses=_diagnoses(voters, trials, answers, answered, cuts),
        confusions=_confusions(trials, answers),
        curve=_curve(voters, temperature),
    )


@dataclass(frozen=True)
class ForeignTissue:
    """Tissue of organs that a knowledge base does not have."""

    vectors: np.ndarray
    """float32 [pictures, dimension], placed in the same space as the base's."""
    sites: np.ndarray
    """str [pictures]"""
    groups: np.ndarray
    """str [pictures]"""


@dataclass(frozen=True)
class _Limits:
    near: float
    own: float
    foreign: Rate | None


@dataclass(frozen=True)
class _Answers:
    """What the votes said of the cases that were asked."""

    said: np.ndarray
    """str [cases]"""
    right: np.ndarray
    """bool [cases]"""
    features: np.ndarray
    """float [cases, FEATURES]"""


@dataclass(frozen=True)
class _Trials:
    """Cases that were asked of the groups other than their own."""

    truth: np.ndarray
    """str [cases]"""
    groups: np.ndarray
    sites: np.ndarray
    similarities: np.ndarray
    """float [cases, NEAREST]: of the nearest groups; -inf where there are fewer."""
    labels: np.ndarray
    """str [cases, NEAREST]: what these groups' nearest cases are."""
    own: np.ndarray
    """float [cases]: share of the nearest places that the base holds."""
    candidates: dict[str, np.ndarray]
    """Site → all diagnoses that it has."""

    def shares(self, temperature: float) -> Iterator[tuple[np.ndarray, np.ndarray]]:
        """Of each case: (diagnoses, their shares of the vote)."""
        weights = np.exp((self.similarities - self.similarities[:, :1]) / temperature)
        for labels, weight, site in zip(self.labels, weights, self.sites, strict=True):
            names = self.candidates[site]
            votes = SMOOTHING + (names[:, None] == labels[None, :]) @ weight
            yield names, votes / votes.sum()

    def likelihood(self, temperature: float) -> float:
        """Mean logarithm of the share of the truth."""
        found = [
            float(shares[names == truth][0])
            for (names, shares), truth in zip(self.shares(temperature), self.truth, strict=True)
        ]
        return float(np.mean(np.log(found)))

    def answers(self, temperature: float) -> _Answers:
        """What leads each vote, and what speaks for it."""
        said, features = [], []
        for (names, shares), nearest in zip(self.shares(temperature), self.similarities[:, 0], strict=True):
            order = np.argsort(-shares, kind="stable")
            second = shares[order[1]] if len(order) > 1 else 0.0
            said.append(names[order[0]])
            features.append((shares[order[0]], shares[order[0]] - second, nearest))
        return _Answers(np.array(said), np.array(said) == self.truth, np.array(features))


def _left_out(held: Voters, asked: Voters, foreign: np.ndarray) -> _Trials | None:
    """Ask cases of the held ones at their site, those of their own groups left out; None where nobody is left to ask."""
    parts = [
        part
        for site in np.unique(asked.sites)
        if (part := _trials_at(held.of(held.sites == site), asked.of(asked.sites == site), foreign))
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


def _trials_at(held: Voters, asked: Voters, foreign: np.ndarray) -> _Trials | None:
    """Ask cases of one site."""
    _, codes = np.unique(np.concatenate([held.groups, asked.groups]), return_inverse=True)
    held_codes, asked_codes = codes[: len(held)], codes[len(held) :]
    similar = np.full((len(asked), NEAREST), -np.inf)
    labels = np.full((len(asked), NEAREST), "", held.diagnoses.dtype)
    own, known = np.ones(len(asked)), np.zeros(len(asked), bool)
    for start in range(0, len(asked), _BLOCK):
        block = range(start, min(start + _BLOCK, len(asked)))
        to_held = asked.vectors[block.start : block.stop] @ held.vectors.T
        to_foreign = asked.vectors[block.start : block.stop] @ foreign.T
        for place, near, far in zip(block, to_held, to_foreign, strict=True):
            near[held_codes == asked_codes[place]] = -np.inf
            chosen = nearest_groups(near, held_codes)
            known[place] = bool(len(chosen))
            similar[place, : len(chosen)] = near[chosen]
            labels[place, : len(chosen)] = held.diagnoses[chosen]
            own[place] = own_share(near[np.isfinite(near)], far)
    if not known.any():
        return None
    used = asked.of(known)
    return _Trials(used.diagnoses, used.groups, used.sites, similar[known], labels[known], own[known], {})


def _sample(voters: Voters, most: int) -> np.ndarray:
    """Places of the cases that are asked: all, or those of groups drawn until there are enough."""
    if len(voters) <= most:
        return np.arange(len(voters))
    names = np.unique(voters.groups)
    np.random.default_rng(_SEED).shuffle(names)
    sizes = Counter(voters.groups.tolist())
    count = int(np.searchsorted(np.cumsum([sizes[name] for name in names]), most)) + 1
    return np.flatnonzero(np.isin(voters.groups, names[:count]))[:most]


def _fitted(answers: _Answers, groups: np.ndarray) -> tuple[dict[str, float], np.ndarray]:
    """ViewWeights on all answers, and each answer's probability by weights that were fitted on other groups."""
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
    """int [cases]: whole groups are in one fold."""
    names, places = np.unique(groups, return_inverse=True)
    order = np.random.default_rng(_SEED).permutation(len(names))
    return (order % min(_FOLDS, len(names)))[places]


def _limits(voters: Voters, trials: _Trials, site: str, foreign: ForeignTissue) -> _Limits:
    """How near a case from here has to be: the widest limits that keep out tissue of organs that do not even compete.

    Half of the other organs compete, the tissue of the others is asked; then the other way round.
    """
    similarities = trials.similarities[trials.sites == site, 0]
    own_of_cases = trials.own[trials.sites == site]
    nearest, own, groups = _foreign_asked(voters.of(voters.sites == site), foreign)
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


def _foreign_asked(held: Voters, foreign: ForeignTissue) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Of tissue of other organs that is asked: (similarity of the nearest case, share of own places, group)."""
    sites = np.unique(foreign.sites)
    halves = [np.isin(foreign.sites, sites[start::2]) for start in (0, 1)]
    if len(sites) < 2:
        return np.zeros(0), np.zeros(0), np.zeros(0, str)
    rng = np.random.default_rng(_SEED)
    found = []
    for asked, competing in (halves, halves[::-1]):
        places = np.sort(rng.permutation(np.flatnonzero(asked))[:_FOREIGN_ASKED])
        to_held = foreign.vectors[places] @ held.vectors.T
        to_others = foreign.vectors[places] @ foreign.vectors[competing].T
        own = [own_share(near, far) for near, far in zip(to_held, to_others, strict=True)]
        found.append((to_held.max(axis=1), np.array(own), foreign.groups[places]))
    return tuple(np.concatenate(column) for column in zip(*found, strict=True))  # type: ignore[return-value]


def _from_here(trials: _Trials, limits: Mapping[str, _Limits]) -> np.ndarray:
    """bool [cases]: near enough to the base, and nearer than tissue of other organs."""
    near = np.array([limits[site].near for site in trials.sites])
    own = np.array([limits[site].own for site in trials.sites])
    return (trials.similarities[:, 0] >= near) & (trials.own >= own)


def _cuts(
    trials: _Trials, answers: _Answers, chances: np.ndarray, from_here: np.ndarray
) -> dict[tuple[str, str], float]:
    """(site, diagnosis) → probability from which it is vouched for."""
    cuts: dict[tuple[str, str], float] = {}
    for site in np.unique(trials.sites):
        at = trials.sites == site
        usable = (from_here & (chances > 0))[at]
        of_label = fit_cuts(
            trials.truth[at], answers.said[at], chances[at], WRONG_AT_MOST, WRONG_OF_DIAGNOSIS, usable
        )
        cuts |= {(str(site), label): min(cut, 1.0) for label, cut in of_label.items()}
    return cuts


def _sure(
    trials: _Trials, answers: _Answers, chances: np.ndarray, cuts: dict[tuple[str, str], float]
) -> np.ndarray:
    """bool [cases]: those whose answer is sure enough."""
    pairs = zip(trials.sites, answers.said, strict=True)
    return chances >= np.array([cuts.get((site, said), 2.0) for site, said in pairs])


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
    found = []
    for site, diagnosis in sorted(set(zip(voters.sites.tolist(), voters.diagnoses.tolist(), strict=True))):
        held = (voters.sites == site) & (voters.diagnoses == diagnosis)
        own = (trials.sites == site) & (trials.truth == diagnosis)
        groups = len(np.unique(voters.groups[held]))
        measured = groups >= LEAST_GROUPS and own.any()
        found.append(
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
    return found


def _confusions(trials: _Trials, answers: _Answers) -> list[Confusion]:
    wrong = ~answers.right
    rows = zip(trials.sites[wrong], trials.truth[wrong], answers.said[wrong], strict=True)
    names, counts = np.unique(
        np.array([*rows], dtype=object).reshape(-1, 3).astype(str), axis=0, return_counts=True
    )
    found = [
        Confusion(site=site, truth=truth, said=said, cases=int(count))
        for (site, truth, said), count in zip(names.tolist(), counts, strict=True)
    ]
    return sorted(found, key=lambda confusion: (-confusion.cases, confusion.truth, confusion.said))


def _curve(voters: Voters, temperature: float) -> list[CurvePoint]:
    """The accuracy with 1, 2, 3, … cases of each diagnosis, as far as half of the diagnoses have as many."""
    keys = np.array([f"{site}\0{name}" for site, name in zip(voters.sites, voters.diagnoses, strict=True)])
    names, counts = np.unique(keys, return_counts=True)
    asked = voters.of(_sample(voters, _ASKED_OF_CURVE))
    nothing = np.zeros((0, voters.vectors.shape[1]), np.float32)
    points = []
    for each in (size for size in _CURVE if size <= np.median(counts)):
        right = []
        for draw in range(_DRAWS):
            rng = np.random.default_rng((_SEED, each, draw))
            held = [rng.permutation(np.flatnonzero(keys == name))[:each] for name in names]
            trials = _left_out(voters.of(np.concatenate(held)), asked, nothing)
            if trials is not None:
                right.append(trials.answers(temperature).right.mean())
        if right:
            points.append(CurvePoint(each=each, accuracy=float(np.mean(right))))
    return points


def _calibration_error(chances: np.ndarray, right: np.ndarray, bins: int = 10) -> float:
    """Mean distance between the probability and the share that is right, over bins of equal width."""
    places = np.minimum((chances * bins).astype(int), bins - 1)
    gaps = [
        abs(chances[places == b].mean() - right[places == b].mean()) * (places == b).mean()
        for b in np.unique(places)
    ]
    return float(min(1.0, sum(gaps)))


def _rate(found: np.ndarray, groups: np.ndarray) -> Rate:
    """The mean of bool [cases], with its interval."""
    from scipy.stats import binomtest

    names, places = np.unique(groups, return_inverse=True)
    hits = np.bincount(places, weights=found.astype(float))
    sizes = np.bincount(places).astype(float)
    drawn = np.random.default_rng(_SEED).multinomial(
        len(names), [1 / len(names)] * len(names), size=_RESAMPLES
    )
    low, high = np.quantile((drawn @ hits) / (drawn @ sizes), [0.025, 0.975])
    value = float(hits.sum() / sizes.sum())
    if value in (0.0, 1.0):  # every draw is the same: what so few groups leave open (Wilson, JASA 1927)
        interval = binomtest(round(value * len(names)), len(names)).proportion_ci(method="wilson")
        low, high = interval.low, interval.high
    if len(names) == 1:
        low, high = 0.0, 1.0  # one group says nothing about others
    return Rate(value=value, low=float(low), high=float(high), cases=len(found), groups=len(names))
