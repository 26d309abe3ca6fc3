"""Answers to a test set of questions about videos, by the model alone, by the agent, and by the agent without similar cases.

A set is the benchmark's own format (``question``, ``answer``, ``video_name``: JSON list or JSON lines) or conversations in the LLaVA
format, of which the first question is asked. Every answer is written as it is known, so that a run that was stopped goes on.
"""

from __future__ import annotations

import json
import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
from pydantic import BaseModel, ConfigDict, ValidationError

from videopath.agent.evaluation.entities import credit, mentioned
from videopath.agent.evaluation.ranking import Ranked
from videopath.core.errors import InputError
from videopath.core.files import sha256_file, write_text

if TYPE_CHECKING:
    from videopath.model.engine import LocalEngine

SystemName = Literal["agent", "model", "blind"]
"""``model``: asked the question once. ``agent``: the whole graph. ``blind``: the agent, which sees no similar case."""

METRICS = ("rouge_l", "similarity", "diagnosis")
_SUFFIXES = ("", ".mp4", ".MP4", ".mkv", ".mov", ".avi", ".webm")
_LONGEST = 1024  # tokens of an answer of the model alone, as in the published protocol


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


class Answer(BaseModel):
    """What a system said."""

    model_config = ConfigDict(frozen=True)

    id: str
    video: str
    question: str
    reference: str
    text: str = ""
    diagnosis: str = ""
    """The diagnosis in short, of systems that name one."""
    truth: str | None = None
    confidence: float | None = None
    abstained: bool = False
    seconds: float = 0.0
    error: str = ""
    """Why there is no answer."""


class Header(BaseModel):
    """The first line of a file of answers: what they are answers to, and whose."""

    model_config = ConfigDict(frozen=True)

    set: str
    set_sha256: str
    system: SystemName
    model: str


Ask = Callable[[Item], Answer]


def read_items(path: Path, media: Path) -> list[Item]:
    """The questions of a set, their videos in the folder ``media``. Raises ``InputError`` that names the first wrong one."""
    items = [_item(number, entry, path, media) for number, entry in enumerate(_entries(path), start=1)]
    if not items:
        raise InputError(f"{path} holds no question.")
    doubled = [name for name, count in Counter(item.id for item in items).items() if count > 1]
    if doubled:
        raise InputError(f"{path} has the id {doubled[0]!r} more than once.")
    return items


@contextmanager
def asking(system: SystemName, engine: LocalEngine, knowledge: Any, home: Path) -> Iterator[Ask]:
    """The system, ready to be asked. ``knowledge`` is the agent's; ``home`` keeps its cases while it is asked."""
    if system == "model":
        yield lambda item: _by_model(engine, item)
        return
    from videopath.agent.agent import DiagnosticAgent
    from videopath.agent.policy import Policy

    policy = Policy(neighbours=0) if system == "blind" else Policy()
    with DiagnosticAgent.load(engine, knowledge, policy=policy, home=home) as agent:
        yield lambda item: _by_agent(agent, item)


def check_packages(judged: bool) -> None:
    """Raises ``InputError`` where a package for the figures is missing: asked before anything is answered."""
    needed = ["rouge_score", *(["openai"] if judged else [])]
    if any(find_spec(name) is None for name in needed):
        raise InputError(
            'The figures need packages that are not here: pip install "videopath-agent[benchmark]".'
        )


def answer_all(items: Sequence[Item], ask: Ask, header: Header, out: Path) -> Iterator[Answer]:
    """Every item's answer, those that ``out`` holds already included; each new one is written there at once.

    Raises ``InputError`` where ``out`` holds the answers of another set, system or model. A video that cannot be read is an
    answer with an ``error``, and is asked again the next time.
    """
    known = {answer.id: answer for answer in _known(out, header) if not answer.error}
    lines = [header.model_dump_json(), *(answer.model_dump_json() for answer in known.values())]
    write_text(out, "\n".join(lines) + "\n")
    with out.open("a", encoding="utf-8") as stream:
        for item in items:
            answer = known.get(item.id)
            if answer is None:
                answer = _answered(ask, item)
                stream.write(answer.model_dump_json() + "\n")
                stream.flush()
            yield answer


def read_answers(path: Path) -> tuple[Header, list[Answer]]:
    """A file of answers. Raises ``InputError`` where it is none."""
    try:
        first, *rest = path.read_text(encoding="utf-8").splitlines()
        return Header.model_validate_json(first), [Answer.model_validate_json(line) for line in rest if line]
    except (OSError, ValueError) as error:
        raise InputError(
            f"{path} is no file of answers of `videopath evaluate answers`: {_first(error)}."
        ) from error


def header_of(path: Path, system: SystemName, model: str) -> Header:
    """What the answers to a set are headed by."""
    return Header(set=path.name, set_sha256=sha256_file(path), system=system, model=model)


def measured(answers: Sequence[Answer], encode: Callable[[list[str]], np.ndarray]) -> dict[str, Ranked]:
    """By question, the values that need no judge; an answer that is missing counts as 0.

    ``rouge_l``: F1 of ROUGE-L (Lin 2004) against the reference, stemmed. ``similarity``: cosine of the two texts' vectors by
    ``encode`` (texts to unit vectors), at least 0. ``diagnosis``, where the set names the true one: 1 for it or a synonym, a half
    for a parent entity, by ``entities.yaml``; of the model alone what its answer mentions.
    """
    from rouge_score.rouge_scorer import RougeScorer

    scorer = RougeScorer(["rougeL"], use_stemmer=True)
    said, meant = (encode(texts) for texts in ([a.text for a in answers], [a.reference for a in answers]))
    alike = np.clip((said * meant).sum(axis=1), 0.0, 1.0)
    found = {}
    for answer, close in zip(answers, alike.tolist(), strict=True):
        values = {
            "rouge_l": scorer.score(answer.reference, answer.text)["rougeL"].fmeasure,
            "similarity": close if answer.text else 0.0,
        }
        if answer.truth:
            values["diagnosis"] = credit(answer.diagnosis or mentioned(answer.text), answer.truth)
        found[answer.id] = Ranked(answer.video, values)
    return found


def shared_metrics(*measured_: Mapping[str, Ranked]) -> list[str]:
    """The metrics that every question of every system has."""
    values = [one.values for ranked in measured_ for one in ranked.values()]
    return [name for name in METRICS if all(name in each for each in values)]


def _answered(ask: Ask, item: Item) -> Answer:
    begun = time.monotonic()
    try:
        answer = ask(item)
    except InputError as error:
        answer = _blank(item).model_copy(update={"error": str(error)})
    return answer.model_copy(update={"seconds": round(time.monotonic() - begun, 3)})


def _by_model(engine: LocalEngine, item: Item) -> Answer:
    from videopath.model.video import open_clip

    with engine.open(open_clip(item.video, engine.info.frames)) as session:
        text = session.generate(item.question, max_new_tokens=_LONGEST).text
    return _blank(item).model_copy(update={"text": text.strip()})


def _by_agent(agent: Any, item: Item) -> Answer:
    report = agent.diagnose(item.video, question=item.question, site=item.site)
    try:
        return _blank(item).model_copy(
            update={
                "text": f"{report.description}\nDiagnosis: {report.diagnosis}".strip(),
                "diagnosis": report.diagnosis,
                "confidence": report.confidence,
                "abstained": report.abstained,
            }
        )
    finally:
        agent.library.delete(report.case_id)


def _blank(item: Item) -> Answer:
    return Answer(
        id=item.id,
        video=item.video.name,
        question=item.question,
        reference=item.reference,
        truth=item.diagnosis,
    )


def _known(out: Path, header: Header) -> list[Answer]:
    if not out.exists():
        return []
    found, answers = read_answers(out)
    if found != header:
        raise InputError(
            f"{out} holds the answers of {found.system} by {found.model} to {found.set}, not those that are asked for now: "
            "choose another --out."
        )
    return answers


def _entries(path: Path) -> list[Any]:
    try:
        text = path.read_text(encoding="utf-8-sig")
        if text.lstrip().startswith("["):
            return list(json.loads(text))
        return [json.loads(line) for line in text.splitlines() if line.strip()]
    except (OSError, ValueError) as error:
        raise InputError(f"{path} is not whole JSON: {_first(error)}.") from error


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
            id=str(entry.get("id") or f"{number}"),
            video=_video(media, name, place),
            question=question,
            reference=reference,
            site=entry.get("site"),
            diagnosis=entry.get("diagnosis"),
        )
    except (KeyError, IndexError, TypeError, AttributeError) as error:
        raise InputError(f"{place} lacks a question, an answer or a video_name.") from error
    except ValidationError as error:
        raise InputError(f"{place} is not usable: {error.errors()[0]['msg']}.") from error


def _video(media: Path, name: str, place: str) -> Path:
    """The published set names videos without their endings."""
    found = next(
        (media / f"{name}{suffix}" for suffix in _SUFFIXES if (media / f"{name}{suffix}").exists()), None
    )
    if found is None:
        raise InputError(
            f"{place} is about {name}, which is not in {media}: give the videos' folder with --media."
        )
    return found


def _first(error: Exception) -> str:
    return str(error).strip().splitlines()[0][:160]
