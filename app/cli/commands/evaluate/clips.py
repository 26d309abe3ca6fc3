"""``videopath evaluate --data DIR``: measure the agent on held-out clips of tiles and slides."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated, Any, Literal

import typer

from videopath.app.cli.options import AsJson, Home, Verbose, choice
from videopath.core.choices import HELD_OUT_SIDES, MAX_LOOKS, HeldOutSide
from videopath.core.errors import InputError


def clips(
    data: Annotated[
        Path,
        typer.Option("--data", help="Folder with manifest.csv and the tiles.", exists=True, file_okay=False),
    ],
    model: Annotated[str, typer.Option("--model", help="nano, or a checkpoint folder.")] = "nano",
    which: Annotated[
        Literal["tiles", "atlas", "all"],
        typer.Option(
            "--set",
            help="tiles: clips of tiles; atlas: clips of the atlas slides; all: both. Default: tiles.",
            **choice("--set", "tiles", "atlas", "all"),
        ),
    ] = "tiles",
    split: Annotated[
        HeldOutSide,
        typer.Option(
            "--split", help="Held-out side to measure; default: test.", **choice("--split", *HELD_OUT_SIDES)
        ),
    ] = "test",
    per_class: Annotated[int, typer.Option("--per-class", min=1, help="Most tiles of each class.")] = 1000,
    looks: Annotated[
        int, typer.Option("--looks", min=0, max=MAX_LOOKS, help="Most closer looks of a case.")
    ] = 2,
    out: Annotated[
        Path | None, typer.Option("--out", help="Write every outcome to this file, as JSON lines.")
    ] = None,
    stain: Annotated[
        bool, typer.Option("--stain", help="Control: give all clips the same stain colour first.")
    ] = False,
    calibrate: Annotated[
        bool, typer.Option("--calibrate", help="Also fit and print the calibration on these clips.")
    ] = False,
    as_json: AsJson = False,
    home: Home = None,
    verbose: Verbose = False,
) -> None:
    """Measure the agent on held-out clips.

    Tiles are shown as clips of eight frames with the site given; measured are accuracy, attribute words and calibration.
    Atlas slides are shown as whole clips, without and with the site; measured are abstention and whether organ and
    category are named. The outcomes on tiles are kept in the home folder for the page Benchmarks of `videopath app`.
    """
    import tempfile
    from dataclasses import asdict

    from videopath.agent import DiagnosticAgent
    from videopath.agent.policy import Policy
    from videopath.app.cli.console import collect_with_progress, quiet_libraries
    from videopath.core.files import write_text
    from videopath.evaluation.tiles import atlas as on_atlas
    from videopath.evaluation.tiles import clips as on_clips
    from videopath.evaluation.tiles.colour import colour_neighbours
    from videopath.evaluation.tiles.fitting import fit_calibration, trial_of
    from videopath.knowledge import KnowledgeBase

    quiet_libraries(verbose)
    if calibrate and which == "atlas":
        raise InputError("--calibrate needs the tiles: leave out --set atlas.")
    samples = [] if which == "atlas" else on_clips.held_out(data, split, per_class)
    slides = [] if which == "tiles" else on_atlas.held_out_slides(data, split)
    with tempfile.TemporaryDirectory() as folder:
        cases, written = Path(folder) / "home", Path(folder) / "clips"
        with DiagnosticAgent.load(
            model=model, policy=Policy(max_looks=looks, accept_uncalibrated=True), home=cases
        ) as agent:
            trials: list[Any] = []
            on_tiles: list[Any] = collect_with_progress(
                on_clips.evaluate(
                    agent,
                    samples,
                    written,
                    lambda sample, report: trials.append(trial_of(report, sample.diagnosis, sample.group)),
                    colour_neighbours(KnowledgeBase.starter()),
                    stain=stain,
                ),
                len(samples),
                f"{split} clips over tiles",
            )
            on_slides: list[Any] = collect_with_progress(
                on_atlas.evaluate_slides(agent, slides), 2 * len(slides), f"{split} clips of slides"
            )
            card = agent.info.card
            if on_tiles:
                _keep(on_tiles, agent, split=split, looks=looks, stain=stain)
    if out:
        lines = (json.dumps(asdict(outcome)) + "\n" for outcome in (*on_tiles, *on_slides))
        write_text(out, "".join(lines))
    tiles = None if which == "atlas" else on_clips.summarise(on_tiles)
    atlas = None if which == "tiles" else on_atlas.summarise_slides(on_slides)
    _show(tiles, atlas, fit_calibration(trials, card) if calibrate else None, as_json)


def _show(tiles: Any, atlas: Any, fitted: dict[str, float] | None, as_json: bool) -> None:
    """Print the figures."""
    if as_json:
        figures = {**tiles.to_json(), "calibration": fitted} if tiles else {}
        figures |= {"atlas": atlas.to_json()} if atlas else {}
        typer.echo(json.dumps(figures, indent=2, ensure_ascii=False))
        return
    lines = [*(_lines(tiles, fitted) if tiles else []), *(_atlas_lines(atlas) if atlas else [])]
    typer.echo("\n".join(lines))


def _keep(outcomes: list[Any], agent: Any, *, split: str, looks: int, stain: bool) -> None:
    """Keep the outcomes and the model's facts for the page Benchmarks."""
    from videopath.app.cli.console import say
    from videopath.core.settings import load_settings
    from videopath.evaluation.kept import Evaluation, save_evaluation

    report = agent.library.get(agent.library.list(limit=1)[0].case_id)
    evaluation = Evaluation.of(outcomes, report, split=split, looks=looks, stain=stain)
    say(f"Kept for the page Benchmarks: {save_evaluation(evaluation, load_settings().home)}")


def _lines(summary: Any, fitted: dict[str, float] | None) -> list[str]:
    lines = [
        f"accuracy            {summary.accuracy}",
        f"mean over classes   {summary.mean_class_accuracy:.3f}",
        f"before retrieval    {summary.blind_accuracy}",
        *(f"{name + ' alone':<19} {share}" for name, share in summary.alone.items()),
        f"helped, hurt        {summary.helped}, {summary.hurt}",
        f"agent − model at equal coverage {summary.equal_coverage or 'none answered'}",
        f"answered            {summary.coverage}",
        f"rejected by the gate {summary.refused}",
        f"accuracy answered   {summary.accuracy_when_answered}",
        f"given out wrongly   {summary.signed_wrongly}",
        f"worst diagnosis     {summary.worst[0]}: {summary.worst[1]} given out wrongly",
        f"calibration error   {_decimal(summary.calibration_error)}",
        f"attribute words     {summary.attributes}",
        *(f"  {name:<17} {share}" for name, share in summary.by_attribute.items()),
        f"seconds per clip    {summary.seconds_per_clip:.2f}",
        "by class",
        *(
            f"  {label:<17} {share}, {summary.groups[label]} groups"
            for label, share in summary.by_class.items()
        ),
        "confusion (true → answered)",
        *(
            f"  {truth} → {answer}: {count}"
            for truth, row in summary.confusion.items()
            for answer, count in row.items()
            if answer != truth
        ),
    ]
    if not summary.coverage.value:
        lines.append("The agent abstained on every clip; accuracy counts its most likely labels.")
    if fitted:
        lines.append("calibration " + json.dumps(fitted))
    return lines


def _decimal(value: float | None) -> str:
    return "no clip has a confidence" if value is None else f"{value:.3f}"


def _atlas_lines(summary: Any) -> list[str]:
    return [
        line
        for title, figures in (
            ("atlas slides, without the site", summary.without_site),
            ("atlas slides, with the site", summary.with_site),
        )
        for line in (
            title,
            f"  abstained         {figures.abstained}",
            f"  organ written     {figures.organ}",
            f"  category written  {figures.category}",
            f"  both written      {figures.both}",
        )
    ]
