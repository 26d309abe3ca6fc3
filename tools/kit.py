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
    """Describe, retrieve and diagnose for a LangChain or LangGraph agent.

    The tools share one pool of sessions: a clip is encoded once, whichever of them asks. Nothing is loaded before
    the first call. ``knowledge``: a knowledge base or its folder; none: the bundled starter. A video or a site that
    cannot be used raises ``InputError``; a model that called the tool is told it by a tool message instead.
    """
    sessions: SessionPool | Recording = SessionPool(engine)
    return [
        DescribeTool(sessions=sessions),
        RetrieveTool(knowledge=knowledge, sessions=sessions),
        DiagnoseTool(sessions=sessions),
    ]
