"""The entries of files and folders that records are read from.

These are JSON, JSON lines, CSV, Hugging Face ``datasets``, and knowledge bases of this format and of the one before.

A ``datasets`` folder has Arrow files that ``save_to_disk`` wrote; pyarrow reads them. Nothing in it is executed, and no
file outside it is opened. A damaged entry is yielded as an error in its place, so that a reader can continue.
"""

from __future__ import annotations

import csv
import hashlib
import json
import re
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING, Any, TextIO, TypeVar

from pydantic import BaseModel, Field, ValidationError

from videopath.core.errors import KnowledgeError
from videopath.core.jsonl import json_entries, parse_json
from videopath.knowledge.records.sqlite_file import damage_as_error, open_read_only

if TYPE_CHECKING:
    import pyarrow as pa

FileEntry = tuple[str, "Any | KnowledgeError"]
"""The position of an entry ("Line 3 of cases.csv"), and the entry or its error."""

COLUMNS = (
    "id", "source", "site", "question", "description", "diagnosis", "licence", "patient", "group", "media",
)  # fmt: skip
"""The columns of a table. ``media`` holds paths, separated by ``|``."""
DEFAULT_QUESTION = "What is the best diagnosis for this tissue?"
"""The question of a table row that has none."""

SET_MARK = "recording_sha256"
"""The field that an entry of a set has which ``videopath dataset build`` made."""
SET_PROVENANCE = (
    SET_MARK, "recording_start", "recording_end", "crop", "erased", "clip_sha256", "product", "case", "split", "about",
    "blind", "given_away", "origin", "model", "quality",
)  # fmt: skip
"""The fields of such an entry that a record keeps as its provenance."""

_CONVERSATION = (
    "id", "video", "image", "source", "site", "organ", "conversations", "licence", "license", "patient", "group",
    "start", "end", *SET_PROVENANCE,
)  # fmt: skip
_CONTENT = COLUMNS[1:7]  # the id of a row without an id is made from these
_DELIMITERS = (",", ";", "\t")
_ROWS = 1024  # rows of an Arrow batch that are in memory as Python objects at once
_Model = TypeVar("_Model", bound=BaseModel)


class _DataFile(BaseModel):
    filename: str = Field(pattern=r"^[\w.-]+\.arrow$")
    """A plain name: a path could lead out of the folder."""


class _State(BaseModel):
    data_files: list[_DataFile] = Field(alias="_data_files")


class _Splits(BaseModel):
    splits: list[str]


def entries(path: Path) -> Iterator[FileEntry]:
    """Yield the entries of a file or a folder, in order.

    Raises:
        KnowledgeError: The file as a whole cannot be read: it is missing, has no header, or is not whole JSON.
    """
    try:
        if (path / "manifest.json").is_file():
            yield from _knowledge_base(path)
            return
        if path.is_dir():
            yield from _dataset(path)
            return
        if path.suffix.lower() not in (".csv", ".tsv"):
            yield from _json(path)
            return
        # bytes that are not UTF-8 become surrogates, and the row that holds them is rejected
        with path.open(encoding="utf-8-sig", errors="surrogateescape", newline="") as stream:
            yield from _csv(stream, path)
    except OSError as error:
        raise KnowledgeError(
            f"{error.filename or path} cannot be read: {error.strerror or error}."
        ) from error


def _json(path: Path) -> Iterator[FileEntry]:
    """Yield the entries of a JSON list or JSON lines."""
    for entry in json_entries(path, KnowledgeError):
        item = KnowledgeError(entry.problem) if entry.problem else entry.value
        yield f"Record {entry.number} of {path.name}", item


def _csv(stream: TextIO, path: Path) -> Iterator[FileEntry]:
    """Yield the rows below a header. Comma, semicolon or tab separates fields, whichever the header uses most."""
    first = stream.readline()
    stream.seek(0)
    rows = csv.reader(stream, delimiter=max(_DELIMITERS, key=first.count), strict=True)
    try:
        header = [name.strip().lower() for name in next(rows, [])]
    except csv.Error as error:
        raise KnowledgeError(f"{path} has no header that can be read: {error}.") from error
    header = ["licence" if name == "license" else name for name in header]
    _check_header(header, path)
    while True:
        start = rows.line_num + 1
        try:
            row = next(rows)
        except StopIteration:
            return
        except csv.Error as error:
            lines = f"Lines {start} to {rows.line_num}" if rows.line_num > start else f"Line {start}"
            yield f"{lines} of {path.name}", KnowledgeError(f"{lines} of {path.name}: {error}.")
            continue
        if any(field.strip() for field in row):
            place = f"Line {start} of {path.name}"
            yield place, _csv_row(header, row, place)


def _csv_row(header: list[str], row: list[str], place: str) -> dict[str, Any] | KnowledgeError:
    if len(row) != len(header):
        return KnowledgeError(f"{place} has {len(row)} fields, the header has {len(header)}.")
    return _row_of_table(dict(zip(header, row, strict=True)), place)


def _check_header(header: list[str], path: Path) -> None:
    unknown = [name for name in header if name not in COLUMNS]
    repeated = [name for name in header if header.count(name) > 1]
    if "description" in header and not unknown and not repeated:
        return
    wrong = (
        f"the column {unknown[0][:60]!r} is not known"
        if unknown
        else f"the column {repeated[0]!r} stands twice"
        if repeated
        else "there is no column 'description'"
    )
    raise KnowledgeError(f"{path} has no header that can be used: {wrong}; columns are {', '.join(COLUMNS)}.")


def _row_of_table(row: dict[str, Any], place: str) -> dict[str, Any] | KnowledgeError:
    """Return the fields of a record without empty ones. A missing id is made from the content, so it stays the same."""
    fields = {name: value for name, value in row.items() if value is not None and value != ""}
    for name, value in fields.items():
        if isinstance(value, str) and _has_bad_bytes(value):
            return KnowledgeError(f"{place} is damaged: {name!r} is not UTF-8 text.")
        if name in ("id", "source", "patient", "group") and isinstance(value, int):
            fields[name] = str(value)
    if isinstance(fields.get("media"), str | list):
        fields["media"] = [_clip(part) for part in _parts(fields["media"])]
    fields.setdefault("question", DEFAULT_QUESTION)
    if "id" not in fields:
        content = json.dumps([str(fields.get(name, "")).strip() for name in _CONTENT], ensure_ascii=True)
        fields["id"] = f"row-{hashlib.sha256(content.encode()).hexdigest()[:16]}"
    fields.setdefault("source", fields["id"])
    return fields


def _parts(media: str | list) -> list[Any]:
    return [part for part in media.split("|") if part.strip()] if isinstance(media, str) else media


def _clip(part: Any) -> Any:
    """Return a path as the clip of the whole file."""
    return {"path": part.strip()} if isinstance(part, str) else part


def _has_bad_bytes(text: str) -> bool:
    return any("\udc80" <= character <= "\udcff" for character in text)


def _dataset(folder: Path) -> Iterator[FileEntry]:
    """Yield the entries of all splits of a folder that ``save_to_disk`` of Hugging Face ``datasets`` wrote."""
    if (folder / "dataset_dict.json").is_file():
        for name in _checked(_Splits, folder / "dataset_dict.json").splits:
            if not re.fullmatch(r"\w[\w.-]*", name):  # no path out of the folder
                raise KnowledgeError(f"{folder / 'dataset_dict.json'} names a split {name[:60]!r}.")
            yield from _split(folder / name, f"{name}/")
    elif (folder / "state.json").is_file():
        yield from _split(folder, "")
    else:
        raise KnowledgeError(
            f"{folder} is not a saved dataset (it has no state.json or dataset_dict.json); "
            "give a file, or a folder that save_to_disk of Hugging Face datasets wrote."
        )


def _knowledge_base(folder: Path) -> Iterator[FileEntry]:
    """Yield the records of a knowledge base of this format or of the one before, which cannot be opened any more."""
    files = list(folder.glob("records-*.sqlite"))
    if len(files) != 1:
        raise KnowledgeError(f"{folder} has {len(files)} files of records, not one; check it with: verify.")
    with closing(open_read_only(files[0])) as database, damage_as_error(folder):
        cursor = database.execute("SELECT * FROM records ORDER BY row")
        names = [column[0] for column in cursor.description]
        for number, values in enumerate(cursor, start=1):
            row = dict(zip(names, values, strict=True))
            place = f"Record {number} of {folder.name}"
            yield place, _stored(row, place)


def _stored(row: dict[str, Any], place: str) -> dict[str, Any] | KnowledgeError:
    """Return the fields of a row, or the error of a damaged row."""
    fields = {name: row[name] for name in COLUMNS if row.get(name) is not None}
    more = row.get("more") or "{}"
    try:
        parsed = parse_json(more, f"{place} is damaged: its 'more'", KnowledgeError)
    except TypeError:  # a number
        parsed = None
    except KnowledgeError as error:
        return error
    if not isinstance(parsed, dict):
        return KnowledgeError(f"{place} is damaged: its 'more' is not a JSON object.")
    return {**fields, **parsed}


def _split(folder: Path, prefix: str) -> Iterator[FileEntry]:
    for file in _checked(_State, folder / "state.json").data_files:
        yield from _arrow(folder / file.filename, prefix + file.filename)


def _checked(kind: type[_Model], path: Path) -> _Model:
    try:
        return kind.model_validate_json(path.read_bytes())
    except ValidationError as error:
        first = error.errors()[0]
        field = ".".join(str(part) for part in first["loc"])
        raise KnowledgeError(f"{path} is damaged: {field} {first['msg']}.") from error


def _arrow(path: Path, name: str) -> Iterator[FileEntry]:
    """Yield the rows of an Arrow stream from mapped memory. In a damaged batch only the damaged rows are errors."""
    import pyarrow as pa

    row = 0
    size = path.stat().st_size
    try:
        with pa.memory_map(str(path)) as data, pa.ipc.open_stream(data) as stream:
            columns = _columns(stream.schema.names, name)
            for batch in stream:
                if batch.num_rows > size:  # columns without bytes, made to never end
                    raise KnowledgeError(f"{name} states {batch.num_rows} rows in {size} bytes.")
                for item in _rows(batch.select(columns)):
                    row += 1
                    yield _arrow_entry(item, f"Row {row} of {name}")
    except (pa.ArrowException, OSError, UnicodeDecodeError) as error:  # the last: names of columns
        place = f"What follows row {row} of {name}"
        yield place, KnowledgeError(f"{place} is damaged: {str(error).splitlines()[0][:200]}.")


def _columns(names: list[str], name: str) -> list[str]:
    expected = _CONVERSATION if "conversations" in names else COLUMNS
    if "conversations" not in names and "description" not in names:
        raise KnowledgeError(
            f"{name} has neither a column 'conversations' nor 'description', but {names[:12]}."
        )
    if repeated := [column for column in expected if names.count(column) > 1]:
        raise KnowledgeError(f"{name} has the column {repeated[0]!r} twice.")
    return [column for column in expected if column in names]


def _rows(batch: pa.RecordBatch) -> Iterator[Any]:
    import pyarrow as pa

    for start in range(0, batch.num_rows, _ROWS):
        piece = batch.slice(start, _ROWS)
        try:
            piece.validate(full=True)
            yield from piece.to_pylist()
        except pa.ArrowException:
            yield from map(_row, (piece.slice(place, 1) for place in range(piece.num_rows)))


def _row(batch: pa.RecordBatch) -> Any:
    import pyarrow as pa

    try:
        batch.validate(full=True)
        return batch.to_pylist()[0]
    except pa.ArrowException as error:
        return error


def _arrow_entry(item: Any, place: str) -> FileEntry:
    if isinstance(item, Exception):
        return place, KnowledgeError(f"{place} is damaged: {str(item).splitlines()[0][:200]}.")
    if "conversations" in item:
        return place, {name: value for name, value in item.items() if value is not None}
    return place, _row_of_table(item, place)
