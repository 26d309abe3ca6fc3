"""The folder of a batch: its lock, and the journal, from which a second start knows what is done.

OUT/journal.jsonl   a line for each row that ended: identity, file, outcome
OUT/results.parquet, results.csv, summary.html, README.md
OUT/bundles/<case_id>.zip, OUT/reports/<case_id>.pdf   if asked for

:func:`open_folder` returns the folder for any place; one on a store is in ``remote/folder.py``.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from filelock import FileLock, Timeout
from pydantic import BaseModel, ValidationError

from videopath.agent.many.results import Outcome
from videopath.core.errors import InputError
from videopath.core.files import sha256_text
from videopath.core.jsonl import JsonLines
from videopath.core.remote import Place

if TYPE_CHECKING:
    from videopath.agent.many.remote.videos import StoreStates

JOURNAL = "journal.jsonl"
_LOCK = ".lock"


class FileState(BaseModel):
    """A file as it was when it was hashed, without its name."""

    key: str
    """SHA-256 of the path, so that a name with a person's data is not stored."""
    size: int
    changed: int
    """Time of the last change, in nanoseconds; of a file on a store a number for its version, -1 if it names none."""
    sha256: str
    path: str
    """The path, with a person's data replaced by hashes."""


@dataclass(frozen=True)
class KnownResult:
    """The latest result of an identity."""

    status: str
    line: bytes

    @property
    def outcome(self) -> Outcome:
        """The outcome, read from its line."""
        return Outcome.model_validate(json.loads(self.line)["outcome"])


class BatchFolder:
    """The folder for the results of a batch. One process at a time writes to it, within :meth:`held`."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._lines = JsonLines(path / JOURNAL, synced=True)
        self._known: dict[str, KnownResult] = {}
        self._files: dict[str, FileState] = {}
        self._states: StoreStates | None = None

    @property
    def place(self) -> Place:
        """Where the results are for the user; ``path`` is where they are written."""
        return self.path

    @property
    def states(self) -> StoreStates:
        """What stores say of remote videos."""
        if self._states is None:
            from videopath.agent.many.remote.videos import StoreStates

            self._states = StoreStates()
        return self._states

    def publish(self) -> None:
        """Bring the written results to their place; nothing to do for a local folder."""

    @contextmanager
    def held(self) -> Iterator[None]:
        """Hold the folder, and read its journal.

        Raises:
            InputError: Another process works in the folder, or it cannot be written or read.
        """
        try:
            self.path.mkdir(parents=True, exist_ok=True)
            lock = FileLock(self.path / _LOCK)
            lock.acquire(timeout=0.5)
        except Timeout as error:
            raise InputError(
                f"Another batch writes to {self.path}: wait for it, or name another folder."
            ) from error
        except OSError as error:
            raise InputError(
                f"The folder {self.path} cannot be written ({error.strerror or error}): name another one."
            ) from error
        try:
            self._read()
            yield
        finally:
            lock.release()

    def known(self, identity: str) -> KnownResult | None:
        """Return the latest result of an identity; None if there is none."""
        return self._known.get(identity)

    def file(self, path: Place) -> FileState | None:
        """Return what is known of a file, whether or not it has changed since."""
        return self._files.get(sha256_text(str(path)))

    def add(self, identity: str, file: FileState, outcome: Outcome) -> None:
        """Write the end of a row and wait until it is on disk."""
        entry = {"identity": identity, "file": file.model_dump(), "outcome": outcome.model_dump()}
        line = json.dumps(entry, ensure_ascii=False)
        self._keep(identity, line)
        self._remember(line.encode())

    def _keep(self, identity: str, line: str) -> None:
        """Write a line of the journal and wait until a kill cannot lose it."""
        self._lines.append(line)

    def _read(self) -> None:
        """Read the journal. A damaged line is skipped, and only its case is done again."""
        try:
            lines = self._lines.read()
        except OSError as error:
            raise InputError(f"{self._lines.path} cannot be read: {error.strerror or error}.") from error
        for line in lines:
            self._remember(line)

    def _remember(self, line: bytes) -> None:
        try:
            entry = json.loads(line)
            file = FileState.model_validate(entry["file"])
            self._known[entry["identity"]] = KnownResult(entry["outcome"]["status"], line)
        except (ValueError, LookupError, TypeError, RecursionError, ValidationError):
            return
        self._files[file.key] = file


def open_folder(out: Place) -> BatchFolder:
    """Return the folder of a batch; nothing is made or read yet."""
    if isinstance(out, Path):
        return BatchFolder(out)
    from videopath.agent.many.remote.folder import RemoteBatchFolder

    return RemoteBatchFolder(out)
