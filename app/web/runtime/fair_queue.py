"""A fair queue: the owners take turns, no matter how many cases each of them has waiting."""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable
from typing import Generic, TypeVar

Item = TypeVar("Item")


class FairQueue(Generic[Item]):
    """Serves the owner who was served longest ago, and of that owner the item that came first."""

    def __init__(self) -> None:
        self._lines: dict[str, deque[Item]] = {}
        self._served: dict[str, int] = {}  # owner → turn at which the owner's last item was taken
        self._turn = 0
        self._closed = False
        self._changed = threading.Condition()

    def put(self, owner: str, item: Item) -> None:
        """Add an item behind the owner's other items."""
        with self._changed:
            self._lines.setdefault(owner, deque()).append(item)
            self._changed.notify()

    def take(self) -> Item | None:
        """Wait for the next item and return it; return None once the queue is closed."""
        with self._changed:
            self._changed.wait_for(lambda: self._lines or self._closed)
            if self._closed:
                return None
            owner = _next_owner(self._lines, self._served)
            line = self._lines[owner]
            item = line.popleft()
            if not line:
                del self._lines[owner]
            self._turn += 1
            self._served[owner] = self._turn
            return item

    def remove(self, matches: Callable[[Item], bool]) -> list[Item]:
        """Remove all matching items and return them."""
        with self._changed:
            removed = [item for line in self._lines.values() for item in line if matches(item)]
            remaining = {
                owner: deque(i for i in line if not matches(i)) for owner, line in self._lines.items()
            }
            self._lines = {owner: line for owner, line in remaining.items() if line}
            return removed

    def waiting(self) -> list[Item]:
        """Return the items in the order in which they will be taken if no other item comes."""
        with self._changed:
            lines = {owner: deque(line) for owner, line in self._lines.items()}
            served, turn = dict(self._served), self._turn
        order: list[Item] = []
        while lines:
            owner = _next_owner(lines, served)
            order.append(lines[owner].popleft())
            turn += 1
            served[owner] = turn
            if not lines[owner]:
                del lines[owner]
        return order

    def close(self) -> None:
        """Close the queue: ``take`` returns None from now on, also in threads that wait in it."""
        with self._changed:
            self._closed = True
            self._changed.notify_all()

    @property
    def closed(self) -> bool:
        """Whether the queue was closed."""
        return self._closed


def _next_owner(lines: dict[str, deque[Item]], served: dict[str, int]) -> str:
    return min(lines, key=lambda owner: served.get(owner, 0))
