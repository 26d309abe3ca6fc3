"""The logger ``videopath``: each module logs under its own import name, so that a room can be filtered.

As a library VideoPath shows no log: whoever uses it configures ``logging`` as usual. The command line shows the log on
stderr if ``--verbose`` is given (warnings) or the setting ``log_level`` names a level. Messages hold ids, names of
models, devices and seconds. Paths of videos and texts of cases or people appear at DEBUG only.
"""

from __future__ import annotations

import logging
import sys
import time

from videopath.core.choices import LogLevel

NAME = "videopath"


class _Stderr(logging.Handler):
    """Writes to the stderr of the moment: tests and servers may replace it."""

    def emit(self, record: logging.LogRecord) -> None:
        try:
            line = "".join(
                c if c.isprintable() or c == "\n" else "\N{REPLACEMENT CHARACTER}"
                for c in self.format(record)
            )
            print(line, file=sys.stderr, flush=True)
        except (OSError, ValueError):  # stderr is closed
            self.handleError(record)


def show_log(level: LogLevel) -> None:
    """Write the log from this level on to stderr; a second call only changes the level.

    A line: ``2026-01-31T14:25:01.123Z INFO videopath.agent.agent: Case 20260131-142501-9f3c1a: done after 4.2 s.``
    """
    logger = logging.getLogger(NAME)
    logger.setLevel(level.upper())
    if not any(isinstance(handler, _Stderr) for handler in logger.handlers):
        handler = _Stderr()
        formatter = logging.Formatter(
            "%(asctime)s.%(msecs)03dZ %(levelname)s %(name)s: %(message)s", "%Y-%m-%dT%H:%M:%S"
        )
        formatter.converter = time.gmtime
        handler.setFormatter(formatter)
        logger.addHandler(handler)


def hide_log() -> None:
    """Undo :func:`show_log`."""
    logger = logging.getLogger(NAME)
    logger.setLevel(logging.NOTSET)
    for handler in [one for one in logger.handlers if isinstance(one, _Stderr)]:
        logger.removeHandler(handler)
