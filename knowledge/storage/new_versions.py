"""How one version of a knowledge base follows another: the first of a build, the next of a change."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, Self

import numpy as np

from videopath.core.choices import IndexChoice
from videopath.core.clock import now
from videopath.core.errors import KnowledgeError
from videopath.knowledge.index.encoders import TextEncoder
from videopath.knowledge.index.viewer import EncodedMedia, Viewer
from videopath.knowledge.records.record import InstructionRecord
from videopath.knowledge.search import Searcher
from videopath.knowledge.storage.building import BuildContents, BuildFolder, image_chunks, text_chunks
from videopath.knowledge.storage.manifest import (
    FORMAT,
    DataFile,
    EncoderMark,
    Manifest,
    Part,
    VersionChange,
    read_manifest,
)
from videopath.knowledge.storage.store import RecordStore, StoreWriter
from videopath.knowledge.storage.versions import (
    OpenedVersion,
    merge_parts,
    name_by_hash,
    open_version,
    publish,
    read_version,
    rewrite_parts,
    temporary_path,
    write_lock,
    write_part,
)
from videopath.knowledge.voting.electorate import Electorate
from videopath.knowledge.voting.measure import ModelMeasure

Action = Literal["add", "update", "remove"]


@dataclass(frozen=True)
class IncomingRecord:
    """A record that comes in, as it is found by its words and by its clips."""

    record: InstructionRecord
    vector: np.ndarray
    """float32 [dimension] of its text."""
    looks: Sequence[EncodedMedia]

    @classmethod
    def joined(
        cls,
        records: Iterable[InstructionRecord],
        vectors: np.ndarray,
        looks: Iterable[Sequence[EncodedMedia]],
    ) -> list[Self]:
        """Entries of records, their texts' vectors [records, dimension] and their looks."""
        return [cls(*parts) for parts in zip(records, vectors, looks, strict=True)]


def publish_first_version(
    folder: Path,
    shop: BuildFolder,
    filled: BuildContents,
    encoder: TextEncoder,
    viewer: Viewer | None,
    index: IndexChoice,
) -> OpenedVersion:
    """Make the content of a workshop that of the folder."""
    with write_lock(folder):
        before = _version_of(folder)
        store = RecordStore(shop.records)
        text = text_chunks(shop, encoder, store.numbered())
        parts = [write_part(folder, "text", store.rows(), text, encoder.dimension, index)]
        if viewer is not None and len(filled.image_rows):
            images = image_chunks(shop, viewer, store.numbered())
            parts.append(write_part(folder, "image", filled.image_rows, images, viewer.dimension, index))
        store.close()
        path = temporary_path(folder, "records")
        shop.records.replace(path)
        manifest = Manifest(
            format=FORMAT,
            version=before + 1,
            count=filled.records,
            data_sha256=filled.data_sha256,
            embedder=EncoderMark.of(encoder),
            image_encoder=None if viewer is None else EncoderMark.of(viewer),
            records=name_by_hash(path, "records.sqlite"),
            parts=tuple(parts),
            changes=(),
        )
        return _published(folder, _with_change(manifest, "build", added=filled.records))


def publish_change(
    folder: Path, action: Action, new: Sequence[IncomingRecord], gone: Sequence[str], note: str
) -> OpenedVersion:
    """Take records out by their ids, put others in, and make that the folder's content.

    What another process has changed since is kept. Raises ``KnowledgeError`` as :func:`check_change`.
    """
    with write_lock(folder):
        current = read_version(folder)
        check_change(current, [entry.record for entry in new], gone)
        before = current.manifest
        path = temporary_path(folder, "records")
        with StoreWriter(path, folder / before.records.name, before.data_sha256) as store:
            dead = [store.remove(record_id) for record_id in gone]
            rows = [store.insert(entry.record, entry.looks) for entry in new]
            count, data_sha256 = len(store), store.data_sha256
        added = _parts_of(folder, rows, new) if new else []
        after = before.model_copy(
            update={
                "version": before.version + 1,
                "count": count,
                "data_sha256": data_sha256,
                "records": name_by_hash(path, "records.sqlite"),
                "parts": tuple(merge_parts(folder, current, added, _alive(current, dead, rows))),
            }
        )
        changed = {"add": "added", "update": "updated", "remove": "removed"}[action]
        return _published(
            folder, _with_change(after, action, **{changed: len(new) or len(gone), "note": note})
        )


def publish_merge(folder: Path) -> OpenedVersion:
    """Write every view anew in one part, without vectors of records that were removed."""
    with write_lock(folder):
        current = read_version(folder)
        parts = rewrite_parts(folder, current, _alive(current, [], []))
        version = current.manifest.version + 1
        after = current.manifest.model_copy(update={"version": version, "parts": tuple(parts)})
        return publish(folder, _with_change(after, "merge"))


def publish_measurement(folder: Path, models: Mapping[str, ModelMeasure] | None = None) -> OpenedVersion:
    """Measure the vote of the folder's cases anew, as a version of its own; ``models`` come to those that it has."""
    with write_lock(folder):
        manifest = read_version(folder).manifest
        after = manifest.model_copy(update={"version": manifest.version + 1})
        known = {**_models(folder), **(models or {})}
        return _published(folder, _with_change(after, "measure"), known)


def check_change(current: OpenedVersion, new: Sequence[InstructionRecord], gone: Sequence[str]) -> None:
    """Raise ``KnowledgeError`` for ids to take out that are not there, ids to put in that are, and a removal of all."""
    store = current.store
    for record_id in gone:
        if store.row_of(record_id) is None:
            raise KnowledgeError(f"The knowledge base has no record {record_id!r}.")
    seen: set[str] = set()
    leaving = set(gone)
    for record in new:
        if record.id in seen or (record.id not in leaving and store.row_of(record.id) is not None):
            raise KnowledgeError(
                f"The record id {record.id!r} occurs twice; every record of a knowledge base needs its own."
            )
        seen.add(record.id)
    if not new and len(gone) == len(store):
        raise KnowledgeError("These are all records of the knowledge base; delete its folder instead.")


def _parts_of(folder: Path, rows: Sequence[int], new: Sequence[IncomingRecord]) -> list[Part]:
    vectors = np.stack([entry.vector for entry in new])
    parts = [write_part(folder, "text", np.array(rows, np.int64), [vectors], vectors.shape[1])]
    seen = [(row, look.vectors) for row, entry in zip(rows, new, strict=True) for look in entry.looks]
    if seen:
        repeated = np.concatenate([np.full(len(found), row, np.int64) for row, found in seen])
        images = np.concatenate([found for _, found in seen])
        parts.append(write_part(folder, "image", repeated, [images], images.shape[1]))
    return parts


def _alive(current: OpenedVersion, dead: Sequence[int], born: Sequence[int]) -> np.ndarray:
    """bool by row: the records of the next version. Vectors of removed records may have the highest rows."""
    rows = current.store.rows()
    held = (int(part.rows[-1]) for parts in current.parts.values() for part in parts)
    alive = np.zeros(max([int(rows[-1]), *held, *born]) + 1, bool)
    alive[rows] = True
    alive[list(dead)] = False
    alive[list(born)] = True
    return alive


def _published(
    folder: Path, manifest: Manifest, models: Mapping[str, ModelMeasure] | None = None
) -> OpenedVersion:
    """Measure the vote of a version whose files are all there, and make it the folder's content.

    ``models``: what models were measured to be worth with its cases; none: as the version before has it.
    """
    return publish(folder, manifest.model_copy(update={"measures": _measures(folder, manifest, models)}))


def _models(folder: Path) -> Mapping[str, ModelMeasure]:
    """Of the version before; nothing where there is none that was measured."""
    try:
        before = read_version(folder)
    except KnowledgeError:
        return {}
    mark = before.manifest.image_encoder
    if mark is None or before.manifest.measures is None:
        return {}
    found = Electorate(folder, before, Searcher(before), mark).measure
    return found.models if found else {}


def _measures(folder: Path, manifest: Manifest, models: Mapping[str, ModelMeasure] | None) -> DataFile | None:
    if manifest.image_encoder is None or not manifest.parts_of("image"):
        return None
    generation = open_version(folder, manifest.model_copy(update={"measures": None}))
    electorate = Electorate(folder, generation, Searcher(generation), manifest.image_encoder)
    measured = electorate.measured()
    if measured is None:
        return None
    measured = measured.model_copy(update={"models": models if models is not None else _models(folder)})
    path = temporary_path(folder, "measures")
    path.write_text(measured.model_dump_json(), encoding="utf-8")
    return name_by_hash(path, "measures.json")


def _with_change(manifest: Manifest, action: str, **fields: Any) -> Manifest:
    change = VersionChange.model_validate(
        {
            "version": manifest.version,
            "when": now(),
            "action": action,
            "records": manifest.count,
            "data_sha256": manifest.data_sha256,
            **fields,
        }
    )
    return manifest.model_copy(update={"changes": (*manifest.changes, change)})


def _version_of(folder: Path) -> int:
    """Of the knowledge base that a new one takes the place of; 0 where there is none that can be read."""
    try:
        return read_manifest(folder).version
    except KnowledgeError:
        return 0
