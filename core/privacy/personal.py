"""A person's data in a text: record numbers, birth dates, names, accession numbers, telephone numbers and addresses.

The text may come from a file's name, from container metadata, or from a reader of burned-in writing. Blanks may then be
missing, an ``O`` may stand for ``0`` and an ``l`` for ``1``. The words beside which such data stands are in
``personal.yaml``, in eleven languages. Ages, dates without such a word, stains, genes, stages, magnifications, scale bars
and ids of public data sets are not a person's data. Rules cannot know every name: a name counts if a word, a title, a
record number or a birth date announces it, or if it is written as in DICOM or as ``DOE, JOHN``.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Collection, Iterable, Iterator
from functools import cache
from importlib.resources import files
from itertools import takewhile
from typing import Any, NamedTuple

import yaml

from videopath.core.pathology.sites import SITES
from videopath.core.pathology.terms import is_term

RECORD, BIRTH, NAME = "a record number", "a birth date", "a name"
ACCESSION, PHONE, EMAIL, ADDRESS = "an accession number", "a phone number", "an e-mail address", "an address"
REASONS = (RECORD, BIRTH, NAME, ACCESSION, PHONE, EMAIL, ADDRESS)
"""The reasons that are given, in this order."""

_STRONG_DIGITS, _WEAK_DIGITS, _ACCESSION_DIGITS, _PHONE_DIGITS = 3, 5, 4, 6
_FIRST_YEAR, _LAST_YEAR = 1850, 2099
_MAX_NAME = 5  # words, initials included
_DISTINCT = 8  # letters from which a label is found inside a longer word as well
_ALWAYS_DISTINCT = {"mrn", "dob", "pesel", "tckn"}
_LOOK_ALIKES = str.maketrans("OoQDlI|iZzSsBÖ", "00001111225580")
_SINGLE = {"ı": "i", "ł": "l", "Ł": "L", "ø": "o", "Ø": "O", "ß": "s", "đ": "d", "º": "o", "°": "o", "№": "n"}

_GAP = r"[\s._\-/]{0,3}"  # between the words of a label
_TO_VALUE = r"[\s:;#=._\-/|(\[,*'\"–—]{0,6}"  # between a label and what it announces
_NUMBER_WORD = r"(?:(?:n[o0]|nr|num(?:mer|ero|ber)?|id|is)(?![a-z]))?"
_DIGIT = r"[0-9OoQlI|]"
_ANY_SEP = r"\s?[./\-,_ ]\s?"
_NAME_WORD = r"(?:[A-Z][a-z'’]+|[A-Z](?:[A-Z'’]*[A-Z])?(?![a-z]))"
_WORD_ENDS = r"(?-i:(?![A-Za-z])|(?<=[a-z])(?=[A-Z]))"  # a blank, a sign, or the next word: PatientName
_CJK = r"[\u3040-\u30ff\u3400-\u9fff]"


class ScreenedText(NamedTuple):
    """A text without a person's data."""

    text: str
    """Each piece is replaced by what it was, as ``[record number]``."""
    masked: int
    """Number of replaced pieces."""
    reasons: list[str]
    """What they were, each once."""


class Piece(NamedTuple):
    """One piece of a person's data within a text."""

    start: int
    end: int
    reason: str
    label: int = -1
    """Where the label begins that announces it; -1 without a label."""


def personal_reasons(text: str) -> list[str]:
    """Return what a text says of a person, as "a record number" or "a name", each once; empty if nothing."""
    return _reasons(_pieces(_plain(text)))


def screened_text(text: str) -> ScreenedText:
    """Return a text with each piece of a person's data replaced by what it was, as ``[record number]``.

    A text without such data is returned unchanged; otherwise its characters are composed (NFC), and invisible ones
    are removed.
    """
    composed = _composed(text)
    pieces = _merged(_pieces(_folded(composed)))
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
    plain = _plain(name)
    without_suffix = _SUFFIX.sub("", plain)
    return _reasons([*_pieces(without_suffix), *_given_pairs(without_suffix, in_file=True)])


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


# The text as it is searched


def _plain(text: str) -> str:
    return _folded(_composed(text))


def _composed(text: str) -> str:
    """Return the text with composed characters, without invisible ones such as soft hyphens."""
    return "".join(c for c in unicodedata.normalize("NFC", text) if unicodedata.category(c) != "Cf")


def _folded(text: str) -> str:
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


# The table


@cache
def _table() -> dict[str, Any]:
    text = files("videopath.core.privacy").joinpath("personal.yaml").read_text(encoding="utf-8")
    return dict(yaml.load(text, Loader=yaml.BaseLoader))  # "no" and "on" are words, not truth values


@cache
def _words(name: str) -> frozenset[str]:
    return frozenset(_folded(word).casefold() for word in _table()[name])


def _labels(labels: Collection[str], after: str = "") -> re.Pattern[str]:
    """Return a pattern that matches the longest of the labels, where a word begins."""
    folded = {_folded(label) for label in labels}
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
def _patterns() -> dict[str, re.Pattern[str]]:
    table = _table()
    record = _TO_VALUE + _NUMBER_WORD + _TO_VALUE
    value = r"(?P<value>(?-i:[A-Z]{1,4}[\s\-/.]?|[a-z]{1,4}[\-/]?)?[0-9OoQlI|][A-Z0-9|]*(?:[\-/.][A-Z0-9|]+|[ _][0-9][A-Z0-9|]*)*)"
    no_word = r"(?-i:(?![a-z]))"
    return {
        "strong": _labels(table["record"]["strong"], no_word + record + value),
        "weak": _labels(table["record"]["weak"], _WORD_ENDS + record + value),
        "accession": _labels(table["accession"], no_word + record + value),
        "birth year": _labels(
            table["birth"]["year"], rf"{no_word}{_TO_VALUE}(?P<value>{_dates()}|(?:19|20)\d\d(?!\d))"
        ),
        "birth": _labels(
            [*table["birth"]["date"], *table["birth"]["year"]],
            rf"{no_word}{_TO_VALUE}(?:in|on|the|am|il|le|el|em|op)?{_TO_VALUE}(?P<value>{_dates()})",
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
def _dates() -> str:
    """A day in any usual form: 11.04.1962, 1962-04-11, 11 Apr 62, April 11, 1962, 11APR1962, 19620411, 1962年4月11日."""
    months = "|".join(
        sorted((name for names in _table()["months"].values() for name in names), key=len, reverse=True)
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
def _full_date() -> re.Pattern[str]:
    return re.compile(rf"(?<![0-9]){_dates()}", re.IGNORECASE)


# What is found


def _pieces(text: str) -> list[Piece]:
    """Return the pieces of a folded text, in no order; they may overlap."""
    text = _HASH.sub(lambda match: " " * len(match[0]), text)
    found = [
        *_labelled_numbers(text),
        *_births(text),
        *_shaped_numbers(text),
        *_accessions(text),
        *_long_numbers(text),
        *_contacts(text),
        *_named(text),
        *_titled(text),
        *_written_as_names(text),
    ]
    return [*found, *_beside(text, found), *_dated_names(text)]


_HASH = re.compile(
    r"(?<![A-Za-z0-9])(?:[0-9A-Fa-f]{8}(?:-[0-9A-Fa-f]{4}){3}-[0-9A-Fa-f]{12}"  # a UUID
    r"|(?=[0-9]*[A-Fa-f])(?=[A-Fa-f]*[0-9])(?:[0-9a-f]{16,}|[0-9A-F]{16,}))(?![A-Za-z0-9])"
)


def _digits(value: str) -> int:
    return sum(c.isdigit() for c in value)


def _is_one_number(value: str) -> bool:
    """Return whether a value is one number, and not a row of parts such as 3-A18-41302 or 505-24."""
    first = re.match(r"[A-Za-z]*[\s\-/.]?[0-9A-Za-z]*", value)
    return first is not None and (
        _digits(first[0]) >= _WEAK_DIGITS - 1 or value.replace("-", "").isdigit() and _digits(value) > 5
    )


def _labelled_numbers(text: str) -> Iterator[Piece]:
    patterns = _patterns()
    for kind, least, reason in (
        ("strong", _STRONG_DIGITS, RECORD),
        ("weak", _WEAK_DIGITS, RECORD),
        ("accession", _ACCESSION_DIGITS, ACCESSION),
    ):
        for match in patterns[kind].finditer(text):
            value = _own_value(match["value"])
            if _digits(value) < least or _is_public(value):
                continue
            if kind == "weak" and (_is_of_other(text, match) or not _is_one_number(value)):
                continue
            if kind == "strong" or not (_is_date(value) or _YEARS.fullmatch(value)):
                start = match.start("value")
                yield Piece(start, start + len(value), reason, match.start())


_YEARS = re.compile(r"(?:[a-z]{0,4}\s?)?(?:19|20)\d\d(?:\s?[-/]\s?(?:(?:19|20)\d\d|\d\d))?", re.IGNORECASE)
_BEFORE_LABEL = re.compile(r"([A-Za-z]+)[\s._\-]{0,2}$")


def _is_public(value: str) -> bool:
    """Return whether a number begins as those of a public data set or register: TCGA-AA-3518."""
    letters = re.match(r"[A-Za-z]*", value)
    return letters is not None and letters[0].casefold() in _words("public")


def _is_of_other(text: str, match: re.Match[str]) -> bool:
    """Return whether a weak label belongs to something else: "slide id", "catalog no"."""
    before = _BEFORE_LABEL.search(text, max(0, match.start() - 30), match.start())
    if before is None:
        return False
    label = re.match(r"[A-Za-z]*", match[0])
    unspecific = label is not None and label[0].casefold() in ("no", "nr")
    return unspecific or before[1].casefold() in _words("other_ids")


def _own_value(value: str) -> str:
    """Return a value without parts after a blank that are another number's: "12345 11.04.1962"."""
    head, *others = re.split(r"([ _])", value)
    for separator, part in zip(others[::2], others[1::2], strict=True):
        if _digits(head) >= _WEAK_DIGITS and (_full_date().match(part) or not part.isdigit()):
            break
        head += separator + part
    return head


def _births(text: str) -> Iterator[Piece]:
    for kind in ("birth year", "birth"):
        for match in _patterns()[kind].finditer(text):
            if _digits(match["value"]) >= 2:
                yield Piece(*match.span("value"), BIRTH, match.start())
    for match in re.finditer(rf"(?<!\w)\*\s?(?P<value>{_dates()})", text, re.IGNORECASE):  # * 11.04.1962
        if _digits(match["value"]) >= 4:
            yield Piece(*match.span("value"), BIRTH)


_SHAPES: tuple[tuple[str, str], ...] = (
    (r"(?<![\w-])\d{3}-\d{2}-\d{4}(?![\w-])", RECORD),  # social security number
    (r"(?<![\w])[A-Z]{6}\d{2}[A-EHLMPRST]\d{2}[A-Z]\d{3}[A-Z](?!\w)", RECORD),  # codice fiscale
    (r"(?<![\w.])\d{3}\.\d{3}\.\d{3}-\d{2}(?![\w-])", RECORD),  # CPF
    (r"(?<![\w.])756\.\d{4}\.\d{4}\.\d{2}(?!\w)", RECORD),  # AHV
    (r"(?<![\w.])[12] ?\d{2} ?(?:0[1-9]|1[0-2]) ?\d[\dAB] ?\d{3} ?\d{3} ?\d{2}(?!\w)", RECORD),  # numéro de sécurité sociale
    (r"(?<![\w-])(?:\d{8}|[XYZ]\d{7})-?[TRWAGMYFPDXBNJZSQVHLCKE](?![\w-])", RECORD),  # DNI, NIE
    (r"(?<![\w])\d{2}[ ]?\d{6}[ ]?[A-Z][ ]?\d{3}(?!\w)", RECORD),  # Rentenversicherungsnummer
    (r"(?<![\w.+-])\d{3} \d{3} \d{4}(?![\w.])", RECORD),  # NHS number
    (r"(?<!\w)\d{6}(?:19|20)\d\d(?:0[1-9]|1[0-2])(?:0[1-9]|[12]\d|3[01])\d{3}[\dX](?!\w)", RECORD),  # 身份证
    (r"(?<![\w.])\+\d{1,3}[\s./-]?(?:\(0?\d{0,4}\)[\s./-]?)?(?:\d[\s./-]?){6,11}\d(?!\w)", PHONE),
    (r"(?<![\w.,+-])(?=(?:[ /.-]?\d){9,11}(?![\w.]))0\d{1,4}[ /.-]\d{2,4}(?:[ .-]\d{2,4}){1,3}(?![\w.-])", PHONE),
    (r"(?<![\w.-])(?:\(\d{3}\) ?|\d{3}[-.])\d{3}[-.]\d{4}(?![\w-])", PHONE),
    (r"(?<![\w.+-])[A-Za-z0-9][\w.+-]*\s?@\s?[A-Za-z0-9][\w-]*(?:\s?\.\s?[A-Za-z]{2,}[\w-]*)+", EMAIL),
    (r"(?<!\w)\d{1,5}[a-z]?,? (?:[A-Z][a-z]+ ){1,3}(?:Street|Avenue|Road|Lane|Boulevard|Terrace|Crescent)(?!\w)", ADDRESS),
    (r"(?<!\w)[A-Z][a-z]+(?:strase|strasse|str\.|gasse|allee)\s?\d{1,4}[a-z]?(?!\w)", ADDRESS),
    (r"(?<!\w)\d{1,4},? (?:bis |ter )?(?:rue|avenue|boulevard|chemin) (?:de |du |des |de la |d')?[A-Z][a-z]+", ADDRESS),
    (r"(?<!\w)(?:Calle|Via|Viale|Corso|Rua|Avenida|ul\.|Ul\.) (?:[A-Z][a-z]+ ?){1,3},? (?:n\. ?)?\d{1,4}(?!\w)", ADDRESS),
    (r"(?<!\w)[A-Z][a-z]+(?:straat|laan|gracht)\s\d{1,4}(?!\w)", ADDRESS),
    (r"(?<!\w)[A-Z][a-z]+ (?:Sokak|Sok\.|Caddesi|Cad\.|Mahallesi|Mah\.)(?!\w)", ADDRESS),
)  # fmt: skip


@cache
def _shapes() -> list[tuple[re.Pattern[str], str]]:
    return [(re.compile(pattern), reason) for pattern, reason in _SHAPES]


def _shaped_numbers(text: str) -> Iterator[Piece]:
    for pattern, reason in _shapes():
        for match in pattern.finditer(text):
            yield Piece(*match.span(), reason)


_ACCESSION = re.compile(
    r"(?<![A-Za-z0-9.])(?:"
    r"(?P<letters>[A-Za-z]{1,3})(?P<gap>[-_ /:]?)(?P<year>(?:19|20)\d{2}|\d{2})(?P<sep>[-_/ ])(?P<number>[0-9OoIl]{3,7})"
    r"|(?:19|20)?\d{2}[-_/ ]?(?P<middle>[A-Z]{1,3})[-_/ ]?(?P<after>[0-9OoIl]{4,7})"
    r"|(?P<bare>(?:[01]\d|2\d|9\d)-\d{5,6})"
    r"|(?P<register>[A-Z]{1,2})[-_ ]?(?P<serial>\d{3,6})/(?:\d{2}|(?:19|20)\d{2})"
    r")(?![A-Za-z0-9]|[-_]\d\d\b|[-_]\d{4})"  # further numbers: places on a slide
)
_MIDDLES = re.compile(r"(?:S|SP|H|HP|B|C|N|P|PS|SU|SS|CY|A|E|F|G|K|L|M|R|U|X|HI|PA)")


def _accessions(text: str) -> Iterator[Piece]:
    for match in _ACCESSION.finditer(text):
        letters, middle = match["letters"], match["middle"]
        if match["register"] is not None:  # E 12345/23
            morphology = match["register"] == "M" and len(match["serial"]) == 4  # M 8140/33, of ICD-O
            if len(match["serial"]) > 3 and not morphology:
                yield Piece(*match.span(), ACCESSION)
            continue
        if match["bare"] is not None:  # 23-12345
            yield Piece(*match.span(), ACCESSION)
            continue
        number = match["number"] or match["after"]
        if _digits(number) * 2 < len(number) or _digits(number) < 2:
            continue
        if middle is not None:
            if _MIDDLES.fullmatch(middle) and (_is_joined(match[0]) or len(number) > 4):
                yield Piece(*match.span(), ACCESSION)
            continue
        if letters.casefold() in _words("not_accessions"):
            continue
        blanks = match["gap"] in (" ", "") and match["sep"] == " "
        lower = not letters.isupper()
        if len(number) < 4 and (not _MIDDLES.fullmatch(letters) or re.match(r"[-_]\d", text[match.end() :])):
            continue
        years = len(match["year"]) == 4 and re.fullmatch(r"(?:19|20)\d\d", number)
        apart = match["gap"] == " " and (blanks or lower or letters == "A" or not _MIDDLES.fullmatch(letters))
        if years or apart or (blanks or lower) and len(number) < 4:
            continue
        if lower and match["gap"] not in ("", "-", "_"):
            continue
        yield Piece(*match.span(), ACCESSION)


def _is_joined(text: str) -> bool:
    """Return whether the parts of an accession number are joined by dashes or slashes."""
    return any(c in "-_/" for c in text)


_LONG = re.compile(r"(?<![\w.,/\-+])(?P<value>\d[0-9OoIl|]{6,9})(?![\w|]|[.,/\-]\d)")
_BEFORE = re.compile(r"([A-Za-z]+)\d{0,2}[\s:#=_.]{0,3}$")
_AFTER = re.compile(r"\s?([A-Za-z]+)")
_TIMED = re.compile(r"(?:19|20)\d\d[-_.]?(?:0[1-9]|1[0-2])[-_.]?(?:0[1-9]|[12]\d|3[01])[ _\-T]{1,3}(?:at )?$")


def _long_numbers(text: str) -> Iterator[Piece]:
    """Find numbers of 7 to 10 digits that stand alone and are neither a date nor a count of something."""
    for match in _LONG.finditer(text.replace("_", " ")):
        value = match["value"].translate(_LOOK_ALIKES)
        before, after = _BEFORE.search(text, 0, match.start()), _AFTER.match(text, match.end())
        counted = before is not None and before[1].casefold() in _words("numbers_of")
        measured = after is not None and after[1].casefold() in _words("units")
        timed = _TIMED.search(text, 0, match.start()) is not None
        if not (
            counted
            or measured
            or timed
            or _is_date(value)
            or value.startswith("000")
            or value.endswith("0000")
            or _digits(match[0]) < 6
        ):
            yield Piece(*match.span("value"), RECORD)


def _is_date(value: str) -> bool:
    """Return whether digits may be a date: 20240501, 01052024, 2024-05-01, or a year and month."""
    digits = "".join(c for c in value.translate(_LOOK_ALIKES) if c.isdigit())
    if len(digits) == 6:
        return _is_day(f"20{digits}") or _is_day(f"{digits}01")
    if len(digits) in (12, 14):  # with a time
        digits = digits[:8]
    return len(digits) == 8 and (
        _is_day(digits) or _is_day(digits[4:] + digits[2:4] + digits[:2]) or _is_day(digits[4:] + digits[:4])
    )


def _is_day(digits: str) -> bool:
    year, month, day = int(digits[:4]), int(digits[4:6]), int(digits[6:8])
    return _FIRST_YEAR <= year <= _LAST_YEAR and 1 <= month <= 12 and 1 <= day <= 31


def _contacts(text: str) -> Iterator[Piece]:
    for match in _patterns()["phone"].finditer(text):
        if _digits(match["value"]) >= _PHONE_DIGITS and not _is_date(match["value"]):
            yield Piece(*match.span("value"), PHONE)
    for match in _patterns()["address"].finditer(text):
        if any(c.isdigit() for c in match["value"]) and "@" not in match["value"]:
            yield Piece(*match.span("value"), ADDRESS)


# Names

_NAMES = re.compile(rf"{_NAME_WORD}(?:[\s,._^\-]{{0,2}}{_NAME_WORD}){{0,{_MAX_NAME - 1}}}")
_WORD = re.compile(_NAME_WORD)
_LOWER_NAMES = re.compile(r"[a-z][a-z'’]+(?:[\s,._^\-]{1,2}[a-z][a-z'’]+){0,2}")
_CJK_NAME = re.compile(
    rf"[\s:=]*(?P<value>{_CJK}{{2,4}}(?:\s(?!出生|生年|性|年|病|患|住|登|身){_CJK}{{1,4}})?)"
)


def _named(text: str) -> Iterator[Piece]:
    """Find names behind words such as "patient name" and "Name:"."""
    for kind in ("name strong", "name weak"):
        for match in _patterns()[kind].finditer(text):
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
    return match[0].casefold() in _NAME and _BEFORE_LABEL.search(text, 0, match.start()) is not None


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


def _titled(text: str) -> Iterator[Piece]:
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
    titles = _table()["titles"]
    plain = "|".join(sorted(map(_folded, titles["plain"]), key=len, reverse=True))
    given = "|".join(titles["given"])
    dotted = "|".join(sorted(titles["dotted"], key=len, reverse=True))
    start = r"(?:(?<![A-Za-z0-9-])(?<!HLA )|(?<=[a-z])(?=[A-Z]))"
    return re.compile(
        rf"{start}(?:(?i:{dotted})\.[ _]?|(?:{plain})(?:[ _]|[ _.\-]{{0,2}}(?=[A-Z][a-z]))|(?:dr|prof|mrs|DR|PROF|MRS)[ _]|(?P<given>{given})[ _])"
    )


_DICOM_NAME = re.compile(r"(?<![A-Za-z0-9^])[A-Za-z][A-Za-z'’\- ]+\^[A-Za-z][A-Za-z'’^ .\-]*")
_COMMA_NAME = re.compile(r"(?<![\w,])(?<!, )([A-Z][A-Z'’\-]+), ?([A-Z][A-Z'’\-]+)(?: [A-Z]\.?)?(?![\w])(?!,)")
_COMMA_MIXED = re.compile(r"(?<![\w])([A-Z][a-z'’\-]+), ([A-Z][a-z]+)(?![\w])")


def _written_as_names(text: str) -> Iterator[Piece]:
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


def _beside(text: str, found: list[Piece]) -> Iterator[Piece]:
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


def _dated_names(text: str) -> Iterator[Piece]:
    """Find a given name with a surname right before a date, an age or a sex: DOE JOHN 11.04.1962, Doe John 57Y M."""
    for pair in _given_pairs(text, in_file=False):
        rest = re.compile(
            rf"[\s,;|_.\-]{{0,3}}(?:(?P<date>{_dates()})|\d{{1,3}}\s?[yY]?\s?/?\s?[MFmf]\b|[MF]\s?/?\s?\d{{1,3}}\b)"
        ).match(text, pair.end)
        if rest is not None:
            yield pair
            if rest["date"] is not None:
                yield Piece(*rest.span("date"), BIRTH)


def _given_pairs(text: str, in_file: bool) -> Iterator[Piece]:
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
    return _is_given(word) and word.casefold() not in _words("not_only_given")


def _is_given(word: str) -> bool:
    return word.casefold() in _words("given")


@cache
def _is_usual(word: str) -> bool:
    """Return whether a word names no one: a usual word, a term of pathology, a site, or a label."""
    lower = word.casefold()
    if lower in _words("no_names") or lower in _words("public") or lower in _label_words():
        return True
    if lower in _words("given"):
        return False
    return lower in _site_words() or is_term(lower)


@cache
def _label_words() -> frozenset[str]:
    table = _table()
    labels = [
        *table["record"]["strong"], *table["accession"], *table["birth"]["year"], *table["birth"]["date"],
        *table["name"]["strong"], *table["name"]["weak"], *table["phone"], *table["address"],
    ]  # fmt: skip
    words = {word for label in labels for word in _folded(label).casefold().split()}
    return frozenset({*words, *(_folded(label).casefold().replace(" ", "") for label in labels)})


@cache
def _site_words() -> frozenset[str]:
    return frozenset(
        word for site, others in SITES.items() for name in (site, *others) for word in name.casefold().split()
    )
