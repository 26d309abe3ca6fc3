"""``videopath dataset``: instruction data."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from videopath.app.cli.options import AsJson, Verbose, choice
from videopath.core.choices import CHECK_DEPTHS, CheckDepth

if TYPE_CHECKING:
    from videopath.training.validation import DatasetCheck

dataset_app = typer.Typer(no_args_is_help=True, help="Instruction data: check, lessons.")
_SHOWN = 20


@dataset_app.command()
def check(
    conversations: Annotated[
        Path, typer.Argument(help="LLaVA JSON, JSON lines, or a YAML mixture.", exists=True, dir_okay=False)
    ],
    media: Annotated[
        Path | None,
        typer.Option(
            "--media",
            help="Folder of images and videos; default: that of the file.",
            exists=True,
            file_okay=False,
            show_default=False,
        ),
    ] = None,
    depth: Annotated[
        CheckDepth,
        typer.Option(
            "--depth",
            help="Of images and videos: nothing, whether the files are there, or decode each.",
            **choice("--depth", *CHECK_DEPTHS),
        ),
    ] = "files",
    model: Annotated[
        str | None,
        typer.Option(
            "--model",
            help="Count tokens by this checkpoint's tokenizer (nano or a folder).",
            show_default=False,
        ),
    ] = None,
    as_json: AsJson = False,
    verbose: Verbose = False,
) -> None:
    """Say what is wrong with a set of conversations before training; exit 1 where something is."""
    from videopath.app.cli.console import collect_with_progress, emit_json, plain, quiet_libraries, stdout
    from videopath.training.validation import check as look

    quiet_libraries(verbose)
    tokenizer, longest = None, 32768
    if model:
        from videopath.model.checkpoints.loading import open_checkpoint

        checkpoint = open_checkpoint(model)
        tokenizer, longest = checkpoint.tokenizer(), checkpoint.config().max_length
    steps = look(conversations, media or conversations.parent, depth, tokenizer, longest)
    found = collect_with_progress(steps, None, "conversations checked")[-1]
    if as_json:
        emit_json(json.dumps(found.to_json(), ensure_ascii=False))
    else:
        stdout().print(plain("\n".join(_lines(found))))
    if found.problems:
        raise typer.Exit(1)


@dataset_app.command()
def lessons(
    data: Annotated[
        Path,
        typer.Option("--data", help="Folder with manifest.csv and its tiles.", exists=True, file_okay=False),
    ],
    out: Annotated[Path, typer.Option("--out", help="A new folder.", file_okay=False)],
    share: Annotated[
        float, typer.Option("--share", min=0.001, max=10, help="Of the usual number of examples.")
    ] = 0.32,
    seed: Annotated[int, typer.Option("--seed", min=0, help="Other examples.")] = 0,
    workers: Annotated[int, typer.Option("--workers", min=0, help="Processes that draw; 0: this one.")] = 1,
    verbose: Verbose = False,
) -> None:
    """Write the conversations that the recipe nano-transfer learns from: words, captions, images, clips, videos.

    Of the training side alone. The default share is what its few steps need: 6,560 examples, 15,000 conversations, 110 MB.
    """
    from videopath.app.cli.console import collect_with_progress, quiet_libraries
    from videopath.training.data.lessons import examples_of, write_lessons

    quiet_libraries(verbose)
    written = write_lessons(data, out, seed=seed, share=share, workers=workers)
    collect_with_progress(written, examples_of(share), "examples written")
    typer.echo(out)


def _lines(found: DatasetCheck) -> Iterator[str]:
    kinds = ", ".join(f"{count:,} {modality}" for modality, count in found.by_modality.most_common())
    yield f"{found.conversations:,} conversations ({kinds or 'none'}), {found.rounds:,} questions with answers."
    for what, spread in (("words", found.to_json()["words"]), ("tokens of text", found.to_json()["tokens"])):
        if spread:
            yield f"{what} of a conversation: {spread['least']:,} to {spread['largest']:,}, median {spread['median']:,}."
    for kind, sentences in (("Problem", found.problems), ("Note", found.warnings)):
        yield from (f"{kind}: {sentence}" for sentence in sentences[:_SHOWN])
        if len(sentences) > _SHOWN:
            yield f"… and {len(sentences) - _SHOWN:,} more (--json shows all)."
    if not found.problems:
        yield "Nothing is wrong."
