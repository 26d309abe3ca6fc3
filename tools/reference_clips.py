"""Clips that stand in for the case's own: an even white one, and drawn tissue of another organ.

What the model says of these as well, it does not say because of what it sees.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from videopath.tools.schemas import ClipInput
from videopath.tools.session_pool import ClipSession, Recording, SessionPool

if TYPE_CHECKING:
    from videopath.media.clip import Clip

StandIn = Literal["blank", "foreign"]

_SIDE = 384  # pixels
_WHITE = 255
_SEED = 12


@contextmanager
def stand_in(pool: SessionPool, what: StandIn, frames: int, site: str | None = None) -> Iterator[ClipSession]:
    """The pool's engine before a stand-in of ``frames`` frames; ``foreign`` is of another organ than ``site``."""
    other = _StandInPool(pool, what, site)
    try:
        yield Recording(other).open(ClipInput(video=what, frames=frames))
    finally:
        other.close()


class _StandInPool(SessionPool):
    """The engine of another pool before clips that are no files; nobody else asks it meanwhile."""

    def __init__(self, pool: SessionPool, what: StandIn, site: str | None) -> None:
        super().__init__(pool.engine, keep=1)
        self._lock = pool._lock
        self._what, self._site = what, site

    def clip(self, request: ClipInput) -> Clip:
        """The stand-in, of as many frames as are asked for."""
        return _clip(self._what, request.frames or self.frames, self._site)


def _clip(what: StandIn, count: int, site: str | None) -> Clip:
    import numpy as np

    from videopath.media import synthetic
    from videopath.media.clip import Clip

    if what == "blank":
        frames = np.full((count, _SIDE, _SIDE, 3), _WHITE, np.uint8)
    else:
        entity = next(name for name, of in synthetic.ENTITIES.items() if of != site)
        frames = synthetic.render_clip(entity, _SEED, count, _SIDE)
    return Clip(
        path=Path(what),
        frames=frames,
        seconds=np.arange(count, dtype=np.float64),
        indices=np.arange(count, dtype=np.int64),
        fps=1.0,
        duration=float(count),
        width=_SIDE,
        height=_SIDE,
        total_frames=count,
        sha256="",
        sampling="uniform",
        kind="folder",
        reader="pillow",
    )
