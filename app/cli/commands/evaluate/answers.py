"""``videopath evaluate SET``: a test set of questions about videos, system beside system, controlled, judged or not."""

from __future__ import annotations

import re
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, cast

import typer

from videopath.app.cli.options import AcceptLicence, AsJson, Base, Home, Knowledge, Media, Verbose, choice
from videopath.core.choices import CONTROLS, JUDGE_PARSERS, SYSTEMS, ControlName, JudgeParser, SystemName
from videopath.core.errors import EngineError, InputError

if TYPE_CHECKING:
    from videopath.evaluation.testsets.answers import Answer, AskSeveral, Header
    from videopath.evaluation.testsets.controls import Changed
    from videopath.evaluation.testsets.document import Controlled
    from videopath.evaluation.testsets.judge import Judge, Judgement
    from videopath.evaluation.testsets.sets import Item
    from videopath.evaluation.testsets.summary import Pair, SetReport
    from videopath.evaluation.testsets.table import Encode
    from videopath.model.inference.engine import LocalEngine

REPORT = "report.json"

_UNSAFE = re.compile(r"[^A-Za-z0-9.-]+")


@dataclass(frozen=True)
class _Run:
    """What all parts of an evaluation need."""

    questions: Path
    items: Sequence[Item]
    engine: LocalEngine
    knowledge: Path | None
    out: Path
    batch: int

    def at_once(self, system: SystemName) -> int:
        """Questions between two writes: an answer of the agent takes long, and is kept as soon as it is known."""
        return self.batch if system == "model" else 1

    @contextmanager
    def asking(self, system: SystemName) -> Iterator[AskSeveral]:
        """A system, its cases in a folder of their own while it is asked."""
        from videopath.evaluation.testsets.answers import asking_several

        with (
            tempfile.TemporaryDirectory() as home,
            asking_several(system, self.engine, self.knowledge, Path(home), self.at_once(system)) as ask,
        ):
            yield ask

    def header(self, system: SystemName, control: str = "") -> Header:
        from videopath.evaluation.testsets.answers import header_of

        header = header_of(self.questions, system, self.engine.info, self.knowledge)
        return header.model_copy(update={"control": control})


def answers(
    questions: Annotated[
        Path,
        typer.Argument(
            metavar="SET",
            help="Test set: question, answer and video_name, or conversations; JSON or JSON lines.",
            exists=True,
            dir_okay=False,
        ),
    ],
    out: Annotated[
        Path | None,
        typer.Option(
            "--out",
            help="Folder for every answer; what is there already is not asked again. Default: in the home folder, by set and model.",
            file_okay=False,
            show_default=False,
        ),
    ] = None,
    media: Media = None,
    systems: Annotated[
        list[str] | None,
        typer.Option(
            "--system",
            help="The whole agent, the model asked once, the agent blind to similar cases, the similar cases alone, or their colours "
            "alone, the trivial baseline. Repeatable; default: all.",
            **choice("--system", *SYSTEMS),
        ),
    ] = None,
    model: Annotated[str, typer.Option("--model", help="nano, a checkpoint folder or a hub id.")] = "nano",
    base: Base = None,
    knowledge: Knowledge = None,
    all_controls: Annotated[
        bool,
        typer.Option(
            "--controls", help="All controls that unmask a guesser; each asks every question again."
        ),
    ] = False,
    controls: Annotated[
        list[str] | None,
        typer.Option("--control", help="One of the controls. Repeatable.", **choice("--control", *CONTROLS)),
    ] = None,
    judge: Annotated[
        str | None,
        typer.Option(
            "--judge",
            help="OpenAI-compatible server and model, URL#model: answers leave this machine for it; the key is in VIDEOPATH_JUDGE_KEY.",
            show_default=False,
        ),
    ] = None,
    parser: Annotated[
        JudgeParser,
        typer.Option(
            "--parser",
            help="How the judge's replies are read: JSON by a schema, or as the benchmark's own code; default: strict.",
            **choice("--parser", *JUDGE_PARSERS),
        ),
    ] = "strict",
    parallel: Annotated[
        int, typer.Option("--judge-parallel", min=1, max=64, help="Answers that are judged at a time.")
    ] = 4,
    batch: Annotated[
        int,
        typer.Option(
            "--batch",
            min=1,
            max=256,
            help="Questions that the model alone answers side by side; each holds its clip's memory.",
        ),
    ] = 8,
    html: Annotated[
        bool | None,
        typer.Option(
            "--html/--no-html",
            help="Also write report.html, with plots; default: if the extra `benchmark` is installed.",
            show_default=False,
        ),
    ] = None,
    accept_licence: AcceptLicence = False,
    as_json: AsJson = False,
    home: Home = None,
    verbose: Verbose = False,
) -> None:
    """Answer a test set and measure the answers, with intervals, differences and tests between the systems.

    An interrupted run goes on when it is called again. All figures are also in report.json and report.html beside the
    answers, and kept in the home folder for the page Benchmarks of `videopath app`.
    """
    from videopath.app.cli.console import quiet_libraries
    from videopath.app.figures.html import check_html
    from videopath.evaluation.testsets.answers import check_judge
    from videopath.evaluation.testsets.judge import Judge
    from videopath.evaluation.testsets.sets import read_items
    from videopath.evaluation.testsets.table import check_metrics
    from videopath.model import load_engine

    quiet_libraries(verbose)
    chosen = cast("list[SystemName]", [name for name in SYSTEMS if name in (systems or SYSTEMS)])
    asked = [name for name in CONTROLS if all_controls or name in (controls or [])]
    judging = Judge.at(judge, parser, parallel=parallel) if judge else None
    if judge:
        check_judge()
    check_metrics()
    if html:
        check_html()
    items = read_items(questions, media or questions.parent)
    if judging:
        judging.check()
    engine = load_engine(model, base=base, accept_licence=accept_licence)
    run = _Run(questions, items, engine, knowledge, out or _own_folder(questions, engine), batch)
    with _alone(run.out):
        report = _evaluated(run, chosen, cast("list[ControlName]", asked), judging)
        _keep(report, run.out, html)
    _show(report, as_json)


@contextmanager
def _alone(out: Path) -> Iterator[None]:
    """Two runs in one folder would write over each other's answers."""
    from filelock import FileLock, Timeout

    out.mkdir(parents=True, exist_ok=True)
    lock = FileLock(out / ".lock")
    try:
        lock.acquire(timeout=0)
    except Timeout as error:
        raise InputError(
            f"Another evaluation writes to {out}: wait for it, or choose another --out."
        ) from error
    try:
        yield
    finally:
        lock.release()


def _evaluated(
    run: _Run, systems: Sequence[SystemName], controls: Sequence[ControlName], judge: Judge | None
) -> SetReport:
    from videopath.evaluation.testsets.document import Said, set_facts, set_report
    from videopath.knowledge.index.embedder import Embedder

    encode = Embedder().encode
    answered = {system: _answers(run, system) for system in systems}
    controlled = _controlled(run, answered, controls, encode)
    said = {
        system: Said(found, _judgements(judge, found, run.out / system) if judge else ())
        for system, found in answered.items()
    }
    first = run.header(systems[0])
    facts = set_facts(first.set, first.set_sha256, answered[systems[0]])
    return set_report(facts, run.engine.info, said, encode, judge, controlled)


def _answers(run: _Run, system: SystemName) -> list[Answer]:
    """A system's answers to the whole set."""
    from videopath.app.cli.console import collect_with_progress
    from videopath.evaluation.testsets.answers import answer_all

    with run.asking(system) as ask:
        file = run.out / system / "answers.jsonl"
        found = answer_all(run.items, ask, run.header(system), file, run.at_once(system))
        return collect_with_progress(found, len(run.items), f"{system}: questions answered")


def _judgements(judge: Judge, found: Sequence[Answer], folder: Path) -> list[Judgement]:
    from videopath.app.cli.console import collect_with_progress

    file = folder / "judgements.jsonl"
    return collect_with_progress(judge.judge(found, file), len(found), f"{folder.name}: answers judged")


def _controlled(
    run: _Run,
    answered: Mapping[SystemName, Sequence[Answer]],
    controls: Sequence[ControlName],
    encode: Encode,
) -> Controlled:
    """What the controls say of each system; one that applies to no question is told and left out."""
    from videopath.evaluation.testsets.controls import PAIRS, changed_items, control_report
    from videopath.evaluation.testsets.document import Controlled
    from videopath.evaluation.testsets.pairs import pairs_report

    reports, pairs, nearest, applied = [], [], [], []
    for control in controls:
        if control == PAIRS:
            nearest = _pairs(run)
            if not nearest:
                _say_none(control)
                continue
            pairs = [pairs_report(system, nearest, score, run.items) for system, score in answered.items()]
        else:
            changed = changed_items(control, run.items)
            if not changed:
                _say_none(control)
                continue
            for system, score in answered.items():
                under = _answers_under(run, system, control, changed)
                reports.append(control_report(control, system, score, under, encode))
        applied.append(control)
    return Controlled(applied, reports, pairs, nearest)


def _say_none(control: str) -> None:
    from videopath.app.cli.console import say

    say(
        f"The control {control} applies to no question of this set: it needs two diagnoses at a site, or sites."
    )


def _answers_under(
    run: _Run, system: SystemName, control: ControlName, changed: Sequence[Changed]
) -> list[Answer]:
    """A system's answers to the questions as a control changes them."""
    from videopath.app.cli.console import collect_with_progress
    from videopath.evaluation.testsets.answers import answer_all
    from videopath.evaluation.testsets.controls import asking_changed

    file = run.out / system / "controls" / f"{control}.jsonl"
    with run.asking(system) as ask:
        found = answer_all(
            [one.item for one in changed],
            asking_changed(changed, ask, run.engine.info.frames),
            run.header(system, control),
            file,
            run.at_once(system),
        )
        return collect_with_progress(found, len(changed), f"{system}, {control}: questions answered")


def _pairs(run: _Run) -> list[Pair]:
    """The near-identical cases of the set; kept beside the answers."""
    from videopath.app.cli.console import collect_with_progress
    from videopath.core.files import sha256_file
    from videopath.evaluation.testsets.pairs import nearest_pairs, read_pairs, seen, write_pairs
    from videopath.tools.frame_encoders.loading import load_frame_encoder

    encoder = load_frame_encoder("tower", engine=run.engine)
    file, of = run.out / "pairs.json", (sha256_file(run.questions), encoder.sha256)
    pairs = read_pairs(file, *of)
    if pairs is None:
        found = seen(run.items, encoder, run.engine.info.frames)
        vectors = collect_with_progress(
            found, len({item.video for item in run.items}), "videos seen for pairs"
        )
        pairs = nearest_pairs(run.items, dict(vectors))
        write_pairs(file, *of, pairs)
    return pairs


def _own_folder(questions: Path, engine: LocalEngine) -> Path:
    """Where the answers to a set by a model are kept unless another folder is named."""
    from videopath.core.files import sha256_file
    from videopath.core.settings import load_settings

    name = _UNSAFE.sub("-", f"{questions.stem[:40]}-{engine.info.name}").strip("-.")
    marks = f"{sha256_file(questions)[:8]}-{engine.info.weights_sha256[:8]}"
    return load_settings().home / "evaluations" / "answers" / f"{name}-{marks}"


def _keep(report: SetReport, out: Path, html: bool | None) -> None:
    """Write the figures; ``html``: with plots, without them, or (None) with them where they can be drawn."""
    from videopath.app.cli.console import say
    from videopath.app.figures.html import REPORT as HTML
    from videopath.app.figures.html import check_html, write_html_report
    from videopath.core.settings import load_settings
    from videopath.evaluation.testsets.summary import save_set_report, write_set_report

    write_set_report(report, out / REPORT)
    save_set_report(report, load_settings().home)
    if html is False:
        say(f"Answers and {REPORT}: {out}")
        return
    try:
        check_html()
    except InputError as reason:
        say(f"Answers and {REPORT}: {out}. There is no {HTML}: {reason}")
        return
    write_html_report(report, out / HTML)
    say(f"Answers, {REPORT} and {HTML}: {out}")


def _show(report: SetReport, as_json: bool) -> None:
    """The figures on stdout. Raises ``EngineError`` where the judge gave none: the others stand all the same."""
    from videopath.app.cli.commands.evaluate.answer_tables import show_report
    from videopath.app.cli.console import emit_json

    if as_json:
        emit_json(report.model_dump_json())
    else:
        show_report(report)
    for system in report.systems:
        if system.judged and not system.judged.scores:
            reason = next(iter(system.judged.failures), "")
            raise EngineError(
                f"The judge gave no score that can be read for {system.system} ({reason}); look at the replies in "
                "judgements.jsonl, and call again: what failed is asked again.",
                retryable=True,
            )
