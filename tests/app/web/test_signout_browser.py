"""Sign-out in a real browser: a case corrected in full, added to and learned; who comes too late keeps their words."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from browsing import Browser, installed, served

from videopath.agent import load_case_library
from videopath.knowledge import KnowledgeBase

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(
        installed() is None, reason="no browser: install Debian's chromium and chromium-driver"
    ),
]


@pytest.fixture
def browser(home: Path, tmp_path: Path) -> Iterator[Browser]:
    """A browser on a server whose home folder has a case in every state."""
    with served(home) as address:
        opened = Browser(address, tmp_path / "profile")
        yield opened
        opened.close()


def _sign(browser: Browser, name: str, diagnosis: str, description: str, findings: str) -> None:
    browser.unfold("corrections")
    browser.write("edited_diagnosis", diagnosis)
    browser.write("edited_description", description)
    browser.write("edited_findings", findings)
    browser.write("reviewer", name)
    browser.click("save_edit")


def _fits_one_screen(browser: Browser) -> None:
    """Headline, viewer, differential, similar cases and decision stand on the first screen; headings are in order."""
    browser.screen(1400, 900)
    for key in ("outcome", "viewer_column", "differential", "neighbours", "accept"):
        top = browser.find(key).rect["y"]
        assert 0 < top < (870 if key == "accept" else 700), key
    assert browser.run("return document.querySelector('[data-testid=stMain]').scrollHeight") <= 1600
    levels = browser.run(
        "return [...document.querySelectorAll('h1,h2,h3')].map((one) => Number(one.tagName[1]))"
    )
    assert levels.count(1) == 1
    assert all(after - before <= 1 for before, after in zip(levels, levels[1:], strict=False))


def test_a_case_is_corrected_signed_added_to_and_learned(browser: Browser, home: Path) -> None:
    library = load_case_library(home)
    first = browser.driver.current_window_handle
    browser.go("case?id=done")
    late = browser.window()
    browser.go("case?id=done")
    browser.look_at(first)
    _fits_one_screen(browser)
    _sign(browser, "Dr Ash", "lipoma", "Fat.", "Fat.")
    browser.click("confirm_decision")
    browser.click("undo")  # a second thought, within the minute
    browser.says("withdrawn", "reviewed")
    assert library.entry("done").status == "done"
    _sign(browser, "Dr Ash", "tubular adenoma", "Crowded tubules.", "Tubules.")
    browser.says("tubular adenoma", "sign_or_reject")
    browser.click("confirm_decision")
    browser.says("Signed by Dr Ash")
    browser.says("What the agent said", "agent_said")
    assert "confidence" not in browser.text("outcome")
    report = library.get("done")
    assert (report.diagnosis, report.description) == ("tubular adenoma", "Crowded tubules.")

    browser.look_at(late)
    _sign(browser, "Dr Late", "serrated adenoma", "Serrated crypts.", "Crypts.")
    browser.says("was signed by Dr Ash")
    kept = browser.find("addendum_text", "textarea").get_attribute("value")
    assert kept == "Description: Serrated crypts.\nFindings: Crypts."
    assert browser.find("addendum_diagnosis", "input").get_attribute("value") == "serrated adenoma"
    browser.click("add_addendum")
    browser.says("Addendum by Dr Late", "addenda")
    browser.says("addendum: serrated adenoma", "outcome")
    report = library.get("done")
    assert (report.diagnosis, report.amended_diagnosis) == ("tubular adenoma", "serrated adenoma")

    browser.click("add_to_knowledge")
    browser.says("Nothing was added")
    browser.write("record_name", "Dr Ash")
    browser.click("record_confirm", "label")
    browser.click("add_to_knowledge")
    browser.says("Added as case-done")
    (record,) = KnowledgeBase.open(home / "knowledge" / "signed-cases")
    assert (record.diagnosis, record.description) == ("serrated adenoma", "Crowded tubules.")
