"""Answers in words: which part is the description, which the diagnosis, which the rationale.

There are two readers. :func:`parse_answer` reads the form that VideoPath asks its models for. :func:`parse_free_answer`
reads instruction data, where people and other models wrote the same thing in many ways.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

DIAGNOSIS_START = "Diagnosis:"
RATIONALE_START = "Rationale:"

_DIAGNOSIS = re.compile(r"\b(?:final\s+)?diagnosis\s*:\s*(.+?)(?:\n|$)", re.IGNORECASE)
_RATIONALE = re.compile(r"\brationale\s*:\s*(.+)", re.IGNORECASE | re.DOTALL)

_FREE_DIAGNOSIS = re.compile(
    r"(?<!differential )\b(?:(?:final|best|most|likely|probable|primary)[ \t]+)*diagnosis\**\s*:[*\s]*",
    re.IGNORECASE,
)
_FREE_RATIONALE = re.compile(r"\s*\**\brationale\**\s*:[*\s]*", re.IGNORECASE)
_LABEL_END = re.compile(r"\n|\.\s+(?=[A-Z])")
_SENTENCE_END = re.compile(r"(?<=[.!?])\s+(?=[A-Z\"'])")
_NO_LABEL = r"(?!not\b|un(?:clear|certain|known)\b|difficult\b|based\b|made\b|supported\b|confirmed\b)"
_DIAGNOSIS_SENTENCE = re.compile(
    r"(?:\b(?:the|a|an|my|our)\s+(?:[\w-]+\s+){0,2}diagnosis\s+(?:(?:for|of)\s+[^.,:;]{1,60}?\s+)?(?:is|would be):?\s+"
    r"|\b(?:findings|features|appearances|morphology|picture)\s+(?:is|are)\s+(?=most\b|consistent\b|diagnostic\b|compatible\b)"
    r"|\bhistolog\w+\s+(?:classification|type|typing)\b[^.]*?\bis\s+)"
    r"(?:best\s+|most\s+)?(?:(?:consistent|compatible)\s+with\s+|diagnostic\s+of\s+|that\s+of\s+|identified\s+as\s+)?"
    rf"(?:an?\s+|the\s+)?{_NO_LABEL}(?P<label>[^\n]+)$",
    re.IGNORECASE,
)

_OPTION = re.compile(r"(?:^|\s)\(?([A-H])[).]\s+(.+?)(?=\s+\(?[A-H][).]\s|\s*$)", re.DOTALL)
_LETTER = re.compile(r"^\(?([A-H])\b[\s).\"']*$")
_ASKS_FOR_TYPE = re.compile(r"\bdiagnos[ei]s\b|\bhistolog\w+\s+(?:classification|type)", re.IGNORECASE)


@dataclass(frozen=True)
class ParsedAnswer:
    """The parts of an answer. A part that the answer does not have is an empty string."""

    description: str
    diagnosis: str
    rationale: str = ""


def parse_answer(text: str) -> ParsedAnswer:
    """Return the parts of an answer in VideoPath's own form, which is that of the ViDRiP-LLaVA instruction data.

    The first ``Diagnosis:`` counts. What stands before it is the description; ``Rationale:`` may follow it. An answer
    without ``Diagnosis:`` is all description. The diagnosis loses a closing full stop and Markdown's asterisks.
    """
    found = _DIAGNOSIS.search(text)
    if not found:
        return ParsedAnswer(description=text.strip(), diagnosis="")
    rationale = _RATIONALE.search(text, found.start())
    diagnosis = found.group(1)
    inline = _RATIONALE.search(diagnosis)
    if inline:
        diagnosis = diagnosis[: inline.start()]
    return ParsedAnswer(
        description=text[: found.start()].strip(),
        diagnosis=diagnosis.strip().rstrip(".").strip("*").strip(),
        rationale=rationale.group(1).strip() if rationale else "",
    )


def parse_free_answer(text: str) -> ParsedAnswer:
    """Return the description and the diagnosis of an answer in any wording, as instruction data has it.

    The last ``Diagnosis:`` counts; ``Differential diagnosis:`` does not count. Text after its line, such as a rationale,
    belongs to the description. If there is no ``Diagnosis:``, the last sentence such as "Based on these observations,
    the diagnosis is …" counts. If there is none of these, the diagnosis is empty.
    """
    text = text.strip()
    markers = list(_FREE_DIAGNOSIS.finditer(text))
    return _split_at_marker(text, markers[-1]) if markers else _split_at_sentence(text)


def chosen_option(question: str, answer: str) -> str:
    """Return the text of the option that a multiple-choice answer names by its letter, or the answer as it is.

    If the question asks for the diagnosis, the option's text comes back as ``Diagnosis: …``.
    """
    letter = _LETTER.match(answer.strip())
    options = list(_OPTION.finditer(question)) if letter else []
    for option in options:
        if letter and option.group(1) == letter.group(1):
            text = " ".join(option.group(2).split()).rstrip(".")
            stem = question[: options[0].start()]
            return f"{DIAGNOSIS_START} {text}" if _ASKS_FOR_TYPE.search(stem) else text + "."
    return answer


def _split_at_marker(text: str, marker: re.Match[str]) -> ParsedAnswer:
    before, after = text[: marker.start()].rstrip("* \n\t"), text[marker.end() :]
    ends = (_FREE_RATIONALE.search(after), _LABEL_END.search(after))
    cut = min([end.start() for end in ends if end], default=len(after))
    rest = _FREE_RATIONALE.sub(" ", after[cut:], count=1).lstrip(". \n\t")
    return ParsedAnswer(_joined(before, rest), _bare_label(after[:cut]))


def _split_at_sentence(text: str) -> ParsedAnswer:
    sentences = _SENTENCE_END.split(text)
    for number in reversed(range(len(sentences))):
        found = _DIAGNOSIS_SENTENCE.search(sentences[number].rstrip(" .!"))
        if found:
            others = sentences[:number] + sentences[number + 1 :]
            return ParsedAnswer(" ".join(others), _bare_label(found.group("label")))
    return ParsedAnswer(text, "")


def _bare_label(text: str) -> str:
    return text.strip().strip("*").strip().rstrip(".").strip()


def _joined(*parts: str) -> str:
    return "\n".join(part for part in (part.strip() for part in parts) if part)
