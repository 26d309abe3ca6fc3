"""A person's data in a text: record numbers, birth dates, names, accession numbers, telephone numbers and addresses.

The text may come from a file's name, from container metadata, or from a reader of burned-in writing. Blanks may then be
missing, an ``O`` may stand for ``0`` and an ``l`` for ``1``. The words beside which such data stands are in
``personal.yaml``, in eleven languages. Ages, dates without such a word, stains, genes, stages, magnifications, scale bars
and ids of public data sets are not a person's data. Rules cannot know every name: a name counts if a word, a title, a
record number or a birth date announces it, or if it is written as in DICOM or as ``DOE, JOHN``.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import NamedTuple

from videopath.core.privacy.folding import compose, fold, simplify
from videopath.core.privacy.names import (
    find_announced_names,
    find_dated_names,
    find_given_pairs,
    find_names_beside,
    find_titled_names,
    find_written_names,
)
from videopath.core.privacy.numbers import (
    find_accessions,
    find_births,
    find_contacts,
    find_labelled_numbers,
    find_long_numbers,
    find_shaped_numbers,
)
from videopath.core.privacy.pieces import REASONS, Piece


class ScreenedText(NamedTuple):
    """A text without a person's data."""

    text: str
    """Each piece is replaced by what it was, as ``[record number]``."""
    masked: int
    """Number of replaced pieces."""
    reasons: list[str]
    """What they were, each once."""


def personal_reasons(text: str) -> list[str]:
    """Return what a text says of a person, as "a record number" or "a name", each once; empty if nothing."""
    return _reasons(_pieces(simplify(text)))


def screened_text(text: str) -> ScreenedText:
    """Return a text with each piece of a person's data replaced by what it was, as ``[record number]``.

    A text without such data is returned unchanged; otherwise its characters are composed (NFC), and invisible ones
    are removed.
    """
    composed = compose(text)
    pieces = _merged(_pieces(fold(composed)))
    if not pieces:
        return ScreenedText(text, 0, [])
    parts, end = [], 0
    for piece in pieces:
        parts += [composed[end : piece.start], f"[{piece.reason.split(' ', 1)[1]}]"]
        end = piece.end
    return ScreenedText("".join([*parts, composed[end:]]), len(pieces), _reasons(pieces))


def reasons_in_name(name: str) -> list[str]:
    """Return what the name of a file or folder says of a person.

    Other than in a text, a given name beside another word that is no usual one is enough: ``DOE_JOHN_liver.mp4``.
    """
    plain = simplify(name)
    without_suffix = _SUFFIX.sub("", plain)
    return _reasons([*_pieces(without_suffix), *find_given_pairs(without_suffix, in_file=True)])


_SUFFIX = re.compile(r"(?<=.)\.(?:[a-z][a-z0-9]{0,4}|3gp|7z|[A-Z][A-Z0-9]{2,3}\d?(?<!\.[A-Z]{4}))$")


def _reasons(pieces: Iterable[Piece]) -> list[str]:
    given = {piece.reason for piece in pieces}
    return [reason for reason in REASONS if reason in given]


def _merged(pieces: Iterable[Piece]) -> list[Piece]:
    """Return the pieces in order; overlapping ones become one."""
    merged: list[Piece] = []
    for piece in sorted(pieces):
        if merged and piece.start < merged[-1].end:
            last = merged[-1]
            merged[-1] = Piece(last.start, max(last.end, piece.end), last.reason)
        else:
            merged.append(piece)
    return merged


def _pieces(text: str) -> list[Piece]:
    """Return the pieces of a folded text, in no order; they may overlap."""
    text = _HASH.sub(lambda match: " " * len(match[0]), text)
    found = [
        *find_labelled_numbers(text),
        *find_births(text),
        *find_shaped_numbers(text),
        *find_accessions(text),
        *find_long_numbers(text),
        *find_contacts(text),
        *find_announced_names(text),
        *find_titled_names(text),
        *find_written_names(text),
    ]
    return [*found, *find_names_beside(text, found), *find_dated_names(text)]


_HASH = re.compile(
    r"(?<![A-Za-z0-9])(?:[0-9A-Fa-f]{8}(?:-[0-9A-Fa-f]{4}){3}-[0-9A-Fa-f]{12}"  # a UUID
    r"|(?=[0-9]*[A-Fa-f])(?=[A-Fa-f]*[0-9])(?:[0-9a-f]{16,}|[0-9A-F]{16,}))(?![A-Za-z0-9])"
)
