"""Every page as a blind person, a person with weak sight and a person at a telephone meet it.

axe-core looks for faults in light, dark and on a narrow screen; headings, pictures and widths are looked at as well.
"""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from importlib.resources import files
from pathlib import Path
from typing import Any, NamedTuple

import pytest
from browsing import Browser, installed, served

from videopath.evaluation.lab import LabAnswer, LabCase, save_lab_report, summarise_lab

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(
        installed() is None, reason="no browser: install Debian's chromium and chromium-driver"
    ),
]


class _Known(NamedTuple):
    """A fault in what Streamlit itself draws."""

    rule: str
    css: str
    reason: str


_STREAMLIT = (
    _Known("list", '[data-testid="stSidebarNavItems"]', "The navigation's sections are no list items."),
    _Known(
        "listitem", '[data-testid="stSidebarNavItems"] li', "Its pages stand in a header within the list."
    ),
    _Known(
        "presentation-role-conflict",
        '[data-testid="stFileUploaderDropzone"]',
        "The place to drop files has a role that hides it, and a name; the button within it is reached.",
    ),
    _Known(
        "scrollable-region-focusable",
        '[data-testid="stTable"] > div, [data-testid="stCode"] pre, [data-testid="stMarkdownContainer"] table',
        "Wide tables and code scroll in a box without a place in the tab order; Chromium itself gives it one.",
    ),
)
_PAGES = (
    "", "case?id=done", "case?id=waiting", "case?id=abstained", "case?id=failed", "case?id=interrupted",
    "case?id=signed", "worklist", "knowledge", "datasets", "benchmarks", "compare?a=done&b=signed",
    "second_reading?id=signed", "about",
)  # fmt: skip
_COLOURS = {"runOnly": ["color-contrast", "link-in-text-block"]}
_SHAPES = {"rules": {"color-contrast": {"enabled": False}}}
_FAULTS = """
const [known, options, done] = arguments;
axe.run(document, {...options, resultTypes: ["violations"], elementRef: true}).then(({violations}) => done(
  violations.flatMap(({id, nodes}) => nodes
    .filter(({element}) => !known.some(([rule, css]) => rule === id && element.matches(css)))
    .map(({html, failureSummary}) => `${id}: ${html.slice(0, 200)} ${failureSummary}`))
), (error) => done([String(error)]));
"""
_WIDTH = """
const boxes = [document.documentElement, ...document.querySelectorAll("[data-testid=stMain]")];
return Math.max(...boxes.map((box) => box.scrollWidth));
"""
_GROUND = "return getComputedStyle(document.querySelector('[data-testid=stApp]')).backgroundColor"
_HEADINGS = """
return [...document.querySelectorAll("h1, h2, h3, h4, h5, h6")].filter((one) => one.checkVisibility())
  .map((one) => [Number(one.tagName[1]), parseFloat(getComputedStyle(one).fontSize)]);
"""


@pytest.fixture(scope="module")
def browser(made_home: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Browser]:
    """A browser on a server with a case in every state, and an evaluation of four systems."""
    folder = tmp_path_factory.mktemp("axe")
    home = Path(shutil.copytree(made_home, folder / "home"))
    _evaluated(home)
    with served(home) as address:
        opened = Browser(address, folder / "profile")
        axe = files("axe_core_python").joinpath("axe.min.js").read_text(encoding="utf-8")
        opened.driver.execute_cdp_cmd("Page.addScriptToEvaluateOnNewDocument", {"source": axe})
        yield opened
        opened.close()


def _evaluated(home: Path) -> None:
    systems = ("agent", "model", "cases", "colour")
    case = LabCase(path=Path("a.png"), site="colon", diagnosis="adenoma", group="g")
    answers = [
        LabAnswer(
            case=case.model_copy(update={"group": f"g{number}"}),
            foreign=False,
            said={
                name: "adenoma" if number % (place + 2) else "mucosa" for place, name in enumerate(systems)
            },
            sure=dict.fromkeys(systems, 0.9),
            answered=dict.fromkeys(systems, True),
            vouched=["cases"],
            seconds=1.0,
        )
        for number in range(12)
    ]
    save_lab_report(summarise_lab([case], answers, False, "lab.csv", "nano", "tower:nano"), home)


@pytest.mark.timeout(600)
def test_every_page_can_be_read_by_everybody(browser: Browser) -> None:
    faults = []
    for page in _PAGES:
        browser.screen(1280, 900)
        browser.go(page)
        browser.settle()
        faults += [f"{page}: {fault}" for fault in _looked_at(browser)]
        if page == "knowledge":
            for tab in ("All records", "How good it is"):
                browser.open_tab(tab)
                browser.settle()
                faults += [f"{page}, {tab}: {fault}" for fault in _looked_at(browser)]
    assert not faults, "\n".join(faults)


def _looked_at(browser: Browser) -> list[str]:
    """The faults of what is shown now: in light, in dark, and on a screen of 390 pixels."""
    faults = [*_without_axe(browser), *_axe(browser, "light", {})]
    browser.screen(1280, 900, dark=True)
    browser.until(lambda: browser.run(_GROUND) == "rgb(15, 21, 24)", "the page is dark")
    faults += _axe(browser, "dark", _COLOURS)
    browser.screen(390, 844)
    browser.until(lambda: browser.run(_GROUND) == "rgb(255, 255, 255)", "the page is light")
    faults += _axe(browser, "390 px", _SHAPES)
    if (width := browser.run(_WIDTH)) > 390:
        faults.append(f"390 px: {width} pixels wide")
    browser.screen(1280, 900)
    return faults


def _axe(browser: Browser, look: str, options: dict[str, Any]) -> list[str]:
    known = [(one.rule, one.css) for one in _STREAMLIT]
    return [f"{look}: {fault}" for fault in browser.driver.execute_async_script(_FAULTS, known, options)]


def _without_axe(browser: Browser) -> list[str]:
    """What axe does not look for."""
    faults = []
    levels = browser.run(_HEADINGS)
    order = [level for level, _ in levels]
    if order.count(1) != 1 or order[:1] != [1]:
        faults.append(f"headings {order}: not one h1, the first heading")
    if any(after > before + 1 for before, after in zip(order, order[1:], strict=False)):
        faults.append(f"headings {order}: a level is left out")
    sizes = {level: [size for of, size in levels if of == level] for level in order}
    for level in sizes.keys() - {1}:
        if max(sizes[level]) >= min(sizes.get(level - 1, [99.0])):
            faults.append(f"h{level} is as large as h{level - 1}: {sizes}")
    if nameless := [one for one in browser.all("img") if not one.get_attribute("alt")]:
        faults.append(f"{len(nameless)} pictures without a name")
    if "Research use only" not in browser.text("banner"):
        faults.append("no notice")
    if browser.all('[data-testid="stException"]'):
        faults.append("an exception")
    return faults
