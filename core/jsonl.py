"""JSON and JSON-lines files: a parser, a reader for files that others wrote, and an append-only file of our own.

A line ends at a newline byte and nowhere else: U+2028, U+0085 and a carriage return may stand inside an entry.
"""

from __future__ import annotations

import json
import os
import re
import threading
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from importlib.resources.abc import Traversable
from pathlib import Path
from typing import IO, Any

from videopath.core.errors import InputError, VideoPathError
from videopath.core.files import private_file, replaced_on_success
from videopath.core.text import has_half_characters

_BOM = b"\xef\xbb\xbf"
_TAIL = 1 << 16  # bytes
_PERHAPS_HALF = re.compile(r"[\ud800-\udfff]|\\u[dD][89a-fA-F]")
"""A half character (half of a surrogate pair), or an escape that may be one."""


class JsonLines:
    """An append-only file of JSON lines that survives a kill.

    Each line is written by a single ``write``. A kill can tear only the last line: readers leave a torn line out, and
    the next writer removes it. Several threads of one process may append; several processes may not.
    """

    def __init__(self, path: Path, *, private: bool = False, synced: bool = False) -> None:
        """Name the file; nothing is read or written yet.

        Args:
            path: The file. The first ``append`` makes it and its folder.
            private: Only the owner may read the file and the folders that are made for it.
            synced: ``append`` returns when the line is on disk.
        """
        self.path = path
        self._private, self._synced = private, synced
        self._lock = threading.Lock()

    def append(self, line: str) -> None:
        """Write one line; ``line`` has no newline. Raises ``OSError`` if it cannot be written."""
        with self._lock:
            if self._private:
                private_file(self.path)
            else:
                self.path.parent.mkdir(parents=True, exist_ok=True)
            with self.path.open("a+b") as stream:
                _drop_torn_tail(stream)
                stream.write(line.encode() + b"\n")
                if self._synced:
                    stream.flush()
                    os.fsync(stream.fileno())

    def read(self) -> list[bytes]:
        """Return the whole lines, each with its newline; a missing file has no lines.

        Raises ``OSError`` if the file cannot be read.
        """
        try:
            return whole_lines(self.path.read_bytes())
        except FileNotFoundError:
            return []

    def replace(self, lines: Iterable[bytes]) -> None:
        """Replace all lines at once; after a kill, the file holds either the old lines or the new ones.

        Args:
            lines: Lines with their newlines.
        """
        with self._lock, replaced_on_success(self.path, private=self._private) as part:
            part.write_bytes(b"".join(lines))


def whole_lines(data: bytes) -> list[bytes]:
    """Split the bytes of a JSON-lines file into lines with their newlines, without a torn last line."""
    *whole, _ = data.split(b"\n")
    return [line + b"\n" for line in whole]


def _drop_torn_tail(stream: IO[bytes]) -> None:
    """Cut off what follows the last newline; the stream's position is then the end of the file."""
    size = end = stream.seek(0, os.SEEK_END)
    while end > 0:
        start = max(end - _TAIL, 0)
        stream.seek(start)
        newline = stream.read(end - start).rfind(b"\n")
        if newline >= 0:
            end = start + newline + 1
            break
        end = start
    if end < size:
        stream.truncate(end)
    stream.seek(end)


@dataclass(frozen=True)
class JsonEntry:
    """An entry of a file: its value, or a sentence that says what is wrong with it."""

    number: int
    """From 1; blank lines do not count."""
    place: str
    """"Line 3 of cases.jsonl", or "Entry 3 of cases.json" in a list."""
    value: Any = None
    problem: str | None = None


def parse_json(data: bytes | str, place: str, kind: type[VideoPathError] = InputError) -> Any:
    """Return the value of a JSON text.

    Args:
        data: The text, or its bytes in UTF-8, with or without a byte order mark.
        place: The beginning of error messages: the file's name, or "Line 3 of cases.jsonl".
        kind: Class of the error for everything that is not valid JSON.
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
    """Yield the entries of a JSON list or of JSON lines, in order; the reading continues after a damaged entry.

    Args:
        source: The file.
        kind: Class of the error if the whole file cannot be read, or is a damaged list.
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
    text = data.decode(errors="surrogateescape")  # so that only the entries with damaged bytes are rejected
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
    """Return the problem with a value if its texts have half characters."""
    try:
        text = json.dumps(value, ensure_ascii=False)
    except RecursionError:
        return f"{place} is nested too deeply to be read."
    if has_half_characters(text):
        return f"{place} has a character that is not valid text (half of a surrogate pair)."
    return None
