"""How a command leaves: one sentence on stderr and the right exit code, never a traceback for what is known."""

from __future__ import annotations

import errno
import sqlite3
from types import TracebackType
from typing import Any

import typer
from typer.core import TyperGroup

from videopath.core.errors import VideoPathError
from videopath.core.text import has_half_characters

EXIT_DONE = 0
EXIT_FAILED = 1
EXIT_USAGE = 2
EXIT_WAITING = 3
EXIT_ABSTAINED = 4
EXIT_INTERRUPTED = 130

_NO_SPACE = (errno.ENOSPC, errno.EDQUOT)
_NOT_WRITABLE = (errno.EACCES, errno.EPERM, errno.EROFS)


class GuardedGroup(TyperGroup):
    """A group of commands whose known errors become a sentence and an exit code."""

    def invoke(self, ctx: Any) -> Any:
        """Run the command that was asked for."""
        try:
            return super().invoke(ctx)
        except VideoPathError as error:
            say_error(str(error))
            raise typer.Exit(error.exit_code) from error
        except UnicodeEncodeError as error:
            if not has_half_characters(str(error.object)):
                raise
            say_error(
                "A name or a word that was given is not valid UTF-8 text: rename the file or folder, or write it anew."
            )
            raise typer.Exit(EXIT_USAGE) from error
        except BrokenPipeError:
            raise
        except OSError as error:
            say_error(os_sentence(error))
            raise typer.Exit(EXIT_FAILED) from error
        except sqlite3.OperationalError as error:
            say_error(
                f"A database in the home folder cannot be used ({error}): free the disk or set VIDEOPATH_HOME."
            )
            raise typer.Exit(EXIT_FAILED) from error


def say_error(message: str) -> None:
    """A sentence on stderr; it may hold brackets of any text."""
    from rich.text import Text

    from videopath.app.cli.console import plain, stderr

    line = Text("Error: ", style="bold red")
    line.append(plain(" ".join(message.split())))
    stderr().print(line, soft_wrap=True, highlight=False)


def say_unexpected(kind: type[BaseException], error: BaseException, trace: TracebackType | None) -> None:
    """What stands in the place of a traceback for an error that nobody foresaw."""
    say_error(
        f"VideoPath failed in a way that it should not ({kind.__name__}: {error}). "
        "Run the command again with --verbose to see where, and report it."
    )


def os_sentence(error: OSError) -> str:
    """What the system refused, and what to do about it."""
    place = f" {error.filename}" if error.filename else ""
    if error.errno in _NO_SPACE:
        return (
            f"The disk is full; writing{place} failed. Free some space or set VIDEOPATH_HOME to another disk."
        )
    if error.errno in _NOT_WRITABLE:
        return (
            f"There is no permission to use{place or ' a file'} ({error.strerror}). "
            "Change its permissions or set VIDEOPATH_HOME to a folder that you can write to."
        )
    return f"The system refused{place or ' a file'}: {error.strerror or error}."
