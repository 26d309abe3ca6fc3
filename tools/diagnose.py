"""The diagnose tool: the model's answer, and a differential from the scores of all candidates."""

from __future__ import annotations

import math
import time
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Any

from pydantic import BaseModel, ConfigDict, Field, SkipValidation, model_validator

from videopath.core.choices import MAX_ANSWER_TOKENS, MAX_SAMPLES
from videopath.core.pathology.labels import normalised_label
from videopath.model.calibration import Calibration
from videopath.model.prompts.prompt_set import PromptFacts, SimilarCaseText
from videopath.tools.answers.answerable_questions import is_answered
from videopath.tools.answers.diagnosis_forms import answer_form, sampled_labels
from videopath.tools.answers.labels import NO_DIAGNOSIS, clean_label, is_in_vocabulary, site_labels
from videopath.tools.answers.organs import is_of_other_organ
from videopath.tools.base import TissueTool
from videopath.tools.schemas import Candidate, ClipInput, DiagnoseResult, Neighbour, SiteInput
from videopath.tools.session_pool import Recording, SessionPool, pool_of

if TYPE_CHECKING:
    from videopath.model.card import Card

__all__ = [
    "NO_DIAGNOSIS",
    "DiagnoseInput",
    "DiagnoseTool",
    "bound_to_site",
    "clean_label",
    "sampled_labels",
    "site_labels",
    "softmax",
]


class DiagnoseInput(ClipInput, SiteInput):
    """The arguments of ``diagnose_tissue``."""

    description: str = Field(description="the findings, as describe_tissue gave them")
    question: str | None = Field(
        None, description="the question to answer; by default, what the best diagnosis is"
    )
    neighbours: list[Neighbour] = Field(
        default_factory=list, description="similar cases; only the kept ones are evidence"
    )
    samples: int = Field(
        0, ge=0, le=MAX_SAMPLES, description="how many sampled answers are compared with the diagnosis"
    )
    candidates: list[str] = Field(
        default_factory=list,
        max_length=64,
        description="further diagnoses to weigh, such as those that cases voted for",
    )
    max_new_tokens: int = Field(128, ge=1, le=MAX_ANSWER_TOKENS)


class DiagnoseTool(TissueTool):
    """The tool ``diagnose_tissue``.

    ``DiagnoseTool(engine="nano").invoke({"video": …, "description": …})`` returns a :class:`DiagnoseResult`.
    """

    model_config = ConfigDict(arbitrary_types_allowed=True)

    name: str = "diagnose_tissue"
    description: str = (
        "Diagnose a histology video or image from its description and, if given, similar cases. "
        "Gives the label, the rationale and a differential with probabilities."
    )
    args_schema: type[BaseModel] = DiagnoseInput
    sessions: SkipValidation[SessionPool | Recording] = Field(exclude=True)

    @model_validator(mode="before")
    @classmethod
    def _engine_or_sessions(cls, values: dict[str, Any]) -> dict[str, Any]:
        return pool_of(values)

    def _run(
        self,
        description: str,
        site: str | None = None,
        question: str | None = None,
        neighbours: Sequence[Neighbour] = (),
        samples: int = 0,
        candidates: Sequence[str] = (),
        max_new_tokens: int = 128,
        **clip: Any,
    ) -> DiagnoseResult:
        started = time.perf_counter()
        session = self.sessions.open(ClipInput(**clip))
        # the best stands last; a caller's own neighbours may have no rank
        kept = sorted((n for n in neighbours if n.kept), key=lambda n: (-n.rank, n.score))
        facts = PromptFacts(
            site=site,
            question=question,
            description=description,
            cases=[SimilarCaseText(n.diagnosis, n.description) for n in kept],
        )
        form = answer_form(session, facts)
        written = form.ask(max_new_tokens)
        generated = clean_label(written.diagnosis, question)
        sampled, notes = form.sampled(samples)
        named = [generated, *(clean_label(other, question) for other in written.others)]
        support = self._support(named, sampled, kept[::-1], site, candidates)
        scores = form.scores(list(support))
        differential = _differential(support, scores, self._temperature())
        first = max(differential, key=lambda candidate: candidate.probability)
        differential = bound_to_site(differential, site, self.sessions.info.card)
        foreign = first.label if first.label != differential[0].label else ""
        label = NO_DIAGNOSIS if foreign else first.label
        return DiagnoseResult(
            label=label,
            foreign=foreign,
            generated=generated,
            generated_differs=normalised_label(generated) != normalised_label(label),
            rationale=written.rationale,
            differential=differential,
            scores=scores,
            scoring=self.sessions.info.scoring,
            samples=sampled,
            answer=written.answer,
            question_answered=is_answered(question, label, self.sessions.info.card.unknown_label),
            call=session.call(form.question, time.perf_counter() - started, form.answer_start),
            notes=[*written.notes, *notes],
        )

    def _support(
        self,
        written: Iterable[str],
        sampled: Iterable[str],
        kept: Iterable[Neighbour],
        site: str | None,
        candidates: Iterable[str],
    ) -> dict[str, list[str]]:
        """Return candidate → where it comes from. Spellings with the same normalised label are one candidate."""
        card = self.sessions.info.card
        own = [*((label, "model") for label in written), *((label, "sample") for label in sampled)]
        named = [(label, source) for label, source in own if is_in_vocabulary(label, card)]
        named += [(clean_label(n.diagnosis), f"neighbour:{n.id}") for n in kept]
        named += [(clean_label(label), "cases") for label in candidates]
        named += [(label, "site list") for label in site_labels(card.labels, site)]
        named += [(card.unknown_label or "", "unknown")]
        spelling: dict[str, str] = {
            normalised_label(label): label for _, labels in card.labels.items() for label in labels
        }
        support: dict[str, list[str]] = {}
        for label, source in named:
            if label:
                sources = support.setdefault(spelling.setdefault(normalised_label(label), label), [])
                if source not in sources:
                    sources.append(source)
        return support

    def _temperature(self) -> float:
        return Calibration(self.sessions.info.card.calibration).temperature


def softmax(scores: Sequence[float], temperature: float = 1.0) -> list[float]:
    """Return the probabilities of log-scores; their sum is 1."""
    best = max(scores)
    weights = [math.exp((score - best) / temperature) for score in scores]
    return [weight / sum(weights) for weight in weights]


def bound_to_site(candidates: Sequence[Candidate], site: str | None, card: Card) -> list[Candidate]:
    """Return the candidates with those of another organ than ``site`` marked and moved to the end.

    A candidate of another organ never leads. If there are no other candidates, "no diagnosis" leads with probability 0.
    """
    marked = [
        c.model_copy(update={"other_organ": is_of_other_organ(c.label, site, card)}) for c in candidates
    ]
    fitting = [candidate for candidate in marked if not candidate.other_organ]
    others = [candidate for candidate in marked if candidate.other_organ]
    return [*(fitting or [Candidate(label=NO_DIAGNOSIS, probability=0.0, support=["no answer"])]), *others]


def _differential(
    support: dict[str, list[str]], scores: dict[str, float], temperature: float
) -> list[Candidate]:
    """Return the candidates with their probabilities, best first."""
    if not scores:
        return [Candidate(label=NO_DIAGNOSIS, probability=1.0, support=["no answer"])]
    probabilities = softmax(list(scores.values()), temperature)
    ranked = sorted(zip(scores, probabilities, strict=True), key=lambda pair: -pair[1])
    return [Candidate(label=label, probability=p, support=support[label]) for label, p in ranked]
