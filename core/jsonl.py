"""JSON from files that others wrote: one parser, and one reader of lists and of JSON lines.

A line ends at a newline byte and nowhere else: U+2028, U+0085 and a carriage return may stand inside an entry.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from dataclasses import dataclass
from importlib.resources.abc import Traversable
from pathlib import Path
from typing import IO, Any

from videopath.core.errors import InputError, VideoPathError

_BOM = b"\xef\xbb\xbf"
_PERHAPS_HALF = re.compile(r"[\ud800-\udfff]|\\u[dD][89a-fA-F]")
"""A half of a surrogate pair, or an escape that may be one."""


@dataclass(frozen=True)
class JsonEntry:
    """An entry of a file: its value, or the sentence that says what is wrong with it."""

    number: int
    """From 1; blank lines do not count."""
    place: str
    """"Line 3 of cases.jsonl", or "Entry 3 of cases.json" in a list."""
    value: Any = None
    problem: str | None = None


def parse_json(data: bytes | str, place: str, kind: type[VideoPathError] = InputError) -> Any:
    """Return the value of a JSON text.

    Raises an error of the given kind, in one sentence that begins with ``place``, for everything that is not JSON.
    """
    try:
        return json.loads(data.decode("utf-8-sig") if isinstance(data, bytes) else data)
    except UnicodeDecodeError as error:
        raise kind(f"{place} is not UTF-8 text.") from error
    except json.JSONDecodeError as error:
        where = f"line {error.lineno}, column {error.colno}"
        raise kind(f"{place} is not whole JSON: {error.msg} at {where}.") from error
    except ValueError as error:  # a number of thousands of digits
        raise kind(f"{place} has a number that is too long to be read.") from error
    except RecursionError as error:
        raise kind(f"{place} is nested too deeply to be read.") from error


def json_entries(source: Path | Traversable, kind: type[VideoPathError] = InputError) -> Iterator[JsonEntry]:
    """Yield the entries of a JSON list or of JSON lines, in order; a damaged entry does not end the reading.

    Raises an error of the given kind for what concerns the whole file: it cannot be read, or is a damaged list.
    """
    try:
        with source.open("rb") as stream:
            start = len(_BOM) if stream.read(len(_BOM)) == _BOM else 0
            stream.seek(start)
            first = next((line.strip() for line in stream if line.strip()), b"")
            stream.seek(start)
            if first.startswith(b"["):
                yield from _listed(stream.read(), source, kind)
            else:
                yield from _lines(stream, source.name)
    except OSError as error:
        raise kind(f"{source} cannot be read: {error.strerror or error}.") from error


def _listed(data: bytes, source: Path | Traversable, kind: type[VideoPathError]) -> Iterator[JsonEntry]:
    text = data.decode(errors="surrogateescape")  # only the entries that hold the damaged bytes are refused
    suspicious = bool(_PERHAPS_HALF.search(text))
    for number, value in enumerate(parse_json(text, str(source), kind), start=1):
        place = f"Entry {number} of {source.name}"
        problem = _half_character(value, place) if suspicious else None
        yield JsonEntry(number, place, value, problem)


def _lines(stream: IO[bytes], name: str) -> Iterator[JsonEntry]:
    number = 0
    for line, data in enumerate(stream, start=1):  # a binary stream is split at newline bytes only
        if not data.strip():
            continue
        number += 1
        place = f"Line {line} of {name}"
        try:
            text = _text(data, place)
            value = parse_json(text, place)
        except InputError as error:
            yield JsonEntry(number, place, problem=str(error))
            continue
        problem = _half_character(value, place) if _PERHAPS_HALF.search(text) else None
        yield JsonEntry(number, place, value, problem)


def _text(data: bytes, place: str) -> str:
    try:
        return data.decode()
    except UnicodeDecodeError as error:
        raise InputError(f"{place} is not UTF-8 text.") from error


def _half_character(value: Any, place: str) -> str | None:
    """What is wrong with a value whose texts no file can hold."""
    try:
        json.dumps(value, ensure_ascii=False).encode()
    except UnicodeEncodeError:
        return f"{place} has a character that is not valid text (half of a surrogate pair)."
    except RecursionError:
        return f"{place} is nested too deeply to be read."
    return None
