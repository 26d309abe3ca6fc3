"""The ``qwen_1_5`` prompt template and its tokens, exactly as LLaVA-NeXT builds them.

It is not the tokenizer's own chat template: that of Qwen2.5 has another default system sentence.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any

from videopath.core.errors import InputError
from videopath.core.text import has_half_characters

IMAGE_TAG = "<image>"
IMAGE_TOKEN_ID = -200
END_OF_TURN = "<|im_end|>"
TURN_MARKS = ("<|im_start|>", END_OF_TURN)

SYSTEM = f"<|im_start|>system\nYou are a helpful assistant.{END_OF_TURN}\n"
USER = "<|im_start|>user\n"
ASSISTANT = "<|im_start|>assistant\n"
_CONTROL_MARKS = re.compile(r"<image>|<\|(?:im_start|im_end|endoftext)\|>")


def build_prompt(question: str, *, visuals: int = 1, answer_start: str = "") -> str:
    """Return the prompt of one question: system turn, user turn with a line ``<image>`` for each visual, assistant header.

    Args:
        question: The question. Marks of the template in it (``<image>``, ``<|im_end|>``, ...) are removed, because they
            would start or end a turn.
        visuals: Number of clips or images.
        answer_start: Text that the answer continues.
    """
    text = IMAGE_TAG + "\n" if visuals else ""
    message = text * visuals + without_marks(question)
    return render_turns([(message, None)]) + answer_start


def without_marks(text: str) -> str:
    """Return ``text`` without the marks that only the template may contain.

    Marks are removed until none is left, because removing one can join two halves into another.
    """
    while _CONTROL_MARKS.search(text):
        text = _CONTROL_MARKS.sub("", text)
    return text


def render_turns(turns: Sequence[tuple[str, str | None]]) -> str:
    """Render (user, assistant) turns as a prompt.

    ``None`` or an empty answer leaves the assistant's header open. As in the original, an empty user message has no
    ``<|im_end|>``.
    """
    return SYSTEM + "".join(turn(USER, user) + turn(ASSISTANT, answer) for user, answer in turns)


def tokenise(tokenizer: Any, prompt: str) -> list[int]:
    """Return the token ids of a prompt, with ``IMAGE_TOKEN_ID`` (-200) in the place of each visual.

    As in the original, the text is split at ``<image>`` and each piece is tokenised separately.
    """
    ids: list[int] = []
    for number, piece in enumerate(prompt.split(IMAGE_TAG)):
        if number:
            ids.append(IMAGE_TOKEN_ID)
        if piece:
            ids += text_ids(tokenizer, piece)
    return ids


def text_ids(tokenizer: Any, text: str) -> list[int]:
    """Token ids of a text without ``<image>``. Raises InputError for half characters, as of names that are no UTF-8."""
    if has_half_characters(text):
        raise InputError("The text has a character that is not valid (half of a surrogate pair); remove it.")
    return list(tokenizer(text, add_special_tokens=False)["input_ids"])


def turn(header: str, message: str | None) -> str:
    """Return a message after its header (:data:`USER` or :data:`ASSISTANT`); without a message the header stays open."""
    return f"{header}{message}{END_OF_TURN}\n" if message else header
