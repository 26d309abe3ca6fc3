"""What is a diagnosis and what only stands in its place; which organ it names."""

from __future__ import annotations

import pytest

from videopath.core.pathology.terms import is_term
from videopath.model.card import Card
from videopath.tools.answers.labels import clean_label
from videopath.tools.answers.organs import is_of_other_organ

CARD = Card(
    labels={"colon": ["benign colon tissue", "colon adenocarcinoma"], "lymph node": ["follicular lymphoma"]},
    unknown_label="not a tissue that this model knows",
)


@pytest.mark.parametrize(
    "text",
    [
        "Diagnosis: Diagnosis: Diagnosis:", "Diagnosis", "diagnosis diagnosis", "The diagnosis is", "<image>", "<|im_end|>",
        "<|im_start|>assistant", "</s>", "[INST]", "USER:", "assistant", "the best diagnosis for this colon tissue",
        "Answer with the diagnosis, then the rationale", "What is the best diagnosis for this tissue?", "colon tissue",
        "Describe the histological findings in this tissue", "...", "—", "93%", "5", "0.94", "1/2", "", "   ", "yes", "No.",
        "N/A", "unknown", "cancer cancer cancer", "benign benign", "carcinomacarcinoma", "aaaaaaa", "of the of the",
        "adenocarcinoma, colon, adenocarcinoma, colon", "cell of the cell of the cell of the cell", "x" * 200, "?",
        "Rationale: Rationale:", "Similar cases, the most similar last", "image", "video", "Description:", "**Diagnosis:**",
    ],
)  # fmt: skip
def test_what_is_no_diagnosis(text: str) -> None:
    assert clean_label(text) == ""


@pytest.mark.parametrize(
    ("text", "label"),
    [
        ("Diagnosis: colon adenocarcinoma", "colon adenocarcinoma"),
        ("Final diagnosis: **tubular adenoma**", "tubular adenoma"),
        ("colon adenocarcinoma<|im_end|>", "colon adenocarcinoma"),
        ("The diagnosis is seminoma", "seminoma"),
        ("papillary carcinoma of the thyroid", "papillary carcinoma of the thyroid"),
        ("NILM negative cervical cytology", "NILM negative cervical cytology"),
        ("not a tissue that this model knows", "not a tissue that this model knows"),
        ("normal oral epithelium", "normal oral epithelium"),
        ("benign tissue", "benign tissue"),
        (
            "high-grade squamous intraepithelial lesion, cytology",
            "high-grade squamous intraepithelial lesion, cytology",
        ),
        ("round cell sarcoma, round cell type", "round cell sarcoma, round cell type"),
    ],
)
def test_what_is_a_diagnosis(text: str, label: str) -> None:
    assert clean_label(text) == label


@pytest.mark.parametrize(
    ("question", "text", "kept"),
    [
        ("How many mitoses are there?", "How many mitoses are there", False),
        ("How many mitoses are there?", "mitoses", False),
        ("Is this a chordoma or a chondrosarcoma?", "chordoma", True),
        ("Is this a chordoma or a chondrosarcoma?", "chordoma or a chondrosarcoma", True),
    ],
)
def test_a_part_of_the_question_is_no_diagnosis_unless_it_names_one(
    question: str, text: str, kept: bool
) -> None:
    assert bool(clean_label(text, question)) == kept


@pytest.mark.parametrize(
    ("label", "site", "other"),
    [
        ("lung adenocarcinoma", "colon", True), ("colon adenocarcinoma", "colon", False), ("colonic adenoma", "rectum", False),
        ("follicular lymphoma", "colon", True), ("papillary thyroid carcinoma", "skin", True), ("melanoma", "skin", False),
        ("metastatic lung adenocarcinoma", "colon", False), ("benign lesion of the ovary", "colon", True),
        ("lipoma", "colon", False), ("fat necrosis", "breast", False), ("nodular goiter", "thyroid", False),
        ("peripheral nerve sheath tumor", "skin", False), ("gastric adenocarcinoma", "stomach", False),
        ("hepatocellular carcinoma", "lung", True), ("not a tissue that this model knows", "lung", False),
        ("lung adenocarcinoma", None, False), ("ectopic pancreas", "stomach", False),
    ],
)  # fmt: skip
def test_which_labels_are_of_another_organ(label: str, site: str | None, other: bool) -> None:
    assert is_of_other_organ(label, site, CARD) == other


@pytest.mark.parametrize(
    ("label", "known"),
    [
        ("the pitary", False), ("the adder", False), ("benign lesion of the adder", False), ("colon adenokarzynoma", False),
        ("tumour of the pitary", False), ("benign lesion of the pituitary", True), ("serous carcinoma of the fallopian tube", True),
        ("angiomyolipoma", True), ("Hürthle cell adenomas", True), ("squamous cell carcinoma, grade 2, pT3", True),
        ("chronic lymphocytic leukaemia", True), ("adenocarcinocoma", False), ("", False),
    ],
)  # fmt: skip
def test_words_that_do_not_exist_make_no_term(label: str, known: bool) -> None:
    assert is_term(label) == known
