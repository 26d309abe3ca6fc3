"""The starter knowledge base that ships with VideoPath."""

from __future__ import annotations

import shutil
from collections import Counter
from pathlib import Path

import numpy as np
import pytest

from videopath.core.errors import KnowledgeError
from videopath.core.pathology.sites import SITES
from videopath.knowledge import STARTER_FOLDER, Embedder, KnowledgeBase, read_records, starter_records
from videopath.knowledge.index.embedder import unit_rows

NANO = {
    "colon": {"benign colon tissue", "colon adenocarcinoma"},
    "lung": {"benign lung tissue", "lung adenocarcinoma", "lung squamous cell carcinoma"},
    "oral cavity": {"normal oral epithelium", "oral squamous cell carcinoma"},
    "lymph node": {"chronic lymphocytic leukemia", "follicular lymphoma", "mantle cell lymphoma"},
    "cervix": {
        "NILM negative cervical cytology",
        "low-grade squamous intraepithelial lesion, cytology",
        "high-grade squamous intraepithelial lesion, cytology",
        "squamous cell carcinoma, cervical cytology",
    },
    "bone marrow": {"healthy bone marrow"},
}


def test_it_covers_what_nano_knows_and_more() -> None:
    records = starter_records()
    assert len(records) >= 300
    counts = Counter((record.site, record.diagnosis) for record in records)
    for site, labels in NANO.items():
        assert all(counts[site, label] >= 5 for label in labels)
    assert min(counts.values()) >= 3
    known = {label for labels in NANO.values() for label in labels}
    assert len({record.diagnosis for record in records} - known) >= 71


def test_each_record_is_its_own_and_stands_alone() -> None:
    records = starter_records()
    assert (
        len({record.source for record in records})
        == len({record.description for record in records})
        == len(records)
    )
    for record in records:
        assert record.source.startswith("videopath-starter/")
        assert record.licence == "Apache-2.0 (VideoPath)"
        assert record.site in SITES
        assert record.site in record.question
        assert 40 <= len(record.description.split()) <= 70
        assert record.diagnosis.lower() not in record.description.lower()


def test_records_of_a_diagnosis_say_different_things() -> None:
    vectors = KnowledgeBase.starter().vectors()
    likeness = vectors @ vectors.T - np.eye(len(vectors))  # [n, n], cosine; 0 with itself
    assert likeness.max() < 0.9


def test_the_shipped_index_is_that_of_the_records(minilm: Embedder) -> None:
    records = starter_records()
    base = KnowledgeBase.starter()
    assert list(base) == records, "run videopath.knowledge.rebuild_starter() after a change of the records"
    fresh = unit_rows(minilm.encode([record.text for record in records[::5]]))
    assert np.abs(base.vectors()[::5] - fresh).max() < 1e-4
    assert base.info().embedder.sha256 == minilm.sha256
    assert base.verify() == []


def test_only_its_files_are_shipped() -> None:
    assert len(list(STARTER_FOLDER.iterdir())) == 5
    assert sum(path.stat().st_size for path in STARTER_FOLDER.iterdir()) < 1_500_000


def test_it_finds_by_meaning(minilm: Embedder) -> None:
    base = KnowledgeBase.open(STARTER_FOLDER, minilm)
    for query, site, diagnosis in [
        (
            "Cribriform glands with dirty necrosis and stratified hyperchromatic nuclei",
            "colon",
            "colon adenocarcinoma",
        ),
        ("Open alveoli with thin septa and no atypia", "lung", "benign lung tissue"),
        (
            "Koilocytes with perinuclear halos",
            "cervix",
            "low-grade squamous intraepithelial lesion, cytology",
        ),
        (
            "Papillae and solid sheets with bizarre nuclei and psammoma bodies",
            "ovary",
            "high-grade serous carcinoma",
        ),
    ]:
        assert base.search(query, 1, site=site)[0].record.diagnosis == diagnosis


def test_it_is_not_changed(words) -> None:
    with pytest.raises(KnowledgeError, match="build one of your own"):
        KnowledgeBase.starter().add(words.some_records(1))


def test_its_records_start_a_knowledge_base_of_ones_own(tmp_path: Path, words) -> None:
    shutil.copy(STARTER_FOLDER / "records.jsonl", tmp_path)
    records = list(read_records(tmp_path / "records.jsonl"))
    base = KnowledgeBase.build(tmp_path / "mine", [*records, *words.some_records(2)], words.WordEncoder())
    assert len(base) == len(records) + 2
