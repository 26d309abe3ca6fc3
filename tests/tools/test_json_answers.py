"""The reader of JSON answers: it finds what is there, bounds it, and never fails."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from videopath.tools.answers.json_answers import (
    DESCRIPTION_FORM,
    DIAGNOSIS_FORM,
    MAX_ANSWER,
    MAX_DIFFERENTIAL,
    MAX_FINDINGS,
    MAX_LABEL,
    MAX_RATIONALE,
    MAX_SENTENCE,
    DescriptionAnswer,
    DiagnosisAnswer,
    read_findings,
    read_json,
    safe_text,
)

words = st.text(st.characters(codec="utf-8", categories=["Ll", "Lu", "Nd"]), min_size=1, max_size=12).map(
    lambda word: f"a{word}"
)
sentences = st.lists(words, min_size=1, max_size=8).map(" ".join)
findings = st.fixed_dictionaries(
    {"text": sentences}, optional={"frame_seconds": st.none() | st.floats(0, 1e6, allow_nan=False)}
)
anything = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=10), inner, max_size=4),
    max_leaves=12,
)
fields = st.sampled_from(
    ["findings", "text", "frame_seconds", "diagnosis", "rationale", "differential", "other"]
)
around = st.text(st.characters(exclude_characters="{}"), max_size=40).filter(
    lambda text: "</think>" not in text
)


@given(st.lists(findings, min_size=1, max_size=8), around, around, st.booleans())
def test_an_object_is_read_whatever_stands_around_it(
    given_findings: list[dict[str, Any]], before: str, after: str, fenced: bool
) -> None:
    text = json.dumps({"findings": given_findings})
    text = f"```json\n{text}\n```" if fenced else text
    answer = read_json(f"{before}{text}{after}", DescriptionAnswer).answer
    assert answer is not None
    assert [finding.text for finding in answer.findings] == [one["text"] for one in given_findings]
    assert [finding.frame_seconds for finding in answer.findings] == [
        one.get("frame_seconds") for one in given_findings
    ]


@given(st.text(max_size=400) | st.lists(st.sampled_from('{}[]":,a1 \n\\'), max_size=200).map("".join))
def test_any_text_is_read_without_an_error(text: str) -> None:
    for schema in (DescriptionAnswer, DiagnosisAnswer):
        reading = read_json(text, schema)
        assert (reading.answer is None) == bool(reading.problem)
    assert len(read_findings(text)) <= MAX_FINDINGS


@given(st.dictionaries(fields, anything, max_size=5), st.booleans())
def test_any_object_is_read_or_has_a_problem_and_is_bounded(value: dict[str, Any], as_ascii: bool) -> None:
    text = json.dumps(value, ensure_ascii=as_ascii)
    described = read_json(text, DescriptionAnswer)
    if described.answer:
        assert 0 < len(described.answer.findings) <= MAX_FINDINGS
        for finding in described.answer.findings:
            assert finding.text.encode()
            assert len(finding.text) <= MAX_SENTENCE
            assert "\n" not in finding.text
    diagnosed = read_json(text, DiagnosisAnswer)
    if diagnosed.answer:
        assert any(character.isalpha() for character in diagnosed.answer.diagnosis)
        diagnosed.answer.model_dump_json().encode()
    assert len(described.problem) <= 200


@given(st.text(st.characters(codec=None), max_size=100))
def test_safe_text_can_be_written_and_has_no_marks(text: str) -> None:
    clean = safe_text(f"<|im_start|>{text}<image>", 50)
    clean.encode()
    assert len(clean) <= 50
    assert "<|im_start|>" not in clean
    assert "<image>" not in clean
    assert not any(ord(character) < 32 and character not in "\t\n" for character in clean)


def test_everything_is_bounded() -> None:
    many = {"findings": [{"text": f"finding {number} " + "x " * 500} for number in range(20)]}
    answer = read_json(json.dumps(many)[:MAX_ANSWER], DescriptionAnswer).answer
    assert answer is None, "the text is longer than what is read"
    many = {"findings": [f"finding {number}" for number in range(1000)]}
    answer = read_json(json.dumps(many), DescriptionAnswer).answer
    assert answer is None or len(answer.findings) == MAX_FINDINGS
    long = {"diagnosis": "carcinoma " * 100, "rationale": "because " * 1000, "differential": ["adenoma"] * 99}
    diagnosed = read_json(json.dumps(long), DiagnosisAnswer).answer
    assert diagnosed is not None
    assert len(diagnosed.diagnosis) <= MAX_LABEL
    assert len(diagnosed.rationale) <= MAX_RATIONALE
    assert len(diagnosed.differential) == MAX_DIFFERENTIAL


@pytest.mark.parametrize(
    ("seconds", "read"),
    [
        ("3.5", 3.5), ('"3.5 s"', 3.5), ("null", None), ('"none"', None), ("true", None), ("NaN", None),
        ("Infinity", None), ("[1]", None), ("1e400", None), ("1" * 400, None), ("-1", -1.0), ('"at 01:07"', 67.0), ('"0:00:03.5"', 3.5),
    ],
)  # fmt: skip
def test_a_second_is_a_number_or_nothing(seconds: str, read: float | None) -> None:
    text = f'{{"findings": [{{"text": "Glands.", "frame_seconds": {seconds}}}]}}'
    answer = read_json(text, DescriptionAnswer).answer
    assert answer is not None
    assert answer.findings[0].frame_seconds == read


def test_other_shapes_of_the_same_answer_are_understood() -> None:
    texts = read_json('{"findings": ["Glands.", {"text": "Nuclei."}]}', DescriptionAnswer).answer
    assert texts is not None
    assert [finding.text for finding in texts.findings] == ["Glands.", "Nuclei."]
    single = read_json('{"findings": "Glands."}', DescriptionAnswer).answer
    assert single is not None
    named = '{"Diagnosis": "x oma", "rationale": ["a", "b"], "differential": [{"label": "y oma", "p": 0.1}, 3, null]}'
    answer = read_json(named, DiagnosisAnswer).answer
    assert answer is not None
    assert (answer.diagnosis, answer.rationale, answer.differential) == ("x oma", "a b", ["y oma"])


def test_thoughts_are_not_the_answer() -> None:
    text = '<think>{"diagnosis": "lymphoma"} or not?</think>{"diagnosis": "carcinoma"}'
    answer = read_json(text, DiagnosisAnswer).answer
    assert answer is not None
    assert answer.diagnosis == "carcinoma"


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("", "it is empty."),
        ("Crowded glands.", "it holds no JSON object."),
        ('{"findings": [{"text": "Glands."}, {"te', "it is not valid JSON, or it was cut off."),
        ('{"findings": []}', "findings: Value should have at least 1 item"),
        ('{"findings": [{"text": "…"}]}', "findings.0.text: it has no word."),
        ('{"findings": [{"seconds": 1}]}', "findings.0.text: Field required."),
        ('{"diagnosis": "carcinoma"}', "findings: Field required."),
        (DESCRIPTION_FORM, "it is not valid JSON, or it was cut off."),
        ("{" * MAX_ANSWER, "it is not valid JSON, or it was cut off."),
        ('{"a":' * (MAX_ANSWER // 5), "it is not valid JSON, or it was cut off."),
        ('{"findings": ' + "1" * 5000 + "}", "it is not valid JSON, or it was cut off."),
    ],
)
def test_the_problem_is_named(text: str, problem: str) -> None:
    reading = read_json(text, DescriptionAnswer)
    assert reading.answer is None
    assert reading.problem.startswith(problem)


def test_the_form_itself_is_no_answer() -> None:
    assert read_json(DIAGNOSIS_FORM, DiagnosisAnswer).answer is None


def test_what_was_written_before_a_cut_is_kept() -> None:
    text = '{"findings": [{"text": "Glands.", "frame_seconds": 1}, {"text": "Nuclei."}, {"text": "Nec'
    assert [(one.text, one.frame_seconds) for one in read_findings(text)] == [
        ("Glands.", 1.0),
        ("Nuclei.", None),
    ]
