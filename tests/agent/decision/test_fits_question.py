"""An answer that does not fit its question is never shown as one, and an answer that fits is."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from videopath.agent.decision.fits_question import (
    BARE_DIAGNOSIS,
    ECHO,
    EMPTY,
    NO_DIAGNOSIS,
    NO_NUMBER,
    UNKNOWN,
    USUAL,
    why_not_answered,
)

UNKNOWN_LABEL = "not a tissue that this model knows"
DESCRIPTION = (
    "A low-power view of a field rich in cells, with tightly packed nuclei. The picture shows dark staining, much pink and "
    "hardly any lumina or fat. Glands are crowded, angulated and back to back."
)
USUAL_ANSWER = f"{DESCRIPTION}\nDiagnosis: colon adenocarcinoma"
"""What nano writes, whatever it is asked."""
NOT_KNOWN = f"What is seen does not fit the stated site.\nDiagnosis: {UNKNOWN_LABEL}"


def why(question: str, answer: str, **more: object) -> str:
    return why_not_answered(question, answer, unknown_label=UNKNOWN_LABEL, **more)  # type: ignore[arg-type]


@pytest.mark.parametrize("answer", ["", "  ", "...", "\n–\n"])
def test_an_answer_without_words_is_none(answer: str) -> None:
    assert why("Is there necrosis?", answer) == EMPTY


@pytest.mark.parametrize(
    "answer",
    [
        "Is there necrosis?",
        "is there necrosis",
        "Question: Is there necrosis? Answer:",
        "Is there necrosis? Is there necrosis?",
    ],
)
def test_an_echo_is_no_answer(answer: str) -> None:
    assert why("Is there necrosis?", answer) == ECHO


@pytest.mark.parametrize(
    "answer",
    [
        "Unknown.",
        "I cannot tell from these frames.",
        UNKNOWN_LABEL,
        f"Diagnosis: {UNKNOWN_LABEL}",
        "The pattern does not match a tissue that the model was trained on.",
    ],
)
@pytest.mark.parametrize(
    "question", ["Is there necrosis?", "What is the diagnosis?", "How many mitoses are there?"]
)
def test_not_knowing_is_no_answer(question: str, answer: str) -> None:
    assert why(question, answer) == UNKNOWN


@pytest.mark.parametrize(
    "answer",
    ["Adenocarcinoma.", "Diagnosis: colon adenocarcinoma", "**Tubular adenoma**", "strange lesion X"],
)
def test_a_bare_diagnosis_answers_nothing_else(answer: str) -> None:
    assert why("Is there necrosis?", answer, diagnoses=["strange lesion X"]) == BARE_DIAGNOSIS
    assert why("What is the best diagnosis?", answer, diagnoses=["strange lesion X"]) == ""


@pytest.mark.parametrize(
    "question",
    [
        "Is there necrosis?",
        "Is there invasion of the muscularis propria?",
        "What is the grade of the tumour?",
        "What stain was used?",
        "Where are the glands?",
        "Why are the nuclei dark?",
        "Which organ is this?",
        "Which markers would you order for these glands?",
        "What would you do next?",
        "What colour is the stroma?",
        "hello",
    ],
)
def test_the_usual_answer_of_a_model_answers_only_what_it_was_trained_for(question: str) -> None:
    assert why(question, USUAL_ANSWER) == USUAL
    assert why(question, DESCRIPTION, description=DESCRIPTION) == USUAL
    assert why(question, NOT_KNOWN) in (USUAL, UNKNOWN)


@pytest.mark.parametrize(
    "question",
    [
        "Describe the nuclei.",
        "What do the glands look like?",
        "Are the glands regular?",
        "What is the best diagnosis for this colon tissue?",
        "Is this benign or malignant?",
    ],
)
def test_the_usual_answer_counts_for_what_it_speaks_of(question: str) -> None:
    assert why(question, USUAL_ANSWER) == ""


def test_a_description_is_no_diagnosis() -> None:
    assert why("What is the best diagnosis for this colon tissue?", DESCRIPTION) == NO_DIAGNOSIS
    assert why("What is the diagnosis?", "Glands are crowded.") == NO_DIAGNOSIS
    assert why("What is the diagnosis?", "The features are those of a tubular adenoma of the colon.") == ""
    assert why("Is this a carcinoma?", "No.") == ""


@pytest.mark.parametrize(
    ("answer", "expected"),
    [
        ("About 3 per high-power field.", ""),
        ("None.", ""),
        ("Mitoses are rare.", ""),
        (
            "The nuclei are dark and crowded, and the stroma is loose. In all, I count 12 mitoses in ten fields.",
            "",
        ),
        ("The nuclei are dark.", NO_NUMBER),
        ("Mitotic figures can be seen between the dark and crowded nuclei.", NO_NUMBER),
        (USUAL_ANSWER, NO_NUMBER),
        (
            "The two layers of the wall are thick, and the nuclei between them are dark and crowded.",
            NO_NUMBER,
        ),
    ],
)
def test_a_count_needs_a_number(answer: str, expected: str) -> None:
    assert why("How many mitoses are there?", answer) == expected


@pytest.mark.parametrize(
    ("question", "answer"),
    [
        ("Is there necrosis?", "Yes."),
        ("Is there necrosis?", "There is necrosis."),
        ("Are there mitoses?", "None."),
        ("Is there necrosis?", "No, I see no necrosis in these frames."),
        ("Is the lesion benign or malignant?", "Malignant."),
        ("What is the grade?", "Well differentiated adenocarcinoma."),
        ("What would you do next?", "Order CDX2 and CK20 to confirm the origin."),
        ("Why are the nuclei dark?", "Hyperchromasia reflects more DNA in neoplastic cells."),
        ("Is there invasion?", "The glands reach the muscle, so yes."),
        ("What is it?", "Chronic colitis"),
        ("Wo liegt der Tumor?", "Links oben im Bild."),
    ],
)
def test_other_answers_count(question: str, answer: str) -> None:
    assert why(question, answer) == ""


@given(st.text(max_size=60), st.text(max_size=120))
def test_any_two_texts_get_a_verdict(question: str, answer: str) -> None:
    assert isinstance(why(question, answer, description=answer, diagnoses=[question]), str)
