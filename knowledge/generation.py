"""The files of a knowledge base, and how a new set of them takes the place of the old one.

    manifest.json             names the two files below and their hashes; covers itself with a hash
    records-<hash>.sqlite     the records, rows 1, 2, 3 …
    index-<hash>.faiss        IndexIDMap2 over IndexFlatIP: the vector of row n has id n

Data files are never changed in place. A new generation is written beside the old one under temporary names; the
renaming of its manifest is the one moment at which it takes over; the old files are removed after it. A kill leaves
the old or the new generation, whole; leftovers are cleared by the next write.
"""

from __future__ import annotations

import hashlib
import json
import os
import re
import sqlite3
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import faiss
import numpy as np
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from videopath.core.errors import KnowledgeError
from videopath.core.files import sha256_file
from videopath.knowledge.embedder import Encoder
from videopath.knowledge.records import InstructionRecord, canonical_json
from videopath.knowledge.store import RecordStore, write_store

MANIFEST = "manifest.json"
_FORMAT = "videopath-knowledge/1"
_OURS = re.compile(
    r"records-[0-9a-f]{12}\.sqlite|index-[0-9a-f]{12}\.faiss|\.(records|index|manifest\.json)\..*\.part"
)
_LENGTH_TOLERANCE = 1e-3


class DataFile(BaseModel, frozen=True):
    """A file beside the manifest."""

    name: str = Field(pattern=r"^[a-z]+-[0-9a-f]{12}\.[a-z]+$")
    sha256: str


class EmbedderMark(BaseModel, frozen=True):
    """The embedder that made the vectors."""

    name: str
    sha256: str
    dimension: int


class Manifest(BaseModel):
    """What ``manifest.json`` says. Equal records and embedder give an equal manifest on one machine."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    format: str
    count: int
    data_sha256: str
    """Hash of the records as canonical JSON lines, in row order."""
    embedder: EmbedderMark
    records: DataFile
    index: DataFile

    def to_text(self) -> str:
        """The file's text: with a hash of everything else in it."""
        content = self.model_dump()
        return json.dumps({**content, "sha256": _sha256_of(content)}, indent=2) + "\n"


@dataclass(frozen=True)
class Generation:
    """One opened set of files."""

    manifest: Manifest
    store: RecordStore
    index: faiss.IndexIDMap2


def read_generation(folder: Path) -> Generation:
    """Open the folder's knowledge base; every byte is checked against the manifest before it is used."""
    while True:
        manifest = read_manifest(folder)
        try:
            return _opened(folder, manifest)
        except KnowledgeError:
            if read_manifest(folder) == manifest:
                raise  # else another process replaced the generation while it was read: take the new one


def read_manifest(folder: Path) -> Manifest:
    """Read and check ``manifest.json``."""
    path = folder / MANIFEST
    try:
        data = _manifest_bytes(path)
    except (FileNotFoundError, NotADirectoryError) as error:
        raise KnowledgeError(
            f"{folder} holds no knowledge base (no {MANIFEST}); make one with: videopath knowledge build."
        ) from error
    except OSError as error:
        raise KnowledgeError(f"{path} cannot be read: {error.strerror or error}.") from error
    try:
        content = json.loads(data)
        content.pop("sha256")
        manifest = Manifest.model_validate(content)
    except (ValueError, AttributeError, KeyError, RecursionError, ValidationError) as error:
        raise KnowledgeError(
            f"{path} is damaged: it is not a manifest of a knowledge base; build it again."
        ) from error
    if manifest.to_text().encode() != data:
        raise KnowledgeError(f"{path} is damaged: it does not have the hash that it states; build it again.")
    if manifest.format != _FORMAT:
        raise KnowledgeError(f"{path} has the format {manifest.format!r}; this version reads {_FORMAT!r}.")
    return manifest


def write_generation(
    folder: Path, records: Sequence[InstructionRecord], vectors: np.ndarray, embedder: Encoder
) -> Generation:
    """Write records and their vectors (float32 [n, dimension], unit rows) and make them the folder's content.

    The caller holds :func:`writing`. Raises ``KnowledgeError`` where the folder cannot be written; the old content
    stays.
    """
    try:
        store, index = _write_store_file(folder, records), _write_index_file(folder, vectors)
        manifest = Manifest(
            format=_FORMAT,
            count=len(records),
            data_sha256=data_sha256(records),
            embedder=EmbedderMark(name=embedder.name, sha256=embedder.sha256, dimension=vectors.shape[1]),
            records=store,
            index=index,
        )
        part = _part(folder, MANIFEST)
        part.write_bytes(manifest.to_text().encode())
        _renamed(part, MANIFEST)  # from here on the folder holds the new generation
        _sync_folder(folder)
    except (OSError, sqlite3.Error) as error:
        raise _not_written(folder, error) from error
    finally:
        _clear(folder)
    return read_generation(folder)


@contextmanager
def writing(folder: Path) -> Iterator[None]:
    """Hold the folder for one writer at a time; it is made where it is missing, and removed again if left empty."""
    try:
        made = not folder.exists()
        folder.mkdir(parents=True, exist_ok=True)
        handle = os.open(folder, os.O_RDONLY) if hasattr(os, "O_DIRECTORY") else None
    except OSError as error:
        raise _not_written(folder, error) from error
    try:
        if handle is not None:
            _lock(handle)
        yield
    finally:
        if handle is not None:
            os.close(handle)  # this lets the lock go
        if made and not any(folder.iterdir()):
            folder.rmdir()


def verify_folder(folder: str | Path) -> list[str]:
    """Everything that is wrong with a knowledge base on disk, a sentence each; empty when it is whole."""
    folder = Path(folder)
    try:
        manifest = read_manifest(folder)
    except KnowledgeError as error:
        return [str(error)]
    problems = [
        problem for file in (manifest.records, manifest.index) if (problem := _problem_of_file(folder, file))
    ]
    if not problems:
        try:
            problems = _problems_of_content(_opened(folder, manifest))
        except KnowledgeError as error:
            problems = [str(error)]
    replaced_meanwhile = bool(problems) and _manifest_bytes(folder / MANIFEST) != manifest.to_text().encode()
    return verify_folder(folder) if replaced_meanwhile else problems


def data_sha256(records: Sequence[InstructionRecord]) -> str:
    """Hash of the records as canonical JSON lines."""
    digest = hashlib.sha256()
    for record in records:
        digest.update(canonical_json(record).encode() + b"\n")
    return digest.hexdigest()


def vectors_of(index: faiss.IndexIDMap2) -> np.ndarray:
    """The vectors in row order, float32 [n, dimension]."""
    return faiss.downcast_index(index.index).reconstruct_n(0, index.ntotal)


def _manifest_bytes(path: Path) -> bytes:
    return path.read_bytes().replace(b"\r\n", b"\n")  # a checkout on Windows may have changed the line ends


def _opened(folder: Path, manifest: Manifest) -> Generation:
    if problem := _problem_of_file(folder, manifest.records):
        raise KnowledgeError(problem)
    try:
        data = (folder / manifest.index.name).read_bytes()
    except OSError as error:
        raise KnowledgeError(_unreadable(folder, manifest.index.name, error)) from error
    if hashlib.sha256(data).hexdigest() != manifest.index.sha256:
        raise KnowledgeError(_damaged(folder, manifest.index.name))
    try:
        index = faiss.deserialize_index(np.frombuffer(data, np.uint8))
        store = RecordStore(folder / manifest.records.name)
    except (RuntimeError, sqlite3.Error) as error:
        raise KnowledgeError(
            f"The knowledge base {folder} cannot be opened: {error}; build it again."
        ) from error
    size = (manifest.count, manifest.embedder.dimension)
    if (
        not isinstance(index, faiss.IndexIDMap2)
        or (index.ntotal, index.d) != size
        or len(store) != manifest.count
    ):
        raise KnowledgeError(f"The index and the records in {folder} do not belong together; build it again.")
    return Generation(manifest, store, index)


def _problem_of_file(folder: Path, file: DataFile) -> str | None:
    try:
        found = sha256_file(folder / file.name)
    except OSError as error:
        return _unreadable(folder, file.name, error)
    return None if found == file.sha256 else _damaged(folder, file.name)


def _problems_of_content(generation: Generation) -> list[str]:
    manifest, store, index = generation.manifest, generation.store, generation.index
    problems = []
    if data_sha256(list(store)) != manifest.data_sha256:
        problems.append("The records are not those that the manifest states; build the knowledge base again.")
    if faiss.vector_to_array(index.id_map).tolist() != list(range(1, manifest.count + 1)):
        problems.append("The index's ids are not the records' rows; build the knowledge base again.")
    lengths = np.linalg.norm(vectors_of(index), axis=1)
    if not np.all(np.abs(lengths - 1) < _LENGTH_TOLERANCE):
        problems.append("The index has vectors whose length is not 1; build the knowledge base again.")
    return problems


def _write_store_file(folder: Path, records: Sequence[InstructionRecord]) -> DataFile:
    part = _part(folder, "records")
    write_store(part, records)
    return _named_by_hash(part, "records", "sqlite")


def _write_index_file(folder: Path, vectors: np.ndarray) -> DataFile:
    index = faiss.IndexIDMap2(faiss.IndexFlatIP(vectors.shape[1]))
    index.add_with_ids(vectors, np.arange(1, len(vectors) + 1, dtype=np.int64))
    part = _part(folder, "index")
    part.write_bytes(faiss.serialize_index(index).tobytes())
    return _named_by_hash(part, "index", "faiss")


def _named_by_hash(part: Path, stem: str, suffix: str) -> DataFile:
    digest = sha256_file(part)
    file = DataFile(name=f"{stem}-{digest[:12]}.{suffix}", sha256=digest)
    _renamed(part, file.name)
    return file


def _part(folder: Path, name: str) -> Path:
    """A temporary name; what a killed process of the same number left under it is removed."""
    part = folder / f".{name}.{os.getpid()}.part"
    part.unlink(missing_ok=True)
    return part


def _renamed(part: Path, name: str) -> None:
    with part.open("r+b") as stream:
        os.fsync(stream.fileno())
    part.replace(part.with_name(name))


def _clear(folder: Path) -> None:
    """Remove data files that the manifest does not name, and temporary ones."""
    try:
        manifest = read_manifest(folder)
        kept = {manifest.records.name, manifest.index.name}
    except KnowledgeError:
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


def _sha256_of(content: dict) -> str:
    return hashlib.sha256(json.dumps(content, sort_keys=True, separators=(",", ":")).encode()).hexdigest()


def _damaged(folder: Path, name: str) -> str:
    return f"{folder / name} is damaged: its SHA-256 is not the one in the manifest; build the knowledge base again."


def _unreadable(folder: Path, name: str, error: OSError) -> str:
    return f"{folder / name} cannot be read: {error.strerror or error}; build the knowledge base again."


def _not_written(folder: Path, error: Exception) -> KnowledgeError:
    reason = error.strerror if isinstance(error, OSError) and error.strerror else error
    return KnowledgeError(
        f"The knowledge base {folder} cannot be written: {reason}; choose a folder that can."
    )
