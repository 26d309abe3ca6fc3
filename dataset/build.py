"""The build of a set: five stages over all recordings, each of which can be run, resumed and repeated alone.

A stage's result is kept with a hash of everything that it depends on: the file, the stage's options and the results
before it. What is up to date is not done again, so a build that was killed goes on where it was. One recording that
fails never stops the others.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

from filelock import FileLock, Timeout

from videopath.core.choices import BUILD_STAGES, BuildStage
from videopath.core.errors import EngineError, InputError, ModelError
from videopath.core.files import sha256_file, sha256_text
from videopath.dataset.options import BuildOptions
from videopath.dataset.recordings import find_recordings, words_beside
from videopath.dataset.records import (
    Clips,
    Instructions,
    PassedOver,
    Recording,
    Segments,
    StageRecord,
    Transcript,
)
from videopath.dataset.set_folder import SetFolder

if TYPE_CHECKING:
    from videopath.dataset.finishing.finish import SetSummary
    from videopath.model.inference.engine import Engine

_log = logging.getLogger(__name__)

_VERSIONS: dict[BuildStage, int] = {"transcript": 1, "segments": 1, "clips": 1, "instructions": 1, "set": 1}
"""Raised when a stage's code changes what it writes, so that old results are made anew."""
_BEFORE: dict[BuildStage, tuple[BuildStage, ...]] = {
    "transcript": (),
    "segments": (),
    "clips": ("segments",),
    "instructions": ("transcript", "segments", "clips"),
    "set": (),
}
"""Whose results a stage depends on."""
_RESULTS: dict[BuildStage, type[StageRecord]] = {
    "transcript": Transcript,
    "segments": Segments,
    "clips": Clips,
    "instructions": Instructions,
}
_Result = TypeVar("_Result", bound=StageRecord)


@dataclass(frozen=True)
class BuildProgress:
    """How far a build is."""

    stage: BuildStage
    path: str
    """The recording that is worked on."""
    done: float
    """Seconds of recordings that this stage has finished."""
    total: float
    device: str = ""
    """Where the model runs; empty if the stage uses none."""


@dataclass
class BuildResult:
    """What a build found and wrote."""

    folder: SetFolder
    cuts: list[tuple[Recording, Segments]] = field(default_factory=list)
    passed_over: list[PassedOver] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    """Sentences about what was done otherwise than expected, such as a recording without words."""
    summary: SetSummary | None = None


def stages_of(only: BuildStage | None, first: BuildStage | None) -> tuple[BuildStage, ...]:
    """Return the stages that a build runs: one alone, those from ``first`` on, or all.

    Raises:
        InputError: Both are given.
    """
    if only and first:
        raise InputError("--only and --from exclude each other: give one of them.")
    if only:
        return (only,)
    return BUILD_STAGES[BUILD_STAGES.index(first) :] if first else BUILD_STAGES


def build_set(
    folder: Path,
    out: Path,
    options: BuildOptions,
    stages: Sequence[BuildStage] = BUILD_STAGES,
    *,
    again: bool = False,
    load_engine: Callable[[], Engine] | None = None,
    on_progress: Callable[[BuildProgress], None] = lambda progress: None,
    on_estimate: Callable[[str], None] = lambda sentence: None,
) -> BuildResult:
    """Build a set of instruction pairs from a folder of recordings, or go on with one.

    Args:
        folder: The recordings, with their subtitles beside them. Nothing in it is changed.
        out: The folder of the set.
        options: How each stage works.
        stages: The stages to run, in order.
        again: Whether these stages are done anew even if their results are up to date.
        load_engine: Loads the model that writes the instructions; None: drafts for a person.
        on_progress: Called while the build works.
        on_estimate: Called with a sentence on requests and cost before a model writes.

    Returns:
        The cuts of all recordings, the files that were passed over, and the finished set.

    Raises:
        InputError: The folder has no usable recording, the table of cuts is wrong, or a stage is run before the one
            that it needs.
        EngineError: The model fails. What it wrote so far is kept.
    """
    out.mkdir(parents=True, exist_ok=True)
    try:
        with FileLock(out / ".lock", timeout=0):
            for half_written in out.rglob(".*.part"):  # a kill left it
                half_written.unlink()
            build = _Build(folder, SetFolder(out), options, again, load_engine, on_progress, on_estimate)
            return build.run(stages)
    except Timeout as error:
        raise InputError(
            f"Another build works on {out} at this moment: wait, or give another --out."
        ) from error


class _Build:
    """One run over a folder."""

    def __init__(
        self,
        folder: Path,
        set_folder: SetFolder,
        options: BuildOptions,
        again: bool,
        load_engine: Callable[[], Engine] | None,
        on_progress: Callable[[BuildProgress], None],
        on_estimate: Callable[[str], None],
    ) -> None:
        self._set, self._options, self._again = set_folder, options, again
        self._load_engine, self._on_progress, self._on_estimate = load_engine, on_progress, on_estimate
        found = find_recordings(folder, set_folder.path)
        self._videos = {recording.id: video for video, recording in found.usable}
        self._recordings = [recording for _, recording in found.usable]
        self._result = BuildResult(set_folder, passed_over=list(found.passed_over))
        for recording in self._recordings:
            set_folder.add(recording)
            self._result.notes += [f"{recording.path}: {note}" for note in recording.notes]

    def run(self, stages: Sequence[BuildStage]) -> BuildResult:
        for stage in stages:
            if stage == "set":
                self._finish()
            else:
                self._over_all(stage)
            if stage == "segments":
                self._write_cuts()
        self._result.cuts = [
            (recording, segments)
            for recording in self._recordings
            if (segments := self._segments(recording)) is not None
        ]
        self._result.notes += [
            f"{recording.path}: No part of it shows a slide."
            for recording, segments in self._result.cuts
            if not segments.slides
        ]
        self._set.write_passed_over(self._result.passed_over)
        return self._result

    def _over_all(self, stage: BuildStage) -> None:
        """Run a stage on every recording that is not up to date; one that fails is passed over from here on."""
        waiting = [recording for recording in self._recordings if not self._is_done(recording, stage)]
        total = sum(recording.seconds for recording in waiting)
        if stage == "instructions" and waiting:
            self._announce(waiting)
        done = 0.0
        for recording in waiting:

            def tell(share: float, recording: Recording = recording, done: float = done) -> None:
                now = done + min(max(share, 0.0), 1.0) * recording.seconds
                self._on_progress(BuildProgress(stage, recording.path, now, total, self._device(stage)))

            tell(0.0)
            self._guarded(stage, recording, tell)
            tell(1.0)
            done += recording.seconds

    def _guarded(self, stage: BuildStage, recording: Recording, tell: Callable[[float], None]) -> None:
        try:
            result = self._work(stage, recording, tell)
            self._set.write_result(recording, stage, result, self._depends_on(recording, stage))
        except (EngineError, ModelError):
            raise
        except InputError as error:
            self._pass_over(stage, recording, str(error))
        except (OSError, ValueError, RuntimeError, LookupError, ArithmeticError, MemoryError) as error:
            _log.exception("The stage %s failed on %s", stage, recording.path)
            self._pass_over(stage, recording, f"{type(error).__name__}: {error}")

    def _pass_over(self, stage: BuildStage, recording: Recording, reason: str) -> None:
        self._recordings.remove(recording)
        self._result.passed_over.append(PassedOver(path=recording.path, reason=f"{stage}: {reason}"))

    def _work(self, stage: BuildStage, recording: Recording, tell: Callable[[float], None]) -> StageRecord:
        video = self._videos[recording.id]
        if stage == "transcript":
            from videopath.dataset.transcript.words import transcribe

            transcript = transcribe(video, self._options.transcript)
            self._result.notes.append(f"{recording.path}: {transcript.sentence}")
            return transcript
        if stage == "segments":
            from videopath.dataset.segments.cutting import cut

            return cut(video, self._options.segments, tell)
        if stage == "clips":
            from videopath.dataset.clips.refining import refine

            segments = self._needed(recording, "segments", self._segments(recording))
            return refine(video, recording, segments, self._options.clips, self._set, tell)
        from videopath.dataset.instructions.writing import write_instructions

        return write_instructions(
            recording,
            self._needed(recording, "clips", self._set.result(recording, "clips", Clips)),
            self._needed(recording, "transcript", self._set.result(recording, "transcript", Transcript)),
            self._needed(recording, "segments", self._segments(recording)),
            self._options.instructions,
            self._set,
            self._engine,
            tell,
        )

    def _needed(self, recording: Recording, stage: BuildStage, result: _Result | None) -> _Result:
        if result is None:
            raise InputError(
                f"The stage {stage} has not been run for {recording.path}: run `videopath dataset build … --from {stage}`."
            )
        return result

    def _segments(self, recording: Recording) -> Segments | None:
        """The segments of a recording, with a person's corrections."""
        from videopath.dataset.segments.cuts_table import read_cuts

        found = self._set.result(recording, "segments", Segments)
        table = self._options.segments.cuts or self._set.cuts
        return read_cuts(table, recording, found) if found is not None and table.exists() else found

    def _write_cuts(self) -> None:
        """Write the table of cuts, with the corrections that a person made in it before."""
        from videopath.dataset.segments.cuts_table import write_cuts

        write_cuts(
            self._set.cuts,
            [
                (recording, segments)
                for recording in self._recordings
                if (segments := self._segments(recording)) is not None
            ],
        )

    def _is_done(self, recording: Recording, stage: BuildStage) -> bool:
        return not self._again and self._set.is_done(recording, stage, self._depends_on(recording, stage))

    def _depends_on(self, recording: Recording, stage: BuildStage) -> str:
        """Return a hash of everything that a stage's result depends on."""
        return sha256_text("\n".join((recording.sha256, *self._parts(recording, stage))))

    def _parts(self, recording: Recording, stage: BuildStage) -> Iterator[str]:
        yield f"{stage} {_VERSIONS[stage]}"
        yield getattr(self._options, stage).model_dump_json(
            exclude={"cuts"}
        )  # their rows are in the segments
        if stage == "transcript":
            yield from (sha256_file(file) for file in words_beside(self._videos[recording.id]))
        for before in _BEFORE[stage]:
            if before == "segments":
                segments = self._segments(recording)
                yield segments.model_dump_json() if segments else ""
            else:
                yield self._set.result_hash(recording, before)

    def _announce(self, waiting: Sequence[Recording]) -> None:
        from videopath.dataset.instructions.estimate import estimate, measured_seconds

        results = [self._set.result(recording, "clips", Clips) for recording in waiting]
        clips = sum(len(result.clips) for result in results if result)
        if self._load_engine is not None and clips:
            self._on_estimate(
                estimate(
                    clips, self._options.instructions, seconds_per_request=measured_seconds(self._set)
                ).sentence
            )

    @cached_property
    def _engine(self) -> Engine | None:
        """The model that writes; the first recording loads it."""
        return self._load_engine() if self._load_engine is not None else None

    def _device(self, stage: BuildStage) -> str:
        engine = self._engine if stage == "instructions" else None
        return engine.info.device if engine is not None else ""

    def _finish(self) -> None:
        from videopath.dataset.finishing.finish import finish_set

        self._set.write_passed_over(self._result.passed_over)
        self._result.summary = finish_set(self._set, self._options.set)
