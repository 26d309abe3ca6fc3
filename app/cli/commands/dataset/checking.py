"""``videopath dataset check`` and ``lessons``: check instruction data, and write the lessons of nano-transfer."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from videopath.app.cli.options import AsJson, Verbose, choice
from videopath.core.choices import CHECK_DEPTHS, CheckDepth
from videopath.core.errors import InputError

if TYPE_CHECKING:
    from videopath.training.validation import DatasetCheck

_LISTED = 20  # problems that are printed; more are only counted


def check(
    conversations: Annotated[
        Path,
        typer.Argument(
            help="LLaVA JSON, JSON lines, a YAML mixture, or the folder of a set that was built.", exists=True
        ),
    ],
    media: Annotated[
        Path | None,
        typer.Option(
            "--media",
            help="Folder of the images and videos; default: the folder of the file.",
            exists=True,
            file_okay=False,
            show_default=False,
        ),
    ] = None,
    depth: Annotated[
        CheckDepth,
        typer.Option(
            "--depth",
            help="What is checked of images and videos. names: only the entries; files: also that the files exist; "
            "frames: also that they can be decoded. Default: files.",
            **choice("--depth", *CHECK_DEPTHS),
        ),
    ] = "files",
    model: Annotated[
        str | None,
        typer.Option(
            "--model",
            help="Count tokens with the tokenizer of this checkpoint: nano or a folder.",
            show_default=False,
        ),
    ] = None,
    as_json: AsJson = False,
    verbose: Verbose = False,
) -> None:
    """Check a set of conversations before training; exit code 1 if anything is wrong."""
    from videopath.app.cli.console import collect_with_progress, emit_json, plain, quiet_libraries, stdout
    from videopath.training.validation import check_dataset

    quiet_libraries(verbose)
    conversations = _conversations_of(conversations)
    tokenizer, longest = None, 32768
    if model:
        from videopath.model.checkpoints.loading import open_checkpoint

        checkpoint = open_checkpoint(model)
        tokenizer, longest = checkpoint.tokenizer(), checkpoint.config().max_length
    steps = check_dataset(conversations, media or conversations.parent, depth, tokenizer, longest)
    result = collect_with_progress(steps, None, "conversations checked")[-1]
    if as_json:
        emit_json(json.dumps(result.to_json(), ensure_ascii=False))
    else:
        stdout().print(plain("\n".join(_lines(result))))
    if result.problems:
        raise typer.Exit(1)


def _conversations_of(path: Path) -> Path:
    """Return the file with the conversations: all pairs of a set, if the path is its folder."""
    if not path.is_dir():
        return path
    from videopath.dataset.finishing.exports import INSTRUCTIONS

    of_set = path / INSTRUCTIONS
    if not of_set.is_file():
        raise InputError(
            f"The folder {path} has no {INSTRUCTIONS}: name a file, or the folder of a built set."
        )
    return of_set


def lessons(
    data: Annotated[
        Path,
        typer.Option("--data", help="Folder with manifest.csv and the tiles.", exists=True, file_okay=False),
    ],
    out: Annotated[Path, typer.Option("--out", help="New folder to write.", file_okay=False)],
    share: Annotated[
        float,
        typer.Option("--share", min=0.001, max=10, help="Number of examples, as a multiple of the full set."),
    ] = 0.32,
    seed: Annotated[int, typer.Option("--seed", min=0, help="Another seed writes other examples.")] = 0,
    workers: Annotated[
        int, typer.Option("--workers", min=0, help="Processes that draw examples; 0: only this process.")
    ] = 1,
    verbose: Verbose = False,
) -> None:
    """Write the conversations for the recipe nano-transfer: words, captions, images, clips, videos.

    Only the training side of the data is used. The default share is enough for the recipe's few steps: 6,560
    examples, 15,000 conversations, 110 MB.
    """
    from videopath.app.cli.console import collect_with_progress, quiet_libraries
    from videopath.training.transfer.lessons import count_examples, write_lessons

    quiet_libraries(verbose)
    written = write_lessons(data, out, seed=seed, share=share, workers=workers)
    collect_with_progress(written, count_examples(share), "examples written")
    typer.echo(out)


def _lines(result: DatasetCheck) -> Iterator[str]:
    kinds = ", ".join(f"{count:,} {modality}" for modality, count in result.by_modality.most_common())
    yield f"{result.conversations:,} conversations ({kinds or 'none'}), {result.rounds:,} questions with answers."
    facts = result.to_json()
    for unit, spread in (("Words", facts["words"]), ("Text tokens", facts["tokens"])):
        if spread:
            yield (
                f"{unit} per conversation: {spread['least']:,} to {spread['largest']:,}, "
                f"median {spread['median']:,}."
            )
    for kind, sentences in (("Problem", result.problems), ("Note", result.warnings)):
        yield from (f"{kind}: {sentence}" for sentence in sentences[:_LISTED])
        if len(sentences) > _LISTED:
            yield f"… and {len(sentences) - _LISTED:,} more (--json shows all)."
    if not result.problems:
        yield "No problems found."
