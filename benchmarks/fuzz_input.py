"""What a kind of fuzz.py makes: a damaged input with the public names that read it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from random import Random


@dataclass(frozen=True)
class Input:
    """A damaged file or folder."""

    path: Path
    readings: Sequence[Callable[[], object]]
    """Each is tried, whether or not another one refuses."""
    ignored: tuple[str, ...] = ()
    """Names in the work folder that the readings may write."""
    writes: bool = False
    """Whether the readings may change the input itself."""


Maker = Callable[[Random, Path], Input]
"""(generator, empty folder) → an input in that folder."""
