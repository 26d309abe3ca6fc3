"""Text of a model, a record, a file or a person, made safe for where Streamlit reads Markdown."""

from __future__ import annotations

import re

_MARKS = re.compile(r"([\\`*_{}\[\]()<>#+\-.!|~$:&^=@])")
_REPLACED_LATER = re.compile(
    r":(?=[\w+/-]+:)|:(?=//)|\bwww(?=\.)|@(?=\w)|<(?=-)|-(?=[->])|[<>~](?==)", re.IGNORECASE
)
_JOINER = "\N{WORD JOINER}"  # not seen, and no place to break the line at


def inert(text: str) -> str:
    """The text on one line, as plain text where Streamlit reads Markdown.

    Every mark of Markdown is escaped, and with it HTML, ``:red[…]`` and ``$formulas$``. ``:shortcodes:``, addresses,
    e-mail addresses, ``->`` and ``>=`` are looked for when the escapes are gone: there an unseen character stands
    between.
    """
    return _MARKS.sub(r"\\\1", _REPLACED_LATER.sub(rf"\g<0>{_JOINER}", " ".join(text.split())))
