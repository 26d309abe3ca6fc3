"""JSON lines: a line ends at a newline byte, a damaged entry affects only itself, and a torn last line is removed."""

from __future__ import annotations

import json
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from videopath.core.errors import CaseError, InputError
from videopath.core.jsonl import JsonLines, json_entries, parse_json
from videopath.evaluation.testsets.sets import read_items
from videopath.knowledge.records.record import read_records
from videopath.training.data.instructions import read_instructions
from videopath.training.validation import check_dataset


def _conversation(answer: str, name: str = "a.mp4") -> dict[str, object]:
    turns = [{"from": "human", "value": "<image>\nWhat is it?"}, {"from": "gpt", "value": answer}]
    return {"id": "1", "video": name, "conversations": turns}


def test_line_separators_inside_answers_are_no_line_ends_for_any_reader(shared: Path, tmp_path: Path) -> None:
    path = shared / "data" / "cases" / "u2028.jsonl"
    (tmp_path / "a.mp4").touch()
    *_, found = check_dataset(path, tmp_path)
    assert (found.conversations, found.problems) == (3, [])
    answers = [entry.conversations[1].text for entry in read_instructions(path)]
    assert len(answers) == 3
    assert any("\u2028" in answer for answer in answers)
    assert any("\x85" in answer for answer in answers)
    assert len(list(read_records(path))) == 3
    assert [item.reference for item in read_items(path, tmp_path)] == answers


def test_a_carriage_return_between_tokens_is_no_line_end(tmp_path: Path) -> None:
    path = tmp_path / "a.jsonl"
    path.write_bytes(b'\xef\xbb\xbf{"a":\r1}\r\n\r\n{"a": 2}')
    assert [(e.number, e.place, e.value) for e in json_entries(path)] == [
        (1, "Line 1 of a.jsonl", {"a": 1}),
        (2, "Line 3 of a.jsonl", {"a": 2}),
    ]


@pytest.mark.parametrize(
    ("line", "reason"),
    [
        (b'{"id": "\\ud800"}', "not valid text"),
        (b'{"\\udfff": 1}', "not valid text"),
        (b'{"id": ', "not whole JSON"),
        (b'{"id": "\xff"}', "not UTF-8"),
        (b"[" * 100_000, "nested too deeply"),
        (b'{"id": ' + b"1" * 5000 + b"}", "number that is too long"),
    ],
)
def test_a_damaged_line_is_named_and_does_not_end_the_check(tmp_path: Path, line: bytes, reason: str) -> None:
    whole = json.dumps(_conversation("Glands \U0001f600.")).encode()
    path = tmp_path / "a.jsonl"
    path.write_bytes(b"\n".join([whole, line, whole]))
    *_, found = check_dataset(path, tmp_path, "names")
    assert found.conversations == 2
    assert len(found.problems) == 1
    assert found.problems[0].startswith("Line 2 of a.jsonl")
    assert reason in found.problems[0]
    with pytest.raises(InputError, match=r"^Line 2 of a\.jsonl"):
        read_instructions(path)


def test_a_half_character_in_a_list_costs_its_entry_alone(tmp_path: Path) -> None:
    path = tmp_path / "a.json"
    path.write_text(
        json.dumps([_conversation("Glands."), _conversation("\ud800"), _conversation("\U0001f600")])
    )
    *_, found = check_dataset(path, tmp_path, "names")
    assert found.conversations == 2
    assert [problem.split(" has ")[0] for problem in found.problems] == ["Entry 2 of a.json"]


@pytest.mark.parametrize("name", ["a\0b.mp4", "a" * 5000])
def test_a_name_that_no_file_can_have_does_not_end_the_check(tmp_path: Path, name: str) -> None:
    path = tmp_path / "a.json"
    path.write_text(json.dumps([_conversation("Glands.", name), _conversation("Glands.", "a.json")]))
    *_, found = check_dataset(path, tmp_path)
    assert found.conversations == 2
    assert len(found.problems) == 1


@pytest.mark.parametrize("torn", [b"{", b"x" * 200_000])
def test_a_torn_last_line_is_left_out_and_removed_by_the_next_append(tmp_path: Path, torn: bytes) -> None:
    file = JsonLines(tmp_path / "new" / "a.jsonl")
    assert file.read() == []
    file.append('{"a": "\u2028"}')
    file.path.write_bytes(file.path.read_bytes() + torn)
    assert file.read() == ['{"a": "\u2028"}\n'.encode()]
    file.append("{}")
    assert file.path.read_bytes() == '{"a": "\u2028"}\n{}\n'.encode()
    file.path.write_bytes(torn)
    file.append("{}")
    assert file.read() == [b"{}\n"]
    file.replace([b"1\n", b"2\n"])
    assert file.path.read_bytes() == b"1\n2\n"


def test_several_threads_append_whole_lines(tmp_path: Path) -> None:
    file = JsonLines(tmp_path / "a.jsonl", private=True, synced=True)
    lines = [json.dumps([number] * 1000) for number in range(40)]
    with ThreadPoolExecutor(8) as pool:
        list(pool.map(file.append, lines))
    assert sorted(file.read()) == sorted(f"{line}\n".encode() for line in lines)
    assert file.path.stat().st_mode & 0o077 == 0


def test_what_is_no_json_is_an_error_of_the_asked_kind() -> None:
    for text in (b"{", b"\xff", b"[" * 100_000, b"1" * 5000):
        with pytest.raises(CaseError, match="^The file "):
            parse_json(text, "The file", CaseError)
