"""``videopath skill``: where the agent skill is."""

from __future__ import annotations

from pathlib import Path

import typer

SKILL_FOLDER = Path(__file__).resolve().parents[2] / "skill"
"""The folder of the skill: SKILL.md, and tasks to evaluate an assistant with."""


def skill() -> None:
    """Print the folder of the agent skill: how an assistant uses VideoPath, and what it may not claim."""
    typer.echo(str(SKILL_FOLDER))
