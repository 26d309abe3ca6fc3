"""The worklist: cases found, opened, resumed, chosen and deleted."""

from __future__ import annotations

import shutil
import time
from collections.abc import Callable
from datetime import UTC, datetime
from io import BytesIO
from pathlib import Path
from typing import Any
from zipfile import ZipFile

import pytest

from videopath.agent import load_case_library
from videopath.agent.cases.library import CaseEntry
from videopath.agent.cases.team.audit import audit_events, deletions
from videopath.app.web.components.shared.status import STATUSES, age, status_of
from videopath.app.web.components.worklist.batch import progress_in_words
from videopath.app.web.components.worklist.filters import NO_SITE
from videopath.app.web.runtime.people import NAME
from videopath.app.web.runtime.worker import JobState

_BADGES = {
    "done": "done",
    "abstained": "abstained",
    "waiting": "waiting for review",
    "signed": "signed",
    "failed": "failed",
    "interrupted": "interrupted",
}


def _shown(test: Any) -> list[str]:
    """The ids of the cases on the page, from above."""
    return list(test.dataframe[0].value["case"]) if test.dataframe else []


def _tick(test: Any, *case_ids: str) -> Any:
    """Tick the rows of these cases and draw the page."""
    rows = [_shown(test).index(case_id) for case_id in case_ids]
    test.session_state[test.dataframe[0].key] = {"selection": {"rows": rows}}
    return test.run()


def _entry(case_id: str, **fields: Any) -> CaseEntry:
    standard = {
        "status": "done",
        "video": f"/videos/{case_id}.mp4",
        "site": "colon",
        "diagnosis": "colon adenocarcinoma",
        "confidence": 0.9,
        "model": "VideoPath-nano",
        "created": "2026-01-01T12:00:00.000Z",
        "updated": "2026-01-01T12:00:00.000Z",
    }
    return CaseEntry(case_id=case_id, **{**standard, **fields})


def test_an_empty_library_says_how_to_begin(app: Callable[..., Any]) -> None:
    test = app("worklist").run()
    assert "no cases yet" in test.info[0].value
    assert test.button(key="first_case").label == "New case"


def test_every_state_has_its_word_and_every_row_its_facts(app: Callable[..., Any], home: Path) -> None:
    test = app("worklist").run()
    assert not test.exception
    table = test.dataframe[0].value.set_index("case")
    assert dict(table["status"]) == _BADGES
    assert table["open"]["waiting"] == "Review"
    assert table["signed by"]["signed"] == "Dr Grey"
    assert table["picture"]["done"].startswith("data:image/jpeg;base64,")
    assert (home / "cases" / "done" / "thumbnail.jpg").stat().st_size < 4096
    assert {"model", "cases"} >= set(str(table["vouched for by"]["done"]).split(" and "))
    assert "resume_selected" not in [button.key for button in _tick(test, "done").button]
    assert _tick(test, "failed", "interrupted").button(key="resume_selected")


def test_filter_search_and_order(app: Callable[..., Any], home: Path) -> None:
    test = app("worklist").run()
    test.button_group(key="filter_status").set_value(["signed"]).run()
    assert _shown(test) == ["signed"]
    test.button_group(key="filter_status").set_value([]).run()
    test.multiselect(key="filter_site").set_value([NO_SITE]).run()
    assert _shown(test) == ["failed"]
    test.multiselect(key="filter_site").set_value([]).run()
    test.text_input(key="search").set_value("COLON interrupt").run()
    assert _shown(test) == ["interrupted"]
    test.text_input(key="search").set_value("no such case").run()
    assert _shown(test) == []
    assert "remove a filter" in test.info[0].value
    test.text_input(key="search").set_value("").run()
    newest = _shown(test)
    test.selectbox(key="sort").set_value("oldest first").run()
    assert _shown(test) == newest[::-1]


def test_delete_asks_first_and_names_the_cases(app: Callable[..., Any], home: Path) -> None:
    test = _tick(app("worklist").run(), "done", "failed")
    test.session_state[NAME] = "Dr Ash"
    test.button(key="delete_selected").click().run()
    assert load_case_library(home).entry("done")
    names = " ".join(element.value for element in test.markdown)
    assert "colon case" in names
    assert r"\(failed\)" in names
    test.button(key="cancel_delete").click().run()
    assert "done" in _shown(test)
    test.button(key="delete_selected").click().run()
    test.button(key="confirm_delete").click().run()
    assert not test.exception
    assert not {"done", "failed"} & set(_shown(test))
    assert not (home / "cases" / "done").exists()
    noted = deletions(load_case_library(home))
    assert {(one.case_id, one.who) for one in noted} == {("done", "Dr Ash"), ("failed", "Dr Ash")}


def test_two_ticked_cases_are_compared_and_none_is_signed(app: Callable[..., Any], home: Path) -> None:
    test = _tick(app("worklist").run(), "done", "signed")
    assert test.button(key="compare_selected").label == "Compare"
    assert not [
        button.key
        for button in test.button
        if "sign" in f"{button.key} {button.label}".lower().replace("assign", "")
    ]
    assert "compare_selected" not in [button.key for button in _tick(test, "done", "failed").button]


def test_the_export_holds_a_bundle_of_each_case(home: Path, own_home: Path) -> None:
    from videopath.app.web.components.worklist.actions import bundles
    from videopath.app.web.runtime.services import services

    with ZipFile(BytesIO(bundles(services(), ["done", "failed", "signed"]))) as archive:
        assert archive.namelist() == ["done.zip", "signed.zip", "left-out.txt"]
        assert archive.read("left-out.txt").startswith(b"failed: ")
        with ZipFile(BytesIO(archive.read("done.zip"))) as bundle:
            assert "report.json" in bundle.namelist()


def test_cases_are_assigned_and_found_as_mine(app: Callable[..., Any], home: Path) -> None:
    test = app("worklist")
    test.session_state["reviewer_name"] = "Dr Grey"
    _tick(test.run(), "done", "waiting")
    test.button(key="confirm_assign").click().run()
    assert not test.exception
    library = load_case_library(home)
    assert [library.entry(one).assigned for one in ("done", "waiting", "signed")] == [
        "Dr Grey",
        "Dr Grey",
        None,
    ]
    test.toggle(key="mine").set_value(True).run()
    assert set(_shown(test)) == {"done", "waiting"}
    assert [(event.who, event.what, event.detail) for event in audit_events(library, "done")] == [
        ("Dr Grey", "assigned", "to Dr Grey")
    ]


def test_resume_hands_the_case_to_the_worker(app: Callable[..., Any], home: Path) -> None:
    test = _tick(app("worklist").run(), "interrupted")
    test.button(key="resume_selected").click().run()
    assert not test.exception
    library, latest = load_case_library(home), time.monotonic() + 60
    while library.entry("interrupted").status == "running" and time.monotonic() < latest:
        time.sleep(0.2)
    assert library.entry("interrupted").status == "done"


def test_filters_and_page_come_from_the_address(app: Callable[..., Any], home: Path) -> None:
    test = app("worklist", status="signed", search="colon", order="oldest first").run()
    assert not test.exception
    assert _shown(test) == ["signed"]
    assert test.text_input(key="search").value == "colon"
    test.button_group(key="filter_status").set_value(["done", "waiting for review"]).run()
    assert test.query_params["status"] == ["done", "waiting for review"]
    assert set(_shown(test)) == {"done", "waiting"}
    test.query_params.clear()
    test.query_params["id"] = "done"  # Back from a case
    test.run()
    assert set(_shown(test)) == {"done", "waiting"}
    assert test.text_input(key="search").value == "colon"


def test_thousands_of_cases_are_shown_by_the_page(app: Callable[..., Any], own_home: Path) -> None:
    from contextlib import closing
    from sqlite3 import connect

    load_case_library(own_home).start("first", "/videos/a.mp4", "colon", "nano")
    with closing(connect(own_home / "cases.sqlite")) as database, database:
        database.executemany(
            "INSERT INTO cases (case_id, status, video, site, diagnosis, confidence, model, created, updated) "
            "VALUES (?, 'done', '/videos/a.mp4', 'colon', 'colon adenocarcinoma', 0.9, 'nano', ?, ?)",
            [
                (f"case-{n:05}", f"2020-01-01T00:{n // 60 % 60:02}:{n % 60:02}.000Z", "2020")
                for n in range(3000)
            ],
        )
    begun = time.monotonic()
    test = app("worklist").run()
    assert time.monotonic() - begun < 20  # about one second where nothing else runs
    assert len(_shown(test)) == 50
    assert "3,001 cases" in [caption.value for caption in test.caption]
    first = _shown(test)
    test.pagination(key="page").set_value(2).run()
    assert len(_shown(test)) == 50
    assert not set(first) & set(_shown(test))
    test.text_input(key="search").set_value("case-02999").run()
    assert _shown(test) == ["case-02999"]


def test_the_worker_knows_better_than_the_library() -> None:
    running = _entry("a", status="running")
    assert status_of(running, {}) == "interrupted"
    assert status_of(running, {"a": JobState("a", "me", "queued", 2)}) == "queued"
    assert status_of(running, {"a": JobState("a", "me", "loading")}) == "running"
    assert status_of(_entry("a", status="signed"), {}) in STATUSES


def test_age_in_words() -> None:
    now = datetime(2026, 1, 3, 12, 0, tzinfo=UTC)
    assert age("2026-01-03T11:59:30.000Z", now) == "just now"
    assert age("2026-01-03T11:55:00.000Z", now) == "5 min ago"
    assert age("2026-01-03T09:00:00.000Z", now) == "3 h ago"
    assert age("2026-01-01T12:00:00.000Z", now) == "2 days ago"
    assert age("2026-01-02T11:00:00.000Z", now) == "1 day ago"


def test_the_files_of_a_folder_become_a_batch_with_one_line_of_progress(
    app: Callable[..., Any], own_home: Path, clip: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("VIDEOPATH_WORKER", "false")  # another process would work on them
    folder = tmp_path / "incoming"
    folder.mkdir()
    for name in ("a.mp4", "b.mp4"):
        shutil.copy(clip, folder / name)
    (folder / "notes.txt").write_text("no video")
    test = app("worklist").run()
    test.text_input(key="batch_folder_0").set_value(str(tmp_path / "nowhere"))
    test.button(key="start_batch").click().run()
    assert "There is no folder" in test.error[0].value.replace("\\", "")
    test.text_input(key="batch_folder_0").set_value(str(folder))
    test.text_input(key="batch_name_0").set_value("Monday")
    test.button(key="start_batch").click().run()
    assert not test.exception
    entries = load_case_library(own_home).list()
    assert sorted((entry.batch, entry.status, Path(entry.video).name) for entry in entries) == [
        ("Monday", "queued", "a.mp4"),
        ("Monday", "queued", "b.mp4"),
    ]
    assert (
        progress_in_words("Monday", {"queued": 2, "done": 1, "failed": 1})
        == "Monday: 2 of 4 finished, 1 failed"
    )
    test.button(key="show_batch_Monday").click().run()
    assert len(_shown(test)) == 2
    assert test.text_input(key="search").value == "Monday"
