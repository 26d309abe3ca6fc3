"""Evaluations that are kept, and the curves made of them."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from videopath.core.errors import InputError
from videopath.evaluation import kept as kept_files
from videopath.evaluation.kept import Evaluation
from videopath.evaluation.tiles.clips import Outcome, summarise
from videopath.media.quality.attributes import SCALES
from videopath.model.calibration import FEATURES


def _outcome(confidence: float, right: bool) -> Outcome:
    return Outcome(
        path="a.png",
        label="colon_n",
        site="colon",
        truth="benign colon tissue",
        blind="benign colon tissue",
        final="benign colon tissue" if right else "colon adenocarcinoma",
        confidence=confidence,
        abstained=confidence < 0.5,
        features=dict.fromkeys(FEATURES, 0.5),
        attributes={scale.attribute: True for scale in SCALES},
        seconds=1.0,
    )


def _evaluation(outcomes: list[Outcome]) -> Evaluation:
    return Evaluation(
        model="owner/Some model",
        weights_sha256="0" * 64,
        version="0.1.0",
        split="test",
        looks=2,
        created="2026-01-31T14:25:01.250Z",
        outcomes=outcomes,
    )


SOME = st.lists(st.tuples(st.floats(0, 1), st.booleans()), min_size=1, max_size=60)


def test_an_evaluation_comes_back_as_it_was(tmp_path: Path) -> None:
    kept = _evaluation([_outcome(0.9, True), _outcome(0.3, False)])
    path = kept_files.save_evaluation(kept, tmp_path)
    assert path.name == "20260131-142501-250000-owner-Some-model.json"
    assert kept_files.read_evaluation(path) == kept


def test_the_last_evaluation_comes_first(tmp_path: Path) -> None:
    assert kept_files.list_evaluations(tmp_path) == []
    kept = _evaluation([_outcome(0.9, True)])
    older = kept_files.save_evaluation(kept, tmp_path)
    newer = kept_files.save_evaluation(
        kept.model_copy(update={"created": "2026-02-01T00:00:00.000Z", "model": "a"}), tmp_path
    )
    assert kept_files.list_evaluations(tmp_path) == [newer, older]


@pytest.mark.parametrize("text", ["", "{}", "[1]", '{"outcomes": 1}'])
def test_what_is_no_evaluation_is_told(tmp_path: Path, text: str) -> None:
    path = tmp_path / "x.json"
    path.write_text(text)
    with pytest.raises(InputError, match=r"x\.json is not an evaluation"):
        kept_files.read_evaluation(path)


def test_an_evaluation_without_outcomes_is_told(tmp_path: Path) -> None:
    path = kept_files.save_evaluation(_evaluation([]), tmp_path)
    with pytest.raises(InputError, match="has no outcome"):
        kept_files.read_evaluation(path)


def test_risk_and_coverage_by_hand() -> None:
    outcomes = [_outcome(0.9, True), _outcome(0.8, False), _outcome(0.8, True), _outcome(0.2, False)]
    points = kept_files.risk_coverage(outcomes)
    assert [(p.confidence, p.coverage) for p in points] == [(0.9, 0.25), (0.8, 0.75), (0.2, 1.0)]
    assert [p.risk for p in points] == pytest.approx([0.0, 1 / 3, 0.5])


@settings(deadline=None, max_examples=40)
@given(SOME)
def test_the_whole_coverage_has_the_whole_risk(drawn: list[tuple[float, bool]]) -> None:
    outcomes = [_outcome(*one) for one in drawn]
    points = kept_files.risk_coverage(outcomes)
    assert points[-1].coverage == 1.0
    assert points[-1].risk == pytest.approx(sum(not o.right for o in outcomes) / len(outcomes))
    assert [p.coverage for p in points] == sorted(p.coverage for p in points)
    assert [p.confidence for p in points] == sorted({o.confidence for o in outcomes}, reverse=True)


@settings(deadline=None, max_examples=40)
@given(SOME)
def test_bins_hold_every_clip_and_give_the_calibration_error(drawn: list[tuple[float, bool]]) -> None:
    outcomes = [_outcome(*one) for one in drawn]
    bins = kept_files.reliability(outcomes)
    assert sum(b.right.count for b in bins) == len(outcomes)
    assert all(b.low <= b.confidence <= b.high for b in bins)
    sure = [outcome for outcome in outcomes if outcome.confidence > 0]
    bins = kept_files.reliability(sure)
    error = sum(b.right.count * abs(b.right.value - b.confidence) for b in bins) / max(1, len(sure))
    assert summarise(outcomes).calibration_error == (pytest.approx(error) if sure else None)


def test_a_perfect_confidence_separates_perfectly() -> None:
    best = kept_files.separation([_outcome(1.0, True)] * 3 + [_outcome(0.0, False)])
    assert (best.auroc, best.brier) == (1.0, 0.0)
    worst = kept_files.separation([_outcome(0.0, True)] * 3 + [_outcome(1.0, False)])
    assert (worst.auroc, worst.brier) == (0.0, 1.0)
    assert best.risk_area < worst.risk_area


def test_alike_answers_have_nothing_to_separate() -> None:
    assert kept_files.separation([_outcome(0.7, True)]).auroc is None
