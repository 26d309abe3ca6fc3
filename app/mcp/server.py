"""The MCP server: its tools and resources, over stdio or HTTP."""

from __future__ import annotations

import hashlib
import logging
from collections.abc import Iterable
from dataclasses import replace
from importlib.metadata import version
from typing import Any

from mcp.server.auth.provider import TokenVerifier
from mcp.server.auth.settings import AuthSettings
from mcp.server.lowlevel.helper_types import ReadResourceContents
from mcp.server.mcpserver import MCPServer
from mcp.server.mcpserver.context import Context
from mcp.server.mcpserver.exceptions import ToolError, UnexpectedToolError
from mcp_types import CallToolResult, InputRequiredResult, TextContent
from pydantic import AnyUrl, ValidationError

from videopath.agent.cases.records import reason_of
from videopath.app.mcp.calls import ModelCalls
from videopath.app.mcp.resources import add_resources
from videopath.app.mcp.service import TissueService
from videopath.app.mcp.tools import add_tools
from videopath.core.errors import VideoPathError
from videopath.core.notice import RESEARCH_USE

_log = logging.getLogger(__name__)

_INSTRUCTIONS = f"""\
VideoPath looks at videos and images of histology and cytology. {RESEARCH_USE}
For a diagnosis call diagnose_case: it describes, searches similar cases, compares, and abstains if nobody vouches for the \
result. If `diagnosis` is null there is none: say so, with the reason, and name no other label as a diagnosis. The other \
tools give parts of that work, whose answers nobody has checked. Only a person signs a case, outside of this server. \
Repeat the notice of a result to the person."""
_UNEXPECTED = "VideoPath failed unexpectedly. The server's log shows where; nothing of a case is lost."


class TissueServer(MCPServer[Any]):
    """A server whose errors are one sentence, and whose resources carry their SHA-256."""

    async def call_tool(
        self, name: str, arguments: dict[str, Any], context: Context[Any, Any] | None = None
    ) -> CallToolResult | InputRequiredResult:
        """Call a tool; an error becomes a result with one sentence."""
        try:
            self._refuse_unknown(name, arguments)
            return await super().call_tool(name, arguments, context)
        except UnexpectedToolError as error:
            _log.error("The tool %s failed unexpectedly.", name, exc_info=error.__cause__)
            return _failed(_UNEXPECTED)
        except ToolError as error:
            return _failed(_sentence(error))

    async def read_resource(
        self, uri: AnyUrl | str, context: Context[Any, Any] | None = None
    ) -> Iterable[ReadResourceContents] | InputRequiredResult:
        """Read a resource; its ``_meta`` has the SHA-256 of the content and the research notice."""
        found = await super().read_resource(uri, context)
        if isinstance(found, InputRequiredResult):
            return found
        return [replace(content, meta=_meta_of(content.content)) for content in found]

    def _refuse_unknown(self, name: str, arguments: dict[str, Any]) -> None:
        """Refuse an unknown tool, and an argument that it does not take: a misspelt one would be lost."""
        tools = {tool.name: tool for tool in self._tool_manager.list_tools()}
        if name not in tools:
            raise ToolError(f"There is no tool {name[:80]!r}; there are: {', '.join(tools)}.")
        allowed = tools[name].parameters["properties"]
        unknown = sorted(set(arguments) - set(allowed))
        if unknown:
            raise ToolError(f"{name} takes no argument {unknown[0][:80]!r}; it takes: {', '.join(allowed)}.")


def make_server(
    service: TissueService,
    calls: ModelCalls,
    *,
    auth: AuthSettings | None = None,
    token_verifier: TokenVerifier | None = None,
) -> TissueServer:
    """Return the server of a service.

    Args:
        service: The service.
        calls: Runs the calls that need the model.
        auth: How clients over HTTP prove who they are; None over stdio.
        token_verifier: Accepts their tokens; goes with ``auth``.
    """
    server = TissueServer(
        "videopath",
        title="VideoPath",
        description="Step-by-step, checkable diagnosis of pathology videos. Research use only.",
        instructions=_INSTRUCTIONS,
        version=version("videopath-agent"),
        log_level="WARNING",
        subscriptions=False,
        auth=auth,
        token_verifier=token_verifier,
    )
    add_tools(server, service, calls)
    add_resources(server, service)
    return server


def _failed(sentence: str) -> CallToolResult:
    return CallToolResult(content=[TextContent(type="text", text=sentence)], is_error=True)


def _sentence(error: ToolError) -> str:
    """Return what went wrong, without the library's words around it."""
    cause = error.__cause__
    if isinstance(cause, ValidationError):
        own = cause.errors()[0].get("ctx", {}).get("error")
        return (
            str(own)
            if isinstance(own, VideoPathError)
            else f"An argument cannot be used: {reason_of(cause)}."
        )
    return str(cause if isinstance(cause, ToolError) else error)


def _meta_of(content: str | bytes) -> dict[str, Any]:
    data = content.encode() if isinstance(content, str) else content
    return {"sha256": hashlib.sha256(data).hexdigest(), "notice": RESEARCH_USE}
