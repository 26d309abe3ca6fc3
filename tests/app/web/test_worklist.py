"""The worklist: cases found, opened, resumed, chosen and deleted."""

from __future__ import annotations

import time
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from videopath.agent import load_case_library
from videopath.agent.cases.library import CaseEntry
from videopath.app.web.components.shared.status import STATUSES, age, status_of
from videopath.app.web.components.worklist.filters import NO_SITE
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
    return [button.key.removeprefix("open_") for button in test.button if button.key.startswith("open_")]


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


def test_every_state_has_its_word(app: Callable[..., Any], home: Path) -> None:
    test = app("worklist").run()
    assert not test.exception
    assert set(_shown(test)) == set(_BADGES)
    text = " ".join(element.value for element in test.markdown)
    assert all(word in text for word in _BADGES.values())
    resumable = {b.key.removeprefix("resume_") for b in test.button if b.key.startswith("resume_")}
    assert resumable == {"failed", "interrupted"}


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


def test_delete_asks_first(app: Callable[..., Any], home: Path) -> None:
    test = app("worklist").run()
    test.button(key="delete_done").click().run()
    assert load_case_library(home).entry("done")
    test.button(key="cancel_delete").click().run()
    assert "done" in _shown(test)
    test.button(key="delete_done").click().run()
    test.button(key="confirm_delete").click().run()
    assert not test.exception
    assert "done" not in _shown(test)
    assert not (home / "cases" / "done").exists()


def test_two_cases_are_chosen_to_compare(app: Callable[..., Any], home: Path) -> None:
    test = app("worklist").run()
    boxes = {box.key.removeprefix("compare_") for box in test.checkbox}
    assert boxes == {"done", "abstained", "waiting", "signed"}  # those with a diagnosis
    test.checkbox(key="compare_done").check().run()
    assert _shown(test)[-1] == "failed"  # the only one of another video
    test.checkbox(key="compare_signed").check().run()
    assert test.checkbox(key="compare_abstained").disabled
    assert test.button(key="compare_chosen").label == "Compare"
    test.button(key="clear_chosen").click().run()
    assert not test.checkbox(key="compare_done").value
    assert not test.checkbox(key="compare_abstained").disabled


def test_resume_hands_the_case_to_the_worker(app: Callable[..., Any], home: Path) -> None:
    test = app("worklist").run()
    test.button(key="resume_interrupted").click().run()
    assert not test.exception
    library, latest = load_case_library(home), time.monotonic() + 60
    while library.entry("interrupted").status == "running" and time.monotonic() < latest:
        time.sleep(0.2)
    assert library.entry("interrupted").status == "done"


def test_texts_of_a_case_stay_inert(app: Callable[..., Any], own_home: Path) -> None:
    library = load_case_library(own_home)
    library.start("odd", "/videos/**bold** <script>.mp4", None, ":red[model]")
    test = app("worklist").run()
    caption = " ".join(c.value for c in test.caption)
    assert "**" not in caption
    assert r"\<script\>" in caption
    assert ":red[" not in caption


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
