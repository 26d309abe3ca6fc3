"""The prompt template and its tokens, and the prompt sets of both wordings."""

from __future__ import annotations

import re
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from videopath.core.choices import WORDINGS, Wording
from videopath.core.errors import InputError
from videopath.model.prompts import prompt_set, questions
from videopath.model.prompts.prompt_set import (
    PROMPT_NAMES,
    PromptFacts,
    SimilarCaseText,
    load_prompts,
    packaged_prompts,
)
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


def _diagnose_as_trained(
    question: str, description: str, cases: list[tuple[str, str]]
) -> str:  # what nano was trained with
    lines = [question, f"Description: {description}"]
    if cases:
        lines.append("Similar cases, the most similar last:")
        lines += [
            f"- {label}: {' '.join(text.split()[:32])}{' …' if len(text.split()) > 32 else ''}"
            for label, text in cases
        ]
    return "\n".join([*lines, "Answer with the diagnosis, then the rationale."])


texts = st.text(max_size=60) | st.sampled_from(
    ["{{ site }}", "{% if %}", "a\r\nb\n", " x ", "w " * 40, "<b>&"]
)


@given(
    st.none() | st.sampled_from(["", "colon", "lymph node"]),
    st.none() | texts,
    texts,
    st.lists(st.tuples(texts, texts), max_size=3),
)
def test_videopath_questions_stay_as_they_were_trained(
    site: str | None, question: str | None, description: str, cases: list[tuple[str, str]]
) -> None:
    default = (
        f"What is the best diagnosis for this {site} tissue?"
        if site
        else "What is the best diagnosis for this tissue?"
    )
    tissue = f"this {site} tissue" if site else "this tissue"
    asked = question or default
    assert questions.default_question(site) == default
    assert questions.describe_question(site) == (
        f"Describe the histological findings in {tissue}. Do not give a diagnosis."
    )
    assert questions.one_prompt_question(site, question) == f"{asked} {questions.FIRST_DESCRIBE}"
    neighbours = [SimilarCaseText(*case) for case in cases]
    assert questions.diagnose_question(site, description, neighbours, question) == _diagnose_as_trained(
        asked, description, cases
    )


@pytest.mark.parametrize("wording", WORDINGS)
def test_every_prompt_is_a_file_and_every_file_is_a_prompt(wording: Wording) -> None:
    folder = Path(prompt_set.__file__).parent / "wordings" / wording
    assert {path.name for path in folder.iterdir()} == {f"{name}.jinja" for name in PROMPT_NAMES[wording]}
    assert set(packaged_prompts(wording).sources) == set(PROMPT_NAMES[wording])


FACTS = PromptFacts(
    site="colon",
    question="Which tumour is this?",
    seconds=[0.0, 1.25, 12.0],
    description="Crowded glands.",
    cases=[SimilarCaseText("tubular adenoma", "Tubular glands.")],
    candidates=["colon adenocarcinoma", "tubular adenoma"],
    diagnosis="colon adenocarcinoma",
)


def test_plain_prompts_say_what_the_model_needs_to_know() -> None:
    prompts = packaged_prompts("plain")
    described = prompts.describe(FACTS, '{"findings": []}')
    assert "3 frames of a video" in described
    assert "0, 1.25, 12" in described
    assert "colon" in described
    assert described.endswith('{"findings": []}')
    assert "Crowded glands." not in described
    diagnosed = prompts.diagnose(FACTS, "{}")
    for part in ("Which tumour is this?", "Crowded glands.", "- tubular adenoma: Tubular glands.", "{}"):
        assert part in diagnosed
    assert "- colon adenocarcinoma" in diagnosed
    assert "one of these" not in prompts.diagnose(replace(FACTS, candidates=()), "{}")
    assert "JSON" not in prompts.choose(FACTS)
    assert "JSON" not in prompts.finding(FACTS)
    asked = prompts.ask(FACTS)
    assert "Which tumour is this?" in asked
    assert "colon adenocarcinoma" in asked
    repaired = prompts.repair("WHAT WAS ASKED", "THE ANSWER", "THE ERROR", "{}")
    for part in ("WHAT WAS ASKED", "THE ANSWER", "THE ERROR", "{}"):
        assert part in repaired
    assert "Your answer was" not in prompts.repair("WHAT WAS ASKED", "", "THE ERROR", "{}")


def test_one_picture_is_not_called_frames() -> None:
    prompts = packaged_prompts("plain")
    assert "one picture" in prompts.describe(PromptFacts(seconds=[2.5]))
    assert "site" not in prompts.diagnose(PromptFacts(seconds=[2.5]))


@given(texts, texts)
def test_texts_of_a_case_are_never_run_as_templates(question: str, description: str) -> None:
    asked = packaged_prompts("plain").diagnose(PromptFacts(question=question, description=description))
    assert question in asked
    assert description in asked


def test_own_files_replace_prompts_and_change_the_hash(tmp_path: Path) -> None:
    assert load_prompts("plain", None) is packaged_prompts("plain")
    assert load_prompts("plain", tmp_path) is packaged_prompts("plain")
    (tmp_path / "plain").mkdir()
    (tmp_path / "plain" / "ask.jinja").write_text("Kurz: {{ question }} ({{ site }})\n", encoding="utf-8")
    own = load_prompts("plain", tmp_path)
    assert own.ask(FACTS) == "Kurz: Which tumour is this? (colon)"
    assert own.describe(FACTS) == packaged_prompts("plain").describe(FACTS)
    assert own.sha256 != packaged_prompts("plain").sha256
    assert set(own.own) == {"ask"}
    assert load_prompts("videopath", tmp_path) is packaged_prompts("videopath")


@pytest.mark.parametrize(
    ("name", "text", "said"),
    [
        ("plain/ask.jinja", "{{ question", "not a valid template in line 1"),
        ("plain/ask.jinja", "{{ sight }}", "uses sight, which it is not given"),
        ("plain/ask.jinja", "{% include 'frames.jinja' %}", "includes another template"),
        ("plain/ask.jinja", "x" * 20_001, "20001 characters"),
        ("plain/aks.jinja", "{{ question }}", "is not a prompt"),
        ("ask.jinja", "{{ question }}", "is not a prompt"),
        ("plane/ask.jinja", "{{ question }}", "is not a prompt"),
        ("videopath/repair.jinja", "{{ answer }}", "is not a prompt"),
    ],
)
def test_unusable_files_are_rejected_by_name(tmp_path: Path, name: str, text: str, said: str) -> None:
    path = tmp_path / name
    path.parent.mkdir(exist_ok=True)
    path.write_text(text, encoding="utf-8")
    with pytest.raises(InputError, match=re.escape(said)) as error:
        load_prompts("plain", tmp_path)
    assert name in str(error.value)


@pytest.mark.parametrize(
    "text",
    [
        "{{ question.__class__.__mro__ }}",
        "{{ cases[7].diagnosis }}",
        "{{ seconds | join(1, 2, 3, 4) }}",
        "{{ 1 // 0 }}",
        "{{ range(10 ** 9) | list }}",
    ],
)
def test_a_template_that_fails_is_an_error_with_its_name(tmp_path: Path, text: str) -> None:
    (tmp_path / "plain").mkdir()
    (tmp_path / "plain" / "ask.jinja").write_text(text, encoding="utf-8")
    with pytest.raises(InputError, match=re.escape("ask.jinja")):
        load_prompts("plain", tmp_path).ask(FACTS)


def test_bytes_that_are_no_text_and_missing_folders_are_rejected(tmp_path: Path) -> None:
    (tmp_path / "plain").mkdir()
    (tmp_path / "plain" / "ask.jinja").write_bytes(b"\xff\xfe")
    with pytest.raises(InputError, match="not UTF-8"):
        load_prompts("plain", tmp_path)
    with pytest.raises(InputError, match="does not exist"):
        load_prompts("plain", tmp_path / "none")


def test_a_wording_has_only_its_own_prompts() -> None:
    with pytest.raises(InputError, match="no prompt 'repair'"):
        packaged_prompts("videopath").repair("", "", "", "")
    with pytest.raises(InputError, match="no prompt 'one_prompt'"):
        packaged_prompts("plain").one_prompt(FACTS)
    videopath = packaged_prompts("videopath")
    assert videopath.finding(FACTS) == videopath.describe(FACTS)
    assert videopath.choose(FACTS) == videopath.diagnose(FACTS)
    assert videopath.ask(FACTS) == f"Which tumour is this? {questions.FIRST_DESCRIBE}", (
        "as in the instruction data"
    )
