"""The results of a batch: one row for each file, as a record, as Parquet and as CSV."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, get_args

from pydantic import BaseModel, ConfigDict, Field

from videopath.core.files import replaced_on_success, write_text
from videopath.core.notice import RESEARCH_USE

if TYPE_CHECKING:
    import pyarrow

RowStatus = Literal["done", "abstained", "waiting for review", "refused", "failed"]
"""How a row ended. "refused": the row or its file cannot be used; "failed": something broke, another try may help."""
ROW_STATUSES: tuple[RowStatus, ...] = get_args(RowStatus)

PARQUET, CSV, README = "results.parquet", "results.csv", "README.md"

_FORMULA = tuple("=+-@\t\r\n＝＋－＠")
"""A spreadsheet takes a cell with one of these at its beginning for a formula."""
_AT_ONCE = 1000  # rows


class Outcome(BaseModel):
    """How the case of a row ended."""

    model_config = ConfigDict(extra="forbid")

    status: RowStatus
    diagnosis: str = Field(
        default="", description="the label of the outcome; with abstained, the leading one"
    )
    confidence: float | None = Field(default=None, description="calibrated; None if it was never fitted")
    vouched_by: str = Field(
        default="", description='who vouches for it: "model", "cases", "reviewer", or several'
    )
    differential: str = Field(default="[]", description="JSON: diagnosis and probability, best first")
    seconds: float | None = Field(default=None, description="of all steps of the case")
    device: str = ""
    case_id: str = Field(default="", description="in the case library")
    reason: str = Field(default="", description="why it was refused, failed, or abstained from")
    video_sha256: str = ""
    weights_sha256: str = ""
    knowledge_sha256: str = ""
    settings_sha256: str = Field(default="", description="of everything else that the result depends on")


class ResultRow(Outcome):
    """One row of the results."""

    row: int = Field(description="number of the row in the manifest, from 1")
    path: str = Field(
        description="the file; a part of the path that holds a person's data is replaced by a hash"
    )
    site: str = ""
    question: str = ""
    segment: str = Field(default="", description="seconds, such as 10-25; empty for the whole video")
    extra: dict[str, str] = Field(default_factory=dict, description="the manifest's further columns")
    repeated: bool = Field(
        default=False, exclude=True, description="whether the result was there already, from an earlier start"
    )


_FIRST = ("row", "path", "site", "question", "segment")
COLUMNS: tuple[str, ...] = (*_FIRST, *Outcome.model_fields)
"""Columns of the results before those that are carried along."""


def extra_columns(rows: Iterable[ResultRow]) -> dict[str, str]:
    """Return the names of the further columns → their names in the results, which no column of ours has."""
    names = dict.fromkeys(name for row in rows for name in row.extra)
    taken, columns = {*COLUMNS, *names}, {}
    for name in names:
        column = name
        while column in COLUMNS or (column != name and column in taken):
            column = f"manifest_{column}"
        taken.add(column)
        columns[name] = column
    return columns


def write_results(out: Path, rows: Sequence[ResultRow] | Rows) -> None:
    """Write ``results.parquet``, ``results.csv`` and ``README.md``, each as a whole or not at all.

    Args:
        out: The folder.
        rows: The rows in order; they are read several times.
    """
    extra = extra_columns(rows)
    with replaced_on_success(out / PARQUET) as part:
        _write_parquet(part, rows, extra)
    with replaced_on_success(out / CSV) as part, part.open("w", encoding="utf-8", newline="") as stream:
        writer = csv.writer(stream)
        writer.writerow([guarded(name) for name in (*COLUMNS, *extra.values())])
        writer.writerows([guarded(cell) for cell in _cells(row, extra)] for row in rows)
    write_text(out / README, readme(extra))


class Rows:
    """Results that are kept as JSON, so that many of them need little memory."""

    def __init__(self) -> None:
        self._lines: dict[int, bytes] = {}

    def add(self, row: ResultRow) -> None:
        """Keep a row in place of an earlier one of its number."""
        self._lines[row.row] = row.model_dump_json().encode()

    def __len__(self) -> int:
        return len(self._lines)

    def __iter__(self) -> Iterator[ResultRow]:
        """Yield the rows by number."""
        return (ResultRow.model_validate_json(self._lines[number]) for number in sorted(self._lines))


def _cells(row: ResultRow, extra: Mapping[str, str]) -> list[Any]:
    return [*(getattr(row, name) for name in COLUMNS), *(row.extra.get(name) for name in extra)]


def guarded(cell: Any) -> Any:
    """Return a cell for CSV: a text that a spreadsheet would run as a formula begins with an apostrophe."""
    return f"'{cell}" if isinstance(cell, str) and cell.startswith(_FORMULA) else cell


def _write_parquet(path: Path, rows: Iterable[ResultRow], extra: Mapping[str, str]) -> None:
    import pyarrow
    import pyarrow.parquet

    schema = _schema(extra)
    with pyarrow.parquet.ParquetWriter(path, schema) as writer:
        waiting = iter(rows)
        while some := list(islice(waiting, _AT_ONCE)):
            columns = zip(*(_cells(row, extra) for row in some), strict=True)
            arrays = [pyarrow.array(c, field.type) for c, field in zip(columns, schema, strict=True)]
            writer.write_table(pyarrow.Table.from_arrays(arrays, schema=schema))


def _schema(extra: Mapping[str, str]) -> pyarrow.Schema:
    import pyarrow

    kinds = {"row": pyarrow.int64(), "confidence": pyarrow.float64(), "seconds": pyarrow.float64()}
    fields = [(name, kinds.get(name, pyarrow.string())) for name in COLUMNS]
    fields += [(name, pyarrow.string()) for name in extra.values()]
    return pyarrow.schema(fields, metadata={"notice": RESEARCH_USE, "written by": "videopath batch"})


def readme(extra: Mapping[str, str]) -> str:
    """Return what stands beside the results: the notice, and what each column means."""
    text = io.StringIO()
    text.write(f"# Results of `videopath batch`\n\n{RESEARCH_USE}\n\n")
    text.write(
        "`results.parquet` and `results.csv` hold the same rows, in the order of the manifest. In the CSV, a text "
    )
    text.write(
        "that a spreadsheet would run as a formula begins with an apostrophe.\n\n| column | meaning |\n|---|---|\n"
    )
    fields = ResultRow.model_fields
    for name in COLUMNS:
        text.write(f"| `{name}` | {fields[name].description or name.replace('_', ' ')} |\n")
    for name, column in extra.items():
        shown = " ".join(column.replace("|", " ").replace("`", "'").split())
        text.write(
            f"| `{shown}` | from the manifest{'' if name == column else ', where it has a name of ours'} |\n"
        )
    return text.getvalue()
