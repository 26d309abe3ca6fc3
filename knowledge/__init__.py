"""Instruction data as records, and a searchable knowledge base of them: embeddings, FAISS, SQLite.

Public names are loaded on first use, so that importing this package costs nothing.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from videopath.knowledge.base import Hit, KnowledgeBase, KnowledgeInfo
    from videopath.knowledge.bundled import STARTER_FOLDER, rebuild_starter, starter_records
    from videopath.knowledge.embedder import DEFAULT_EMBEDDER, Embedder, Encoder
    from videopath.knowledge.generation import verify_folder
    from videopath.knowledge.records import InstructionRecord, read_records, to_conversation, write_records
    from videopath.knowledge.sources import same_source

_MODULES = {
    "DEFAULT_EMBEDDER": "embedder",
    "Embedder": "embedder",
    "Encoder": "embedder",
    "Hit": "base",
    "InstructionRecord": "records",
    "KnowledgeBase": "base",
    "KnowledgeInfo": "base",
    "STARTER_FOLDER": "bundled",
    "read_records": "records",
    "rebuild_starter": "bundled",
    "same_source": "sources",
    "starter_records": "bundled",
    "to_conversation": "records",
    "verify_folder": "generation",
    "write_records": "records",
}

__all__ = [
    "DEFAULT_EMBEDDER",
    "STARTER_FOLDER",
    "Embedder",
    "Encoder",
    "Hit",
    "InstructionRecord",
    "KnowledgeBase",
    "KnowledgeInfo",
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
