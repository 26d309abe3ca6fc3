"""Instruction records, and the readers of the files they come in.

A JSON list of LLaVA conversations is read, the same as JSON lines, VideoPath's own JSON lines (one
:class:`InstructionRecord` each), CSV tables, and folders of Hugging Face ``datasets`` with either kind of columns.
Answers end in ``Diagnosis: …`` (ViDRiP-LLaVA's instruction data), in a sentence "… the diagnosis is …" (WSI-Bench
reports), or name no diagnosis at all.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator, model_validator

from videopath.core.errors import KnowledgeError
from videopath.core.files import write_text
from videopath.core.pathology.answers import DIAGNOSIS_START, chosen_option, parse_free_answer
from videopath.core.text import has_half_characters
from videopath.knowledge.records.imports import entries
from videopath.knowledge.records.sources import infer_site, known_site, source_name

UNSPECIFIED_LICENCE = "unspecified"
_VISUAL_TOKEN = re.compile(r"\s*<(?:image|video)>\s*")
OnLeftOut = Callable[[KnowledgeError], None]
"""Told of each damaged entry that is left out."""

_HUMAN = {"human", "user"}
_MODEL = {"gpt", "assistant"}


class Media(BaseModel):
    """A clip or an image that shows what a record says."""

    model_config = ConfigDict(frozen=True, extra="forbid", str_strip_whitespace=True)

    path: str = Field(min_length=1)
    """Within the folder of the data's media; a whole path only where the user's own case names it."""
    start: float | None = Field(None, ge=0, allow_inf_nan=False)
    """First second of the segment; none: from the beginning."""
    end: float | None = Field(None, gt=0, allow_inf_nan=False)
    """Last second of the segment; none: to the end."""

    @model_validator(mode="after")
    def _in_order(self) -> Media:
        if self.start is not None and self.end is not None and self.end <= self.start:
            raise ValueError(f"ends ({self.end:g} s) before it starts ({self.start:g} s)")
        return self


class InstructionRecord(BaseModel):
    """One question about one video or slide, with its answer taken apart. All texts are stripped of outer space."""

    model_config = ConfigDict(frozen=True, extra="forbid", str_strip_whitespace=True)

    id: str
    """Unique within a knowledge base."""
    source: str
    """The video or slide that was asked about; see :func:`videopath.knowledge.records.sources.same_source`."""
    site: str | None = None
    """Canonical anatomical site where the name is known, the given name in lower case elsewhere."""
    question: str
    description: str = ""
    diagnosis: str = ""
    """Empty when the answer names none."""
    licence: str = UNSPECIFIED_LICENCE
    media: tuple[Media, ...] = ()
    """The clips or images that show it; none: it is found by its words alone."""
    patient: str | None = None
    """Whose tissue it is; a case of the same patient is never answered with it."""
    group: str | None = None
    """What must not stand on both sides of a question, such as a slide's block or a tile's field."""
    provenance: dict[str, str] = {}
    """Of a record that a person signed: case, reviewer, model, what was corrected."""

    @field_validator("id", "source", "question", "licence")
    @classmethod
    def _not_empty(cls, value: str) -> str:
        if not value:
            raise ValueError("is empty")
        return value

    @field_validator("*")
    @classmethod
    def _storable(cls, value: Any) -> Any:
        if any(has_half_characters(text) or "\0" in text for text in _texts(value)):
            raise ValueError("has a character that is not valid text")
        return value

    @field_validator("patient", "group")
    @classmethod
    def _none_where_blank(cls, value: str | None) -> str | None:
        return value or None

    @field_validator("site")
    @classmethod
    def _canonical(cls, value: str | None) -> str | None:
        return known_site(value) or value.lower() if value else None

    @model_validator(mode="after")
    def _says_something(self) -> InstructionRecord:
        if not (self.description or self.diagnosis):
            raise ValueError("has neither a description nor a diagnosis")
        return self

    @property
    def text(self) -> str:
        """What is embedded: the description, or the diagnosis where there is no description."""
        return self.description or self.diagnosis


def read_records(
    path: str | Path, licence: str | None = None, left_out: OnLeftOut | None = None
) -> Iterator[InstructionRecord]:
    """Read the records of a JSON list, JSON lines, a CSV table or a folder of Hugging Face ``datasets``.

    ``licence`` is that of records which name none. Ids that repeat in the file get ``#2``, ``#3`` …
    Raises ``KnowledgeError`` that names the damaged record (its place, and its id where it has one); with ``left_out``
    that is called with the error instead, and reading goes on. What is damaged as a whole is an error either way.
    """
    path = Path(path)
    seen: dict[str, int] = {}
    for place, item in entries(path):
        for record in _records_at(place, item, licence or UNSPECIFIED_LICENCE, left_out):
            count = seen[record.id] = seen.get(record.id, 0) + 1
            yield record if count == 1 else _renamed(record, seen)
    if not seen:
        raise KnowledgeError(
            f"{path} holds no records; a JSON list, JSON lines, a CSV table or a saved dataset is read."
        )


def write_records(path: str | Path, records: Iterable[InstructionRecord]) -> None:
    """Write records as JSON lines, whole or not at all; :func:`read_records` gives the same records back."""
    write_text(Path(path), "".join(canonical_json(record) + "\n" for record in records))


def to_conversation(record: InstructionRecord) -> dict[str, Any]:
    """The record in the LLaVA format, in the words of the ViDRiP-LLaVA instruction data."""
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
    """One line of JSON that is the same for equal records, whatever the machine."""
    return json.dumps(record.model_dump(exclude_defaults=True), ensure_ascii=False, separators=(",", ":"))


def _texts(value: Any) -> Iterator[str]:
    """The texts of a field."""
    if isinstance(value, str):
        yield value
    elif isinstance(value, dict):
        for pair in value.items():
            yield from pair
    elif isinstance(value, tuple):
        for media in value:
            yield media.path


def _records_at(place: str, item: Any, licence: str, left_out: OnLeftOut | None) -> list[InstructionRecord]:
    """All records of an entry, or none of them."""
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
        raise KnowledgeError(f"{place} is not an object with a conversation, but {_shown(item)}.")
    if "id" in item:
        place += f" (id {_shown(item['id'])})"
    if "conversations" not in item:
        yield _checked({"licence": licence, **item}, place)
        return
    for turn, (question, answer) in enumerate(_exchanges(item["conversations"], place), start=1):
        yield _record_of_exchange(item, question, answer, turn, licence, place)


def _record_of_exchange(
    item: dict[str, Any], question: str, answer: str, turn: int, licence: str, place: str
) -> InstructionRecord:
    visual = _first_text(item, "video", "image")
    given = item.get("id", visual)
    name = str(given) if isinstance(given, str | int) else ""
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
            **{name: item[name] for name in ("patient", "group", "provenance") if item.get(name)},
        },
        place,
    )


def _media_of(item: dict[str, Any]) -> list[dict[str, Any]]:
    """What a conversation was about: its video, or its images; ``start`` and ``end`` cut a segment out of a video."""
    if _first_text(item, "video"):
        segment = {name: item[name] for name in ("start", "end") if item.get(name) is not None}
        return [{"path": path, **segment} for path in _texts(item["video"])]
    return [{"path": path} for path in _texts(item.get("image"))]


def _texts(value: Any) -> list[str]:
    values = value if isinstance(value, list) else [value]
    return [text.strip() for text in values if isinstance(text, str) and text.strip()]


def _exchanges(turns: Any, place: str) -> Iterator[tuple[str, str]]:
    """The (question, answer) pairs of a conversation, in order; a system turn before them is passed over."""
    if not isinstance(turns, list) or not turns:
        raise KnowledgeError(
            f"{place} has no conversation: a list of turns is expected, this is {_shown(turns)}."
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
    raise KnowledgeError(f"{place} has a turn without 'from' and 'value' texts: {_shown(turn)}.")


def _checked(fields: dict[str, Any], place: str) -> InstructionRecord:
    try:
        return InstructionRecord.model_validate(fields)
    except ValidationError as error:
        first = error.errors()[0]
        field = ".".join(str(part) for part in first["loc"])
        reason = first["msg"].removeprefix("Value error, ")
        raise KnowledgeError(f"{place} is damaged: {f'{field!r}: ' if field else 'it '}{reason}.") from error


def _renamed(record: InstructionRecord, seen: dict[str, int]) -> InstructionRecord:
    name = f"{record.id}#{seen[record.id]}"
    while name in seen:
        name += "#"
    seen[name] = 1
    return record.model_copy(update={"id": name})


def _first_text(item: dict[str, Any], *keys: str) -> str:
    """The first of the fields that is a text; of a list of texts (several images), its first."""
    for key in keys:
        value = item.get(key)
        if isinstance(value, list) and value:
            value = value[0]
        if isinstance(value, str) and value.strip():
            return value.strip()
    return ""


def _shown(value: Any) -> str:
    text = repr(value)
    return text if len(text) <= 80 else text[:77] + "…"
