"""Rows of a batch: from folders, patterns and manifests of each kind; what is wrong stays in its row."""

from __future__ import annotations

import json
from pathlib import Path

import pyarrow
import pyarrow.parquet
import pytest

from videopath.agent.many.manifest import Row, RowDefaults, read_rows
from videopath.core.errors import InputError


def _rows(*what: Path | str, out: Path | None = None, **defaults: object) -> list[Row]:
    return list(read_rows(what, out, RowDefaults(**defaults)))  # type: ignore[arg-type]


@pytest.mark.parametrize("separator", [",", ";", "\t"])
def test_a_table_says_what_is_asked_of_each_file(tmp_path: Path, separator: str) -> None:
    lines = [
        ["path", "Site", "segment", "exclude", "sampling", "Ward"],
        ["a.mp4", "Colon", "10-25.5", "P1|P2", "", "=1+1"],
        [str(tmp_path / "b.mp4"), "", "", "", "fps", ""],
    ]
    table = tmp_path / "m.csv"
    table.write_text("\ufeff" + "\r\n".join(separator.join(line) for line in lines), encoding="utf-8")
    first, second = _rows(table, site="lung", exclude=("X",))
    assert (first.path, first.site, first.segment) == (tmp_path / "a.mp4", "colon", "10-25.5")
    assert first.exclude == ("X", "P1", "P2")
    assert first.extra == {"Ward": "=1+1"}
    assert (second.path, second.site, second.sampling, second.segment) == (
        tmp_path / "b.mp4",
        "lung",
        "fps",
        "",
    )
    assert not first.problem
    assert not second.problem


def test_all_kinds_of_manifest_give_the_same_rows(tmp_path: Path) -> None:
    entries = [
        {
            "path": "a.mp4",
            "start": 1.5,
            "end": None,
            "crop": [0, 0, 0.5, 1],
            "um_per_pixel": 0.25,
            "age": 61,
        },
        {"path": "b.mp4", "start": None, "end": 3.0, "crop": None, "um_per_pixel": None, "age": 7},
    ]
    lines = tmp_path / "m.jsonl"
    lines.write_text("\n".join(map(json.dumps, entries)))
    pyarrow.parquet.write_table(pyarrow.Table.from_pylist(entries), tmp_path / "m.parquet")
    table = tmp_path / "m.csv"
    table.write_text('path,start,end,crop,um_per_pixel,age\na.mp4,1.5,,"0,0,0.5,1",0.25,61\nb.mp4,,3,,,7\n')
    expected = _rows(lines)
    assert expected == _rows(tmp_path / "m.parquet") == _rows(table)
    assert expected[0].crop == (0, 0, 0.5, 1)
    assert [row.um_per_pixel for row in _rows(lines, um_per_pixel=0.5)] == [0.25, 0.5]
    assert expected[0].request()["um_per_pixel"] == 0.25
    assert "um_per_pixel" not in expected[1].request()
    assert [row.segment for row in expected] == ["1.5-", "-3"]


@pytest.mark.parametrize(
    ("row", "reason"),
    [
        ("a.mp4,mars,,", "'mars' is not known"),
        ("a.mp4,,ten,", "segment 'ten' is not two numbers"),
        ("a.mp4,,1-2,5", "both a segment and a start"),
        (",colon,,", "names no path"),
        ("a.mp4,,,,,9", "6 cells, but the header has 4"),
        ("a.mp4,,,-1", "start '-1' is not a number of seconds"),
        ("a.mp4,https://me:cret@h/,,", "'https://[removed]@h/' is not known"),
        ("\udce9.mp4,,,", "not valid UTF-8"),
    ],
)
def test_a_wrong_row_keeps_its_reason_and_stops_no_other(tmp_path: Path, row: str, reason: str) -> None:
    table = tmp_path / "m.csv"
    table.write_bytes(f"path,site,segment,start\n{row}\nb.mp4,,,\n".encode(errors="surrogateescape"))
    wrong, right = _rows(table)
    assert reason in wrong.problem
    assert wrong.problem.startswith("Line 2 of m.csv")
    assert (right.problem, right.path.name, right.number) == ("", "b.mp4", 2)


@pytest.mark.parametrize("scale", ["0", "1000", "nan", "20x"])
def test_a_scale_that_is_not_possible_is_said(tmp_path: Path, scale: str) -> None:
    (tmp_path / "m.csv").write_text(f"path,um_per_pixel\na.mp4,{scale}\n")
    (row,) = _rows(tmp_path / "m.csv")
    assert f"um_per_pixel {scale} is not a number above 0 and below 1000" in row.problem


def test_credentials_leave_all_cells_but_the_path(tmp_path: Path) -> None:
    entry = {
        "path": "a.mp4",
        "question": "Is https://me:cret@h/a benign?",
        "exclude": ["P1", "https://cret@h/b"],
        "link": "https://h/a.mp4?study=7&X-Amz-Signature=cret",
        "more": {"from": ["s3://key:cret@lab/x"]},
        "ward": "A3: me@h.org",
        "width": float("nan"),
    }
    (tmp_path / "m.jsonl").write_text(json.dumps(entry))
    (row,) = _rows(tmp_path / "m.jsonl")
    assert not row.problem
    assert "cret" not in repr(row)
    assert row.cleaned == ("question", "exclude", "link", "more")
    assert row.exclude == ("P1", "https://[removed]@h/b")
    assert row.extra["link"] == "https://h/a.mp4?study=7&X-Amz-Signature=[removed]"
    assert row.extra["ward"] == "A3: me@h.org"


@pytest.mark.parametrize(
    ("name", "content", "reason"),
    [
        ("m.csv", "s3://me:cret@lab/a.mp4,x\n", r"its columns are: s3://\[removed\]@lab"),
        ("m.csv", "video,site\na.mp4,colon\n", "no column 'path'"),
        ("m.csv", "path,site,site\na.mp4,colon,x\n", "more than once"),
        ("m.csv", "path,site\n", "no videos or images"),
        ("m.csv", "", "no videos or images"),
        ("m.jsonl", "\n", "no videos or images"),
        ("m.parquet", "PAR1", "cannot be read as Parquet"),
        ("m.txt", "a.mp4", "neither a manifest nor a video"),
    ],
)
def test_a_wrong_manifest_is_one_sentence(tmp_path: Path, name: str, content: str, reason: str) -> None:
    (tmp_path / name).write_text(content)
    with pytest.raises(InputError, match=reason):
        _rows(tmp_path / name)


def test_a_folder_stands_for_its_videos_and_images_without_hidden_files_and_results(tmp_path: Path) -> None:
    for name in (
        "c10.mp4",
        "c2.MP4",
        "notes.txt",
        ".hidden.mp4",
        ".cache/x.mp4",
        "sub/a.png",
        "out/frames/b.png",
    ):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).touch()
    names = [str(row.path.relative_to(tmp_path)) for row in _rows(tmp_path, out=tmp_path / "out")]
    assert names == ["c2.MP4", "c10.mp4", "sub/a.png"]
    pattern = [row.path.name for row in _rows(f"{tmp_path}/c*", out=tmp_path / "out")]
    assert pattern == ["c2.MP4", "c10.mp4"]
    with pytest.raises(InputError, match="no videos or images"):
        _rows(tmp_path / "out", out=tmp_path / "out")
