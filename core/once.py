"""What is made at its first use: once, whichever thread asks first."""

from __future__ import annotations

from collections.abc import Callable
from threading import RLock
from typing import Any, Generic, TypeVar, overload

T = TypeVar("T")


class once_property(Generic[T]):  # noqa: N801 - used as `property` is
    """A property that is computed at its first use and kept; threads that ask meanwhile wait for it.

    ``functools.cached_property`` has no lock since Python 3.12, and one for all instances before.
    """

    def __init__(self, make: Callable[[Any], T]) -> None:
        self._make = make
        self.__doc__ = make.__doc__

    def __set_name__(self, owner: type, name: str) -> None:
        self._name = name

    @overload
    def __get__(self, instance: None, owner: type) -> once_property[T]: ...

    @overload
    def __get__(self, instance: object, owner: type) -> T: ...

    def __get__(self, instance: object | None, owner: type) -> T | once_property[T]:
        if instance is None:
            return self
        kept = instance.__dict__
        with kept.setdefault(f"{self._name} (lock)", RLock()):
            if self._name not in kept:  # later reads find it there and never come here
                kept[self._name] = self._make(instance)
            return kept[self._name]
