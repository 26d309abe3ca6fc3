"""The report as one HTML file: nothing from outside becomes markup, and nothing is fetched."""

from __future__ import annotations

import base64
import hashlib
import io
import re
from html.parser import HTMLParser
from pathlib import Path
from types import SimpleNamespace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from videopath.agent.cases.records import CaseReport, Decision, FollowUp
from videopath.agent.report.sections import sections_of
from videopath.core.notice import RESEARCH_USE

_EMPTY = ("meta", "img")


class Page(HTMLParser):
    """The tags, titles and texts of a report."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.titles: list[tuple[int, str]] = []
        self.open: list[str] = []
        self.words: list[str] = []
        self.feed(page)
        self.close()
        assert self.open == []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))
        if tag not in _EMPTY:
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        if self.open and self.open[-1] == "style":
            return
        if self.open and re.fullmatch("h[1-3]", self.open[-1]):
            self.titles.append((int(self.open[-1][1]), data))
        self.words.append(data)

    @property
    def text(self) -> str:
        return " ".join(" ".join(self.words).split())


@pytest.fixture
def report(tmp_path: Path, cases: SimpleNamespace) -> CaseReport:
    """A signed report with a frame, a question and steps."""
    asked = FollowUp(
        question="Is there necrosis?", answer="Yes, in the middle.", answered=True, model="VideoPath-nano",
        weights="1" * 64, device="cpu", prompt_sha256="2" * 64, seconds=0.5, asked="2026-02-01T10:00:00.000Z", frames=[0],
    )  # fmt: skip
    decision = Decision(
        action="edit",
        reviewer="Dr. Łucja Παπαδόπουλος",
        diagnosis="tubular adenoma",
        decided="2026-01-31T15:00:00.000Z",
        changes={"diagnosis": {"from": "colon adenocarcinoma", "to": "tubular adenoma"}},
    )
    made = cases.report(
        status="signed",
        diagnosis="tubular adenoma",
        review=[decision],
        folder=tmp_path,
        questions=[asked],
        steps=[cases.step("intake"), cases.step("describe")],
    )
    made.findings[0].image = "frames/0001612.png"
    cases.write_evidence(tmp_path, made)
    return made


def test_one_file_says_everything(report: CaseReport) -> None:
    page = Page(report.to_html())
    assert page.text.startswith(f"Case {report.case_id} · VideoPath case report {RESEARCH_USE}")
    assert page.text.endswith(RESEARCH_USE)
    for part in (
        "by Dr. Łucja Παπαδόπουλος, 2026-01-31 15:00 UTC",
        "signed by a person",
        "80% (calibrated)" if report.provenance.get("calibrated") else "80%",
        "Crowded | irregular glands.",
        "1:04.50, frame 1612",
        "benign colon tissue",
        "20.0%",
        "0.710",
        "Is there necrosis?",
        "Yes, in the middle.",
        "They are not part of the diagnosis.",
        "1" * 64,
        "versions.torch",
    ):
        assert part in page.text, part
    sections = [section.value for section in sections_of(report)]
    assert [title for _, title in page.titles if title in sections] == sections
    levels = [level for level, _ in page.titles]
    assert levels.count(1) == 1
    assert all(after - before < 2 for before, after in zip(levels, levels[1:], strict=False))
    assert sum(tag == "details" for tag, _ in page.tags) >= len(report.steps)


def test_the_frame_is_in_the_file_and_nothing_is_fetched(report: CaseReport) -> None:
    html = report.to_html()
    page = Page(html)
    (frame,) = [values for tag, values in page.tags if tag == "img"]
    kind, data = str(frame["src"]).split(",")
    assert kind == "data:image/jpeg;base64"
    assert Image.open(io.BytesIO(base64.b64decode(data))).format == "JPEG"
    assert frame["alt"] == "Evidence frame: 1:04.50, frame 1612"
    assert not [tag for tag, _ in page.tags if tag in ("script", "link", "iframe", "object", "form")]
    addresses = [
        value for _, values in page.tags for name, value in values.items() if name in ("src", "href")
    ]
    assert all(str(address).startswith(("data:image/jpeg", "#")) for address in addresses)
    style = re.search("<style>(.*)</style>", html, re.DOTALL)
    assert style is not None
    assert "url(" not in style[1]
    policy = next(values["content"] for tag, values in page.tags if "http-equiv" in values)
    digest = base64.b64encode(hashlib.sha256(style[1].encode()).digest()).decode()
    assert policy == (
        f"default-src 'none'; img-src data:; style-src 'sha256-{digest}'; base-uri 'none'; form-action 'none'"
    )
    assert report.to_html() == html


def test_a_missing_frame_is_said_and_paths_stay_here(report: CaseReport, tmp_path: Path) -> None:
    assert report.video is not None
    report.video.path = str(tmp_path / "mrs-smith" / "clip.mp4")
    (tmp_path / "frames" / "0001612.png").write_bytes(b"no picture")
    html = report.to_html()
    assert "The frame is not kept here." in html
    assert "mrs-smith" not in html
    assert str(tmp_path) not in html
    assert str(tmp_path) in report.to_html(with_paths=True)
    assert RESEARCH_USE in CaseReport(case_id="case-1", status="failed").to_html()


@settings(max_examples=30, deadline=None)
@given(
    text=st.text(max_size=40)
    | st.sampled_from(["</style><script>alert(1)</script>", '"><img src=x>', "\x00\u202e"])
)
def test_no_text_becomes_markup(text: str, cases: SimpleNamespace) -> None:
    plain, wild = (
        cases.report(
            diagnosis=words, site=words, question=words, rationale=words, description=words, model=words,
            advice=[words], steps=[cases.step(words)],
        )
        for words in ("plain", text + "x")
    )  # fmt: skip
    expected, found = ([tag for tag, _ in Page(one.to_html()).tags if tag != "p"] for one in (plain, wild))
    assert found == expected
    assert not re.search("[\x00-\x08\u202e]", wild.to_html())
