"""CSV tables and folders of Hugging Face datasets as instruction data; damaged and hostile ones."""

from __future__ import annotations

import csv
import io
import json
import re
from contextlib import suppress
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from videopath.core.errors import KnowledgeError
from videopath.knowledge import InstructionRecord, KnowledgeBase, read_records

COLUMNS = ["id", "source", "site", "question", "description", "diagnosis", "licence"]
TURNS = [
    {"from": "human", "value": "<image>\nWhat is the best diagnosis for this colon tissue?"},
    {"from": "gpt", "value": "Crowded glands. Diagnosis: colon adenocarcinoma"},
]


def table(tmp_path: Path, text: str | bytes, name: str = "cases.csv") -> Path:
    path = tmp_path / name
    path.write_bytes(text.encode() if isinstance(text, str) else text)
    return path


def skipping(path: Path) -> tuple[list[str], list[str]]:
    """Ids that were read, and what was said of the others."""
    left_out: list[KnowledgeError] = []
    return [record.id for record in read_records(path, left_out=left_out.append)], list(map(str, left_out))


def dataset(folder: Path, batches: list[pa.RecordBatch], name: str = "data-00000-of-00001.arrow") -> Path:
    """What ``Dataset.save_to_disk`` writes."""
    folder.mkdir(parents=True, exist_ok=True)
    with pa.OSFile(str(folder / name), "wb") as sink, pa.ipc.new_stream(sink, batches[0].schema) as writer:
        for batch in batches:
            writer.write_batch(batch)
    state = {"_data_files": [{"filename": name}], "_fingerprint": "0123456789abcdef", "_split": "train"}
    (folder / "state.json").write_text(json.dumps(state))
    (folder / "dataset_info.json").write_text("{}")
    return folder


def batch(*rows: dict[str, Any]) -> pa.RecordBatch:
    return pa.RecordBatch.from_pylist(list(rows))


def test_a_full_row_becomes_a_record(tmp_path: Path) -> None:
    text = (
        "\ufeffID, Source ,site,question,description,diagnosis,License\n"
        'r1,v1.mp4,Large Bowel,Why?,"Glands,\nfused ""back to back"".",carcinoma,CC0\n\n'
    )
    (record,) = read_records(table(tmp_path, text), licence="MIT")
    assert record == InstructionRecord(
        id="r1",
        source="v1.mp4",
        site="large bowel",
        question="Why?",
        description='Glands,\nfused "back to back".',
        diagnosis="carcinoma",
        licence="CC0",
    )


def test_a_row_names_its_media_patient_and_group(tmp_path: Path) -> None:
    text = "description,media,patient,group\nGlands,a.mp4 | b.png,17,block 2\nNests,,,\n"
    glands, nests = read_records(table(tmp_path, text))
    assert [media.path for media in glands.media] == ["a.mp4", "b.png"]
    assert (glands.patient, glands.group) == ("17", "block 2")
    assert (nests.media, nests.patient, nests.group) == ((), None, None)
    rows = batch(
        {"description": "Glands", "media": ["a.mp4", "b.png"], "patient": "17"},
        {"description": "Nests", "media": None, "patient": None},
    )
    glands, nests = read_records(dataset(tmp_path / "saved", [rows]))
    assert [media.path for media in glands.media] == ["a.mp4", "b.png"]
    assert (nests.media, nests.patient) == ((), None)


@pytest.mark.parametrize("delimiter", [",", ";", "\t"])
def test_a_description_is_enough_and_its_id_stays(tmp_path: Path, delimiter: str) -> None:
    header, rows = ["description", "site"], [["Glands", "colon"], ["Nests", ""], ["Glands", "colon"]]
    lines = [delimiter.join(row) for row in [header, *rows]]
    first, second, again = read_records(table(tmp_path, "\n".join(lines)), licence="MIT")
    assert (first.site, second.site, first.licence) == ("colon", None, "MIT")
    assert first.source == first.id
    assert again.id == f"{first.id}#2"
    turned = list(read_records(table(tmp_path, "\r\n".join([lines[0], *lines[:0:-1]]), "other.csv")))
    assert {record.id for record in turned} == {first.id, second.id, again.id}


_CELL = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), min_size=1, max_size=30)
_TEXT = _CELL.map(str.strip).filter(bool)
_RECORDS = st.builds(
    InstructionRecord,
    id=_TEXT, source=_TEXT, site=st.none() | _TEXT, question=_TEXT, description=_TEXT,
    diagnosis=_TEXT | st.just(""), licence=_TEXT,
)  # fmt: skip


@settings(max_examples=150, deadline=None)
@given(
    st.lists(_RECORDS, min_size=1, max_size=5, unique_by=lambda record: record.id),
    st.permutations(COLUMNS),
    st.sampled_from([",", ";", "\t"]),
)
def test_any_table_is_read_back(tmp_path_factory, records, columns, delimiter) -> None:
    stream = io.StringIO()
    writer = csv.DictWriter(stream, columns, delimiter=delimiter, extrasaction="ignore")
    writer.writeheader()
    writer.writerows(record.model_dump() for record in records)
    path = table(tmp_path_factory.mktemp("csv"), stream.getvalue())
    assert list(read_records(path)) == records


@settings(max_examples=150, deadline=None)
@given(st.binary(max_size=80) | st.text('",;\n\r \tab\0é', max_size=60).map(str.encode))
def test_any_bytes_are_read_or_named(tmp_path_factory, rest: bytes) -> None:
    path = table(tmp_path_factory.mktemp("csv"), b"id,description\na,whole\n" + rest)
    left_out: list[KnowledgeError] = []
    records = list(read_records(path, left_out=left_out.append))
    assert records[0].id == "a"
    assert all(record.description for record in records)
    assert all("cases.csv" in str(error) and "\n" not in str(error) for error in left_out)


@pytest.mark.parametrize(
    ("row", "says"),
    [
        (b"x7,,d", "Line 3 of cases.csv.*has 3 fields, the header has 2"),
        (b"x7", "Line 3 of cases.csv.*has 1 fields"),
        (b"x7,", "Line 3 of cases.csv.*x7.*neither a description nor a diagnosis"),
        (b"x7,caf\xe9", "Line 3 of cases.csv.*'description' is not UTF-8"),
        (b"x7,a\0b", "Line 3 of cases.csv.*x7.*not valid text"),
        (b'x7,"a"b', "Line 3 of cases.csv"),
        (b"x7," + b"a" * 200_000, "Line 3 of cases.csv.*field larger"),
    ],
)
def test_a_damaged_row_stops_or_is_left_out(tmp_path: Path, row: bytes, says: str) -> None:
    path = table(tmp_path, b"id,description\na,whole\n" + row + b"\nb,whole\n")
    with pytest.raises(KnowledgeError, match=says):
        list(read_records(path))
    ids, damaged = skipping(path)
    assert ids == ["a", "b"]
    assert len(damaged) == 1
    assert re.search(says, damaged[0])


def test_a_quote_that_never_closes_names_all_lines_it_takes(tmp_path: Path) -> None:
    ids, damaged = skipping(table(tmp_path, 'id,description\na,whole\nb,"open\nc,lost\nd,lost\n'))
    assert ids == ["a"]
    assert len(damaged) == 1
    assert damaged[0].startswith("Lines 3 to 5 of cases.csv")


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("", "no column 'description'"),
        ("id,diagnosis\na,b\n", "no column 'description'"),
        ("description,diagnosos\na,b\n", "'diagnosos' is not known"),
        ("description,description\na,b\n", "stands twice"),
        ('"description\n', "header"),
        ("description\n", "no records"),
        ("description\n\n\n", "no records"),
    ],
)
def test_a_table_that_is_wrong_as_a_whole_is_an_error_also_when_skipping(
    tmp_path: Path, text: str, says: str
) -> None:
    with pytest.raises(KnowledgeError, match=says):
        skipping(table(tmp_path, text))


def test_damaged_json_lines_are_left_out(tmp_path: Path) -> None:
    good = json.dumps({"id": "a", "video": "v.mp4", "conversations": TURNS}).encode()
    bad = [b"{oops", b"\xff\xfe", b"[" * 100_000, b'{"id": ' + b"1" * 5000 + b"}", b"null", b'{"id": "x"}']
    ids, damaged = skipping(table(tmp_path, b"\n".join([*bad, good]), "data.jsonl"))
    assert ids == ["a"]
    assert [re.search(r"(Line|Record) (\d+) of data.jsonl", text)[2] for text in damaged] == list("123456")


def test_a_conversation_is_left_out_whole(tmp_path: Path) -> None:
    half = {"id": "x", "video": "v.mp4", "conversations": [*TURNS, TURNS[0], {"from": "gpt", "value": " "}]}
    whole = {"id": "a", "video": "v.mp4", "conversations": TURNS}
    ids, damaged = skipping(table(tmp_path, json.dumps([half, whole]), "data.json"))
    assert ids == ["a"]
    assert "'x'" in damaged[0]


def test_a_saved_dataset_of_conversations(tmp_path: Path) -> None:
    rows = [{"id": f"c{n}", "video": f"v{n}.mp4", "conversations": TURNS, "extra": b"\0"} for n in range(3)]
    records = list(read_records(dataset(tmp_path / "saved", [batch(*rows[:2]), batch(rows[2])]), "MIT"))
    assert [record.id for record in records] == ["c0", "c1", "c2"]
    assert {(record.site, record.diagnosis, record.licence) for record in records} == {
        ("colon", "colon adenocarcinoma", "MIT")
    }


def test_splits_of_columns_are_read_in_their_order(tmp_path: Path) -> None:
    dataset(tmp_path / "train", [batch({"id": 7, "description": "Glands", "site": None})])
    dataset(tmp_path / "test", [batch({"description": "Nests", "diagnosis": "carcinoma"})])
    (tmp_path / "dataset_dict.json").write_text('{"splits": ["train", "test"]}')
    first, second = read_records(tmp_path)
    assert (first.id, first.source, first.description) == ("7", "7", "Glands")
    assert second.diagnosis == "carcinoma"


def test_damaged_rows_of_a_dataset_are_left_out(tmp_path: Path) -> None:
    rows = batch(
        *({"id": name, "description": text} for name, text in zip("abc", ["ok", "", "ok"], strict=True))
    )
    broken = pa.RecordBatch.from_arrays(
        [pa.array(["d", "e"]), pa.array([b"ok", b"caf\xe9"]).view(pa.string())], ["id", "description"]
    )
    folder = dataset(tmp_path / "saved", [rows, broken])
    with pytest.raises(KnowledgeError, match="Row 2 of data-00000-of-00001.arrow.*'b'"):
        list(read_records(folder))
    ids, damaged = skipping(folder)
    assert ids == ["a", "c", "d"]
    assert [re.match(r"Row (\d)", text)[1] for text in damaged] == ["2", "5"]


def test_a_dataset_that_was_cut_names_where(tmp_path: Path) -> None:
    rows = [batch({"id": f"{n}", "description": "Glands " * 50}) for n in range(4)]
    file = dataset(tmp_path / "saved", rows) / "data-00000-of-00001.arrow"
    file.write_bytes(file.read_bytes()[: -file.stat().st_size // 3])
    ids, damaged = skipping(tmp_path / "saved")
    assert ids == ["0", "1"][: len(ids)]
    assert damaged[0].startswith(f"What follows row {len(ids)} of data-00000-of-00001.arrow is damaged")


@pytest.mark.parametrize(
    ("state", "says"),
    [
        ('{"_data_files": [{"filename": "../secret.arrow"}]}', "state.json is damaged"),
        ('{"_data_files": [{"filename": "/etc/passwd"}]}', "state.json is damaged"),
        ('{"_data_files": [{"filename": "none.arrow"}]}', "none.arrow"),
        ('{"_data_files": []}', "no records"),
        ("[" * 100_000, "state.json is damaged"),
        ("\udcff", "state.json is damaged"),
        ("[]", "state.json is damaged"),
    ],
)
def test_a_hostile_state_is_refused(tmp_path: Path, state: str, says: str) -> None:
    folder = dataset(tmp_path / "saved", [batch({"description": "Glands"})])
    dataset(tmp_path, [batch({"description": "secret"})], "secret.arrow")
    (folder / "state.json").write_bytes(state.encode(errors="surrogateescape"))
    with pytest.raises(KnowledgeError, match=says):
        list(read_records(folder))


def test_splits_lead_nowhere_else(tmp_path: Path) -> None:
    dataset(tmp_path / "secret", [batch({"description": "secret"})])
    inner = tmp_path / "saved"
    inner.mkdir()
    for name in ("../secret", "..", "", str(tmp_path / "secret")):
        (inner / "dataset_dict.json").write_text(json.dumps({"splits": [name]}))
        with pytest.raises(KnowledgeError, match="names a split"):
            list(read_records(inner))


@pytest.mark.parametrize(
    "data", [b"", b"no arrow", b"\xff\xff\xff\xff\xff\xff\xff\x7f", b"\x80\x04cos\nsystem\n"]
)
def test_what_is_no_arrow_is_refused(tmp_path: Path, data: bytes) -> None:
    folder = dataset(tmp_path / "saved", [batch({"description": "Glands"})])
    (folder / "data-00000-of-00001.arrow").write_bytes(data)
    with pytest.raises(KnowledgeError, match=r"data-00000-of-00001\.arrow"):
        list(read_records(folder))


def _stream() -> bytes:
    rows = [{"id": f"c{n}", "video": "v.mp4", "conversations": TURNS, "site": None} for n in range(3)]
    sink = pa.BufferOutputStream()
    with pa.ipc.new_stream(sink, batch(*rows).schema) as writer:
        writer.write_batch(batch(*rows))
    return sink.getvalue().to_pybytes()


_STREAM = _stream()


@settings(max_examples=300, deadline=None)
@given(st.dictionaries(st.integers(0, len(_STREAM) - 1), st.integers(0, 255), min_size=1, max_size=5))
@example({_STREAM.index(b"video"): 0xFF})  # a column's name
@example({_STREAM.index(b"value"): 0xFF})  # one within a column
def test_any_flipped_bytes_are_read_or_refused(tmp_path_factory, flips: dict[int, int]) -> None:
    folder = dataset(tmp_path_factory.mktemp("saved"), [batch({"description": "Glands"})])
    data = bytearray(_STREAM)
    for place, byte in flips.items():
        data[place] = byte
    (folder / "data-00000-of-00001.arrow").write_bytes(data)
    with suppress(KnowledgeError):
        assert all(record.text for record in read_records(folder, left_out=lambda error: None))


def test_rows_without_bytes_do_not_run_for_ever(tmp_path: Path) -> None:
    endless = pa.RecordBatch.from_arrays([pa.nulls(10_000_000)], ["description"])
    with pytest.raises(KnowledgeError, match="10000000 rows in"):
        skipping(dataset(tmp_path / "saved", [endless]))


def test_columns_of_another_kind_are_told(tmp_path: Path) -> None:
    folder = dataset(tmp_path / "saved", [batch({"label": 3})])
    with pytest.raises(KnowledgeError, match="neither a column 'conversations' nor 'description'.*label"):
        list(read_records(folder))


def test_a_damaged_table_leaves_a_knowledge_base_as_it_was(tmp_path: Path, words: Any) -> None:
    base = KnowledgeBase.build(tmp_path / "base", words.some_records(3), words.WordEncoder())
    path = table(tmp_path, "id,description\na,whole\nb,\n")
    with pytest.raises(KnowledgeError, match="Line 3"):
        base.add(read_records(path))
    assert len(KnowledgeBase.open(tmp_path / "base", words.WordEncoder())) == 3
