"""Pieces of a person's data in a text, and the reasons that are given for them."""

from __future__ import annotations

from typing import NamedTuple

RECORD, BIRTH, NAME = "a record number", "a birth date", "a name"
ACCESSION, PHONE, EMAIL, ADDRESS = "an accession number", "a phone number", "an e-mail address", "an address"
REASONS = (RECORD, BIRTH, NAME, ACCESSION, PHONE, EMAIL, ADDRESS)
"""The reasons that are given, in this order."""


class Piece(NamedTuple):
    """One piece of a person's data within a text."""

    start: int
    end: int
    reason: str
    label: int = -1
    """Where the label begins that announces it; -1 without a label."""


def digit_count(value: str) -> int:
    """Return how many digits a text has."""
    return sum(c.isdigit() for c in value)
