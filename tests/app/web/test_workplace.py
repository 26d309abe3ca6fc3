"""The case review as a workplace, in a real browser: mark, press keys, ask, follow leads, hand on, find again, mail."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
from browsing import Browser, installed, served, until
from selenium.webdriver.common.action_chains import ActionChains
from selenium.webdriver.common.keys import Keys

from videopath.agent import load_case_library

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(
        installed() is None, reason="no browser: install Debian's chromium and chromium-driver"
    ),
]

_SHOWN = '.vp-stage[data-source="video"]'
_CORRECTIONS = ".st-key-corrections details[open]"


@pytest.fixture(scope="module")
def library(made_home: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A home folder with a case in every state, for all tests of this file."""
    return Path(shutil.copytree(made_home, tmp_path_factory.mktemp("workplace") / "home"))


@pytest.fixture(scope="module")
def browser(library: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Browser]:
    """One browser on one server for all tests of this file."""
    with served(library) as address:
        opened = Browser(address, tmp_path_factory.mktemp("profile"), size=(1400, 900))
        yield opened
        opened.close()


def _press(browser: Browser, keys: str) -> None:
    """Press a key while no field has the focus."""
    browser.settle()
    browser.run("document.activeElement.blur()")
    ActionChains(browser.driver).send_keys(keys).perform()


def _moment(browser: Browser) -> float:
    return float(browser.run("return Number(document.querySelector('.vp-stage').dataset.shown)"))


def test_the_viewer_steps_zooms_and_takes_marks(browser: Browser) -> None:
    browser.go("case?id=waiting")
    browser.write("person", "Dr Hooke")
    browser.settle()
    browser.until(lambda: browser.all(_SHOWN), "the video is drawn")
    before = _moment(browser)
    _press(browser, ".")
    browser.until(lambda: before < _moment(browser) < before + 0.2, "one frame on")
    stage = browser.all(".vp-stage")[0]
    browser.click("player", '[data-tool="box"]')
    ActionChains(browser.driver).move_to_element_with_offset(stage, -40, -30).click_and_hold().move_by_offset(
        80, 60
    ).release().perform()
    browser.until(lambda: browser.all(".vp-annotations li"), "the box is listed")
    note = browser.all(".vp-annotations li input")[0]
    note.send_keys("crowded glands", Keys.TAB)
    browser.settle()
    browser.go("case?id=waiting")
    browser.until(lambda: browser.all(".vp-annotations li"), "the mark outlives a reload")
    assert browser.all(".vp-annotations li input")[0].get_attribute("value") == "crowded glands"
    browser.click("player", '[data-do="in"]')
    browser.until(lambda: browser.all('.vp-stage[data-source="full"]'), "the frame in full resolution")


def test_keys_press_the_buttons_of_the_page(browser: Browser, library: Path) -> None:
    browser.go("case?id=waiting")
    _press(browser, "?")
    browser.says("They do nothing while you type in a field.")
    _press(browser, Keys.ESCAPE)
    _press(browser, "e")
    browser.until(lambda: browser.all(_CORRECTIONS), "the corrections are open")
    browser.write("comment", "a e x r")  # letters in a field are letters
    assert load_case_library(library).entry("waiting").status == "waiting for review"
    _press(browser, "a")
    browser.click("confirm_decision")
    browser.says("Signed by Dr Hooke")
    (decision,) = load_case_library(library).get("waiting").review
    assert (decision.comment, [mark.note for mark in decision.annotations]) == ("a e x r", ["crowded glands"])


def test_an_abstention_says_what_to_do_and_a_lead_becomes_a_draft(browser: Browser) -> None:
    browser.go("case?id=abstained")
    browser.says("Cases found as leads", "neighbours")
    assert browser.text("model_knows")
    assert browser.text("base_knows")
    assert len(browser.all(".st-key-abstention_actions button")) >= 4
    browser.click("neighbours", "summary")
    browser.click("draft_1")
    browser.until(lambda: browser.all(_CORRECTIONS), "the corrections are open")
    drafted = browser.find("edited_diagnosis", "input").get_attribute("value") or ""
    assert drafted
    assert drafted in browser.text("neighbours")


def test_a_question_is_answered_under_the_video(browser: Browser, library: Path) -> None:
    browser.go("case?id=done")
    answer = load_case_library(library).get("done").diagnosis
    browser.open_tab("Ask")
    field = browser.find("ask_case", "textarea")
    field.send_keys("Are there mitoses?", Keys.ENTER)
    browser.says("Are there mitoses?", "asked")
    browser.until(lambda: not browser.has("stop_question"), "the answer is complete", 120)
    browser.settle()
    (asked,) = load_case_library(library).questions("done")
    assert asked.answer in browser.text("asked")
    assert load_case_library(library).get("done").diagnosis == answer


def test_a_colleague_finds_the_case_and_back_restores_the_list(browser: Browser) -> None:
    browser.go("case?id=abstained")
    browser.click("ask_colleague")
    browser.write("colleague_note", "please look at the margin")
    field = browser.find("colleague", "input")
    field.send_keys("Dr Leeuwenhoek", Keys.ENTER)
    browser.click("assign_colleague")
    browser.says("Dr Leeuwenhoek is in charge of this case now.")
    browser.write("person", "Dr Leeuwenhoek")
    browser.settle()  # this browser keeps the name
    browser.go("worklist?mine=true")
    browser.until(lambda: "1 of" in browser.text(), "one case is theirs")
    browser.go("worklist?search=abstained&filter_status=abstained")
    browser.tick("abstained")
    browser.click("open_selected")
    browser.until(lambda: "case?id=abstained" in browser.driver.current_url, "the case is open")
    browser.driver.back()
    browser.until(lambda: "search=abstained" in browser.driver.current_url, "the address is restored")
    browser.until(
        lambda: browser.find("search", "input").get_attribute("value") == "abstained", "so is the search"
    )


def test_a_report_is_mailed_as_one_file(browser: Browser, tmp_path: Path) -> None:
    browser.go("case?id=signed")
    browser.driver.execute_cdp_cmd(
        "Browser.setDownloadBehavior", {"behavior": "allow", "downloadPath": str(tmp_path)}
    )
    browser.open_tab("Record")
    browser.click("download_html")
    file = tmp_path / "signed.html"
    until(file.exists, lambda: "the report was not downloaded")
    browser.driver.get(f"file://{file}")
    assert "Research use only" in browser.text()
    assert "Dr Grey" in browser.text()
    pictures = "return [...document.images].map((one) => one.src.slice(0, 5) + (one.naturalWidth > 0))"
    assert set(browser.run(pictures)) == {"data:true"}


def test_records_are_browsed_and_the_base_is_measured(browser: Browser) -> None:
    browser.go("knowledge")
    browser.open_tab("All records")
    browser.choose("records_site", "colon")
    browser.until(lambda: "colon" in browser.text() and "oral" not in browser.text("record_list"), "of colon")
    browser.open_tab("How good it is")
    browser.until(lambda: browser.all('[data-testid="stTabPanel"]'), "it is drawn")
