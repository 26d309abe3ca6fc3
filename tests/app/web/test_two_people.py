"""Two at one case, in a real browser: who works on it is told, and nobody loses a typed word."""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator
from pathlib import Path

import pytest
from browsing import Browser, installed, served

from videopath.agent import DiagnosticAgent, Policy
from videopath.agent.cases.library import CaseLibrary, load_case_library
from videopath.agent.cases.records import CaseReport
from videopath.tools.schemas import Candidate

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(
        installed() is None, reason="no browser: install Debian's chromium and chromium-driver"
    ),
]

_LABEL = "colon adenocarcinoma"


@pytest.fixture(scope="module")
def home(
    tmp_path_factory: pytest.TempPathFactory, small_checkpoint: Path, small_case: Path, words_alone: Path
) -> Path:
    """A case that runs, one that is done, and one at whose review the agent has abstained."""
    home = tmp_path_factory.mktemp("two") / "home"
    library = load_case_library(home)
    library.start("runs", "a.mp4", "colon", "nano")
    library.save(
        CaseReport(
            case_id="done",
            status="done",
            diagnosis=_LABEL,
            confidence=0.83,
            blind_diagnosis=_LABEL,
            differential=[Candidate(label=_LABEL, probability=0.83, support=[])],
            description="Crowded glands.",
            model="VideoPath-nano",
            created="2026-01-31T14:25:01.000Z",
        )
    )
    policy = Policy(max_looks=0, samples=0, description_tokens=4, answer_tokens=4, review="uncertain")
    with DiagnosticAgent.load(
        str(small_checkpoint), words_alone, policy=policy, device="cpu", home=home
    ) as agent:
        agent.diagnose(small_case, site="colon", case_id="waits")
    return home


@pytest.fixture(scope="module")
def library(home: Path) -> CaseLibrary:
    return load_case_library(home)


@pytest.fixture(scope="module")
def browser(home: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Browser]:
    with served(home) as address:
        opened = Browser(address, tmp_path_factory.mktemp("profile") / "profile")
        yield opened
        opened.close()


def test_a_case_that_another_process_works_on_is_shown_as_such_until_it_is_left(
    browser: Browser, library: CaseLibrary
) -> None:
    begun, done = os.pipe()
    process = os.fork()
    if process == 0:
        try:
            with library.working("runs"):
                os.write(done, b"x")
                signal.pause()
        finally:
            os._exit(1)
    try:
        assert os.read(begun, 1) == b"x"
        browser.go("worklist")
        browser.until(lambda: "running" in browser.row("runs"), "the case runs")
        browser.go("case?id=runs")
        browser.says("Another process is working on this case")
        assert not browser.has("resume")
    finally:
        os.kill(process, signal.SIGKILL)
        os.waitpid(process, 0)
    browser.says("interrupted", "outcome")  # nobody has touched the page
    browser.until(lambda: browser.has("resume"), "it can go on")
    browser.go("worklist")
    browser.until(lambda: "interrupted" in browser.row("runs"), "the case is interrupted")


def test_the_loser_of_two_signers_is_told_and_keeps_every_word(
    browser: Browser, library: CaseLibrary
) -> None:
    browser.go("case?id=done")
    browser.unfold("corrections")
    browser.write("edited_diagnosis", "tubular adenoma")
    browser.write("comment", "seen at high power")
    browser.write("reviewer", "Dr Late")
    library.sign("done", "Dr Early", diagnosis="hyperplastic polyp")
    browser.click("save_edit")
    browser.says("signed by Dr Early")
    browser.says("diagnosis: tubular adenoma")
    browser.until(lambda: browser.has("addendum_text"), "what was typed can be added")
    kept = [
        browser.find(key, kind).get_attribute("value")
        for key, kind in (
            ("addendum_diagnosis", "input"),
            ("addendum_name", "input"),
            ("addendum_text", "textarea"),
        )
    ]
    assert kept == ["tubular adenoma", "Dr Late", "Comment: seen at high power"]
    browser.says(f"{_LABEL}, confidence 83%", "agent_said")
    browser.says("hyperplastic polyp", "said")
    assert library.get("done").review[-1].reviewer == "Dr Early"


def test_where_the_agent_abstained_the_person_writes_the_diagnosis(
    browser: Browser, library: CaseLibrary
) -> None:
    browser.go("case?id=waits")
    browser.click("write_own")
    assert browser.find("edited_diagnosis", "input").get_attribute("value") == ""
    browser.write("reviewer", "Dr Vesalius")
    browser.write("comment", "of my own")
    browser.click("accept")
    browser.says("write the diagnosis that you want to sign")
    assert library.entry("waits").status == "waiting for review"
    assert browser.find("comment", "textarea").get_attribute("value") == "of my own"
    browser.write("edited_diagnosis", "tubular adenoma")
    browser.click("save_edit")
    browser.click("confirm_decision")
    browser.says("Signed by Dr Vesalius")
    assert library.get("waits").diagnosis == "tubular adenoma"
