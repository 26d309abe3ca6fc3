"""What the tools share: how their errors reach whoever called them, and that their runs stay on this machine."""

from __future__ import annotations

from typing import Any

from langchain_core.callbacks import Callbacks
from langchain_core.messages import ToolMessage
from langchain_core.tools import BaseTool
from pydantic import ValidationError

from videopath.core.errors import VideoPathError
from videopath.tools.untraced import untraced, without_tracers


class TissueTool(BaseTool):
    """A tool whose errors raise in Python and answer a model.

    ``invoke`` with plain arguments raises :class:`VideoPathError`. A model's tool call (LangGraph's ``ToolNode``, or
    ``invoke`` with a ``ToolCall``) gets the error's sentences as a tool message of status "error" instead: they say
    what is allowed, and the model can ask again. LangChain's own ``handle_tool_error`` knows ``ToolException`` alone
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
        """As LangChain's ``run``, without LangSmith."""
        told = (verbose, start_color, color, without_tracers(callbacks))
        try:
            with untraced():
                return super().run(tool_input, *told, tool_call_id=tool_call_id, **more)
        except VideoPathError as error:
            return self._told(error, tool_call_id)

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
        """As LangChain's ``arun``, without LangSmith."""
        told = (verbose, start_color, color, without_tracers(callbacks))
        try:
            with untraced():
                return await super().arun(tool_input, *told, tool_call_id=tool_call_id, **more)
        except VideoPathError as error:
            return self._told(error, tool_call_id)

    def _parse_input(self, tool_input: str | dict[str, Any], tool_call_id: str | None) -> Any:
        """As LangChain's; an own error that pydantic wrapped while it checked the arguments comes out as it was."""
        try:
            return super()._parse_input(tool_input, tool_call_id)
        except ValidationError as error:
            own = error.errors()[0].get("ctx", {}).get("error")
            if isinstance(own, VideoPathError):
                raise own from error
            raise

    def _told(self, error: VideoPathError, tool_call_id: str | None) -> ToolMessage:
        if tool_call_id is None:
            raise error
        return ToolMessage(str(error), name=self.name, tool_call_id=tool_call_id, status="error")
