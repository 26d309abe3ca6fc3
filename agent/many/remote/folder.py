"""The folder of a batch on a store.

A store cannot append to a file, so the journal has one small object for each row that ended:

OUT/journal/<identity>.json   a row that ended since the journal was last put together; a newer result replaces it
OUT/journal.jsonl             all others, one line each
OUT/.lock                     see ``lock.py``

An object is deleted only after its line is in ``journal.jsonl``: whatever is killed, no row is lost, and a row that is in
both counts once. Results are written to a local folder and uploaded.
"""

from __future__ import annotations

import glob
import threading
from collections.abc import Iterator
from contextlib import contextmanager

from videopath.agent.many.journal import JOURNAL, BatchFolder
from videopath.agent.many.remote.lock import RemoteLock
from videopath.agent.many.remote.scratch import batch_scratch
from videopath.core.errors import InputError
from videopath.core.files import sha256_text
from videopath.core.jsonl import whole_lines
from videopath.core.remote import Place, RemoteError, RemotePath
from videopath.core.remote.store import (
    read_all,
    read_remote,
    remote_entries,
    remove_remote,
    upload,
    write_remote,
)

_OBJECTS = "journal"
_LOCK = ".lock"
_TOGETHER = 500  # objects, after which the journal is put together
_PAUSES = (1.0, 5.0)  # seconds before a row's end is written again


class RemoteBatchFolder(BatchFolder):
    """The folder for the results of a batch on a store. One process at a time writes to it, within :meth:`held`."""

    def __init__(self, out: RemotePath) -> None:
        if glob.has_magic(out.key):  # deleting would take it for a pattern
            raise InputError(f"{out.shown} has one of the characters * ? [ in it: name another folder.")
        self._out = out
        self._scratch = batch_scratch()
        self._name = f"out-{sha256_text(str(out))[:16]}"
        super().__init__(self._scratch.root / self._name / out.local_name)
        self._lock = RemoteLock(out / _LOCK, self.path)
        self._objects: set[str] = set()

    @property
    def place(self) -> Place:
        """The address of the folder."""
        return self._out

    @contextmanager
    def held(self) -> Iterator[None]:
        """Hold the folder, and read its journal.

        Raises:
            InputError: Another process works in the folder, or it cannot be written or read.
        """
        with self._scratch.folder(self._name):
            self._lock.acquire()
            try:
                self.path.mkdir(exist_ok=True)
                self._read()
                yield
                self._put_together()
            finally:
                self._lock.release()

    def publish(self) -> None:
        """Upload what was written to ``path``."""
        self._lock.check()
        for file in sorted(self.path.iterdir()):
            if file.is_file() and not file.name.startswith("."):
                upload(file, self._out / file.name)

    def _keep(self, identity: str, line: str) -> None:
        self._lock.check()
        name = f"{identity}.json"
        for pause in (*_PAUSES, None):
            try:
                write_remote(self._out / _OBJECTS / name, line.encode())
                break
            except RemoteError:
                if pause is None:
                    raise
                threading.Event().wait(pause)
        self._objects.add(name)
        if len(self._objects) > _TOGETHER:
            self._remember(line.encode())
            self._put_together()

    def _read(self) -> None:
        """Read the journal. A damaged line is skipped, and only its case is done again."""
        for line in whole_lines(read_remote(self._out / JOURNAL) or b""):
            self._remember(line)
        objects = sorted(remote_entries(self._out / _OBJECTS))
        for line in read_all(self._out / _OBJECTS, objects).values():
            self._remember(line)
        self._objects.update(objects)
        self._put_together()

    def _put_together(self) -> None:
        """Write all lines to one object, and delete those that it replaces."""
        if not self._objects:
            return
        self._lock.check()
        lines = b"".join(known.line.strip() + b"\n" for known in self._known.values())
        write_remote(self._out / JOURNAL, lines)
        remove_remote(self._out / _OBJECTS, sorted(self._objects))
        self._objects.clear()
