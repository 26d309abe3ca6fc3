"""Building a knowledge base from any number of records: memory stays bounded, and a build that was stopped goes on.

    .building/lock            held by the process that builds
    .building/vectors.sqlite  what it has embedded and seen so far, by the hash of the text or of the clip
    .building/records.part    the records of this attempt

The folder is removed when the build ends well. After a kill, the same command reads the records again, which is quick,
and embeds only what is not there yet.
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
    """The folder of one build, and what it has made so far."""

    def __init__(self, folder: Path, database: sqlite3.Connection) -> None:
        self.records = folder / "records.part"
        self.done = False
        """Whether what was made is not needed any more."""
        self._database = database

    def is_empty(self) -> bool:
        """Whether nothing was made yet that a later build could use."""
        return not any(
            self._database.execute(f"SELECT 1 FROM {table} LIMIT 1").fetchone()  # noqa: S608
            for table in ("texts", "looks")
        )

    def texts_of(self, encoder: TextEncoder, texts: Sequence[str]) -> np.ndarray:
        """Vectors of texts, float32 [len(texts), dimension]; those that are not there yet are embedded and kept."""
        keys = [_key(encoder.sha256, text) for text in texts]
        known = dict(self._found("SELECT key, vector FROM texts WHERE key = ?", keys))
        new = list({key: place for place, key in enumerate(keys) if key not in known}.values())
        if new:
            vectors = encoded(encoder, [texts[place] for place in new])
            rows = [(keys[place], vector.tobytes()) for place, vector in zip(new, vectors, strict=True)]
            self._database.executemany("INSERT OR REPLACE INTO texts VALUES (?, ?)", rows)
            self._database.commit()
            known |= dict(rows)
        return np.stack([np.frombuffer(known[key], np.float32) for key in keys])

    def look_of(self, viewer: Viewer, media: Media) -> EncodedMedia:
        """A look at a clip; kept as long as its file does not change."""
        key = _key(viewer.sha256, viewer.name, viewer.stamp(media), media.model_dump_json())
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
        look = checked_look(viewer, media)
        values = (key, look.sha256, look.vectors.tobytes(), look.fingerprints.tobytes())
        self._database.execute("INSERT OR REPLACE INTO looks VALUES (?, ?, ?, ?)", values)
        self._database.commit()
        return look

    def _found(self, query: str, keys: Iterable[bytes]) -> Iterator[tuple]:
        for key in keys:
            row = self._database.execute(query, (key,)).fetchone()
            if row is not None:
                yield row


@contextmanager
def workshop(folder: Path) -> Iterator[BuildFolder]:
    """The workshop of a folder; removed after a build that ended well, and after one that made no vector yet.

    Raises ``KnowledgeError`` where another process is building there, or the folder cannot be written.
    """
    place = folder / _FOLDER
    shop = None
    try:
        place.mkdir(parents=True, exist_ok=True)
        with FileLock(place / "lock", timeout=0), closing(_database(place)) as database:
            shop = BuildFolder(place, database)
            try:
                yield shop
            finally:
                shop.done = shop.done or shop.is_empty()
    except Timeout as error:
        raise KnowledgeError(
            f"Another process is building the knowledge base {folder}; wait until it has ended."
        ) from error
    except (OSError, sqlite3.Error) as error:
        raise write_error(folder, error) from error
    finally:
        if shop is not None and shop.done:
            shutil.rmtree(place, ignore_errors=True)
            if not any(folder.iterdir()):
                folder.rmdir()


def _database(place: Path) -> sqlite3.Connection:
    database = sqlite3.connect(place / "vectors.sqlite")
    database.execute("PRAGMA journal_mode = WAL")
    database.execute("PRAGMA synchronous = NORMAL")
    database.executescript(_SCHEMA)
    return database


@dataclass(frozen=True)
class BuildContents:
    """What a workshop holds once all its vectors are made."""

    records: int
    data_sha256: str
    image_rows: np.ndarray
    """int64: the row of each vector of the image view, in their order."""


def fill(
    shop: BuildFolder,
    records: Iterable[InstructionRecord],
    encoder: TextEncoder,
    viewer: Viewer | None,
    left_out: OnLeftOut | None,
    progress: Progress | None,
) -> BuildContents:
    """Write the records' file and make all vectors.

    Raises ``KnowledgeError`` for no records, a repeated id, and a clip that cannot be read; with ``left_out`` such a
    record is left out and that is told.
    """
    shop.records.unlink(missing_ok=True)
    with StoreWriter(shop.records) as store:
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
        tell = _Counted(total + clips, progress)
        rows = _see(shop, store, viewer, left_out, tell) if viewer else []
        if not len(store):
            raise KnowledgeError("No record is left: the clip of every one could not be read.")
        for group in _groups(store.numbered()):
            shop.texts_of(encoder, [record.text for _, record in group])
            tell(len(group))
        return BuildContents(len(store), store.data_sha256, np.array(rows, np.int64))


def text_chunks(
    shop: BuildFolder, encoder: TextEncoder, numbered: Iterable[tuple[int, InstructionRecord]]
) -> Iterator[np.ndarray]:
    """The vectors of all records, chunk by chunk."""
    for group in _groups(numbered):
        yield shop.texts_of(encoder, [record.text for _, record in group])


def image_chunks(
    shop: BuildFolder, viewer: Viewer, numbered: Iterable[tuple[int, InstructionRecord]]
) -> Iterator[np.ndarray]:
    """The vectors of all records' clips, chunk by chunk."""
    clips = (media for _, record in numbered for media in record.media)
    for group in _groups(clips):
        yield np.concatenate([shop.look_of(viewer, media).vectors for media in group])


def looks_at(
    record: InstructionRecord, viewer: Viewer | None, look: Callable[[Viewer, Media], EncodedMedia]
) -> list[EncodedMedia]:
    """What a record's clips look like. Raises ``KnowledgeError`` that names the record where one cannot be read."""
    if viewer is None:
        return []
    try:
        return [look(viewer, media) for media in record.media]
    except (InputError, KnowledgeError) as error:
        raise KnowledgeError(f"The record {record.id!r} cannot be seen: {error}") from error


def checked_look(viewer: Viewer, media: Media) -> EncodedMedia:
    """A look, refused where the viewer gave something else than it says."""
    look = viewer.look(media)
    good = look.vectors.ndim == 2 and look.vectors.shape[1] == viewer.dimension
    if not (good and len(look.vectors) and np.isfinite(look.vectors).all()):
        raise KnowledgeError(
            f"The image encoder {viewer.name!r} gave vectors {look.vectors.shape}, not finite ones of "
            f"(clips, {viewer.dimension})."
        )
    return EncodedMedia(unit_rows(look.vectors), look.fingerprints, look.sha256)


def encoded(encoder: TextEncoder, texts: Sequence[str], progress: Progress | None = None) -> np.ndarray:
    """Vectors of texts, refused where the encoder gave something else than it says."""
    if not texts:
        return np.zeros((0, encoder.dimension), np.float32)
    vectors = unit_rows(encoder.encode(texts, progress))
    if vectors.shape != (len(texts), encoder.dimension) or not np.isfinite(vectors).all():
        raise KnowledgeError(
            f"The embedder {encoder.name!r} gave vectors {vectors.shape}, not finite ones of "
            f"({len(texts)}, {encoder.dimension})."
        )
    return vectors


class _Counted:
    """Tells how much is done of all."""

    def __init__(self, total: int, progress: Progress | None) -> None:
        self._total, self._done, self._progress = total, 0, progress

    def __call__(self, count: int) -> None:
        self._done += count
        if self._progress:
            self._progress(self._done, self._total)


def _see(
    shop: BuildFolder, store: StoreWriter, viewer: Viewer, left_out: OnLeftOut | None, tell: _Counted
) -> list[int]:
    rows: list[int] = []
    for row, record in store.numbered():
        try:
            looks = looks_at(record, viewer, shop.look_of)
        except KnowledgeError as error:
            if left_out is None:
                raise
            left_out(error)
            store.remove(record.id)
            continue
        store.add_looks(row, looks)
        rows += [row for look in looks for _ in look.vectors]
        tell(len(record.media))
    return rows


def _groups(items: Iterable[_T]) -> Iterator[list[_T]]:
    """Lists of as many items as are embedded at once."""
    rest = iter(items)
    while group := list(islice(rest, _TEXTS_AT_ONCE)):
        yield group


def _key(*parts: str) -> bytes:
    return hashlib.sha256("\0".join(parts).encode()).digest()
