"""Test sets of questions about videos: the benchmark's format, conversations in the LLaVA format, and ours.

JSON list or JSON lines. ``question``, ``answer`` and ``video_name`` are the published fields; of conversations the first question is
asked. Ours may add ``id``, ``site``, ``diagnosis``, ``group``, ``attributes`` and ``paraphrase`` (see :class:`Item`).
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
    """The answer that an expert gave."""
    site: str | None = None
    diagnosis: str | None = None
    """The true diagnosis in short, where the set names it."""
    group: str = ""
    """Patient, case or slide, within which questions are not independent; empty: the video."""
    attributes: dict[str, str] = Field(default_factory=dict)
    """Attribute → its true word: of :data:`SCALES` any word of the true level, of others the word that a description should hold."""
    paraphrase: str | None = None
    """The question in other words, for the control of that name."""

    @property
    def cluster(self) -> str:
        """What the bootstrap draws as a whole."""
        return self.group or self.video.name


def read_items(path: Path, media: Path) -> list[Item]:
    """The questions of a set, their videos in the folder ``media``. Raises ``InputError`` that names the first wrong one."""
    items = [_item(entry.number, _whole(entry), path, media) for entry in json_entries(path)]
    if not items:
        raise InputError(f"{path} holds no question.")
    doubled = [name for name, count in Counter(item.id for item in items).items() if count > 1]
    if doubled:
        raise InputError(f"{path} has the id {doubled[0]!r} more than once.")
    return items


def find_video(media: Path, name: str) -> Path | None:
    """The file of a video that a set names, perhaps without its ending, as the published set does; none where it is not."""
    files = (media / f"{name}{suffix}" for suffix in SUFFIXES)
    return next((file for file in files if file.exists()), None)


def _whole(entry: JsonEntry) -> Any:
    if entry.problem:
        raise InputError(entry.problem)
    return entry.value


def _item(number: int, entry: Any, path: Path, media: Path) -> Item:
    place = f"Question {number} of {path.name}"
    if not isinstance(entry, Mapping):
        raise InputError(f"{place} is no JSON object.")
    said = entry.get("conversations") or [{}, {}]
    try:
        question = (
            entry["question"] if "question" in entry else said[0]["value"].replace("<image>", "").strip()
        )
        reference = entry["answer"] if "answer" in entry else said[1]["value"]
        name = str(entry.get("video_name") or entry["video"])
        return Item(
            id=_name(entry.get("id"), str(number)),
            video=_video(media, name, place),
            question=question,
            reference=reference,
            site=_site(entry.get("site"), place),
            diagnosis=entry.get("diagnosis") or None,
            group=_name(entry.get("group"), ""),
            attributes=_attributes(entry.get("attributes") or {}, place),
            paraphrase=entry.get("paraphrase") or None,
        )
    except (KeyError, IndexError, TypeError, AttributeError) as error:
        raise InputError(f"{place} lacks a question, an answer or a video_name.") from error
    except ValidationError as error:
        wrong = error.errors()[0]
        raise InputError(
            f"{place} is not usable: {'.'.join(map(str, wrong['loc']))}: {wrong['msg']}."
        ) from error


def _name(value: Any, otherwise: str) -> str:
    """Ids and groups may be numbers, 0 among them."""
    return otherwise if value in (None, "") else str(value)


def _video(media: Path, name: str, place: str) -> Path:
    found = find_video(media, name)
    if found is None:
        raise InputError(
            f"{place} is about {name}, which is not in {media}: give the videos' folder with --media."
        )
    return found


def _site(site: Any, place: str) -> str | None:
    try:
        return canonical_site(str(site)) if site else None
    except InputError as error:
        raise InputError(f"{place}: {error}") from error


def _attributes(words: Any, place: str) -> dict[str, str]:
    if not isinstance(words, Mapping):
        raise InputError(f"{place} has attributes that are no object of attribute and word.")
    for scale in SCALES:
        word = words.get(scale.attribute)
        if word is not None and scale.spoken_level(str(word)) is None:
            allowed = ", ".join(level[0] for level in scale.words)
            raise InputError(
                f"{place} has {word!r} for {scale.attribute}; use a word of its levels, such as {allowed}."
            )
    return dict(words)


def first_line(error: Exception) -> str:
    """What an error says, in a line."""
    return str(error).strip().splitlines()[0][:160]
