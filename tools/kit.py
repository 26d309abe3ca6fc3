"""All tools at once, around one engine and one knowledge base."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from videopath.tools.describe import DescribeTool
from videopath.tools.diagnose import DiagnoseTool
from videopath.tools.retrieve import RetrieveTool
from videopath.tools.session_pool import Recording, SessionPool

if TYPE_CHECKING:
    from langchain_core.tools import BaseTool

    from videopath.knowledge import KnowledgeBase
    from videopath.model.inference.engine import Engine


def toolkit(
    engine: Engine | str | Path = "nano", knowledge: KnowledgeBase | Path | str | None = None
) -> list[BaseTool]:
    """Return the tools describe, retrieve and diagnose for a LangChain or LangGraph agent.

    The tools share one session pool, so a clip is encoded once for all of them. Nothing is loaded before the first call.

    Args:
        engine: An engine, or the name or folder of a model.
        knowledge: A knowledge base or its folder; ``None`` uses the bundled starter.

    Returns:
        Three tools. A call raises ``InputError`` for a video or a site that cannot be used; a model that made the call
        gets a tool message with the error instead.
    """
    sessions: SessionPool | Recording = SessionPool(engine)
    return [
        DescribeTool(sessions=sessions),
        RetrieveTool(knowledge=knowledge, sessions=sessions),
        DiagnoseTool(sessions=sessions),
    ]
