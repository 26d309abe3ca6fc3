"""The set as a folder of Hugging Face ``datasets``, in the layout of ``DatasetDict.save_to_disk``.

It is written with pyarrow, so it is there without the extra ``dataset``, and the same entries give the same bytes. The
library reads it with ``load_from_disk``.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from videopath.core.choices import SPLIT_SIDES
from videopath.core.files import replaced_on_success, sha256_file, write_text
from videopath.dataset.finishing.exports import Entry, on_side

if TYPE_CHECKING:
    import pyarrow as pa

SAVED_DATASET = "datasets"
_DATA = "data-00000-of-00001.arrow"
_TEXT = "string"
_COLUMNS: dict[str, Any] = {
    "id": _TEXT,
    "video": _TEXT,
    "conversations": [{"from": _TEXT, "value": _TEXT}],
    "source": _TEXT,
    "group": _TEXT,
    "split": _TEXT,
    "site": _TEXT,
    "diagnosis": _TEXT,
    "licence": _TEXT,
    "about": _TEXT,
    "blind": "bool",
    "given_away": [_TEXT],
    "reasoning": _TEXT,
    "origin": _TEXT,
    "model": _TEXT,
    "quality": "int64",
    "rounds": "int64",
    "clip": _TEXT,
    "clip_sha256": _TEXT,
    "product": _TEXT,
    "case": "int64",
    "recording_sha256": _TEXT,
    "recording_start": "float64",
    "recording_end": "float64",
    "crop": ["float64"],
    "erased": "int64",
}
"""The columns: a name of a type, a list of one, or the fields of an object."""


def write_saved_dataset(folder: Path, entries: Sequence[Entry]) -> list[str]:
    """Write a split for each side, and return the names of the files below the set's folder."""
    written = []
    for side in SPLIT_SIDES:
        rows = on_side(entries, side)
        _write_split(folder / SAVED_DATASET / side, rows)
        written += [f"{SAVED_DATASET}/{side}/{name}" for name in (_DATA, "dataset_info.json", "state.json")]
    write_text(folder / SAVED_DATASET / "dataset_dict.json", _json({"splits": list(SPLIT_SIDES)}))
    return [f"{SAVED_DATASET}/dataset_dict.json", *written]


def _write_split(folder: Path, rows: Sequence[Entry]) -> None:
    import pyarrow as pa

    features = {name: _feature(kind) for name, kind in _COLUMNS.items()}
    schema = pa.schema(
        [(name, _arrow_type(kind)) for name, kind in _COLUMNS.items()],
        {"huggingface": json.dumps({"info": {"features": features}})},
    )
    with (
        replaced_on_success(folder / _DATA) as part,
        pa.OSFile(str(part), "wb") as sink,
        pa.ipc.new_stream(sink, schema) as stream,
    ):
        stream.write_table(pa.Table.from_pylist(list(rows), schema))
    information = {"citation": "", "description": "", "features": features, "homepage": "", "license": ""}
    write_text(folder / "dataset_info.json", _json(information))
    state: dict[str, Any] = {
        "_data_files": [{"filename": _DATA}],
        "_fingerprint": sha256_file(folder / _DATA)[:16],
        "_format_columns": None,
        "_format_kwargs": {},
        "_format_type": None,
        "_output_all_columns": False,
        "_split": folder.name,
    }
    write_text(folder / "state.json", _json(state))


def _arrow_type(kind: Any) -> pa.DataType:
    import pyarrow as pa

    if isinstance(kind, list):
        return pa.list_(_arrow_type(kind[0]))
    if isinstance(kind, dict):
        return pa.struct([(name, _arrow_type(inner)) for name, inner in kind.items()])
    return pa.type_for_alias(kind)


def _feature(kind: Any) -> Any:
    """Return a type as ``datasets`` writes it; a list in the form that all its versions read."""
    if isinstance(kind, list):
        return [_feature(kind[0])]
    if isinstance(kind, dict):
        return {name: _feature(inner) for name, inner in kind.items()}
    return {"dtype": kind, "_type": "Value"}


def _json(value: Any) -> str:
    return json.dumps(value, indent=2) + "\n"
