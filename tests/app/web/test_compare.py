"""Two runs side by side, and a case run again with something changed."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from videopath.agent import CaseReport, SimilarCase, Step, load_case_library
from videopath.agent.cases.records import RunSettings
from videopath.app.web.components.compare import comparison


def _report(**fields: Any) -> CaseReport:
    return CaseReport(case_id="x", status="done", **fields)


def _step(name: str) -> Step:
    return Step(name=name, summary="", started="2026-01-01T00:00:00Z", seconds=1.0)


def _case(case_id: str) -> SimilarCase:
    return SimilarCase(id=case_id, source="s", diagnosis="d", description="", score=0.5)


def test_an_empty_library_says_what_is_needed(app: Callable[..., Any]) -> None:
    test = app("compare").run()
    assert "two cases" in test.info[0].value
    assert test.button(key="another_case")


def test_two_runs_side_by_side(app: Callable[..., Any], home: Path) -> None:
    test = app("compare", a="done", b="abstained").run()
    assert not test.exception
    assert [box.value for box in test.selectbox][:2] == ["done", "abstained"]
    assert not test.warning  # both are of one video
    differing = test.table[0].value
    assert "policy: abstain threshold" in "".join(differing["differs"]).replace("\\", "")
    assert {header.value for header in test.header} >= {
        "Settings", "Differential", "Findings", "Similar cases", "Steps",
    }  # fmt: skip


def test_cases_of_the_same_video_are_offered_first(app: Callable[..., Any], home: Path) -> None:
    from videopath.agent.cases.library import CaseLibrary

    library: CaseLibrary = load_case_library(home)
    report = library.get("signed")
    assert report.video is not None
    report.case_id, report.status = "foreign", "done"
    report.video = report.video.model_copy(update={"path": "/videos/other.mp4", "sha256": "0" * 64})
    library.start("foreign", "/videos/other.mp4", "colon", "nano")
    library.save(report)
    test = app("compare", a="done", b="foreign").run()
    assert test.selectbox(key="run_b").options[-1].startswith("other.mp4")
    assert "different videos" in test.warning[0].value
    test.selectbox(key="run_b").set_value("signed").run()
    assert not test.warning
    assert test.query_params["b"] == "signed"


def test_of_many_cases_the_latest_are_offered_and_the_addressed_ones(
    app: Callable[..., Any], home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("videopath.app.web.pages.compare._OFFERED", 2)
    newest = [entry.case_id for entry in load_case_library(home).list() if entry.diagnosis]
    test = app("compare", a=newest[-1], b="no such case").run()
    assert not test.exception
    assert [len(test.selectbox(key=key).options) for key in ("run_a", "run_b")] == [3, 2]
    assert test.selectbox(key="run_a").value == newest[-1]
    assert test.query_params["b"] in newest
    assert "latest 2 cases" in " ".join(caption.value for caption in test.caption)


def test_a_case_that_is_gone_leaves_the_page_whole(app: Callable[..., Any], home: Path) -> None:
    (home / "cases" / "signed" / "report.json").write_text("{}")
    test = app("compare", a="done", b="signed").run()
    assert not test.exception
    assert "damaged" in test.text[0].value


def test_run_again_with_other_frames(app: Callable[..., Any], home: Path) -> None:
    test = app("compare", a="done", b="signed").run()
    test.number_input(key="again_frames").set_value(4)
    test.button(key="run_again").click().run()
    assert not test.exception
    library, latest = load_case_library(home), time.monotonic() + 90
    known = {"done", "abstained", "waiting", "signed", "failed", "interrupted"}
    (new,) = [entry.case_id for entry in library.list() if entry.case_id not in known]
    while library.entry(new).status == "running" and time.monotonic() < latest:
        time.sleep(0.2)
    report = library.get(new)
    assert report.video is not None
    assert len(report.video.seconds) == 4
    assert report.site == "colon"


def test_what_was_excluded_is_excluded_again_and_said(
    app: Callable[..., Any], home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    library = load_case_library(home)
    report = library.get("done")
    report.settings.exclude = ["P 7", "block 2"]
    report.similar_cases[0].ranks = {"text": 2, "lexical": 7}
    library.save(report)
    asked: list[Any] = []
    monkeypatch.setattr(
        "videopath.app.web.runtime.worker.Worker.submit", lambda self, request: asked.append(request)
    )
    monkeypatch.setattr("videopath.app.web.components.compare.rerun.open_case", lambda case_id: None)
    test = app("compare", a="done", b="signed").run()
    told = "\n".join(caption.value for caption in test.caption).replace("\\", "")
    assert "A: Asked to be left out: P 7, block 2." in told
    assert "text 2, image –, lexical 7" in told
    test.button(key="run_again").click().run()
    assert not test.exception
    assert asked[0].case.exclude == ["P 7", "block 2"]


def test_run_again_tells_why_it_cannot(app: Callable[..., Any], home: Path, tmp_path: Path) -> None:
    library = load_case_library(home)
    for case_id in ("done", "signed"):
        report = library.get(case_id)
        assert report.video is not None
        report.video.path = str(tmp_path / "gone.mp4")
        library.save(report)
    test = app("compare", a="done", b="signed").run()
    test.button(key="run_again").click().run()
    assert not test.exception
    assert any("gone.mp4" in text.value for text in test.text)


def test_settings_that_differ_are_found() -> None:
    first = _report(model="nano", settings=RunSettings(policy={"samples": 1, "max_looks": 0}))
    second = _report(
        model="big",
        site="lung",
        settings=RunSettings(knowledge="/k/ward", policy={"samples": 3, "max_looks": 0}),
    )
    pairs = {pair.name: pair for pair in comparison.settings(first, second)}
    assert pairs["model"].differs
    assert (pairs["site"].first, pairs["site"].second) == ("not given", "lung")
    assert (pairs["knowledge"].first, pairs["knowledge"].second) == ("bundled starter", "ward")
    assert pairs["policy: samples"].differs
    assert "policy: max looks" not in pairs
    assert not pairs["question"].differs
    named = _report(settings=RunSettings(exclude=["P 7"]))
    (excluded,) = [pair for pair in comparison.settings(named, first) if pair.name.startswith("excluded")]
    assert (excluded.first, excluded.second) == ("P 7", "not set")


def test_similar_cases_in_common_and_apart() -> None:
    found = comparison.similar(
        _report(similar_cases=[_case("a"), _case("b")]), _report(similar_cases=[_case("c"), _case("b")])
    )
    assert [pair[0].id for pair in found.both] == ["b"]
    assert [case.id for case in found.only_first] == ["a"]
    assert [case.id for case in found.only_second] == ["c"]


def test_steps_are_paired_in_their_order() -> None:
    short = _report(steps=[_step(name) for name in ("intake", "describe", "verify", "report")])
    names = ("intake", "describe", "verify", "look_closer", "describe", "verify", "report")
    long = _report(steps=[_step(name) for name in names])
    for first, second in ((short, long), (long, short)):
        pairs = comparison.steps(first, second)
        assert [pair.name for pair in pairs] == [
            "intake", "describe", "verify", "look closer", "describe (2)", "verify (2)", "report",
        ]  # fmt: skip
    assert pairs[3].second is None
