"""Instruction data as records, and a searchable knowledge base of them: embeddings, FAISS, SQLite.

Public names are loaded on first use, so that importing this package costs nothing.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from videopath.knowledge.base import KnowledgeBase, KnowledgeInfo
    from videopath.knowledge.bundled import STARTER_FOLDER, rebuild_starter, starter_records
    from videopath.knowledge.index.embedder import DEFAULT_EMBEDDER, Embedder, Encoder
    from videopath.knowledge.index.views import Look, Viewer
    from videopath.knowledge.query import Excluded, Found, Hit, Query, Weights
    from videopath.knowledge.records.record import (
        InstructionRecord,
        Media,
        read_records,
        to_conversation,
        write_records,
    )
    from videopath.knowledge.records.sources import same_source
    from videopath.knowledge.storage.generation import verify_folder
    from videopath.knowledge.storage.manifest import Change
    from videopath.knowledge.voting.measure import Judged, Measure, judge
    from videopath.knowledge.voting.vote import Ballot, Vote

_MODULES = {
    "judge": "videopath.knowledge.voting.measure",
    "Measure": "videopath.knowledge.voting.measure",
    "Judged": "videopath.knowledge.voting.measure",
    "Vote": "videopath.knowledge.voting.vote",
    "Ballot": "videopath.knowledge.voting.vote",
    "Change": "videopath.knowledge.storage.manifest",
    "DEFAULT_EMBEDDER": "videopath.knowledge.index.embedder",
    "Embedder": "videopath.knowledge.index.embedder",
    "Encoder": "videopath.knowledge.index.embedder",
    "Excluded": "videopath.knowledge.query",
    "Found": "videopath.knowledge.query",
    "Hit": "videopath.knowledge.query",
    "InstructionRecord": "videopath.knowledge.records.record",
    "KnowledgeBase": "videopath.knowledge.base",
    "KnowledgeInfo": "videopath.knowledge.base",
    "Look": "videopath.knowledge.index.views",
    "Media": "videopath.knowledge.records.record",
    "Query": "videopath.knowledge.query",
    "STARTER_FOLDER": "videopath.knowledge.bundled",
    "Viewer": "videopath.knowledge.index.views",
    "Weights": "videopath.knowledge.query",
    "read_records": "videopath.knowledge.records.record",
    "rebuild_starter": "videopath.knowledge.bundled",
    "same_source": "videopath.knowledge.records.sources",
    "starter_records": "videopath.knowledge.bundled",
    "to_conversation": "videopath.knowledge.records.record",
    "verify_folder": "videopath.knowledge.storage.generation",
    "write_records": "videopath.knowledge.records.record",
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


if not TYPE_CHECKING:  # a type checker would take every name for an existing one

    def __getattr__(name: str) -> Any:
        if name not in _MODULES:
            raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
        return getattr(import_module(_MODULES[name]), name)


def __dir__() -> list[str]:
    return sorted(__all__)
