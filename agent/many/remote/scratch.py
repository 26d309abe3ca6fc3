"""Local folders for what is copied from a store or will be copied to one.

Each is locked while it is used and deleted afterwards. What a killed process has left is deleted by the next one.
"""

from __future__ import annotations

import shutil
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from filelock import FileLock, Timeout

from videopath.core.errors import InputError
from videopath.core.files import private_folder
from videopath.core.settings import home_folder

_LOCK = ".lock"
_swept: set[Path] = set()
_sweeping = threading.Lock()


class Scratch:
    """A folder whose entries are used by one process at a time."""

    def __init__(self, root: Path, keep: Callable[[str], bool] = lambda name: False) -> None:
        """Name the folder.

        Args:
            root: The folder.
            keep: Whether an entry that nobody uses is kept, by its name.
        """
        self.root = root
        self._keep = keep

    @contextmanager
    def folder(self, name: str) -> Iterator[Path]:
        """Yield a folder of this name, which is deleted afterwards unless it is to be kept.

        Raises:
            InputError: Another process uses it, or it cannot be made.
        """
        self._sweep()
        path = self.root / name
        try:
            private_folder(path)
            lock = FileLock(path / _LOCK)
            lock.acquire(timeout=0.5)
        except Timeout as error:
            raise InputError(f"Another process of this computer uses {path}: wait for it.") from error
        except OSError as error:
            raise InputError(f"The folder {path} cannot be written: {error.strerror or error}.") from error
        try:
            yield path
        finally:
            if not self._keep(name):
                shutil.rmtree(path, ignore_errors=True)
            lock.release()

    def _sweep(self) -> None:
        """Delete what killed processes have left; once for each process."""
        with _sweeping:
            if self.root in _swept or not self.root.is_dir():
                return
            _swept.add(self.root)
            for path in self.root.iterdir():
                lock = FileLock(path / _LOCK)
                try:
                    lock.acquire(timeout=0)
                except (Timeout, OSError):  # in use, or deleted by another process
                    continue
                if not self._keep(path.name):
                    shutil.rmtree(path, ignore_errors=True)
                lock.release()


def batch_scratch() -> Scratch:
    """Return the folder for what belongs to no case: manifests, results before they are uploaded."""
    return Scratch(home_folder() / "cache" / "batch")
