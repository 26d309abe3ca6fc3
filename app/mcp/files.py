"""The files of a case as resources: report, trace, questions, evidence frames, and the bundle of all.

A resource has the same bytes as the member of the bundle, so its SHA-256 is the one in the bundle's manifest. The report as
HTML is no member. Whole paths are left out, as in the bundle.
"""

from __future__ import annotations

import hashlib
import re
import tempfile
import zipfile
from pathlib import Path

from videopath.agent.cases.bundle import FRAMES_FOLDER, MANIFEST_NAME, MARKDOWN_NAME, REPORT_NAME
from videopath.agent.cases.questions import QUESTIONS_NAME
from videopath.agent.cases.records import CaseReport
from videopath.agent.cases.trace import TRACE_NAME
from videopath.app.mcp.results import CaseFile
from videopath.core.errors import CaseError

BUNDLE_NAME = "bundle.zip"
HTML_NAME = "report.html"
MIME_TYPES = {
    MARKDOWN_NAME: "text/markdown",
    HTML_NAME: "text/html",
    REPORT_NAME: "application/json",
    TRACE_NAME: "application/jsonl",
    QUESTIONS_NAME: "application/jsonl",
    MANIFEST_NAME: "application/json",
    BUNDLE_NAME: "application/zip",
}
"""Name of a file → its kind. The evidence frames are PNG images."""
FRAME_TYPE = "image/png"

_FRAME = re.compile(rf"{FRAMES_FOLDER}/(?:frame-)?0*(\d+)\.png")


def case_files(report: CaseReport) -> list[CaseFile]:
    """Return the files of a case, each with its address and its SHA-256."""
    return [
        CaseFile(
            uri=f"videopath://case/{report.case_id}/{name}",
            mime_type=MIME_TYPES.get(name, FRAME_TYPE),
            size=len(data),
            sha256=hashlib.sha256(data).hexdigest(),
        )
        for name, data in _contents(report).items()
    ]


def case_file(report: CaseReport, name: str) -> bytes:
    """Return a file of a case.

    Args:
        report: The report of the case.
        name: A name of :data:`MIME_TYPES`, or ``frame/NUMBER.png`` with the number of the frame in the source.

    Raises:
        CaseError: The case has no such file.
    """
    contents = _contents(report)
    if name not in contents:
        raise CaseError(f"Case {report.case_id} has no {name}; it has: {', '.join(contents)}.")
    return contents[name]


def _contents(report: CaseReport) -> dict[str, bytes]:
    """Return name → content of every file, as the bundle holds it; and the report as HTML."""
    with tempfile.TemporaryDirectory(prefix="videopath-mcp-") as folder:
        path = report.save_bundle(Path(folder) / BUNDLE_NAME)
        with zipfile.ZipFile(path) as archive:
            members = {_name_of(member): archive.read(member) for member in archive.namelist()}
        return {**members, HTML_NAME: report.to_html().encode(), BUNDLE_NAME: path.read_bytes()}


def _name_of(member: str) -> str:
    frame = _FRAME.fullmatch(member)
    return f"frame/{frame[1]}.png" if frame else member
