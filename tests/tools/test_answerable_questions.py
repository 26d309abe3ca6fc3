"""Which questions a diagnosis answers."""

from __future__ import annotations

import numpy as np
import pytest

from videopath.model.prompts.questions import default_question, one_prompt_question
from videopath.tools.answers.answerable_questions import asks_for_diagnosis, is_answered
from videopath.training.scratch.question_wordings import diagnosis_question

LABEL = "colon adenocarcinoma"


@pytest.mark.parametrize(
    "question",
    [
        default_question("colon"), one_prompt_question(None), "Diagnosis?", "What disease is this?", "What is this?",
        "Which type of tumour is shown here?", "Is this benign or malignant?", "Is this a colon adenocarcinoma?",
        "Is this chordoma or chondrosarcoma?", "Was ist die Diagnose?", "¿Cuál es el diagnóstico?", "Name the lesion.",
        "How would you classify this tumour?", "Based on these findings, what is the most likely diagnosis?",
        "A man of 60. What is the diagnosis?", "What does this tissue show?",
    ],
)  # fmt: skip
def test_a_diagnosis_answers(question: str) -> None:
    assert is_answered(question, LABEL) is True


@pytest.mark.parametrize(
    "question",
    [
        "How many mitoses?", "What is the grade?", "Is there perineural invasion?", "Where is the tumour?", "Hello",
        "Describe the nuclei.", "What is the Ki-67 index?", "Which organ is this?", "Is the adenocarcinoma well differentiated?",
        "What is the best diagnosis, and how many mitoses are there?", "Count the mitoses and give the diagnosis.",
        "Which features are most significant for making a diagnosis?", "What stain was used?", "Does this show malignancy?",
        "What is this structure?", "What do you see?", "What is this in the upper left corner?",
        "How would you sign out the margins?", "The man has a diagnosis of lymphoma. How many blasts?", "What stage is this tumour?", "What is the prognosis?",
    ],
)  # fmt: skip
def test_a_diagnosis_answers_nothing_else(question: str) -> None:
    assert is_answered(question, LABEL) is False


def test_no_diagnosis_answers_no_question_and_none_is_asked() -> None:
    assert is_answered("Diagnosis?", "no diagnosis") is False
    assert (
        is_answered("Diagnosis?", "not a tissue that this model knows", "not a tissue that this model knows")
        is False
    )
    assert is_answered(None, LABEL) is None


@pytest.mark.parametrize("site", [None, "colon", "lymph node"])
def test_every_wording_that_a_model_is_trained_on_asks_for_a_diagnosis(site: str | None) -> None:
    draws = np.random.default_rng(5)
    questions = {diagnosis_question(site, draws) for _ in range(600)}
    assert [question for question in questions if not asks_for_diagnosis(question)] == []
