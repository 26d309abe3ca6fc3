"""The lock of a case: who holds it works on the case, and everybody may ask whether somebody does.

The operating system frees the lock of a process that ends, however it ends. Asking makes no file and writes nothing.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Callable
from pathlib import Path

from filelock import BaseFileLock, FileLock, Timeout

from videopath.core.errors import CaseError

LOCK_NAME = ".lock"
WHILE_ASKED = 0.5
"""Seconds that a holder-to-be waits at least: somebody may be asking just now, which takes some microseconds."""


def take(folder: Path, wait: float = 0.0, lost: str = "") -> BaseFileLock:
    """The lock of the case in ``folder``, held; its ``release`` gives it back.

    Raises ``CaseError`` if it is not free within ``wait`` seconds, or if the case is gone. ``lost``: what a person typed
    for this case, as ``words_not_kept`` says it, to be told with that.
    """
    if not folder.is_dir():  # the lock would make it
        raise CaseError(
            f"The folder of case {folder.name} is gone, as when a case is deleted: delete the case to end that.{lost}"
        )
    lock = FileLock(folder / LOCK_NAME, thread_local=False, mode=0o600)
    try:
        lock.acquire(timeout=max(wait, WHILE_ASKED))
    except Timeout as error:
        raise CaseError(
            f"Case {folder.name} is being worked on by another process: wait for it to finish.{lost}"
        ) from error
    return lock


def is_held(folder: Path) -> bool:
    """Whether somebody works on the case in ``folder``, in this process or in another one."""
    try:
        descriptor = os.open(folder / LOCK_NAME, os.O_RDONLY)
    except OSError:  # there is no lock file: nobody has worked on it yet
        return False
    try:
        return not _shared(descriptor)
    finally:
        os.close(descriptor)


if sys.platform == "win32":  # pragma: no cover

    def _shared(descriptor: int) -> bool:
        import msvcrt

        return _granted(lambda: msvcrt.locking(descriptor, msvcrt.LK_NBRLCK, 1))

else:

    def _shared(descriptor: int) -> bool:
        """Whether the lock may be shared at this moment; those who ask at once do not disturb each other."""
        import fcntl

        return _granted(lambda: fcntl.flock(descriptor, fcntl.LOCK_SH | fcntl.LOCK_NB))


def _granted(ask: Callable[[], None]) -> bool:
    try:
        ask()
    except (BlockingIOError, PermissionError):
        return False
    return True
