"""The progress of a batch on stderr: a bar with rate, estimate and counts by status; lines if it is no terminal."""

from __future__ import annotations

import time
from collections import Counter
from types import TracebackType
from typing import TYPE_CHECKING, Self

from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from videopath.app.cli.console import plain, say, stderr

if TYPE_CHECKING:
    from videopath.agent.many.results import ResultRow

_EVERY = 60.0  # seconds between two lines
_RECENT = 600.0  # seconds that the rate is measured over


class BatchProgress:
    """Counts the rows that end, and shows them."""

    def __init__(self, total: int) -> None:
        self.counts: Counter[str] = Counter()
        self._total = total
        self._console = stderr()
        self._worked = 0  # rows of this run, without those that were done before
        self._began = self._said = time.monotonic()
        self._bar = Progress(
            BarColumn(),
            MofNCompleteColumn(),
            TextColumn("{task.fields[rate]}"),
            TimeRemainingColumn(compact=True),
            TextColumn("{task.fields[counts]}"),
            console=self._console,
            transient=True,
            disable=not self._console.is_terminal,
            speed_estimate_period=_RECENT,
        )
        self._task = self._bar.add_task("", total=total, rate="loading", counts="")

    def __enter__(self) -> Self:
        self._bar.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._bar.stop()

    def loaded(self) -> None:
        """Begin to measure the rate: the model is loaded."""
        self._began = time.monotonic()
        self._bar.update(self._task, rate="")

    def ended(self, row: ResultRow) -> None:
        """Count a row."""
        self.counts[row.status] += 1
        self._worked += not row.repeated
        if row.status in ("refused", "failed") and not row.repeated:
            where = (
                f"{row.path}: "
                if row.reason and not row.reason.startswith(("Line ", "Row ", "Entry "))
                else ""
            )
            self._bar.console.print(plain(f"{row.status}: {where}{row.reason}"), soft_wrap=True)
        self._bar.update(self._task, advance=1, rate=self._rate(), counts=self.in_words())
        if not self._console.is_terminal and time.monotonic() - self._said >= _EVERY:
            self._said = time.monotonic()
            say(
                f"{self.counts.total():,} of {self._total:,}: {self.in_words()}; {self._rate()}{self._estimate()}"
            )

    def in_words(self) -> str:
        """Return the counts by status."""
        return ", ".join(f"{count:,} {status}" for status, count in sorted(self.counts.items())) or "no row"

    def _rate(self) -> str:
        hours = (time.monotonic() - self._began) / 3600
        return f"{self._worked / hours:,.0f} an hour" if self._worked and hours > 0 else ""

    def _estimate(self) -> str:
        if not self._worked:
            return ""
        each = (time.monotonic() - self._began) / self._worked
        minutes = (self._total - self.counts.total()) * each / 60
        return f", about {minutes:,.0f} minutes left" if minutes >= 1 else ""
