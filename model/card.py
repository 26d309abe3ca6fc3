"""The model card that lies with a checkpoint, written for people."""

from __future__ import annotations

from pathlib import Path

from videopath.model.inference.engine import NANO, NANO_FOLDER, CardFile, read_card

CARD_NAMES = ("MODEL_CARD.md", "README.md")
"""Looked for in this order; the second is the hub's own habit."""


def card_text(name: str | Path) -> str | None:
    """The card of "nano" or of a checkpoint folder, Markdown; none where there is none, as with a hub id."""
    folder = _folder(name)
    found = next((folder / card for card in CARD_NAMES if (folder / card).is_file()), None)
    return found.read_text(encoding="utf-8", errors="replace") if found else None


def card_facts(name: str | Path) -> CardFile:
    """What the checkpoint says of itself in ``videopath.json``; empty where it is not at hand.

    Raises ``ModelError`` for a file that is broken.
    """
    return read_card(_folder(name))


def _folder(name: str | Path) -> Path:
    return NANO_FOLDER if name == NANO else Path(name).expanduser()
