"""Make docs/screenshots/*.png, the README's pictures of the case review: python docs/screenshots.py

Renders drawn slides, has nano diagnose them, starts ``videopath app`` on them and takes a picture of each page in a
headless Chromium (Debian: chromium, chromium-driver). The page Benchmarks shows the last evaluation that was kept
in the home folder, on a test set or on clips over tiles, and without one what makes one.
"""

from __future__ import annotations

import io
import shutil
import sys
import tempfile
from collections.abc import Callable
from contextlib import chdir, suppress
from dataclasses import dataclass
from itertools import islice
from pathlib import Path

import numpy as np
from PIL import Image

from videopath.agent import DiagnosticAgent
from videopath.core.errors import InputError
from videopath.core.settings import home_folder
from videopath.media.synthetic import render_case
from videopath.model import load_engine

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "tests" / "app" / "web" / "helpers"))
from browsing import Browser, served  # noqa: E402 - what drives the browser tests

_TARGET = Path(__file__).resolve().with_name("screenshots")
_COLOURS = 256  # of each picture, which keeps it small
_PATIENCE = 120.0  # seconds for a case
_TRIES, _WRITTEN = 20, 90  # cases; characters with the line of progress
_TOP = 64  # pixels of the page that its header covers
_SCROLLING = "document.querySelector('[data-testid=stMain]')"

Ids = dict[str, str]


@dataclass(frozen=True)
class Shot:
    """One picture: a page of the address, a screen, and how the picture is taken."""

    name: str
    page: str
    width: int = 1280
    height: int = 900
    dark: bool = False
    take: Callable[[Browser], bytes] = Browser.picture


def main() -> None:
    """Run the cases and take the pictures."""
    with tempfile.TemporaryDirectory(prefix="videopath-") as name, chdir(name):
        folder = Path(name)
        home = folder / "home"
        slides = _slides(Path("slides"))
        ids = _cases(home, slides)
        _keep_evaluation(home)
        with served(home) as address:
            _take_all(Browser(address, folder / "profile"), _shots(ids, slides))


def _slides(folder: Path) -> dict[str, Path]:
    """The drawn videos, by what they show."""
    drawn = {
        "colon": ("colon biopsy.mp4", "colon adenocarcinoma", 7),
        "benign": ("colon follow-up.mp4", "benign colon tissue", 3),
        "oral": ("tongue margin.mp4", "oral squamous cell carcinoma", 5),
        "normal": ("cheek.mp4", "normal oral epithelium", 4),
    }
    folder.mkdir()
    slides = {
        key: render_case(folder / name, entity=entity, seed=seed)
        for key, (name, entity, seed) in drawn.items()
    }
    slides["empty"] = folder / "empty glass.png"
    Image.fromarray(np.full((480, 640, 3), 245, np.uint8)).save(slides["empty"])
    return slides


def _cases(home: Path, slides: dict[str, Path]) -> Ids:
    """A case in each state; what they are called here → their ids."""
    engine = load_engine("nano")
    ids: Ids = {}
    with DiagnosticAgent.load(engine, home=home) as plain:
        ids["done"] = plain.diagnose(slides["oral"], site="oral cavity").case_id
        ids["signed"] = plain.diagnose(slides["benign"], site="colon").case_id
        plain.library.sign(ids["signed"], "Dr Grey", "regular crypts")
        ids["no site"] = plain.diagnose(slides["normal"]).case_id
        ids["site"] = plain.diagnose(slides["normal"], site="oral cavity").case_id
        running = plain.stream(slides["oral"], site="oral cavity")
        list(islice(running, 3))
        running.close()
        failed = plain.begin(slides["empty"])
        with suppress(InputError):  # it is refused: that is the case to be shown
            plain.resume(failed)
    with DiagnosticAgent.load(engine, home=home, review="always") as asking:
        ids["waiting"] = asking.diagnose(slides["colon"], site="colon").case_id
    return ids


def _keep_evaluation(home: Path) -> None:
    folder = home_folder() / "evaluations"
    kept = [*folder.glob("*.json"), *(folder / "sets").glob("*.json")]
    if kept:
        last = max(kept, key=lambda path: path.name)  # it begins with the time
        copy = home / "evaluations" / last.relative_to(folder)
        copy.parent.mkdir(parents=True)
        shutil.copy(last, copy)


def _shots(ids: Ids, slides: dict[str, Path]) -> list[Shot]:
    waiting, compared = f"case?id={ids['waiting']}", f"compare?a={ids['no site']}&b={ids['site']}"
    return [
        Shot("new-case", "", height=1200, take=lambda browser: _filled_in(browser, slides["colon"])),
        Shot("case", waiting, width=1400, take=_second_finding),
        Shot("case-dark", waiting, width=1400, dark=True, take=_second_finding),
        Shot("case-narrow", waiting, width=390, height=1500, take=_played),
        Shot("similar", waiting, width=1400, take=lambda browser: _from(browser, ".st-key-neighbours")),
        Shot("review", waiting, width=1400, take=_corrected),
        Shot("signed", f"case?id={ids['signed']}", width=1400, take=_recorded),
        Shot("worklist", "worklist", height=1300),
        Shot("worklist-dark", "worklist", height=1300, dark=True),
        Shot("compare", compared, height=1300),
        Shot("knowledge", "knowledge", height=1300, take=_searched),
        Shot("benchmarks", "benchmarks", height=1750, take=_controls),
        Shot("about", "about"),
        Shot("running", "", height=960, take=lambda browser: _running(browser, slides["oral"])),
    ]


def _take_all(browser: Browser, shots: list[Shot]) -> None:
    _TARGET.mkdir(exist_ok=True)
    try:
        for shot in shots:
            browser.screen(shot.width, shot.height, dark=shot.dark)
            browser.go(shot.page)
            browser.settle()
            _save(shot.take(browser), _TARGET / f"{shot.name}.png")
    finally:
        browser.close()


def _save(picture: bytes, path: Path) -> None:
    """As a PNG of few colours: the pages have few, and the tissue loses nothing that matters here."""
    with Image.open(io.BytesIO(picture)) as shot:
        small = shot.convert("RGB").quantize(_COLOURS, Image.Quantize.MEDIANCUT, dither=Image.Dither.NONE)
        small.save(path, optimize=True)


def _filled_in(browser: Browser, video: Path) -> bytes:
    browser.write("video_path", str(video))
    browser.choose("site", "colon")
    browser.unfold("more_settings")
    browser.choose("review_mode", "Yes, always")
    browser.says("Good quality", "preview")
    return _at_rest(browser)


def _running(browser: Browser, video: Path) -> bytes:
    """A case while the model writes. It writes fast, and the page looks twice a second: tried until it was seen."""
    for _ in range(_TRIES):
        browser.go()
        browser.write("video_path", str(video))
        browser.choose("site", "oral cavity")
        browser.says("Good quality", "preview")
        browser.click("start_case")
        browser.until(lambda: "is running" in browser.text("timeline"), "the case runs", _PATIENCE)
        while browser.has("stop"):
            picture = browser.picture() if _writes(browser) else b""
            if picture and _writes(browser):
                return picture
    raise RuntimeError(f"The model was not seen writing in {_TRIES} cases.")


def _writes(browser: Browser) -> bool:
    """Whether a good part of an answer stands on the page, with the mark of its end."""
    text, mark, _ = browser.text("timeline").rpartition("is running")[2].partition("▌")
    return bool(mark) and len(text) > _WRITTEN


def _second_finding(browser: Browser) -> bytes:
    _played(browser)
    browser.click("findings", 'button[data-finding="2"]')
    browser.says("(shown)", "findings")
    return _at_rest(browser)


def _played(browser: Browser) -> bytes:
    """The page once writing was searched in the video, so that it can be played."""
    browser.until(lambda: browser.all('.vp-stage[data-source="video"]'), "the video is drawn", _PATIENCE)
    return _at_rest(browser)


def _searched(browser: Browser) -> bytes:
    browser.write("query", "Crowded, angulated glands with dark, stratified nuclei and necrosis in the lumen")
    browser.click("search_text")
    browser.says("similarity")
    return _at_rest(browser)


def _controls(browser: Browser) -> bytes:
    """The controls of an evaluation on a test set; of another one the page from its top."""
    if found := browser.all("#controls"):
        browser.run("arguments[0].scrollIntoView({block: 'start', behavior: 'instant'})", found[0])
        browser.settle()
    return browser.picture()


def _corrected(browser: Browser) -> bytes:
    """The form of a review, unfolded."""
    browser.unfold("corrections")
    return _at_rest(browser)


def _recorded(browser: Browser) -> bytes:
    """Who said what of a case, its exports and what follows a signature."""
    browser.open_tab("Record")
    return _at_rest(browser)


def _from(browser: Browser, css: str) -> bytes:
    """The page from this part on, below its header."""
    (part, *_) = browser.all(css)
    browser.run("arguments[0].scrollIntoView({block: 'start', behavior: 'instant'})", part)
    browser.run(f"{_SCROLLING}.scrollBy(0, -arguments[0])", _TOP)
    browser.settle()
    return browser.picture()


def _at_rest(browser: Browser) -> bytes:
    """The page from its top, with no field or button in use."""
    browser.away()
    browser.settle()
    browser.run(f"document.activeElement.blur(); {_SCROLLING}.scrollTo(0, 0)")
    return browser.picture()


if __name__ == "__main__":
    main()
