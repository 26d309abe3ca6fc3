"""YAML from files that others wrote."""

from __future__ import annotations

import re
from itertools import accumulate
from typing import Any

import yaml

from videopath.core.errors import InputError

_DEEPEST = 200
_BRACKET = re.compile(r"[\[\]{}]")


def parse_yaml(data: bytes | str, place: str) -> Any:
    """Return the value of a YAML text. Raises ``InputError``, in one sentence that begins with ``place``.

    PyYAML raises what its converters raise as well: ``ValueError`` for a date that is none, ``TypeError`` for others.
    """
    try:
        text = data.decode("utf-8-sig") if isinstance(data, bytes) else data
    except UnicodeDecodeError as error:
        raise InputError(f"{place} is not UTF-8 text.") from error
    if _open_brackets(text) > _DEEPEST:
        raise InputError(f"{place} is nested too deeply to be read.")
    try:
        return yaml.safe_load(text)
    except yaml.YAMLError as error:
        raise InputError(f"{place} is not valid YAML: {_problem(error)}.") from error
    except RecursionError as error:
        raise InputError(f"{place} is nested too deeply to be read.") from error
    except (ValueError, TypeError, AttributeError, LookupError) as error:
        raise InputError(f"{place} has a value that is not what its YAML mark says: {error}.") from error


def _open_brackets(text: str) -> int:
    """How many brackets are open at most; PyYAML's time grows with the square of it."""
    steps = (1 if bracket in "[{" else -1 for bracket in _BRACKET.findall(text))
    return max(accumulate(steps), default=0)


def _problem(error: yaml.YAMLError) -> str:
    """What is wrong, and where, in one line."""
    if isinstance(error, yaml.MarkedYAMLError) and error.problem and error.problem_mark:
        return (
            f"{error.problem} at line {error.problem_mark.line + 1}, column {error.problem_mark.column + 1}"
        )
    return " ".join(str(error).split())
