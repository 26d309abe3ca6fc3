"""The files of a knowledge base, and how a new version of it takes the place of the old one.

    manifest.json              names the files below with their hashes; covers itself with a hash
    records-<hash>.sqlite      the records, their words, the fingerprints of their media
    text-<hash>.*, image-<hash>.*   the vectors of a view, in parts
    measures-<hash>.json       how often its pictures' vote is right

Data files are never changed in place. A new version is written beside the old one under temporary names; the
renaming of its manifest is the one moment at which it takes over; files that it does not name are removed after it.
A kill leaves the old or the new version, whole; leftovers are cleared by the next write. An addition writes a part of
its own; when there are many, they are merged.
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
    Manifest,
    Part,
    data_file,
    manifest_bytes,
    read_manifest,
)
from videopath.knowledge.storage.store import RecordStore, data_sha256

# "index" is of the format before this one
_OURS = re.compile(
    r"records-[0-9a-f]{12}\.sqlite|(index|text|image|measures)-[0-9a-f]{12}\.[a-z]+|\.(records|text|image|measures|manifest\.json)\..*\.part"
)
_CHECKED_AT_OPENING = (
    64 << 20
)  # bytes; larger files are checked by `verify` alone, opening must not read them whole
_LENGTH_TOLERANCE = 1e-3
_MOST_PARTS = 8
_BLOCK = 8192  # vectors that are in memory at once


@dataclass(frozen=True)
class OpenedVersion:
    """One opened version."""

    manifest: Manifest
    store: RecordStore
    parts: dict[StoredView, list[Vectors]]
    """Only of views that there are."""


def read_version(folder: Path) -> OpenedVersion:
    """Open the folder's knowledge base. Files up to 64 MiB are checked against the manifest, larger ones by size."""
    while True:
        manifest = read_manifest(folder)
        try:
            return open_version(folder, manifest)
        except KnowledgeError:
            if read_manifest(folder) == manifest:
                raise  # else another process replaced the version while it was read: take the new one


@contextmanager
def write_lock(folder: Path) -> Iterator[None]:
    """Hold the folder for one writer at a time; it is made where it is missing, and removed again if left empty."""
    try:
        made = not folder.exists()
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
            os.close(handle)  # this lets the lock go
        if folder.exists():
            _clear(folder)
            if made and not any(folder.iterdir()):
                folder.rmdir()


def publish(folder: Path, manifest: Manifest) -> OpenedVersion:
    """Make a manifest, whose files are all there, the folder's content. The caller holds :func:`writing`."""
    path = temporary_path(folder, MANIFEST)
    path.write_bytes(manifest.to_text().encode())
    _renamed(path, MANIFEST)  # from here on the folder holds the new version
    _sync_folder(folder)
    return read_version(folder)


def name_by_hash(path: Path, name: str) -> DataFile:
    """Give a written file its name for good: "records.sqlite" becomes "records-<hash>.sqlite"."""
    file = data_file(path, name)
    _renamed(path, file.name)
    return file


def write_part(
    folder: Path,
    view: StoredView,
    rows: np.ndarray,
    chunks: Iterable[np.ndarray],
    dimension: int,
    kind: IndexChoice = "auto",
) -> Part:
    """Write vectors (their rows int64 [n]; float32 [m, dimension] in chunks) as a part. Holds :func:`writing`."""
    stem = temporary_path(folder, view).with_suffix("")
    written, paths = write_vectors(stem, rows, chunks, dimension, kind)
    files = tuple(name_by_hash(path, f"{view}.{_suffix(path)}") for path in paths)
    return Part(view=view, kind=written, vectors=len(rows), files=files)


def merge_parts(
    folder: Path, generation: OpenedVersion, added: Sequence[Part], alive: np.ndarray
) -> list[Part]:
    """The parts of the next version: all as they are, or the small ones of a view in one where there are many.

    A part that holds more than four times what all younger ones hold stays as it is, so that every vector is copied
    only a few times however often records are added. ``alive``: bool by row; vectors of other rows are left out.
    """
    parts: list[Part] = []
    for view in ("text", "image"):
        held = [*generation.manifest.parts_of(view), *(part for part in added if part.view == view)]
        parts += held if len(held) <= _MOST_PARTS else _merged(folder, view, held, alive)
    return parts


def rewrite_parts(folder: Path, generation: OpenedVersion, alive: np.ndarray) -> list[Part]:
    """Every view in one part, without what is not alive."""
    return [
        part
        for view in generation.parts
        for part in _joined(folder, view, generation.manifest.parts_of(view), alive)
    ]


def verify_folder(folder: str | Path) -> list[str]:
    """Everything that is wrong with a knowledge base on disk, a sentence each; empty when it is whole."""
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
    """A temporary name; what a killed process of the same number left under it is removed."""
    path = folder / f".{name}.{os.getpid()}.part"
    path.unlink(missing_ok=True)
    return path


def write_error(folder: Path, error: Exception) -> KnowledgeError:
    """The error of a folder that cannot be written."""
    reason = error.strerror if isinstance(error, OSError) and error.strerror else error
    return KnowledgeError(
        f"The knowledge base {folder} cannot be written: {reason}; choose a folder that can."
    )


def _merged(folder: Path, view: StoredView, held: list[Part], alive: np.ndarray) -> list[Part]:
    first = len(held) - 1
    younger = held[first].vectors
    while first and held[first - 1].vectors <= 4 * younger:
        first -= 1
        younger += held[first].vectors
    return [*held[:first], *_joined(folder, view, held[first:], alive)]


def _joined(folder: Path, view: StoredView, held: Sequence[Part], alive: np.ndarray) -> list[Part]:
    opened = [_vectors(folder, part) for part in held]
    kept = [np.flatnonzero(alive[vectors.rows]) for vectors in opened]
    rows = np.concatenate([vectors.rows[places] for vectors, places in zip(opened, kept, strict=True)])
    if not len(rows):
        return []

    def chunks() -> Iterator[np.ndarray]:
        for vectors, places in zip(opened, kept, strict=True):
            everything = vectors.all()
            for start in range(0, len(places), _BLOCK):
                yield np.asarray(everything[places[start : start + _BLOCK]], np.float32)

    return [write_part(folder, view, rows, chunks(), opened[0].dimension)]


def open_version(folder: Path, manifest: Manifest) -> OpenedVersion:
    """The version of a manifest, whose files are all there. Raises ``KnowledgeError`` where one is damaged."""
    for file in manifest.files:
        if problem := _problem_of_file(folder, file, _CHECKED_AT_OPENING):
            raise KnowledgeError(problem)
    parts: dict[StoredView, list[Vectors]] = {}
    for part in manifest.parts:
        parts.setdefault(part.view, []).append(_vectors(folder, part))
        mark = manifest.mark_of(part.view)
        opened = parts[part.view][-1]
        if mark is None or (len(opened), opened.dimension) != (part.vectors, mark.dimension):
            raise KnowledgeError(_foreign(folder))
    store = RecordStore(folder / manifest.records.name)
    if len(store) != manifest.count:
        raise KnowledgeError(_foreign(folder))
    return OpenedVersion(manifest, store, parts)


def _vectors(folder: Path, part: Part) -> Vectors:
    return Vectors.open(part.kind, [folder / file.name for file in part.files])


def _problem_of_file(folder: Path, file: DataFile, most: int | None = None) -> str | None:
    """What is wrong with a file; its content is compared only up to ``most`` bytes, none: always."""
    path = folder / file.name
    try:
        size = path.stat().st_size
        whole = size == file.size and ((most is not None and size > most) or sha256_file(path) == file.sha256)
    except OSError as error:
        return f"{path} cannot be read: {error.strerror or error}; build the knowledge base again."
    if whole:
        return None
    return f"{path} is damaged: its SHA-256 is not the one in the manifest; build the knowledge base again."


def _problems_of_content(generation: OpenedVersion) -> list[str]:
    manifest, store = generation.manifest, generation.store
    problems = []
    if data_sha256(store) != manifest.data_sha256:
        problems.append("The records are not those that the manifest states; build the knowledge base again.")
    with_text = np.concatenate([part.rows for part in generation.parts.get("text", [])] or [np.zeros(0)])
    if not np.isin(store.rows(), with_text).all():
        problems.append("Some records have no vector; build the knowledge base again.")
    if not all(_unit_length(part) for parts in generation.parts.values() for part in parts):
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


def _renamed(path: Path, name: str) -> None:
    with path.open("r+b") as stream:
        os.fsync(stream.fileno())
    path.replace(path.with_name(name))


def _clear(folder: Path) -> None:
    """Remove data files that the manifest does not name, and temporary ones."""
    try:
        kept = {file.name for file in read_manifest(folder).files}
    except KnowledgeError:
        if (folder / MANIFEST).exists():
            return  # a damaged one: what it named may be of use to somebody
        kept = set()
    for path in list(folder.iterdir()):
        if _OURS.fullmatch(path.name) and path.name not in kept:
            path.unlink(missing_ok=True)


def _lock(handle: int) -> None:
    """Wait for the folder's advisory lock; it ends with the process. Windows has none for folders."""
    import fcntl

    fcntl.flock(handle, fcntl.LOCK_EX)


def _sync_folder(folder: Path) -> None:
    if hasattr(os, "O_DIRECTORY"):
        handle = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(handle)
        finally:
            os.close(handle)


def _foreign(folder: Path) -> str:
    return f"The index and the records in {folder} do not belong together; build it again."
