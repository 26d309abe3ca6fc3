"""The words that diagnoses consist of; they tell a term of pathology from a word that does not exist.

The list is ``terms.txt``. It only says that a word may occur in a diagnosis, not what the word means.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Collection
from functools import cache
from importlib.resources import files

from videopath.core.pathology.sites import SITES

_WORD = re.compile(r"[^\W_]+(?:'s)?")
_NUMBER = re.compile(r"[a-z]{0,3}\d+[a-z]{0,2}|[ivx]+|\d+")  # a grade, a stage or a marker
_SPELLINGS = (
    ("tumour", "tumor"), ("haem", "hem"), ("oesoph", "esoph"), ("oedema", "edema"), ("leukaem", "leukem"),
    ("anaemi", "anemi"), ("ischaem", "ischem"), ("naevus", "nevus"), ("naevi", "nevi"), ("goitre", "goiter"),
    ("fibre", "fiber"), ("grey", "gray"), ("coeliac", "celiac"), ("caecum", "cecum"), ("foetal", "fetal"),
    ("gynaec", "gynec"), ("paediatric", "pediatric"), ("diarrhoea", "diarrhea"), ("uraemi", "uremi"),
)  # fmt: skip
_ENDINGS = (("ies", "y"), ("mata", "ma"), ("ses", "sis"), ("ae", "a"), ("es", ""), ("s", ""), ("'s", ""))


def words_of(text: str) -> list[str]:
    """Return the words of a text, in lower case and American spelling."""
    plain = unicodedata.normalize("NFKD", text.casefold().replace("’", "'"))
    words = _WORD.findall("".join(c for c in plain if not unicodedata.combining(c)))
    return [_american(word) for word in words]


def is_term(label: str, more: Collection[str] = ()) -> bool:
    """Return whether every word of a label may occur in a diagnosis; ``more`` holds further known words."""
    words = words_of(label)
    return bool(words) and all(_is_known(word, more) for word in words)


def names_disease(label: str) -> bool:
    """Return whether a label names a disease or tissue (adenoma, colitis, normal mucosa), not only a site or a property."""
    return any(form in _sections()["what it is"] for word in words_of(label) for form in _forms(word))


def _is_known(word: str, more: Collection[str]) -> bool:
    if _NUMBER.fullmatch(word):
        return True
    return any(form in known for form in _forms(word) for known in (_words(), more))


def _forms(word: str) -> list[str]:
    return [word, *(word[: -len(end)] + instead for end, instead in _ENDINGS if word.endswith(end))]


def _american(word: str) -> str:
    for british, american in _SPELLINGS:
        word = word.replace(british, american)
    return word


@cache
def _words() -> frozenset[str]:
    sites = {word for site, others in SITES.items() for name in (site, *others) for word in words_of(name)}
    return frozenset().union(*_sections().values(), sites)


@cache
def _sections() -> dict[str, frozenset[str]]:
    """Section of the list → its words; an entry with a hyphen counts as two words."""
    text = files("videopath.core.pathology").joinpath("terms.txt").read_text(encoding="utf-8")
    sections: dict[str, list[str]] = {}
    section = ""
    for line in text.splitlines():
        if line.startswith("["):
            section = line.strip("[]")
        elif not line.startswith("#"):
            sections.setdefault(section, []).extend(words_of(line))
    return {name: frozenset(words) for name, words in sections.items()}
