"""How a model is asked for a diagnosis, by its wording: the answer, sampled answers, and the scores of candidates."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Protocol

from videopath.core.pathology.answers import DIAGNOSIS_START, parse_answer
from videopath.model.prompts.prompt_set import PromptFacts
from videopath.tools.answers.json_answers import DIAGNOSIS_FORM
from videopath.tools.answers.labels import clean_label, site_labels
from videopath.tools.answers.plain_answers import ask_for_diagnosis, diagnosis_in

if TYPE_CHECKING:
    from videopath.model.inference.engine import Generation
    from videopath.tools.session_pool import ClipSession

_SHORT_ANSWER = 48  # tokens of a sampled answer, which begins with the label
_SAMPLE_TEMPERATURE = 0.7
_SAMPLE_SEED = 1000
_MAX_LISTED = 64  # diagnoses that a model is asked to choose from
_NOT_SAMPLED = "No answers were sampled: each of them would be a request to the server."


@dataclass(frozen=True)
class WrittenDiagnosis:
    """The diagnosis that a model wrote."""

    diagnosis: str
    rationale: str
    answer: str
    """The whole answer."""
    others: list[str] = field(default_factory=list)
    """Other diagnoses that the model named."""
    notes: list[str] = field(default_factory=list)


class DiagnosisForm(Protocol):
    """The questions about the diagnosis of one clip."""

    @property
    def question(self) -> str:
        """The question that :meth:`ask` asks."""

    @property
    def answer_start(self) -> str:
        """Text that the answer continues."""

    def ask(self, max_new_tokens: int) -> WrittenDiagnosis:
        """Return the model's answer."""

    def sampled(self, count: int) -> tuple[list[str], list[str]]:
        """Return the diagnoses of ``count`` short sampled answers, and notes on what was left out."""

    def scores(self, labels: Sequence[str]) -> dict[str, float]:
        """Return candidate → log-probability."""


def answer_form(session: ClipSession, facts: PromptFacts) -> DiagnosisForm:
    """Return the questions in the wording that fits the model of a session."""
    if session.prompts.wording == "plain":
        return PlainForm(session, facts)
    return VideoPathForm(session, facts)


class VideoPathForm:
    """The wording of VideoPath's own models, whose answers begin with ``Diagnosis:``."""

    answer_start = DIAGNOSIS_START

    def __init__(self, session: ClipSession, facts: PromptFacts) -> None:
        self._session, self._facts = session, facts
        self.question = session.prompts.diagnose(facts)

    def ask(self, max_new_tokens: int) -> WrittenDiagnosis:
        """Return the model's answer."""
        answer = self._session.generate(
            self.question, max_new_tokens=max_new_tokens, answer_start=self.answer_start
        )
        text = f"{self.answer_start}{answer.text}"
        parts = parse_answer(text)
        return WrittenDiagnosis(parts.diagnosis, parts.rationale, text)

    def sampled(self, count: int) -> tuple[list[str], list[str]]:
        """Return the diagnoses of ``count`` short sampled answers, and notes on what was left out."""
        if count and not self._session.abilities.answers_often:
            return [], [_NOT_SAMPLED]
        return sampled_labels(self._session, self.question, count, self._facts.question), []

    def scores(self, labels: Sequence[str]) -> dict[str, float]:
        """Score all candidates at once. Each ends with the line break that follows the label in an answer.

        If the engine scores a choice, the candidates are the options of the choice.
        """
        if not labels:
            return {}
        reduction = self._session.recording.info.card.score_reduction
        if self._session.abilities.scores_sentences:
            texts = [f" {label}\n" for label in labels]
            scores = self._session.score(
                self.question, texts, answer_start=self.answer_start, reduce=reduction
            )
        else:
            scores = self._session.score(self.question, list(labels), reduce=reduction)
        return dict(zip(labels, scores, strict=True))


class PlainForm:
    """Plain words, for models that were not trained on VideoPath's questions."""

    answer_start = ""

    def __init__(self, session: ClipSession, facts: PromptFacts) -> None:
        self._session = session
        card = session.recording.info.card
        listed = [
            *site_labels(card.labels, facts.site),
            *([card.unknown_label] if card.unknown_label else []),
        ]
        is_closed = bool(card.labels) and len(listed) <= _MAX_LISTED
        self._facts = replace(facts, seconds=session.frames().seconds, candidates=listed if is_closed else ())
        self.question = session.prompts.diagnose(self._facts, DIAGNOSIS_FORM)

    def ask(self, max_new_tokens: int) -> WrittenDiagnosis:
        """Return the model's answer."""
        answer = ask_for_diagnosis(self._session, self.question, max_new_tokens)
        return WrittenDiagnosis(
            answer.diagnosis, answer.rationale, answer.text, answer.differential, answer.notes
        )

    def sampled(self, count: int) -> tuple[list[str], list[str]]:
        """Return the diagnoses of ``count`` short sampled answers, and notes on what was left out."""
        if count and not self._session.abilities.answers_often:
            return [], [_NOT_SAMPLED]
        question = self._session.prompts.choose(self._facts)
        answers = _sampled(self._session, question, count)
        return [
            "" if answer.stopped == "length" else clean_label(diagnosis_in(answer.text), self._facts.question)
            for answer in answers
        ], []

    def scores(self, labels: Sequence[str]) -> dict[str, float]:
        """Score all candidates at once, as they are.

        If the engine scores texts, it is shown the list, in an order that does not depend on where a candidate comes
        from. If it scores a choice, it shows the options itself.
        """
        if not labels:
            return {}
        shown = sorted(labels) if self._session.abilities.scores_sentences else ()
        question = self._session.prompts.choose(replace(self._facts, candidates=shown))
        reduction = self._session.recording.info.card.score_reduction
        return dict(zip(labels, self._session.score(question, list(labels), reduce=reduction), strict=True))


def sampled_labels(session: ClipSession, prompt: str, samples: int, question: str | None = None) -> list[str]:
    """Return the diagnoses of short sampled answers that continue ``Diagnosis:``.

    An answer without a diagnosis gives an empty string.
    """
    answers = _sampled(session, prompt, samples, answer_start=DIAGNOSIS_START)
    return [_sampled_label(answer, question) for answer in answers]


def _sampled(session: ClipSession, prompt: str, samples: int, **settings: str) -> list[Generation]:
    """Return short sampled answers, each drawn with its own fixed seed."""
    return [
        session.generate(
            prompt,
            max_new_tokens=_SHORT_ANSWER,
            temperature=_SAMPLE_TEMPERATURE,
            seed=_SAMPLE_SEED + number,
            **settings,
        )
        for number in range(samples)
    ]


def _sampled_label(answer: Generation, question: str | None) -> str:
    """Return the label of a short answer; empty if the token limit may have cut it."""
    if answer.stopped == "length" and "\n" not in answer.text.strip():
        return ""
    return clean_label(parse_answer(f"{DIAGNOSIS_START}{answer.text}").diagnosis, question)
