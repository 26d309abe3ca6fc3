"""The feed: an actor that holds the cases until the reading task takes them, and knows what each actor does.

It has no state that cannot be lost: after a restart the driver fills it again, see :mod:`videopath.agent.many.cluster.pool`.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Sequence
from dataclasses import dataclass, field

from videopath.agent.many.identity import System

_LONGEST = 2.0  # seconds that an answer may take, so that the driver notices a restart


@dataclass(frozen=True)
class FeedState:
    """What the driver is told."""

    version: int = 0
    tasks: int = 0
    """Rows that the feed holds; fewer than were given after a restart."""
    loading: int = 0
    """Actors that load their model."""
    loads: int = 0
    """Loads that were begun since one succeeded."""
    systems: dict[str, System] = field(default_factory=dict)
    """What each actor has loaded, by the actor's id."""
    error: Exception | None = None
    """Why an actor cannot load its model."""
    working: dict[str, tuple[str, float]] = field(default_factory=dict)
    """The cases that are worked on → the process, and for how many seconds."""


class Feed:
    """See the module. All methods run in one event loop."""

    def __init__(self) -> None:
        self._changed = asyncio.Condition()
        self._version = 0
        self._rows: list[dict[str, str]] = []
        self._closed = False
        self._loading: set[str] = set()
        self._loads = 0
        self._systems: dict[str, System] = {}
        self._error: Exception | None = None
        self._tries: dict[str, int] = {}
        self._working: dict[str, tuple[str, float]] = {}

    async def push(self, start: int, rows: Sequence[dict[str, str]], closed: bool) -> None:
        """Append rows whose first one has the number ``start``; rows that are there already are left out."""
        new = rows[max(0, len(self._rows) - start) :] if start <= len(self._rows) else ()
        self._rows.extend(new)
        self._closed = self._closed or closed
        await self._tell()

    async def take(self, number: int) -> dict[str, str] | None:
        """Wait for the row of a number, and return it; None: there are no more."""
        async with self._changed:
            await self._changed.wait_for(lambda: number < len(self._rows) or self._closed)
        return self._rows[number] if number < len(self._rows) else None

    async def begin_loading(self, actor: str) -> None:
        """Note that an actor loads its model."""
        self._loading.add(actor)
        self._systems.pop(actor, None)
        self._loads += 1
        await self._tell()

    async def loaded(self, actor: str, system: System | Exception) -> None:
        """Note what an actor has loaded, or why it could not."""
        self._loading.discard(actor)
        if isinstance(system, Exception):
            self._error = system
        else:
            self._systems[actor] = system
            self._loads = 0
        await self._tell()

    async def begin(self, case_id: str, process: str) -> int:
        """Note that a process works on a case; return how many began it before and did not end it."""
        before = self._tries.get(case_id, 0)
        self._tries[case_id] = before + 1
        self._working[case_id] = (process, time.monotonic())
        await self._tell()
        return before

    async def end(self, case_id: str) -> None:
        """Note that a case ended."""
        self._tries.pop(case_id, None)
        self._working.pop(case_id, None)
        await self._tell()

    async def wait(self, version: int) -> FeedState:
        """Return the state as soon as its version is another one, or after a while."""
        try:
            async with asyncio.timeout(_LONGEST), self._changed:
                await self._changed.wait_for(lambda: self._version != version)
        except TimeoutError:
            pass
        now = time.monotonic()
        working = {case_id: (process, now - since) for case_id, (process, since) in self._working.items()}
        return FeedState(
            self._version,
            len(self._rows),
            len(self._loading),
            self._loads,
            dict(self._systems),
            self._error,
            working,
        )

    async def _tell(self) -> None:
        async with self._changed:
            self._version += 1
            self._changed.notify_all()
