"""``videopath evaluate retrieval``: measure the search for similar cases and its effect on the agent."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from videopath.app.cli.options import AsJson, Home, Verbose, choice
from videopath.core.choices import HELD_OUT_SIDES, MAX_LOOKS, HeldOutSide
from videopath.core.errors import InputError

if TYPE_CHECKING:
    from videopath.evaluation.retrieval.context import ContextRow
    from videopath.evaluation.retrieval.effect import Effect
    from videopath.evaluation.retrieval.measurement import RetrievalSet, RetrievalSummary
    from videopath.evaluation.retrieval.sets import Tiles

_TEXT = Path("text") / "wsi_bench_conversations.json"
_CACHE = "retrieval"


def retrieval(
    data: Annotated[
        Path,
        typer.Option("--data", help="Folder with manifest.csv and the tiles.", exists=True, file_okay=False),
    ],
    model: Annotated[str, typer.Option("--model", help="nano, or a checkpoint folder.")] = "nano",
    which: Annotated[
        Literal["tiles", "wsi", "all"],
        typer.Option(
            "--set",
            help="tiles: clips of tiles; wsi: WSI-Bench conversations; all: both. Default: all.",
            **choice("--set", "tiles", "wsi", "all"),
        ),
    ] = "all",
    text: Annotated[
        Path | None,
        typer.Option(
            "--text", help=f"WSI-Bench conversations; default: {_TEXT} in --data.", show_default=False
        ),
    ] = None,
    split: Annotated[
        HeldOutSide,
        typer.Option(
            "--split",
            help="Held-out side to measure; for WSI-Bench the half of the patients. Default: test.",
            **choice("--split", *HELD_OUT_SIDES),
        ),
    ] = "test",
    per_class: Annotated[
        int, typer.Option("--per-class", min=1, help="Most questions of each class.")
    ] = 100_000,
    words: Annotated[
        int,
        typer.Option(
            "--words", min=1, help="Fewest words of a WSI-Bench description that is used as a question."
        ),
    ] = 1,
    fit: Annotated[
        bool, typer.Option("--fit", help="Also fit the weights of the views on the calibration side.")
    ] = False,
    with_agent: Annotated[
        bool,
        typer.Option(
            "--agent", help="Also measure how similar cases change the agent's answers on the clips."
        ),
    ] = False,
    each_rule: Annotated[
        bool, typer.Option("--rules", help="With --agent: also with each context rule switched off.")
    ] = False,
    looks: Annotated[
        int, typer.Option("--looks", min=0, max=MAX_LOOKS, help="With --agent: most closer looks of a case.")
    ] = 0,
    cache: Annotated[
        Path | None,
        typer.Option(
            "--cache",
            help="Folder for built knowledge bases and descriptions; default: a folder in the home folder.",
            show_default=False,
        ),
    ] = None,
    out: Annotated[
        Path | None, typer.Option("--out", help="Also write all figures to this file, as JSON.")
    ] = None,
    as_json: AsJson = False,
    home: Home = None,
    verbose: Verbose = False,
) -> None:
    """Measure retrieval: recall, reciprocal rank and nDCG by diagnosis and by site, for each view and their fusion.

    Tiles: held-out clips, with the model's own descriptions, search a knowledge base of all tiles. WSI-Bench: each
    description searches the records of other patients. Slow results are kept for the next run.
    """
    from videopath.app.cli.commands.evaluate.retrieval_tables import (
        context_lines,
        effect_lines,
        retrieval_lines,
    )
    from videopath.app.cli.console import emit_json, quiet_libraries
    from videopath.core.files import write_text
    from videopath.core.settings import load_settings

    quiet_libraries(verbose)
    if fit and split == "calibration":
        raise InputError("--fit uses the calibration side: measure the other side with --split test.")
    if with_agent and which == "wsi":
        raise InputError("--agent needs clips: leave out --set wsi.")
    if each_rule and not with_agent:
        raise InputError("--rules needs the agent's answers: add --agent.")
    folder = cache or load_settings().home / _CACHE
    tiles = None if which == "wsi" else _tiles(data, model, folder)
    measured = []
    if tiles:
        measured.append(_measured(_questions_of_tiles(tiles, per_class), split, fit))
    if which != "tiles":
        measured.append(
            _measured(_questions_of_text(text or data / _TEXT, folder, per_class, words), split, fit)
        )
    effects = _effects(tiles, split, per_class, looks, each_rule) if tiles and with_agent else []
    document = json.dumps(
        {
            "model": model,
            "split": split,
            "sets": [
                {**summary.to_json(), "context": [asdict(row) for row in context]}
                for summary, context in measured
            ],
            "effect": [effect.to_json() for effect in effects],
        },
        indent=1,
        ensure_ascii=False,
    )
    if out:
        write_text(out, document + "\n")
    if as_json:
        emit_json(document)
        return
    lines = [
        line
        for summary, context in measured
        for line in (*retrieval_lines(summary), *context_lines(context), "")
    ]
    typer.echo("\n".join([*lines, *(effect_lines(effects) if effects else [])]))


def _measured(
    questions: Callable[[HeldOutSide], RetrievalSet], split: HeldOutSide, fit: bool
) -> tuple[RetrievalSummary, list[ContextRow]]:
    """All figures of a set, with weights fitted on the calibration side if ``fit``."""
    from videopath.app.cli.console import collect_with_progress
    from videopath.evaluation.retrieval import measurement as measuring
    from videopath.evaluation.retrieval.context import candidates, context_rows

    fitted = None
    if fit:
        fit_set = questions("calibration")
        grid = collect_with_progress(measuring.fit_weights(fit_set), None, f"{fit_set.name}: weights")
        fitted = measuring.chosen_weights(grid, len(fit_set.questions))
    measured_set = questions(split)
    rows = collect_with_progress(
        measuring.evaluate_retrieval(measured_set, fitted), None, f"{measured_set.name}: views"
    )
    summary = measuring.summarise_retrieval(measured_set, rows, fitted)
    evidence = collect_with_progress(
        candidates(measured_set), len(measured_set.questions), f"{measured_set.name}: evidence"
    )
    return summary, context_rows(measured_set, evidence)


def _tiles(data: Path, model: str, folder: Path) -> Tiles:
    """The tiles, with the model's own vision tower as encoder."""
    from videopath.evaluation.retrieval.sets import Tiles
    from videopath.evaluation.tiles.clips import FRAMES
    from videopath.model import load_engine
    from videopath.tools.frame_encoders.loading import load_frame_encoder
    from videopath.tools.frame_encoders.media_viewer import MediaViewer
    from videopath.training.data import corpus

    corpus.read_tiles(data)  # fails before the model is loaded if there are no tiles
    engine = load_engine(model)
    encoder = load_frame_encoder("tower", engine=engine)
    return Tiles(data, engine, lambda media: MediaViewer(encoder, media, FRAMES, writing="keep"), folder)


def _questions_of_tiles(tiles: Tiles, per_class: int) -> Callable[[HeldOutSide], RetrievalSet]:
    from videopath.app.cli.console import collect_with_progress, progress_bar
    from videopath.evaluation.retrieval.sets import tiles_set
    from videopath.evaluation.tiles.clips import held_out

    with progress_bar("knowledge base of all tiles") as progress:
        base = tiles.base(progress)

    def questions(side: HeldOutSide) -> RetrievalSet:
        samples = held_out(tiles.data, side, per_class)
        clips = collect_with_progress(tiles.seen(samples), len(samples), f"{side} clips described")
        return tiles_set(tiles, base, samples, clips)

    return questions


def _questions_of_text(
    text: Path, folder: Path, per_class: int, words: int
) -> Callable[[HeldOutSide], RetrievalSet]:
    from videopath.app.cli.console import progress_bar
    from videopath.evaluation.retrieval.sets import wsi_base, wsi_set

    with progress_bar("knowledge base of WSI-Bench") as progress:
        base = wsi_base(text, folder, progress)
    return lambda side: wsi_set(base, side, per_class, words)


def _effects(tiles: Tiles, split: HeldOutSide, per_class: int, looks: int, each_rule: bool) -> list[Effect]:
    """The effect on the agent with the starter and with a base of all tiles, by context rule."""
    import tempfile
    from contextlib import ExitStack

    from videopath.app.cli.console import collect_with_progress
    from videopath.evaluation.retrieval.effect import measure_effect, setups, summarise_effect
    from videopath.evaluation.tiles.clips import held_out

    samples = held_out(tiles.data, split, per_class)
    with tempfile.TemporaryDirectory() as home, ExitStack() as stack:
        agents = {
            name: stack.enter_context(agent)
            for name, agent in setups(tiles.engine, tiles.base(), looks, Path(home), each_rule=each_rule)
        }
        total = len(samples) * len(agents)
        return summarise_effect(
            collect_with_progress(measure_effect(agents, samples), total, f"{split} clips diagnosed")
        )
