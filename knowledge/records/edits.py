"""Edits of records by people: who changed what, when, and the record before and after."""

from __future__ import annotations

from collections.abc import Mapping

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from videopath.core.errors import KnowledgeError
from videopath.knowledge.records.record import InstructionRecord

EDITABLE = ("diagnosis", "site", "description", "question", "source", "licence", "patient", "group")
"""The fields that a person can edit. The media stay, and the vectors of the pictures with them."""


class RecordEdit(BaseModel):
    """One edit of a record."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    version: int = Field(ge=1)
    """The version of the knowledge base that the edit made."""
    when: str
    """ISO 8601, UTC."""
    by: str = Field(min_length=1)
    """The name of the person."""
    note: str = ""
    before: InstructionRecord
    after: InstructionRecord

    @property
    def changes(self) -> list[tuple[str, str, str]]:
        """(field, text before, text after) of each field that changed."""
        texts = (
            (name, getattr(self.before, name) or "", getattr(self.after, name) or "") for name in EDITABLE
        )
        return [(name, before, after) for name, before, after in texts if before != after]


def edited(record: InstructionRecord, changes: Mapping[str, str | None]) -> InstructionRecord:
    """Return a record with other texts.

    Args:
        record: The record.
        changes: Field → its new text; see :data:`EDITABLE`.

    Raises:
        KnowledgeError: A field cannot be edited, or the record would not be valid.
    """
    fixed = sorted(set(changes) - set(EDITABLE))
    if fixed:
        raise KnowledgeError(f"{fixed[0]!r} of a record cannot be edited; these can: {', '.join(EDITABLE)}.")
    try:
        return InstructionRecord.model_validate({**record.model_dump(), **changes})
    except ValidationError as error:
        first = error.errors()[0]
        field = ".".join(str(part) for part in first["loc"]) or "the record"
        raise KnowledgeError(
            f"The edit is not valid: {field} {first['msg'].removeprefix('Value error, ')}."
        ) from error
