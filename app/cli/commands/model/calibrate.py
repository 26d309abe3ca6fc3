"""``videopath model calibrate``: fit a checkpoint's confidence on a test set and write it to the card."""

from __future__ import annotations

import os
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from videopath.app.cli.options import AcceptLicence, AsJson, Base, Device, Dtype, Knowledge, Media, Verbose
from videopath.core.clock import today
from videopath.core.errors import InputError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from videopath.evaluation.testsets.sets import Item
    from videopath.evaluation.tiles.fitting import Trial
    from videopath.model.card import CalibratedOn
    from videopath.model.inference.engine import Engine


def calibrate(
    checkpoint: Annotated[
        str, typer.Argument(help="Folder of a checkpoint; the calibration is written to its card.")
    ],
    questions: Annotated[
        Path,
        typer.Argument(
            metavar="SET",
            help="Questions with their true diagnoses, about cases that were not used for training.",
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
        bool, typer.Option("--bundled", help="Allow to replace the calibration of the bundled model.")
    ] = False,
    accept_licence: AcceptLicence = False,
    as_json: AsJson = False,
    verbose: Verbose = False,
) -> None:
    """Fit a checkpoint's confidence on questions with known diagnoses, and write it to its card.

    The agent answers every question; later reports then state a confidence. Use cases that the model was not
    trained on, and measure it afterwards on other cases again.
    """
    from videopath.app.cli.console import emit_json, quiet_libraries, say
    from videopath.evaluation.calibration import fit_confidence, usable_questions
    from videopath.evaluation.testsets.sets import read_items
    from videopath.evaluation.tiles.grounding import fit_seen_margins
    from videopath.model import load_engine
    from videopath.model.card import card_folder, write_calibration
    from videopath.tools.session_pool import SessionPool

    quiet_libraries(verbose)
    folder = card_folder(checkpoint, bundled=bundled)
    if not os.access(folder, os.W_OK):
        raise InputError(
            f"{folder} is not writable, so its card cannot store the calibration. Copy the folder to another place."
        )
    items = usable_questions(read_items(questions, media or questions.parent))
    engine = load_engine(folder, base=base, device=device, dtype=dtype, accept_licence=accept_licence)
    answers = _answers(engine, knowledge, items)
    calibration = {
        **fit_confidence(answers, engine.info.card),
        **fit_seen_margins(SessionPool(engine), answers),
    }
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
        f"Fitted on {fitted_on.questions} questions of {fitted_on.set}; {fitted_on.right} were answered correctly. "
        "The calibration holds for similar cases. Measure it on another test set: videopath evaluate SET."
    )
    typer.echo(folder / "videopath.json")


def _answers(engine: Engine, knowledge: Path | None, items: Sequence[Item]) -> list[Trial]:
    from videopath.agent import DiagnosticAgent
    from videopath.app.cli.console import collect_with_progress, say
    from videopath.evaluation.calibration import POLICY, ask_all

    left_out: list[str] = []
    with (
        tempfile.TemporaryDirectory() as home,
        DiagnosticAgent.load(engine, knowledge, policy=POLICY, home=home) as agent,
    ):
        answers = collect_with_progress(
            ask_all(agent, items, left_out.append), len(items), "questions answered"
        )
    for sentence in left_out:
        say(f"Left out: question {sentence}")
    return answers


def _fitted_on(questions: Path, answers: Sequence[Trial], engine: Engine) -> CalibratedOn:
    from videopath.core.files import sha256_file
    from videopath.evaluation.calibration import count_right
    from videopath.model.card import CalibratedOn

    return CalibratedOn(
        date=today(),
        set=questions.name,
        set_sha256=sha256_file(questions),
        questions=len(answers),
        right=count_right(answers),
        weights_sha256=engine.info.weights_sha256,
        scoring=engine.info.scoring,
    )
