"""Evaluate the agent with a laboratory's own cases: one half is its knowledge base, the other half are the questions.

A group (patient or slide) stands on one side only. Four systems answer each question: ``agent``, the whole graph;
``model``, the model before it sees similar cases; ``cases``, the vote of the nearest cases; ``colour``, the trivial
baseline of ten nearest neighbours by six colour numbers. The control ``stain`` brings all pictures to one colour.
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
"""Folder of these reports among the stored evaluations."""
SYSTEMS = LAB_SYSTEMS
PictureOf = Callable[[Path], Path]
"""File of a case → the picture that is shown: the file itself, or a copy of it in one colour."""

_COLUMNS = {"site": ("site", "organ"), "group": ("group", "group_id", "patient", "source")}
_QUESTION = "What is the diagnosis?"
_SEED = 12


class _Record(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class LabCase(_Record):
    """A case with a known diagnosis."""

    path: Path
    site: str
    diagnosis: str
    group: str


class LabAnswer(_Record):
    """The answers of all systems to one case."""

    case: LabCase
    foreign: bool
    """Whether the tissue is absent from the knowledge base, so that none of its diagnoses can be right."""
    said: dict[LabSystem, str]
    sure: dict[LabSystem, float]
    """Confidence of each system, in [0, 1]."""
    answered: dict[LabSystem, bool]
    """Whether each system gave out its answer. Model and colour always do."""
    vouched: list[str]
    """Who vouches: ``model``, ``cases``."""
    seconds: float

    def right(self, system: LabSystem) -> bool:
        """Return whether a system names the true diagnosis."""
        return not self.foreign and normalised_label(self.said[system]) == normalised_label(
            self.case.diagnosis
        )


class LabFigures(_Record):
    """The figures of one system."""

    answered: Estimate
    right: Estimate
    """Accuracy over all answers, given out or not."""
    right_of_answered: Estimate | None
    signed_wrongly: Estimate
    """Share of all cases for which a wrong diagnosis was given out."""


class LabReport(_Record):
    """The figures of one run."""

    name: str
    """Name of the manifest."""
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
    """Share of tissue of other organs, asked under the base's site, for which the agent gave out a diagnosis."""
    equal_coverage: Estimate | None
    """Accuracy when answered, agent less model; the model gives out as many answers as the agent, its surest ones."""
    at_equal_coverage: dict[LabSystem, Estimate] = {}
    """System → accuracy when answered, agent less this system, which gives out as many answers, its surest ones. Empty in
    reports of older versions, and if the agent answered nothing."""
    mcnemar: McNemar
    """Right answers of the agent against those of the model, over all cases."""
    seconds: float
    """Mean seconds per case."""


def read_cases(manifest: Path) -> list[LabCase]:
    """Read the cases of a CSV file.

    Args:
        manifest: File with the columns path, site (or organ), diagnosis and group (or group_id, patient, source). Paths
            are relative to the folder of the manifest, or to the folder above it.

    Raises:
        InputError: A column or a file is missing, or there is no case.
    """
    with manifest.open(newline="", encoding="utf-8-sig") as stream:
        rows = list(csv.DictReader(stream))
    if not rows:
        raise InputError(f"{manifest} has no case.")
    names = {"path": "path", "diagnosis": "diagnosis"}
    for column, known in _COLUMNS.items():
        names[column] = next((name for name in known if name in rows[0]), known[0])
    missing = [name for name in names.values() if name not in rows[0]]
    if missing:
        raise InputError(
            f"{manifest} has no column {missing[0]!r}. It needs path, site, diagnosis and group."
        )
    return [
        LabCase(
            path=_file(manifest, row[names["path"]]),
            site=known_site(row[names["site"]].partition("(")[0]) or row[names["site"]].strip().lower(),
            diagnosis=row[names["diagnosis"]].strip(),
            group=row[names["group"]].strip(),
        )
        for row in rows
    ]


def halves(cases: Sequence[LabCase], seed: int = _SEED) -> tuple[list[LabCase], list[LabCase]]:
    """Split cases in two halves by group, each diagnosis in equal parts. With an odd number the first half gets one more."""
    rng = np.random.default_rng(seed)
    first: set[str] = set()
    for diagnosis in sorted({case.diagnosis for case in cases}):
        groups = sorted({case.group for case in cases if case.diagnosis == diagnosis} - first)
        rng.shuffle(groups)
        first.update(groups[: (len(groups) + 1) // 2])
    return [c for c in cases if c.group in first], [c for c in cases if c.group not in first]


def refuse_shared_groups(base: Sequence[LabCase], query: Sequence[LabCase]) -> None:
    """Reject a split with a group on both sides.

    Raises:
        InputError: A group stands in the base and among the questions.
    """
    shared = sorted({case.group for case in base} & {case.group for case in query})
    if shared:
        raise InputError(
            f"{len(shared)} groups stand in the base and among the questions, for example {shared[0]}. A case would be answered "
            "with its own patient or slide. Put each group on one side."
        )


def build_base(
    folder: Path,
    cases: Sequence[LabCase],
    viewer: Viewer,
    picture_of: PictureOf,
    progress: Callable[[int, int], None],
) -> KnowledgeBase:
    """Build a knowledge base of these cases. Their descriptions are one template, as in a laboratory's archive."""
    records = [
        InstructionRecord(
            id=f"case-{number}",
            source=str(case.path),
            site=case.site,
            question=_QUESTION,
            description="A case of the archive.",
            diagnosis=case.diagnosis,
            group=case.group,
            media=(Media(path=str(picture_of(case.path).resolve())),),
        )
        for number, case in enumerate(cases)
    ]
    return KnowledgeBase.build(folder, records, viewer=viewer, progress=progress)


def ask_all(
    agent: DiagnosticAgent,
    base: Sequence[LabCase],
    questions: Iterable[tuple[LabCase, bool]],
    picture_of: PictureOf,
) -> Iterator[LabAnswer]:
    """Ask all systems each case; ``questions`` pairs a case with whether it is foreign. Answers come one by one."""
    colour = ColourNeighbours(
        np.stack([colours_of(picture_of(case.path)) for case in base]),
        [case.diagnosis for case in base],
        [case.site for case in base],
    )
    for case, foreign in questions:
        report = agent.diagnose(picture_of(case.path), site=case.site, exclude=[case.group])
        blind = next(step for step in report.steps if step.name == "diagnose_blind").detail["result"]
        vote = report.vote
        by_colour = colour.shares(colours_of(picture_of(case.path)), case.site)
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


def summarise_lab(
    base: Sequence[LabCase], answers: Sequence[LabAnswer], stain: bool, name: str, model: str, encoder: str
) -> LabReport:
    """Return the figures over all answers."""
    own = [answer for answer in answers if not answer.foreign]
    foreign = [answer for answer in answers if answer.foreign]
    agent_right, model_right = (np.array([a.right(system) for a in own]) for system in ("agent", "model"))
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
        equal_coverage=_agent_less("model", own),
        at_equal_coverage={
            system: difference
            for system in SYSTEMS
            if system != "agent" and (difference := _agent_less(system, own))
        },
        mcnemar=mcnemar_of(agent_right, model_right),
        seconds=float(np.mean([answer.seconds for answer in answers])),
    )


def _agent_less(system: LabSystem, answers: Sequence[LabAnswer]) -> Estimate | None:
    """Return the agent's accuracy when answered less that of a system that gives out as many answers, its surest ones."""
    return equal_coverage(
        np.array([answer.answered["agent"] for answer in answers]),
        np.array([answer.right("agent") for answer in answers]),
        np.array([answer.sure[system] for answer in answers]),
        np.array([answer.right(system) for answer in answers]),
        np.array([answer.case.group for answer in answers]),
    )


def save_lab_report(report: LabReport, home: Path) -> Path:
    """Store a report for the page Benchmarks and return its file."""
    path = kept_file(home / FOLDER / LABS, report.created, report.name, report.model)
    write_text(path, report.model_dump_json(indent=1) + "\n")
    return path


def list_lab_reports(home: Path) -> list[Path]:
    """List the files of stored reports, newest first."""
    return sorted((home / FOLDER / LABS).glob("*.json"), reverse=True)


def read_lab_report(path: Path) -> LabReport:
    """Read a stored report.

    Raises:
        InputError: The file is not such a report.
    """
    try:
        return LabReport.model_validate_json(path.read_bytes())
    except (OSError, ValidationError) as error:
        raise InputError(
            f"{path} is not a report of `videopath evaluate lab`. Run the command again."
        ) from error


def _figures(system: LabSystem, answers: Sequence[LabAnswer]) -> LabFigures:
    answered = [answer for answer in answers if answer.answered[system]]
    return LabFigures(
        answered=_mean([answer.answered[system] for answer in answers], answers),
        right=_mean([answer.right(system) for answer in answers], answers),
        right_of_answered=_mean([answer.right(system) for answer in answered], answered)
        if answered
        else None,
        signed_wrongly=_mean(
            [answer.answered[system] and not answer.right(system) for answer in answers], answers
        ),
    )


def _mean(values: Sequence[bool], answers: Sequence[LabAnswer]) -> Estimate:
    return Estimate.of([float(value) for value in values], [answer.case.group for answer in answers])


def _file(manifest: Path, name: str) -> Path:
    for folder in (manifest.parent, manifest.parent.parent):
        if (folder / name).exists():
            return folder / name
    raise InputError(
        f"{manifest} names {name}, which is neither in its folder nor in the folder above. Correct the path."
    )
