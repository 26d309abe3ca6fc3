"""The prompts of the stage: templates beside this module, filled with what is known of a clip."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

from videopath.core.files import sha256_text
from videopath.dataset.instructions.answers import (
    CASE_FORM,
    DESCRIPTION_RATING_FORM,
    RATING_FORM,
    WrittenCase,
)
from videopath.dataset.instructions.words import ClipWords
from videopath.dataset.records import Cue

if TYPE_CHECKING:
    from jinja2 import Environment

_MOST_WORDS = 1_600
"""Words of the narrator in a prompt. Cases begin with what is seen and end with the diagnosis: the middle is left out."""
_FOLDER = Path(__file__).parent / "templates"


def write_prompt(facts: dict[str, Any], draft: str = "", critique: str = "") -> str:
    """Return the question for a description and a diagnosis.

    Args:
        facts: Those of :func:`clip_facts`.
        draft: What was rated too low, if it is written again.
        critique: Why it was.
    """
    return _filled("write", facts | {"form": CASE_FORM, "draft": draft, "critique": critique})


def rate_prompt(facts: dict[str, Any], case: WrittenCase) -> str:
    """Return the question for the quality of what was written."""
    return _filled(
        "rate",
        facts
        | {
            "form": RATING_FORM if case.diagnosis else DESCRIPTION_RATING_FORM,
            "description": case.description,
            "reasoning": case.reasoning,
            "diagnosis": case.diagnosis,
        },
    )


def clip_facts(seconds: list[float], site: str | None, words: ClipWords) -> dict[str, Any]:
    """Return what the prompts may say about a clip.

    Args:
        seconds: When each frame is shown, in seconds of the clip.
        site: The organ; None if it is not known.
        words: What is said and shown in words.
    """
    return {
        "frames": len(seconds),
        "seconds": [_in_words(second) for second in seconds],
        "site": site,
        "title": words.title,
        "cards": list(words.answer_cards),
        "sentences": [
            {"second": _in_words(sentence.start), "text": sentence.text}
            for sentence in _first_and_last(words.sentences)
        ],
    }


@cache
def templates_sha256() -> str:
    """Return a hash of all templates."""
    return sha256_text(
        "\n".join(path.read_text(encoding="utf-8") for path in sorted(_FOLDER.glob("*.jinja")))
    )


def _filled(name: str, values: dict[str, Any]) -> str:
    return _environment().get_template(f"{name}.jinja").render(values)


@cache
def _environment() -> Environment:
    from jinja2 import FileSystemLoader, StrictUndefined
    from jinja2.sandbox import ImmutableSandboxedEnvironment

    return ImmutableSandboxedEnvironment(
        loader=FileSystemLoader(_FOLDER),
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        autoescape=False,
    )


def _first_and_last(sentences: Sequence[Cue]) -> list[Cue]:
    """Return the sentences, without those in the middle if they have more words than a prompt should hold."""
    first, last = list[Cue](), list[Cue]()
    left, right = iter(sentences), reversed(sentences)
    for kept, order in ((first, left), (last, right)):
        count = 0
        for sentence in order:
            count += len(sentence.text.split())
            if len(first) + len(last) == len(sentences) or count > _MOST_WORDS / 2:
                break
            kept.append(sentence)
    return [*first, *reversed(last)]


def _in_words(second: float) -> str:
    """Return a number of seconds with at most one decimal: "0", "1.5", "-3"."""
    text = f"{second:.1f}".removesuffix(".0")
    return "0" if text == "-0" else text
