"""A replay tells every difference that matters, and none where there is none."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from videopath.agent.cases.library import load_case_library
from videopath.agent.cases.records import CaseReport, Decision, ExcludedRecord, RunSettings
from videopath.agent.replay import TOLERANCE, differences, replay, settings_of
from videopath.core.errors import CaseError, InputError
from videopath.model import open_clip


def _fields(before: CaseReport, after: CaseReport) -> list[str]:
    return [difference.field for difference in differences(before, after)]


def test_a_case_does_not_differ_from_itself(cases: SimpleNamespace) -> None:
    report = cases.report()
    other_run = report.model_copy(update={"case_id": "other", "created": "later", "steps": []})
    assert _fields(report, other_run) == []


@pytest.mark.parametrize(
    ("changes", "field"),
    [
        ({"description": "Another."}, "description"),
        ({"diagnosis": "benign colon tissue"}, "diagnosis"),
        ({"rationale": "Because."}, "rationale"),
        ({"blind_diagnosis": "other"}, "blind_diagnosis"),
        ({"status": "abstained"}, "status"),
        ({"confidence": 0.8002}, "confidence"),
        ({"findings": []}, "findings"),
        ({"similar_cases": []}, "similar_cases"),
        ({"provenance": {"weights": "2" * 64}}, "provenance.weights"),
    ],
)
def test_each_field_is_compared(changes: dict[str, Any], field: str, cases: SimpleNamespace) -> None:
    assert _fields(cases.report(), cases.report(**changes)) == [field]


@given(shift=st.floats(-0.01, 0.01))
def test_probabilities_may_differ_by_the_tolerance(shift: float, cases: SimpleNamespace) -> None:
    before, after = cases.report(), cases.report()
    after.differential[1].probability += shift
    moved = abs(after.differential[1].probability - before.differential[1].probability)
    assert _fields(before, after) == (["differential: benign colon tissue"] if moved > TOLERANCE else [])


def test_a_candidate_that_came_or_went_is_told(cases: SimpleNamespace) -> None:
    before, after = cases.report(), cases.report()
    after.differential[1].label = "tubular adenoma"
    assert _fields(before, after) == ["differential: benign colon tissue", "differential: tubular adenoma"]


def test_scores_of_the_views_are_compared_and_what_was_left_out(cases: SimpleNamespace) -> None:
    def seen(score: float, **more: Any) -> CaseReport:
        case = cases.report().similar_cases[0]
        found = {"rank": 1, "ranks": {"text": 1}, "scores": {"text": score}}
        ruled = RunSettings(policy={"context": {}})
        return cases.report(similar_cases=[case.model_copy(update=found)], settings=ruled, **more)

    assert _fields(seen(0.7), seen(0.70001)) == []
    assert _fields(seen(0.7), seen(0.8)) == ["similar_cases: r1, text"]
    left_out = ExcludedRecord(id="r9", source="s", reason="patient", detail="P")
    assert _fields(seen(0.7), seen(0.7, excluded=[left_out], excluded_count=1)) == ["excluded"]
    before = seen(0.7)
    before.settings.policy = {}  # of a version without these rules
    assert _fields(before, seen(0.8, excluded=[left_out], excluded_count=1)) == []


def test_what_a_person_decided_is_not_held_against_the_model(cases: SimpleNamespace) -> None:
    decided = cases.report(
        status="signed",
        diagnosis="tubular adenoma",
        review=[Decision(action="edit", reviewer="Dr. A", diagnosis="tubular adenoma")],
    )
    assert _fields(decided, cases.report()) == []


def test_another_video_is_refused_before_anything_runs(tmp_path: Path, cases: SimpleNamespace) -> None:
    bundle = cases.report().save_bundle(tmp_path / "case.zip")
    video = tmp_path / "frames"
    with pytest.raises(InputError, match="no file"):
        replay(bundle, video)
    video.mkdir()
    (video / "0.png").write_bytes(b"")
    with pytest.raises(InputError):
        replay(bundle, video)
    unread = cases.report(video=None, status="failed").save_bundle(tmp_path / "unread.zip")
    with pytest.raises(InputError, match="nothing to repeat"):
        replay(unread, video)


@pytest.mark.parametrize("kind", ["model", "base", "knowledge"])
def test_a_bundle_names_no_folder(
    kind: str, tmp_path: Path, small_case: Path, cases: SimpleNamespace
) -> None:
    report = cases.report(settings=RunSettings(**{kind: str(tmp_path)}))
    report.video.sha256 = open_clip(small_case, 1).sha256
    bundle = report.save_bundle(tmp_path / "case.zip")
    with pytest.raises(InputError, match=f"loaded only if you name it, too.*--{kind} "):
        replay(bundle, small_case)


def test_the_settings_of_a_case_come_from_its_inputs(own_home: Path) -> None:
    library = load_case_library()
    folder = library.start("case-1", "a.mp4", None, "nano")
    with pytest.raises(CaseError, match="stopped before it started"):
        settings_of(library, "case-1")
    (folder / "inputs.json").write_text("{}")
    with pytest.raises(CaseError, match="damaged"):
        settings_of(library, "case-1")
    (folder / "inputs.json").write_text('{"settings": {"model": "m", "frames": 3}}')
    assert settings_of(library, "case-1").frames == 3
