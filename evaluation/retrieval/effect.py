"""Measure what retrieval does to the agent's answers: helped, hurt or unchanged against the blind answer.

The whole agent runs on each held-out clip with its site; the clip's own group is excluded. It diagnoses twice: before it sees similar
cases (blind), and with the kept ones. Helped means right after wrong; hurt means wrong after right. Intervals are Wilson's; p is
McNemar's exact test on the clips that changed.
"""

from __future__ import annotations

import shutil
import tempfile
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from videopath.agent.agent import DiagnosticAgent
from videopath.agent.cases.records import CaseReport
from videopath.agent.policy import Policy
from videopath.core.errors import InputError
from videopath.core.pathology.labels import normalised_label
from videopath.evaluation.retrieval.context import RULES_OFF
from videopath.evaluation.stats.estimates import Share
from videopath.evaluation.tiles.clips import write_clip
from videopath.tools.context import ContextRules
from videopath.tools.journal import JOURNAL_NAME
from videopath.training.data.corpus import Sample

if TYPE_CHECKING:
    from videopath.knowledge import KnowledgeBase
    from videopath.model.inference.engine import Engine


@dataclass(frozen=True)
class EffectOutcome:
    """One clip, diagnosed in one set-up."""

    setup: str
    path: str
    truth: str
    blind: str
    final: str
    kept: int
    """Number of similar cases that the model saw."""
    kept_right: int
    """Number of these with the true diagnosis."""
    confidence: float
    abstained: bool

    @property
    def blind_right(self) -> bool:
        """Whether the answer before retrieval is right."""
        return normalised_label(self.blind) == normalised_label(self.truth)

    @property
    def right(self) -> bool:
        """Whether the answer after retrieval is right."""
        return normalised_label(self.final) == normalised_label(self.truth)


@dataclass(frozen=True)
class AnswerChange:
    """How the answers to some clips changed."""

    clips: int
    blind: Share
    """Share of right answers before retrieval."""
    final: Share
    """Share of right answers after retrieval."""
    helped: Share
    hurt: Share
    unchanged: Share
    p: float
    """McNemar's exact test; 1 if nothing changed. Clips of one field are treated as independent."""
    kept_right: Share
    """Share of kept similar cases with the true diagnosis."""

    @classmethod
    def of(cls, outcomes: Sequence[EffectOutcome]) -> AnswerChange:
        """Return the shares over these clips.

        Raises:
            InputError: There is no clip.
        """
        from scipy.stats import binomtest

        if not outcomes:
            raise InputError("No clip was diagnosed: the data folder has no tile on this side of the split.")
        helped = [o.right and not o.blind_right for o in outcomes]
        hurt = [o.blind_right and not o.right for o in outcomes]
        changed = sum(helped) + sum(hurt)
        kept = [number < o.kept_right for o in outcomes for number in range(o.kept)]
        return cls(
            clips=len(outcomes),
            blind=Share.of([o.blind_right for o in outcomes]),
            final=Share.of([o.right for o in outcomes]),
            helped=Share.of(helped),
            hurt=Share.of(hurt),
            unchanged=Share.of([o.right == o.blind_right for o in outcomes]),
            p=float(binomtest(sum(helped), changed).pvalue) if changed else 1.0,
            kept_right=Share.of(kept),
        )


@dataclass(frozen=True)
class Effect:
    """The effect of one set-up."""

    setup: str
    """Knowledge base, and the rule of the context that is switched off."""
    all: AnswerChange
    by_kept: dict[int, AnswerChange]
    """Number of kept similar cases → the clips with that number."""

    @classmethod
    def of(cls, setup: str, outcomes: Sequence[EffectOutcome]) -> Effect:
        """Return the effect over these clips."""
        parts: dict[int, list[EffectOutcome]] = defaultdict(list)
        for outcome in outcomes:
            parts[outcome.kept].append(outcome)
        by_kept = {kept: AnswerChange.of(part) for kept, part in sorted(parts.items())}
        return cls(setup, AnswerChange.of(outcomes), by_kept)

    def to_json(self) -> dict[str, object]:
        """Return plain JSON."""
        return asdict(self)


def setups(
    engine: Engine, base: KnowledgeBase, looks: int, home: Path, *, each_rule: bool = False
) -> Iterator[tuple[str, DiagnosticAgent]]:
    """Return (name, agent): without similar cases, with the starter's, and with those of a knowledge base of tiles.

    With ``each_rule`` the last two also run with each rule of the context switched off. The caller closes each agent.
    """
    usual = Policy(max_looks=looks, accept_uncalibrated=True)
    yield (
        "none",
        DiagnosticAgent.load(engine, policy=usual.model_copy(update={"neighbours": 0}), home=home / "none"),
    )
    for name, knowledge in (("starter", None), ("tiles", base)):
        for rule, rules in (RULES_OFF if each_rule else {"": {}}).items():
            policy = usual.model_copy(update={"context": ContextRules(**rules)})
            folder = home / f"{name}-{rule.replace(' ', '-') or 'usual'}"
            setup = f"{name}, {rule}" if rule else name
            yield setup, DiagnosticAgent.load(engine, knowledge, policy=policy, home=folder)


def measure_effect(
    agents: Mapping[str, DiagnosticAgent], samples: Iterable[Sample]
) -> Iterator[EffectOutcome]:
    """Diagnose each sample's clip with each agent. Outcomes come one by one.

    The agents share one model; an answer to the same question is reused.
    """
    for sample in samples:
        with tempfile.TemporaryDirectory() as folder:
            clip = write_clip(sample, Path(folder))
            journal = Path(folder) / JOURNAL_NAME
            for setup, agent in agents.items():
                yield _outcome(setup, sample, _diagnosed(agent, sample, clip, journal))


def summarise_effect(outcomes: Sequence[EffectOutcome]) -> list[Effect]:
    """Return the effect of each set-up, in order."""
    by_setup: dict[str, list[EffectOutcome]] = defaultdict(list)
    for outcome in outcomes:
        by_setup[outcome.setup].append(outcome)
    return [Effect.of(setup, of_it) for setup, of_it in by_setup.items()]


def _diagnosed(agent: DiagnosticAgent, sample: Sample, clip: Path, journal: Path) -> CaseReport:
    """Return the agent's report. The case continues from the answers in ``journal``, which then holds its own as well."""
    case_id = agent.begin(clip, site=sample.site, exclude=(sample.group,))
    own = agent.library.folder(case_id) / JOURNAL_NAME
    if journal.exists():
        shutil.copyfile(journal, own)
    report = agent.resume(case_id)
    shutil.copyfile(own, journal)
    agent.library.delete(case_id)
    return report


def _outcome(setup: str, sample: Sample, report: CaseReport) -> EffectOutcome:
    kept_cases = [case.diagnosis for case in report.similar_cases if case.kept]
    return EffectOutcome(
        setup=setup,
        path=sample.path.name,
        truth=sample.diagnosis,
        blind=report.blind_diagnosis,
        final=report.diagnosis,
        kept=len(kept_cases),
        kept_right=sum(
            normalised_label(diagnosis) == normalised_label(sample.diagnosis) for diagnosis in kept_cases
        ),
        confidence=report.confidence,
        abstained=report.abstained,
    )
