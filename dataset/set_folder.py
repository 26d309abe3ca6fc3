"""The folder of a set: where each file lies, and which stages of which recording are done.

.. code-block:: text

    SET/cuts.csv                      the cuts of all recordings, to correct and read back
    SET/contact_sheets/<id>.jpg       one sheet per recording
    SET/clips/<id>-case-1.mp4         refined clips
    SET/recordings/<id>/recording.json, transcript.json, segments.json, clips.json, instructions.json
    SET/recordings/<id>/replies.jsonl raw replies of the model
    SET/finished.jsonl                what persons finished and discarded; no build ever changes it
    SET/passed_over.json              files that could not be used, with the reason
    SET/instructions.json …           the finished set
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

from pydantic import ValidationError

from videopath.core.choices import BuildStage
from videopath.core.errors import InputError
from videopath.core.files import sha256_text, write_text
from videopath.dataset.records import PassedOver, Recording, StageRecord

_Record = TypeVar("_Record", bound=StageRecord)


@dataclass(frozen=True)
class SetFolder:
    """The files of a set."""

    path: Path

    @property
    def cuts(self) -> Path:
        """The table of cuts, which a person may correct."""
        return self.path / "cuts.csv"

    @property
    def clips(self) -> Path:
        """The folder of refined clips."""
        return self.path / "clips"

    @property
    def contact_sheets(self) -> Path:
        """The folder of contact sheets."""
        return self.path / "contact_sheets"

    def of(self, recording: Recording) -> Path:
        """Return the folder of a recording's stage results."""
        return self.path / "recordings" / recording.id

    def replies(self, recording: Recording) -> Path:
        """Return the file of raw replies of the model."""
        return self.of(recording) / "replies.jsonl"

    @property
    def finished(self) -> Path:
        """The file of pairs that persons finished, which no build changes."""
        return self.path / "finished.jsonl"

    def recordings(self) -> list[Recording]:
        """Return the recordings that the set knows, by path."""
        files = sorted(self.path.glob("recordings/*/recording.json"))
        return sorted((_read(file, Recording) for file in files), key=lambda recording: recording.path)

    def passed_over(self) -> list[PassedOver]:
        """Return the files that could not be used."""
        file = self.path / "passed_over.json"
        return (
            [PassedOver.model_validate(entry) for entry in json.loads(file.read_text())]
            if file.exists()
            else []
        )

    def write_passed_over(self, files: list[PassedOver]) -> None:
        """Write the list of files that could not be used."""
        entries = [file.model_dump(mode="json") for file in files]
        write_text(self.path / "passed_over.json", json.dumps(entries, indent=1, ensure_ascii=False) + "\n")

    def add(self, recording: Recording) -> None:
        """Write what is known of a recording."""
        write_text(self.of(recording) / "recording.json", recording.model_dump_json(indent=1) + "\n")

    def result(self, recording: Recording, stage: BuildStage, kind: type[_Record]) -> _Record | None:
        """Return the result of a stage, or None if it has not been done.

        Raises:
            InputError: The file is damaged.
        """
        file = self._result_file(recording, stage)
        return _read(file, kind) if file.exists() else None

    def write_result(
        self, recording: Recording, stage: BuildStage, result: StageRecord, depends_on: str
    ) -> None:
        """Write the result of a stage, as a whole or not at all.

        Args:
            recording: The recording.
            stage: The stage.
            result: Its result.
            depends_on: Hash of everything that the result depends on.
        """
        write_text(self._result_file(recording, stage), result.model_dump_json(indent=1) + "\n")
        write_text(self._hash_file(recording, stage), depends_on + "\n")

    def correct_result(self, recording: Recording, stage: BuildStage, result: StageRecord) -> None:
        """Replace the result of a stage by what a person made of it; the stage stays up to date."""
        write_text(self._result_file(recording, stage), result.model_dump_json(indent=1) + "\n")

    def is_done(self, recording: Recording, stage: BuildStage, depends_on: str) -> bool:
        """Return whether a stage's result exists and was made from the same file, options and earlier results."""
        file = self._hash_file(recording, stage)
        return (
            file.exists()
            and file.read_text().strip() == depends_on
            and self._result_file(recording, stage).exists()
        )

    def result_hash(self, recording: Recording, stage: BuildStage) -> str:
        """Return a hash of a stage's result, which later stages depend on; empty if it has not been done."""
        file = self._result_file(recording, stage)
        return sha256_text(file.read_text(encoding="utf-8")) if file.exists() else ""

    def _result_file(self, recording: Recording, stage: BuildStage) -> Path:
        return self.of(recording) / f"{stage}.json"

    def _hash_file(self, recording: Recording, stage: BuildStage) -> Path:
        return self.of(recording) / f".{stage}.sha256"


def _read(file: Path, kind: type[_Record]) -> _Record:
    try:
        return kind.model_validate_json(file.read_bytes())
    except ValidationError as error:
        raise InputError(f"{file} is damaged: delete it, and the stage is done again.") from error
    except OSError as error:
        raise InputError(f"{file} cannot be read: {error.strerror or error}.") from error
