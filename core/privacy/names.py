"""Names of persons in a text.

Rules cannot know every name: a name counts if a word, a title, a record number or a birth date announces it, or if it is
written as in DICOM or as ``DOE, JOHN``.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from functools import cache
from itertools import takewhile

from videopath.core.pathology.sites import SITES
from videopath.core.pathology.terms import is_term
from videopath.core.privacy.folding import fold
from videopath.core.privacy.labels import date_pattern, label_patterns, label_table, label_words, listed_words
from videopath.core.privacy.numbers import BEFORE_LABEL
from videopath.core.privacy.pieces import ACCESSION, BIRTH, NAME, RECORD, Piece

_MAX_NAME = 5  # words, initials included
_NAME_WORD = r"(?:[A-Z][a-z'’]+|[A-Z](?:[A-Z'’]*[A-Z])?(?![a-z]))"
_CJK = r"[\u3040-\u30ff\u3400-\u9fff]"
_NAMES = re.compile(rf"{_NAME_WORD}(?:[\s,._^\-]{{0,2}}{_NAME_WORD}){{0,{_MAX_NAME - 1}}}")
_WORD = re.compile(_NAME_WORD)
_LOWER_NAMES = re.compile(r"[a-z][a-z'’]+(?:[\s,._^\-]{1,2}[a-z][a-z'’]+){0,2}")


_CJK_NAME = re.compile(
    rf"[\s:=]*(?P<value>{_CJK}{{2,4}}(?:\s(?!出生|生年|性|年|病|患|住|登|身){_CJK}{{1,4}})?)"
)


def find_announced_names(text: str) -> Iterator[Piece]:
    """Find names behind words such as "patient name" and "Name:"."""
    for kind in ("name strong", "name weak"):
        for match in label_patterns()[kind].finditer(text):
            if not match[0].isascii():
                name = _CJK_NAME.match(text, match.end())
                if name is not None and (kind == "name strong" or name[0][:1] in ":= "):
                    yield Piece(*name.span("value"), NAME)
            announced = re.compile(r"[\s:;=#._\-|/(\[]{0,6}").match(text, match.end())
            between = announced[0] if announced else ""
            if kind == "name weak" and not _announces(between) and _is_name_of_thing(text, match):
                continue
            piece = _name_at(text, match.end() + len(between), kind == "name strong", _announces(between))
            if piece is not None:
                yield piece


def _is_name_of_thing(text: str, match: re.Match[str]) -> bool:
    """Return whether the word "name" ends the name of something: FILE_NAME."""
    return match[0].casefold() in _NAME and BEFORE_LABEL.search(text, 0, match.start()) is not None


_NAME = ("name", "names", "nom", "nombre", "nome", "naam")


def _announces(between: str) -> bool:
    return any(c in between for c in ":=")


def _name_at(text: str, start: int, strong: bool, announced: bool) -> Piece | None:
    """Return the name that begins at ``start``, if it is one."""
    match = _NAMES.match(text, start)
    if match is None:
        lower = _LOWER_NAMES.match(text, start)
        if lower is None or not (announced or strong):
            return None
        words = re.findall(r"[a-z'’]+", lower[0])
        given = any(map(_is_given, words))
        if any(map(_is_usual, words)) or not (strong or given):
            return None
        if not (announced or given) and text[lower.end() : lower.end() + 2].strip(" _")[:1].isalpha():
            return None  # a sentence goes on
        return Piece(*lower.span(), NAME)
    words, end = _name_words(text, match)
    if not words:
        return None
    given = any(_is_given(word) for word in words)
    if strong and (announced or len(words) > 1 or given or words[0].isupper()):
        return Piece(start, end, NAME)
    if announced and (len(words) > 1 or len(words[0]) > 2):
        return Piece(start, end, NAME)
    paired = len(words) > 1 and (
        given or any(c in text[start:end] for c in ",^") or all(word.isupper() for word in words)
    )
    return Piece(start, end, NAME) if paired else None


def _name_words(text: str, match: re.Match[str]) -> tuple[list[str], int]:
    """Return the first words of a match that may be a name's, and where they end."""
    words, end = [], match.start()
    for word in _WORD.finditer(text, match.start(), match.end()):
        if _is_usual(word[0]) or len(word[0]) > 20:
            break
        words.append(word[0])
        end = word.end()
    if words and all(len(word) == 1 for word in words):
        return [], match.start()
    return words, end


def find_titled_names(text: str) -> Iterator[Piece]:
    """Find names behind a title: Dr. Smith, Frau Weber, MR. DOE; and before one: Ayşe Hanım."""
    for match in _titles().finditer(text):
        names = _NAMES.match(text, match.end())
        if names is not None:
            words, end = _name_words(text, names)
        else:
            lower = re.compile(r"[a-z'’]{3,}(?:[ _][a-z'’]{3,})?").match(text, match.end())
            words = re.findall(r"[a-z'’]+", lower[0]) if lower is not None and match[0][0].islower() else []
            words, end = ([], 0) if any(map(_is_usual, words)) or lower is None else (words, lower.end())
        if match["given"] and not any(map(_is_given, words)):
            continue
        if words and (len(words[0]) > 2 or len(words) > 1):
            yield Piece(match.end(), end, NAME)
    for match in re.finditer(
        rf"({_NAME_WORD})[ _](?:Hanim|Bey)(?![a-z])|({_CJK}{{2,4}})(?:先生|女士|様)", text
    ):
        group = 1 if match[1] else 2
        if not _is_usual(match[group]):
            yield Piece(*match.span(group), NAME)


@cache
def _titles() -> re.Pattern[str]:
    titles = label_table()["titles"]
    plain = "|".join(sorted(map(fold, titles["plain"]), key=len, reverse=True))
    given = "|".join(titles["given"])
    dotted = "|".join(sorted(titles["dotted"], key=len, reverse=True))
    start = r"(?:(?<![A-Za-z0-9-])(?<!HLA )|(?<=[a-z])(?=[A-Z]))"
    return re.compile(
        rf"{start}(?:(?i:{dotted})\.[ _]?|(?:{plain})(?:[ _]|[ _.\-]{{0,2}}(?=[A-Z][a-z]))|(?:dr|prof|mrs|DR|PROF|MRS)[ _]|(?P<given>{given})[ _])"
    )


_DICOM_NAME = re.compile(r"(?<![A-Za-z0-9^])[A-Za-z][A-Za-z'’\- ]+\^[A-Za-z][A-Za-z'’^ .\-]*")
_COMMA_NAME = re.compile(r"(?<![\w,])(?<!, )([A-Z][A-Z'’\-]+), ?([A-Z][A-Z'’\-]+)(?: [A-Z]\.?)?(?![\w])(?!,)")
_COMMA_MIXED = re.compile(r"(?<![\w])([A-Z][a-z'’\-]+), ([A-Z][a-z]+)(?![\w])")


def find_written_names(text: str) -> Iterator[Piece]:
    """Find DOE^JOHN and DOE, JOHN."""
    for match in _DICOM_NAME.finditer(text):
        yield Piece(*match.span(), NAME)
    for match in _COMMA_NAME.finditer(text):
        own = match[0] == text.strip()
        either = _is_given(match[1]) or _is_given(match[2])
        if not (_is_usual(match[1]) or _is_usual(match[2])) and (either or own):
            yield Piece(*match.span(), NAME)
    yield from _alone(text)
    for match in _COMMA_MIXED.finditer(text):
        if match[0] == text.strip() and _is_given(match[2]) and not _is_usual(match[1]):
            yield Piece(*match.span(), NAME)


def _alone(text: str) -> Iterator[Piece]:
    """Find a line that is only a name with a given name, or "NAME DOE": the label of a slide."""
    line = text.strip()
    match = _NAMES.fullmatch(line)
    if match is None:
        return
    words = [word for word in _WORD.findall(line) if len(word) > 1]
    start = text.index(line)
    if (
        len(words) == 2
        and words[0].casefold() in (*_NAME, "pt")
        and not _is_usual(words[1])
        and len(words[1]) > 2
    ):
        yield Piece(start + line.index(words[1], len(words[0])), start + len(line), NAME)
    elif 2 <= len(words) <= 3 and any(map(_is_only_given, words)) and not any(map(_is_usual, words)):
        yield Piece(start, start + len(line), NAME)


_BESIDE_AFTER = re.compile(rf"[\s,;:|_.\-/()\]]{{0,4}}(?P<names>{_NAMES.pattern})")
_BESIDE_BEFORE = re.compile(r"[A-Za-z'’][A-Za-z'’,^\s._\-]*[\s,;:|_.\-/()\[]{0,4}$")
_LONGEST_NAME = 60  # characters
_LOWER_PAIR = re.compile(r"[\s,;|_.\-]{0,3}([a-z'’]{2,})[\s,_.\-]{1,2}([a-z'’]{2,})(?![A-Za-z])")


def find_names_beside(text: str, found: list[Piece]) -> Iterator[Piece]:
    """Find names right beside a record number, an accession number or a birth date: MRN 4839201 DOE JOHN."""
    for piece in found:
        if piece.reason not in (RECORD, BIRTH, ACCESSION):
            continue
        labelled = piece.label >= 0 and piece.reason != ACCESSION
        after = _BESIDE_AFTER.match(text, piece.end)
        names = after and _NAMES.match(text, after.start("names"))
        if names:
            words, end = _name_words(text, names)
            if _may_be_name(words, labelled):
                yield Piece(names.start(), end, NAME)
        begin = piece.label if piece.label >= 0 else piece.start
        before = _BESIDE_BEFORE.search(text, max(0, begin - _LONGEST_NAME), begin)
        if before is not None:
            words_back = reversed(list(_WORD.finditer(before[0])))
            kept = list(takewhile(lambda word: not _is_usual(word[0]), words_back))[:_MAX_NAME]
            if _may_be_name([word[0] for word in kept], labelled):
                yield Piece(before.start() + kept[-1].start(), before.start() + kept[0].end(), NAME)
        if labelled:
            yield from _lower_beside(text, piece)


def _lower_beside(text: str, piece: Piece) -> Iterator[Piece]:
    """Find a given name with another word in lower case behind a labelled number: mrn 4839201 doe john."""
    match = _LOWER_PAIR.match(text, piece.end)
    if match is not None and any(map(_is_given, match.groups())) and not any(map(_is_usual, match.groups())):
        yield Piece(match.start(1), match.end(2), NAME)


def _may_be_name(words: list[str], labelled: bool) -> bool:
    """Return whether words right beside a number, none of them a usual one, are a person's name.

    Args:
        words: The words.
        labelled: Whether a label announces the number; then any capitalised words are enough.
    """
    long = [word for word in words if len(word) > 1]
    given = any(map(_is_given, words))
    if labelled:
        return any(len(word) > 2 for word in long)
    return len(words) > 1 and bool(long) and (given or all(word.isupper() for word in words))


_CAMEL = re.compile(r"[A-Z]?[a-z'’]+|[A-Z]+(?![a-z])")


def find_dated_names(text: str) -> Iterator[Piece]:
    """Find a given name with a surname right before a date, an age or a sex: DOE JOHN 11.04.1962, Doe John 57Y M."""
    for pair in find_given_pairs(text, in_file=False):
        rest = re.compile(
            rf"[\s,;|_.\-]{{0,3}}(?:(?P<date>{date_pattern()})|\d{{1,3}}\s?[yY]?\s?/?\s?[MFmf]\b|[MF]\s?/?\s?\d{{1,3}}\b)"
        ).match(text, pair.end)
        if rest is not None:
            yield pair
            if rest["date"] is not None:
                yield Piece(*rest.span("date"), BIRTH)


def find_given_pairs(text: str, in_file: bool) -> Iterator[Piece]:
    """Find a given name beside another capitalised word that is no usual one; in names of files also in lower case."""
    words = [(m[0], m.start(), m.end()) for m in _CAMEL.finditer(text)]
    for (first, start, middle), (second, follow, end) in zip(words, words[1:], strict=False):
        between = text[middle:follow]
        if len(between) > 2 or between.strip(" ,_.-^") or (not between and not in_file):
            continue
        if not in_file and not (first[0].isupper() and second[0].isupper()):
            continue
        if first[0].islower() and "." in between:
            continue
        one, other = (first, second) if _is_given(first) else (second, first)
        if (
            (_is_only_given(one) if in_file else _is_given(one))
            and len(other) > 2
            and not _is_usual(other)
            and first[0].isupper() == second[0].isupper()
        ):
            yield Piece(start, end, NAME)


def _is_only_given(word: str) -> bool:
    """Return whether a word is a given name and hardly anything else."""
    return _is_given(word) and word.casefold() not in listed_words("not_only_given")


def _is_given(word: str) -> bool:
    return word.casefold() in listed_words("given")


@cache
def _is_usual(word: str) -> bool:
    """Return whether a word names no one: a usual word, a term of pathology, a site, or a label."""
    lower = word.casefold()
    if lower in listed_words("no_names") or lower in listed_words("public") or lower in label_words():
        return True
    if lower in listed_words("given"):
        return False
    return lower in _site_words() or is_term(lower)


@cache
def _site_words() -> frozenset[str]:
    return frozenset(
        word for site, others in SITES.items() for name in (site, *others) for word in name.casefold().split()
    )
