"""A parser for YAML files that others wrote."""

from __future__ import annotations

import re
from itertools import accumulate
from typing import Any

import yaml

from videopath.core.errors import InputError

_MAX_DEPTH = 200
_BRACKET = re.compile(r"[\[\]{}]")


def parse_yaml(data: bytes | str, place: str) -> Any:
    """Return the value of a YAML text.

    PyYAML also passes on the errors of its converters, such as ``ValueError`` for an impossible date.

    Args:
        data: The text, or its bytes in UTF-8.
        place: The beginning of error messages: the file's name.

    Raises:
        InputError: The text is not valid YAML or not UTF-8, or it is nested too deeply.
    """
    try:
        text = data.decode("utf-8-sig") if isinstance(data, bytes) else data
    except UnicodeDecodeError as error:
        raise InputError(f"{place} is not UTF-8 text.") from error
    if _open_brackets(text) > _MAX_DEPTH:
        raise InputError(f"{place} is nested too deeply to be read.")
    try:
        return yaml.safe_load(text)
    except yaml.YAMLError as error:
        raise InputError(f"{place} is not valid YAML: {_problem(error)}.") from error
    except RecursionError as error:
        raise InputError(f"{place} is nested too deeply to be read.") from error
    except (ValueError, TypeError, AttributeError, LookupError) as error:
        raise InputError(f"{place} has a value that does not match its YAML type: {error}.") from error


def _open_brackets(text: str) -> int:
    """Return the largest number of open brackets; PyYAML's time grows with its square."""
    steps = (1 if bracket in "[{" else -1 for bracket in _BRACKET.findall(text))
    return max(accumulate(steps), default=0)


def _problem(error: yaml.YAMLError) -> str:
    """Return the problem and its position in one line."""
    if isinstance(error, yaml.MarkedYAMLError) and error.problem and error.problem_mark:
        return (
            f"{error.problem} at line {error.problem_mark.line + 1}, column {error.problem_mark.column + 1}"
        )
    return " ".join(str(error).split())
