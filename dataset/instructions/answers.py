"""What a model writes about a clip, and how it is rated: the JSON that is asked for, and how it becomes text.

The chain of thought has the steps of the published data: what is seen, the features and where they are, what they mean,
what speaks for and against each diagnosis, and the diagnosis.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from typing import Annotated, Any

from pydantic import AliasChoices, BaseModel, BeforeValidator, ConfigDict, Field

from videopath.core.pathology.answers import DIAGNOSIS_START
from videopath.tools.answers.json_answers import MAX_LABEL, safe_text

CASE_FORM = (
    '{"seen": "…", "features": [{"feature": "…", "where": "…", "means": "…"}], '
    '"differential": [{"diagnosis": "…", "for": "…", "against": "…"}], "diagnosis": "…", '
    '"said": ["…"], "given_away": ["…"]}'
)
"""The JSON of a written case, as a form that a model can fill in."""
RATING_FORM = '{"description": {"quality": 0, "reason": "…"}, "diagnosis": {"quality": 0, "reason": "…"}}'
"""The JSON of a rating."""
DESCRIPTION_RATING_FORM = '{"description": {"quality": 0, "reason": "…"}}'
"""The JSON of a rating if there is no diagnosis."""

MAX_FEATURES = 8
MAX_ALTERNATIVES = 5
MAX_SAID = 12
MOST_QUALITY = 5

_SEEN = 1_500  # characters
_PART = 300  # characters of one step
_REASONING_WORDS = 320
_NOTHING = frozenset(("", "none", "nothing", "n/a", "null", "no", "not applicable", "-", "unknown"))
_QUALITY = re.compile(r"\s*(\d)(?:\.\d+)?(?:\s*(?:/|of|out of)\s*5)?\s*")


def _text(limit: int) -> BeforeValidator:
    """Accept a text or a list of texts, and make it one line of at most ``limit`` characters."""

    def clean(value: Any) -> Any:
        if isinstance(value, list) and all(isinstance(part, str) for part in value):
            value = " ".join(value)
        return " ".join(safe_text(value, limit).split()) if isinstance(value, str) else value

    return BeforeValidator(clean)


def _optional(limit: int) -> BeforeValidator:
    """Like :func:`_text`; anything that is no text counts as an empty one."""

    def clean(value: Any) -> str:
        return " ".join(safe_text(value, limit).split()) if isinstance(value, str) else ""

    return BeforeValidator(clean)


def _lines(value: Any) -> Any:
    """Accept a list of texts, or one text; entries that say "none" are left out."""
    entries = [value] if isinstance(value, str) else value if isinstance(value, list) else []
    texts = [" ".join(safe_text(entry, _PART).split()) for entry in entries if isinstance(entry, str)]
    return [text for text in texts if text.casefold().strip(" .") not in _NOTHING][:MAX_SAID]


def _first(limit: int) -> BeforeValidator:
    """Accept a list, and keep its first entries; nothing at all counts as an empty list."""

    def cut(value: Any) -> Any:
        if value is None:
            return []
        return value[:limit] if isinstance(value, list) else [value]

    return BeforeValidator(cut)


def _label(value: Any) -> Any:
    """Accept the name of a diagnosis; "none" and the like count as no diagnosis."""
    if value is None:
        return ""
    if not isinstance(value, str):
        return value
    label = " ".join(safe_text(value, MAX_LABEL).split()).rstrip(".")
    label = label.removeprefix(DIAGNOSIS_START).strip()
    return "" if label.casefold() in _NOTHING else label


def _feature(value: Any) -> Any:
    return {"feature": value} if isinstance(value, str) else value


def _alternative(value: Any) -> Any:
    return {"diagnosis": value} if isinstance(value, str) else value


def _whole_number(value: Any) -> Any:
    """Accept 4, 4.0, "4" and "4/5"."""
    if isinstance(value, str) and (number := _QUALITY.fullmatch(value)):
        return int(number[1])
    return int(value) if isinstance(value, float) and value.is_integer() else value


class Feature(BaseModel):
    """One feature, where it is, and what it means."""

    model_config = ConfigDict(extra="ignore")

    feature: Annotated[str, _text(_PART), Field(min_length=1)]
    where: Annotated[str, _optional(_PART)] = ""
    means: Annotated[str, _optional(_PART), Field(validation_alias=AliasChoices("means", "meaning"))] = ""


class Alternative(BaseModel):
    """One diagnosis of the differential, with what speaks for it and against it."""

    model_config = ConfigDict(extra="ignore")

    diagnosis: Annotated[str, BeforeValidator(_label), Field(min_length=1)]
    supports: Annotated[str, _optional(_PART), Field(validation_alias=AliasChoices("for", "supports"))] = ""
    against: Annotated[str, _optional(_PART)] = ""


class WrittenCase(BaseModel):
    """What a model writes about a clip."""

    model_config = ConfigDict(extra="ignore")

    seen: Annotated[str, _text(_SEEN), Field(min_length=1)]
    """What the frames show, from the frames alone."""
    features: Annotated[list[Annotated[Feature, BeforeValidator(_feature)]], _first(MAX_FEATURES)] = []
    differential: Annotated[
        list[Annotated[Alternative, BeforeValidator(_alternative)]], _first(MAX_ALTERNATIVES)
    ] = []
    diagnosis: Annotated[str, BeforeValidator(_label)]
    """Empty if neither frames nor words allow one."""
    said: Annotated[list[str], BeforeValidator(_lines)] = []
    """What the narrator or the title card said about the case."""
    given_away: Annotated[list[str], BeforeValidator(_lines)] = []
    """What the words say and the frames alone do not show."""

    @property
    def description(self) -> str:
        """What is seen, in sentences: the answer to a question for a description."""
        named = self.seen.casefold()
        more = [
            sentence(f"{feature.feature} ({feature.where})" if feature.where else feature.feature)
            for feature in self.features
            if feature.feature.casefold().rstrip(".") not in named
        ]
        return within([sentence(self.seen), *more], _REASONING_WORDS)

    @property
    def reasoning(self) -> str:
        """The steps from what is seen to the diagnosis."""
        steps = [f"Seen: {sentence(self.seen)}"]
        for feature in self.features:
            where = f", {feature.where}" if feature.where else ""
            means = f": {feature.means}" if feature.means else ""
            steps.append(sentence(f"Feature: {feature.feature.rstrip('.')}{where.rstrip('.')}{means}"))
        for other in self.differential:
            parts = [
                f"{word} {text.rstrip('.')}" for word, text in (("for it:", other.supports), ("against it:", other.against)) if text
            ]  # fmt: skip
            steps.append(sentence(f"Considered: {other.diagnosis}{'; ' if parts else ''}{'; '.join(parts)}"))
        return within(steps, _REASONING_WORDS)


class Mark(BaseModel):
    """The quality of one pair, with the reason for it."""

    model_config = ConfigDict(extra="ignore")

    quality: Annotated[int, BeforeValidator(_whole_number), Field(ge=0, le=MOST_QUALITY, strict=True)]
    reason: Annotated[str, _optional(2 * _PART)] = ""


class DescriptionRating(BaseModel):
    """The quality of the pairs of a clip without a diagnosis."""

    model_config = ConfigDict(extra="ignore")

    description: Mark


class Rating(DescriptionRating):
    """The quality of the pairs of a clip."""

    diagnosis: Mark


def diagnosis_text(label: str) -> str:
    """Return the answer to a question for the diagnosis."""
    return f"{DIAGNOSIS_START} {label.strip().rstrip('.')}"


def sentence(text: str) -> str:
    """Return a text that begins with a capital letter and ends with a full stop."""
    text = text.strip()
    text = text[:1].upper() + text[1:]
    return text if not text or text.endswith((".", "!", "?", "…")) else f"{text}."


def within(parts: Sequence[str], words: int) -> str:
    """Return the parts joined, without those at the end that would make more than ``words`` words."""
    return " ".join(_first_parts(parts, words))


def _first_parts(parts: Sequence[str], words: int) -> Iterable[str]:
    count = 0
    for number, part in enumerate(parts):
        count += len(part.split())
        if number and count > words:
            return
        yield part
