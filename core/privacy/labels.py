"""Words that announce a person's data, from ``personal.yaml``, as patterns; and dates."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Iterator
from functools import cache
from importlib.resources import files
from typing import Any

import yaml

from videopath.core.privacy.folding import fold

_DISTINCT = 8  # letters from which a label is found inside a longer word as well
_ALWAYS_DISTINCT = {"mrn", "dob", "pesel", "tckn"}
_GAP = r"[\s._\-/]{0,3}"  # between the words of a label
_TO_VALUE = r"[\s:;#=._\-/|(\[,*'\"–—]{0,6}"  # between a label and what it announces
_NUMBER_WORD = r"(?:(?:n[o0]|nr|num(?:mer|ero|ber)?|id|is)(?![a-z]))?"
_DIGIT = r"[0-9OoQlI|]"
_ANY_SEP = r"\s?[./\-,_ ]\s?"
_WORD_ENDS = r"(?-i:(?![A-Za-z])|(?<=[a-z])(?=[A-Z]))"  # a blank, a sign, or the next word: PatientName


@cache
def label_table() -> dict[str, Any]:
    """Return the content of ``personal.yaml``."""
    text = files("videopath.core.privacy").joinpath("personal.yaml").read_text(encoding="utf-8")
    return dict(yaml.load(text, Loader=yaml.BaseLoader))  # "no" and "on" are words, not truth values


@cache
def listed_words(name: str) -> frozenset[str]:
    """Return a list of words of the table, folded, in lower case."""
    return frozenset(fold(word).casefold() for word in label_table()[name])


def _labels(labels: Collection[str], after: str = "") -> re.Pattern[str]:
    """Return a pattern that matches the longest of the labels, where a word begins."""
    folded = {fold(label) for label in labels}
    first = r"(?:(?<![^\W\d_])|(?-i:(?<=[a-z])(?=[A-Z])))"
    own, anywhere = _any_of(folded), _any_of(filter(_is_distinct, folded))
    return re.compile(f"(?:{first}{own}|{anywhere}){after}", re.IGNORECASE)


def _is_distinct(label: str) -> bool:
    """Return whether no usual word contains the label, so that it is found where blanks are missing."""
    return label in _ALWAYS_DISTINCT or len(label.replace(" ", "")) >= _DISTINCT or not label.isascii()


class _Node(dict[str, "_Node"]):
    """What may follow a beginning of labels: pattern of a character → the next node."""

    ends = False


def _any_of(labels: Iterable[str]) -> str:
    """Return a pattern for any of the labels; common beginnings are tried once, which is ten times faster."""
    root = _Node()
    for label in labels:
        node = root
        for atom in _atoms(label):
            node = node.setdefault(atom, _Node())
        node.ends = True
    return _pattern_of(root) or "(?!)"


def _pattern_of(node: _Node) -> str:
    if not node:
        return ""
    either = "|".join(atom + _pattern_of(after) for atom, after in sorted(node.items()))
    return f"(?:{either})" + ("?" if node.ends else "")


def _atoms(label: str) -> Iterator[str]:
    """Yield the patterns of a label's characters; blanks between its words may be missing or other signs."""
    words = label.split()
    dotted = len(words) == 1 and len(label) <= 4 and label.isascii()  # an abbreviation: M.R.N.
    for n, word in enumerate(words):
        for m, character in enumerate(word):
            gap = _GAP if n and not m else r"\.?" if dotted and m else ""
            yield gap + _LETTERS.get(character, re.escape(character))


_LETTERS = {"o": "[o0]", "i": "[il1|]", "l": "[li1|]"}


@cache
def label_patterns() -> dict[str, re.Pattern[str]]:
    """Return the patterns of the labels by kind; most have a group ``value`` for what stands behind the label."""
    table = label_table()
    record = _TO_VALUE + _NUMBER_WORD + _TO_VALUE
    value = r"(?P<value>(?-i:[A-Z]{1,4}[\s\-/.]?|[a-z]{1,4}[\-/]?)?[0-9OoQlI|][A-Z0-9|]*(?:[\-/.][A-Z0-9|]+|[ _][0-9][A-Z0-9|]*)*)"
    no_word = r"(?-i:(?![a-z]))"
    return {
        "strong": _labels(table["record"]["strong"], no_word + record + value),
        "weak": _labels(table["record"]["weak"], _WORD_ENDS + record + value),
        "accession": _labels(table["accession"], no_word + record + value),
        "birth year": _labels(
            table["birth"]["year"], rf"{no_word}{_TO_VALUE}(?P<value>{date_pattern()}|(?:19|20)\d\d(?!\d))"
        ),
        "birth": _labels(
            [*table["birth"]["date"], *table["birth"]["year"]],
            rf"{no_word}{_TO_VALUE}(?:in|on|the|am|il|le|el|em|op)?{_TO_VALUE}(?P<value>{date_pattern()})",
        ),
        "name strong": _labels(table["name"]["strong"], _WORD_ENDS),
        "name weak": _labels(table["name"]["weak"], _WORD_ENDS),
        "phone": _labels(
            table["phone"],
            no_word + _TO_VALUE + r"(?P<value>\+?[0-9OolI|(][0-9OolI|()\s./\-]{5,18}[0-9OolI|])",
        ),
        "address": _labels(table["address"], no_word + r"\s*[:=]\s*(?P<value>[^\n;]{4,80})"),
    }


@cache
def date_pattern() -> str:
    """A day in any usual form: 11.04.1962, 1962-04-11, 11 Apr 62, April 11, 1962, 11APR1962, 19620411, 1962年4月11日."""
    months = "|".join(
        sorted((name for names in label_table()["months"].values() for name in names), key=len, reverse=True)
    )
    d, year = _DIGIT, rf"(?:{_DIGIT}{{4}}|{_DIGIT}{{2}})(?![0-9])"
    of = r"[\s.\-,/_]{0,3}(?:of|de|del|di)?[\s.\-,/_]{0,3}"
    return (
        rf"(?:{d}{{4}}{_ANY_SEP}{d}{{1,2}}{_ANY_SEP}{d}{{1,2}}(?![0-9])"
        rf"|{d}{{1,2}}{_ANY_SEP}{d}{{1,2}}{_ANY_SEP}{year}"
        rf"|{d}{{1,2}}(?:st|nd|rd|th|er|o|a)?{of}(?:{months})\.?{of}{year}"
        rf"|(?:{months})\.?\s?{d}{{1,2}}(?:st|nd|rd|th)?[\s.,\-_]{{1,3}}{year}"
        rf"|{d}{{4}}[\s\-_]?(?:{months})[\s\-_]?{d}{{1,2}}(?![0-9])"
        rf"|(?:明治|大正|昭和|平成|令和)?\s?\d{{1,4}}\s?年\s?\d{{1,2}}\s?月\s?\d{{1,2}}\s?日?"
        rf"|{d}{{8}}(?![0-9])|{d}{{6}}(?![0-9]))"
    )


@cache
def full_date() -> re.Pattern[str]:
    """Return the pattern of a date that does not begin inside a number."""
    return re.compile(rf"(?<![0-9]){date_pattern()}", re.IGNORECASE)


@cache
def label_words() -> frozenset[str]:
    """Return all words of all labels."""
    table = label_table()
    labels = [
        *table["record"]["strong"], *table["accession"], *table["birth"]["year"], *table["birth"]["date"],
        *table["name"]["strong"], *table["name"]["weak"], *table["phone"], *table["address"],
    ]  # fmt: skip
    words = {word for label in labels for word in fold(label).casefold().split()}
    return frozenset({*words, *(fold(label).casefold().replace(" ", "") for label in labels)})
