"""Checks of the arguments that the sessions of all engines share."""

from __future__ import annotations

import math

from videopath.core.errors import InputError


def check_generation(max_new_tokens: int, temperature: float, top_p: float, seed: int | None) -> None:
    """Raise ``InputError`` if an argument of ``Session.generate`` is out of range."""
    if max_new_tokens < 1:
        raise InputError(f"An answer needs max_new_tokens of 1 or more, not {max_new_tokens}.")
    if not (math.isfinite(temperature) and temperature >= 0):
        raise InputError(f"The temperature must be 0 (greedy) or above, not {temperature}.")
    if not 0 < top_p <= 1:
        raise InputError(f"top_p must be in (0, 1], not {top_p}.")
    if seed is not None and not -(2**63) <= seed < 2**63:
        raise InputError(f"The seed must be a whole number of 64 bits, not {seed}.")


def check_reduction(reduce: str) -> None:
    """Raise ``InputError`` if scores cannot be reduced in this way."""
    if reduce not in ("mean", "sum"):
        raise InputError(f"Scores are reduced by 'mean' or 'sum', not {reduce!r}.")
