"""Confidence and closer looks: what holds for every case."""

from __future__ import annotations

from types import SimpleNamespace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from videopath.agent.cases.records import VideoFacts
from videopath.agent.decision.confidence import features, margin
from videopath.agent.graph.closer_look import can_look_closer, closer_request, tissue_window
from videopath.model.calibration import FEATURES, Calibration
from videopath.tools.schemas import Candidate, ClipInput, DiagnoseResult, ModelCall, Neighbour

shares = st.floats(0, 1)
values = st.fixed_dictionaries(dict.fromkeys(FEATURES, shares))


def result(*candidates: tuple[str, float], samples: tuple[str, ...] = ()) -> DiagnoseResult:
    return DiagnoseResult(
        label=candidates[0][0],
        generated=candidates[0][0],
        generated_differs=False,
        rationale="",
        differential=[Candidate(label=label, probability=p) for label, p in candidates],
        scores={},
        samples=list(samples),
        answer="",
        call=ModelCall(prompt="", prompt_sha256="", seconds=0, device="cpu", model="m"),
    )


def neighbour(diagnosis: str, score: float, kept: bool = True) -> Neighbour:
    return Neighbour(
        id="r", source="s", site=None, diagnosis=diagnosis, description="", score=score, kept=kept, why=""
    )


@given(values)
def test_confidence_is_a_probability(found: dict[str, float]) -> None:
    assert 0 < Calibration({}).confidence(found) < 1


@given(values, st.sampled_from(FEATURES), shares)
def test_more_in_favour_never_lowers_the_default_confidence(
    found: dict[str, float], name: str, more: float
) -> None:
    better = {**found, name: max(found[name], more)}
    assert Calibration({}).confidence(better) >= Calibration({}).confidence(found)


@pytest.mark.parametrize(("share", "expected"), [(1.0, 0.98), (0.0, 0.05), (0.5, 0.62)])
def test_the_defaults_are_as_documented(share: float, expected: float) -> None:
    assert Calibration({}).confidence(dict.fromkeys(FEATURES, share)) == pytest.approx(expected, abs=0.005)


def test_fitted_weights_take_the_place_of_the_defaults() -> None:
    fitted = {"confidence.intercept": 0.0} | {f"confidence.{name}": 0.0 for name in FEATURES}
    assert Calibration(fitted).confidence(dict.fromkeys(FEATURES, 1.0)) == 0.5
    assert Calibration({"confidence.intercept": -1e5}).confidence(dict.fromkeys(FEATURES, 1.0)) == 0.0


def test_features_of_a_look() -> None:
    final = result(("A", 0.7), ("B", 0.3), samples=("a", "B", "", "A"))
    blind = result(("B", 0.6), ("a", 0.4))
    kept = [neighbour("A", 0.9), neighbour("B", 0.3), neighbour("B", 0.9, kept=False)]
    found = features(final, blind, kept, 0.25)
    assert found == pytest.approx(
        {
            "top_probability": 0.7,
            "margin": 0.4,
            "samples": 0.5,
            "neighbours": 0.75,
            "description": 0.25,
            "blind": 0.4,
            "cases": 0.5,
        }
    )


def test_where_there_is_nothing_to_tell_from_a_feature_is_undecided_and_a_lone_candidate_is_no_evidence() -> (
    None
):
    found = features(result(("A", 1.0)), result(("A", 1.0)), [], None)
    assert (found["samples"], found["neighbours"], found["description"]) == (0.5, 0.5, 0.5)
    assert (found["top_probability"], found["margin"]) == (0.0, margin(result(("A", 1.0)).differential))


def facts(width: int, height: int, duration: float, kind: str) -> VideoFacts:
    return VideoFacts(
        path="v", sha256="0", kind=kind, reader="decord", fps=8, duration=duration, width=width, height=height,
        total_frames=10, sampling="uniform", seconds=[], indices=[],
    )  # fmt: skip


@given(
    st.integers(64, 4000),
    st.integers(64, 4000),
    st.floats(0, 600),
    st.sampled_from(["video", "image"]),
    shares,
    st.integers(0, 99),
)
def test_every_closer_look_lies_within_the_look_before(
    width: int, height: int, duration: float, kind: str, at: float, seed: int
) -> None:
    source = facts(width, height, 0.0 if kind == "image" else duration, kind)
    view = SimpleNamespace(frames=np.random.default_rng(seed).integers(0, 255, (1, 64, 64, 3), np.uint8))
    request = ClipInput(video="v", frames=8)
    for _ in range(20):
        if not can_look_closer(source, request):
            break
        start, end = request.start or 0.0, duration if request.end is None else request.end
        closer = closer_request(source, request, start + at * (end - start), view)
        assert closer != request
        if closer.start is not None:
            assert start - 0.002 <= closer.start < closer.end <= end + 0.002
        if closer.crop:
            left, top, right, bottom = request.crop or (0, 0, 1, 1)
            assert left - 1e-9 <= closer.crop[0] < closer.crop[2] <= right + 1e-9
            assert top - 1e-9 <= closer.crop[1] < closer.crop[3] <= bottom + 1e-9
            assert (closer.crop[2] - closer.crop[0]) * width >= 128 - 1e-6
        request = closer
    else:
        pytest.fail("it could look closer for ever")


def test_the_window_is_where_the_stained_detail_is() -> None:
    frame = np.full((160, 160, 3), 240, np.uint8)
    frame[90:150, 90:150] = np.random.default_rng(0).integers(0, 255, (60, 60, 3))
    left, top, right, bottom = (side * 160 for side in tissue_window(frame))
    assert left <= 90
    assert top <= 90
    assert right >= 150
    assert bottom >= 150
