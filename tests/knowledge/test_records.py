"""Reading instruction data: forms of files, forms of answers, damaged records."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from videopath.core.errors import KnowledgeError
from videopath.core.pathology.sites import SITES
from videopath.knowledge import InstructionRecord, Media, read_records, to_conversation, write_records

HUMAN = "<image>\nWhat is the best diagnosis for this ovary tissue?"


def conversation(answer: str, question: str = HUMAN, **fields: Any) -> dict[str, Any]:
    turns = [{"from": "human", "value": question}, {"from": "gpt", "value": answer}]
    return {"id": "case-1", "video": "clips/vidrip_ab_c00001.mp4", "conversations": turns, **fields}


def read(
    tmp_path: Path, *items: Any, lines: bool = False, licence: str | None = None
) -> list[InstructionRecord]:
    path = tmp_path / "data.json"
    text = "\n".join(json.dumps(item) for item in items) if lines else json.dumps(list(items), indent=1)
    path.write_text(text, encoding="utf-8")
    return list(read_records(path, licence=licence))


@pytest.mark.parametrize("lines", [False, True])
def test_a_conversation_becomes_a_record(tmp_path: Path, lines: bool) -> None:
    item = conversation("Papillae with atypia.\nDiagnosis: High-grade serous carcinoma.")
    (record,) = read(tmp_path, item, lines=lines, licence="CC BY 4.0")
    assert record == InstructionRecord(
        id="case-1",
        source="clips/vidrip_ab_c00001.mp4",
        site="ovary",
        question="What is the best diagnosis for this ovary tissue?",
        description="Papillae with atypia.",
        diagnosis="High-grade serous carcinoma",
        licence="CC BY 4.0",
        media=(Media(path="clips/vidrip_ab_c00001.mp4"),),
    )


def test_a_conversation_names_its_media_patient_and_group(tmp_path: Path) -> None:
    item = conversation("Glands.") | {"patient": "P7", "group": "block 2", "start": 1.5, "end": 4}
    (record,) = read(tmp_path, item, lines=False)
    assert record.media == (Media(path="clips/vidrip_ab_c00001.mp4", start=1.5, end=4.0),)
    assert (record.patient, record.group) == ("P7", "block 2")
    item = conversation("Glands.") | {"image": ["a.png", "b.png"], "start": 1.5}
    del item["video"]
    (record,) = read(tmp_path, item, lines=True)
    assert record.media == (Media(path="a.png"), Media(path="b.png"))
    with pytest.raises(KnowledgeError, match=r"before it starts"):
        read(tmp_path, conversation("Glands.") | {"start": 5, "end": 4}, lines=False)


@pytest.mark.parametrize(
    ("answer", "description", "diagnosis"),
    [
        ("Crypts are regular. **Diagnosis:** benign colon.", "Crypts are regular.", "benign colon"),
        (
            "Glands fuse.\n\nFinal diagnosis: adenocarcinoma, grade 2.5",
            "Glands fuse.",
            "adenocarcinoma, grade 2.5",
        ),
        ("Diagnosis: SCC\nRationale: keratin pearls.", "keratin pearls.", "SCC"),
        ("Diagnosis: SCC. Rationale: pearls.", "pearls.", "SCC"),
        ("Differential diagnosis: A, B.\nDiagnosis: C", "Differential diagnosis: A, B.", "C"),
        ("Nests of cells.", "Nests of cells.", ""),
        ("Differential diagnosis: A or B.", "Differential diagnosis: A or B.", ""),
        (
            "Nests. Based on these observations, the diagnosis is SCC, Grade 4 (of 4).",
            "Nests.",
            "SCC, Grade 4 (of 4)",
        ),
        ("Pale cells. The most likely diagnosis is an oncocytoma.", "Pale cells.", "oncocytoma"),
        ("Pale cells. Most likely diagnosis: oncocytoma", "Pale cells.", "oncocytoma"),
        ("Pale cells. The best diagnosis for this tissue is oncocytoma.", "Pale cells.", "oncocytoma"),
        ("Pale cells. The diagnosis is: oncocytoma.", "Pale cells.", "oncocytoma"),
        ("The findings are most consistent with serous carcinoma.", "", "serous carcinoma"),
        (
            "The histological classification, on these features, is melanoma. It is solid.",
            "It is solid.",
            "melanoma",
        ),
        ("The diagnosis is not clear from this field.", "The diagnosis is not clear from this field.", ""),
        (
            "Nests that support the diagnosis of carcinoma.",
            "Nests that support the diagnosis of carcinoma.",
            "",
        ),
    ],
)
def test_answers_are_taken_apart(tmp_path: Path, answer: str, description: str, diagnosis: str) -> None:
    (record,) = read(tmp_path, conversation(answer))
    assert (record.description, record.diagnosis) == (description, diagnosis)


def test_choices_are_spelt_out(tmp_path: Path) -> None:
    asked = "<image>\nHow do the nuclei look? A) They are round. B) They are grooved. C) None."
    typed = "What is the histological classification? A) Adenoma B) Renal cell carcinoma, clear cell"
    pattern, diagnosis = read(tmp_path, conversation("B", asked), conversation('B "', typed, id="case-2"))
    assert (pattern.description, pattern.diagnosis) == ("They are grooved.", "")
    assert (diagnosis.description, diagnosis.diagnosis) == ("", "Renal cell carcinoma, clear cell")


def test_each_question_of_a_conversation_is_a_record(tmp_path: Path) -> None:
    item = conversation("Papillae.")
    item["conversations"].insert(0, {"from": "system", "value": "You are a pathologist."})
    item["conversations"] += [
        {"role": "user", "content": "And the diagnosis?"},
        {"role": "assistant", "content": "Diagnosis: HGSC"},
    ]
    first, second = read(tmp_path, item)
    assert (first.id, first.description) == ("case-1", "Papillae.")
    assert (second.id, second.diagnosis, second.source) == ("case-1/2", "HGSC", first.source)


def test_repeated_ids_are_told_apart(tmp_path: Path) -> None:
    items = [conversation("A."), conversation("B."), conversation("C.", id="case-1#2"), conversation("D.")]
    found = read(tmp_path, *items)
    assert len({record.id for record in found}) == 4
    assert found[0].id == "case-1"


@pytest.mark.parametrize(
    ("item", "says"),
    [
        ({"id": "x7"}, "x7.*source"),
        ({"id": "x7", "conversations": []}, "x7.*no conversation"),
        ({"id": "x7", "conversations": "text"}, "x7.*no conversation"),
        ({"id": "x7", "conversations": [{"from": "human", "value": "Why?"}]}, "x7.*without an answer"),
        (
            {"id": "x7", "conversations": [{"from": "gpt", "value": "a"}, {"from": "human", "value": "b"}]},
            "x7.*turns",
        ),
        (
            {"id": "x7", "conversations": [{"from": "human", "value": 3}, {"from": "gpt", "value": "b"}]},
            "x7.*turn",
        ),
        (conversation("  ", id="x7"), "x7.*neither a description nor a diagnosis"),
        (conversation("a", question="<image>", id="x7"), "x7.*question.*empty"),
        (conversation("nul \0", id="x7"), "x7.*description.*not valid text"),
        ({"id": "x7", "source": "s", "question": "q", "description": "d", "colour": "red"}, "x7.*colour"),
        (["x7"], "x7"),
        (None, "not an object"),
    ],
)
@pytest.mark.parametrize("lines", [False, True])
def test_a_damaged_record_names_itself(tmp_path: Path, item: Any, says: str, lines: bool) -> None:
    with pytest.raises(KnowledgeError, match="^Record 2 of data.json") as caught:
        read(tmp_path, conversation("whole"), item, lines=lines)
    assert re.search(says, str(caught.value))
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("data", "says"),
    [
        (b"", "no records"),
        (b"[]", "no records"),
        (b'[{"id": ', "not whole JSON"),
        (b'{"id": 1}\n{oops\n', "Record 1"),
        (b"{oops", "Line 1"),
        (b"\xff\xfe\x00", "UTF-8"),
        (b"[" * 100_000, "JSON|nested"),
    ],
)
def test_a_damaged_file_is_named(tmp_path: Path, data: bytes, says: str) -> None:
    path = tmp_path / "data.json"
    path.write_bytes(data)
    with pytest.raises(KnowledgeError, match=says):
        list(read_records(path))


def test_a_missing_file_and_a_folder_are_named(tmp_path: Path) -> None:
    for path in (tmp_path / "none.json", tmp_path):
        with pytest.raises(KnowledgeError, match=re.escape(str(path))):
            list(read_records(path))


def test_the_real_conversations_are_read_whole(wsi_bench: Path) -> None:
    records = list(read_records(wsi_bench, licence="Apache-2.0"))
    assert len(records) == len({record.id for record in records}) == 3218
    assert {record.licence for record in records} == {"Apache-2.0"}
    assert sum(bool(record.diagnosis) for record in records) > 450
    assert (
        records[0].diagnosis
        == "squamous cell carcinoma, non-keratinizing type, poorly differentiated (grade III)"
    )
    assert records[0].site == "lung"
    assert all(record.id.startswith(record.source) for record in records)
    assert "the diagnosis is" not in records[0].description
    reports = [record for record in records[:100] if record.diagnosis]
    assert len(reports) > 90
    assert all(len(record.diagnosis) < 200 for record in records)


_TEXT = (
    st.text(st.characters(exclude_categories=["Cs", "Cc"]), min_size=1, max_size=60)
    .map(str.strip)
    .filter(bool)
)
_LABEL = st.from_regex(r"[A-Za-z][a-z ,\-()0-9]{0,40}[a-z0-9)]", fullmatch=True).filter(
    lambda text: not re.search(r"diagnosis\s*:|rationale\s*:", text, re.IGNORECASE)
)
_PROSE = _TEXT.filter(lambda text: not re.search(r"diagnosis|<(image|video)>|\*", text, re.IGNORECASE))
_RECORDS = st.builds(
    InstructionRecord,
    id=_TEXT,
    source=_TEXT,
    site=st.sampled_from(sorted(SITES)),
    question=_PROSE,
    description=_PROSE,
    diagnosis=_LABEL,
    licence=_TEXT,
)


@settings(max_examples=150, deadline=None)
@given(st.lists(_RECORDS, min_size=1, max_size=5, unique_by=lambda record: record.id), st.booleans())
def test_what_is_written_as_conversations_is_read_back(tmp_path_factory, records, lines) -> None:
    folder = tmp_path_factory.mktemp("conversations")
    assert read(folder, *map(to_conversation, records), lines=lines) == records


@settings(max_examples=100, deadline=None)
@given(st.lists(_RECORDS, min_size=1, max_size=5, unique_by=lambda record: record.id))
def test_what_is_written_as_records_is_read_back(tmp_path_factory, records) -> None:
    path = tmp_path_factory.mktemp("records") / "records.jsonl"
    write_records(path, records)
    assert list(read_records(path)) == records


_JSON = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.text(max_size=8)
    | st.sampled_from(["human", "gpt", HUMAN]),
    lambda inner: (
        st.lists(inner, max_size=4)
        | st.dictionaries(
            st.sampled_from(["id", "conversations", "from", "value", "video", "image", "site", "source"]),
            inner,
            max_size=5,
        )
    ),
    max_leaves=12,
)


@settings(max_examples=200, deadline=None)
@given(_JSON)
def test_any_json_is_read_or_refused_in_a_sentence(tmp_path_factory, item) -> None:
    try:
        records = read(tmp_path_factory.mktemp("any"), item)
    except KnowledgeError:
        return
    assert all(record.id and (record.description or record.diagnosis) for record in records)
