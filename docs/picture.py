"""Draw docs/trace.svg, the picture of a trace in the README, from a real run: python docs/picture.py

Renders the sample case, diagnoses it with nano and the starter knowledge, and draws what came out.
"""

from __future__ import annotations

import base64
import io
import os
import tempfile
import textwrap
from html import escape
from pathlib import Path

from PIL import Image

from videopath.agent import CaseReport, DiagnosticAgent
from videopath.media.synthetic import render_case

_TARGET = Path(__file__).with_name("trace.svg")
_WIDTH, _MARGIN, _LEFT = 1000, 28, 520  # pixels; the left column holds the steps
_INK, _SOFT, _HAEM, _EOSIN, _PALE = "#2b2438", "#776f86", "#4b2e83", "#d6578f", "#f6f1f8"


def main() -> None:
    """Run the case and write the picture."""
    with tempfile.TemporaryDirectory() as folder:
        os.environ["VIDEOPATH_HOME"] = folder
        video = render_case(Path(folder) / "sample.mp4")
        report = DiagnosticAgent.load(model="nano", review="never").diagnose(video, site="colon")
        _TARGET.write_text(draw(report), encoding="utf-8")


def draw(report: CaseReport) -> str:
    """The whole picture as SVG text."""
    head = [
        _text(_MARGIN, 46, report.diagnosis or "no diagnosis", size=25, weight=700),
        _text(_MARGIN, 70, _verdict(report), colour=_SOFT),
    ]
    steps, left_end = _steps(report, 104)
    findings, middle = _findings(report, 104)
    differential, middle = _differential(report, middle + 22)
    similar, right_end = _similar(report, middle + 22)
    bottom = max(left_end, right_end) + 30
    foot = _text(_MARGIN, bottom, report.notice, size=11, colour=_SOFT)
    height = bottom + 22
    body = "\n".join([*head, *steps, *findings, *differential, *similar, foot])
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" xmlns:xlink="http://www.w3.org/1999/xlink" width="{_WIDTH}" '
        f'height="{height:.0f}" viewBox="0 0 {_WIDTH} {height:.0f}" font-family="Helvetica, Arial, sans-serif">\n'
        f'<rect width="100%" height="100%" rx="14" fill="white" stroke="#ddd4e4"/>\n{body}\n</svg>\n'
    )


def _verdict(report: CaseReport) -> str:
    changed = (
        "changed by similar cases"
        if report.changed_by_retrieval
        else "the same before and after similar cases"
    )
    state = "abstained" if report.abstained else "confidence"
    return f"{state} {report.confidence:.0%} · {report.site or 'site not given'} · {changed} · {report.model}"


def _steps(report: CaseReport, top: float) -> tuple[list[str], float]:
    """One row per step: a bar on the common time axis, seconds, and what came out."""
    parts = [_heading(_MARGIN, top, "Steps")]
    total = sum(step.seconds for step in report.steps) or 1.0
    room, y, passed = _LEFT - _MARGIN - 40, top + 24, 0.0
    for step in report.steps:
        start, length = _MARGIN + room * passed / total, max(3.0, room * step.seconds / total)
        lines = textwrap.wrap(step.summary, 68)[:3]
        parts += [
            _text(_MARGIN, y, step.name, weight=700, colour=_HAEM),
            _text(_LEFT - 40, y, f"{step.seconds:.2f} s  {step.device or ''}", colour=_SOFT, anchor="end"),
            _box(_MARGIN, y + 7, room, 5, _PALE),
            _box(start, y + 7, min(length, room), 5, _EOSIN),
            *(_text(_MARGIN, y + 28 + 16 * row, line, size=12) for row, line in enumerate(lines)),
        ]
        passed += step.seconds
        y += 42 + 16 * len(lines)
    return parts, y - 20


def _findings(report: CaseReport, top: float) -> tuple[list[str], float]:
    """Each finding that was seen, beside the frame that shows it; the others say that they were not."""
    parts, y = [_heading(_LEFT, top, "Findings, with the moment that shows each")], top + 16
    for finding in report.findings[:4]:
        lines = textwrap.wrap(finding.text, 50)[:4]
        if finding.was_seen and finding.image and report.folder:
            parts.append(_frame(report.folder / finding.image, _LEFT, y))
        moment = f"{finding.seconds:.1f} s" if finding.was_seen else "typical of the diagnosis, not seen"
        parts.append(
            _text(_LEFT + 104, y + 14, moment, weight=700, colour=_HAEM if finding.was_seen else _SOFT)
        )
        parts += [_text(_LEFT + 104, y + 30 + 15 * row, line, size=12) for row, line in enumerate(lines)]
        y += 78
    return parts, y + 6


def _differential(report: CaseReport, top: float) -> tuple[list[str], float]:
    """Bars of the candidates' probabilities."""
    parts, y = [_heading(_LEFT, top, "Differential")], top + 22
    for candidate in report.differential[:4]:
        parts += [
            _text(_LEFT, y, candidate.label[:40]),
            _box(_LEFT + 250, y - 10, 140, 12, _PALE),
            _box(_LEFT + 250, y - 10, 140 * candidate.probability, 12, _EOSIN),
            _text(_WIDTH - _MARGIN, y, f"{candidate.probability:.1%}", colour=_SOFT, anchor="end"),
        ]
        y += 22
    return parts, y


def _similar(report: CaseReport, top: float) -> tuple[list[str], float]:
    """The similar cases with their scores, and whether they counted."""
    parts, y = [_heading(_LEFT, top, "Similar cases")], top + 22
    for case in report.similar_cases[:5]:
        mark = "used" if case.kept else "left out"
        parts += [
            _text(_LEFT, y, f"{case.score:.2f}", weight=700, colour=_HAEM),
            _text(_LEFT + 44, y, case.diagnosis[:48]),
            _text(_WIDTH - _MARGIN, y, mark, colour=_SOFT, anchor="end"),
        ]
        y += 21
    return parts, y


def _frame(path: Path, x: float, y: float) -> str:
    """An evidence frame, embedded small."""
    with Image.open(path) as picture:
        small = picture.convert("RGB")
        small.thumbnail((184, 138))
    jpeg = io.BytesIO()
    small.save(jpeg, "JPEG", quality=80)
    data = base64.b64encode(jpeg.getvalue()).decode()
    return f'<image x="{x}" y="{y:.0f}" width="92" height="69" xlink:href="data:image/jpeg;base64,{data}"/>'


def _heading(x: float, y: float, text: str) -> str:
    return _text(x, y, text.upper(), size=11, weight=700, colour=_SOFT)


def _box(x: float, y: float, width: float, height: float, colour: str) -> str:
    return f'<rect x="{x:.1f}" y="{y:.1f}" width="{width:.1f}" height="{height}" rx="2.5" fill="{colour}"/>'


def _text(
    x: float,
    y: float,
    text: str,
    *,
    size: int = 13,
    weight: int = 400,
    colour: str = _INK,
    anchor: str = "start",
) -> str:
    return (
        f'<text x="{x}" y="{y:.0f}" font-size="{size}" font-weight="{weight}" fill="{colour}" '
        f'text-anchor="{anchor}">{escape(text)}</text>'
    )


if __name__ == "__main__":
    main()
