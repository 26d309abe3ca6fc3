"""What a person sees: results on stdout, everything else on stderr."""

from __future__ import annotations

import os
import sys
import warnings
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from types import TracebackType
from typing import TYPE_CHECKING, Self

from rich.console import Console, Group
from rich.live import Live
from rich.progress import Progress
from rich.spinner import Spinner
from rich.table import Table
from rich.text import Text

if TYPE_CHECKING:
    from videopath.agent.cases.records import Step

_PIPE_WIDTH = 160
_TAIL = 400  # characters of the streamed answer that are shown


def stdout() -> Console:
    """The console for results; lines that go to a file or a pipe may be longer."""
    return Console(file=sys.stdout, highlight=False, width=None if sys.stdout.isatty() else _PIPE_WIDTH)


def stderr() -> Console:
    """The console for progress and errors."""
    return Console(file=sys.stderr, highlight=False)


def plain(text: str, style: str = "") -> Text:
    """Text as it is: markup in it is not read, control characters cannot steer the terminal."""
    return Text(
        "".join(c if c.isprintable() or c == "\n" else "\N{REPLACEMENT CHARACTER}" for c in text), style
    )


def emit_json(document: str) -> None:
    """One JSON document on stdout and nothing else."""
    sys.stdout.write(document.rstrip("\n") + "\n")
    sys.stdout.flush()


def say(message: str) -> None:
    """A sentence on stderr."""
    stderr().print(plain(message), soft_wrap=True)


def table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> Table:
    """A table of plain texts: markup in them is not read."""
    shown = Table(box=None, pad_edge=False, header_style="bold")
    for name in head:
        shown.add_column(name, overflow="fold")
    for row in rows:
        shown.add_row(*(plain(cell) for cell in row))
    return shown


def quiet_libraries(verbose: bool) -> None:
    """Keep the libraries' own progress bars and warnings off the screen unless ``verbose``."""
    os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")
    if verbose:
        return
    os.environ.setdefault("TRANSFORMERS_VERBOSITY", "error")
    os.environ.setdefault("TRANSFORMERS_NO_ADVISORY_WARNINGS", "1")
    os.environ.setdefault("HF_HUB_VERBOSITY", "error")
    warnings.simplefilter("ignore")


@contextmanager
def progress_bar(what: str) -> Iterator[Callable[[int, int], None]]:
    """A bar on stderr, on a terminal only, for callbacks of (done, in all)."""
    console = stderr()
    with Progress(console=console, transient=True, disable=not console.is_terminal) as bar:
        task = bar.add_task(what, total=None)
        yield lambda done, total: bar.update(task, completed=done, total=total)


class StepDisplay:
    """Shows each step as it finishes, and on a terminal the one at work with what the model is writing."""

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
        """The step that is at work now."""
        self._written = ""
        self._spinner = Spinner("dots", plain(name))
        self._refresh()

    def token(self, text: str) -> None:
        """A piece of what the model writes."""
        self._written = (self._written + text)[-_TAIL:]
        self._refresh()

    def finished(self, step: Step) -> None:
        """A step is done."""
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
