"""Drafts that a person finishes. What persons did is kept in a file of its own, which no build changes.

Each line of ``SET/finished.jsonl`` holds the pairs that one press of a button finished, and the ids that it discarded.
The last line about an id counts. Whoever reads the pairs of a set reads them with :func:`read_instructions`.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Literal

from filelock import FileLock
from pydantic import BaseModel, ConfigDict, ValidationError

from videopath.core.errors import InputError
from videopath.core.jsonl import JsonLines
from videopath.core.pathology.answers import DIAGNOSIS_START
from videopath.core.pathology.sites import canonical_site
from videopath.core.privacy.personal import personal_reasons
from videopath.core.text import has_half_characters
from videopath.dataset.instructions.answers import diagnosis_text
from videopath.dataset.records import Clips, InstructionPair, Instructions, Recording, RefinedClip
from videopath.dataset.set_folder import SetFolder
from videopath.knowledge.records.sources import infer_site
from videopath.model.prompts.template import without_marks

MAX_TEXT = 20_000
"""Characters of one text of a pair."""
_LOCK_SECONDS = 20.0


class PersonsWork(BaseModel):
    """A line of the file: what a person finished and discarded at once."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    at: str
    who: str = ""
    recording: str
    finished: tuple[InstructionPair, ...] = ()
    discarded: tuple[str, ...] = ()


@dataclass(frozen=True)
class Finished:
    """What a person makes of a draft.

    Attributes:
        draft: Id of the draft, or of any pair that the person corrects.
        answer: The description, or the name of the diagnosis.
        question: The question; empty: that of the draft.
        reasoning: The steps to the answer.
        about: What the pair is about; None: as in the draft.
        site: The organ, for the question; empty: as in the draft's question.
        given_away: What only the words give away; None: as in the draft.
        blind: Whether the answer rests on the picture alone, by the person's judgement.
    """

    draft: str
    answer: str
    question: str = ""
    reasoning: str = ""
    about: Literal["description", "diagnosis"] | None = None
    site: str = ""
    given_away: tuple[str, ...] | None = None
    blind: bool = False


@dataclass(frozen=True)
class Draft:
    """A draft with the clip that it is about."""

    recording: Recording
    clip: RefinedClip
    pair: InstructionPair


def read_instructions(folder: SetFolder, recording: Recording) -> Instructions | None:
    """Return the pairs of a recording as they stand: a person's pair replaces the draft or the pair with its id.

    Raises:
        InputError: A file is damaged.
    """
    written = folder.result(recording, "instructions", Instructions)
    if written is None and not _work_of(folder, recording):
        return None
    return with_persons_work(folder, recording, written or Instructions(pairs=()))


def with_persons_work(folder: SetFolder, recording: Recording, written: Instructions) -> Instructions:
    """Return what a stage wrote, with what persons finished in its place and without what they discarded."""
    work = _work_of(folder, recording)
    pairs = [
        work.get(pair.id) or pair
        for pair in written.pairs
        if pair.id not in work or work[pair.id] is not None
    ]
    known = {pair.id for pair in written.pairs}
    pairs += [pair for name, pair in work.items() if pair is not None and name not in known]
    dropped = tuple(entry for entry in written.dropped if not work.get(entry.path))
    return Instructions(pairs=tuple(pairs), dropped=dropped)


def list_drafts(folder: SetFolder, recording: Recording | None = None) -> list[Draft]:
    """Return the drafts that nobody has finished or discarded yet, clip by clip.

    Args:
        folder: The folder of the set.
        recording: Only the drafts of this recording; None: of all.

    Raises:
        InputError: A file is damaged.
    """
    recordings = folder.recordings() if recording is None else [recording]
    return [draft for one in recordings for draft in _drafts_of(folder, one)]


def finish(folder: SetFolder, finished: Sequence[Finished], who: str = "") -> list[InstructionPair]:
    """Finish drafts of one recording; all of them are written, or none.

    Args:
        folder: The folder of the set.
        finished: What becomes of each draft.
        who: Name or initials of the person; it stays in ``finished.jsonl`` and never reaches the finished set.

    Returns:
        The finished pairs, as the set holds them now.

    Raises:
        InputError: A draft does not exist, a text cannot be used, or the drafts are of several recordings.
    """
    drafts = [_pair_of(folder, one.draft) for one in finished]
    pairs = [_finished_pair(draft, one) for (_, draft), one in zip(drafts, finished, strict=True)]
    _write(folder, [recording for recording, _ in drafts], who, finished=tuple(pairs))
    return pairs


def discard(folder: SetFolder, drafts: Sequence[str], who: str = "") -> None:
    """Discard drafts of one recording: they are neither offered nor part of the set any more.

    Raises:
        InputError: A draft does not exist, or the drafts are of several recordings.
    """
    recordings = [_pair_of(folder, draft)[0] for draft in drafts]
    _write(folder, recordings, who, discarded=tuple(drafts))


def _drafts_of(folder: SetFolder, recording: Recording) -> list[Draft]:
    clips = folder.result(recording, "clips", Clips)
    instructions = read_instructions(folder, recording)
    if clips is None or instructions is None:
        return []
    by_id = {clip.id: clip for clip in clips.clips}
    return [
        Draft(recording, by_id[pair.clip], pair)
        for pair in instructions.pairs
        if pair.origin == "draft" and pair.clip in by_id
    ]


def _work_of(folder: SetFolder, recording: Recording) -> dict[str, InstructionPair | None]:
    """Return id → the pair that a person made of it, or None if it was discarded."""
    work: dict[str, InstructionPair | None] = {}
    for entry in _read(folder):
        if entry.recording == recording.id:
            work |= {pair.id: pair for pair in entry.finished}
            work |= dict.fromkeys(entry.discarded)
    return work


def _read(folder: SetFolder) -> list[PersonsWork]:
    try:
        lines = JsonLines(folder.finished).read()
    except OSError as error:
        raise InputError(f"{folder.finished} cannot be read: {error.strerror or error}.") from error
    entries = []
    for number, line in enumerate(lines, start=1):
        if not line.strip():
            continue
        try:
            entries.append(PersonsWork.model_validate_json(line))
        except ValidationError as error:
            raise InputError(
                f"Line {number} of {folder.finished} is damaged: correct it, or take it out; the other lines are whole."
            ) from error
    return entries


def _write(
    folder: SetFolder,
    recordings: list[Recording],
    who: str,
    *,
    finished: tuple[InstructionPair, ...] = (),
    discarded: tuple[str, ...] = (),
) -> None:
    if not recordings:
        raise InputError("No draft was named: name at least one.")
    if len({recording.id for recording in recordings}) > 1:
        raise InputError("The drafts belong to several recordings: finish those of one recording at a time.")
    work = PersonsWork(
        at=datetime.now(UTC).isoformat(timespec="seconds"),
        who=" ".join(_usable(who, "the name").split())[:200],
        recording=recordings[0].id,
        finished=finished,
        discarded=discarded,
    )
    try:
        with FileLock(folder.path / ".finished.lock", timeout=_LOCK_SECONDS):
            JsonLines(folder.finished, synced=True).append(work.model_dump_json())
            written = folder.result(recordings[0], "instructions", Instructions)
            if written is not None:  # so that whoever reads the stage's result finds it there as well
                merged = with_persons_work(folder, recordings[0], written)
                folder.correct_result(recordings[0], "instructions", merged)
    except OSError as error:  # a lock that is held too long is one as well
        raise InputError(f"The draft was not saved: {error}.") from error


def _pair_of(folder: SetFolder, name: str) -> tuple[Recording, InstructionPair]:
    for recording in folder.recordings():
        instructions = read_instructions(folder, recording)
        for pair in instructions.pairs if instructions else ():
            if pair.id == name:
                return recording, pair
    raise InputError(f"There is no draft {name[:80]!r} in {folder.path}: load the list of drafts again.")


def _finished_pair(draft: InstructionPair, finished: Finished) -> InstructionPair:
    about = finished.about or draft.about
    answer = _usable(finished.answer, "the answer")
    if not any(character.isalpha() for character in answer):
        raise InputError("The answer has no word: write it, or discard the draft.")
    if about == "diagnosis":
        answer = diagnosis_text(" ".join(answer.split()).removeprefix(DIAGNOSIS_START))
    question = _usable(finished.question, "the question") or draft.question
    given_away = draft.given_away if finished.given_away is None else finished.given_away
    return InstructionPair(
        id=draft.id,
        clip=draft.clip,
        about=about,
        question=_about_site(question, finished.site),
        answer=answer,
        reasoning=_usable(finished.reasoning, "the reasoning"),
        given_away=tuple(_usable(text, "what was given away") for text in given_away),
        blind=finished.blind,
        origin="person",
        rounds=draft.rounds,
    )


def _about_site(question: str, site: str) -> str:
    """Return the question with the organ in it, so that whoever reads the set knows it."""
    if not site:
        return question
    name, named = canonical_site(site), infer_site(question)
    if named and named != name:
        raise InputError(f"The question names {named}, but the site is {name}: correct one of them.")
    return question if named else f"This is {name} tissue. {question}"


def _usable(text: str, what: str) -> str:
    """Return a person's text without spaces around it."""
    text = text.strip()
    if len(text) > MAX_TEXT:
        raise InputError(f"The text of {what} has {len(text):,} characters; {MAX_TEXT:,} are allowed.")
    if has_half_characters(text) or "\0" in text:
        raise InputError(f"The text of {what} has a character that is not valid text: remove it.")
    if without_marks(text) != text:
        raise InputError(f"The text of {what} has a mark of a chat template, such as <image>: remove it.")
    if what != "the name" and personal_reasons(text):
        raise InputError(
            f"The text of {what} has a person's data ({', '.join(personal_reasons(text))}): remove it."
        )
    return text
