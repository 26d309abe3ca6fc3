"""The HTML report of an evaluation: what stands in it, that it is one inert file, and how a browser shows it."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any
from xml.etree.ElementTree import Element

import html5lib
import pytest
from PIL import Image
from typer.testing import CliRunner, Result

from videopath.app.cli.main import app
from videopath.app.figures import html, tables
from videopath.app.figures.html import html_report
from videopath.app.figures.palette import DARK, LIGHT
from videopath.app.figures.plots import SHOWN
from videopath.app.figures.sections import sections
from videopath.core.errors import InputError
from videopath.core.notice import RESEARCH_USE
from videopath.evaluation.stats.estimates import Estimate, Share
from videopath.evaluation.testsets.judge import Judged
from videopath.evaluation.testsets.summary import SetReport, read_set_report, write_set_report
from videopath.media.synthetic import render_slide

Run = Callable[..., Result]
Made = Callable[..., SetReport]

HOSTILE = "</svg></table><script>window.hacked=1</script> carcinoma"
ID = "\"><img src=x onerror='window.hacked=1'>"
SECTIONS = [
    "figures", "equal", "differences", "judged", "classes", "attributes", "confusion", "risk", "calibration", "controls", "pairs"
]  # fmt: skip
_XHTML, _SVG = "{http://www.w3.org/1999/xhtml}", "{http://www.w3.org/2000/svg}"
_INERT = {
    "html", "head", "meta", "title", "style", "body", "p", "header", "h1", "h2", "h3", "dl", "dt", "dd", "nav", "ul", "li", "a",
    "main", "section", "div", "figure", "table", "caption", "thead", "tbody", "tr", "th", "td", "span", "details", "summary", "footer", "code",
}  # fmt: skip
_DRAWN = {"svg", "g", "path", "line", "text", "rect"}


@pytest.fixture(scope="module")
def evaluated(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder that the real command leaves: nano on two drawn clips of a set whose every name is hostile."""
    folder = tmp_path_factory.mktemp("set")
    entries = []
    for number, (entity, diagnosis) in enumerate(
        [("benign colon tissue", "benign colon tissue"), ("colon adenocarcinoma", HOSTILE)]
    ):  # fmt: skip
        Image.fromarray(render_slide(entity, number, 224, 224)).save(folder / f"{number}.png")
        entries.append(
            {"id": f"{number}{ID}", "question": "What is the best diagnosis for this colon tissue?", "answer": f"{HOSTILE}: glands.",
             "video_name": f"{number}.png", "site": "colon", "diagnosis": diagnosis, "group": f"{ID}{number}",
             "attributes": {f"<b>{ID}": "crowded nuclei"}}
        )  # fmt: skip
    questions = folder / "<b onclick=alert(1)>set.json"
    questions.write_text(json.dumps(entries))
    asked = ["--system", "model", "--system", "blind", "--control", "blank", "--control", "pairs"]
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("VIDEOPATH_HOME", str(folder / "home"))
        answer = CliRunner().invoke(app, ["evaluate", str(questions), *asked, "--out", str(folder / "out")])
    assert answer.exit_code == 0, answer.stderr
    assert "report.html" in answer.stderr
    return folder / "out"


@pytest.fixture(scope="module")
def page(evaluated: Path) -> Element:
    """The report, read by the rules of HTML without any of its forgiveness."""
    text = (evaluated / "report.html").read_text(encoding="utf-8")
    document: Element = html5lib.HTMLParser(strict=True).parse(text)
    return document


def _tags(page: Element) -> Iterator[tuple[str, Element]]:
    yield from ((str(element.tag), element) for element in page.iter())


def _text(element: Element) -> str:
    return " ".join("".join(element.itertext()).split())


def _by_id(page: Element) -> dict[str, Element]:
    return {element.attrib["id"]: element for _, element in _tags(page) if "id" in element.attrib}


def test_every_section_is_there(page: Element) -> None:
    found = _by_id(page)
    assert list(found) == SECTIONS
    assert all(section.find(f"{_XHTML}h2") is not None for section in found.values())
    links = [element.attrib["href"] for tag, element in _tags(page) if tag == f"{_XHTML}a"]
    assert links == [f"#{name}" for name in SECTIONS]
    drawn = {name: len(list(section.iter(f"{_SVG}svg"))) for name, section in found.items()}
    expected = {"classes": 1, "confusion": 2, "risk": 1, "calibration": 2, "controls": 1}
    assert {name: count for name, count in drawn.items() if count} == expected
    assert _text(page).count(RESEARCH_USE) == 2


def test_the_figures_are_those_of_the_document(page: Element, evaluated: Path) -> None:
    report = read_set_report(evaluated / "report.json")
    found = _by_id(page)
    shown = _text(found["figures"])
    for system in report.systems:
        for metric in report.metrics:
            assert metric.meaning in shown
            if metric.name in system.figures:
                assert str(tables.Measured.of(system.figures[metric.name])) in shown
    assert _text(found["controls"]).count(str(tables.Measured.signed(report.controls[0].difference))) >= 1
    assert report.control_meanings["blank"] in _text(found["controls"])
    assert f"{report.nearest[0].similarity:.3f}" in _text(found["pairs"])
    assert (report.set.sha256 in _text(page), report.weights_sha256 in _text(page)) == (True, True)


def test_nothing_in_it_acts_or_is_fetched(page: Element, evaluated: Path) -> None:
    for tag, element in _tags(page):
        space, name = tag.rsplit("}", 1)
        assert name in (_INERT if space + "}" == _XHTML else _DRAWN)
        for attribute, value in element.attrib.items():
            assert attribute not in ("src", "srcset", "style", "action")
            assert not attribute.startswith("on")
            assert not attribute.endswith("href") or value.startswith("#")
    style = _text(next(page.iter(f"{_XHTML}style")))
    assert not re.search(r"url\(|@import|@font-face", style)
    text = (evaluated / "report.html").read_text(encoding="utf-8")
    assert set(re.findall(r"\w+://[^\s\"'<]*", text)) == {
        "http://www.w3.org/2000/svg", "http://www.w3.org/1999/xlink"
    }  # fmt: skip
    (policy,) = [e.attrib["content"] for _, e in _tags(page) if "http-equiv" in e.attrib]
    assert policy.startswith("default-src 'none'; style-src 'sha256-")


def test_hostile_names_stand_as_they_are(page: Element) -> None:
    found = _by_id(page)
    assert "<b onclick=alert(1)>set.json" in _text(page)
    assert HOSTILE in _text(found["classes"])
    assert f"<b>{ID}" in _text(found["attributes"])
    assert f"0{ID}" in _text(found["pairs"])
    drawn = [_text(text) for text in found["classes"].iter(f"{_SVG}text")]
    assert any(HOSTILE.startswith(name.removesuffix("…")) and "<script>" in name for name in drawn)


def test_it_is_made_again_from_the_document(evaluated: Path, videopath: Run, tmp_path: Path) -> None:
    (tmp_path / "moved.json").write_bytes((evaluated / "report.json").read_bytes())
    beside = videopath("evaluate", "report", tmp_path / "moved.json")
    assert (beside.exit_code, beside.stdout.strip()) == (0, str(tmp_path / "moved.html"))
    named = videopath("evaluate", "report", tmp_path / "moved.json", "--out", tmp_path / "new" / "page.html")
    assert named.exit_code == 0, named.stderr
    whole = (evaluated / "report.html").read_bytes()
    assert whole == (tmp_path / "moved.html").read_bytes() == (tmp_path / "new" / "page.html").read_bytes()


def test_another_file_is_told(videopath: Run, tmp_path: Path) -> None:
    (tmp_path / "other.json").write_text("{}")
    answer = videopath("evaluate", "report", tmp_path / "other.json")
    assert (answer.exit_code, "is not a report on a test set" in answer.stderr) == (2, True)
    assert not (tmp_path / "other.html").exists()


def test_a_missing_package_is_told_before_anything_is_answered(
    videopath: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, made_set_report: Made
) -> None:
    monkeypatch.setattr("videopath.core.installing.find_spec", lambda name: None)
    (tmp_path / "set.json").write_text("[]")
    answer = videopath("evaluate", tmp_path / "set.json", "--out", tmp_path / "out", "--html")
    assert (answer.exit_code, "[benchmark]" in answer.stderr) == (2, True)
    assert not (tmp_path / "out").exists()
    with pytest.raises(InputError, match="benchmark"):
        html_report(made_set_report("model"))


def test_what_was_not_asked_for_is_said(made_set_report: Made) -> None:
    """One system on a set that names no diagnosis: every section is there, and most say why they are empty."""
    report = made_set_report("model", truth=False)
    found = {section.key: section for section in sections(report)}
    assert list(found) == SECTIONS
    assert [key for key, section in found.items() if section.tables or section.plots] == ["figures"]
    assert "no diagnosis" in found["classes"].lead
    assert "no diagnosis" not in found["judged"].lead
    page = html5lib.HTMLParser(strict=True).parse(html_report(report))
    assert list(_by_id(page)) == SECTIONS


def test_judged_scores_and_what_failed(made_set_report: Made, tmp_path: Path) -> None:
    report = made_set_report("agent", "model", questions=6)
    scores = {"correctness": Estimate(3.25, 3.0, 3.5, 6, 5), "norm_average": Estimate(65.0, 60.0, 70.0, 6, 5)}
    judged = Judged(
        judge="http://127.0.0.1:9/v1#<i>judge</i>", parser="strict", date="2026-01-31T14:25:01Z", answers=6, failed=2,
        prompts_sha256={"correctness": "a" * 64}, failures={"<u>no JSON</u>": 2}, scores=scores,
    )  # fmt: skip
    first, second = report.systems
    document = report.model_copy(update={"systems": [first.model_copy(update={"judged": judged}), second]})
    write_set_report(document, tmp_path / "report.json")
    page = html5lib.HTMLParser(strict=True).parse(html_report(read_set_report(tmp_path / "report.json")))
    text = _text(_by_id(page)["judged"])
    told = (
        "#<i>judge</i>",
        "2026-01-31 14:25 UTC",
        "3.250 (3.000–3.500)",
        "65.000",
        "2 of 6",
        "<u>no JSON</u>2",
        "a" * 64,
    )
    assert [words for words in told if words not in text] == []


def test_of_many_diagnoses_the_most_frequent_are_drawn(made_set_report: Made) -> None:
    report = made_set_report("agent")
    names = [f"entity {n:02}" for n in range(1, 41)]
    many = {name: {name: n, names[0]: 1} for n, name in enumerate(names, 1)}
    shares = {name: Share(0.5, 0.1, 0.9, n) for n, name in enumerate(names, 1)}
    system = report.systems[0].model_copy(update={"confusion": many, "by_class": shares})
    found = {part.key: part for part in sections(report.model_copy(update={"systems": [system]}))}
    for key, count, lines in (("classes", 30, 40), ("confusion", SHOWN, 39)):
        assert f"{count} of 40 diagnoses" in found[key].lead
        drawn = html.svg(found[key].plots[0])
        assert [name for name in names if name in drawn] == names[-count:]
        assert len(found[key].tables[0].rows) == lines


def _opened(browser: Any, path: Path, width: int, *, dark: bool) -> None:
    browser.screen(width, 900, dark=dark)
    browser.driver.get(path.as_uri())


@pytest.mark.slow
def test_a_browser_shows_it_light_and_dark_wide_and_narrow(evaluated: Path, tmp_path: Path) -> None:
    from browsing import Browser, installed

    if installed() is None:
        pytest.skip("no browser: install Debian's chromium and chromium-driver")
    browser = Browser("", tmp_path)
    try:
        for dark, palette in ((False, LIGHT), (True, DARK)):
            for width in (1280, 390):
                _opened(browser, evaluated / "report.html", width, dark=dark)
                assert browser.driver.get_log("browser") == []
                assert browser.run("return window.hacked") is None
                assert browser.run("return performance.getEntriesByType('resource').length") == 0
                assert browser.run("return document.documentElement.scrollWidth") == width
                inks = browser.run(
                    "return [...document.querySelectorAll('#classes svg text')].map(e => getComputedStyle(e).fill)"
                )
                assert _rgb(palette.text) in inks
                smallest = browser.run(
                    "return Math.min(...[...document.querySelectorAll('svg text')].map("
                    "e => parseFloat(getComputedStyle(e).fontSize) * e.closest('svg').getBoundingClientRect().width"
                    " / e.closest('svg').viewBox.baseVal.width))"
                )
                assert smallest > 10
    finally:
        browser.close()


def _rgb(colour: str) -> str:
    return "rgb({}, {}, {})".format(*(int(colour[place : place + 2], 16) for place in (1, 3, 5)))
