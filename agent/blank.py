"""What the model says of nothing: the label that it gives a blank video.

A model that says the same of a blank video as of a case has not looked. It is asked once for each engine, site and
question, and only if its confidence is not calibrated: a calibration already tells what an answer is worth.
"""

from __future__ import annotations

import threading
from pathlib import Path
from typing import TYPE_CHECKING
from weakref import WeakKeyDictionary

import numpy as np

from videopath.agent.policy import Policy
from videopath.core.text import same_label
from videopath.model.questions import describe_question
from videopath.tools.diagnose import DiagnoseTool
from videopath.tools.schemas import ClipInput, DiagnoseResult
from videopath.tools.sessions import Recording, SessionPool

if TYPE_CHECKING:
    from videopath.model.video import Clip

_NAME = "blank"
_SIDE = 384  # pixels
_WHITE = 255

_Key = tuple[str | None, str | None, int, int, int]
_known: WeakKeyDictionary[object, dict[_Key, set[str]]] = WeakKeyDictionary()
_lock = threading.Lock()


def labels_of_blank(
    pool: SessionPool, site: str | None, question: str | None, frames: int, policy: Policy
) -> set[str]:
    """What the model says of a blank video of ``frames`` frames, as ``same_label`` gives it.

    The label with the highest score, and the one that it writes by itself.
    """
    engine = pool.engine
    key = (site, question, frames, policy.description_tokens, policy.answer_tokens)
    with _lock:
        found = _known.setdefault(engine, {}).get(key)
    if found is None:
        found = _asked(pool, site, question, frames, policy)
        with _lock:
            _known[engine][key] = found
    return found


def _asked(
    pool: SessionPool, site: str | None, question: str | None, frames: int, policy: Policy
) -> set[str]:
    blank = _BlankPool(pool)
    recording, request = Recording(blank), ClipInput(video=_NAME, frames=frames)
    try:
        session = recording.open(request)
        described = session.generate(describe_question(site), max_new_tokens=policy.description_tokens)
        asked = {
            "description": described.text.strip(),
            "site": site,
            "question": question,
            "max_new_tokens": policy.answer_tokens,
        }
        result: DiagnoseResult = DiagnoseTool(sessions=recording).invoke({**request.model_dump(), **asked})
    finally:
        blank.close()
    return {same_label(label) for label in (result.label, result.generated) if label}


class _BlankPool(SessionPool):
    """The engine of another pool before blank clips; nobody else asks it meanwhile."""

    def __init__(self, pool: SessionPool) -> None:
        super().__init__(pool.engine, keep=1)
        self._lock = pool._lock

    def clip(self, request: ClipInput) -> Clip:
        """An even white clip."""
        return _blank_clip(request.frames or self.frames)


def _blank_clip(frames: int) -> Clip:
    from videopath.model.video import Clip

    return Clip(
        path=Path(_NAME),
        frames=np.full((frames, _SIDE, _SIDE, 3), _WHITE, np.uint8),
        seconds=np.arange(frames, dtype=np.float64),
        indices=np.arange(frames, dtype=np.int64),
        fps=1.0,
        duration=float(frames),
        width=_SIDE,
        height=_SIDE,
        total_frames=frames,
        sha256="",
        sampling="uniform",
        kind="folder",
        reader="pillow",
    )
