"""Signed cases as knowledge: what a person has confirmed helps with the next case.

A record's source is the SHA-256 of its video: the same video under any name is never answered with itself.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from filelock import FileLock

from videopath.core.errors import CaseError, KnowledgeError

if TYPE_CHECKING:
    from videopath.agent.records import CaseReport
    from videopath.knowledge import InstructionRecord

LICENCE = "own case, not licensed to others"


def record_of(report: CaseReport) -> InstructionRecord:
    """A signed case as an instruction record. Raises ``CaseError`` for one that nobody signed."""
    from videopath.knowledge import InstructionRecord
    from videopath.model.questions import default_question

    if report.status != "signed" or report.video is None:
        raise CaseError(
            f"Case {report.case_id} is {report.status}: only a signed case becomes knowledge; sign it first."
        )
    return InstructionRecord(
        id=f"case-{report.case_id}",
        source=report.video.sha256,
        site=report.site,
        question=report.question or default_question(report.site),
        description=report.description,
        diagnosis=report.diagnosis,
        licence=LICENCE,
    )


def add_to_knowledge(report: CaseReport, folder: str | Path) -> str:
    """Add a signed case to a knowledge base, made where the folder has none, and return the record's id.

    Raises ``CaseError`` for a case that is not signed or is in it already, ``KnowledgeError`` for a folder that
    cannot be used.
    """
    from videopath.knowledge import STARTER_FOLDER, KnowledgeBase
    from videopath.knowledge.generation import MANIFEST

    record, folder = record_of(report), Path(folder).expanduser()
    if folder.resolve() == STARTER_FOLDER.resolve():
        raise KnowledgeError(
            "The starter knowledge base is part of VideoPath and is not changed; name a folder of your own, "
            "it is made where there is none."
        )
    with _one_at_a_time(folder):
        if not (folder / MANIFEST).exists():
            KnowledgeBase.build(folder, [record])
            return record.id
        base = KnowledgeBase.open(folder)
        if any(known.id == record.id for known in base):
            raise CaseError(f"Case {report.case_id} is in the knowledge base {folder} already: {record.id}.")
        base.add([record])
    return record.id


def _one_at_a_time(folder: Path) -> FileLock:
    """Two people who sign at once do not make the same knowledge base twice."""
    try:
        folder.parent.mkdir(parents=True, exist_ok=True)
        return FileLock(folder.parent / f".{folder.name}.lock")
    except OSError as error:
        raise KnowledgeError(
            f"The knowledge base {folder} cannot be written: {error.strerror or error}; choose a folder that can."
        ) from error
