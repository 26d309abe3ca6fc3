"""The audit: what a test set shares with a knowledge base. A case that is in both is remembered, not recognised."""

from __future__ import annotations

import re
import unicodedata
from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from functools import cache
from pathlib import Path
from typing import Literal

import numpy as np
from pydantic import BaseModel

from videopath.core.errors import InputError
from videopath.knowledge.base import KnowledgeBase
from videopath.knowledge.index.fingerprint import turns_of
from videopath.knowledge.index.viewer import Viewer
from videopath.knowledge.query import Query
from videopath.knowledge.records.record import InstructionRecord, OnLeftOut, read_records
from videopath.knowledge.records.sources import same_source, source_path
from videopath.knowledge.storage.building import encode_clip, encode_clips
from videopath.knowledge.storage.manifest import MANIFEST

NEAR = 0.95
"""From this cosine two descriptions count as nearly the same."""

_BLOCK = 1 << 24  # similarities that are in memory at once (64 MiB)


class Overlap(BaseModel, frozen=True):
    """What one record of the test set shares with records of the knowledge base, for one reason."""

    reason: Literal["id", "source", "patient", "group", "file", "near-identical frame", "text", "near text"]
    """The same id; the same source, patient or group by name; the same media file; nearly the same picture; the same
    description; or nearly the same description."""
    test: str
    """The id of the record in the test set."""
    base: str
    """The id of the record in the knowledge base: the most similar for "near text", the first for other reasons."""
    records: int
    """How many records of the knowledge base share this."""
    shared: str
    """The shared id, source, patient, group, file hash or description, or how many bits of the fingerprints differ."""
    similarity: float | None = None
    """The cosine of the two descriptions, for "near text"."""


def audit(
    test: Iterable[InstructionRecord],
    base: KnowledgeBase,
    near: float = NEAR,
    viewer: Viewer | None = None,
) -> list[Overlap]:
    """Return all overlaps of a test set, or of another knowledge base, with a knowledge base.

    Args:
        test: The records of the test set.
        base: The knowledge base.
        near: The cosine by the base's embedder, in (0, 1], from which different descriptions are listed. Equal texts are
            found in Unicode's NFKC form, without case, punctuation and spacing. Records without a description have no
            text here.
        viewer: Encodes the test set's clips, so that files and pictures are compared as well; pictures are compared in
            all eight turns. Without a viewer only the written fields are compared.

    Returns:
        The overlaps, in the order of the test set.

    Raises:
        InputError: ``near`` is outside (0, 1].
        KnowledgeError: A clip cannot be read.
    """
    if not 0 < near <= 1:
        raise InputError(f"The cosine {near} cannot be used; give one above 0 and up to 1.")
    tested, known = list(test), list(base)
    if not tested:
        return []
    overlaps = [*_same_ids(tested, known), *_same_sources(tested, known)]
    overlaps += [*_same_names(tested, known, "patient"), *_same_names(tested, known, "group")]
    if viewer is not None:
        overlaps += _same_pictures(tested, base, viewer)
    overlaps += [*_same_texts(tested, known), *_near_texts(tested, known, base, near)]
    position = {record.id: number for number, record in enumerate(tested)}
    return sorted(overlaps, key=lambda overlap: position[overlap.test])  # stable: reasons keep their order


def records_of(path: str | Path, left_out: OnLeftOut | None = None) -> Iterable[InstructionRecord]:
    """Read the records of a knowledge base's folder, or of any file that :func:`read_records` reads."""
    path = Path(path).expanduser()
    return KnowledgeBase.open(path) if (path / MANIFEST).is_file() else read_records(path, left_out=left_out)


def _same_ids(tested: Sequence[InstructionRecord], known: Sequence[InstructionRecord]) -> Iterator[Overlap]:
    ids = {record.id for record in known}
    for record in tested:
        if record.id in ids:
            yield Overlap(reason="id", test=record.id, base=record.id, records=1, shared=record.id)


def _same_sources(
    tested: Sequence[InstructionRecord], known: Sequence[InstructionRecord]
) -> Iterator[Overlap]:
    by_stem: dict[str, dict[str, list[int]]] = defaultdict(lambda: defaultdict(list))
    for row, record in enumerate(known):
        by_stem[_stem(record.source)][record.source].append(row)

    @cache  # many records have the same source
    def rows_of(source: str) -> list[int]:
        others = by_stem.get(_stem(source), {})
        return sorted(row for other, rows in others.items() if same_source(source, other) for row in rows)

    for record in tested:
        if rows := rows_of(record.source):
            first = known[rows[0]]
            yield Overlap(
                reason="source", test=record.id, base=first.id, records=len(rows), shared=first.source
            )


def _same_names(
    tested: Sequence[InstructionRecord],
    known: Sequence[InstructionRecord],
    field: Literal["patient", "group"],
) -> Iterator[Overlap]:
    by_name: dict[str, list[InstructionRecord]] = defaultdict(list)
    for record in known:
        by_name[(getattr(record, field) or "").lower()].append(record)
    for record in tested:
        name = (getattr(record, field) or "").lower()
        if name and name in by_name:
            first, count = by_name[name][0], len(by_name[name])
            shared = getattr(first, field)
            yield Overlap(reason=field, test=record.id, base=first.id, records=count, shared=shared)


def _same_pictures(
    tested: Sequence[InstructionRecord], base: KnowledgeBase, viewer: Viewer
) -> Iterator[Overlap]:
    """Yield media files that are in both, and records that share a nearly identical frame."""
    for record in tested:
        clips = encode_clips(record, viewer, encode_clip)
        if not clips:
            continue
        prints = turns_of(np.concatenate([clip.fingerprints for clip in clips]))
        files = tuple(clip.sha256 for clip in clips)
        excluded = base.excluded(Query(record.text, exclude=files, fingerprints=prints))
        for reason in ("file", "near-identical frame"):
            of_reason = [e for e in excluded if e.reason == reason]
            if of_reason:
                first, count = of_reason[0], len(of_reason)
                yield Overlap(
                    reason=reason, test=record.id, base=first.id, records=count, shared=first.detail
                )


def _stem(source: str) -> str:
    return (source_path(source) or ("",))[-1]


def _same_texts(tested: Sequence[InstructionRecord], known: Sequence[InstructionRecord]) -> Iterator[Overlap]:
    rows: dict[str, list[int]] = defaultdict(list)
    for row, record in enumerate(known):
        rows[_normalised_text(record.description)].append(row)
    for record in tested:
        text = _normalised_text(record.description)
        if text and text in rows:
            first = known[rows[text][0]]
            yield Overlap(
                reason="text",
                test=record.id,
                base=first.id,
                records=len(rows[text]),
                shared=first.description,
            )


def _normalised_text(text: str) -> str:
    """Return the words in lower case: "Crowded  GLANDS." → "crowded glands"."""
    return " ".join(re.findall(r"\w+", unicodedata.normalize("NFKC", text).casefold()))


def _near_texts(
    tested: Sequence[InstructionRecord], known: Sequence[InstructionRecord], base: KnowledgeBase, near: float
) -> Iterator[Overlap]:
    numbers: dict[str, int] = {"": -1}  # text → number; -1 for the empty text
    keys = [
        np.array(
            [numbers.setdefault(_normalised_text(record.description), len(numbers)) for record in records]
        )
        for records in (tested, known)
    ]
    has_text = keys[1] >= 0
    vectors = base.vectors()  # [known, dimension]
    rows = np.flatnonzero(keys[0] >= 0)
    step = max(1, _BLOCK // len(known))
    for start in range(0, len(rows), step):
        block = rows[start : start + step]
        cosines = base.embedded([tested[row].description for row in block]) @ vectors.T  # [block, known]
        is_near = (cosines >= near) & has_text & (keys[0][block, None] != keys[1])
        for index in np.flatnonzero(is_near.any(axis=1)):
            best = int(np.where(is_near[index], cosines[index], -2).argmax())
            yield Overlap(
                reason="near text",
                test=tested[block[index]].id,
                base=known[best].id,
                records=int(is_near[index].sum()),
                shared=known[best].description,
                similarity=min(1.0, float(cosines[index, best])),
            )
