"""Masked copies for the player: they are made one after the other in the background, and their progress is known."""

from __future__ import annotations

import threading
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from videopath.app.cli.errors import os_sentence
from videopath.app.web.runtime.playable import is_masked, masked_playable, ready_playable
from videopath.core.choices import WritingRule
from videopath.core.errors import InputError
from videopath.core.privacy.paths import find_path
from videopath.media.masks import Masks

_UNEXPECTED = "the masked copy could not be made. The server's log shows why."

_Key = tuple[Path, Path, WritingRule, Masks | None, int]


@dataclass(frozen=True)
class CopyState:
    """How far a copy is."""

    file: Path | None = None
    """What the browser may play; None while the copy is made."""
    masked: bool = False
    """Whether writing was filled in it; not if there was nothing to fill."""
    share: float = 0.0
    """The share that is done, in [0, 1]."""
    error: str = ""


class MaskedCopies:
    """The copies that this process makes or has made."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._at_work = threading.Lock()
        self._states: dict[_Key, CopyState] = {}

    def state(
        self,
        video: Path,
        folder: Path,
        writing: WritingRule,
        masks: Masks | None = None,
        *,
        start: bool = True,
    ) -> CopyState:
        """Return how far the copy of a video is; the first call with ``start`` begins to make it.

        Args:
            video: Video, image or folder of frames.
            folder: Folder of the copies.
            writing: Which writing is filled.
            masks: A person's changes to what is filled.
            start: Whether the copy may be made now.
        """
        try:
            ready = ready_playable(video, folder, writing, masks)
            changed = find_path(video).stat().st_mtime_ns
        except (InputError, OSError) as error:
            return CopyState(error=os_sentence(error) if isinstance(error, OSError) else str(error))
        if ready is not None:
            return CopyState(ready, is_masked(ready, writing, masks), 1.0)
        key = video, folder, writing, masks, changed
        with self._lock:
            if key not in self._states and not start:
                return CopyState()
            if key not in self._states:
                self._states[key] = CopyState()
                thread = threading.Thread(target=self._make, args=(key,), name="videopath-copy", daemon=True)
                thread.start()
            return self._states[key]

    def _make(self, key: _Key) -> None:
        video, folder, writing, masks, _ = key
        try:
            with self._at_work:
                file = masked_playable(
                    video, folder, writing, lambda share: self._put(key, CopyState(share=share)), masks
                )
            self._put(key, CopyState(file, is_masked(file, writing, masks), 1.0))
        except InputError as error:
            self._put(key, CopyState(error=str(error)))
        except OSError as error:
            self._put(key, CopyState(error=os_sentence(error)))
        finally:
            with self._lock:
                ended = self._states[key]
                if ended.file is None and not ended.error:
                    self._states[key] = CopyState(error=_UNEXPECTED)

    def _put(self, key: _Key, state: CopyState) -> None:
        with self._lock:
            self._states[key] = state


@cache
def masked_copies() -> MaskedCopies:
    """Return the copies of this process."""
    return MaskedCopies()
