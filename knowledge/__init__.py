"""Instruction data as records, and a searchable knowledge base of them: embeddings, FAISS, SQLite.

Public names are loaded on first use, so that importing this package costs nothing.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from videopath.knowledge.base import KnowledgeBase, KnowledgeInfo
    from videopath.knowledge.bundled import STARTER_FOLDER, rebuild_starter, starter_records
    from videopath.knowledge.embedder import DEFAULT_EMBEDDER, Embedder, Encoder
    from videopath.knowledge.generation import verify_folder
    from videopath.knowledge.manifest import Change
    from videopath.knowledge.query import Excluded, Found, Hit, Query, Weights
    from videopath.knowledge.records import (
        InstructionRecord,
        Media,
        read_records,
        to_conversation,
        write_records,
    )
    from videopath.knowledge.sources import same_source
    from videopath.knowledge.views import Look, Viewer
    from videopath.knowledge.voting.measure import Judged, Measure, judge
    from videopath.knowledge.voting.vote import Ballot, Vote

_MODULES = {
    "judge": "voting.measure",
    "Measure": "voting.measure",
    "Judged": "voting.measure",
    "Vote": "voting.vote",
    "Ballot": "voting.vote",
    "Change": "manifest",
    "DEFAULT_EMBEDDER": "embedder",
    "Embedder": "embedder",
    "Encoder": "embedder",
    "Excluded": "query",
    "Found": "query",
    "Hit": "query",
    "InstructionRecord": "records",
    "KnowledgeBase": "base",
    "KnowledgeInfo": "base",
    "Look": "views",
    "Media": "records",
    "Query": "query",
    "STARTER_FOLDER": "bundled",
    "Viewer": "views",
    "Weights": "query",
    "read_records": "records",
    "rebuild_starter": "bundled",
    "same_source": "sources",
    "starter_records": "bundled",
    "to_conversation": "records",
    "verify_folder": "generation",
    "write_records": "records",
}

__all__ = [
    "judge",
    "Measure",
    "Judged",
    "Vote",
    "Ballot",
    "DEFAULT_EMBEDDER",
    "STARTER_FOLDER",
    "Change",
    "Embedder",
    "Encoder",
    "Excluded",
    "Found",
    "Hit",
    "InstructionRecord",
    "KnowledgeBase",
    "KnowledgeInfo",
    "Look",
    "Media",
    "Query",
    "Viewer",
    "Weights",
    "read_records",
    "rebuild_starter",
    "same_source",
    "starter_records",
    "to_conversation",
    "verify_folder",
    "write_records",
]


def __getattr__(name: str) -> Any:
    if name not in _MODULES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{_MODULES[name]}"), name)


def __dir__() -> list[str]:
    return sorted(__all__)
