"""A lock on a store: an object that its holder writes again and again.

The rule: a lock that has not been written for two minutes, by the store's own clock, is abandoned, and so is one of this
computer whose local lock is free. Two starters that find an abandoned lock at the same moment both write it; the last one
has it, and the other one notices. A store that cannot write "only if there is none" is protected by the reading back alone.
"""

from __future__ import annotations

import json
import socket
import threading
import uuid
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

from videopath.core.errors import InputError
from videopath.core.files import sha256_text
from videopath.core.remote import RemoteError, RemotePath
from videopath.core.remote.store import read_remote, remote_seconds, remove_remote, write_remote

_BEAT = 20.0  # seconds between two writes
_ABANDONED = 120.0  # seconds without a write
_SETTLED = 0.5  # seconds after which another starter's write is seen


class RemoteLock:
    """The lock of a folder on a store."""

    def __init__(self, file: RemotePath, local: Path) -> None:
        """Name the lock.

        Args:
            file: The object.
            local: The local folder that this computer's processes lock for the same purpose.
        """
        self._file = file
        self._owner = uuid.uuid4().hex
        self._machine = _this_machine(local)
        self._beats = 0
        self._stop = threading.Event()
        self._thread: threading.Thread | None = None
        self._lost = False

    def acquire(self) -> None:
        """Take the lock, and keep it alive by a thread.

        Raises:
            InputError: Another process holds it, or the store does not take it.
        """
        for _ in range(2):
            holder = self._holder()
            if holder is None:
                if not write_remote(self._file, self._content(), new=True):
                    continue
            elif self._is_abandoned(holder):
                write_remote(self._file, self._content())
                self._stop.wait(_SETTLED)
            if (self._holder() or {}).get("owner") == self._owner:
                self._thread = threading.Thread(target=self._beat, daemon=True)
                self._thread.start()
                return
            break
        raise InputError(
            f"Another batch writes to {self._file.parent.shown}, or was killed less than {_ABANDONED / 60:g} minutes ago: "
            f"wait, or name another folder."
        )

    def check(self) -> None:
        """Raise ``InputError`` if another process has taken the lock."""
        if self._lost:
            raise InputError(
                f"Another batch has taken over {self._file.parent.shown}: this one stops. What it has finished is kept."
            )

    def release(self) -> None:
        """Give the lock back; nothing if another process has taken it."""
        self._stop.set()
        if self._thread is not None:
            self._thread.join()
            self._thread = None
            with suppress(InputError):  # it is abandoned in two minutes
                if (self._holder() or {}).get("owner") == self._owner:
                    remove_remote(self._file.parent, [self._file.name])

    def _beat(self) -> None:
        while not self._stop.wait(_BEAT):
            with suppress(RemoteError):  # the next beat tries again
                self._renew()

    def _renew(self) -> None:
        try:
            if (self._holder() or {}).get("owner") == self._owner:
                self._beats += 1
                write_remote(self._file, self._content())
                return
        except RemoteError:
            raise
        except InputError:  # not allowed any more: the next row cannot be written either
            pass
        self._lost = True
        self._stop.set()

    def _content(self) -> bytes:
        return json.dumps({"owner": self._owner, "machine": self._machine, "beats": self._beats}).encode()

    def _holder(self) -> dict[str, Any] | None:
        """Return what the lock says; None if there is no lock."""
        found = read_remote(self._file)
        if found is None:
            return None
        try:
            holder = json.loads(found)
        except ValueError:
            return {}
        return holder if isinstance(holder, dict) else {}

    def _is_abandoned(self, holder: dict[str, Any]) -> bool:
        if holder.get("machine") == self._machine:  # whose local lock this process holds
            return True
        probe = self._file.parent / f"{self._file.name}-{self._owner[:12]}"
        try:
            write_remote(probe, b"What is the time?")
            now, then = remote_seconds(probe), remote_seconds(self._file)
        finally:
            remove_remote(probe.parent, [probe.name])
        return now is not None and then is not None and now - then > _ABANDONED


def _this_machine(local: Path) -> str:
    """Return a hash of this computer, as far as its processes see one another, and of a folder of it."""

    def read(what: Callable[[], str]) -> str:
        try:
            return what()
        except OSError:  # not Linux
            return ""

    started = read(lambda: Path("/proc/sys/kernel/random/boot_id").read_text())
    processes = read(lambda: str(Path("/proc/self/ns/pid").readlink()))
    return sha256_text("\n".join((socket.gethostname(), started, processes, str(local))))[:24]
