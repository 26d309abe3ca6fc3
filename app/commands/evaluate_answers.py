"""``videopath evaluate answers``: a test set of questions about videos, system beside system, judged or not."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal, cast

import typer

from videopath.app.commands.evaluate_shared import tracked
from videopath.app.options import AcceptLicence, AsJson, Base, Knowledge, Verbose, choice

if TYPE_CHECKING:
    from videopath.agent.evaluation.answers import Answer, Item
    from videopath.agent.evaluation.judge import Judge, Judged
    from videopath.agent.evaluation.ranking import Estimate, Ranked
    from videopath.model.engine import LocalEngine

System = Literal["agent", "model", "blind"]
_JUDGED = "judged.json"


def answers(
    questions: Annotated[
        Path,
        typer.Argument(
            help="Test set: question, answer and video_name, or conversations; JSON or JSON lines.",
            exists=True,
            dir_okay=False,
        ),
    ],
    out: Annotated[
        Path,
        typer.Option(
            "--out",
            help="Folder for every answer; what is there already is not asked again.",
            file_okay=False,
        ),
    ],
    media: Annotated[
        Path | None,
        typer.Option(
            "--media",
            help="Folder of the videos; default: that of the set.",
            exists=True,
            file_okay=False,
            show_default=False,
        ),
    ] = None,
    systems: Annotated[
        list[str] | None,
        typer.Option(
            "--system",
            help="The whole agent, the model asked once, or the agent blind to similar cases. Repeatable; default: model.",
            **choice("--system", "agent", "model", "blind"),
        ),
    ] = None,
    model: Annotated[str, typer.Option("--model", help="nano, a checkpoint folder or a hub id.")] = "nano",
    base: Base = None,
    knowledge: Knowledge = None,
    judge: Annotated[
        str | None,
        typer.Option(
            "--judge",
            help="OpenAI-compatible server and model, URL#model: answers leave this machine for it; the key is in VIDEOPATH_JUDGE_KEY.",
            show_default=False,
        ),
    ] = None,
    parser: Annotated[
        Literal["strict", "published"],
        typer.Option(
            "--parser",
            help="How the judge's replies are read: JSON by a schema, or as the benchmark's own code; default: strict.",
            **choice("--parser", "strict", "published"),
        ),
    ] = "strict",
    accept_licence: AcceptLicence = False,
    as_json: AsJson = False,
    verbose: Verbose = False,
) -> None:
    """Answer a test set and measure the answers: ROUGE-L, similarity, diagnosis, and a judge's scores where one is named.

    An interrupted run goes on when it is called again.
    """
    from videopath.agent.evaluation.answers import check_packages, read_items
    from videopath.agent.evaluation.judge import Judge
    from videopath.app.console import emit_json, quiet_libraries
    from videopath.model import load_engine

    quiet_libraries(verbose)
    chosen = cast("list[System]", list(dict.fromkeys(systems or ["model"])))
    asked = Judge.at(judge, parser) if judge else None
    check_packages(judged=judge is not None)
    items = read_items(questions, media or questions.parent)
    engine = load_engine(model, base=base, accept_licence=accept_licence)
    said = {system: _answered(questions, items, system, engine, knowledge, out) for system in chosen}
    values = {system: _measured(found) for system, found in said.items()}
    judged = {system: _judged(asked, found, out / system) for system, found in said.items()} if asked else {}
    if as_json:
        emit_json(json.dumps(_document(said, values, judged, engine.info.name), ensure_ascii=False))
    else:
        typer.echo("\n".join(_lines(said, values, judged, engine.info.name)))


def _answered(
    questions: Path,
    items: Sequence[Item],
    system: System,
    engine: LocalEngine,
    knowledge: Path | None,
    out: Path,
) -> list[Answer]:
    import tempfile

    from videopath.agent.evaluation.answers import answer_all, asking, header_of

    header = header_of(questions, system, engine.info.name)
    with tempfile.TemporaryDirectory() as home, asking(system, engine, knowledge, Path(home)) as ask:
        found = answer_all(items, ask, header, out / system / "answers.jsonl")
        return tracked(found, len(items), f"{system}: questions answered")


def _measured(found: Sequence[Answer]) -> dict[str, Ranked]:
    from videopath.agent.evaluation.answers import measured
    from videopath.knowledge.embedder import Embedder

    return measured(found, Embedder().encode)


def _judged(judge: Judge, found: Sequence[Answer], folder: Path) -> Judged:
    from videopath.agent.evaluation.judge import write_judgements
    from videopath.core.files import write_text

    judgements = tracked(judge.judge(found), len(found), f"{folder.name}: answers judged")
    write_judgements(folder / "judgements.jsonl", judgements)
    summary = judge.summary(judgements)
    write_text(folder / _JUDGED, summary.model_dump_json(indent=1) + "\n")
    return summary


def _document(
    said: Mapping[System, Sequence[Answer]],
    values: Mapping[System, Mapping[str, Ranked]],
    judged: Mapping[System, Judged],
    model: str,
) -> dict[str, object]:
    from videopath.agent.evaluation.answers import shared_metrics
    from videopath.agent.evaluation.ranking import figures

    return {
        "model": model,
        "systems": {
            system: {
                "answers": len(found),
                "failed": sum(bool(answer.error) for answer in found),
                "seconds": sum(answer.seconds for answer in found) / len(found),
                "figures": {
                    name: asdict(estimate)
                    for name, estimate in figures(values[system], shared_metrics(values[system])).items()
                },
                "judged": judged[system].model_dump(mode="json") if system in judged else None,
            }
            for system, found in said.items()
        },
        "differences": [
            {"system": system, "less": other, "figures": {name: asdict(e) for name, e in less.items()}}
            for system, other, less in _differences(values)
        ],
    }


def _differences(
    values: Mapping[System, Mapping[str, Ranked]],
) -> Iterator[tuple[System, System, dict[str, Estimate]]]:
    """The first system less each other one, question by question."""
    from videopath.agent.evaluation.answers import shared_metrics
    from videopath.agent.evaluation.ranking import differences

    first, *others = values
    for other in others:
        metrics = shared_metrics(values[first], values[other])
        yield first, other, differences(values[first], values[other], metrics)


def _lines(
    said: Mapping[System, Sequence[Answer]],
    values: Mapping[System, Mapping[str, Ranked]],
    judged: Mapping[System, Judged],
    model: str,
) -> Iterator[str]:
    from videopath.agent.evaluation.answers import shared_metrics
    from videopath.agent.evaluation.ranking import figures

    for system, found in said.items():
        failed = sum(bool(answer.error) for answer in found)
        seconds = sum(answer.seconds for answer in found) / len(found)
        yield f"{system} of {model}: {len(found):,} answers, {failed} without, {seconds:.2f} s each"
        for name, estimate in figures(values[system], shared_metrics(values[system])).items():
            yield f"  {name:<14} {estimate}"
        if system in judged:
            summary = judged[system]
            yield f"  judge {summary.judge}, {summary.parser}: {summary.failed} of {summary.answers} without a score"
            yield from (f"  {name:<14} {estimate}" for name, estimate in summary.scores.items())
    for system, other, less in _differences(values):
        yield f"{system} − {other}"
        yield from (f"  {name:<14} {estimate}" for name, estimate in less.items())
