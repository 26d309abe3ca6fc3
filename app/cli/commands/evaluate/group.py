"""The command group ``videopath evaluate``."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import typer
from typer.core import TyperGroup

from videopath.app.cli.commands.evaluate.answers import answers
from videopath.app.cli.commands.evaluate.clips import clips
from videopath.app.cli.commands.evaluate.html_report import report
from videopath.app.cli.commands.evaluate.lab import lab
from videopath.app.cli.commands.evaluate.retrieval import retrieval
from videopath.app.cli.commands.evaluate.write_set import write_set

_CLIPS = "clips"
_ANSWERS = "answers"
_SET_SUFFIXES = {".json", ".jsonl"}


class DefaultGroup(TyperGroup):
    """A command group with two defaults: options alone run ``clips``, a file name runs ``answers``."""

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        """Insert the name of the default command if the arguments name no command."""
        if not args or (args[0].startswith("-") and args[0] not in ctx.help_option_names):
            args = [_CLIPS, *args]
        elif args[0] not in self.commands and _is_set(args[0]):
            args = [_ANSWERS, *args]
        return super().parse_args(ctx, args)


def _is_set(name: str) -> bool:
    """Also True for a missing file with the suffix of a test set: the command then reports that it is missing."""
    return Path(name).suffix.lower() in _SET_SUFFIXES or Path(name).is_file()


evaluate_app = typer.Typer(
    cls=DefaultGroup,
    help="Measure on held-out data: a test set (`videopath evaluate SET`), the agent on clips of tiles "
    "(`videopath evaluate --data DIR`), retrieval, or your own cases as knowledge.",
)
evaluate_app.command(_CLIPS)(clips)
evaluate_app.command(_ANSWERS)(answers)
evaluate_app.command("write-set")(write_set)
evaluate_app.command("report")(report)
evaluate_app.command("retrieval")(retrieval)
evaluate_app.command("lab")(lab)
