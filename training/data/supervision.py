"""Which tokens of a conversation are learned, as in LLaVA-NeXT's ``preprocess_qwen``.

Answers are learned with their header and their end token. In system and user turns only the tokens of the template are
learned: ``<|im_start|>``, ``<|im_end|>`` and the line break (id 198 in every Qwen2 tokenizer).
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
"""Label of a token that is not learned, as ``cross_entropy`` ignores it by default."""


@dataclass(frozen=True)
class SupervisedTokens:
    """A conversation as tokens with labels."""

    ids: list[int]
    """Token ids; ``IMAGE_TOKEN_ID`` (-200) stands for a visual."""
    labels: list[int]
    """As long as ``ids``: the id if the token is learned, otherwise -100."""


def supervise(
    instruction: Instruction, tokenizer: Any, template: TrainingTemplate = "qwen_1_5"
) -> SupervisedTokens:
    """Return ids and labels of a conversation.

    Args:
        instruction: The conversation.
        tokenizer: A Qwen2 tokenizer.
        template: ``qwen_1_5`` for all turns. ``plain``, the template of stage 0, has the visuals, the first answer
            and a line break; answer and line break are learned, and the question is left out.
    """
    if template == "plain":
        caption = text_ids(tokenizer, instruction.conversations[1].text + "\n")
        visuals = [IMAGE_TOKEN_ID] * len(instruction.media)
        return SupervisedTokens([*visuals, *caption], [*[IGNORED] * len(visuals), *caption])
    template_ids = {*tokenizer.convert_tokens_to_ids(list(TURN_MARKS)), *text_ids(tokenizer, "\n")}
    ids = tokenise(tokenizer, SYSTEM)
    labels = _template_only(ids, template_ids)
    for question, answer in _rounds(instruction):
        question_ids = tokenise(tokenizer, turn(USER, question))
        answer_ids = tokenise(tokenizer, turn(ASSISTANT, answer))
        ids += [*question_ids, *answer_ids]
        labels += [*_template_only(question_ids, template_ids), *answer_ids]
    return SupervisedTokens(ids, labels)


def _rounds(instruction: Instruction) -> list[tuple[str, str]]:
    texts = [message.text for message in instruction.conversations]
    return [(_tag_first(question), answer) for question, answer in zip(texts[::2], texts[1::2], strict=True)]


def _tag_first(question: str) -> str:
    """Put the tag of a single visual before the words, on a line of its own."""
    if question.count(IMAGE_TAG) != 1:
        return question
    return f"{IMAGE_TAG}\n{question.replace(IMAGE_TAG, '').strip()}".strip()


def _template_only(ids: Sequence[int], template_ids: set[int]) -> list[int]:
    return [token if token in template_ids else IGNORED for token in ids]
