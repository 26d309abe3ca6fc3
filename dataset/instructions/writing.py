"""The stage "instructions": a description and a diagnosis of each refined clip, written by a model or left to a person.

A model that follows instructions writes both in one JSON answer, and rates them in a second one. What is rated below the
least quality is written once more with the critique, then dropped. Models of VideoPath's own wording cannot do that: they
answer the two questions that they are trained on, from the frames alone, and nothing is rated.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal, TypeVar, get_args

from pydantic import BaseModel

from videopath.core.errors import InputError
from videopath.core.pathology.answers import DIAGNOSIS_START, parse_answer
from videopath.core.pathology.labels import normalised_label
from videopath.dataset.instructions.answers import (
    CASE_FORM,
    DESCRIPTION_RATING_FORM,
    RATING_FORM,
    DescriptionRating,
    Mark,
    Rating,
    WrittenCase,
    diagnosis_text,
)
from videopath.dataset.instructions.drafting import draft_pairs
from videopath.dataset.instructions.drafts import with_persons_work
from videopath.dataset.instructions.given_away import given_away, rests_on_words
from videopath.dataset.instructions.prompts import clip_facts, rate_prompt, write_prompt
from videopath.dataset.instructions.questions import question_for, site_of
from videopath.dataset.instructions.replies import Film, Purpose, Replies
from videopath.dataset.instructions.words import ClipWords, words_of_clip
from videopath.dataset.options import InstructionOptions
from videopath.dataset.records import (
    Clips,
    InstructionPair,
    Instructions,
    PassedOver,
    Recording,
    RefinedClip,
    Segments,
    Transcript,
)
from videopath.dataset.set_folder import SetFolder
from videopath.model.prompts.prompt_set import packaged_prompts
from videopath.model.prompts.questions import describe_question, diagnose_question
from videopath.tools.answers.json_answers import final_part, read_json, safe_text
from videopath.tools.answers.labels import clean_label

if TYPE_CHECKING:
    from videopath.model.inference.engine import Engine

_log = logging.getLogger(__name__)

CASE_TOKENS = 2048
RATING_TOKENS = 400
OWN_TOKENS = 256
"""Tokens of an answer in VideoPath's own wording."""

_REPAIRED = 4_000  # characters of an answer that the model is shown again
_ROUNDS = 2

About = Literal["description", "diagnosis"]
_Schema = TypeVar("_Schema", bound=BaseModel)


def write_instructions(
    recording: Recording,
    clips: Clips,
    transcript: Transcript,
    segments: Segments,
    options: InstructionOptions,
    folder: SetFolder,
    engine: Engine | None,
    on_progress: Callable[[float], None] = lambda share: None,
) -> Instructions:
    """Write the pairs of a recording.

    Args:
        recording: The recording.
        clips: Its refined clips.
        transcript: Its words.
        segments: Its cuts, which say which words belong to which case.
        options: How many frames the model sees, and which quality is enough.
        folder: The folder of the set; raw replies are kept there, and answers that are there are not asked for again.
        engine: The model; None: drafts for a person.
        on_progress: Called with the finished share of the clips.

    Returns:
        All pairs, with what persons finished earlier in place of drafts and of other pairs with their ids.

    Raises:
        EngineError: The model fails. Its replies so far are kept.
        InputError: A file of the set is damaged.
    """
    replies = None if engine is None else Replies(folder.replies(recording), engine)
    pairs: list[InstructionPair] = []
    dropped: list[PassedOver] = []
    for number, clip in enumerate(clips.clips):
        words = words_of_clip(clip, transcript, segments)
        if replies is None:
            pairs += draft_pairs(clip, words)
        else:
            written = _of_clip(clip, words, options, folder, replies)
            pairs += written.pairs
            dropped += written.dropped
        on_progress((number + 1) / len(clips.clips))
    return with_persons_work(folder, recording, Instructions(pairs=tuple(pairs), dropped=tuple(dropped)))


@dataclass
class _Written:
    """What became of a clip."""

    pairs: list[InstructionPair] = field(default_factory=list)
    dropped: list[PassedOver] = field(default_factory=list)


@dataclass(frozen=True)
class _Round:
    """One writing of a clip, with the marks of its pairs."""

    case: WrittenCase
    marks: dict[About, Mark]
    number: int


class _Unreadable(Exception):
    """A model's answer is not the JSON that was asked for, not even when it was asked again."""


def _of_clip(
    clip: RefinedClip, words: ClipWords, options: InstructionOptions, folder: SetFolder, replies: Replies
) -> _Written:
    frames = min(options.frames, clip.frames)
    film = Film(replies.engine, folder.path / clip.file, clip.id, max(frames, 1), clip.sha256)
    by_itself = replies.engine.info.wording == "videopath"
    with film.closing():
        try:
            return (_in_own_words if by_itself else _in_json)(clip, words, options, film, replies)
        except InputError as error:  # the clip is damaged, or the question is too long for the model
            return _Written(dropped=[_dropped(clip, about, str(error)) for about in get_args(About)])


# A model that follows instructions


def _in_json(
    clip: RefinedClip, words: ClipWords, options: InstructionOptions, film: Film, replies: Replies
) -> _Written:
    facts = clip_facts([float(second) for second in film.clip.seconds], site_of(words), words)
    least = options.least_quality
    rounds: list[_Round] = []
    try:
        rounds.append(_written_and_rated(facts, film, replies, 1))
        poor = _poor(rounds[0], least)
        if poor:
            rounds.append(_written_and_rated(facts, film, replies, _ROUNDS, rounds[0], poor))
    except _Unreadable as error:
        if not rounds:
            return _Written(dropped=[_dropped(clip, about, str(error)) for about in get_args(About)])
        reason = str(error)
    else:
        reason = ""
    return _kept(clip, words, rounds, least, reason, film.engine.info.name)


def _written_and_rated(
    facts: dict[str, Any],
    film: Film,
    replies: Replies,
    number: int,
    before: _Round | None = None,
    poor: Sequence[About] = (),
) -> _Round:
    draft = before.case.model_dump_json() if before else ""
    critique = (
        " ".join(f"{about}: {before.marks[about].reason or 'too poor.'}" for about in poor) if before else ""
    )
    prompt = write_prompt(facts, draft, safe_text(critique))
    case = _read(film, replies, prompt, "write", WrittenCase, CASE_FORM, CASE_TOKENS)
    question = rate_prompt(facts, case)
    if not case.diagnosis:
        rated = _read(
            film, replies, question, "rate", DescriptionRating, DESCRIPTION_RATING_FORM, RATING_TOKENS
        )
        return _Round(case, {"description": rated.description}, number)
    rating = _read(film, replies, question, "rate", Rating, RATING_FORM, RATING_TOKENS)
    return _Round(case, {"description": rating.description, "diagnosis": rating.diagnosis}, number)


def _read(
    film: Film,
    replies: Replies,
    prompt: str,
    purpose: Purpose,
    schema: type[_Schema],
    form: str,
    max_new_tokens: int,
) -> _Schema:
    """Ask, and ask once more if the answer is not the JSON that was asked for.

    Raises:
        _Unreadable: The second answer is not either.
    """
    first = replies.ask(film, prompt, purpose, max_new_tokens=max_new_tokens)
    reading = read_json(first.reply, schema)
    if reading.answer is not None:
        return reading.answer
    problem = "it was cut off." if first.stopped == "length" else reading.problem
    again = packaged_prompts("plain").repair(
        prompt, safe_text(final_part(first.reply), _REPAIRED), problem, form
    )
    second = read_json(replies.ask(film, again, "repair", max_new_tokens=max_new_tokens).reply, schema)
    if second.answer is None:
        what = "rating" if issubclass(schema, DescriptionRating) else "answer"
        raise _Unreadable(f"The model's {what} was not the JSON that was asked for, twice: {second.problem}")
    return second.answer


def _poor(written: _Round, least: int) -> list[About]:
    return [about for about, mark in written.marks.items() if mark.quality < least]


def _kept(
    clip: RefinedClip, words: ClipWords, rounds: list[_Round], least: int, failure: str, model: str
) -> _Written:
    """Return the pairs that are good enough, each from the first round in which it is."""
    written = _Written()
    for about in get_args(About):
        marked = [one for one in rounds if about in one.marks]
        good = next((one for one in marked if one.marks[about].quality >= least), None)
        if good is not None:
            written.pairs.append(_pair(clip, words, about, good, model))
        elif not marked:
            written.dropped.append(_dropped(clip, about, "The model gave no diagnosis."))
        else:
            qualities = " and ".join(str(one.marks[about].quality) for one in marked)
            why = " ".join(part for part in (marked[-1].marks[about].reason, failure) if part)
            written.dropped.append(
                _dropped(
                    clip,
                    about,
                    f"Quality {qualities} of 5, {least} is the least: {why or 'no reason was given.'}",
                )
            )
    return written


def _pair(clip: RefinedClip, words: ClipWords, about: About, written: _Round, model: str) -> InstructionPair:
    case = written.case
    question = question_for(about, clip.id, words, case.diagnosis)
    asked = question_for("diagnosis", clip.id, words, case.diagnosis)
    marks = given_away(case.diagnosis, words, asked, case.given_away)
    if about == "description":
        blind = not rests_on_words(case.description, case.diagnosis, marks)
    else:
        blind = not marks
    pair = InstructionPair(
        id=pair_id(clip.id, about),
        clip=clip.id,
        about=about,
        question=question,
        answer=case.description if about == "description" else diagnosis_text(case.diagnosis),
        reasoning="" if about == "description" else case.reasoning,
        given_away=marks,
        blind=blind,
        origin="model",
        model=model,
        quality=written.marks[about].quality,
        rounds=written.number,
    )
    return _with_writing(pair, clip)


# A model of VideoPath's own wording


def _in_own_words(
    clip: RefinedClip, words: ClipWords, options: InstructionOptions, film: Film, replies: Replies
) -> _Written:
    """Ask the two questions that the model is trained on. It sees the frames alone, so its answers are blind."""
    site, card = site_of(words), film.engine.info.card
    said = replies.ask(film, describe_question(site), "describe", max_new_tokens=OWN_TOKENS).reply
    description = " ".join(safe_text(parse_answer(said).description).split())
    question = diagnose_question(site, description)
    raw = replies.ask(
        film, question, "diagnose", max_new_tokens=OWN_TOKENS, answer_start=DIAGNOSIS_START
    ).reply
    parsed = parse_answer(f"{DIAGNOSIS_START}{raw}")
    label = clean_label(parsed.diagnosis, question)
    unknown = bool(label) and normalised_label(label) == normalised_label(card.unknown_label or "")
    if unknown:
        label = ""
    answers: dict[About, tuple[str, str]] = {
        "description": (description, ""),
        "diagnosis": (diagnosis_text(label) if label else "", " ".join(safe_text(parsed.rationale).split())),
    }
    asked = question_for("diagnosis", clip.id, words, label)
    marks = given_away(label, words, asked)
    written = _Written()
    for about, (answer, reasoning) in answers.items():
        if not any(character.isalpha() for character in answer):
            reason = "The model does not know this tissue." if unknown and about == "diagnosis" else ""
            written.dropped.append(_dropped(clip, about, reason or f"The model gave no {about}."))
            continue
        pair = InstructionPair(
            id=pair_id(clip.id, about),
            clip=clip.id,
            about=about,
            question=question_for(about, clip.id, words, label),
            answer=answer,
            reasoning=reasoning,
            given_away=marks,
            blind=True,
            origin="model",
            model=film.engine.info.name,
        )
        written.pairs.append(_with_writing(pair, clip))
    return written


# Both


def pair_id(clip: str, about: About) -> str:
    """Return the id of a pair."""
    return f"{clip}-{about}"


def _with_writing(pair: InstructionPair, clip: RefinedClip) -> InstructionPair:
    """Return the pair, not blind if writing may be left in the frames, where the model can read it."""
    if clip.writing == "mask-all":
        return pair
    mark = f"Burned-in writing may be left in the frames (rule {clip.writing})."
    return pair.model_copy(update={"blind": False, "given_away": (*pair.given_away, mark)})


def _dropped(clip: RefinedClip, about: About, reason: str) -> PassedOver:
    _log.info("%s was dropped: %s", pair_id(clip.id, about), reason)
    return PassedOver(path=pair_id(clip.id, about), reason=reason)
