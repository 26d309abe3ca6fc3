"""``videopath evaluate``: the agent on held-out clips, with figures that can be repeated."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated, Any, Literal

import typer

from videopath.app.options import AsJson, Verbose, choice


def evaluate(
    data: Annotated[
        Path,
        typer.Option("--data", help="Folder with manifest.csv and its tiles.", exists=True, file_okay=False),
    ],
    model: Annotated[str, typer.Option("--model", help="nano, or a checkpoint folder.")] = "nano",
    split: Annotated[
        Literal["test", "calibration"],
        typer.Option(
            "--split", help="Which held-out side; default: test.", **choice("--split", "test", "calibration")
        ),
    ] = "test",
    per_class: Annotated[int, typer.Option("--per-class", min=1, help="Clips per class at most.")] = 1000,
    looks: Annotated[int, typer.Option("--looks", min=0, max=2, help="Closer looks at most.")] = 2,
    out: Annotated[
        Path | None, typer.Option("--out", help="Write every outcome here, as JSON lines.")
    ] = None,
    calibrate: Annotated[
        bool, typer.Option("--calibrate", help="Print confidence weights fitted on these clips.")
    ] = False,
    as_json: AsJson = False,
    verbose: Verbose = False,
) -> None:
    """Measure accuracy, attribute words and calibration on held-out tiles, as clips of eight frames, site given."""
    import tempfile
    from dataclasses import asdict

    from rich.progress import track

    from videopath.agent import DiagnosticAgent, evaluation
    from videopath.agent.policy import Policy
    from videopath.app.console import quiet_libraries, stderr
    from videopath.core.files import write_text

    quiet_libraries(verbose)
    samples = evaluation.held_out(data, split, per_class)
    with tempfile.TemporaryDirectory() as folder:
        home, clips = Path(folder) / "home", Path(folder) / "clips"
        with DiagnosticAgent.load(model=model, policy=Policy(max_looks=looks), home=home) as agent:
            running = evaluation.evaluate(agent, samples, clips)
            outcomes = list(
                track(running, total=len(samples), description=f"{split} clips", console=stderr())
            )
    if out:
        write_text(out, "".join(json.dumps(asdict(outcome)) + "\n" for outcome in outcomes))
    summary = evaluation.summarise(outcomes)
    fitted = evaluation.fit_confidence(outcomes) if calibrate else None
    if as_json:
        typer.echo(json.dumps({**summary.to_json(), "calibration": fitted}, indent=2, ensure_ascii=False))
    else:
        typer.echo(_text(summary, fitted))


def _text(summary: Any, fitted: dict[str, float] | None) -> str:
    lines = [
        f"accuracy            {summary.accuracy}",
        f"mean over classes   {summary.mean_class_accuracy:.3f}",
        f"before retrieval    {summary.blind_accuracy}",
        f"answered            {summary.coverage}",
        f"accuracy answered   {summary.accuracy_when_answered}",
        f"calibration error   {summary.calibration_error:.3f}",
        f"attribute words     {summary.attributes}",
        *(f"  {name:<17} {share}" for name, share in summary.by_attribute.items()),
        f"seconds per clip    {summary.seconds_per_clip:.2f}",
        "by class",
        *(f"  {label:<17} {share}" for label, share in summary.by_class.items()),
        "confusion (true → said)",
        *(
            f"  {truth} → {said}: {count}"
            for truth, row in summary.confusion.items()
            for said, count in row.items()
            if said != truth
        ),
    ]
    if fitted:
        lines.append("calibration " + json.dumps(fitted))
    return "\n".join(lines)
