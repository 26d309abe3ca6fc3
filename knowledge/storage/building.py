"""Building a knowledge base from any number of records: memory stays bounded, and a build that was killed continues.

    .building/lock            held by the process that builds
    .building/vectors.sqlite  what is encoded so far, by the hash of the text or of the clip
    .building/records.part    the records of this attempt

The folder is removed when the build succeeds. After a kill, the same command reads the records again, which is fast, and
encodes only what is missing.
"""

from __future__ import annotations

import hashlib
import shutil
import sqlite3
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import TypeVar

import numpy as np
from filelock import FileLock, Timeout

from videopath.core.errors import InputError, KnowledgeError
from videopath.knowledge.index.embedder import unit_rows
from videopath.knowledge.index.encoders import Progress, TextEncoder
from videopath.knowledge.index.fingerprint import FINGERPRINT_BYTES
from videopath.knowledge.index.viewer import EncodedMedia, Viewer
from videopath.knowledge.records.record import InstructionRecord, Media, OnLeftOut
from videopath.knowledge.storage.store import StoreWriter
from videopath.knowledge.storage.versions import write_error

_T = TypeVar("_T")
_FOLDER = ".building"
_TEXTS_AT_ONCE = 256
_SCHEMA = """
CREATE TABLE IF NOT EXISTS texts (key BLOB PRIMARY KEY, vector BLOB NOT NULL) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS looks (
    key BLOB PRIMARY KEY, sha256 TEXT NOT NULL, vectors BLOB NOT NULL, fingerprints BLOB NOT NULL
) WITHOUT ROWID;
"""


class BuildFolder:
    """The working folder of one build, with the vectors that are made so far."""

    def __init__(self, folder: Path, database: sqlite3.Connection) -> None:
        self.records = folder / "records.part"
        self.done = False
        """Whether the build succeeded, so that the folder is not needed any more."""
        self._database = database

    def is_empty(self) -> bool:
        """Return whether nothing is made yet that a later build could use."""
        return not any(
            self._database.execute(f"SELECT 1 FROM {table} LIMIT 1").fetchone()  # noqa: S608
            for table in ("texts", "looks")
        )

    def text_vectors(self, encoder: TextEncoder, texts: Sequence[str]) -> np.ndarray:
        """Return the vectors of texts, float32 [len(texts), dimension]; missing ones are encoded and stored."""
        keys = [_key(encoder.sha256, text) for text in texts]
        known = dict(self._stored("SELECT key, vector FROM texts WHERE key = ?", keys))
        new = list({key: index for index, key in enumerate(keys) if key not in known}.values())
        if new:
            vectors = encode_texts(encoder, [texts[index] for index in new])
            rows = [(keys[index], vector.tobytes()) for index, vector in zip(new, vectors, strict=True)]
            self._database.executemany("INSERT OR REPLACE INTO texts VALUES (?, ?)", rows)
            self._database.commit()
            known |= dict(rows)
        return np.stack([np.frombuffer(known[key], np.float32) for key in keys])

    def encoded_clip(self, viewer: Viewer, media: Media) -> EncodedMedia:
        """Return a clip as the viewer sees it. It is stored and reused until its file changes."""
        key = _key(viewer.sha256, viewer.name, viewer.stamp(media), media.model_dump_json(exclude={"masks"}))
        row = self._database.execute(
            "SELECT sha256, vectors, fingerprints FROM looks WHERE key = ?", (key,)
        ).fetchone()
        if row is not None:
            sha256, vectors, prints = row
            return EncodedMedia(
                np.frombuffer(vectors, np.float32).reshape(-1, viewer.dimension),
                np.frombuffer(prints, np.uint8).reshape(-1, FINGERPRINT_BYTES),
                sha256,
            )
        look = encode_clip(viewer, media)
        values = (key, look.sha256, look.vectors.tobytes(), look.fingerprints.tobytes())
        self._database.execute("INSERT OR REPLACE INTO looks VALUES (?, ?, ?, ?)", values)
        self._database.commit()
        return look

    def _stored(self, query: str, keys: Iterable[bytes]) -> Iterator[tuple]:
        for key in keys:
            row = self._database.execute(query, (key,)).fetchone()
            if row is not None:
                yield row


@contextmanager
def build_folder(folder: Path) -> Iterator[BuildFolder]:
    """Open the working folder of a build. It is removed after a build that succeeded or made no vector yet.

    Raises:
        KnowledgeError: Another process builds there, or the folder cannot be written.
    """
    path = folder / _FOLDER
    build = None
    try:
        path.mkdir(parents=True, exist_ok=True)
        with FileLock(path / "lock", timeout=0), closing(_database(path)) as database:
            build = BuildFolder(path, database)
            try:
                yield build
            finally:
                build.done = build.done or build.is_empty()
    except Timeout as error:
        raise KnowledgeError(
            f"Another process is building the knowledge base {folder}; wait until it has ended."
        ) from error
    except (OSError, sqlite3.Error) as error:
        raise write_error(folder, error) from error
    finally:
        if build is not None and build.done:
            shutil.rmtree(path, ignore_errors=True)
            if not any(folder.iterdir()):
                folder.rmdir()


def _database(folder: Path) -> sqlite3.Connection:
    database = sqlite3.connect(folder / "vectors.sqlite")
    database.execute("PRAGMA journal_mode = WAL")
    database.execute("PRAGMA synchronous = NORMAL")
    database.executescript(_SCHEMA)
    return database


@dataclass(frozen=True)
class BuildContents:
    """The contents of a build folder when all vectors are made."""

    records: int
    data_sha256: str
    image_rows: np.ndarray
    """int64 [vectors of the image view]: the row of each vector."""


def fill(
    build: BuildFolder,
    records: Iterable[InstructionRecord],
    encoder: TextEncoder,
    viewer: Viewer | None,
    left_out: OnLeftOut | None,
    progress: Progress | None,
) -> BuildContents:
    """Write the records' file and make all vectors.

    Args:
        build: The working folder.
        records: The records.
        encoder: Encodes their texts.
        viewer: Encodes their clips, or ``None``.
        left_out: Called with the error of each record whose clip cannot be read; the record is left out.
        progress: Called with (texts and clips done, total).

    Raises:
        KnowledgeError: There are no records, an id repeats, or a clip cannot be read and there is no ``left_out``.
    """
    build.records.unlink(missing_ok=True)
    with StoreWriter(build.records) as store:
        clips = 0
        for record in records:
            store.insert(record)
            clips += len(record.media) if viewer else 0
        total = len(store)
        if not total:
            raise KnowledgeError(
                "There are no records to build a knowledge base from; at least one is needed."
            )
        store.optimise()
        count = _Counter(total + clips, progress)
        rows = _encode_media(build, store, viewer, left_out, count) if viewer else []
        if not len(store):
            raise KnowledgeError("No record is left: no record's clip could be read.")
        for group in _groups(store.numbered()):
            build.text_vectors(encoder, [record.text for _, record in group])
            count(len(group))
        return BuildContents(len(store), store.data_sha256, np.array(rows, np.int64))


def text_chunks(
    build: BuildFolder, encoder: TextEncoder, numbered: Iterable[tuple[int, InstructionRecord]]
) -> Iterator[np.ndarray]:
    """Yield the text vectors of all records, chunk by chunk."""
    for group in _groups(numbered):
        yield build.text_vectors(encoder, [record.text for _, record in group])


def image_chunks(
    build: BuildFolder, viewer: Viewer, numbered: Iterable[tuple[int, InstructionRecord]]
) -> Iterator[np.ndarray]:
    """Yield the vectors of all records' clips, chunk by chunk."""
    clips = (media for _, record in numbered for media in record.media)
    for group in _groups(clips):
        yield np.concatenate([build.encoded_clip(viewer, media).vectors for media in group])


def encode_clips(
    record: InstructionRecord, viewer: Viewer | None, look: Callable[[Viewer, Media], EncodedMedia]
) -> list[EncodedMedia]:
    """Return a record's clips as the viewer sees them. An unreadable clip raises ``KnowledgeError``."""
    if viewer is None:
        return []
    try:
        return [look(viewer, media) for media in record.media]
    except (InputError, KnowledgeError) as error:
        raise KnowledgeError(f"The record {record.id!r} cannot be seen: {error}") from error


def encode_clip(viewer: Viewer, media: Media) -> EncodedMedia:
    """Return a clip as the viewer sees it; reject vectors that are not finite or not of the stated dimension."""
    look = viewer.look(media)
    fits = look.vectors.ndim == 2 and look.vectors.shape[1] == viewer.dimension
    if not (fits and len(look.vectors) and np.isfinite(look.vectors).all()):
        raise KnowledgeError(
            f"The image encoder {viewer.name!r} gave vectors {look.vectors.shape}, not finite ones of "
            f"(clips, {viewer.dimension})."
        )
    return EncodedMedia(unit_rows(look.vectors), look.fingerprints, look.sha256)


def encode_texts(encoder: TextEncoder, texts: Sequence[str], progress: Progress | None = None) -> np.ndarray:
    """Encode texts to float32 [len(texts), dimension]; reject vectors that are not finite or have another shape."""
    if not texts:
        return np.zeros((0, encoder.dimension), np.float32)
    vectors = unit_rows(encoder.encode(texts, progress))
    if vectors.shape != (len(texts), encoder.dimension) or not np.isfinite(vectors).all():
        raise KnowledgeError(
            f"The embedder {encoder.name!r} gave vectors {vectors.shape}, not finite ones of "
            f"({len(texts)}, {encoder.dimension})."
        )
    return vectors


class _Counter:
    """Counts what is done and reports it."""

    def __init__(self, total: int, progress: Progress | None) -> None:
        self._total, self._done, self._progress = total, 0, progress

    def __call__(self, count: int) -> None:
        self._done += count
        if self._progress:
            self._progress(self._done, self._total)


def _encode_media(
    build: BuildFolder, store: StoreWriter, viewer: Viewer, left_out: OnLeftOut | None, count: _Counter
) -> list[int]:
    rows: list[int] = []
    for row, record in store.numbered():
        try:
            looks = encode_clips(record, viewer, build.encoded_clip)
        except KnowledgeError as error:
            if left_out is None:
                raise
            left_out(error)
            store.remove(record.id)
            continue
        store.add_media(row, looks)
        rows += [row for look in looks for _ in look.vectors]
        count(len(record.media))
    return rows


def _groups(items: Iterable[_T]) -> Iterator[list[_T]]:
    """Yield lists of as many items as are encoded at once."""
    rest = iter(items)
    while group := list(islice(rest, _TEXTS_AT_ONCE)):
        yield group


def _key(*parts: str) -> bytes:
    return hashlib.sha256("\0".join(parts).encode()).digest()
