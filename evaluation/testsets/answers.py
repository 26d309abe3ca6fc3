"""Answers of several systems to a test set.

Every answer is written as soon as it is known, so that a stopped run can go on. The model alone can answer several questions side
by side; the agent takes one case at a time.
"""

from __future__ import annotations

import logging
import math
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pydantic import BaseModel, ConfigDict, Field

from videopath.core.choices import SystemName
from videopath.core.errors import EngineError, InputError
from videopath.core.files import sha256_file
from videopath.core.installing import require
from videopath.core.jsonl import JsonLines, whole_lines
from videopath.core.pathology.answers import DIAGNOSIS_START, ParsedAnswer, parse_answer
from videopath.core.pathology.entities import comparable_name, find_diagnosis
from videopath.evaluation.testsets.sets import Item, first_line
from videopath.model.prompts.questions import FIRST_DESCRIBE
from videopath.tools.schemas import Candidate

if TYPE_CHECKING:
    from videopath.model.inference.engine import AnswersTogether, Engine, EngineInfo, Generation, Session

_log = logging.getLogger(__name__)

CONFIDENCE: dict[SystemName, str] = {
    "agent": "the agent's calibrated probability that its diagnosis is right",
    "model": "the probability that the model gives to the words of its diagnosis after its own description; for an answer without "
    "a diagnosis in that form, the geometric mean of its tokens' probabilities",
    "blind": "the agent's calibrated probability that its diagnosis is right",
    "cases": "how often such a vote is right, as the knowledge base measured on itself",
    "colour": "the share of the ten nearest cases that have the diagnosis",
}

_LONGEST = 1024  # tokens, for the model alone, as in the published protocol
_LONGEST_DIAGNOSIS = 120  # characters of a bare diagnosis


class Answer(BaseModel):
    """The answer of one system to one question."""

    model_config = ConfigDict(frozen=True)

    id: str
    video: str
    group: str = ""
    """Patient, case or slide; empty if the set names none."""
    question: str
    reference: str
    text: str = ""
    description: str = ""
    """The findings, from systems that separate them from the diagnosis."""
    diagnosis: str = ""
    """The diagnosis in short, from systems that name one."""
    differential: list[Candidate] = Field(default_factory=list)
    """Highest probability first; empty for systems without a differential."""
    truth: str | None = None
    attributes: dict[str, str] = Field(default_factory=dict)
    """Attribute → its true word."""
    confidence: float | None = None
    """Confidence in [0, 1]; see :data:`CONFIDENCE`."""
    abstained: bool = False
    question_answered: bool | None = None
    """From the agent: whether a diagnosis, its only kind of answer, answers the question."""
    seconds: float = 0.0
    error: str = ""
    """The reason, if there is no answer."""

    @property
    def cluster(self) -> str:
        """The cluster that the bootstrap draws as a whole: the group, or the video."""
        return self.group or self.video

    @property
    def said(self) -> str:
        """The diagnosis that the answer names, by the entity's own name; empty if none. A free answer is searched for names."""
        text = self.text.strip()
        bare = text if len(text) <= _LONGEST_DIAGNOSIS and "\n" not in text else ""
        return comparable_name(self.diagnosis or find_diagnosis(text) or bare)

    @property
    def right(self) -> bool:
        """Whether the answer names the true diagnosis or a synonym; False if the set names no diagnosis."""
        return bool(self.truth) and self.said == comparable_name(self.truth or "")


class Header(BaseModel):
    """The first line of a file of answers: the set and the system that answered."""

    model_config = ConfigDict(frozen=True)

    set: str
    set_sha256: str
    system: SystemName
    model: str
    weights_sha256: str
    knowledge: str = ""
    """SHA-256 of the knowledge base's records; empty for systems that do not use them."""
    control: str = ""
    """Name of the control under which the questions were asked; empty if none."""


Ask = Callable[[Item], Answer]
AskSeveral = Callable[[Sequence[Item]], list[Answer]]
"""Answers each item. A video that cannot be read gives an answer with an ``error``."""


@contextmanager
def asking(
    system: SystemName, engine: Engine, knowledge: Any, home: Path, *, frames: int | None = None
) -> Iterator[Ask]:
    """Prepare a system that answers one item at a time.

    Args:
        system: Which system answers.
        engine: The loaded model.
        knowledge: Knowledge base of the agent, or None for the starter.
        home: Folder for the agent's cases during the evaluation.
        frames: Frames per clip; None for the engine's own number.
    """
    if system == "model":
        yield lambda item: _by_model(engine, item, frames or engine.info.frames)
        return
    if system in ("cases", "colour"):
        yield _asking_cases(system, engine, knowledge)
        return
    from videopath.agent.agent import DiagnosticAgent
    from videopath.agent.policy import Policy

    policy = Policy(accept_uncalibrated=True)  # the evaluation measures such answers
    policy = policy.model_copy(update={"neighbours": 0}) if system == "blind" else policy
    with DiagnosticAgent.load(engine, knowledge, policy=policy, frames=frames, home=home) as agent:
        yield lambda item: _by_agent(agent, item)


@contextmanager
def asking_several(
    system: SystemName, engine: Engine, knowledge: Any, home: Path, batch: int
) -> Iterator[AskSeveral]:
    """Prepare a system that answers several items. A local ``model`` answers up to ``batch`` questions side by side, others one."""
    from videopath.model.inference.engine import AnswersTogether

    if system == "model" and batch > 1 and isinstance(engine, AnswersTogether):
        yield lambda items: _together(engine, items)
        return
    with asking(system, engine, knowledge, home) as ask:
        yield one_by_one(ask)


def one_by_one(ask: Ask) -> AskSeveral:
    """Turn a system that answers one item into one that answers several, one after the other."""
    return lambda items: [_answered(ask, item) for item in items]


def check_judge() -> None:
    """Raise ``InputError`` if the package that calls a judge is missing. Checked before any question is asked."""
    require("openai", "openai", "benchmark", "A judge")


def answer_all(
    items: Sequence[Item], ask: AskSeveral, header: Header, out: Path, batch: int = 1
) -> Iterator[Answer]:
    """Answer every item in order. New answers are written to ``out`` at once.

    Answers that ``out`` already holds are not asked for again, unless they have an ``error``.

    Args:
        items: The questions.
        ask: The system.
        header: What the answers belong to.
        out: File of the answers.
        batch: Number of items that are asked at a time.

    Raises:
        InputError: ``out`` holds the answers of another set, system or model.
    """
    known = {answer.id: answer for answer in _known(out, header) if not answer.error}
    lines = [header.model_dump_json(), *(answer.model_dump_json() for answer in known.values())]
    file = JsonLines(out)
    file.replace(f"{line}\n".encode() for line in lines)
    for start in range(0, len(items), batch):
        part = items[start : start + batch]
        missing = [item for item in part if item.id not in known]
        for answer in ask(missing) if missing else []:
            known[answer.id] = answer
            file.append(answer.model_dump_json())
        yield from (known[item.id] for item in part)


def read_answers(path: Path) -> tuple[Header, list[Answer]]:
    """Read a file of answers.

    Raises:
        InputError: The file is not a file of answers.
    """
    try:
        first, *rest = whole_lines(path.read_bytes())
        return Header.model_validate_json(first), [
            Answer.model_validate_json(line) for line in rest if line.strip()
        ]
    except (OSError, ValueError) as error:
        raise InputError(
            f"{path} is not a file of answers of `videopath evaluate SET`: {first_line(error)}."
        ) from error


def header_of(path: Path, system: SystemName, info: EngineInfo, knowledge: Path | None) -> Header:
    """Return the header for the answers of a system to a set.

    Raises:
        KnowledgeError: The knowledge base cannot be used.
    """
    return Header(
        set=path.name,
        set_sha256=sha256_file(path),
        system=system,
        model=info.name,
        weights_sha256=info.weights_sha256,
        knowledge=_records_sha256(knowledge) if system in ("agent", "cases", "colour") else "",
    )


def unanswered(item: Item) -> Answer:
    """Return an answer without content yet."""
    return Answer(
        id=item.id,
        video=item.video.name,
        group=item.cluster,
        question=item.question,
        reference=item.reference,
        truth=item.diagnosis,
        attributes=item.attributes,
    )


def _answered(ask: Ask, item: Item) -> Answer:
    begun = time.monotonic()
    try:
        answer = ask(item)
    except InputError as error:
        answer = unanswered(item).model_copy(update={"error": str(error)})
    return answer.model_copy(update={"seconds": round(time.monotonic() - begun, 3)})


def _by_model(engine: Engine, item: Item, frames: int) -> Answer:
    from videopath.media.clip import open_clip

    with engine.open(open_clip(item.video, frames, writing="keep")) as session:
        return _said(item, session, session.generate(item.question, max_new_tokens=_LONGEST))


def _together(engine: AnswersTogether, items: Sequence[Item]) -> list[Answer]:
    """Answer several items side by side, or one after the other if memory or one question does not allow it."""
    try:
        answers = _side_by_side(engine, items)
    except InputError:  # one question is too long for the context; asked alone, only that one fails
        answers = None
    except EngineError as error:
        if not error.retryable:
            raise
        answers = None
    if answers is None:
        _log.info("%d questions cannot be answered side by side: one after the other instead.", len(items))
    return answers or one_by_one(lambda item: _by_model(engine, item, engine.info.frames))(items)


def _side_by_side(engine: AnswersTogether, items: Sequence[Item]) -> list[Answer] | None:
    """Answer side by side; each answer gets an equal share of the seconds. None if the frames had to be reduced to fit into memory.

    Fewer frames, needed only because of the other clips, would make it a different question.
    """
    from videopath.media.clip import open_clip

    begun = time.monotonic()
    answers: dict[str, Answer] = {}
    with ExitStack() as opened:
        sessions: dict[str, Session] = {}
        for item in items:
            try:
                clip = open_clip(item.video, engine.info.frames, writing="keep")
                sessions[item.id] = opened.enter_context(engine.open(clip))
            except InputError as error:
                answers[item.id] = unanswered(item).model_copy(update={"error": str(error)})
        opened_items = [item for item in items if item.id in sessions]
        if opened_items:
            opened_ones = [sessions[item.id] for item in opened_items]
            generations = engine.generate_together(
                opened_ones, [item.question for item in opened_items], max_new_tokens=_LONGEST
            )
            if any(session.notes for session in opened_ones):
                return None
            for item, generation in zip(opened_items, generations, strict=True):
                answers[item.id] = _said(item, sessions[item.id], generation)
    share = round((time.monotonic() - begun) / len(items), 3)
    return [answers[item.id].model_copy(update={"seconds": share}) for item in items]


def _said(item: Item, session: Session, answer: Generation) -> Answer:
    parts = parse_answer(answer.text)
    return unanswered(item).model_copy(
        update={
            "text": answer.text.strip(),
            "description": parts.description,
            "diagnosis": parts.diagnosis,
            "confidence": _model_confidence(session, item.question, answer, parts),
        }
    )


def _model_confidence(
    session: Session, question: str, answer: Generation, parts: ParsedAnswer
) -> float | None:
    """Return the model's own confidence, see :data:`CONFIDENCE`; None if the engine gives no probabilities."""
    if parts.diagnosis:
        start = f"{parts.description}\n{DIAGNOSIS_START}" if parts.description else DIAGNOSIS_START
        (score,) = session.score(question, [f" {parts.diagnosis}"], answer_start=start, reduce="sum")
        return math.exp(min(score, 0.0))
    if not answer.logprobs:
        return None
    return math.exp(min(sum(answer.logprobs) / len(answer.logprobs), 0.0))


def _asking_cases(system: SystemName, engine: Engine, knowledge: Any) -> Ask:
    """Return the system of similar cases alone: by their pictures, or by their colours."""
    from videopath.evaluation.tiles.colour import colour_neighbours, colours_of
    from videopath.tools.retrieve import RetrieveTool

    tool = RetrieveTool(knowledge=knowledge, engine=engine)
    if system == "cases":
        return lambda item: _by_cases(tool, item)
    neighbours = colour_neighbours(tool.open())
    return lambda item: _by_shares(item, neighbours.shares(colours_of(item.video), item.site))


def _by_cases(tool: Any, item: Item) -> Answer:
    retrieved = tool.invoke(
        {
            "description": "",
            "site": item.site,
            "exclude_sources": [str(item.video), *([item.group] if item.group else [])],
            "k": 1,
            "clip": {"video": str(item.video), "writing": "keep"},
        }
    )
    if retrieved.vote is None:
        return unanswered(item).model_copy(update={"abstained": True, "confidence": 0.0})
    vote = retrieved.vote
    update = {"confidence": vote.probability or 0.0, "abstained": not vote.vouches}
    return _by_shares(item, vote.shares).model_copy(update=update)


def _by_shares(item: Item, shares: Mapping[str, float]) -> Answer:
    """Return an answer that is only a differential."""
    label = next(iter(shares), "")
    return unanswered(item).model_copy(
        update={
            "text": f"{DIAGNOSIS_START} {label}" if label else "",
            "diagnosis": label,
            "differential": [Candidate(label=name, probability=share) for name, share in shares.items()],
            "confidence": shares.get(label, 0.0),
            "abstained": not label,
        }
    )


def _by_agent(agent: Any, item: Item) -> Answer:
    question = item.question.removesuffix(FIRST_DESCRIBE).strip()  # the agent describes first by itself
    report = agent.diagnose(
        item.video, question=question or None, site=item.site, exclude=[item.group] if item.group else []
    )
    try:
        return unanswered(item).model_copy(
            update={
                "text": f"{report.description}\n{DIAGNOSIS_START} {report.diagnosis}".strip(),
                "description": report.description,
                "diagnosis": report.diagnosis,
                "differential": report.differential,
                "confidence": None if report.provenance.get("calibrated") is False else report.confidence,
                "abstained": report.abstained,
                "question_answered": report.question_answered,
            }
        )
    finally:
        agent.library.delete(report.case_id)


def _known(out: Path, header: Header) -> list[Answer]:
    if not out.exists():
        return []
    known_header, answers = read_answers(out)
    if known_header != header:
        differing = next(
            name for name in Header.model_fields if getattr(known_header, name) != getattr(header, name)
        )
        raise InputError(
            f"{out} holds answers of {known_header.system} by {known_header.model} to {known_header.set}, which is another run "
            f"({differing} differs). Choose another --out."
        )
    return answers


def _records_sha256(knowledge: Path | None) -> str:
    from videopath.knowledge.bundled import STARTER_FOLDER
    from videopath.knowledge.storage.manifest import read_manifest

    return read_manifest(knowledge or STARTER_FOLDER).data_sha256
