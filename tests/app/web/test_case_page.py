"""The case page in each of a case's states, with real cases of nano."""

from __future__ import annotations

import json
import re
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from videopath.agent import DiagnosticAgent, load_case_library
from videopath.agent.cases.records import ExcludedRecord
from videopath.agent.cases.storage.pages import Sifting
from videopath.agent.cases.team.audit import audit_events
from videopath.agent.cases.team.worklist import Worklist
from videopath.agent.report.phrases import basis_in_words
from videopath.app.web.components.case.tabs import COURSE, RECORD
from videopath.app.web.components.viewer.messages import AnnotationList, Drawn, Wanted, received

App = Callable[..., Any]


def _viewer(page: Any) -> dict[str, Any]:
    """What the viewer was sent."""
    sent = next(part.proto for part in page.get("bidi_component") if "viewer" in part.proto.component_name)
    data: dict[str, Any] = json.loads(sent.json)
    return data


def test_without_an_id_the_page_says_where_cases_are(app: App, home: Path) -> None:
    page = app("case").run()
    assert not page.exception
    assert "worklist" in page.info[0].value
    assert page.button(key="to_worklist")


@pytest.mark.parametrize("case_id", ["nobody", "../done", "<script>alert(1)</script>"])
def test_an_unknown_id_is_told(app: App, home: Path, case_id: str) -> None:
    page = app("case", id=case_id).run()
    assert not page.exception
    told = page.error[0].value.replace("\\", "")
    assert "There is no case nobody" in told or "is not a case id" in told
    assert "<script>" not in page.error[0].value


def test_a_done_case_shows_all_there_is_to_check(app: App, home: Path) -> None:
    page = app("case", id="done").run()
    assert not page.exception
    report = load_case_library(home).get("done")
    assert page.title[0].value == report.diagnosis.capitalize()
    seen = [number for number, finding in enumerate(report.findings, 1) if finding.was_seen]
    assert seen
    listed = _viewer(page)["findings"]
    assert [finding["seconds"] is not None for finding in listed] == [f.has_moment for f in report.findings]
    assert [finding["basis"] for finding in listed] == [basis_in_words(f) for f in report.findings]
    chart = page.get("vega_lite_chart")
    assert report.differential[0].label in chart[0].proto.alt
    assert any("similar cases" in caption.value for caption in page.caption)
    assert page.text_input(key="reviewer").value == ""
    labels = [step.label for step in _opened(page, COURSE).expander]
    assert [f"**{n} · " in label for n, label in enumerate(labels[: len(report.steps)], 1)] == [True] * 7
    assert "Blind diagnosis" in labels[2]
    assert {button.proto.label for button in _opened(page, RECORD).get("download_button")} == {
        "PDF",
        "HTML",
        "Markdown",
        "JSON",
        "Bundle",
    }


def test_a_similar_case_shows_its_ranks_and_the_page_what_was_left_out(app: App, home: Path) -> None:
    library = load_case_library(home)
    report = library.get("done")
    left_out = {"id": "r<1>", "source": "s", "reason": "patient", "detail": "P 7"}
    report.excluded, report.excluded_count = [ExcludedRecord(**left_out)], 1
    report.retrieval_notes = ["Pictures were not compared."]
    report.similar_cases[0].ranks = {"text": 3, "image": 1}
    retrieved = next(step for step in report.steps if step.name == "retrieve")
    retrieved.detail["result"] |= {"excluded": [left_out], "notes": ["Said in the step."]}
    retrieved.detail["result"]["neighbours"][0]["ranks"] = {"text": 3, "image": 1}
    library.save(report)
    page = app("case", id="done").run()
    assert not page.exception
    captions = "\n".join(caption.value for caption in page.caption).replace("\\", "")
    assert "ranks: text 3, image 1, lexical –" in captions
    assert "1 record of the knowledge base could not be used" in captions
    assert "r<1> (same patient: P 7)." in captions
    assert "Pictures were not compared." in captions
    page.session_state["step_4_retrieve"] = True
    _opened(page, COURSE)
    assert any("Said in the step." in text.value for text in page.text)
    tables = "\n".join(table.value.to_string() for table in page.table)
    assert "text 3, image 1, lexical –" in tables


def test_the_viewer_gets_the_video_and_all_moments(app: App, home: Path) -> None:
    page = app("case", id="done").run()
    assert not page.exception
    until = time.monotonic() + 120  # writing is searched in the whole video first
    while not _viewer(page)["url"] and time.monotonic() < until:
        assert len(_viewer(page)["stills"]) > 1, "the frames are shown meanwhile"
        time.sleep(0.2)
        page.run()
    report = load_case_library(home).get("done")
    data = _viewer(page)
    assert data["url"].endswith(".mp4")
    assert (data["width"], data["height"], data["duration"]) == (640, 480, pytest.approx(3, abs=0.1))
    assert data["sampled"] == report.video.seconds
    assert data["may_annotate"] is True
    assert data["segment"] is None, "only a case that waits is revised"
    page.session_state["wanted:done"] = 0.5
    page.run()
    assert not page.exception
    assert _viewer(page)["full"]["seconds"] == 0.5


def test_malformed_events_of_the_viewer_are_rejected() -> None:
    assert received(Wanted, {"seconds": 1.5}) == Wanted(seconds=1.5)
    for value in (
        None,
        3,
        {},
        {"seconds": -1.0},
        {"seconds": float("nan")},
        {"seconds": "1"},
        {"seconds": 1.0, "x": 1},
    ):
        assert received(Wanted, value) is None
    box = {"seconds": 1.0, "shape": "box", "place": [0.1, 0.2, 0.3, 0.4], "note": "gland"}
    marks = received(AnnotationList, {"items": [box]})
    assert marks is not None
    assert marks.items[0].model_dump(exclude_none=True) == box
    for changed in (
        {"place": [0.1, 0.2]},
        {"place": [0.1, 0.2, 0.3, 1.4]},
        {"shape": "star"},
        {"note": "\ud800"},
    ):
        assert received(AnnotationList, {"items": [box | changed]}) is None


def test_a_step_opens_to_prompt_answer_frames_and_hashes(app: App, home: Path) -> None:
    page = app("case", id="done")
    for number, name in enumerate(
        ("intake", "describe", "diagnose_blind", "retrieve", "diagnose", "verify"), 1
    ):
        page.session_state[f"step_{number}_{name}"] = True
    _opened(page, COURSE)
    assert not page.exception
    codes = [code.value for code in page.code]
    report = load_case_library(home).get("done")
    assert any("<|im_start|>user" in code for code in codes)
    assert report.description in codes
    shown = " ".join(str(table.value.to_dict()) for table in page.table)
    for word in ("log-probability", "moment", "similarity", "of the prompt", "threshold"):
        assert word in shown
    eight = [images for images in page.get("image") if len(images.proto.imgs) == 8]
    assert len(eight) >= 3  # of intake, description and both diagnoses


def test_frames_that_were_seen_several_times_are_shown_once(app: App, home: Path) -> None:
    library = load_case_library(home)
    report = library.get("done")
    report.steps[0].detail["request"]["frames"] = 40  # of a video of 24
    library.save(report)
    page = app("case", id="done")
    page.session_state["step_1_intake"] = True
    _opened(page, COURSE)
    assert not page.exception
    captions = [image.caption for image in page.get("image")[-1].proto.imgs]
    assert len(captions) == len(set(captions)) == 24
    assert any("2 times" in caption for caption in captions)


def test_signing_a_done_case_and_adding_it_to_a_knowledge_base(app: App, home: Path) -> None:
    from videopath.knowledge import KnowledgeBase

    page = app("case", id="done").run()
    page.button(key="accept").click().run()
    assert "name is missing" in page.error[0].value
    page.text_input(key="reviewer").input("Dr Ash")
    page.text_area(key="comment").input("as expected")
    page.button(key="accept").click().run()
    assert load_case_library(home).entry("done").status == "done", "nothing is signed before the question"
    page.button(key="cancel_decision").click().run()
    page.button(key="accept").click().run()
    page.button(key="confirm_decision").click().run()
    assert not page.exception
    entry = load_case_library(home).entry("done")
    assert (entry.status, entry.signed_by, entry.comment) == ("signed", "Dr Ash", "as expected")
    assert any("Dr Ash" in success.value for success in page.success)
    page.text_input(key="record_patient").input(" P-7 ")
    page.button(key="add_to_knowledge").click().run()
    assert "confirm them" in page.error[0].value
    assert not (home / "knowledge").exists()
    page.checkbox(key="record_confirm").check()
    page.button(key="add_to_knowledge").click().run()
    assert not page.exception
    (record,) = KnowledgeBase.open(home / "knowledge" / "signed-cases")
    assert (record.id, record.patient, record.group) == ("case-done", "P-7", None)
    page.button(key="add_to_knowledge").click().run()
    assert "already" in page.error[0].value
    _beside_the_learned_case(app, home)


def _beside_the_learned_case(app: App, home: Path) -> None:
    """Another case that the learned one votes on shows its picture beside its own, and leads to it."""
    library = load_case_library(home)
    report = library.get("abstained")
    report.settings.knowledge = str(home / "knowledge" / "signed-cases")
    assert report.vote is not None
    report.vote.ballots[0] = report.vote.ballots[0].model_copy(update={"id": "case-done"})
    library.save(report)
    page = app("case", id="abstained").run()
    assert not page.exception
    alts = [image.alt for images in page.get("image") for image in images.proto.imgs]
    assert [alt.partition(",")[0] for alt in alts] == ["this case", "similar case case-done"]
    assert page.button(key="open_similar_1").label == "Open its case"
    assert any(caption.value.startswith("Without it") for caption in page.caption)


def test_a_done_case_is_corrected_in_full_and_has_an_addendum(app: App, home: Path) -> None:
    page = app("case", id="done").run()
    before = load_case_library(home).get("done")
    assert page.text_area(key="edited_description").value == before.description
    page.text_input(key="edited_diagnosis").input("tubular adenoma")
    page.text_area(key="edited_description").input("Crowded tubules.")
    page.text_area(key="edited_findings").input("Tubules.\nNo invasion.")
    page.button(key="save_edit").click().run()
    assert "name is missing" in page.error[0].value
    assert page.text_area(key="edited_findings").value == "Tubules.\nNo invasion."
    page.text_input(key="reviewer").input("Dr Ash")
    page.button(key="save_edit").click().run()
    asked = " ".join(str(table.value.to_dict()) for table in page.table)
    assert "tubular adenoma" in asked
    assert "Dr Ash" in asked
    page.button(key="confirm_decision").click().run()
    assert not page.exception
    report = load_case_library(home).get("done")
    assert (report.diagnosis, report.description) == ("tubular adenoma", "Crowded tubules.")
    assert [finding.text for finding in report.findings] == ["Tubules.", "No invasion."]
    assert page.text_area(key="record_description").value == "Crowded tubules."
    page.text_area(key="addendum_text").input("CDX2 is positive.")
    page.text_input(key="addendum_diagnosis").input("serrated adenoma")
    page.text_input(key="addendum_name").input("Dr Birch")
    page.button(key="add_addendum").click().run()
    assert not page.exception
    report = load_case_library(home).get("done")
    assert (report.diagnosis, report.amended_diagnosis) == ("tubular adenoma", "serrated adenoma")
    assert any("CDX2 is positive." in text.value for text in page.text)
    assert page.text_area(key="addendum_text").value == ""


def test_who_comes_too_late_to_sign_finds_their_words_in_an_addendum(app: App, home: Path) -> None:
    page = app("case", id="done").run()
    load_case_library(home).sign("done", "Dr Birch")
    page.text_input(key="edited_diagnosis").input("tubular adenoma")
    page.text_area(key="edited_description").input("Crowded tubules.")
    page.text_input(key="reviewer").input("Dr Ash")
    page.button(key="save_edit").click().run()
    assert not page.exception
    assert "was signed by Dr Birch" in page.error[0].value.replace("\\", "")
    assert page.text_input(key="addendum_diagnosis").value == "tubular adenoma"
    assert "Crowded tubules." in page.text_area(key="addendum_text").value
    assert page.text_input(key="addendum_name").value == "Dr Ash"


def test_a_colleague_who_is_asked_is_in_charge_and_reads_the_note(app: App, home: Path) -> None:
    page = app("case", id="abstained").run()
    page.button(key="assign_colleague").click().run()
    assert "Nobody was asked" in page.error[0].value
    page.selectbox(key="colleague").set_value("Dr Grey")
    page.text_area(key="colleague_note").set_value("Mitoses at 12 s? MRN 4839201")
    page.text_input(key="colleague_by").set_value("Dr Ash")
    page.button(key="assign_colleague").click().run()
    assert not page.error, page.error[0].value
    library = load_case_library(home)
    assert [entry.case_id for entry in Worklist(library).page(Sifting(assigned="Dr Grey"), 5)] == [
        "abstained"
    ]
    (event,) = audit_events(library, "abstained")
    assert (event.who, event.what) == ("Dr Ash", "assigned")
    assert event.detail.startswith("to Dr Grey: Mitoses at 12 s?")
    assert "4839201" not in event.detail
    assert any("assigned to Dr Grey" in caption.value for caption in page.caption)


def _page_of(app: App, name: str) -> Any:
    page = app("case", id="done")
    page.session_state["reviewer_name"] = name
    return page.run()


def test_marks_of_a_named_person_outlive_the_page_until_the_decision(app: App, home: Path) -> None:
    page = _page_of(app, "Dr Ash")
    box = {
        "seconds": 1.0,
        "shape": "box",
        "place": [0.0, 0.0, 0.5, 0.5],
        "shows": "gland",
        "note": "MRN 4839201",
    }
    page.session_state["annotations:done"] = ("", [Drawn.model_validate(box)])
    page.run()
    again = _page_of(app, "Dr Ash")
    (mark,) = _viewer(again)["annotations"]
    assert (mark["shows"], "4839201" in mark["note"]) == ("gland", False)
    assert _viewer(_page_of(app, "Dr Birch"))["annotations"] == []
    again.text_input(key="reviewer").input("Dr Ash")
    again.button(key="accept").click().run()
    again.button(key="confirm_decision").click().run()
    (annotation,) = load_case_library(home).get("done").review[-1].annotations
    facts = load_case_library(home).get("done").video
    assert annotation.square_pixels == pytest.approx(facts.width * facts.height / 4)
    assert "px²): gland, " in annotation.sentence
    assert not list((home / "cases" / "done" / "marks").iterdir())
    page = again.run()
    assert next(button for button in page.button if button.key == "next_case"), "another case waits"


def test_an_abstained_case_is_signed_with_a_diagnosis_only(app: App, home: Path) -> None:
    page = app("case", id="abstained").run()
    assert not page.exception
    assert page.title[0].value.startswith("Leading candidate, not vouched for")
    assert not any("confidence" in text.value for text in page.markdown if "badge" in text.value)
    assert "No diagnosis is given out" in [header.value for header in page.header]
    assert {button.key for button in page.button} >= {
        "write_own",
        "set_site",
        "other_model",
        "other_segment",
        "draft_1",
    }
    page.button(key="draft_1").click().run()
    assert (
        page.text_input(key="edited_diagnosis").value
        == load_case_library(home).get("abstained").similar_cases[0].diagnosis
    )
    page.text_input(key="edited_diagnosis").input("")
    page.text_input(key="reviewer").input("Dr Ash")
    page.button(key="accept").click().run()
    assert "write the diagnosis" in page.error[0].value
    page.text_input(key="edited_diagnosis").input("tubular adenoma")
    _signed(page, "save_edit")
    assert page.title[0].value == "Tubular adenoma"


def test_a_failed_case_says_why_and_can_be_tried_again(app: App, home: Path) -> None:
    page = app("case", id="failed").run()
    assert not page.exception
    assert load_case_library(home).entry("failed").comment[:20] in page.error[0].value.replace("\\", "")
    assert page.button(key="resume").label == "Try again"
    page.button(key="resume").click().run()
    _until(page, lambda: not _has(page, "stop"))
    assert "The case failed" in page.error[0].value


def test_an_interrupted_case_goes_on_to_its_report(app: App, home: Path) -> None:
    page = app("case", id="interrupted").run()
    assert any("interrupted" in warning.value for warning in page.warning)
    page.button(key="resume").click().run()
    _until(page, lambda: _has(page, "accept"))
    assert not page.exception
    assert load_case_library(home).entry("interrupted").status == "done"


def test_stop_keeps_the_case_and_a_second_one_sees_its_place(app: App, home: Path, clip: Path) -> None:
    from videopath.agent import CaseRequest
    from videopath.app.web.runtime.services import services
    from videopath.app.web.runtime.worker import Submission

    worker = services().worker
    for name in ("first", "second"):
        worker.submit(Submission(CaseRequest(clip, site="colon", case_id=name), "somebody", "nano"))
    second = app("case", id="second").run()
    assert not second.exception
    assert any("queue" in text.value for text in second.text)
    second.button(key="stop").click().run()
    assert any("interrupted" in warning.value for warning in second.warning)
    first = app("case", id="first").run()
    if _has(first, "stop"):
        first.button(key="stop").click().run()
        _until(first, lambda: not _has(first, "stop"))
    assert not first.exception


def test_a_review_is_not_taken_without_a_name_or_with_changes_that_it_would_lose(
    app: App, home: Path
) -> None:
    page = app("case", id="waiting").run()
    assert not page.exception
    page.button(key="accept").click().run()
    assert "name is missing" in page.error[0].value
    page.text_input(key="reviewer").input("Dr Ash")
    page.text_area(key="edited_description").input("Nothing of note.")
    page.button(key="accept").click().run()
    assert "would drop" in page.error[0].value
    assert page.text_area(key="edited_description").value == "Nothing of note."
    assert load_case_library(home).entry("waiting").status == "waiting for review"


def test_an_edit_signs_the_case_and_keeps_both_texts(app: App, home: Path) -> None:
    page = app("case", id="waiting").run()
    before = load_case_library(home).get("waiting").diagnosis
    page.text_input(key="reviewer").input("Dr Ash")
    page.text_input(key="edited_diagnosis").input("serrated adenoma")
    _signed(page, "save_edit")
    _until(page, lambda: _has(page, "add_to_knowledge"))
    assert not page.exception
    report = load_case_library(home).get("waiting")
    assert (report.status, report.diagnosis) == ("signed", "serrated adenoma")
    shown = " ".join(str(table.value.to_dict()) for table in page.table)
    assert before in shown
    assert "serrated adenoma" in shown


def test_a_revision_sends_the_agent_on_and_asks_again(app: App, home: Path) -> None:
    page = app("case", id="waiting").run()
    page.text_input(key="reviewer").input("Dr Ash")
    page.text_area(key="edited_findings").input("Back-to-back glands.\nNecrosis in the lumen.")
    page.slider(key="segment").set_range(0.5, 2.0)
    page.button(key="revise").click().run()
    assert "will describe the new segment" in page.error[0].value
    page.slider(key="segment").set_range(0.0, 3.0)
    page.button(key="revise").click().run()
    _until(page, lambda: _has(page, "accept"))
    assert not page.exception
    report = load_case_library(home).get("waiting")
    assert report.status == "waiting for review"
    assert report.review[0].action == "revise"
    assert page.text_input(key="reviewer").value == "Dr Ash"
    assert page.text_area(key="edited_findings").value.splitlines() == [f.text for f in report.findings]


def test_a_stale_page_is_refused_with_the_reason(app: App, home: Path, nano_engine: Any) -> None:
    page = app("case", id="waiting").run()
    with DiagnosticAgent.load(nano_engine, home=home) as faster:
        faster.resume("waiting", {"action": "reject", "reviewer": "Dr Birch"})
    page.text_input(key="reviewer").input("Dr Ash")
    page.button(key="accept").click().run()
    assert not page.exception
    assert "Your decision was not used" in page.error[0].value
    report = load_case_library(home).get("waiting")
    assert (report.status, report.review[-1].reviewer) == ("rejected", "Dr Birch")
    assert any("rejected" in warning.value for warning in page.warning)


def test_who_decides_too_late_finds_their_words_in_an_addendum(
    app: App, home: Path, nano_engine: Any
) -> None:
    page = app("case", id="waiting").run()
    with DiagnosticAgent.load(nano_engine, home=home) as faster:
        faster.resume("waiting", {"action": "edit", "diagnosis": "polyp", "reviewer": "Dr Birch"})
    page.text_input(key="reviewer").input("Dr Ash")
    page.text_input(key="edited_diagnosis").input("serrated adenoma")
    page.text_area(key="edited_findings").input("Serrated crypts.")
    page.text_area(key="comment").input("see level 2")
    page.button(key="save_edit").click().run()
    assert not page.exception
    told = page.error[0].value.replace("\\", "")
    assert "diagnosis: serrated adenoma; findings: Serrated crypts.; comment: see level 2" in told
    assert page.text_input(key="addendum_diagnosis").value == "serrated adenoma"
    assert page.text_area(key="addendum_text").value == "Findings: Serrated crypts.\nComment: see level 2"
    assert page.text_input(key="addendum_name").value == "Dr Ash"
    assert load_case_library(home).get("waiting").diagnosis == "polyp"


def test_without_an_id_the_session_comes_back_to_its_case(app: App, home: Path) -> None:
    page = app("case")
    page.session_state["last_case"] = "signed"
    page.run()
    assert page.query_params["id"] == "signed"
    assert any("Signed by Dr Grey" in success.value for success in page.success)


def test_a_damaged_report_is_told_in_its_place(app: App, home: Path) -> None:
    (home / "cases" / "done" / "report.json").write_text("{", encoding="utf-8")
    page = app("case", id="done").run()
    assert not page.exception
    assert any("damaged" in error.value for error in page.error)


def test_a_video_that_is_gone_is_told_where_it_would_be(app: App, home: Path, tmp_path: Path) -> None:
    library = load_case_library(home)
    report = library.get("done")
    assert report.video is not None
    report.video.path = report.steps[0].detail["request"]["video"] = str(tmp_path / "gone.mp4")
    library.save(report)
    page = app("case", id="done")
    page.session_state["step_1_intake"] = True
    _opened(page, COURSE)
    assert not page.exception
    assert "no longer" in page.error[0].value
    assert any("frames cannot be shown" in text.value for text in page.text)
    assert page.text_input(key="reviewer").value == ""


def test_texts_of_model_and_people_stay_inert(app: App, home: Path) -> None:
    library = load_case_library(home)
    report = library.get("done")
    nasty = "<img src=x onerror=alert(1)> :red[x] $a$ [link](http://example.org) :smile:"
    report.diagnosis = report.findings[0].text = report.similar_cases[0].diagnosis = nasty
    report.steps[0].summary = nasty
    library.save(report)
    page = app("case", id="done").run()
    assert not page.exception
    drawn = [page.title[0].value, *(fold.label for fold in page.expander)]
    drawn += [markdown.value for markdown in page.markdown]
    for text in drawn:
        assert "<img" not in text.replace("\\<", "")
        assert not re.search(r"(?<!\\)\]\(http", text)
        assert not re.search(r"(?<!\\):red\[", text)


def _opened(page: Any, tab: str) -> Any:
    """Open a tab of the page."""
    page.session_state["case_tab"] = tab
    return page.run()


def _signed(page: Any, button: str) -> None:
    """Press a button of the review, and say yes to its question."""
    page.button(key=button).click().run()
    page.button(key="confirm_decision").click().run()


def _has(page: Any, key: str) -> bool:
    return any(button.key == key for button in page.button)


def _until(page: Any, reached: Callable[[], bool], seconds: float = 90.0) -> None:
    """Look at the page again and again, as its own timer does in a browser."""
    end = time.monotonic() + seconds
    while not reached():
        assert time.monotonic() < end, "the page did not get there"
        time.sleep(0.3)
        page.run()
