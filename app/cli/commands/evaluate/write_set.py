"""``videopath evaluate write-set``: write held-out tiles as a test set."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from videopath.app.cli.options import Verbose, choice
from videopath.core.choices import HELD_OUT_SIDES, HeldOutSide


def write_set(
    data: Annotated[
        Path,
        typer.Option("--data", help="Folder with manifest.csv and the tiles.", exists=True, file_okay=False),
    ],
    out: Annotated[
        Path, typer.Option("--out", help="Folder for the clips and questions.jsonl.", file_okay=False)
    ],
    split: Annotated[
        HeldOutSide,
        typer.Option(
            "--split",
            help="Held-out side to use; default: test.",
            **choice("--split", *HELD_OUT_SIDES),
        ),
    ] = "test",
    per_class: Annotated[int, typer.Option("--per-class", min=1, help="Most tiles of each class.")] = 1000,
    verbose: Verbose = False,
) -> None:
    """Write held-out tiles as a test set: clips of eight frames, each with site, diagnosis, group and measured attributes."""
    from videopath.app.cli.console import collect_with_progress, quiet_libraries
    from videopath.core.files import write_text
    from videopath.evaluation.tiles.clips import held_out
    from videopath.evaluation.tiles.question_set import QUESTIONS, to_lines, write_questions

    quiet_libraries(verbose)
    samples = held_out(data, split, per_class)
    questions = collect_with_progress(write_questions(samples, out), len(samples), f"{split} clips written")
    write_text(out / QUESTIONS, to_lines(questions))
    typer.echo(out / QUESTIONS)
