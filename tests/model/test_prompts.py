"""The prompt template and its tokens."""

from __future__ import annotations

from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from videopath.model.prompts.template import (
    IMAGE_TOKEN_ID,
    build_prompt,
    render_turns,
    tokenise,
    without_marks,
)

marks = st.sampled_from(
    ["<image>", "<|im_end|>", "<|im_start|>", "<im<image>age>", "<|im_<|im_end|>end|>", "a", "\n", "é"]
)


def test_a_question_about_a_clip() -> None:
    assert build_prompt("What is it?", answer_start="Diagnosis:") == (
        "<|im_start|>system\nYou are a helpful assistant.<|im_end|>\n"
        "<|im_start|>user\n<image>\nWhat is it?<|im_end|>\n<|im_start|>assistant\nDiagnosis:"
    )


@given(st.lists(marks, max_size=8).map("".join), st.integers(0, 3))
def test_a_question_cannot_add_visuals_or_turns(question: str, visuals: int) -> None:
    prompt = build_prompt(question, visuals=visuals)
    assert prompt.count("<image>") == visuals
    assert prompt.count("<|im_start|>") == 3


@given(st.text())
def test_taking_marks_out_leaves_other_text_alone(text: str) -> None:
    plain = text.replace("<", "")
    assert without_marks(plain) == plain


def test_more_turns_repeat_the_roles() -> None:
    text = render_turns([("a", "b"), ("c", None)])
    assert text.endswith(
        "user\na<|im_end|>\n<|im_start|>assistant\nb<|im_end|>\n<|im_start|>user\nc<|im_end|>\n<|im_start|>assistant\n"
    )


@given(st.lists(st.text(alphabet="ab \nµ", max_size=9), min_size=1, max_size=4))
def test_pieces_are_tokenised_by_themselves(byte_tokenizer: Any, pieces: list[str]) -> None:
    ids = tokenise(byte_tokenizer, "<image>".join(pieces))
    assert ids.count(IMAGE_TOKEN_ID) == len(pieces) - 1
    text = [byte_tokenizer(piece)["input_ids"] if piece else [] for piece in pieces]
    flat = text[0] + [token for piece in text[1:] for token in (IMAGE_TOKEN_ID, *piece)]
    assert ids == flat
