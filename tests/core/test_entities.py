"""Equal entities, parents of entities, and the entity that a free answer names."""

from __future__ import annotations

from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from videopath.core.pathology import entities
from videopath.core.pathology.entities import PARENT, credit, entity_of, find_diagnosis, parents_of
from videopath.training.data import corpus


@pytest.mark.parametrize(
    ("said", "truth", "worth"),
    [
        ("Colorectal adenocarcinoma.", "colon adenocarcinoma", 1.0),
        ("adenocarcinoma of the colon", "colon adenocarcinoma", 1.0),
        ("Adenocarcinoma", "colon adenocarcinoma", PARENT),
        ("carcinoma", "colon adenocarcinoma", PARENT),
        ("malignant tumour", "colon adenocarcinoma", PARENT),
        ("colon adenocarcinoma", "adenocarcinoma", 0.0),
        ("lung adenocarcinoma", "colon adenocarcinoma", 0.0),
        ("CLL/SLL", "chronic lymphocytic leukaemia", 1.0),
        ("Hodgkin's lymphoma", "classic Hodgkin lymphoma", PARENT),
        ("HSIL", "high-grade squamous intraepithelial lesion, cytology", 1.0),
        ("High grade serous carcinoma", "high-grade serous carcinoma", 1.0),
        ("a rare thing", "A rare thing.", 1.0),
        ("a rare thing", "another thing", 0.0),
        ("", "adenocarcinoma", 0.0),
    ],
)
def test_what_a_diagnosis_is_worth(said: str, truth: str, worth: float) -> None:
    assert credit(said, truth) == worth


def test_no_name_means_two_things_and_every_class_of_nano_is_known() -> None:
    names = Counter(entities._normalised(name) for own, e, _ in entities._table() for name in (own, *e.also))
    assert not [name for name, count in names.items() if count > 1]
    for _, diagnosis in corpus.LABELS.values():
        entity = entity_of(diagnosis)
        assert entity is not None, diagnosis
        assert credit(diagnosis, entity) == 1.0
        assert parents_of(entity), diagnosis


@pytest.mark.parametrize(
    ("text", "entity"),
    [
        ("Glands are crowded. Diagnosis: Colorectal adenocarcinoma.", "colon adenocarcinoma"),
        (
            "This is consistent with squamous cell carcinoma of the lung, a malignant tumor.",
            "lung squamous cell carcinoma",
        ),
        ("There is no evidence of malignancy; reactive lymph node.", "reactive follicular hyperplasia"),
        ("The diagnosis is unclear, melanoma is possible.", "melanoma"),
        ("Fibrous tissue only.", ""),
        ("flat epithelium", ""),
        ("", ""),
    ],
)
def test_what_a_free_answer_names(text: str, entity: str) -> None:
    assert find_diagnosis(text) == entity


@given(st.text(), st.text())
def test_worth_is_0_a_half_or_1_and_all_of_itself(said: str, truth: str) -> None:
    assert credit(said, truth) in (0.0, PARENT, 1.0)
    assert credit(truth, truth) == 1.0
