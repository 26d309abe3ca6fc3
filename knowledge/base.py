"""The knowledge base: instruction records that are found by the meaning of their descriptions."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from pathlib import Path

import faiss
import numpy as np
from pydantic import BaseModel

from videopath.core.errors import InputError, KnowledgeError
from videopath.core.sites import canonical_site
from videopath.knowledge.embedder import DEFAULT_EMBEDDER, Embedder, Encoder, Progress, unit_rows
from videopath.knowledge.generation import (
    EmbedderMark,
    Generation,
    read_generation,
    read_manifest,
    vectors_of,
    verify_folder,
    write_generation,
    writing,
)
from videopath.knowledge.records import InstructionRecord


class Hit(BaseModel, frozen=True):
    """A record that was found."""

    record: InstructionRecord
    score: float
    """Cosine of query and record, in [-1, 1]."""
    rank: int
    """1 for the most similar."""


class KnowledgeInfo(BaseModel, frozen=True):
    """What a knowledge base holds, and the hashes that a report states."""

    folder: str
    records: int
    sources: int
    diagnosed: int
    """Records that name a diagnosis."""
    diagnoses: dict[str, int]
    sites: dict[str, int]
    licences: dict[str, int]
    embedder: EmbedderMark
    data_sha256: str
    records_sha256: str
    index_sha256: str


class KnowledgeBase:
    """Records in SQLite with an exact inner-product FAISS index over their descriptions.

    Make one with :meth:`build`, :meth:`open` or :meth:`starter`. Searching is safe from several threads and
    processes; one process writes at a time. The embedder is loaded by the first search or addition.
    """

    def __init__(
        self, folder: Path, generation: Generation, embedder: Encoder, *, fixed: bool = False
    ) -> None:
        self.folder = folder
        self._generation = generation
        self._embedder = embedder
        self._fixed = fixed

    @classmethod
    def build(
        cls,
        folder: str | Path,
        records: Iterable[InstructionRecord],
        embedder: Encoder | str | None = None,
        progress: Progress | None = None,
    ) -> KnowledgeBase:
        """Make a knowledge base, in place of the one in the folder if there is one.

        ``embedder``: a model's name or folder, an encoder of your own, or ``None`` for all-MiniLM-L6-v2.
        ``progress`` is called with (texts done, texts in all). Raises ``KnowledgeError``, and leaves the folder as it
        was, for damaged records, an id that occurs twice, no records at all, or a folder that cannot be written.
        """
        folder = Path(folder).expanduser()
        encoder = _encoder(embedder or DEFAULT_EMBEDDER)
        found = list(records)
        if not found:
            raise KnowledgeError(
                "There are no records to build a knowledge base from; at least one is needed."
            )
        _refuse_repeated(found)
        vectors = _vectors(encoder, found, progress)
        with writing(folder):
            return cls(folder, write_generation(folder, found, vectors, encoder), encoder)

    @classmethod
    def open(cls, folder: str | Path, embedder: Encoder | str | None = None) -> KnowledgeBase:
        """Open a knowledge base; nothing is written, so the folder may be read-only.

        Without ``embedder`` the one that built it is looked for on this machine, never on the network. Raises
        ``KnowledgeError`` when there is none, a byte of it is damaged, or its embedder is another one.
        """
        folder = Path(folder).expanduser()
        built_by = read_manifest(folder).embedder
        encoder = _encoder(embedder) if embedder else Embedder(built_by.name, download=False)
        if encoder.sha256 != built_by.sha256:
            raise KnowledgeError(
                f"The index in {folder} was built with the embedder {built_by.name} ({built_by.sha256[:12]}…), not with "
                f"{encoder.name} ({encoder.sha256[:12]}…); open it with that one or build it again."
            )
        return cls(folder, read_generation(folder), encoder, fixed=_is_starter(folder))

    @classmethod
    def starter(cls) -> KnowledgeBase:
        """The knowledge base that ships with VideoPath: its own descriptions of more than 80 entities. Not changeable."""
        from videopath.knowledge.bundled import STARTER_FOLDER

        return cls.open(STARTER_FOLDER)

    @property
    def fixed(self) -> bool:
        """Whether it is the bundled starter, which is not changed."""
        return self._fixed

    def __len__(self) -> int:
        return self._generation.manifest.count

    def __iter__(self) -> Iterator[InstructionRecord]:
        return iter(self._generation.store)

    def get(self, record_id: str) -> InstructionRecord:
        """The record of an id; ``KnowledgeError`` when there is none."""
        record = self._generation.store.get(record_id)
        if record is None:
            raise KnowledgeError(f"The knowledge base {self.folder} has no record {record_id!r}.")
        return record

    def add(self, records: Iterable[InstructionRecord], progress: Progress | None = None) -> int:
        """Add records and say how many; all of them or, on an error or a kill, none.

        Raises ``KnowledgeError`` for an id that is there already and for the bundled starter.
        """
        self._refuse_fixed()
        new = list(records)
        if not new:
            return 0
        _refuse_repeated([*self, *new])
        added = _vectors(self._embedder, new, progress)
        with writing(self.folder):
            current = self.open(
                self.folder, self._embedder
            )._generation  # another process may have added, too
            everything = [*current.store, *new]
            _refuse_repeated(everything)
            vectors = np.vstack([vectors_of(current.index), added])
            self._generation = write_generation(self.folder, everything, vectors, self._embedder)
        return len(new)

    def remove(self, ids: Iterable[str]) -> int:
        """Remove the records of these ids and say how many; all of them or, on an error or a kill, none.

        Raises ``KnowledgeError`` for an id that is not there, for the last records of all, and for the bundled starter.
        """
        self._refuse_fixed()
        wanted = set(ids)
        if not wanted:
            return 0
        with writing(self.folder):
            current = self.open(self.folder, self._embedder)._generation
            records = list(current.store)
            if missing := sorted(wanted - {record.id for record in records}):
                raise KnowledgeError(f"The knowledge base {self.folder} has no record {missing[0]!r}.")
            rows = [row for row, record in enumerate(records) if record.id not in wanted]
            if not rows:
                raise KnowledgeError(
                    f"These are all records of the knowledge base {self.folder}; delete the folder instead."
                )
            left = [records[row] for row in rows]
            self._generation = write_generation(
                self.folder, left, vectors_of(current.index)[rows], self._embedder
            )
        return len(wanted)

    def search(
        self,
        query: str,
        k: int = 5,
        site: str | None = None,
        exclude_source: str | Path | Iterable[str | Path] | None = None,
        *,
        diagnosed: bool = False,
    ) -> list[Hit]:
        """The ``k`` records most similar to a text, best first; fewer only where there are fewer.

        ``site``: only of this site (any known name of it; ``InputError`` for others). ``exclude_source``: videos,
        slides or paths (one or several) whose own records are never returned. ``diagnosed``: only records that name a diagnosis.
        """
        if not query.strip():
            raise InputError("The search text is empty; give a description of the tissue.")
        if any("\ud800" <= character <= "\udfff" for character in query):
            raise InputError("The search text has a character that is not valid; leave it out.")
        if k < 1:
            raise InputError(f"{k} results were asked for; at least 1 is possible.")
        wanted = canonical_site(site) if site else None
        generation = self._generation
        parameters = None
        named = [exclude_source] if isinstance(exclude_source, str | Path) else exclude_source or ()
        excluded = [str(source) for source in named]
        if wanted or excluded or diagnosed:
            rows = generation.store.rows_where(wanted, excluded, diagnosed)
            if not rows:
                return []
            chosen = faiss.IDSelectorBatch(np.array(rows, np.int64))
            parameters = faiss.SearchParameters(sel=chosen)  # type: ignore[call-arg]
        vector = _checked_vectors(self._embedder, [query], None)
        scores, found = generation.index.search(vector, min(k, len(self)), params=parameters)
        best = sorted(
            (-float(score), int(row)) for score, row in zip(scores[0], found[0], strict=True) if row > 0
        )
        records = generation.store.at([row for _, row in best])
        return [
            Hit(record=record, score=max(-1.0, min(1.0, -score)), rank=rank)
            for rank, (record, (score, _)) in enumerate(zip(records, best, strict=True), start=1)
        ]

    def vectors(self) -> np.ndarray:
        """The vectors of the records in their order, float32 [records, dimension], each of length 1."""
        return vectors_of(self._generation.index)

    def embedded(self, texts: list[str]) -> np.ndarray:
        """Texts as this knowledge base's embedder sees them, float32 [texts, dimension], each of length 1."""
        return _checked_vectors(self._embedder, texts, None)

    def verify(self) -> list[str]:
        """Everything that is wrong with the files on disk, a sentence each; empty when they are whole."""
        return verify_folder(self.folder)

    def info(self) -> KnowledgeInfo:
        """Counts by site, diagnosis and licence, the embedder, and the hashes."""
        manifest, store = self._generation.manifest, self._generation.store
        diagnoses = store.counts("diagnosis")
        diagnoses.pop("", None)
        return KnowledgeInfo(
            folder=str(self.folder),
            records=manifest.count,
            sources=len(store.counts("source")),
            diagnosed=sum(diagnoses.values()),
            diagnoses=diagnoses,
            sites={site: count for site, count in store.counts("site").items() if site},
            licences=store.counts("licence"),
            embedder=manifest.embedder,
            data_sha256=manifest.data_sha256,
            records_sha256=manifest.records.sha256,
            index_sha256=manifest.index.sha256,
        )

    def _refuse_fixed(self) -> None:
        if self._fixed:
            raise KnowledgeError(
                "The starter knowledge base is part of VideoPath and is not changed; "
                "build one of your own with: videopath knowledge build."
            )


def _is_starter(folder: Path) -> bool:
    from videopath.knowledge.bundled import STARTER_FOLDER

    return folder.resolve() == STARTER_FOLDER.resolve()


def _encoder(embedder: Encoder | str) -> Encoder:
    return Embedder(embedder) if isinstance(embedder, str) else embedder


def _refuse_repeated(records: Iterable[InstructionRecord]) -> None:
    """Before the minutes of embedding, not after them."""
    seen: set[str] = set()
    for record in records:
        if record.id in seen:
            raise KnowledgeError(
                f"The record id {record.id!r} occurs twice; every record of a knowledge base needs its own."
            )
        seen.add(record.id)


def _vectors(encoder: Encoder, records: list[InstructionRecord], progress: Progress | None) -> np.ndarray:
    return _checked_vectors(encoder, [record.text for record in records], progress)


def _checked_vectors(encoder: Encoder, texts: list[str], progress: Progress | None) -> np.ndarray:
    vectors = unit_rows(encoder.encode(texts, progress))
    if vectors.shape != (len(texts), encoder.dimension) or not np.isfinite(vectors).all():
        raise KnowledgeError(
            f"The embedder {encoder.name!r} gave vectors {vectors.shape}, not finite ones of "
            f"({len(texts)}, {encoder.dimension})."
        )
    return vectors
