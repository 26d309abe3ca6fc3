"""New versions of a knowledge base: the first version of a build, and the next version of a change."""

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
from videopath.knowledge.records.edits import RecordEdit
from videopath.knowledge.records.record import InstructionRecord
from videopath.knowledge.search import Searcher
from videopath.knowledge.storage.building import BuildContents, BuildFolder, image_chunks, text_chunks
from videopath.knowledge.storage.manifest import (
    FORMAT,
    DataFile,
    EncoderMark,
    IndexPart,
    Manifest,
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
    """A new record with its text vector and its encoded clips."""

    record: InstructionRecord
    vector: np.ndarray
    """float32 [dimension]: the vector of its text."""
    media: Sequence[EncodedMedia]

    @classmethod
    def joined(
        cls,
        records: Iterable[InstructionRecord],
        vectors: np.ndarray,
        media: Iterable[Sequence[EncodedMedia]],
    ) -> list[Self]:
        """Join records, their text vectors, float32 [records, dimension], and their encoded clips."""
        return [cls(*parts) for parts in zip(records, vectors, media, strict=True)]


def publish_first_version(
    folder: Path,
    build: BuildFolder,
    contents: BuildContents,
    encoder: TextEncoder,
    viewer: Viewer | None,
    index: IndexChoice,
) -> OpenedVersion:
    """Make the contents of a build folder the folder's first or next version."""
    with write_lock(folder):
        before = _version_number(folder)
        store = RecordStore(build.records)
        text = text_chunks(build, encoder, store.numbered())
        parts = [write_part(folder, "text", store.rows(), text, encoder.dimension, index)]
        if viewer is not None and len(contents.image_rows):
            images = image_chunks(build, viewer, store.numbered())
            parts.append(write_part(folder, "image", contents.image_rows, images, viewer.dimension, index))
        store.close()
        path = temporary_path(folder, "records")
        build.records.replace(path)
        manifest = Manifest(
            format=FORMAT,
            version=before + 1,
            count=contents.records,
            data_sha256=contents.data_sha256,
            embedder=EncoderMark.of(encoder),
            image_encoder=None if viewer is None else EncoderMark.of(viewer),
            records=name_by_hash(path, "records.sqlite"),
            parts=tuple(parts),
            changes=(),
            media_folders=_media_folders(viewer),
        )
        return _publish_measured(folder, _with_change(manifest, "build", added=contents.records))


def publish_change(
    folder: Path,
    action: Action,
    new: Sequence[IncomingRecord],
    gone: Sequence[str],
    note: str,
    viewer: Viewer | None = None,
) -> OpenedVersion:
    """Remove records by their ids, insert others that ``viewer`` has seen, and publish the result as the next version.

    Changes that another process has made meanwhile are kept. Raises ``KnowledgeError`` like :func:`check_change`.
    """
    with write_lock(folder):
        return _publish_changed(folder, read_version(folder), action, new, gone, note, viewer=viewer)


def publish_edit(
    folder: Path, before: InstructionRecord, after: InstructionRecord, vector: np.ndarray, by: str, note: str
) -> OpenedVersion:
    """Replace a record by its edited one, keep its pictures and the edit, and publish the result as the next version.

    Args:
        folder: The folder of the knowledge base.
        before: The record that the person saw.
        after: The edited record, with the same id and media.
        vector: float32 [dimension]: the vector of its text.
        by: The name of the person.
        note: The reason.

    Raises:
        KnowledgeError: The record is gone, or somebody else changed it meanwhile.
    """
    with write_lock(folder):
        current = read_version(folder)
        row = current.store.row_of(before.id)
        if row is None or current.store.get(before.id) != before:
            raise KnowledgeError(
                f"The record {before.id!r} was changed by somebody else meanwhile; open it again and repeat your edit."
            )
        edit = RecordEdit(
            version=current.manifest.version + 1, when=now(), by=by, note=note, before=before, after=after
        )
        new = [IncomingRecord(after, vector, _stored_media(current, row))]
        reason = f"edited by {by}" + (f": {note}" if note else "")
        return _publish_changed(folder, current, "update", new, [before.id], reason, edit)


def _publish_changed(
    folder: Path,
    current: OpenedVersion,
    action: Action,
    new: Sequence[IncomingRecord],
    gone: Sequence[str],
    note: str,
    edit: RecordEdit | None = None,
    viewer: Viewer | None = None,
) -> OpenedVersion:
    """Publish the change of a version. The caller holds :func:`write_lock`."""
    check_change(current, [entry.record for entry in new], gone)
    before = current.manifest
    path = temporary_path(folder, "records")
    with StoreWriter(path, folder / before.records.name, before.data_sha256) as store:
        removed = [store.remove(record_id) for record_id in gone]
        rows = [store.insert(entry.record, entry.media) for entry in new]
        if edit is not None:
            store.keep_edit(edit)
        for record_id in gone if action == "remove" else ():
            store.forget_edits(record_id)
        count, data_sha256 = len(store), store.data_sha256
    added = _write_parts(folder, rows, new) if new else []
    after = before.model_copy(
        update={
            "version": before.version + 1,
            "count": count,
            "data_sha256": data_sha256,
            "records": name_by_hash(path, "records.sqlite"),
            "parts": tuple(merge_parts(folder, current, added, _alive(current, removed, rows))),
            "media_folders": _media_folders(viewer, before.media_folders),
        }
    )
    changed = {"add": "added", "update": "updated", "remove": "removed"}[action]
    return _publish_measured(
        folder, _with_change(after, action, **{changed: len(new) or len(gone), "note": note})
    )


def _media_folders(viewer: Viewer | None, before: Sequence[str] = ()) -> tuple[str, ...]:
    """Return the folders of the media, with the viewer's own first; a viewer of whole paths has none."""
    own: Path | None = getattr(viewer, "folder", None)
    return tuple(dict.fromkeys([*([str(own)] if own else []), *before]))


def _stored_media(current: OpenedVersion, row: int) -> list[EncodedMedia]:
    """Return the encoded clips of a row. The first one has all vectors, since no part says which clip has which."""
    vectors = [
        np.asarray(part.all()[slice(*np.searchsorted(part.rows, [row, row + 1]))], np.float32)
        for part in current.parts.get("image", [])
    ]
    media = current.store.media_of(row)
    if not vectors:
        return [EncodedMedia(np.zeros((0, 0), np.float32), prints, sha256) for sha256, prints in media]
    every = np.concatenate(vectors)
    return [
        EncodedMedia(every if not number else every[:0], prints, sha256)
        for number, (sha256, prints) in enumerate(media)
    ]


def publish_merge(folder: Path) -> OpenedVersion:
    """Rewrite each view as one part, without vectors of removed records."""
    with write_lock(folder):
        current = read_version(folder)
        parts = rewrite_parts(folder, current, _alive(current, [], []))
        version = current.manifest.version + 1
        after = current.manifest.model_copy(update={"version": version, "parts": tuple(parts)})
        return publish(folder, _with_change(after, "merge"))


def publish_measurement(folder: Path, models: Mapping[str, ModelMeasure] | None = None) -> OpenedVersion:
    """Measure the vote of the folder's cases again and publish it as a version; ``models`` are added to its models."""
    with write_lock(folder):
        manifest = read_version(folder).manifest
        after = manifest.model_copy(update={"version": manifest.version + 1})
        known = {**_models(folder), **(models or {})}
        return _publish_measured(folder, _with_change(after, "measure"), known)


def check_change(current: OpenedVersion, new: Sequence[InstructionRecord], gone: Sequence[str]) -> None:
    """Raise ``KnowledgeError`` if an id to remove is missing, an id to insert exists, or no record would be left."""
    store = current.store
    for record_id in gone:
        if store.row_of(record_id) is None:
            raise KnowledgeError(f"The knowledge base has no record {record_id!r}.")
    new_ids: set[str] = set()
    leaving = set(gone)
    for record in new:
        if record.id in new_ids or (record.id not in leaving and store.row_of(record.id) is not None):
            raise KnowledgeError(
                f"The record id {record.id!r} occurs twice; every record of a knowledge base needs its own."
            )
        new_ids.add(record.id)
    if not new and len(gone) == len(store):
        raise KnowledgeError("These are all records of the knowledge base; delete its folder instead.")


def _write_parts(folder: Path, rows: Sequence[int], new: Sequence[IncomingRecord]) -> list[IndexPart]:
    vectors = np.stack([entry.vector for entry in new])
    parts = [write_part(folder, "text", np.array(rows, np.int64), [vectors], vectors.shape[1])]
    images = [
        (row, clip.vectors)
        for row, entry in zip(rows, new, strict=True)
        for clip in entry.media
        if len(clip.vectors)
    ]
    if images:
        image_rows = np.concatenate([np.full(len(of_clip), row, np.int64) for row, of_clip in images])
        image_vectors = np.concatenate([of_clip for _, of_clip in images])
        parts.append(write_part(folder, "image", image_rows, [image_vectors], image_vectors.shape[1]))
    return parts


def _alive(current: OpenedVersion, removed: Sequence[int], added: Sequence[int]) -> np.ndarray:
    """Return bool by row: the records of the next version. Vectors of removed records may have the highest rows."""
    rows = current.store.rows()
    held = (int(part.rows[-1]) for parts in current.parts.values() for part in parts)
    alive = np.zeros(max([int(rows[-1]), *held, *added]) + 1, bool)
    alive[rows] = True
    alive[list(removed)] = False
    alive[list(added)] = True
    return alive


def _publish_measured(
    folder: Path, manifest: Manifest, models: Mapping[str, ModelMeasure] | None = None
) -> OpenedVersion:
    """Measure the vote of a version whose files exist, and publish it.

    ``models``: the measured worth of models with its cases; by default that of the version before.
    """
    return publish(
        folder, manifest.model_copy(update={"measures": _write_measures(folder, manifest, models)})
    )


def _models(folder: Path) -> Mapping[str, ModelMeasure]:
    """Return the models of the version before; empty if it was not measured."""
    try:
        before = read_version(folder)
    except KnowledgeError:
        return {}
    mark = before.manifest.image_encoder
    if mark is None or before.manifest.measures is None:
        return {}
    measure = Electorate(folder, before, Searcher(before), mark).measure
    return measure.models if measure else {}


def _write_measures(
    folder: Path, manifest: Manifest, models: Mapping[str, ModelMeasure] | None
) -> DataFile | None:
    if manifest.image_encoder is None or not manifest.parts_of("image"):
        return None
    version = open_version(folder, manifest.model_copy(update={"measures": None}))
    electorate = Electorate(folder, version, Searcher(version), manifest.image_encoder)
    measure = electorate.measure_now()
    if measure is None:
        return None
    measure = measure.model_copy(update={"models": models if models is not None else _models(folder)})
    path = temporary_path(folder, "measures")
    path.write_text(measure.model_dump_json(), encoding="utf-8")
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


def _version_number(folder: Path) -> int:
    """Return the version of the knowledge base that is replaced; 0 if there is none that can be read."""
    try:
        return read_manifest(folder).version
    except KnowledgeError:
        return 0
