"""The rows of a batch: one for each file of a folder, of a glob, or of a manifest (CSV, JSON lines, Parquet).

Rows are read one after the other. A row that cannot be used keeps the reason in ``problem``; it never stops the others.
"""

from __future__ import annotations

import csv
import glob
import json
import math
import os
import re
import uuid
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, Any

from videopath.core.choices import SAMPLINGS, WRITING_RULES, WritingRule
from videopath.core.errors import InputError
from videopath.core.jsonl import json_entries
from videopath.core.pathology.sites import canonical_site
from videopath.core.privacy.credentials import without_credentials
from videopath.core.remote import Place, RemotePath, is_address, place
from videopath.core.remote.store import download, remote_files, remote_glob, remote_state
from videopath.core.text import has_half_characters
from videopath.media.crop import Crop, checked_crop, parse_crop
from videopath.media.masks import Masks

COLUMNS = (
    "path",
    "site",
    "question",
    "segment",
    "start",
    "end",
    "sampling",
    "exclude",
    "crop",
    "um_per_pixel",
    "writing",
)
"""Columns of a manifest that a case uses; all others are carried along."""

_TABLES = {".csv", ".tsv"}
_JSON = {".jsonl", ".ndjson", ".json"}
_PARQUET = {".parquet", ".pq"}
_MANIFESTS = _TABLES | _JSON | _PARQUET
_VIDEOS = frozenset(
    ".mp4 .m4v .mov .mkv .avi .webm .gif .mpg .mpeg .m2ts .mts .ts .wmv .flv .ogv .3gp".split()  # noqa: SIM905
)
_GIVE = "give a folder, a pattern such as 'videos/*.mp4', or a manifest (csv, tsv, jsonl or parquet)"
_SEGMENT = re.compile(r"\s*(\d+(?:\.\d*)?)\s*[-–]\s*(\d+(?:\.\d*)?)\s*")
_SPREAD = re.compile(r"[|;]")
_MAX_CELL = 1 << 20  # characters


@dataclass(frozen=True, slots=True)
class Row:
    """One row: what is asked of one file."""

    number: int
    """From 1, in the order of the manifest."""
    path: Place
    site: str | None = None
    question: str | None = None
    start: float | None = None
    end: float | None = None
    sampling: str = "uniform"
    exclude: tuple[str, ...] = ()
    crop: Crop | None = None
    um_per_pixel: float | None = None
    writing: WritingRule | None = None
    """Which burned-in writing is filled; None: the agent's rule."""
    masks: Masks | None = None
    """A person's changes to the filled places; None: none."""
    extra: Mapping[str, str] = field(default_factory=dict)
    """Further columns, as texts."""
    problem: str = ""
    """Why the row cannot be used; empty if it can."""
    cleaned: tuple[str, ...] = ()
    """Columns from whose cells credentials were removed."""

    @property
    def segment(self) -> str:
        """The segment in seconds, such as ``10-25``; empty for the whole video."""
        if self.start is None and self.end is None:
            return ""
        return (
            f"{'' if self.start is None else f'{self.start:g}'}-{'' if self.end is None else f'{self.end:g}'}"
        )

    def request(self) -> dict[str, Any]:
        """Return what is asked of the file, without its path, as plain data."""
        request: dict[str, Any] = {
            "site": self.site,
            "question": self.question,
            "start": self.start,
            "end": self.end,
            "sampling": self.sampling,
            "exclude": list(self.exclude),
            "crop": None if self.crop is None else list(self.crop),
        }
        if self.um_per_pixel is not None:  # rows without it keep their hashes
            request["um_per_pixel"] = self.um_per_pixel
        if self.writing is not None:
            request["writing"] = self.writing
        if self.masks:
            request["masks"] = self.masks.model_dump(mode="json")
        return request


@dataclass(frozen=True)
class RowDefaults:
    """What holds for rows that do not say it themselves; ``exclude`` is added to that of each row."""

    site: str | None = None
    question: str | None = None
    sampling: str = "uniform"
    exclude: tuple[str, ...] = ()
    crop: Crop | None = None
    um_per_pixel: float | None = None
    masks: Masks | None = None


def read_rows(
    what: Sequence[str | Place], out: Place | None = None, defaults: RowDefaults | None = None
) -> Iterator[Row]:
    """Yield the rows of a batch in order.

    Args:
        what: Folders, patterns, manifests, videos or images, on this computer or a store (``s3://…``). A folder stands
            for all videos and images below it, without hidden files.
        out: The folder for the results, which may lie within one of the folders; its files are left out.
        defaults: What holds for rows that do not say it.

    Yields:
        The rows. Credentials in a path are the row's problem; in all other cells they are replaced by ``[removed]``.

    Raises:
        InputError: Something does not exist, a manifest cannot be read or has no column ``path``, or there is no row.
    """
    defaults = defaults or RowDefaults()
    number = 0
    for one in what:
        before = number
        for values, label, folder in _entries(str(one), out):
            number += 1
            yield _row(number, values, label, folder, defaults)
        if number == before:
            raise InputError(f"{_shown(one)} holds no videos or images: {_GIVE}.")


_Entry = tuple[Mapping[str, Any] | str, str, Place]
"""The cells by column, or the sentence of a row that cannot be read; its place; the folder of relative paths."""


def _entries(what: str, out: Place | None) -> Iterator[_Entry]:
    if has_half_characters(what):
        raise InputError(f"{_shown(what)} is not valid UTF-8 text. Rename it, or {_GIVE}.")
    given = place(what)
    if isinstance(given, RemotePath):
        yield from _remote_entries(given, out)
        return
    path = given.expanduser()
    what, suffix = str(given), path.suffix.lower()
    if path.is_dir():
        yield from (({"path": str(file)}, file.name, path) for file in _files_below(path.absolute(), out))
    elif not path.exists():
        if not glob.has_magic(what):
            raise InputError(f"There is no file or folder {what}: {_GIVE}.")
        files = sorted(glob.glob(str(path), recursive=True), key=natural)  # noqa: PTH207 - also absolute patterns
        yield from (({"path": file}, file, Path()) for file in files if not _is_within(Path(file), out))
    elif suffix in _MANIFESTS:
        yield from _manifest(path)
    elif suffix in _media():
        yield {"path": str(path.absolute())}, path.name, Path()
    else:
        raise InputError(f"{path.name} is neither a manifest nor a video or an image: {_GIVE}.")


def _manifest(path: Path) -> Iterator[_Entry]:
    suffix = path.suffix.lower()
    if suffix in _TABLES:
        return _table(path)
    return _json(path) if suffix in _JSON else _parquet(path)


def _remote_entries(given: RemotePath, out: Place | None) -> Iterator[_Entry]:
    """Yield the rows of a folder, a pattern or a manifest on a store."""
    suffix = given.suffix.lower()
    if glob.has_magic(given.key):
        files = [file for file in remote_glob(given) if not _is_within(file, out)]
        files.sort(key=lambda file: natural(file.key))
        yield from (({"path": str(file)}, file.shown, given) for file in files)
    elif remote_state(given).folder:
        yield from (({"path": str(file)}, file.shown, given) for file in _remote_below(given, out))
    elif suffix in _MANIFESTS:
        from videopath.agent.many.remote.scratch import batch_scratch

        with batch_scratch().folder(f"manifest-{uuid.uuid4().hex[:12]}") as scratch:
            copy = scratch / given.local_name
            download(given, copy)
            for values, label, _ in _manifest(copy):
                yield values, label, given.parent
    elif suffix in _media():
        yield {"path": str(given)}, given.shown, given
    else:
        raise InputError(f"{given.shown} is neither a manifest nor a video or an image: {_GIVE}.")


def _remote_below(folder: RemotePath, out: Place | None) -> list[RemotePath]:
    """Return the videos and images below a folder on a store, in the order of :func:`_files_below`."""
    allowed, below = _media(), len(folder.key) + 1
    files = []
    for file in remote_files(folder):
        *folders, name = file.key[below:].split("/")
        hidden = any(part[:1] == "." for part in (*folders, name))
        if not hidden and file.suffix.lower() in allowed and not _is_within(file, out):
            files.append(([(1, natural(part)) for part in folders] + [(0, natural(name))], file))
    return [file for _, file in sorted(files, key=lambda one: one[0])]


def natural(name: str | Path) -> list[tuple[int, int, str]]:
    """Return a key that sorts "case 2" before "case 10"."""
    parts = re.split(r"(\d+)", str(name).lower())
    return [(0, int(part), "") if part.isdecimal() else (1, 0, part) for part in parts]


def _media() -> frozenset[str]:
    from videopath.media.image.source import IMAGE_SUFFIXES

    return _VIDEOS | IMAGE_SUFFIXES


def _files_below(folder: Path, out: Place | None) -> Iterator[Path]:
    """Yield the videos and images below a folder, folder by folder; no hidden ones, and none of ``out``."""
    allowed = _media()
    for here, folders, names in os.walk(folder):
        inside = Path(here)
        folders[:] = sorted(
            (name for name in folders if name[:1] != "." and not _is_within(inside / name, out)), key=natural
        )
        for name in sorted(names, key=natural):
            if name[:1] != "." and Path(name).suffix.lower() in allowed:
                yield inside / name


def _is_within(path: Place, out: Place | None) -> bool:
    if isinstance(path, RemotePath) or isinstance(out, RemotePath):
        return isinstance(path, RemotePath) and isinstance(out, RemotePath) and path.is_within(out)
    return out is not None and path.absolute().is_relative_to(out.absolute())


def _table(path: Path) -> Iterator[_Entry]:
    """Yield the rows of a CSV file with commas, semicolons or tabs."""
    try:
        with path.open(encoding="utf-8-sig", errors="surrogateescape", newline="") as stream:
            yield from _table_rows(path, stream)
    except OSError as error:
        raise InputError(f"{path} cannot be read: {error.strerror or error}.") from error


def _next_row(reader: Iterator[list[str]]) -> list[str]:
    """Read a row whose cells may be long; the limit is that of the whole process, so it is put back."""
    before = csv.field_size_limit(_MAX_CELL)
    try:
        return next(reader)
    finally:
        csv.field_size_limit(before)


def _table_rows(path: Path, stream: IO[str]) -> Iterator[_Entry]:
    first = stream.readline(_MAX_CELL)
    stream.seek(0)
    separator = max(",;\t", key=first.count)
    reader = csv.reader(stream, delimiter=separator)
    head: list[str] | None = None
    while True:
        try:
            cells = _next_row(reader)
        except StopIteration:
            return
        except csv.Error as error:
            if head is None:
                raise InputError(f"{path.name} is not a table: {error}.") from error
            yield (
                f"it is not a row of a table: {error}",
                f"Line {reader.line_num} of {path.name}",
                path.parent,
            )
            continue
        if not any(cell.strip() for cell in cells):
            continue
        label = f"Line {reader.line_num} of {path.name}"
        if head is None:
            head = _checked_head(cells, path)
        elif len(cells) > len(head) and any(cell.strip() for cell in cells[len(head) :]):
            yield f"it has {len(cells)} cells, but the header has {len(head)}", label, path.parent
        else:
            yield dict(zip(head, cells, strict=False)), label, path.parent


def _json(path: Path) -> Iterator[_Entry]:
    for entry in json_entries(path):
        if entry.problem is not None:
            yield entry.problem.removeprefix(f"{entry.place} ").rstrip("."), entry.place, path.parent
        elif not isinstance(entry.value, dict):
            yield "it is not an object with names and values", entry.place, path.parent
        else:
            yield {_column(str(name)): value for name, value in entry.value.items()}, entry.place, path.parent


def _parquet(path: Path) -> Iterator[_Entry]:
    import pyarrow
    import pyarrow.parquet

    try:
        with pyarrow.parquet.ParquetFile(path) as table:
            head = _checked_head(table.schema_arrow.names, path)
            number = 0
            for batch in table.iter_batches(batch_size=1000):
                for values in batch.rename_columns(head).to_pylist():
                    number += 1
                    yield values, f"Row {number} of {path.name}", path.parent
    except (pyarrow.ArrowException, OSError) as error:
        reason = str(error).splitlines()[0][:200] if str(error) else type(error).__name__
        raise InputError(f"{path.name} cannot be read as Parquet: {reason}.") from error


def _checked_head(names: Sequence[str], path: Path) -> list[str]:
    head = [_column(name) for name in names]
    while head and not head[-1]:
        head.pop()
    if any(has_half_characters(name) for name in head):
        raise InputError(f"{path.name} is not UTF-8 text: save it as UTF-8.")
    if "path" not in head:
        shown = without_credentials(", ".join(head[:12]))[:300]
        raise InputError(f"{path.name} has no column 'path' in its first line; its columns are: {shown}.")
    repeated = sorted({name or "(without a name)" for name in head if head.count(name) > 1 or not name})
    if repeated:
        raise InputError(
            f"{path.name} has a column more than once, or without a name: {', '.join(repeated)}."
        )
    return head


def _column(name: str) -> str:
    """Return a column's name; those that a case uses in small letters."""
    plain = name.strip()
    return plain.lower() if plain.lower() in COLUMNS else plain


def _row(
    number: int, values: Mapping[str, Any] | str, label: str, folder: Place, defaults: RowDefaults
) -> Row:
    if isinstance(values, str):
        return Row(number, Path(), problem=f"{label} cannot be used: {values}.")
    given = {name: value if name in COLUMNS else as_text(value) for name, value in values.items()}
    values = {name: value if name == "path" else _cleaned(value) for name, value in given.items()}
    cleaned = tuple(name for name, value in values.items() if as_text(value) != as_text(given[name]))
    extra = {name: value for name, value in values.items() if name not in COLUMNS}
    path = as_text(values.get("path"))
    full: Place = Path()
    try:
        if not path:
            raise InputError("it names no path")
        texts = [path, *extra, *extra.values(), *(as_text(values.get(name)) for name in COLUMNS)]
        if any(has_half_characters(text) for text in texts):
            raise InputError("it has a character that is not valid UTF-8 text")
        if "\0" in path:
            raise InputError("its path has a zero byte")
        full = _full_path(path, folder)
        return Row(number, full, extra=extra, cleaned=cleaned, **_request(values, defaults))
    except (InputError, RuntimeError) as error:  # RuntimeError: an unknown ~user
        printable = {writable(name): writable(value) for name, value in extra.items()}
        reason = str(error).rstrip(".")
        return Row(
            number,
            Path(writable(path)) if full == Path() and not is_address(path) else full,
            extra=printable,
            problem=f"{label} cannot be used: {reason}.",
            cleaned=cleaned,
        )


def _cleaned(value: Any) -> Any:
    """Return a cell without credentials; a list without those in its texts."""
    if isinstance(value, list):
        return [_cleaned(one) for one in value]
    return without_credentials(value) if isinstance(value, str) else value


def _full_path(path: str, folder: Place) -> Place:
    """Return the file that a manifest in a folder names."""
    if is_address(path):
        return place(path)
    if isinstance(folder, RemotePath):
        if not path.startswith(("~", "/")):
            return folder.joined(path)
        folder = Path()
    return folder.absolute() / (Path(path).expanduser() if path.startswith("~") else Path(path))


def _request(values: Mapping[str, Any], defaults: RowDefaults) -> dict[str, Any]:
    site = as_text(values.get("site"))
    sampling = as_text(values.get("sampling")) or defaults.sampling
    if sampling not in SAMPLINGS:
        raise InputError(f"sampling {sampling[:40]!r} is not known; use one of: {', '.join(SAMPLINGS)}")
    start, end = _segment(values)
    writing = as_text(values.get("writing")) or None
    if writing is not None and writing not in WRITING_RULES:
        raise InputError(f"writing {writing[:40]!r} is not known; use one of: {', '.join(WRITING_RULES)}")
    return {
        "site": canonical_site(site) if site else defaults.site,
        "question": as_text(values.get("question")) or defaults.question,
        "start": start,
        "end": end,
        "sampling": sampling,
        "exclude": tuple(dict.fromkeys([*defaults.exclude, *_names(values.get("exclude"))])),
        "crop": _crop(values.get("crop")) or defaults.crop,
        "um_per_pixel": _scale(values.get("um_per_pixel")) or defaults.um_per_pixel,
        "writing": writing,
        "masks": defaults.masks,
    }


def _segment(values: Mapping[str, Any]) -> tuple[float | None, float | None]:
    segment, start, end = values.get("segment"), _seconds(values, "start"), _seconds(values, "end")
    if not as_text(segment):
        return start, end
    if start is not None or end is not None:
        raise InputError("it has both a segment and a start or an end")
    if isinstance(segment, Sequence) and not isinstance(segment, str) and len(segment) == 2:
        pair = dict(zip(("start", "end"), segment, strict=True))
        return _seconds(pair, "start"), _seconds(pair, "end")
    found = _SEGMENT.fullmatch(as_text(segment))
    if found is None:
        raise InputError(f"segment {as_text(segment)[:40]!r} is not two numbers of seconds, such as 10-25")
    return float(found[1]), float(found[2])


def _seconds(values: Mapping[str, Any], name: str) -> float | None:
    text = as_text(values.get(name))
    if not text:
        return None
    try:
        seconds = float(text)
    except ValueError:
        seconds = math.nan
    if not (math.isfinite(seconds) and seconds >= 0):
        raise InputError(f"{name} {text[:40]!r} is not a number of seconds")
    return seconds


def _names(value: Any) -> list[str]:
    parts: Iterable[Any] = value if isinstance(value, list | tuple) else _SPREAD.split(as_text(value))
    return [name for part in parts if (name := as_text(part))]


def _crop(value: Any) -> Crop | None:
    if isinstance(value, list | tuple):
        return checked_crop(value)
    text = as_text(value)
    return parse_crop(text) if text else None


def _scale(value: Any) -> float | None:
    text = as_text(value)
    return checked_scale(text) if text else None


def checked_scale(given: str | float) -> float:
    """Return micrometres per pixel.

    Raises:
        InputError: It is not a number, or not possible.
    """
    from videopath.agent.cases.request import MAX_UM_PER_PIXEL

    try:
        scale = float(given)
    except ValueError:
        scale = math.nan
    if not 0 < scale < MAX_UM_PER_PIXEL:
        raise InputError(
            f"um_per_pixel {str(given)[:40]} is not a number above 0 and below {MAX_UM_PER_PIXEL:g}."
        )
    return scale


def as_text(value: Any) -> str:
    """Return a cell as a text without spaces around it; an empty text for a missing value."""
    if value is None or (isinstance(value, float) and math.isnan(value)):
        return ""
    if isinstance(value, str):
        return value.strip()
    if isinstance(value, bool | int | float):
        return json.dumps(value)
    return json.dumps(value, ensure_ascii=False, default=str)


def writable(text: str) -> str:
    """Return a text that can be written as UTF-8; half characters become question marks."""
    return text.encode(errors="replace").decode()


def _shown(what: str | Place) -> str:
    return writable(str(what))[:200]
