"""Text of models, records, files and people, made safe for places where Streamlit reads Markdown."""

from __future__ import annotations

import re

_MARKS = re.compile(r"([\\`*_{}\[\]()<>#+\-.!|~$:&^=@])")
_REPLACED_LATER = re.compile(
    r":(?=[\w+/-]+:)|:(?=//)|\bwww(?=\.)|@(?=\w)|<(?=-)|-(?=[->])|[<>~](?==)", re.IGNORECASE
)
_JOINER = "\N{WORD JOINER}"  # invisible, and no line break


def inert(text: str) -> str:
    """Return the text on one line, so that Streamlit's Markdown shows it unchanged.

    All marks of Markdown, HTML, ``:red[…]`` and ``$formulas$`` are escaped. Streamlit replaces ``:shortcodes:``, web
    and e-mail addresses, ``->`` and ``>=`` after it has read the escapes; an invisible character splits these.
    """
    return _MARKS.sub(r"\\\1", _REPLACED_LATER.sub(rf"\g<0>{_JOINER}", " ".join(text.split())))
