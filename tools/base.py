"""The base class of the tools: their errors reach Python or the calling model, and their runs stay on this machine."""

from __future__ import annotations

import asyncio
from typing import Any

from langchain_core.callbacks import Callbacks
from langchain_core.messages import ToolMessage
from langchain_core.tools import BaseTool
from pydantic import ValidationError

from videopath.core.errors import VideoPathError
from videopath.tools.untraced import tracing_allowed, untraced, without_tracers


class TissueTool(BaseTool):
    """A LangChain tool that raises its errors in Python and returns them to a model.

    ``invoke`` with plain arguments raises :class:`VideoPathError`. A model's tool call (LangGraph's ``ToolNode``, or
    ``invoke`` with a ``ToolCall``) gets the error's text as a tool message with status "error" instead: the text says
    what is allowed, and the model can call again. LangChain's own ``handle_tool_error`` handles only ``ToolException``
    and would turn the errors of plain calls into strings as well.
    """

    def run(
        self,
        tool_input: str | dict[str, Any],
        verbose: bool | None = None,
        start_color: str | None = "green",
        color: str | None = "green",
        callbacks: Callbacks = None,
        *,
        tool_call_id: str | None = None,
        **more: Any,
    ) -> Any:
        """Run like LangChain's ``run``, without LangSmith unless the settings allow it."""
        allowed = tracing_allowed()
        options = (verbose, start_color, color, without_tracers(callbacks, allowed))
        try:
            with untraced(allowed):
                return super().run(tool_input, *options, tool_call_id=tool_call_id, **more)
        except VideoPathError as error:
            return self._error_message(error, tool_call_id)

    async def arun(
        self,
        tool_input: str | dict[str, Any],
        verbose: bool | None = None,
        start_color: str | None = "green",
        color: str | None = "green",
        callbacks: Callbacks = None,
        *,
        tool_call_id: str | None = None,
        **more: Any,
    ) -> Any:
        """Run like LangChain's ``arun``, without LangSmith unless the settings allow it."""
        allowed = await asyncio.to_thread(tracing_allowed)
        options = (verbose, start_color, color, without_tracers(callbacks, allowed))
        try:
            with untraced(allowed):
                return await super().arun(tool_input, *options, tool_call_id=tool_call_id, **more)
        except VideoPathError as error:
            return self._error_message(error, tool_call_id)

    def _parse_input(self, tool_input: str | dict[str, Any], tool_call_id: str | None) -> Any:
        """Parse like LangChain's; unwrap a ``VideoPathError`` that pydantic wrapped while it checked the arguments."""
        try:
            return super()._parse_input(tool_input, tool_call_id)
        except ValidationError as error:
            own = error.errors()[0].get("ctx", {}).get("error")
            if isinstance(own, VideoPathError):
                raise own from error
            raise

    def _error_message(self, error: VideoPathError, tool_call_id: str | None) -> ToolMessage:
        if tool_call_id is None:
            raise error
        return ToolMessage(str(error), name=self.name, tool_call_id=tool_call_id, status="error")
