"""The bundled starter: the project's own descriptions, shipped as text with a ready index."""

from __future__ import annotations

from pathlib import Path

from videopath.knowledge.base import KnowledgeBase
from videopath.knowledge.index.encoders import Progress
from videopath.knowledge.records.record import InstructionRecord, read_records

STARTER_FOLDER = Path(__file__).parent / "starter"
RECORDS_FILE = "records.jsonl"
"""The text file that index, SQLite file and manifest are made from."""


def starter_records() -> list[InstructionRecord]:
    """Return the starter's records from its text file."""
    return list(read_records(STARTER_FOLDER / RECORDS_FILE))


def rebuild_starter(folder: str | Path = STARTER_FOLDER, progress: Progress | None = None) -> KnowledgeBase:
    """Rebuild the starter's index from its records. Contributors run it after a change of ``records.jsonl``."""
    return KnowledgeBase.build(folder, starter_records(), progress=progress)
