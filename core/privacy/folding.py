"""The form in which a text is searched: Latin letters, digits and signs in their simplest form."""

from __future__ import annotations

import unicodedata
from functools import cache

_SINGLE = {"ı": "i", "ł": "l", "Ł": "L", "ø": "o", "Ø": "O", "ß": "s", "đ": "d", "º": "o", "°": "o", "№": "n"}


def simplify(text: str) -> str:
    """Return a text as it is searched: composed, then folded."""
    return fold(compose(text))


def compose(text: str) -> str:
    """Return the text with composed characters, without invisible ones such as soft hyphens."""
    return "".join(c for c in unicodedata.normalize("NFC", text) if unicodedata.category(c) != "Cf")


def fold(text: str) -> str:
    """Return a text of the same length with Latin letters, digits and signs in their simplest form."""
    return text if text.isascii() else "".join(map(_folded_character, text))


@cache
def _folded_character(character: str) -> str:
    if character in _SINGLE:
        return _SINGLE[character]
    simple = unicodedata.normalize("NFKC", character)
    if len(simple) != 1:
        return " " if simple.startswith(" ") else character
    base = unicodedata.normalize("NFD", simple)[0]
    return base if base.isascii() else _SINGLE.get(simple, simple)
