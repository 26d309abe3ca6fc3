"""One spelling for a diagnosis, so that two labels can be compared."""

from __future__ import annotations


def normalised_label(label: str) -> str:
    """Return a label in lower case, with single spaces and without a closing full stop.

    Two labels are the same diagnosis, as far as spelling goes, if their normalised forms are equal.

    >>> normalised_label("Colon  Adenocarcinoma.")
    'colon adenocarcinoma'
    """
    return " ".join(label.casefold().split()).rstrip(".")
