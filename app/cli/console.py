"""Output on the terminal: results on stdout, everything else on stderr."""

from __future__ import annotations

import logging
import os
import sys
import warnings
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from types import TracebackType
from typing import TYPE_CHECKING, Self, TypeVar

from rich.cells import cell_len, set_cell_size
from rich.console import Console, Group
from rich.live import Live
from rich.progress import Progress, track
from rich.spinner import Spinner
from rich.table import Table
from rich.text import Text

from videopath.core.errors import InputError
from videopath.core.log import show_log, shows_json
from videopath.core.settings import load_settings

if TYPE_CHECKING:
    from videopath.agent.cases.records import Step

Item = TypeVar("Item")

_log = logging.getLogger(__name__)

_PIPE_WIDTH = 160
_LONG = 1000  # rows of a table
_TAIL = 400  # characters of the streamed answer on the screen


def stdout() -> Console:
    """Return the console for results; lines to a file or pipe may be longer than the terminal's."""
    return Console(file=sys.stdout, highlight=False, width=None if sys.stdout.isatty() else _PIPE_WIDTH)


def stderr() -> Console:
    """Return the console for progress and errors; it shows nothing if the log goes to stderr in JSON."""
    return Console(file=sys.stderr, highlight=False, quiet=shows_json())


def plain(text: str, style: str = "") -> Text:
    """Return text without markup, its control characters replaced: it cannot steer the terminal."""
    return Text(_printable(text), style)


def _printable(text: str) -> str:
    if text.isprintable():
        return text
    return "".join(c if c.isprintable() or c == "\n" else "\N{REPLACEMENT CHARACTER}" for c in text)


def emit_json(document: str) -> None:
    """Write one JSON document to stdout."""
    sys.stdout.write(document.rstrip("\n") + "\n")
    sys.stdout.flush()


def say(message: str) -> None:
    """Print a sentence on stderr; a log in JSON has it at level debug, since it may name a path."""
    if shows_json():
        _log.debug(message)
    else:
        stderr().print(plain(message), soft_wrap=True)


def table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> Table:
    """Return a table; markup in its cells is not read."""
    grid = Table(box=None, pad_edge=False, header_style="bold")
    for name in head:
        grid.add_column(name, overflow="fold")
    for row in rows:
        grid.add_row(*(plain(cell) for cell in row))
    return grid


def print_table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
    """Print a table on stdout. A long one is written line by line: rich takes half a millisecond for each row."""
    if len(rows) <= _LONG:
        stdout().print(table(head, rows))
        return
    lines = [[" ".join(_printable(cell).split("\n")) for cell in row] for row in (head, *rows)]
    widths = [max(map(cell_len, column)) for column in zip(*lines, strict=True)]
    for line in lines:
        padded = (set_cell_size(cell, width) for cell, width in zip(line, widths, strict=True))
        sys.stdout.write("  ".join(padded).rstrip() + "\n")


def quiet_libraries(verbose: bool) -> None:
    """Hide the libraries' progress bars and warnings unless ``verbose``, and switch on VideoPath's log if requested."""
    os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")
    show_requested_log(verbose)
    if verbose:
        return
    os.environ.setdefault("TRANSFORMERS_VERBOSITY", "error")
    os.environ.setdefault("TRANSFORMERS_NO_ADVISORY_WARNINGS", "1")
    os.environ.setdefault("HF_HUB_VERBOSITY", "error")
    warnings.simplefilter("ignore")


def show_requested_log(verbose: bool = False, as_json: bool | None = None) -> None:
    """Show VideoPath's log at the level of the settings.

    Args:
        verbose: Show its warnings if no level is set.
        as_json: As JSON, from info on if no level is set; None: as the settings say.
    """
    try:
        level = load_settings().log_level
    except InputError:  # a command that needs the settings reports it
        level = None
    if level or as_json or verbose:
        show_log(level or ("info" if as_json else "warning"), as_json)


@contextmanager
def progress_bar(description: str) -> Iterator[Callable[[int, int], None]]:
    """Yield a callback for (done, total); it moves a bar on stderr if that is a terminal."""
    console = stderr()
    with Progress(console=console, transient=True, disable=not console.is_terminal) as bar:
        task = bar.add_task(description, total=None)
        yield lambda done, total: bar.update(task, completed=done, total=total)


def collect_with_progress(items: Iterable[Item], total: int | None, description: str) -> list[Item]:
    """Return all items as a list, with a bar on stderr meanwhile; ``total`` is None if it is not known."""
    if total == 0:
        return []
    return list(track(items, total=total, description=description, console=stderr()))


class StepDisplay:
    """Prints each finished step; on a terminal also the running step and what the model is writing."""

    def __init__(self, console: Console | None = None) -> None:
        self._console = console or stderr()
        self._spinner = Spinner("dots", Text("starting"))
        self._written = ""
        self._live = Live(console=self._console, refresh_per_second=8, transient=True)
        self._on_terminal = self._console.is_terminal

    def __enter__(self) -> Self:
        if self._on_terminal:
            self._live.start()
            self.working("starting")
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._on_terminal:
            self._live.stop()

    def working(self, name: str) -> None:
        """Show the running step."""
        self._written = ""
        self._spinner = Spinner("dots", plain(name))
        self._refresh()

    def token(self, text: str) -> None:
        """Append a piece of the model's answer."""
        self._written = (self._written + text)[-_TAIL:]
        self._refresh()

    def finished(self, step: Step) -> None:
        """Print a finished step."""
        line = Text("✓ ", style="green")
        line.append(f"{step.name:<14}", style="bold")
        line.append(f"{step.seconds:7.2f} s  {step.device or '':<6} ", style="dim")
        line.append(plain(" ".join(step.summary.split())))
        self._console.print(line, soft_wrap=not self._on_terminal)
        self.working("")

    def _refresh(self) -> None:
        if self._on_terminal:
            written = plain(" ".join(self._written.split()), "dim italic")
            self._live.update(Group(self._spinner, written) if self._written else self._spinner)
