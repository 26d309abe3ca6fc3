"""``videopath evaluate SET``: measure systems side by side on a test set, with controls and a judge if asked for."""

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
    from videopath.evaluation.testsets.document import ControlResults
    from videopath.evaluation.testsets.judge import Judge, Judgement
    from videopath.evaluation.testsets.sets import Item
    from videopath.evaluation.testsets.summary import Pair, SetReport
    from videopath.evaluation.testsets.table import Encode
    from videopath.model.inference.engine import Engine

REPORT = "report.json"

_UNSAFE = re.compile(r"[^A-Za-z0-9.-]+")


@dataclass(frozen=True)
class _Run:
    """The parameters of an evaluation."""

    questions: Path
    items: Sequence[Item]
    engine: Engine
    knowledge: Path | None
    out: Path
    batch: int

    def batch_size(self, system: SystemName) -> int:
        """Questions between two writes; the agent's answers take long, so each is written at once."""
        return self.batch if system == "model" else 1

    @contextmanager
    def asking(self, system: SystemName) -> Iterator[AskSeveral]:
        """Yield a function that asks the system; its cases are in a temporary folder."""
        from videopath.evaluation.testsets.answers import asking_several

        with (
            tempfile.TemporaryDirectory() as home,
            asking_several(system, self.engine, self.knowledge, Path(home), self.batch_size(system)) as ask,
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
            help="Test set, as JSON or JSON lines: question, answer and video_name, or conversations.",
            exists=True,
            dir_okay=False,
        ),
    ],
    out: Annotated[
        Path | None,
        typer.Option(
            "--out",
            help="Folder for the answers; questions that have an answer there are not asked again. Default: a folder for "
            "this set and model in the home folder.",
            file_okay=False,
            show_default=False,
        ),
    ] = None,
    media: Media = None,
    systems: Annotated[
        list[str] | None,
        typer.Option(
            "--system",
            help="System to measure. agent: the whole agent; model: the model, asked once; blind: the agent without similar "
            "cases; cases: the similar cases alone; colour: the baseline by six colour numbers. Can be repeated; "
            "default: all.",
            **choice("--system", *SYSTEMS),
        ),
    ] = None,
    model: Annotated[
        str, typer.Option("--model", help="nano, a checkpoint folder or a Hugging Face id.")
    ] = "nano",
    base: Base = None,
    knowledge: Knowledge = None,
    all_controls: Annotated[
        bool,
        typer.Option("--controls", help="Run all controls; each asks every question again."),
    ] = False,
    controls: Annotated[
        list[str] | None,
        typer.Option(
            "--control", help="Run this control; can be repeated.", **choice("--control", *CONTROLS)
        ),
    ] = None,
    judge: Annotated[
        str | None,
        typer.Option(
            "--judge",
            help="Judge: URL#model of an OpenAI-compatible server. Answers leave this machine. The key is read from "
            "VIDEOPATH_JUDGE_KEY.",
            show_default=False,
        ),
    ] = None,
    parser: Annotated[
        JudgeParser,
        typer.Option(
            "--parser",
            help="How the judge's replies are read. strict: as JSON with a schema; published: as the benchmark's own code "
            "reads them. Default: strict.",
            **choice("--parser", *JUDGE_PARSERS),
        ),
    ] = "strict",
    parallel: Annotated[
        int, typer.Option("--judge-parallel", min=1, max=64, help="Answers that are judged in parallel.")
    ] = 4,
    batch: Annotated[
        int,
        typer.Option(
            "--batch",
            min=1,
            max=256,
            help="Questions that the system `model` answers together; each needs the memory of its clip.",
        ),
    ] = 8,
    html: Annotated[
        bool | None,
        typer.Option(
            "--html/--no-html",
            help="Also write report.html with plots; default: only if the extra `benchmark` is installed.",
            show_default=False,
        ),
    ] = None,
    accept_licence: AcceptLicence = False,
    as_json: AsJson = False,
    home: Home = None,
    verbose: Verbose = False,
) -> None:
    """Answer a test set and measure the answers, with intervals, differences and tests between the systems.

    The same command continues an interrupted run. All figures are also in report.json and report.html next to the
    answers, and are kept in the home folder for the page Benchmarks of `videopath app`.
    """
    from videopath.app.cli.console import quiet_libraries
    from videopath.app.figures.html import check_html
    from videopath.evaluation.testsets.answers import check_judge
    from videopath.evaluation.testsets.judge import Judge
    from videopath.evaluation.testsets.sets import read_items
    from videopath.evaluation.testsets.table import check_metrics
    from videopath.model import load_engine

    quiet_libraries(verbose)
    selected_systems = cast("list[SystemName]", [name for name in SYSTEMS if name in (systems or SYSTEMS)])
    selected_controls = [name for name in CONTROLS if all_controls or name in (controls or [])]
    judge_model = Judge.at(judge, parser, parallel=parallel) if judge else None
    if judge:
        check_judge()
    check_metrics()
    if html:
        check_html()
    items = read_items(questions, media or questions.parent)
    if judge_model:
        judge_model.check()
    engine = load_engine(model, base=base, accept_licence=accept_licence)
    run = _Run(questions, items, engine, knowledge, out or _own_folder(questions, engine), batch)
    with _alone(run.out):
        report = _evaluate(run, selected_systems, cast("list[ControlName]", selected_controls), judge_model)
        _keep(report, run.out, html)
    _show(report, as_json)


@contextmanager
def _alone(out: Path) -> Iterator[None]:
    """Lock the folder: two runs in it would overwrite each other's answers."""
    from filelock import FileLock, Timeout

    out.mkdir(parents=True, exist_ok=True)
    lock = FileLock(out / ".lock")
    try:
        lock.acquire(timeout=0)
    except Timeout as error:
        raise InputError(
            f"Another evaluation is writing to {out}: wait until it ends, or choose another --out."
        ) from error
    try:
        yield
    finally:
        lock.release()


def _evaluate(
    run: _Run, systems: Sequence[SystemName], controls: Sequence[ControlName], judge: Judge | None
) -> SetReport:
    from videopath.evaluation.testsets.document import SystemAnswers, set_facts, set_report
    from videopath.knowledge.index.embedder import Embedder

    encode = Embedder().encode
    answered = {system: _answers(run, system) for system in systems}
    controlled = _controlled(run, answered, controls, encode)
    results = {
        system: SystemAnswers(
            system_answers, _judgements(judge, system_answers, run.out / system) if judge else ()
        )
        for system, system_answers in answered.items()
    }
    first = run.header(systems[0])
    facts = set_facts(first.set, first.set_sha256, answered[systems[0]])
    return set_report(facts, run.engine.info, results, encode, judge, controlled)


def _answers(run: _Run, system: SystemName) -> list[Answer]:
    """The system's answers to the whole set."""
    from videopath.app.cli.console import collect_with_progress
    from videopath.evaluation.testsets.answers import answer_all

    with run.asking(system) as ask:
        file = run.out / system / "answers.jsonl"
        new_answers = answer_all(run.items, ask, run.header(system), file, run.batch_size(system))
        return collect_with_progress(new_answers, len(run.items), f"{system}: questions answered")


def _judgements(judge: Judge, answers: Sequence[Answer], folder: Path) -> list[Judgement]:
    from videopath.app.cli.console import collect_with_progress

    file = folder / "judgements.jsonl"
    return collect_with_progress(judge.judge(answers, file), len(answers), f"{folder.name}: answers judged")


def _controlled(
    run: _Run,
    answered: Mapping[SystemName, Sequence[Answer]],
    controls: Sequence[ControlName],
    encode: Encode,
) -> ControlResults:
    """The controls of each system, without those that apply to no question."""
    from videopath.evaluation.testsets.controls import PAIRS, changed_items, control_report
    from videopath.evaluation.testsets.document import ControlResults
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
    return ControlResults(applied, reports, pairs, nearest)


def _say_none(control: str) -> None:
    from videopath.app.cli.console import say

    say(
        f"Skipped the control {control}: it applies to no question of this set. It needs two diagnoses of one site, or sites."
    )


def _answers_under(
    run: _Run, system: SystemName, control: ControlName, changed: Sequence[Changed]
) -> list[Answer]:
    """The system's answers to the questions as the control changes them."""
    from videopath.app.cli.console import collect_with_progress
    from videopath.evaluation.testsets.answers import answer_all
    from videopath.evaluation.testsets.controls import asking_changed

    file = run.out / system / "controls" / f"{control}.jsonl"
    with run.asking(system) as ask:
        new_answers = answer_all(
            [question.item for question in changed],
            asking_changed(changed, ask, run.engine.info.frames),
            run.header(system, control),
            file,
            run.batch_size(system),
        )
        return collect_with_progress(new_answers, len(changed), f"{system}, {control}: questions answered")


def _pairs(run: _Run) -> list[Pair]:
    """The near-identical cases of the set; they are kept next to the answers."""
    from videopath.app.cli.console import collect_with_progress
    from videopath.core.files import sha256_file
    from videopath.evaluation.testsets.pairs import nearest_pairs, read_pairs, see_videos, write_pairs
    from videopath.tools.frame_encoders.loading import load_frame_encoder

    encoder = load_frame_encoder("tower", engine=run.engine)
    file, of = run.out / "pairs.json", (sha256_file(run.questions), encoder.sha256)
    pairs = read_pairs(file, *of)
    if pairs is None:
        video_vectors = see_videos(run.items, encoder, run.engine.info.frames)
        vectors = collect_with_progress(
            video_vectors, len({item.video for item in run.items}), "videos encoded for pairs"
        )
        pairs = nearest_pairs(run.items, dict(vectors))
        write_pairs(file, *of, pairs)
    return pairs


def _own_folder(questions: Path, engine: Engine) -> Path:
    """The default folder for the answers of a model to a set."""
    from videopath.core.files import sha256_file
    from videopath.core.settings import load_settings

    name = _UNSAFE.sub("-", f"{questions.stem[:40]}-{engine.info.name}").strip("-.")
    marks = f"{sha256_file(questions)[:8]}-{engine.info.weights_sha256[:8]}"
    return load_settings().home / "evaluations" / "answers" / f"{name}-{marks}"


def _keep(report: SetReport, out: Path, html: bool | None) -> None:
    """Write the figures; with plots if ``html`` is True, or if it is None and they can be drawn."""
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
        say(f"Answers and {REPORT}: {out}. {HTML} was not written: {reason}")
        return
    write_html_report(report, out / HTML)
    say(f"Answers, {REPORT} and {HTML}: {out}")


def _show(report: SetReport, as_json: bool) -> None:
    """Print the figures. Raises ``EngineError`` afterwards if the judge gave no readable score for a system."""
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
                f"The judge gave no readable score for {system.system} ({reason}). Look at the replies in "
                "judgements.jsonl and run the command again: failed replies are asked again.",
                retryable=True,
            )
