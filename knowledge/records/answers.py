"""Answers taken apart: the description and the diagnosis that it ends in."""

from __future__ import annotations

import re

_MARKER = re.compile(
    r"(?<!differential )\b(?:(?:final|best|most|likely|probable|primary)[ \t]+)*diagnosis\**\s*:[*\s]*",
    re.IGNORECASE,
)
_RATIONALE = re.compile(r"\s*\**\brationale\**\s*:[*\s]*", re.IGNORECASE)
_LABEL_END = re.compile(r"\n|\.\s+(?=[A-Z])")
_SENTENCE_END = re.compile(r"(?<=[.!?])\s+(?=[A-Z\"'])")
_NO_LABEL = r"(?!not\b|un(?:clear|certain|known)\b|difficult\b|based\b|made\b|supported\b|confirmed\b)"
_SAID = re.compile(
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


def chosen_option(question: str, answer: str) -> str:
    """The text of the option that a multiple-choice answer names by its letter; any other answer as it is.

    An option that answers a question for the diagnosis comes back as ``Diagnosis: …``.
    """
    letter = _LETTER.match(answer.strip())
    options = list(_OPTION.finditer(question)) if letter else []
    for option in options:
        if letter and option.group(1) == letter.group(1):
            text = " ".join(option.group(2).split()).rstrip(".")
            stem = question[: options[0].start()]
            return f"Diagnosis: {text}" if _ASKS_FOR_TYPE.search(stem) else text + "."
    return answer


def split_answer(answer: str) -> tuple[str, str]:
    """(description, diagnosis) of an answer; the diagnosis is empty when the answer names none.

    The last ``Diagnosis:`` counts, but not a ``Differential diagnosis:``; text after its line (a rationale) belongs
    to the description. Without it, a sentence such as "Based on these observations, the diagnosis is …" counts.
    """
    answer = answer.strip()
    markers = list(_MARKER.finditer(answer))
    if markers:
        return _split_at_marker(answer, markers[-1])
    return _split_at_sentence(answer)


def _split_at_marker(answer: str, marker: re.Match[str]) -> tuple[str, str]:
    before, after = answer[: marker.start()].rstrip("* \n\t"), answer[marker.end() :]
    rationale = _RATIONALE.search(after)
    end = _LABEL_END.search(after)
    cut = min([found.start() for found in (rationale, end) if found], default=len(after))
    rest = _RATIONALE.sub(" ", after[cut:], count=1).lstrip(". \n\t")
    return _joined(before, rest), _clean_label(after[:cut])


def _split_at_sentence(answer: str) -> tuple[str, str]:
    sentences = _SENTENCE_END.split(answer)
    for place in reversed(range(len(sentences))):
        said = _SAID.search(sentences[place].rstrip(" .!"))
        if said:
            return " ".join(sentences[:place] + sentences[place + 1 :]), _clean_label(said.group("label"))
    return answer, ""


def _clean_label(text: str) -> str:
    return text.strip().strip("*").strip().rstrip(".").strip()


def _joined(*parts: str) -> str:
    return "\n".join(part for part in (part.strip() for part in parts) if part)
