"""Record numbers, birth dates, accession numbers, telephone numbers and addresses in a text."""

from __future__ import annotations

import re
from collections.abc import Iterator
from functools import cache

from videopath.core.privacy.labels import date_pattern, full_date, label_patterns, listed_words
from videopath.core.privacy.pieces import ACCESSION, ADDRESS, BIRTH, EMAIL, PHONE, RECORD, Piece, digit_count

_STRONG_DIGITS, _WEAK_DIGITS, _ACCESSION_DIGITS, _PHONE_DIGITS = 3, 5, 4, 6
_FIRST_YEAR, _LAST_YEAR = 1850, 2099
_LOOK_ALIKES = str.maketrans("OoQDlI|iZzSsBÖ", "00001111225580")


def _is_one_number(value: str) -> bool:
    """Return whether a value is one number, and not a row of parts such as 3-A18-41302 or 505-24."""
    first = re.match(r"[A-Za-z]*[\s\-/.]?[0-9A-Za-z]*", value)
    return first is not None and (
        digit_count(first[0]) >= _WEAK_DIGITS - 1
        or value.replace("-", "").isdigit()
        and digit_count(value) > 5
    )


def find_labelled_numbers(text: str) -> Iterator[Piece]:
    """Find record and accession numbers behind a label."""
    patterns = label_patterns()
    for kind, least, reason in (
        ("strong", _STRONG_DIGITS, RECORD),
        ("weak", _WEAK_DIGITS, RECORD),
        ("accession", _ACCESSION_DIGITS, ACCESSION),
    ):
        for match in patterns[kind].finditer(text):
            value = _own_value(match["value"])
            if digit_count(value) < least or _is_public(value):
                continue
            if kind == "weak" and (_is_of_other(text, match) or not _is_one_number(value)):
                continue
            if kind == "strong" or not (_is_date(value) or _YEARS.fullmatch(value)):
                start = match.start("value")
                yield Piece(start, start + len(value), reason, match.start())


_YEARS = re.compile(r"(?:[a-z]{0,4}\s?)?(?:19|20)\d\d(?:\s?[-/]\s?(?:(?:19|20)\d\d|\d\d))?", re.IGNORECASE)
BEFORE_LABEL = re.compile(r"([A-Za-z]+)[\s._\-]{0,2}$")


def _is_public(value: str) -> bool:
    """Return whether a number begins as those of a public data set or register: TCGA-AA-3518."""
    letters = re.match(r"[A-Za-z]*", value)
    return letters is not None and letters[0].casefold() in listed_words("public")


def _is_of_other(text: str, match: re.Match[str]) -> bool:
    """Return whether a weak label belongs to something else: "slide id", "catalog no"."""
    before = BEFORE_LABEL.search(text, max(0, match.start() - 30), match.start())
    if before is None:
        return False
    label = re.match(r"[A-Za-z]*", match[0])
    unspecific = label is not None and label[0].casefold() in ("no", "nr")
    return unspecific or before[1].casefold() in listed_words("other_ids")


def _own_value(value: str) -> str:
    """Return a value without parts after a blank that are another number's: "12345 11.04.1962"."""
    head, *others = re.split(r"([ _])", value)
    for separator, part in zip(others[::2], others[1::2], strict=True):
        if digit_count(head) >= _WEAK_DIGITS and (full_date().match(part) or not part.isdigit()):
            break
        head += separator + part
    return head


def find_births(text: str) -> Iterator[Piece]:
    """Find birth dates behind a label or a star."""
    for kind in ("birth year", "birth"):
        for match in label_patterns()[kind].finditer(text):
            if digit_count(match["value"]) >= 2:
                yield Piece(*match.span("value"), BIRTH, match.start())
    for match in re.finditer(
        rf"(?<!\w)\*\s?(?P<value>{date_pattern()})", text, re.IGNORECASE
    ):  # * 11.04.1962
        if digit_count(match["value"]) >= 4:
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


def find_shaped_numbers(text: str) -> Iterator[Piece]:
    """Find numbers and addresses whose form alone says what they are."""
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


def find_accessions(text: str) -> Iterator[Piece]:
    """Find accession numbers: S23-12345, E 12345/23."""
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
        if digit_count(number) * 2 < len(number) or digit_count(number) < 2:
            continue
        if middle is not None:
            if _MIDDLES.fullmatch(middle) and (_is_joined(match[0]) or len(number) > 4):
                yield Piece(*match.span(), ACCESSION)
            continue
        if letters.casefold() in listed_words("not_accessions"):
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


def find_long_numbers(text: str) -> Iterator[Piece]:
    """Find numbers of 7 to 10 digits that stand alone and are neither a date nor a count of something."""
    for match in _LONG.finditer(text.replace("_", " ")):
        value = match["value"].translate(_LOOK_ALIKES)
        before, after = _BEFORE.search(text, 0, match.start()), _AFTER.match(text, match.end())
        counted = before is not None and before[1].casefold() in listed_words("numbers_of")
        measured = after is not None and after[1].casefold() in listed_words("units")
        timed = _TIMED.search(text, 0, match.start()) is not None
        if not (
            counted
            or measured
            or timed
            or _is_date(value)
            or value.startswith("000")
            or value.endswith("0000")
            or digit_count(match[0]) < 6
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


def find_contacts(text: str) -> Iterator[Piece]:
    """Find telephone numbers and addresses behind a label."""
    for match in label_patterns()["phone"].finditer(text):
        if digit_count(match["value"]) >= _PHONE_DIGITS and not _is_date(match["value"]):
            yield Piece(*match.span("value"), PHONE)
    for match in label_patterns()["address"].finditer(text):
        if any(c.isdigit() for c in match["value"]) and "@" not in match["value"]:
            yield Piece(*match.span("value"), ADDRESS)
