"""Whether an answer fits a follow-up question.

A model may answer every question with what it was trained to write: nano describes the tissue and gives a diagnosis,
whatever it is asked. Such an answer must not look like one to the question. The rule is careful in both directions: it
names what is wrong (nothing written, an echo, "unknown", a bare diagnosis, the usual answer), and lets everything else
count as an answer. It does not judge whether an answer is right.
"""

from __future__ import annotations

import re
from collections.abc import Collection

from videopath.agent.decision.not_known import without_not_known
from videopath.agent.decision.verdict import is_no_diagnosis
from videopath.core.pathology.answers import parse_answer, parse_free_answer
from videopath.core.pathology.entities import find_diagnosis
from videopath.core.pathology.labels import normalised_label
from videopath.core.pathology.terms import is_term, names_disease, words_of
from videopath.tools.answers.answerable_questions import asks_for_diagnosis
from videopath.tools.describe import split_sentences

EMPTY = "the answer is empty."
ECHO = "the answer only repeats the question."
UNKNOWN = "the model says that it does not know."
NO_DIAGNOSIS = "the answer names no diagnosis."
BARE_DIAGNOSIS = "the answer is a diagnosis, and the question asks for something else."
NO_NUMBER = "the question asks for a number, and the answer has none."
USUAL = "it is the description and diagnosis that the model gives to any question."

_NUMBER = re.compile(
    r"\d|\b(?:zero|none|no|one|two|three|four|five|six|seven|eight|nine|ten|eleven|twelve|dozens?|hundreds?|single|both|half|"
    r"few|fewer|several|many|numerous|countless|absent|rare|occasional|scattered|sparse|abundant|frequent|all|most)\b",
    re.IGNORECASE,
)
_COUNTS = re.compile(
    r"\bhow\W+(?:many|much)\b|\bnumber\W+of\b|^\W*count\b|\bper(?:cent|centage)\b|\bwhat\W+(?:proportion|share)\b",
    re.IGNORECASE,
)
_COUNTED = re.compile(
    r"\b(?:how\W+(?:many|much)|number\W+of|percentage\W+of|proportion\W+of|share\W+of|count)\W+(?:(?:the|all|of)\W+)*(?P<what>\w+)",
    re.IGNORECASE,
)
_BEYOND_A_DESCRIPTION = re.compile(
    r"^\W*(?:why|where|when|who|how)\b|\b(?:grade|grading|stage|staging|pTNM|size|diameter|thickness|score|index|prognosis|"
    r"survival|treatment|therapy|stain(?:s|ed|ing)?|immuno\w*|markers?|mutations?|genes?|organ|magnification|cause|mean(?:s|ing)?|"
    r"difference)\b",
    re.IGNORECASE,
)
"""A description that merely has the same words does not answer these."""
_POLAR = re.compile(
    r"^\W*(?:is|are|was|were|do|does|did|can|could|has|have|may|might|would|should)\b", re.IGNORECASE
)
_YES_OR_NO = re.compile(
    r"^\W*(?:yes|no|probably|possibly|unlikely|likely|perhaps|certainly)\b", re.IGNORECASE
)
_NONE = re.compile(r"^\W*(?:none|nil|zero)\W*$", re.IGNORECASE)
_GRADE = re.compile(r"\bgrad(?:e|ed|ing)\b|\bdifferentiat", re.IGNORECASE)
_GRADED = re.compile(r"differentiated\b|\bgrade\b|\bgleason\b|\bG[1-4]\b", re.IGNORECASE)
_NO_CONTENT = frozenset(
    words_of(
        "a about all also an and any are as at be been by can case clip could did do does for from frame frames give has have he her "
        "here his how i if image in into is it its look looks looked looking many me more most much my no not of on one or our "
        "out please picture say see seen shall she should show showing shown shows slide some such tell than that the their them "
        "then there these they this those tissue to us use used very video was we were what when where which while who why will "
        "with would you your present visible first describe image relevant question answer provide information"
    )
)
_LATIN = re.compile(r"(?:osis|oses|otic)$")
_STEM = 5  # letters
_SHORT = 6  # words


def why_not_answered(
    question: str,
    answer: str,
    *,
    description: str = "",
    unknown_label: str | None = None,
    diagnoses: Collection[str] = (),
) -> str:
    """Return why an answer does not fit its question; empty if it does.

    Args:
        question: The question of a person.
        answer: The answer of a model, unchanged.
        description: The description of the case. An answer that only repeats it is the model's usual answer.
        unknown_label: What the model says of tissue that it does not know.
        diagnoses: Labels that are diagnoses for sure: those of the case and of the model's card.
    """
    if not words_of(answer):
        return EMPTY
    if _is_echo(question, answer):
        return ECHO
    if _NONE.search(answer) and (_COUNTS.search(question) or _POLAR.search(question)):
        return ""
    parts = parse_answer(answer)
    text = without_not_known(parts.description, unknown_label).strip()
    diagnosis = "" if is_no_diagnosis(parts.diagnosis, unknown_label) else parts.diagnosis
    diagnosis = without_not_known(diagnosis, unknown_label)
    if not words_of(text) and not words_of(diagnosis):
        return UNKNOWN
    if asks_for_diagnosis(question):
        said = (
            diagnosis
            or _names_diagnosis(text, diagnoses)
            or (_POLAR.search(question) and _YES_OR_NO.search(text))
        )
        return "" if said else NO_DIAGNOSIS
    graded = _GRADE.search(question) and _GRADED.search(text)
    if not words_of(text) or (_is_bare_diagnosis(text, diagnoses) and not graded):
        return BARE_DIAGNOSIS
    if _COUNTS.search(question):
        return "" if _has_number(question, text) else NO_NUMBER
    is_usual = bool(parts.diagnosis) or _repeats(text, description)
    if is_usual and (_BEYOND_A_DESCRIPTION.search(question) or not _shares_words(question, text)):
        return USUAL
    return ""


def _is_echo(question: str, answer: str) -> bool:
    """Return whether nothing is left of an answer without the words of the question, in their order."""
    asked, said = words_of(question), words_of(answer)
    if not asked:
        return False
    rest: list[str] = []
    while said:
        if said[: len(asked)] == asked:
            said = said[len(asked) :]
        else:
            rest.append(said.pop(0))
    return set(rest) <= {"question", "answer", "the", "is"} and len(rest) < len(words_of(answer))


def _names_diagnosis(text: str, diagnoses: Collection[str]) -> bool:
    """Return whether a text without ``Diagnosis:`` names one: a known label, a known entity, or a short term."""
    known = {normalised_label(label) for label in diagnoses}
    if any(label and label in normalised_label(text) for label in known) or find_diagnosis(text):
        return True
    if parse_free_answer(text).diagnosis:
        return True
    return is_term(text) and names_disease(text)


def _is_bare_diagnosis(text: str, diagnoses: Collection[str]) -> bool:
    """Return whether a text is the name of a diagnosis and nothing else."""
    label = text.strip(" .*\n")
    known = {normalised_label(one) for one in diagnoses}
    return normalised_label(label) in known or (is_term(label) and names_disease(label))


def _has_number(question: str, text: str) -> bool:
    """Return whether a text counts: a number in a short answer, or in a sentence on what is to be counted."""
    if len(words_of(text)) <= _SHORT:
        return bool(_NUMBER.search(text))
    counted = _COUNTED.search(question)
    stem = _stem(words_of(counted["what"])[0]) if counted and words_of(counted["what"]) else ""
    return any(
        _NUMBER.search(sentence) and (not stem or stem in map(_stem, words_of(sentence)))
        for sentence in split_sentences(text)
    )


def _repeats(text: str, description: str) -> bool:
    """Return whether every sentence of a text is one of the description."""
    known = {normalised_label(sentence) for sentence in split_sentences(description)}
    sentences = [normalised_label(sentence) for sentence in split_sentences(text)]
    return bool(sentences) and all(sentence in known for sentence in sentences)


def _shares_words(question: str, text: str) -> bool:
    """Return whether a text has a word of the question that says what it is about."""
    return bool(_content(question) & _content(text))


def _content(text: str) -> set[str]:
    return {_stem(word) for word in words_of(text) if word not in _NO_CONTENT}


def _stem(word: str) -> str:
    """Return the beginning of a word, so that mitosis and mitotic, or gland and glandular, are the same."""
    return _LATIN.sub("o", word)[:_STEM] if len(word) > _STEM else word.removesuffix("s")
