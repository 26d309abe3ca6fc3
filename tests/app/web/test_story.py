"""The case review as people use it: a real browser drives a real ``videopath app`` with nano."""

from __future__ import annotations

import hashlib
import io
import json
import shutil
import zipfile
from collections.abc import Iterator
from pathlib import Path

import pytest
from browsing import Browser, installed, served, until
from pypdf import PdfReader

from videopath.agent import CaseReport, load_case_library

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(
        installed() is None, reason="no browser: install Debian's chromium and chromium-driver"
    ),
]

_RUN = 240.0  # seconds for a case, on a machine that does other things as well
_OPENED = 4  # steps, the last ones: among them the review
_MARKUP = '<img src=x onerror="window.hacked=1"> **loud** [see](javascript:window.hacked=1) $x^2$ :red[no]'
_WATCH = """
window.seen = [];
new MutationObserver(() => {
  const shown = document.querySelector(".st-key-timeline");
  if (shown) window.seen.push(shown.innerText);
}).observe(document.body, {childList: true, subtree: true, characterData: true});
"""
_PLAYED = "const v = document.querySelector('.st-key-player video'); return v && v.readyState ? v.currentTime : null"


@pytest.fixture(scope="module")
def server(made_home: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[str, Path]]:
    """The address of a server for the tests of this file, and its home folder with a case in every state."""
    folder = tmp_path_factory.mktemp("story")
    home = Path(shutil.copytree(made_home, folder / "home"))
    with served(home) as address:
        yield address, home


@pytest.fixture
def home(server: tuple[str, Path]) -> Path:
    """The server's home folder."""
    return server[1]


@pytest.fixture
def browser(server: tuple[str, Path], tmp_path: Path) -> Iterator[Browser]:
    """A browser without any past."""
    opened = Browser(server[0], tmp_path / "profile")
    yield opened
    opened.close()


def _begin(browser: Browser, video: Path, **words: str) -> str:
    """Begin a case by the path of its video; returns its id."""
    browser.go()
    browser.write("video_path", str(video))
    browser.unfold("more_settings")
    for key, value in words.items():
        (browser.choose if key in ("site", "review_mode") else browser.write)(key, value)
    browser.find("preview", "img")
    browser.says("Good quality", "preview")
    return _started(browser)


def _started(browser: Browser) -> str:
    """Press Start, and come to the page of the case; returns its id."""
    browser.click("start_case")
    browser.until(lambda: "case?id=" in browser.driver.current_url, "the case has an address")
    return browser.driver.current_url.partition("id=")[2]


def _report(home: Path, case_id: str) -> CaseReport:
    return load_case_library(home).get(case_id)


def _nothing_came_alive(browser: Browser) -> None:
    """No text of a person has become part of the page."""
    assert browser.run("return window.hacked") is None
    for css in ('img[src="x"]', "[onerror]", 'a[href^="javascript"]', ".katex"):
        assert not browser.all(css), css
    assert "loud" not in [element.text for element in browser.all("strong")]


@pytest.mark.timeout(900)
def test_a_case_from_its_video_to_its_signature(
    browser: Browser, home: Path, shared: Path, tmp_path: Path
) -> None:
    clip = shared / "data/videos/atlas/colon-submucosal-lipoma.mp4"
    browser.go()
    browser.run(_WATCH)
    case_id = _begin_watched(browser, clip)
    browser.find("accept")  # the agent has done what it can and asks
    seen = browser.run("return window.seen.join('\\n')")
    assert "is running" in seen
    assert "▌" in seen  # what the model writes, while it writes
    _findings_lead_through_the_video(browser, _report(home, case_id))
    _revise(browser, home, case_id)
    browser.unfold("corrections")
    browser.write("reviewer", "Dr Vesalius")
    browser.write("comment", "fat, after a second look")
    browser.click("accept")  # nano knows no lipoma, and there is nothing to agree with
    browser.says("Your decision was not used. The agent abstained")
    browser.unfold("corrections")
    browser.write("edited_diagnosis", "submucosal lipoma")
    browser.click("save_edit")
    browser.click("confirm_decision")
    browser.says("Signed by Dr Vesalius", patience=_RUN)
    _downloads_hold_the_case(browser, _report(home, case_id), tmp_path)
    browser.go("worklist")
    browser.until(lambda: "signed" in browser.row(case_id), "the case is listed as signed")
    assert "Dr Vesalius" in browser.row(case_id)


def _begin_watched(browser: Browser, clip: Path) -> str:
    """Begin without loading the page anew, which would lose the observer in it."""
    browser.write("video_path", str(clip))
    browser.choose("site", "colon")
    browser.unfold("more_settings")
    browser.choose("review_mode", "Yes, always")
    browser.until(lambda: browser.all(".st-key-preview img"), "writing was searched in the frames", _RUN)
    browser.says("Good quality", "preview")
    assert len(browser.all(".st-key-preview img")) >= 4
    case_id = _started(browser)
    browser.until(lambda: browser.has("accept"), "the agent asks", _RUN)
    return case_id


def _findings_lead_through_the_video(browser: Browser, report: CaseReport) -> None:
    """A click on a finding brings the player to its very moment."""
    moments = {number: f.seconds for number, f in enumerate(report.findings, 1) if f.was_seen}
    assert moments
    browser.until(lambda: browser.all(".st-key-player video"), "writing was searched in the video", _RUN)
    for number in (max(moments), min(moments, key=lambda one: moments[one])):
        browser.click("findings", f'button[data-finding="{number}"]')
        wanted = moments[number]
        browser.until(
            lambda at=wanted: (now := browser.run(_PLAYED)) is not None and abs(now - at) < 0.05,  # type: ignore[misc]
            f"the video stands at {wanted} s",
        )
        browser.until(
            lambda at=number: "(shown)" in browser.find("findings", f'button[data-finding="{at}"]').text,  # type: ignore[misc]
            "the finding is marked",
        )
    browser.click("player", '[data-do="in"]')
    browser.until(
        lambda: browser.all('.vp-stage[data-source="full"]'), "the frame comes in full resolution", _RUN
    )


def _revise(browser: Browser, home: Path, case_id: str) -> None:
    """Correct the findings; the agent goes on from them and asks again."""
    before = len(_report(home, case_id).steps)
    browser.unfold("corrections")
    browser.write("reviewer", "Dr Vesalius")
    browser.write("edited_findings", "Mature fat cells lie under the mucosa.")
    browser.click("revise")
    browser.until(lambda: len(_steps(home, case_id)) > before, "the agent goes on", _RUN)
    browser.until(lambda: browser.has("accept") and not browser.has("stop"), "the agent asks again", _RUN)
    browser.says("Mature fat cells", "findings")
    browser.open_tab("Record")
    browser.says("revised", "reviewed")
    report = _report(home, case_id)
    assert report.review[0].changes["findings"]["to"] == ["Mature fat cells lie under the mucosa."]


def _steps(home: Path, case_id: str) -> list[str]:
    return (home / "cases" / case_id / "trace.jsonl").read_text(encoding="utf-8").splitlines()


def _downloads_hold_the_case(browser: Browser, report: CaseReport, folder: Path) -> None:
    browser.driver.execute_cdp_cmd(
        "Browser.setDownloadBehavior", {"behavior": "allow", "downloadPath": str(folder)}
    )
    written = json.loads(_downloaded(browser, "json", folder / f"{report.case_id}.json"))
    assert written == json.loads(report.without_paths().to_json())
    assert report.status == "signed"
    pages = PdfReader(io.BytesIO(_downloaded(browser, "pdf", folder / f"{report.case_id}.pdf"))).pages
    assert all("Research use only" in page.extract_text() for page in pages)
    assert "Dr Vesalius" in "".join(page.extract_text() for page in pages)
    bundle = _downloaded(browser, "bundle", folder / f"{report.case_id}.zip")
    with zipfile.ZipFile(io.BytesIO(bundle)) as files:
        manifest = json.loads(files.read("manifest.json"))["files"]
        assert len(manifest) > 3
        assert {name: hashlib.sha256(files.read(name)).hexdigest() for name in manifest} == manifest


def _downloaded(browser: Browser, kind: str, file: Path) -> bytes:
    browser.click(f"download_{kind}")
    until(file.exists, lambda: f"{file.name} was not downloaded")
    return file.read_bytes()


def test_a_run_outlives_its_tab_and_two_windows_do_not_overrule_each_other(
    browser: Browser, home: Path, clip: Path
) -> None:
    case_id = _begin(browser, clip, site="colon", review_mode="Yes, always", frames="32", question=_MARKUP)
    first = browser.driver.current_window_handle
    browser.says("is running", "timeline")
    browser.driver.refresh()
    browser.says("is running", "timeline")
    second = browser.window()
    browser.go(f"case?id={case_id}")
    browser.says("is running", "timeline")
    browser.click("stop")
    browser.says("interrupted")
    browser.look_at(first)
    browser.says("interrupted")
    assert load_case_library(home).entry(case_id).status == "running"  # it can go on
    browser.click("resume")
    browser.until(lambda: browser.has("accept"), "the agent asks", _RUN)
    browser.look_at(second)
    browser.go(f"case?id={case_id}")
    browser.find("reviewer", "input")
    browser.write("reviewer", "Dr Late")
    browser.look_at(first)
    _sign_with_markup(browser)
    browser.look_at(second)
    browser.click("accept")
    browser.says("Your decision was not used")
    browser.says("Signed by")
    assert [decision.reviewer for decision in _report(home, case_id).review] == [_MARKUP]
    _text_stays_text(browser, case_id)


def _sign_with_markup(browser: Browser) -> None:
    browser.unfold("corrections")
    for key in ("reviewer", "comment", "edited_diagnosis", "edited_description", "edited_findings"):
        browser.write(key, _MARKUP)
    browser.click("save_edit")
    browser.click("confirm_decision")
    browser.until(lambda: "Signed by" in browser.text(), "the case is signed", _RUN)
    _nothing_came_alive(browser)


def _text_stays_text(browser: Browser, case_id: str) -> None:
    """Wherever the markup stands, it stands there letter by letter."""
    assert "<img src=x onerror=" in browser.text("outcome")
    browser.open_tab("Record")
    browser.unfold("preview")
    browser.driver.switch_to.frame(browser.find("preview", "iframe"))
    browser.until(lambda: "<img src=x" in browser.all("body")[0].text, "the report is unfolded")
    assert not browser.all("img[src='x']")
    browser.driver.switch_to.default_content()
    browser.open_tab("How it got there")
    for step in browser.keys("step_")[-_OPENED:]:
        browser.unfold(step)
        browser.says("Run details", step)
    _nothing_came_alive(browser)
    browser.go("worklist")
    browser.until(lambda: browser.row(case_id), "the case is listed")
    _nothing_came_alive(browser)
    browser.go(f"compare?a={case_id}&b=done")
    browser.says("<img src=x onerror=", "outcomes")
    _nothing_came_alive(browser)


def test_an_uploaded_image_is_signed_learned_and_deleted(
    browser: Browser, home: Path, made_image: Path
) -> None:
    browser.go()
    browser.choose("site", "colon")
    browser.upload("upload", made_image)
    browser.says("Good quality", "preview")
    case_id = _started(browser)
    browser.until(lambda: browser.has("accept"), "the case is done", _RUN)
    video = Path(load_case_library(home).entry(case_id).video)
    assert video.parent == home / "cases" / case_id / "upload"
    assert not set("<>=\\") & set(video.name)
    assert video.read_bytes() == made_image.read_bytes()
    _nothing_came_alive(browser)
    browser.unfold("corrections")
    browser.write("edited_diagnosis", "tubular adenoma")
    browser.write("reviewer", "Dr Morgagni")
    browser.click("save_edit")
    browser.click("confirm_decision")
    browser.says("Signed by Dr Morgagni")
    assert (
        browser.actions <= 12
    )  # what a first user has to do, from opening the app to a signature in their own words
    browser.click("record_confirm", "label")
    browser.click("add_to_knowledge")
    browser.says("Added as")
    browser.go("worklist")
    browser.tick(case_id)
    browser.click("delete_selected")
    browser.click("confirm_delete")
    browser.says("No case matches")
    assert not video.exists()


@pytest.fixture
def made_image(tmp_path: Path, clip: Path) -> Path:
    """A frame of the drawn case, in a file whose name tries everything."""
    from PIL import Image

    from videopath.model import open_clip

    path = tmp_path / "..\\..\\<img src=x onerror=window.hacked=1> **loud**.png"
    Image.fromarray(open_clip(clip, frames=1).frames[0]).save(path)
    return path


def test_the_keyboard_reaches_every_field(browser: Browser) -> None:
    browser.go()
    browser.unfold("more_settings")
    focused = "return document.activeElement.closest('[class*=st-key-]')?.className.match(/st-key-(\\S+)/)[1]"
    reached = set()
    for _ in range(45):
        browser.tab()
        reached.add(browser.run(focused))
    assert reached >= {
        "upload", "video_path", "site", "question", "model", "knowledge", "review_mode", "frames", "sampling",
    }  # fmt: skip
