"""``videopath model calibrate``: fit a checkpoint's confidence on a question set and write it into its card."""

from __future__ import annotations

import os
import tempfile
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from videopath.app.cli.options import AcceptLicence, AsJson, Base, Device, Dtype, Knowledge, Media, Verbose
from videopath.core.errors import InputError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from videopath.evaluation.testsets.sets import Item
    from videopath.evaluation.tiles.fitting import Trial
    from videopath.model.inference.engine import CalibratedOn, LocalEngine


def calibrate(
    checkpoint: Annotated[str, typer.Argument(help="Folder of a checkpoint; its card is written.")],
    questions: Annotated[
        Path,
        typer.Argument(
            metavar="SET",
            help="Questions with their true diagnoses, held out from training.",
            exists=True,
            dir_okay=False,
        ),
    ],
    media: Media = None,
    base: Base = None,
    knowledge: Knowledge = None,
    device: Device = None,
    dtype: Dtype = None,
    bundled: Annotated[
        bool, typer.Option("--bundled", help="Replace the calibration of the bundled model.")
    ] = False,
    accept_licence: AcceptLicence = False,
    as_json: AsJson = False,
    verbose: Verbose = False,
) -> None:
    """Fit a checkpoint's confidence on questions whose diagnoses are known, and write it into its card.

    The agent answers every question; its answers are then reported with a confidence. Use cases that the model was not
    trained on, and others than those that it is measured on.
    """
    from videopath.app.cli.console import emit_json, quiet_libraries, say
    from videopath.evaluation.calibration import fitted, usable
    from videopath.evaluation.testsets.sets import read_items
    from videopath.evaluation.tiles.grounding import seen_margins
    from videopath.model import load_engine
    from videopath.model.calibration import card_folder, write_calibration
    from videopath.tools.session_pool import SessionPool

    quiet_libraries(verbose)
    folder = card_folder(checkpoint, bundled=bundled)
    if not os.access(folder, os.W_OK):
        raise InputError(
            f"{folder} cannot be written: its card would take the calibration. Copy it elsewhere."
        )
    items = usable(read_items(questions, media or questions.parent))
    engine = load_engine(folder, base=base, device=device, dtype=dtype, accept_licence=accept_licence)
    answers = _answers(engine, knowledge, items)
    calibration = {**fitted(answers, engine.info.card), **seen_margins(SessionPool(engine), answers)}
    fitted_on = _fitted_on(questions, answers, engine)
    write_calibration(folder, calibration, fitted_on)
    if as_json:
        import json

        emit_json(
            json.dumps(
                {"calibration": calibration, "calibrated_on": fitted_on.model_dump(mode="json")}, indent=2
            )
        )
        return
    say(
        f"Fitted on {fitted_on.questions} questions of {fitted_on.set}, {fitted_on.right} answered right. "
        "It holds for cases like these; what it is worth, another set shows: videopath evaluate SET."
    )
    typer.echo(folder / "videopath.json")


def _answers(engine: LocalEngine, knowledge: Path | None, items: Sequence[Item]) -> list[Trial]:
    from videopath.agent import DiagnosticAgent
    from videopath.app.cli.commands.evaluate.shared import tracked
    from videopath.app.cli.console import say
    from videopath.evaluation.calibration import POLICY, answered

    left_out: list[str] = []
    with (
        tempfile.TemporaryDirectory() as home,
        DiagnosticAgent.load(engine, knowledge, policy=POLICY, home=home) as agent,
    ):
        answers = tracked(answered(agent, items, left_out.append), len(items), "questions answered")
    for sentence in left_out:
        say(f"Left out, question {sentence}")
    return answers


def _fitted_on(questions: Path, answers: Sequence[Trial], engine: LocalEngine) -> CalibratedOn:
    from videopath.core.files import sha256_file
    from videopath.evaluation.calibration import right_of
    from videopath.model.inference.engine import CalibratedOn

    return CalibratedOn(
        date=f"{datetime.now(UTC):%Y-%m-%d}",
        set=questions.name,
        set_sha256=sha256_file(questions),
        questions=len(answers),
        right=right_of(answers),
        weights_sha256=engine.info.weights_sha256,
    )
