"""The logger ``videopath``: each module logs under its own import name, so that a room can be filtered.

As a library VideoPath shows no log: whoever uses it configures ``logging`` as usual. The command line shows the log on
stderr if ``--verbose`` is given (warnings), if the setting ``log_level`` names a level, or if ``--log-json`` or the
setting ``log_json`` asks for JSON (from info on). Messages hold ids, names of models, devices and seconds. Paths of
videos and texts of cases or people appear at DEBUG only.
"""

from __future__ import annotations

import json
import logging
import re
import sys
import time
import traceback
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from datetime import UTC, datetime
from types import MappingProxyType, TracebackType
from typing import Any

from videopath.core.choices import LogLevel

NAME = "videopath"
FIELDS = ("case_id", "step", "device", "seconds")
"""The fields of a JSON line beside time, level, logger and message, where they are known."""

_known: ContextVar[Mapping[str, Any]] = ContextVar("videopath_log_fields", default=MappingProxyType({}))
# from a space, a quote or a bracket on; paths with spaces end at the first one
_PATH = re.compile(
    r"(?:file:/+|(?<![^\s'\"(\[=:])(?:(?:~|\.{1,2})?/(?!/)|[A-Za-z]:[\\/]|\\\\))[^\s'\",;)\]]+"
)
_SUFFIX = re.compile(r"\.[A-Za-z]\w{1,4}$")


class _Stderr(logging.Handler):
    """Writes to the stderr of the moment: tests and servers may replace it."""

    as_json = False

    def emit(self, record: logging.LogRecord) -> None:
        try:
            line = "".join(
                c if c.isprintable() or c == "\n" else "\N{REPLACEMENT CHARACTER}"
                for c in self.format(record)
            )
            print(line, file=sys.stderr, flush=True)
        except (OSError, ValueError):  # stderr is closed
            self.handleError(record)


class JsonLine(logging.Formatter):
    """Formats a record as one JSON object in one line.

    Its fields are ``time`` (UTC, ISO 8601), ``level``, ``logger``, ``message`` and, where they are known, those of
    :data:`FIELDS`. An error adds ``error``, the name of its class, and ``traceback``, modules with line numbers; the
    error's own text may hold a path, and is added as ``error_text`` if the logger shows DEBUG.
    """

    def format(self, record: logging.LogRecord) -> str:
        """Return the line, without a newline."""
        moment = datetime.fromtimestamp(record.created, UTC)
        line: dict[str, Any] = {
            "time": moment.isoformat(timespec="milliseconds").replace("+00:00", "Z"),
            "level": record.levelname.lower(),
            "logger": record.name,
            "message": record.getMessage(),
        }
        known = _known.get()
        for name in FIELDS:
            value = getattr(record, name, known.get(name))
            if value is not None:
                line[name] = round(value, 3) if isinstance(value, float) else value
        if record.exc_info and record.exc_info[1] is not None:
            line |= _error_fields(record.exc_info[1], record.exc_info[2])
        return json.dumps(line, ensure_ascii=False, default=str)


def _error_fields(error: BaseException, trace: TracebackType | None) -> dict[str, Any]:
    frames = [
        f"{frame.f_globals.get('__name__', '?')}:{number} {frame.f_code.co_name}"
        for frame, number in traceback.walk_tb(trace)
    ]
    fields: dict[str, Any] = {"error": type(error).__name__, "traceback": frames}
    if logging.getLogger(NAME).isEnabledFor(logging.DEBUG):
        fields["error_text"] = str(error)
    return fields


@contextmanager
def log_fields(**fields: Any) -> Iterator[None]:
    """Add fields to the JSON lines of this block, in this thread. Those of :data:`FIELDS` are shown."""
    token = _known.set({**_known.get(), **fields})
    try:
        yield
    finally:
        _known.reset(token)


def known_fields() -> Mapping[str, Any]:
    """Return the fields that :func:`log_fields` has set here."""
    return _known.get()


def show_log(level: LogLevel, as_json: bool | None = None) -> None:
    """Write the log from this level on to stderr; a second call changes the level and the form.

    A line: ``2026-01-31T14:25:01.123Z INFO videopath.agent.agent: Case 20260131-142501-9f3c1a: done after 4.2 s.``

    Args:
        level: The lowest level that is shown.
        as_json: One JSON object a line, see :class:`JsonLine`; None: as the setting ``log_json`` says.
    """
    logger = logging.getLogger(NAME)
    logger.setLevel(level.upper())
    handler = next((one for one in logger.handlers if isinstance(one, _Stderr)), None)
    if handler is None:
        handler = _Stderr()
        logger.addHandler(handler)
    handler.as_json = _json_by_settings() if as_json is None else as_json
    handler.setFormatter(JsonLine() if handler.as_json else _text_line())


def _text_line() -> logging.Formatter:
    formatter = logging.Formatter(
        "%(asctime)s.%(msecs)03dZ %(levelname)s %(name)s: %(message)s", "%Y-%m-%dT%H:%M:%S"
    )
    formatter.converter = time.gmtime
    return formatter


def _json_by_settings() -> bool:
    from videopath.core.errors import InputError
    from videopath.core.settings import load_settings

    try:
        return load_settings().log_json
    except InputError:  # a command that needs the settings reports it
        return False


def shows_json() -> bool:
    """Return whether the log goes to stderr as JSON, so that other sentences on stderr have to go with it."""
    return any(isinstance(one, _Stderr) and one.as_json for one in logging.getLogger(NAME).handlers)


def without_paths(text: str) -> str:
    """Return a sentence with ``…`` in place of paths, and of files and folders that the command line names."""
    given = {one.split("=", 1)[-1] for one in sys.argv[1:]}
    paths = {one for one in given if "/" in one or "\\" in one or _SUFFIX.search(one)}
    names = {re.split(r"[\\/]", one.rstrip("\\/"))[-1] for one in paths}
    for path in sorted(paths | names - {"", ".", ".."}, key=len, reverse=True):
        text = text.replace(path, "…")
    return _PATH.sub("…", text)


def hide_log() -> None:
    """Undo :func:`show_log`."""
    logger = logging.getLogger(NAME)
    logger.setLevel(logging.NOTSET)
    for handler in [one for one in logger.handlers if isinstance(one, _Stderr)]:
        logger.removeHandler(handler)
