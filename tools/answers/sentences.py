"""The sentences of a description."""

from __future__ import annotations

import re

_SENTENCE_END = re.compile(r"(?<=[.!?])\s+(?=[A-Z0-9(])")
_ABBREVIATION = re.compile(r"\b(?:e\.g|i\.e|cf|vs|ca|approx|Fig|Dr|no)\.$", re.IGNORECASE)


def split_sentences(text: str) -> list[str]:
    """Return the sentences of a description in order, each once. Joined by spaces they are the text without repeats."""
    pieces: list[str] = []
    for piece in _SENTENCE_END.split(" ".join(text.split())):
        if pieces and _ABBREVIATION.search(pieces[-1]):
            pieces[-1] += f" {piece}"
        elif piece:
            pieces.append(piece)
    return list(dict.fromkeys(pieces))
