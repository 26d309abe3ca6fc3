"""Exit codes, and known errors as one sentence on stderr instead of a traceback."""

from __future__ import annotations

import errno
import logging
import sqlite3
import threading
from types import TracebackType
from typing import Any

import typer
from typer.core import TyperGroup

from videopath.core.errors import VideoPathError
from videopath.core.text import has_half_characters

_log = logging.getLogger(__name__)

EXIT_DONE = 0
EXIT_FAILED = 1
EXIT_USAGE = 2
EXIT_WAITING = 3
EXIT_ABSTAINED = 4
EXIT_INTERRUPTED = 130

_NO_SPACE = (errno.ENOSPC, errno.EDQUOT)
_NOT_WRITABLE = (errno.EACCES, errno.EPERM, errno.EROFS)

_UsageError: Any = typer.BadParameter.__mro__[1]  # click's own, which Typer carries with it


class GuardedGroup(TyperGroup):
    """A command group that turns known errors into a sentence and an exit code."""

    def invoke(self, ctx: Any) -> Any:
        """Run the command."""
        from videopath.core.log import shows_json

        try:
            return super().invoke(ctx)
        except _UsageError as error:
            if not shows_json():
                raise
            say_error(error.format_message())
            raise typer.Exit(EXIT_USAGE) from error
        except VideoPathError as error:
            say_error(str(error))
            raise typer.Exit(error.exit_code) from error
        except UnicodeEncodeError as error:
            if not has_half_characters(str(error.object)):
                raise
            say_error(
                "A file name or an argument is not valid UTF-8 text. Rename the file or folder, or type the "
                "argument again."
            )
            raise typer.Exit(EXIT_USAGE) from error
        except BrokenPipeError:
            raise
        except OSError as error:
            say_error(os_sentence(error))
            raise typer.Exit(EXIT_FAILED) from error
        except sqlite3.OperationalError as error:
            say_error(
                f"A database in the home folder cannot be used ({error}). Free disk space, or set VIDEOPATH_HOME."
            )
            raise typer.Exit(EXIT_FAILED) from error


def say_error(message: str) -> None:
    """Print an error on stderr; markup in the message is not read. A log in JSON has it without the paths."""
    from rich.text import Text

    from videopath.app.cli.console import plain, stderr
    from videopath.core.log import shows_json, without_paths

    if shows_json():
        _log.error(without_paths(message))
        _log.debug(message)
        return

    line = Text("Error: ", style="bold red")
    line.append(plain(" ".join(message.split())))
    stderr().print(line, soft_wrap=True, highlight=False)


def say_unexpected_error(
    kind: type[BaseException], error: BaseException, trace: TracebackType | None
) -> None:
    """Print one sentence instead of the traceback of an unexpected error (a ``sys.excepthook``)."""
    say_error(
        f"VideoPath failed unexpectedly ({kind.__name__}: {error}). "
        "Run the command again with --verbose to see the traceback, and report the problem."
    )


def say_thread_error(failure: threading.ExceptHookArgs) -> None:
    """Print the traceback of a thread that failed, or write it to a log in JSON (a ``threading.excepthook``)."""
    from videopath.core.log import shows_json

    if shows_json() and failure.exc_value is not None:
        _log.error("A thread failed unexpectedly.", exc_info=failure.exc_value)
    else:
        threading.__excepthook__(failure)


def os_sentence(error: OSError) -> str:
    """Return a sentence that says what the system refused and what to do about it."""
    path = f" {error.filename}" if error.filename else ""
    if error.errno in _NO_SPACE:
        return (
            f"The disk is full; writing{path} failed. Free some space, or set VIDEOPATH_HOME to another disk."
        )
    if error.errno in _NOT_WRITABLE:
        return (
            f"There is no permission to use{path or ' a file'} ({error.strerror}). "
            "Change the permissions, or set VIDEOPATH_HOME to a folder that you can write to."
        )
    return f"The system refused to open or write{path or ' a file'}: {error.strerror or error}."
