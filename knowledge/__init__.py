"""Instruction data as records, and a knowledge base of them that is searched by text, picture and words.

Public names are loaded when they are first used, so that importing this package costs nothing.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from videopath.knowledge.base import KnowledgeBase, KnowledgeInfo
    from videopath.knowledge.bundled import STARTER_FOLDER, rebuild_starter, starter_records
    from videopath.knowledge.index.embedder import DEFAULT_EMBEDDER, Embedder
    from videopath.knowledge.index.encoders import FrameEncoder, TextEncoder
    from videopath.knowledge.index.viewer import EncodedMedia, Viewer
    from videopath.knowledge.query import Excluded, Hit, Query, SearchResult, ViewWeights
    from videopath.knowledge.records.record import (
        InstructionRecord,
        Media,
        read_records,
        to_conversation,
        write_records,
    )
    from videopath.knowledge.records.sources import same_source
    from videopath.knowledge.storage.manifest import VersionChange
    from videopath.knowledge.storage.versions import verify_folder
    from videopath.knowledge.voting.measure import Measure, VoteJudgement, judge
    from videopath.knowledge.voting.vote import Ballot, Vote

_MODULES = {
    "Ballot": "videopath.knowledge.voting.vote",
    "DEFAULT_EMBEDDER": "videopath.knowledge.index.embedder",
    "Embedder": "videopath.knowledge.index.embedder",
    "EncodedMedia": "videopath.knowledge.index.viewer",
    "Excluded": "videopath.knowledge.query",
    "FrameEncoder": "videopath.knowledge.index.encoders",
    "Hit": "videopath.knowledge.query",
    "InstructionRecord": "videopath.knowledge.records.record",
    "judge": "videopath.knowledge.voting.measure",
    "KnowledgeBase": "videopath.knowledge.base",
    "KnowledgeInfo": "videopath.knowledge.base",
    "Measure": "videopath.knowledge.voting.measure",
    "Media": "videopath.knowledge.records.record",
    "Query": "videopath.knowledge.query",
    "read_records": "videopath.knowledge.records.record",
    "rebuild_starter": "videopath.knowledge.bundled",
    "same_source": "videopath.knowledge.records.sources",
    "SearchResult": "videopath.knowledge.query",
    "STARTER_FOLDER": "videopath.knowledge.bundled",
    "starter_records": "videopath.knowledge.bundled",
    "TextEncoder": "videopath.knowledge.index.encoders",
    "to_conversation": "videopath.knowledge.records.record",
    "verify_folder": "videopath.knowledge.storage.versions",
    "VersionChange": "videopath.knowledge.storage.manifest",
    "Viewer": "videopath.knowledge.index.viewer",
    "ViewWeights": "videopath.knowledge.query",
    "Vote": "videopath.knowledge.voting.vote",
    "VoteJudgement": "videopath.knowledge.voting.measure",
    "write_records": "videopath.knowledge.records.record",
}

__all__ = [
    "DEFAULT_EMBEDDER",
    "STARTER_FOLDER",
    "Ballot",
    "Embedder",
    "EncodedMedia",
    "Excluded",
    "FrameEncoder",
    "Hit",
    "InstructionRecord",
    "KnowledgeBase",
    "KnowledgeInfo",
    "Measure",
    "Media",
    "Query",
    "SearchResult",
    "TextEncoder",
    "VersionChange",
    "ViewWeights",
    "Viewer",
    "Vote",
    "VoteJudgement",
    "judge",
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
