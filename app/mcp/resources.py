"""The files of the cases as resources: ``videopath://case/CASE_ID/report.md`` and others."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from mcp.server.mcpserver.exceptions import ResourceNotFoundError

from videopath.agent.cases.bundle import MANIFEST_NAME, MARKDOWN_NAME, REPORT_NAME
from videopath.agent.cases.questions import QUESTIONS_NAME
from videopath.agent.cases.trace import TRACE_NAME
from videopath.app.mcp.files import BUNDLE_NAME, FRAME_TYPE, HTML_NAME, MIME_TYPES
from videopath.core.errors import VideoPathError

if TYPE_CHECKING:
    from mcp.server.mcpserver import MCPServer

    from videopath.app.mcp.service import TissueService

_DESCRIPTIONS = {
    MARKDOWN_NAME: "The report that people read. Research use only.",
    HTML_NAME: "The report as one HTML file with the evidence frames in it, to mail.",
    REPORT_NAME: "The whole report as JSON, with every step.",
    TRACE_NAME: "The trace: a JSON line for each finished step, with its inputs, outputs and hashes.",
    QUESTIONS_NAME: "The questions that were asked after the diagnosis. The answers are no part of it.",
    MANIFEST_NAME: "The SHA-256 of each file of the bundle.",
    BUNDLE_NAME: "The bundle: report, trace, questions, evidence frames and manifest in one zip.",
}


def add_resources(server: MCPServer, service: TissueService) -> None:
    """Add the templates of the files of a case to a server."""
    for name, description in _DESCRIPTIONS.items():
        server.resource(
            f"videopath://case/{{case_id}}/{name}",
            name=name,
            description=description,
            mime_type=MIME_TYPES[name],
        )(_reader(service, name))

    def frame(case_id: str, number: str) -> bytes:
        digits = number.lstrip("0") or "0"
        return _read(service, case_id, f"frame/{digits}.png")

    server.resource(
        "videopath://case/{case_id}/frame/{number}.png",
        name="evidence frame",
        description="A frame that the report names as evidence, by its number in the source.",
        mime_type=FRAME_TYPE,
    )(frame)


def _reader(service: TissueService, name: str) -> Callable[[str], str | bytes]:
    def read(case_id: str) -> str | bytes:
        data = _read(service, case_id, name)
        return data if name == BUNDLE_NAME else data.decode()

    return read


def _read(service: TissueService, case_id: str, name: str) -> bytes:
    try:
        return service.file(case_id, name)
    except VideoPathError as error:
        raise ResourceNotFoundError(str(error)) from error
