"""What the commands of ``videopath evaluate`` share: a default command, a bar while figures come."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Any, TypeVar

from typer.core import TyperGroup

DEFAULT = "clips"
OF_A_SET = "answers"
_SET_SUFFIXES = {".json", ".jsonl"}

Item = TypeVar("Item")


class DefaultGroup(TyperGroup):
    """A group whose options without a command are those of its default command; a file in its place is a test set."""

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        """Put the command where none stands; the group itself has no option but ``--help``."""
        if not args or (args[0].startswith("-") and args[0] not in ctx.help_option_names):
            args = [DEFAULT, *args]
        elif args[0] not in self.commands and _is_set(args[0]):
            args = [OF_A_SET, *args]
        return super().parse_args(ctx, args)


def _is_set(name: str) -> bool:
    """A file, or what would be one if it were there: that it is not is told by the command."""
    return Path(name).suffix.lower() in _SET_SUFFIXES or Path(name).is_file()


def tracked(found: Iterable[Item], total: int | None, description: str) -> list[Item]:
    """All that comes, with a bar on stderr meanwhile."""
    from rich.progress import track

    from videopath.app.cli.console import stderr

    if total == 0:
        return []
    return list(track(found, total=total, description=description, console=stderr()))
