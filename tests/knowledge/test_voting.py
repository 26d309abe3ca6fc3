"""The vote of the nearest cases, and what a knowledge base finds out about it by leaving out each group."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from videopath.knowledge.voting.leave_group_out import ForeignTissue, measure_vote
from videopath.knowledge.voting.measure import Measure, judge
from videopath.knowledge.voting.vote import (
    NEAREST,
    Space,
    Vote,
    Voters,
    ballots_of,
    nearest_groups,
    own_share,
    shares_of,
)

DIMENSION = 24


def clusters(
    rng: np.random.Generator, centres: dict[str, np.ndarray], groups: int, each: int, spread: float = 0.4
) -> tuple[np.ndarray, list[str], list[str]]:
    """Vectors around the centre of each diagnosis: (vectors, diagnoses, groups)."""
    vectors, diagnoses, names = [], [], []
    for diagnosis, centre in centres.items():
        for group in range(groups):
            own = centre + rng.normal(0, spread, DIMENSION)
            for _ in range(each):
                vectors.append(own + rng.normal(0, spread / 2, DIMENSION))
                diagnoses.append(diagnosis)
                names.append(f"{diagnosis} {group}")
    return np.array(vectors, np.float32), diagnoses, names


def voters(
    space: Space, vectors: np.ndarray, diagnoses: list[str], groups: list[str], site: str = "colon"
) -> Voters:
    ids = [f"r{number}" for number in range(len(vectors))]
    return Voters(
        space.placed(vectors),
        np.array(ids),
        np.array(groups),
        np.array(diagnoses),
        np.array([site] * len(vectors)),
    )


def centres(rng: np.random.Generator, *names: str, apart: float = 2.0) -> dict[str, np.ndarray]:
    return {name: rng.normal(0, apart, DIMENSION) for name in names}


@pytest.fixture
def laboratory() -> tuple[Voters, Space, ForeignTissue, dict[str, np.ndarray], np.random.Generator]:
    """Three diagnoses of ten patients each, and tissue of six other organs."""
    rng = np.random.default_rng(3)
    own = centres(rng, "adenoma", "adenocarcinoma", "normal mucosa")
    other = centres(rng, *(f"organ {n}" for n in range(6)))
    far, sites, groups = clusters(rng, other, 8, 2)
    space = Space.around(far)
    held = voters(space, *clusters(rng, own, 10, 3))
    foreign = ForeignTissue(space.placed(far), np.array(sites), np.array(groups))
    return held, space, foreign, own, rng


def ask(measured: Measure, held: Voters, foreign: ForeignTissue, picture: np.ndarray) -> Vote:
    image = measured.space.placed(picture)[0]
    similarities = held.vectors @ image
    ballots = ballots_of(similarities, held, measured.temperature)
    return Vote(
        ballots=ballots,
        shares=shares_of(ballots, np.unique(held.diagnoses)),
        site="colon",
        own=own_share(similarities, foreign.vectors @ image),
    )


def test_each_group_has_one_vote() -> None:
    space = Space(np.zeros(2, np.float32), (2,))
    vectors = np.array([[1, 0.0], [1, 0.1], [1, 0.2], [0, 1.0]], np.float32)
    held = voters(space, vectors, ["a", "a", "b", "c"], ["one", "one", "two", "three"])
    ballots = ballots_of(held.vectors @ space.placed(np.array([1.0, 0.0]))[0], held, 0.1)
    assert [(ballot.id, ballot.group) for ballot in ballots] == [
        ("r0", "one"),
        ("r2", "two"),
        ("r3", "three"),
    ]
    assert ballots[0].weight == 1.0
    assert ballots[0].weight > ballots[1].weight > ballots[2].weight


def test_a_vote_without_its_deciding_cases_goes_to_another() -> None:
    shares = ["a", "b", "c"]
    space = Space(np.zeros(2, np.float32), (2,))
    vectors = np.array([[1, 0.02], [1, 0.05], [1, 0.3], [1, 0.35]], np.float32)
    held = voters(space, vectors, ["a", "a", "b", "b"], ["one", "two", "three", "four"])
    ballots = ballots_of(held.vectors @ space.placed(np.array([1.0, 0.0]))[0], held, 0.1)
    vote = Vote(ballots=ballots, shares=shares_of(ballots, shares))
    assert vote.leading == "a"
    assert sum(vote.shares.values()) == pytest.approx(1)
    assert set(vote.deciding) <= {"r0", "r1"}
    assert vote.without(vote.deciding).leading == "b"
    assert vote.shares["c"] > 0  # no case of it voted, and it is still possible


def test_centring_takes_away_what_all_tissue_shares() -> None:
    rng = np.random.default_rng(0)
    vectors = rng.normal(0, 0.1, (50, DIMENSION)).astype(np.float32) + 1.0  # nearly the same direction
    raw = vectors / np.linalg.norm(vectors, axis=1, keepdims=True)
    assert (raw @ raw.T).min() > 0.9
    placed = Space.around(vectors).placed(vectors)
    assert (placed @ placed.T).min() < 0
    assert np.linalg.norm(placed, axis=1) == pytest.approx(1, abs=1e-5)


def test_encoders_that_are_joined_count_alike() -> None:
    rng = np.random.default_rng(1)
    first, second = rng.normal(0, 100, (9, 4)), rng.normal(0, 0.001, (9, 6))  # of very different size
    both = Space.around(np.concatenate([first, second], axis=1), (4, 6))
    placed = both.placed(np.concatenate([first, second], axis=1))
    alone = [Space.around(part).placed(part) for part in (first, second)]
    mean = sum(part @ part.T for part in alone) / 2
    assert placed @ placed.T == pytest.approx(mean, abs=1e-4)


@given(
    st.lists(st.integers(0, 40), min_size=1, max_size=400),
    st.integers(0, 2**32 - 1),
)
def test_the_nearest_groups_are_those_of_a_plain_search(groups: list[int], seed: int) -> None:
    similarities = np.random.default_rng(seed).normal(size=len(groups)).astype(np.float32)
    codes = np.array(groups)
    expected: list[int] = []
    for place in np.argsort(-similarities, kind="stable"):
        if codes[place] not in codes[expected]:
            expected.append(int(place))
    assert nearest_groups(similarities, codes).tolist() == expected[:NEAREST]


def test_a_base_knows_how_often_it_is_right(laboratory) -> None:
    held, space, foreign, own, rng = laboratory
    measured = measure_vote(held, space, foreign, "0" * 64)
    assert measured is not None
    assert (measured.cases, measured.groups) == (90, 30)
    new, truth, _ = clusters(rng, own, 40, 1)
    right = np.mean([ask(measured, held, foreign, v).leading == t for v, t in zip(new, truth, strict=True)])
    assert measured.accuracy.low - 0.05 <= right <= measured.accuracy.high + 0.05
    assert [point.each for point in measured.curve] == [1, 2, 3, 5, 10, 20]
    assert measured.curve[-1].accuracy >= measured.curve[0].accuracy
    assert [round(point.answered, 1) for point in measured.by_answered] == [
        tenth / 10 for tenth in range(1, 11)
    ]
    assert measured.by_answered[-1].accuracy == pytest.approx(measured.accuracy.value)
    assert measured.by_answered[0].accuracy >= measured.by_answered[-1].accuracy
    assert Measure.model_validate_json(measured.model_dump_json()) == measured


def test_it_vouches_for_its_own_tissue_and_not_for_others(laboratory) -> None:
    held, space, foreign, own, rng = laboratory
    measured = measure_vote(held, space, foreign, "0" * 64)
    assert measured is not None
    new, truth, _ = clusters(rng, own, 40, 1)
    judged = [judge(ask(measured, held, foreign, vector), measured) for vector in new]
    vouched = [(found, true) for found, true in zip(judged, truth, strict=True) if found.vouches]
    assert len(vouched) > 0.7 * len(new)
    assert np.mean([found.diagnosis == true for found, true in vouched]) >= 0.95
    assert all(found.probability and "90 cases of 30 groups" in found.measured_on for found, _ in vouched)
    unseen, _, _ = clusters(rng, centres(rng, "organ 7", "organ 8"), 30, 1)
    strangers = [judge(ask(measured, held, foreign, vector), measured) for vector in unseen]
    assert np.mean([found.vouches for found in strangers]) <= 0.05
    assert any("unlike every case" in reason for found in strangers for reason in found.reasons)


def test_a_diagnosis_of_one_patient_is_never_vouched_for(laboratory) -> None:
    held, space, foreign, _, _ = laboratory
    groups = np.where(held.diagnoses == "adenoma", "one patient", held.groups)
    alone = Voters(held.vectors, held.ids, groups, held.diagnoses, held.sites)
    measured = measure_vote(alone, space, foreign, "0" * 64)
    assert measured is not None
    found = measured.of_diagnosis("colon", "adenoma")
    assert found is not None
    assert (found.groups, found.accuracy, found.least) == (1, None, None)
    picture = held.vectors[held.diagnoses == "adenoma"].mean(axis=0) + space.centre
    judged = judge(ask(measured, alone, foreign, picture), measured)
    assert judged.diagnosis == "adenoma"
    assert not judged.vouches
    assert any("Add cases of another patient" in reason for reason in judged.reasons)


def test_what_cannot_be_told_apart_is_not_vouched_for() -> None:
    rng = np.random.default_rng(5)
    same = rng.normal(0, 2, DIMENSION)
    vectors, diagnoses, groups = clusters(
        rng, {"mantle cell": same, "follicular": same, "other": -same}, 12, 2
    )
    space = Space.around(vectors)
    held = voters(space, vectors, diagnoses, groups)
    nothing = ForeignTissue(np.zeros((0, DIMENSION), np.float32), np.zeros(0, str), np.zeros(0, str))
    measured = measure_vote(held, space, nothing, "0" * 64)
    assert measured is not None
    of_each = {found.diagnosis: found for found in measured.diagnoses}
    for found in of_each.values():
        assert found.wrong <= 0.2 * found.cases
    assert of_each["other"].answered > 0.5 * of_each["other"].cases
    confused = {(found.truth, found.said) for found in measured.confusions}
    assert ("mantle cell", "follicular") in confused


def test_cases_of_one_group_each_alone_are_not_measured() -> None:
    rng = np.random.default_rng(2)
    vectors, diagnoses, _ = clusters(rng, centres(rng, "a"), 1, 4)
    space = Space.around(vectors)
    held = voters(space, vectors, diagnoses, ["one"] * 4)
    nothing = ForeignTissue(np.zeros((0, DIMENSION), np.float32), np.zeros(0, str), np.zeros(0, str))
    assert measure_vote(held, space, nothing, "0" * 64) is None
