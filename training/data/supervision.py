"""What of a conversation is learned: LLaVA-NeXT's ``preprocess_qwen``, token by token.

Answers are learned with their header and their end; of everything else only the marks of the template are, in system and
user turns as well: ``<|im_start|>``, ``<|im_end|>`` and the line break (id 198 in every Qwen2 tokenizer).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from videopath.core.choices import TrainingTemplate
from videopath.model.prompts.template import (
    ASSISTANT,
    IMAGE_TAG,
    IMAGE_TOKEN_ID,
    SYSTEM,
    TURN_MARKS,
    USER,
    text_ids,
    tokenise,
    turn,
)
from videopath.training.data.instructions import Instruction

IGNORED = -100


@dataclass(frozen=True)
class Supervised:
    """A conversation as the network learns it."""

    ids: list[int]
    """With ``IMAGE_TOKEN_ID`` (-200) where a visual stands."""
    labels: list[int]
    """Equally many: the id where it is learned, else -100."""


def supervise(
    instruction: Instruction, tokenizer: Any, template: TrainingTemplate = "qwen_1_5"
) -> Supervised:
    """Ids and labels of a conversation.

    ``plain`` is the template of stage 0: the visuals, then the first answer and a line break, all of it learned; what was asked
    is left out.
    """
    if template == "plain":
        caption = text_ids(tokenizer, instruction.conversations[1].text + "\n")
        shown = [IMAGE_TOKEN_ID] * len(instruction.media)
        return Supervised([*shown, *caption], [*[IGNORED] * len(shown), *caption])
    marks = {*tokenizer.convert_tokens_to_ids(list(TURN_MARKS)), *text_ids(tokenizer, "\n")}
    ids = tokenise(tokenizer, SYSTEM)
    labels = _marks_only(ids, marks)
    for asked, answered in _rounds(instruction):
        question = tokenise(tokenizer, turn(USER, asked))
        answer = tokenise(tokenizer, turn(ASSISTANT, answered))
        ids += [*question, *answer]
        labels += [*_marks_only(question, marks), *answer]
    return Supervised(ids, labels)


def _rounds(instruction: Instruction) -> list[tuple[str, str]]:
    texts = [message.text for message in instruction.conversations]
    return [(_mark_first(asked), answered) for asked, answered in zip(texts[::2], texts[1::2], strict=True)]


def _mark_first(question: str) -> str:
    """A single visual's mark stands before the words, on a line of its own."""
    if question.count(IMAGE_TAG) != 1:
        return question
    return f"{IMAGE_TAG}\n{question.replace(IMAGE_TAG, '').strip()}".strip()


def _marks_only(ids: Sequence[int], marks: set[int]) -> list[int]:
    return [token if token in marks else IGNORED for token in ids]
