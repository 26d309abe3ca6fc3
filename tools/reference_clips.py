"""Stand-ins: clips in the place of the case's own, either blank or drawn tissue of another organ.

What the model says of a stand-in as well, it does not say because of what it sees.
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

StandInKind = Literal["blank", "foreign"]

_SIDE = 384  # pixels
_WHITE = 255
_SEED = 12


@contextmanager
def stand_in(
    pool: SessionPool, kind: StandInKind, frames: int, site: str | None = None
) -> Iterator[ClipSession]:
    """Open a session of the pool's engine on a stand-in; "foreign" is tissue of another organ than ``site``."""
    stand_ins = _StandInPool(pool, kind, site)
    try:
        yield Recording(stand_ins).open(ClipInput(video=kind, frames=frames))
    finally:
        stand_ins.close()


class _StandInPool(SessionPool):
    """A pool with the engine and the lock of another pool, whose clips are stand-ins instead of files."""

    def __init__(self, pool: SessionPool, kind: StandInKind, site: str | None) -> None:
        super().__init__(pool.engine, keep=1, prompts=pool.prompts)
        self._lock = pool._lock
        self._kind, self._site = kind, site

    def clip(self, request: ClipInput) -> Clip:
        """Return the stand-in with as many frames as the request names."""
        return _clip(self._kind, request.frames or self.frames, self._site)


def _clip(kind: StandInKind, count: int, site: str | None) -> Clip:
    import numpy as np

    from videopath.media import synthetic
    from videopath.media.clip import Clip

    if kind == "blank":
        frames = np.full((count, _SIDE, _SIDE, 3), _WHITE, np.uint8)
    else:
        entity = next(name for name, organ in synthetic.ENTITIES.items() if organ != site)
        frames = synthetic.render_clip(entity, _SEED, count, _SIDE)
    return Clip(
        path=Path(kind),
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
