"""The lock of a case: its holder works on the case, and everybody can see whether it is held.

The operating system frees the lock when its process ends, however it ends. Checking it writes nothing.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Callable
from pathlib import Path

from filelock import BaseFileLock, FileLock, Timeout

from videopath.core.errors import CaseError

LOCK_NAME = ".lock"
MIN_WAIT = 0.5
"""Seconds that :func:`take` waits at least: a check by another process holds the lock for some microseconds."""


def take(folder: Path, wait: float = 0.0, lost: str = "") -> BaseFileLock:
    """Take the lock of the case in ``folder`` and return it; its ``release`` frees it.

    Args:
        folder: The case folder.
        wait: How long to wait for another holder, in seconds.
        lost: What a person typed for this case, from ``words_not_kept``; it is added to the error.

    Raises:
        CaseError: The lock is not free in time, or the case was deleted.
    """
    refuse_gone(folder, lost)  # taking the lock would create it
    lock = FileLock(folder / LOCK_NAME, thread_local=False, mode=0o600)
    try:
        lock.acquire(timeout=max(wait, MIN_WAIT))
    except Timeout as error:
        raise busy(folder.name, lost) from error
    return lock


def try_take(folder: Path) -> BaseFileLock | None:
    """Take the lock of the case in ``folder`` if it is free at once; None if it is not, or if the folder is gone."""
    if not folder.is_dir():
        return None
    lock = FileLock(folder / LOCK_NAME, thread_local=False, mode=0o600)
    try:
        lock.acquire(timeout=0)
    except Timeout:
        return None
    return lock


def refuse_gone(folder: Path, lost: str) -> None:
    """Raise ``CaseError`` if there is no such case folder."""
    if not folder.is_dir():
        raise CaseError(
            f"The folder of case {folder.name} is gone, as if it was deleted: delete the case.{lost}"
        )


def busy(case_id: str, lost: str) -> CaseError:
    """Return the error for a case whose lock is not free."""
    return CaseError(f"Another process works on case {case_id}: wait for it to finish.{lost}")


def is_held(folder: Path) -> bool:
    """Return whether this or another process works on the case in ``folder``."""
    try:
        descriptor = os.open(folder / LOCK_NAME, os.O_RDONLY)
    except OSError:  # no lock file: nobody has worked on the case yet
        return False
    try:
        return not _can_share(descriptor)
    finally:
        os.close(descriptor)


if sys.platform == "win32":  # pragma: no cover

    def _can_share(descriptor: int) -> bool:
        import msvcrt

        return _granted(lambda: msvcrt.locking(descriptor, msvcrt.LK_NBRLCK, 1))

else:

    def _can_share(descriptor: int) -> bool:
        """Return whether a shared lock is granted now: checks at the same time do not disturb each other."""
        import fcntl

        return _granted(lambda: fcntl.flock(descriptor, fcntl.LOCK_SH | fcntl.LOCK_NB))


def _granted(take_lock: Callable[[], None]) -> bool:
    try:
        take_lock()
    except (BlockingIOError, PermissionError):
        return False
    return True
