"""The results of a batch: the same rows in Parquet and CSV, no formulas, and a summary page that is inert."""

from __future__ import annotations

import csv
from pathlib import Path

import pyarrow.parquet

from videopath.agent.many.results import ResultRow, Rows, extra_columns, guarded, write_results
from videopath.agent.many.summary import summarise
from videopath.app.figures.batch import summary_page
from videopath.core.notice import RESEARCH_USE

HOSTILE = "<script>alert(1)</script>"


def _rows() -> Rows:
    rows = Rows()
    rows.add(
        ResultRow(
            row=2, path="/v/b.mp4", status="refused", reason="b.mp4 is no video.", extra={"ward": "=1+1"}
        )
    )
    rows.add(
        ResultRow(
            row=1, path="/v/a.mp4", status="done", diagnosis=HOSTILE, confidence=0.9, seconds=1.5, case_id="batch-1",
            extra={"status": "@x", "ward": ""},
        )
    )  # fmt: skip
    rows.add(ResultRow(row=3, path="/v/c.mp4", status="refused", reason="c.mp4 is no video."))
    return rows


def test_both_tables_hold_the_rows_in_order_and_no_formula(tmp_path: Path) -> None:
    write_results(tmp_path, _rows())
    table = pyarrow.parquet.read_table(tmp_path / "results.parquet")
    with (tmp_path / "results.csv").open(encoding="utf-8", newline="") as stream:
        lines = list(csv.DictReader(stream))
    assert table["row"].to_pylist() == [1, 2, 3] == [int(line["row"]) for line in lines]
    assert table["manifest_status"].to_pylist() == ["@x", None, None]
    assert [line["ward"] for line in lines] == ["", "'=1+1", ""]
    assert lines[0]["manifest_status"] == "'@x"
    assert table["confidence"].to_pylist() == [0.9, None, None]
    assert table.schema.metadata[b"notice"].decode() == RESEARCH_USE
    assert RESEARCH_USE in (tmp_path / "README.md").read_text(encoding="utf-8")


def test_no_cell_is_a_formula() -> None:
    assert [guarded(text) for text in ("=1", "+1", "-1", "@a", "\tx", "＝1", "a=1", "")] == [
        "'=1", "'+1", "'-1", "'@a", "'\tx", "'＝1", "a=1", "",
    ]  # fmt: skip
    assert guarded(-1.5) == -1.5


def test_a_column_of_the_manifest_never_takes_the_place_of_another() -> None:
    row = ResultRow(row=1, path="", status="done", extra={"status": "1", "manifest_status": "2", "x": "3"})
    columns = extra_columns([row])
    assert columns == {"status": "manifest_manifest_status", "manifest_status": "manifest_status", "x": "x"}


def test_the_summary_counts_and_its_page_is_inert() -> None:
    summary = summarise(_rows(), 5)
    assert (summary.open, summary.statuses["refused"], summary.confidences[9]) == (2, 2, 1)
    assert [(one.reason, one.rows) for one in summary.reasons] == [("FILE is no video.", 2)]
    page = summary_page(summary, HOSTILE)
    assert HOSTILE not in page
    assert "<script" not in page
    assert RESEARCH_USE in page
    assert "default-src 'none'" in page
    assert "<svg" in page
