"""Test sets of questions about videos: the published benchmark's format, LLaVA conversations, and the project's own format.

A set is a JSON list or JSON lines. ``question``, ``answer`` and ``video_name`` are the published fields. Of a conversation the
first question is asked. The project's own format may add ``id``, ``site``, ``diagnosis``, ``group``, ``attributes`` and
``paraphrase`` (see :class:`Item`).
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from videopath.core.errors import InputError
from videopath.core.jsonl import JsonEntry, json_entries
from videopath.core.pathology.sites import canonical_site
from videopath.media.quality.attributes import SCALES

SUFFIXES = ("", ".mp4", ".MP4", ".mkv", ".mov", ".avi", ".webm")


class Item(BaseModel):
    """A question of a test set."""

    model_config = ConfigDict(frozen=True)

    id: str
    video: Path
    question: str
    reference: str
    """The expert's answer."""
    site: str | None = None
    diagnosis: str | None = None
    """The true diagnosis in short, if the set names it."""
    group: str = ""
    """Patient, case or slide; questions of one group are not independent. Empty: the video is the group."""
    attributes: dict[str, str] = Field(default_factory=dict)
    """Attribute → its true word: for attributes of :data:`SCALES` any word of the true level, for others a word of the description."""
    paraphrase: str | None = None
    """The question in other words, for the control ``paraphrase``."""

    @property
    def cluster(self) -> str:
        """The cluster that the bootstrap draws as a whole."""
        return self.group or self.video.name


def read_items(path: Path, media: Path) -> list[Item]:
    """Read the questions of a set.

    Args:
        path: File of the set.
        media: Folder of the videos.

    Raises:
        InputError: The file or one of its questions cannot be used; the message names the first one.
    """
    items = [_item(entry.number, _whole(entry), path, media) for entry in json_entries(path)]
    if not items:
        raise InputError(f"{path} has no question.")
    doubled = [name for name, count in Counter(item.id for item in items).items() if count > 1]
    if doubled:
        raise InputError(f"{path} has the id {doubled[0]!r} more than once.")
    return items


def find_video(media: Path, name: str) -> Path | None:
    """Return the file of a video that a set names, with or without its suffix as in the published set; None if it is missing."""
    files = (media / f"{name}{suffix}" for suffix in SUFFIXES)
    return next((file for file in files if file.exists()), None)


def _whole(entry: JsonEntry) -> Any:
    if entry.problem:
        raise InputError(entry.problem)
    return entry.value


def _item(number: int, entry: Any, path: Path, media: Path) -> Item:
    origin = f"Question {number} of {path.name}"
    if not isinstance(entry, Mapping):
        raise InputError(f"{origin} is not a JSON object.")
    turns = entry.get("conversations") or [{}, {}]
    try:
        question = (
            entry["question"] if "question" in entry else turns[0]["value"].replace("<image>", "").strip()
        )
        reference = entry["answer"] if "answer" in entry else turns[1]["value"]
        name = str(entry.get("video_name") or entry["video"])
        return Item(
            id=_name(entry.get("id"), str(number)),
            video=_video(media, name, origin),
            question=question,
            reference=reference,
            site=_site(entry.get("site"), origin),
            diagnosis=entry.get("diagnosis") or None,
            group=_name(entry.get("group"), ""),
            attributes=_attributes(entry.get("attributes") or {}, origin),
            paraphrase=entry.get("paraphrase") or None,
        )
    except (KeyError, IndexError, TypeError, AttributeError) as error:
        raise InputError(f"{origin} lacks a question, an answer or a video_name.") from error
    except ValidationError as error:
        wrong = error.errors()[0]
        raise InputError(
            f"{origin} is not usable: {'.'.join(map(str, wrong['loc']))}: {wrong['msg']}."
        ) from error


def _name(value: Any, otherwise: str) -> str:
    """Return an id or a group as text. Numbers are allowed, also 0."""
    return otherwise if value in (None, "") else str(value)


def _video(media: Path, name: str, origin: str) -> Path:
    file = find_video(media, name)
    if file is None:
        raise InputError(
            f"{origin} is about {name}, which is not in {media}. Name the videos' folder with --media."
        )
    return file


def _site(site: Any, origin: str) -> str | None:
    try:
        return canonical_site(str(site)) if site else None
    except InputError as error:
        raise InputError(f"{origin}: {error}") from error


def _attributes(words: Any, origin: str) -> dict[str, str]:
    if not isinstance(words, Mapping):
        raise InputError(f"{origin} has attributes that are not an object of attribute and word.")
    for scale in SCALES:
        word = words.get(scale.attribute)
        if word is not None and scale.spoken_level(str(word)) is None:
            allowed = ", ".join(level[0] for level in scale.words)
            raise InputError(
                f"{origin} has {word!r} for {scale.attribute}. Use a word of its levels, such as {allowed}."
            )
    return dict(words)


def first_line(error: Exception) -> str:
    """Return the first line of an error's message."""
    return str(error).strip().splitlines()[0][:160]
