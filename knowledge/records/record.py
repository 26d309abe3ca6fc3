"""Instruction records, and reading them from files.

These files are read: LLaVA conversations as a JSON list or JSON lines, VideoPath's own JSON lines (one
:class:`InstructionRecord` each), CSV tables, and folders of Hugging Face ``datasets`` with either kind of columns. An
answer ends in ``Diagnosis: …`` (ViDRiP-LLaVA's instruction data), in a sentence "… the diagnosis is …" (WSI-Bench
reports), or names no diagnosis.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator, model_validator

from videopath.core.choices import WritingRule
from videopath.core.errors import KnowledgeError
from videopath.core.files import write_text
from videopath.core.pathology.answers import DIAGNOSIS_START, chosen_option, parse_free_answer
from videopath.core.text import has_half_characters
from videopath.knowledge.records.imports import SET_MARK, SET_PROVENANCE, entries
from videopath.knowledge.records.sources import infer_site, known_site, source_name
from videopath.media.crop import Crop
from videopath.media.masks import Masks

UNSPECIFIED_LICENCE = "unspecified"
_VISUAL_TOKEN = re.compile(r"\s*<(?:image|video)>\s*")
OnLeftOut = Callable[[KnowledgeError], None]
"""Called with the error of each entry that is left out."""

_HUMAN = {"human", "user"}
_MODEL = {"gpt", "assistant"}


class Media(BaseModel):
    """A clip or an image that shows what a record describes."""

    model_config = ConfigDict(frozen=True, extra="forbid", str_strip_whitespace=True)

    path: str = Field(min_length=1)
    """The path within the media folder of the data. Only the user's own cases have absolute paths."""
    start: float | None = Field(None, ge=0, allow_inf_nan=False)
    """The first second of the segment; ``None`` means the beginning."""
    end: float | None = Field(None, gt=0, allow_inf_nan=False)
    """The last second of the segment; ``None`` means the end."""
    crop: Crop | None = None
    """The part of each frame, as shares; ``None`` means the whole frame."""
    writing: WritingRule | None = None
    """Which burned-in writing is filled before an encoder sees a frame; ``None`` means the viewer's own rule."""
    masks: Masks | None = None
    """A person's changes to the filled places, as shares of the frame."""

    @field_validator("crop")
    @classmethod
    def _part_of_a_frame(cls, value: Crop | None) -> Crop | None:
        if value is not None and not (0 <= value[0] < value[2] <= 1 and 0 <= value[1] < value[3] <= 1):
            raise ValueError("is not left, top, right, bottom as shares of the frame")
        return value

    @model_validator(mode="after")
    def _in_order(self) -> Media:
        if self.start is not None and self.end is not None and self.end <= self.start:
            raise ValueError(f"ends ({self.end:g} s) before it starts ({self.start:g} s)")
        return self


class InstructionRecord(BaseModel):
    """One question about one video or slide, with the parts of its answer. Texts lose leading and trailing spaces."""

    model_config = ConfigDict(frozen=True, extra="forbid", str_strip_whitespace=True)

    id: str
    """Unique within a knowledge base."""
    source: str
    """The video or slide of the question; see :func:`videopath.knowledge.records.sources.same_source`."""
    site: str | None = None
    """The canonical anatomical site if the name is known, else the name in lower case."""
    question: str
    description: str = ""
    diagnosis: str = ""
    """Empty if the answer names no diagnosis."""
    licence: str = UNSPECIFIED_LICENCE
    media: tuple[Media, ...] = ()
    """The clips or images. A record without media is found only by its text and words."""
    patient: str | None = None
    """The patient id. The record is never used for a case of the same patient."""
    group: str | None = None
    """What must not stand on both sides of a split, such as a slide's block or a tile's field."""
    provenance: dict[str, str] = {}
    """For a record of a signed case: the case, the reviewer, the model, and what was corrected. For a record of a built
    set: recording, seconds, crop, who wrote it, and whether it rests on the picture alone."""

    @field_validator("id", "source", "question", "licence")
    @classmethod
    def _not_empty(cls, value: str) -> str:
        if not value:
            raise ValueError("is empty")
        return value

    @field_validator("*")
    @classmethod
    def _storable(cls, value: Any) -> Any:
        if any(has_half_characters(text) or "\0" in text for text in _texts_of_field(value)):
            raise ValueError("has a character that is not valid text")
        return value

    @field_validator("patient", "group")
    @classmethod
    def _blank_is_none(cls, value: str | None) -> str | None:
        return value or None

    @field_validator("site")
    @classmethod
    def _canonical(cls, value: str | None) -> str | None:
        return known_site(value) or value.lower() if value else None

    @model_validator(mode="after")
    def _has_content(self) -> InstructionRecord:
        if not (self.description or self.diagnosis):
            raise ValueError("has neither a description nor a diagnosis")
        return self

    @property
    def text(self) -> str:
        """The text that is encoded: the description, or the diagnosis if there is no description."""
        return self.description or self.diagnosis


def read_records(
    path: str | Path, licence: str | None = None, left_out: OnLeftOut | None = None
) -> Iterator[InstructionRecord]:
    """Read the records of a JSON list, JSON lines, a CSV table or a folder of Hugging Face ``datasets``.

    Args:
        path: The file or folder.
        licence: The licence of records that name none.
        left_out: Called with the error of each damaged entry, which is left out. Without it, the first one is raised.

    Yields:
        The records. Ids that repeat in the file get ``#2``, ``#3`` …

    Raises:
        KnowledgeError: An entry is damaged (the message names its position and id) and there is no ``left_out``, the
            file as a whole is damaged, or it has no records.
    """
    path = Path(path)
    counts: dict[str, int] = {}
    for place, item in entries(path):
        for record in _records_at(place, item, licence or UNSPECIFIED_LICENCE, left_out):
            count = counts[record.id] = counts.get(record.id, 0) + 1
            yield record if count == 1 else _renamed(record, counts)
    if not counts:
        raise KnowledgeError(
            f"{path} holds no records; give a JSON list, JSON lines, a CSV table or a saved dataset."
        )


def write_records(path: str | Path, records: Iterable[InstructionRecord]) -> None:
    """Write records as JSON lines, all or none. :func:`read_records` returns the same records."""
    write_text(Path(path), "".join(canonical_json(record) + "\n" for record in records))


def to_conversation(record: InstructionRecord) -> dict[str, Any]:
    """Return the record in the LLaVA format, worded like the ViDRiP-LLaVA instruction data."""
    ending = f"{DIAGNOSIS_START} {record.diagnosis}" if record.diagnosis else ""
    extra = record.model_dump(mode="json", include={"patient", "group", "provenance"}, exclude_defaults=True)
    return {
        "id": record.id,
        "video": record.source,
        "site": record.site,
        "licence": record.licence,
        "media": [media.model_dump(exclude_none=True) for media in record.media],
        **extra,
        "conversations": [
            {"from": "human", "value": f"<image>\n{record.question}"},
            {"from": "gpt", "value": "\n".join(part for part in (record.description, ending) if part)},
        ],
    }


def canonical_json(record: InstructionRecord) -> str:
    """Return one line of JSON, which is the same for equal records on every machine."""
    return json.dumps(record.model_dump(exclude_defaults=True), ensure_ascii=False, separators=(",", ":"))


def _texts_of_field(value: Any) -> Iterator[str]:
    """Yield the texts of a field."""
    if isinstance(value, str):
        yield value
    elif isinstance(value, dict):
        for pair in value.items():
            yield from pair
    elif isinstance(value, tuple):
        for media in value:
            yield media.path


def _records_at(place: str, item: Any, licence: str, left_out: OnLeftOut | None) -> list[InstructionRecord]:
    """Return all records of an entry, or none if it is damaged."""
    try:
        if isinstance(item, KnowledgeError):
            raise item
        return list(_records_of(item, licence, place))
    except KnowledgeError as error:
        if left_out is None:
            raise
        left_out(error)
        return []


def _records_of(item: Any, licence: str, place: str) -> Iterator[InstructionRecord]:
    if not isinstance(item, dict):
        raise KnowledgeError(f"{place} is not an object with a conversation, but {_shortened(item)}.")
    if "id" in item:
        place += f" (id {_shortened(item['id'])})"
    if "conversations" not in item:
        yield _checked({"licence": licence, **item}, place)
        return
    for turn, (question, answer) in enumerate(_exchanges(item["conversations"], place), start=1):
        yield _record_of_exchange(item, question, answer, turn, licence, place)


def _record_of_exchange(
    item: dict[str, Any], question: str, answer: str, turn: int, licence: str, place: str
) -> InstructionRecord:
    visual = _first_text(item, "video", "image")
    record_id = item.get("id", visual)
    name = str(record_id) if isinstance(record_id, str | int) else ""
    question = _VISUAL_TOKEN.sub(" ", question).strip()
    parts = parse_free_answer(chosen_option(question, answer))
    return _checked(
        {
            "id": name if turn == 1 else f"{name}/{turn}",
            "source": _first_text(item, "source") or source_name(visual) or name,
            "site": _first_text(item, "site", "organ") or infer_site(question, visual),
            "question": question,
            "description": parts.description,
            "diagnosis": parts.diagnosis,
            "licence": _first_text(item, "licence", "license") or licence,
            "media": item["media"] if "media" in item else _media_of(item),
            **{name: item[name] for name in ("patient", "group") if item.get(name)},
            "provenance": _provenance_of(item),
        },
        place,
    )


def _provenance_of(item: dict[str, Any]) -> Any:
    """Return an entry's provenance; of an entry of a built set, its own fields as texts."""
    if item.get("provenance") or SET_MARK not in item:
        return item.get("provenance") or {}
    return {name: text for name in SET_PROVENANCE if (text := _as_text(item.get(name)))}


def _as_text(value: Any) -> str:
    """Return a text, number, truth or list of them as text; empty for anything else.

    >>> _as_text([0.5, 1]), _as_text(False), _as_text(None)
    ('0.5; 1', 'no', '')
    """
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, int | float):
        return repr(value)
    if isinstance(value, list | tuple):
        return "; ".join(filter(None, map(_as_text, value)))
    return value if isinstance(value, str) else ""


def _media_of(item: dict[str, Any]) -> list[dict[str, Any]]:
    """Return the media of a conversation: its video, with ``start`` and ``end`` if given, or its images."""
    if _first_text(item, "video"):
        segment = {name: item[name] for name in ("start", "end") if item.get(name) is not None}
        return [{"path": path, **segment} for path in _texts(item["video"])]
    return [{"path": path} for path in _texts(item.get("image"))]


def _texts(value: Any) -> list[str]:
    values = value if isinstance(value, list) else [value]
    return [text.strip() for text in values if isinstance(text, str) and text.strip()]


def _exchanges(turns: Any, place: str) -> Iterator[tuple[str, str]]:
    """Yield the (question, answer) pairs of a conversation, in order. A system turn before them is skipped."""
    if not isinstance(turns, list) or not turns:
        raise KnowledgeError(
            f"{place} has no conversation: a list of turns is expected, this is {_shortened(turns)}."
        )
    pairs = [_turn(turn, place) for turn in turns]
    if pairs[0][0] == "system":
        pairs = pairs[1:]
    if not pairs or len(pairs) % 2:
        raise KnowledgeError(f"{place} has a question without an answer.")
    for (asker, question), (speaker, answer) in zip(pairs[::2], pairs[1::2], strict=True):
        if asker not in _HUMAN or speaker not in _MODEL:
            raise KnowledgeError(
                f"{place} has turns of {asker!r} and {speaker!r} where 'human' and 'gpt' are expected."
            )
        yield question, answer


def _turn(turn: Any, place: str) -> tuple[str, str]:
    if isinstance(turn, dict):
        speaker, text = turn.get("from", turn.get("role")), turn.get("value", turn.get("content"))
        if isinstance(speaker, str) and isinstance(text, str):
            return speaker.lower(), text
    raise KnowledgeError(f"{place} has a turn without 'from' and 'value' texts: {_shortened(turn)}.")


def _checked(fields: dict[str, Any], place: str) -> InstructionRecord:
    try:
        return InstructionRecord.model_validate(fields)
    except ValidationError as error:
        first = error.errors()[0]
        field = ".".join(str(part) for part in first["loc"])
        reason = first["msg"].removeprefix("Value error, ")
        raise KnowledgeError(f"{place} is damaged: {f'{field!r}: ' if field else 'it '}{reason}.") from error


def _renamed(record: InstructionRecord, counts: dict[str, int]) -> InstructionRecord:
    name = f"{record.id}#{counts[record.id]}"
    while name in counts:
        name += "#"
    counts[name] = 1
    return record.model_copy(update={"id": name})


def _first_text(item: dict[str, Any], *keys: str) -> str:
    """Return the first field that is a text; from a list of texts (several images), its first text."""
    for key in keys:
        value = item.get(key)
        if isinstance(value, list) and value:
            value = value[0]
        if isinstance(value, str) and value.strip():
            return value.strip()
    return ""


def _shortened(value: Any) -> str:
    text = repr(value)
    return text if len(text) <= 80 else text[:77] + "…"
