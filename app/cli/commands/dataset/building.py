"""``videopath dataset build``: from raw teaching videos to instruction pairs."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from videopath.app.cli.options import AcceptLicence, AsJson, Device, Verbose, choice
from videopath.core.choices import (
    BUILD_STAGES,
    CURSOR_RULES,
    WRITING_RULES,
    BuildStage,
    CursorRule,
    WritingRule,
)
from videopath.core.notice import RESEARCH_USE

if TYPE_CHECKING:
    from videopath.dataset.build import BuildProgress, BuildResult
    from videopath.model.inference.engine import Engine


def build(
    folder: Annotated[
        Path, typer.Argument(help="Folder of the recordings, or one recording; nothing in it is changed.")
    ],
    out: Annotated[
        Path, typer.Option("--out", "-o", help="Folder of the set; a build that was stopped goes on.")
    ],
    only: Annotated[
        BuildStage | None,
        typer.Option("--only", help="Run this stage alone.", **choice("--only", *BUILD_STAGES)),
    ] = None,
    first: Annotated[
        BuildStage | None,
        typer.Option("--from", help="Run this stage and those after it.", **choice("--from", *BUILD_STAGES)),
    ] = None,
    again: Annotated[
        bool, typer.Option("--again", help="Do these stages anew, even where nothing has changed.")
    ] = False,
    model: Annotated[
        str | None,
        typer.Option(
            "--model",
            "-m",
            help="Writes the instructions: nano, a folder, a Hugging Face id, a served model, or none for drafts that "
            "a person finishes; default: the model of the settings.",
            show_default=False,
        ),
    ] = None,
    device: Device = None,
    accept_licence: AcceptLicence = False,
    speech: Annotated[
        str,
        typer.Option(
            "--speech", help="faster-whisper model for recordings without subtitles.", show_default=False
        ),
    ] = "",
    language: Annotated[
        str,
        typer.Option("--language", help="Spoken language, such as en; default: found.", show_default=False),
    ] = "",
    fps: Annotated[float, typer.Option("--fps", min=1, max=5, help="Frames per second of the clips.")] = 2.0,
    writing: Annotated[
        WritingRule,
        typer.Option(
            "--writing",
            help="Writing that is filled in the clips: all, a person's data, or none. Default: mask-all.",
            **choice("--writing", *WRITING_RULES),
        ),
    ] = "mask-all",
    cursor: Annotated[
        CursorRule,
        typer.Option(
            "--cursor",
            help="The mouse cursor in the clips. Default: leave.",
            **choice("--cursor", *CURSOR_RULES),
        ),
    ] = "leave",
    field: Annotated[
        str,
        typer.Option("--field", help="Finds the field: colour, or the path of a YOLO model in ONNX format."),
    ] = "colour",
    key_clips: Annotated[int, typer.Option("--key-clips", min=0, help="Most keyframe clips of a case.")] = 3,
    cuts: Annotated[
        Path | None,
        typer.Option(
            "--cuts",
            help="Corrected table of cuts; default: cuts.csv of the set.",
            exists=True,
            dir_okay=False,
            show_default=False,
        ),
    ] = None,
    licence: Annotated[
        str, typer.Option("--licence", help="Licence of the recordings, for the card.")
    ] = "not stated",
    price: Annotated[
        float, typer.Option("--price", min=0, help="Price of 1,000 tokens of the model, for the estimate.")
    ] = 0.0,
    seed: Annotated[int, typer.Option("--seed", min=0, help="Another seed splits otherwise.")] = 0,
    as_json: AsJson = False,
    verbose: Verbose = False,
) -> None:
    """Build instruction pairs and refined clips from raw teaching videos.

    Five stages: transcript, segments, clips, instructions, set. Each can be run, looked at and repeated alone. Correct
    cuts.csv in the set's folder, and the next run uses it. Files that cannot be used are named, and the rest is
    finished.
    """
    from videopath.app.cli.console import emit_json, plain, quiet_libraries, say, stdout
    from videopath.app.cli.running import chosen_spec
    from videopath.core.settings import load_settings
    from videopath.dataset.build import build_set, stages_of
    from videopath.dataset.options import (
        NO_MODEL,
        BuildOptions,
        ClipOptions,
        InstructionOptions,
        SegmentOptions,
        SetOptions,
        TranscriptOptions,
    )

    quiet_libraries(verbose)
    writer = model or load_settings().model
    options = BuildOptions(
        transcript=TranscriptOptions(speech=speech, language=language),
        segments=SegmentOptions(cuts=cuts),
        clips=ClipOptions(fps=fps, writing=writing, cursor=cursor, field=field, key_clips=key_clips),
        instructions=InstructionOptions(model=writer, device=device, price=price),
        set=SetOptions(name=out.resolve().name, licence=licence, seed=seed),
    )

    def load() -> Engine:
        from videopath.model import load_engine

        return load_engine(chosen_spec(writer, None, device, None, accept_licence))

    with _display() as display:
        result = build_set(
            folder,
            out,
            options,
            stages_of(only, first),
            again=again,
            load_engine=None if writer == NO_MODEL else load,
            on_progress=display,
            on_estimate=say,
        )
    for sentence in result.notes:
        say(sentence)
    for file in result.passed_over:
        say(f"Passed over: {file.path}: {file.reason}")
    if as_json:
        emit_json(json.dumps(_document(folder, result), ensure_ascii=False))
    else:
        stdout().print(plain("\n".join(_lines(result))))


@contextmanager
def _display() -> Iterator[Callable[[BuildProgress], None]]:
    """Yield a callback that shows the stage, the recording, the device and an estimate of the time that is left."""
    from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn

    from videopath.app.cli.console import stderr

    console = stderr()
    columns = (
        TextColumn("{task.description}", markup=False),
        BarColumn(),
        TimeElapsedColumn(),
        TimeRemainingColumn(),
    )
    with Progress(*columns, console=console, transient=True, disable=not console.is_terminal) as bar:
        tasks: dict[str, Any] = {}

        def show(progress: BuildProgress) -> None:
            device = f" on {progress.device}" if progress.device else ""
            task = tasks.get(progress.stage)
            if task is None:
                task = tasks[progress.stage] = bar.add_task(progress.stage, total=progress.total)
                if not console.is_terminal:
                    console.print(f"{progress.stage}{device}: {progress.total:,.0f} s of recordings")
            description = f"{progress.stage}{device}: {Path(progress.path).name}"
            bar.update(task, completed=progress.done, description=description)

        yield show


def _document(folder: Path, result: BuildResult) -> dict[str, Any]:
    """Return the build as JSON; only slide views stand under ``segments``."""
    root = folder.parent if folder.is_file() else folder
    videos = [
        {
            "path": str(root / recording.path),
            "segments": [
                {"start": s.start, "end": s.end, "kind": s.kind, "case": s.case} for s in segments.slides
            ],
            "other": [
                {"start": s.start, "end": s.end, "kind": s.kind}
                for s in segments.segments
                if s.kind != "slide"
            ],
        }
        for recording, segments in result.cuts
    ]
    return {
        "videos": videos,
        "passed_over": [
            {"path": str(root / file.path), "reason": file.reason} for file in result.passed_over
        ],
        "set": str(result.folder.path),
        "summary": result.summary.model_dump(mode="json") if result.summary else None,
        "notice": RESEARCH_USE,
    }


def _lines(result: BuildResult) -> Iterator[str]:
    for recording, segments in result.cuts:
        slides = segments.slides
        cases = len({segment.case for segment in slides})
        seconds = sum(segment.end - segment.start for segment in slides)
        corrected = ", cuts corrected by a person" if segments.corrected else ""
        yield f"{recording.path}: {cases} cases, {seconds:.1f} of {recording.seconds:.1f} s show slides{corrected}."
    if result.summary:
        yield result.summary.sentence
    yield f"The set: {result.folder.path}"
    yield RESEARCH_USE
