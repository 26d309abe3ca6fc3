"""The files of a knowledge base, and how a new version replaces the old one.

    manifest.json              names the files below with their hashes, and has a hash of itself
    records-<hash>.sqlite      the records, their words, the fingerprints of their media
    text-<hash>.*, image-<hash>.*   the vectors of a view, in parts
    measures-<hash>.json       how often the vote of its cases is right

Data files are never changed in place. A new version is written beside the old one under temporary names. It takes over at
the moment when its manifest is renamed; then files that the manifest does not name are removed. A kill leaves either the
old or the new version, whole, and the next write removes leftovers. An addition writes its own part; if there are many
parts, they are merged.
"""

from __future__ import annotations

import os
import re
import sqlite3
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from videopath.core.choices import IndexChoice, StoredView
from videopath.core.errors import KnowledgeError
from videopath.core.files import sha256_file
from videopath.core.text import refuse_unwritable
from videopath.knowledge.index.vectors import Vectors, write_vectors
from videopath.knowledge.storage.manifest import (
    MANIFEST,
    DataFile,
    IndexPart,
    Manifest,
    data_file,
    manifest_bytes,
    read_manifest,
)
from videopath.knowledge.storage.store import RecordStore, data_sha256

# "index" belongs to the previous format
_OWN_FILES = re.compile(
    r"records-[0-9a-f]{12}\.sqlite|(index|text|image|measures)-[0-9a-f]{12}\.[a-z]+|\.(records|text|image|measures|manifest\.json)\..*\.part"
)
_CHECKED_AT_OPENING = 64 << 20  # bytes; only `verify` reads larger files, so that opening stays fast
_LENGTH_TOLERANCE = 1e-3
_MAX_PARTS = 8
_BLOCK = 8192  # vectors that are in memory at once


@dataclass(frozen=True)
class OpenedVersion:
    """One opened version of a knowledge base."""

    manifest: Manifest
    store: RecordStore
    parts: dict[StoredView, list[Vectors]]
    """View → its parts; only views that exist."""


def read_version(folder: Path) -> OpenedVersion:
    """Open the folder's current version. Files up to 64 MiB are checked by hash, larger ones by size."""
    while True:
        manifest = read_manifest(folder)
        try:
            return open_version(folder, manifest)
        except KnowledgeError:
            if read_manifest(folder) == manifest:
                raise  # otherwise another process replaced the version meanwhile: open the new one


@contextmanager
def write_lock(folder: Path) -> Iterator[None]:
    """Lock the folder for one writer. A missing folder is made, and removed again if it stays empty."""
    try:
        is_new = not folder.exists()
        folder.mkdir(parents=True, exist_ok=True)
        handle = os.open(folder, os.O_RDONLY) if hasattr(os, "O_DIRECTORY") else None
    except OSError as error:
        raise write_error(folder, error) from error
    try:
        if handle is not None:
            _lock(handle)
        yield
    except (OSError, sqlite3.Error) as error:
        raise write_error(folder, error) from error
    finally:
        if handle is not None:
            os.close(handle)  # releases the lock
        if folder.exists():
            _clear(folder)
            if is_new and not any(folder.iterdir()):
                folder.rmdir()


def publish(folder: Path, manifest: Manifest) -> OpenedVersion:
    """Make a manifest the folder's current one. Its files must exist. The caller holds :func:`write_lock`."""
    path = temporary_path(folder, MANIFEST)
    path.write_bytes(manifest.to_text().encode())
    _rename_synced(path, MANIFEST)  # from here on the folder holds the new version
    _sync_folder(folder)
    return read_version(folder)


def name_by_hash(path: Path, name: str) -> DataFile:
    """Give a written file its final name: "records.sqlite" becomes "records-<hash>.sqlite"."""
    file = data_file(path, name)
    _rename_synced(path, file.name)
    return file


def write_part(
    folder: Path,
    view: StoredView,
    rows: np.ndarray,
    chunks: Iterable[np.ndarray],
    dimension: int,
    kind: IndexChoice = "auto",
) -> IndexPart:
    """Write vectors as a part. The caller holds :func:`write_lock`; for the arguments see :func:`write_vectors`."""
    stem = temporary_path(folder, view).with_suffix("")
    written, paths = write_vectors(stem, rows, chunks, dimension, kind)
    files = tuple(name_by_hash(path, f"{view}.{_suffix(path)}") for path in paths)
    return IndexPart(view=view, kind=written, vectors=len(rows), files=files)


def merge_parts(
    folder: Path, current: OpenedVersion, added: Sequence[IndexPart], alive: np.ndarray
) -> list[IndexPart]:
    """Return the parts of the next version; if a view has many parts, its small ones are merged.

    A part with more than four times as many vectors as all younger parts stays as it is, so each vector is copied only a
    few times, however often records are added.

    Args:
        folder: The folder, locked by the caller.
        current: The current version.
        added: New parts.
        alive: bool by row; vectors of other rows are dropped when parts are merged.
    """
    parts: list[IndexPart] = []
    for view in ("text", "image"):
        all_parts = [*current.manifest.parts_of(view), *(part for part in added if part.view == view)]
        parts += (
            all_parts if len(all_parts) <= _MAX_PARTS else _merge_small_parts(folder, view, all_parts, alive)
        )
    return parts


def rewrite_parts(folder: Path, current: OpenedVersion, alive: np.ndarray) -> list[IndexPart]:
    """Write each view as one part, without the vectors of rows that are not alive."""
    return [
        part
        for view in current.parts
        for part in _join_parts(folder, view, current.manifest.parts_of(view), alive)
    ]


def verify_folder(folder: str | Path) -> list[str]:
    """Return one sentence for each problem of a knowledge base on disk; empty if it is whole."""
    folder = Path(folder)
    try:
        refuse_unwritable(folder.absolute(), "the knowledge base", KnowledgeError)
        manifest = read_manifest(folder)
    except KnowledgeError as error:
        return [str(error)]
    problems = [problem for file in manifest.files if (problem := _problem_of_file(folder, file))]
    if not problems:
        try:
            problems = _problems_of_content(open_version(folder, manifest))
        except KnowledgeError as error:
            problems = [str(error)]
    replaced_meanwhile = bool(problems) and manifest_bytes(folder) != manifest.to_text().encode()
    return verify_folder(folder) if replaced_meanwhile else problems


def temporary_path(folder: Path, name: str) -> Path:
    """Return a temporary path. A file that a killed process with the same number left there is removed."""
    path = folder / f".{name}.{os.getpid()}.part"
    path.unlink(missing_ok=True)
    return path


def write_error(folder: Path, error: Exception) -> KnowledgeError:
    """Return the error for a folder that cannot be written."""
    reason = error.strerror if isinstance(error, OSError) and error.strerror else error
    return KnowledgeError(
        f"The knowledge base {folder} cannot be written: {reason}; choose a folder that can be written."
    )


def _merge_small_parts(
    folder: Path, view: StoredView, parts: list[IndexPart], alive: np.ndarray
) -> list[IndexPart]:
    first = len(parts) - 1
    younger = parts[first].vectors
    while first and parts[first - 1].vectors <= 4 * younger:
        first -= 1
        younger += parts[first].vectors
    return [*parts[:first], *_join_parts(folder, view, parts[first:], alive)]


def _join_parts(
    folder: Path, view: StoredView, parts: Sequence[IndexPart], alive: np.ndarray
) -> list[IndexPart]:
    opened = [_vectors(folder, part) for part in parts]
    kept = [np.flatnonzero(alive[vectors.rows]) for vectors in opened]
    rows = np.concatenate([vectors.rows[indices] for vectors, indices in zip(opened, kept, strict=True)])
    if not len(rows):
        return []

    def chunks() -> Iterator[np.ndarray]:
        for vectors, indices in zip(opened, kept, strict=True):
            everything = vectors.all()
            for start in range(0, len(indices), _BLOCK):
                yield np.asarray(everything[indices[start : start + _BLOCK]], np.float32)

    return [write_part(folder, view, rows, chunks(), opened[0].dimension)]


def open_version(folder: Path, manifest: Manifest) -> OpenedVersion:
    """Open the version of a manifest. Raises ``KnowledgeError`` if a file is missing or damaged."""
    for file in manifest.files:
        if problem := _problem_of_file(folder, file, _CHECKED_AT_OPENING):
            raise KnowledgeError(problem)
    parts: dict[StoredView, list[Vectors]] = {}
    for part in manifest.parts:
        parts.setdefault(part.view, []).append(_vectors(folder, part))
        mark = manifest.mark_of(part.view)
        opened = parts[part.view][-1]
        if mark is None or (len(opened), opened.dimension) != (part.vectors, mark.dimension):
            raise KnowledgeError(_mixed_up(folder))
    store = RecordStore(folder / manifest.records.name)
    if len(store) != manifest.count:
        raise KnowledgeError(_mixed_up(folder))
    return OpenedVersion(manifest, store, parts)


def _vectors(folder: Path, part: IndexPart) -> Vectors:
    return Vectors.open(part.kind, [folder / file.name for file in part.files])


def _problem_of_file(folder: Path, file: DataFile, hash_limit: int | None = None) -> str | None:
    """Return what is wrong with a file. Files larger than ``hash_limit`` bytes are checked only by size."""
    path = folder / file.name
    try:
        size = path.stat().st_size
        skip_hash = hash_limit is not None and size > hash_limit
        whole = size == file.size and (skip_hash or sha256_file(path) == file.sha256)
    except OSError as error:
        return f"{path} cannot be read: {error.strerror or error}; build the knowledge base again."
    if whole:
        return None
    return f"{path} is damaged: its SHA-256 is not the one in the manifest; build the knowledge base again."


def _problems_of_content(version: OpenedVersion) -> list[str]:
    manifest, store = version.manifest, version.store
    problems = []
    if data_sha256(store) != manifest.data_sha256:
        problems.append("The records are not those that the manifest states; build the knowledge base again.")
    with_text = np.concatenate([part.rows for part in version.parts.get("text", [])] or [np.zeros(0)])
    if not np.isin(store.rows(), with_text).all():
        problems.append("Some records have no vector; build the knowledge base again.")
    if not all(_unit_length(part) for parts in version.parts.values() for part in parts):
        problems.append("There are vectors whose length is not 1; build the knowledge base again.")
    return problems


def _unit_length(part: Vectors) -> bool:
    vectors = part.all()
    return all(
        bool(np.all(np.abs(np.linalg.norm(np.asarray(block, np.float32), axis=1) - 1) < _LENGTH_TOLERANCE))
        for block in (vectors[start : start + _BLOCK] for start in range(0, len(part), _BLOCK))
    )


def _suffix(path: Path) -> str:
    """ ".text.123.faiss.part" → "faiss"."""
    return path.name.split(".")[-2]


def _rename_synced(path: Path, name: str) -> None:
    with path.open("r+b") as stream:
        os.fsync(stream.fileno())
    path.replace(path.with_name(name))


def _clear(folder: Path) -> None:
    """Remove temporary files and data files that the manifest does not name."""
    try:
        kept = {file.name for file in read_manifest(folder).files}
    except KnowledgeError:
        if (folder / MANIFEST).exists():
            return  # it is damaged, and its files may still be useful
        kept = set()
    for path in list(folder.iterdir()):
        if _OWN_FILES.fullmatch(path.name) and path.name not in kept:
            path.unlink(missing_ok=True)


def _lock(handle: int) -> None:
    """Wait for the folder's advisory lock, which ends with the process. Windows has no locks for folders."""
    import fcntl

    fcntl.flock(handle, fcntl.LOCK_EX)


def _sync_folder(folder: Path) -> None:
    if hasattr(os, "O_DIRECTORY"):
        handle = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(handle)
        finally:
            os.close(handle)


def _mixed_up(folder: Path) -> str:
    return f"The index and the records in {folder} do not belong together; build it again."
