"""What the agent is worth with a laboratory's own cases: half of them are its knowledge base, the other half are asked.

A case's group (its patient or slide) is on one side alone. Four systems answer each question: ``agent``, the whole graph;
``model``, what the model says before it sees any case; ``cases``, the vote of the nearest cases; ``colour``, ten nearest
neighbours by six colour numbers, the trivial baseline. Under ``stain`` all pictures of both sides are brought to one colour.
"""

from __future__ import annotations

import csv
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from pydantic import BaseModel, ConfigDict, ValidationError

from videopath.core.choices import LAB_SYSTEMS, LabSystem
from videopath.core.clock import now
from videopath.core.errors import InputError
from videopath.core.files import write_text
from videopath.core.pathology.labels import normalised_label
from videopath.evaluation.kept import FOLDER, kept_file
from videopath.evaluation.stats.estimates import Estimate, equal_coverage
from videopath.evaluation.testsets.metrics import mcnemar_of
from videopath.evaluation.testsets.summary import McNemar
from videopath.evaluation.tiles.colour import ColourNeighbours, colours_of
from videopath.knowledge import InstructionRecord, KnowledgeBase, Media
from videopath.knowledge.records.sources import known_site

if TYPE_CHECKING:
    from videopath.agent.agent import DiagnosticAgent
    from videopath.knowledge import Viewer

LABS = "labs"
"""Folder of these reports among the kept evaluations."""
SYSTEMS = LAB_SYSTEMS
Show = Callable[[Path], Path]
"""What is shown in the place of a file: the file, or a copy of it in one colour."""

_COLUMNS = {"site": ("site", "organ"), "group": ("group", "group_id", "patient", "source")}
_QUESTION = "What is the diagnosis?"
_SEED = 12


class _Record(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class LabCase(_Record):
    """A case whose diagnosis is known."""

    path: Path
    site: str
    diagnosis: str
    group: str


class LabAnswer(_Record):
    """What the systems said of a case."""

    case: LabCase
    foreign: bool
    """Whether it is tissue that the knowledge base does not have: none of its diagnoses can be right."""
    said: dict[LabSystem, str]
    sure: dict[LabSystem, float]
    """How sure each was, in [0, 1]."""
    answered: dict[LabSystem, bool]
    """Whether each gave its answer out; model, cases and colour alone always do."""
    vouched: list[str]
    """Who vouches: model, cases."""
    seconds: float

    def right(self, system: LabSystem) -> bool:
        """Whether a system names the true diagnosis."""
        return not self.foreign and normalised_label(self.said[system]) == normalised_label(
            self.case.diagnosis
        )


class LabFigures(_Record):
    """What a system is worth."""

    answered: Estimate
    right: Estimate
    """Of all its first answers, whether given out or not."""
    right_of_answered: Estimate | None
    signed_wrongly: Estimate
    """Of all cases, those for which a wrong diagnosis was given out."""


class LabReport(_Record):
    """The figures of one run."""

    name: str
    """Of the manifest."""
    model: str
    encoder: str
    created: str
    """ISO 8601, UTC."""
    base_cases: int
    base_groups: int
    questions: int
    stain: bool
    own: dict[LabSystem, LabFigures]
    foreign_answered: Estimate | None
    """Of tissue of other organs, asked under the base's site, the share for which the agent gave a diagnosis out."""
    equal_coverage: Estimate | None
    """Right of answered, agent less model, where the model gives out as many of its surest answers as the agent does."""
    mcnemar: McNemar
    """The agent's right answers against the model's, over all cases."""
    seconds: float
    """Mean over the cases."""


def read_cases(manifest: Path) -> list[LabCase]:
    """The cases of a CSV file with path, site (or organ), diagnosis and group (or group_id, patient, source).

    Paths begin where the manifest is, or in the folder above it. Raises ``InputError`` for a column or a file that is not
    there.
    """
    with manifest.open(newline="", encoding="utf-8-sig") as stream:
        rows = list(csv.DictReader(stream))
    if not rows:
        raise InputError(f"{manifest} names no case.")
    names = {"path": "path", "diagnosis": "diagnosis"}
    for column, known in _COLUMNS.items():
        names[column] = next((name for name in known if name in rows[0]), known[0])
    missing = [name for name in names.values() if name not in rows[0]]
    if missing:
        raise InputError(
            f"{manifest} has no column {missing[0]!r}; it needs path, site, diagnosis and group."
        )
    return [
        LabCase(
            path=_found(manifest, row[names["path"]]),
            site=known_site(row[names["site"]].partition("(")[0]) or row[names["site"]].strip().lower(),
            diagnosis=row[names["diagnosis"]].strip(),
            group=row[names["group"]].strip(),
        )
        for row in rows
    ]


def halves(cases: Sequence[LabCase], seed: int = _SEED) -> tuple[list[LabCase], list[LabCase]]:
    """Two halves by groups, of each diagnosis about as many on both sides; the first has one more where they are odd."""
    rng = np.random.default_rng(seed)
    first: set[str] = set()
    for diagnosis in sorted({case.diagnosis for case in cases}):
        groups = sorted({case.group for case in cases if case.diagnosis == diagnosis} - first)
        rng.shuffle(groups)
        first.update(groups[: (len(groups) + 1) // 2])
    return [c for c in cases if c.group in first], [c for c in cases if c.group not in first]


def refuse_shared_groups(base: Sequence[LabCase], query: Sequence[LabCase]) -> None:
    """Raise ``InputError`` where a group is on both sides."""
    shared = sorted({case.group for case in base} & {case.group for case in query})
    if shared:
        raise InputError(
            f"{len(shared)} groups are in the base and in the questions ({shared[0]}): a case would be answered with its own "
            "patient or slide. Put each on one side."
        )


def built(
    folder: Path, cases: Sequence[LabCase], viewer: Viewer, show: Show, progress: Callable[[int, int], None]
) -> KnowledgeBase:
    """A knowledge base of these cases, whose descriptions are a laboratory's usual template."""
    records = [
        InstructionRecord(
            id=f"case-{number}",
            source=str(case.path),
            site=case.site,
            question=_QUESTION,
            description="A case of the archive.",
            diagnosis=case.diagnosis,
            group=case.group,
            media=(Media(path=str(show(case.path).resolve())),),
        )
        for number, case in enumerate(cases)
    ]
    return KnowledgeBase.build(folder, records, viewer=viewer, progress=progress)


def answers(
    agent: DiagnosticAgent,
    base: Sequence[LabCase],
    asked: Iterable[tuple[LabCase, bool]],
    show: Show,
) -> Iterator[LabAnswer]:
    """Ask each case, and whether it is foreign, of all systems; answers come as they are known."""
    colour = ColourNeighbours(
        np.stack([colours_of(show(case.path)) for case in base]),
        [case.diagnosis for case in base],
        [case.site for case in base],
    )
    for case, foreign in asked:
        report = agent.diagnose(show(case.path), site=case.site, exclude=[case.group])
        blind = next(step for step in report.steps if step.name == "diagnose_blind").detail["result"]
        vote = report.vote
        by_colour = colour.shares(colours_of(show(case.path)), case.site)
        agent.library.delete(report.case_id)
        yield LabAnswer(
            case=case,
            foreign=foreign,
            said={
                "agent": report.diagnosis,
                "model": report.blind_diagnosis,
                "cases": vote.diagnosis if vote else "",
                "colour": next(iter(by_colour), ""),
            },
            sure={
                "agent": report.confidence,
                "model": blind["differential"][0]["probability"],
                "cases": vote.shares[vote.diagnosis] if vote else 0.0,
                "colour": max(by_colour.values(), default=0.0),
            },
            answered={
                "agent": not report.abstained,
                "model": True,
                "cases": vote is not None,
                "colour": True,
            },
            vouched=[voucher.by for voucher in report.vouchers if not voucher.reasons],
            seconds=sum(step.seconds for step in report.steps),
        )


def summarised(
    base: Sequence[LabCase], found: Sequence[LabAnswer], stain: bool, name: str, model: str, encoder: str
) -> LabReport:
    """The figures over all answers."""
    own = [answer for answer in found if not answer.foreign]
    foreign = [answer for answer in found if answer.foreign]
    right, of_model = (np.array([a.right(system) for a in own]) for system in ("agent", "model"))
    return LabReport(
        name=name,
        model=model,
        encoder=encoder,
        created=now(),
        base_cases=len(base),
        base_groups=len({case.group for case in base}),
        questions=len(own),
        stain=stain,
        own={system: _figures(system, own) for system in SYSTEMS},
        foreign_answered=_mean([answer.answered["agent"] for answer in foreign], foreign)
        if foreign
        else None,
        equal_coverage=equal_coverage(
            np.array([answer.answered["agent"] for answer in own]),
            right,
            np.array([answer.sure["model"] for answer in own]),
            of_model,
            np.array([answer.case.group for answer in own]),
        ),
        mcnemar=mcnemar_of(right, of_model),
        seconds=float(np.mean([answer.seconds for answer in found])),
    )


def save_lab_report(report: LabReport, home: Path) -> Path:
    """Keep a report for the pages; returns its file."""
    path = kept_file(home / FOLDER / LABS, report.created, report.name, report.model)
    write_text(path, report.model_dump_json(indent=1) + "\n")
    return path


def list_lab_reports(home: Path) -> list[Path]:
    """The files of the kept reports, the last one first."""
    return sorted((home / FOLDER / LABS).glob("*.json"), reverse=True)


def read_lab_report(path: Path) -> LabReport:
    """Read what was kept. Raises ``InputError`` when it is something else."""
    try:
        return LabReport.model_validate_json(path.read_bytes())
    except (OSError, ValidationError) as error:
        raise InputError(f"{path} is not a report of `videopath evaluate lab`: run it again.") from error


def _figures(system: LabSystem, found: Sequence[LabAnswer]) -> LabFigures:
    given = [answer for answer in found if answer.answered[system]]
    return LabFigures(
        answered=_mean([answer.answered[system] for answer in found], found),
        right=_mean([answer.right(system) for answer in found], found),
        right_of_answered=_mean([answer.right(system) for answer in given], given) if given else None,
        signed_wrongly=_mean(
            [answer.answered[system] and not answer.right(system) for answer in found], found
        ),
    )


def _mean(values: Sequence[bool], found: Sequence[LabAnswer]) -> Estimate:
    return Estimate.of([float(value) for value in values], [answer.case.group for answer in found])


def _found(manifest: Path, name: str) -> Path:
    for folder in (manifest.parent, manifest.parent.parent):
        if (folder / name).exists():
            return folder / name
    raise InputError(f"{manifest} names {name}, which is neither beside it nor in the folder above.")
