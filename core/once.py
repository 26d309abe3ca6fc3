"""A property that is computed once, at its first use, also with several threads."""

from __future__ import annotations

from collections.abc import Callable
from threading import RLock
from typing import Any, Generic, TypeVar, overload

T = TypeVar("T")


class once_property(Generic[T]):  # noqa: N801 - used as `property` is
    """A property that is computed at its first use and kept; other threads wait for it meanwhile.

    ``functools.cached_property`` has no lock since Python 3.12, and before that one lock for all instances.
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
            if self._name not in kept:  # from now on Python finds the value there and does not call this
                kept[self._name] = self._make(instance)
            return kept[self._name]
