"""What the stages before left: recordings with their refined clips and their instruction pairs."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field, replace

from videopath.core.pathology.answers import DIAGNOSIS_START, parse_free_answer
from videopath.dataset.records import (
    Clips,
    InstructionPair,
    Instructions,
    PassedOver,
    Recording,
    RefinedClip,
    Transcript,
)
from videopath.dataset.set_folder import SetFolder

_LONGEST_LABEL = 12  # words; a longer answer is a sentence, not the name of a diagnosis


@dataclass(frozen=True)
class RecordingResults:
    """A recording with the results of its stages."""

    recording: Recording
    clips: tuple[RefinedClip, ...]
    pairs: tuple[InstructionPair, ...] = ()
    dropped: tuple[PassedOver, ...] = ()
    """Pairs that the second pass rated too low."""
    transcript: Transcript | None = None


@dataclass(frozen=True)
class Candidate:
    """A finished pair with the clip and the recording that it is about."""

    recording: Recording
    clip: RefinedClip
    pair: InstructionPair

    @property
    def answer(self) -> str:
        """The answer as the set states it; see :func:`full_answer`."""
        return full_answer(self.pair)

    @property
    def diagnosis(self) -> str:
        """The name of the diagnosis that the answer gives; empty if it gives none."""
        return parse_free_answer(self.answer).diagnosis if self.pair.about == "diagnosis" else ""

    @property
    def texts(self) -> tuple[str, ...]:
        """All texts of the pair that reach the set; its id is made by the program."""
        pair = self.pair
        return (pair.question, pair.answer, pair.reasoning, *pair.given_away)


@dataclass(frozen=True)
class Material:
    """Everything that a set can be made of."""

    results: tuple[RecordingResults, ...]
    passed_over: tuple[PassedOver, ...] = ()
    orphans: tuple[tuple[Recording, InstructionPair], ...] = field(default=())
    """Finished pairs whose clip is not there any more, since the cuts were corrected after they were written."""

    @property
    def recordings(self) -> list[Recording]:
        """The recordings that have clips."""
        return [result.recording for result in self.results]

    @property
    def clips(self) -> list[tuple[Recording, RefinedClip]]:
        """All clips, each with its recording."""
        return [(result.recording, clip) for result in self.results for clip in result.clips]

    @property
    def candidates(self) -> list[Candidate]:
        """All pairs that are no drafts and have a clip."""
        return [
            Candidate(result.recording, clips[pair.clip], pair)
            for result in self.results
            for clips in [{clip.id: clip for clip in result.clips}]
            for pair in result.pairs
            if pair.origin != "draft" and pair.clip in clips
        ]

    @property
    def drafts(self) -> int:
        """Number of pairs that a person has not finished yet."""
        return sum(pair.origin == "draft" for result in self.results for pair in result.pairs)


def read_material(folder: SetFolder) -> Material:
    """Read the results of all recordings that have refined clips.

    A recording that was passed over in the last run is left out, also if an earlier run left results of it.

    Raises:
        InputError: A file of results is damaged.
    """
    passed_over = folder.passed_over()
    names = {file.path for file in passed_over}
    recordings = [recording for recording in folder.recordings() if recording.path not in names]
    results = tuple(result for recording in recordings for result in _results(folder, recording))
    return Material(results, tuple(passed_over), tuple(_orphans(results)))


def with_pairs(material: Material, pairs: Iterable[Candidate]) -> Material:
    """Return the material with these finished pairs alone; drafts stay."""
    kept = {(candidate.recording.id, candidate.pair.id) for candidate in pairs}
    return replace(
        material,
        results=tuple(
            replace(
                result,
                pairs=tuple(
                    pair
                    for pair in result.pairs
                    if pair.origin == "draft" or (result.recording.id, pair.id) in kept
                ),
            )
            for result in material.results
        ),
    )


def full_answer(pair: InstructionPair) -> str:
    """Return the answer as the set states it.

    The answer to a question for the diagnosis ends in "Diagnosis: …", as VideoPath asks its models for; the reasoning
    comes before it. Other answers stay as they are.
    """
    answer = pair.answer.strip()
    if pair.about != "diagnosis":
        return answer
    parts = parse_free_answer(answer)
    if not parts.diagnosis:
        if "\n" in answer or len(answer.split()) > _LONGEST_LABEL:
            return answer
        answer = f"{DIAGNOSIS_START} {answer.rstrip('.')}"
    elif parts.description:
        return answer
    return "\n".join(part for part in (pair.reasoning.strip(), answer) if part)


def _results(folder: SetFolder, recording: Recording) -> Iterator[RecordingResults]:
    clips = folder.result(recording, "clips", Clips)
    if clips is None:
        return
    written = folder.result(recording, "instructions", Instructions)
    yield RecordingResults(
        recording,
        clips.clips,
        written.pairs if written else (),
        written.dropped if written else (),
        folder.result(recording, "transcript", Transcript),
    )


def _orphans(results: Sequence[RecordingResults]) -> Iterator[tuple[Recording, InstructionPair]]:
    for result in results:
        known = {clip.id for clip in result.clips}
        for pair in result.pairs:
            if pair.origin != "draft" and pair.clip not in known:
                yield result.recording, pair
