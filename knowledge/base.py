"""The knowledge base: instruction records that are found by what they say and by what they show."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
from pydantic import BaseModel

from videopath.core.choices import IndexChoice, View
from videopath.core.errors import InputError, KnowledgeError
from videopath.core.once import once_property
from videopath.core.settings import load_settings
from videopath.core.text import refuse_unwritable
from videopath.knowledge.index.embedder import DEFAULT_EMBEDDER, Embedder
from videopath.knowledge.index.encoders import Progress, TextEncoder
from videopath.knowledge.index.viewer import Viewer
from videopath.knowledge.query import Excluded, Hit, Query, SearchResult, ViewWeights
from videopath.knowledge.records.record import InstructionRecord, OnLeftOut
from videopath.knowledge.search import Searcher
from videopath.knowledge.storage import building
from videopath.knowledge.storage.changing import (
    Action,
    IncomingRecord,
    first_version,
    measured,
    merged,
    next_version,
    refuse_impossible,
)
from videopath.knowledge.storage.manifest import EncoderMark, VersionChange, read_manifest
from videopath.knowledge.storage.versions import OpenedVersion, read_version, verify_folder
from videopath.knowledge.voting.electorate import Electorate, ReferenceElectorate, reference_electorate
from videopath.knowledge.voting.measure import Measure, ModelMeasure
from videopath.knowledge.voting.reference import STARTER_ENCODER, reference_of
from videopath.knowledge.voting.vote import Vote

__all__ = ["EncoderMark", "Hit", "KnowledgeBase", "KnowledgeInfo", "VersionChange"]


class KnowledgeInfo(BaseModel, frozen=True):
    """What a knowledge base holds, and the hashes that a report states."""

    folder: str
    version: int
    records: int
    sources: int
    diagnosed: int
    """Records that name a diagnosis."""
    diagnoses: dict[str, int]
    sites: dict[str, int]
    licences: dict[str, int]
    views: list[View]
    embedder: EncoderMark
    image_encoder: EncoderMark | None
    index: dict[str, list[str]]
    """View → how each of its parts is searched: "exact, 315 vectors"."""
    data_sha256: str
    records_sha256: str
    index_sha256: str


class _Version:
    """One version of a knowledge base, opened: everything that is asked of it agrees with it."""

    def __init__(self, folder: Path, generation: OpenedVersion) -> None:
        self.folder = folder
        self.generation = generation
        self.searcher = Searcher(generation)

    @once_property
    def electorate(self) -> Electorate | ReferenceElectorate | None:
        """Who votes; the starter, whose records have no pictures, has the reference tissue for it."""
        mark = self.generation.manifest.image_encoder
        if mark is not None and self.generation.parts.get("image"):
            return Electorate(self.folder, self.generation, self.searcher, mark)
        tissue = reference_of(STARTER_ENCODER) if _is_starter(self.folder) else None
        return reference_electorate(tissue.mark.sha256) if tissue else None

    @once_property
    def info(self) -> KnowledgeInfo:
        """Counts, encoders and hashes."""
        manifest, store = self.generation.manifest, self.generation.store
        diagnoses = store.counts("diagnosis")
        diagnoses.pop("", None)
        index: dict[str, list[str]] = {}
        for part in manifest.parts:
            index.setdefault(part.view, []).append(f"{part.kind}, {part.vectors:,} vectors")
        return KnowledgeInfo(
            folder=str(self.folder),
            version=manifest.version,
            records=manifest.count,
            sources=len(store.counts("source")),
            diagnosed=sum(diagnoses.values()),
            diagnoses=diagnoses,
            sites={site: count for site, count in store.counts("site").items() if site},
            licences=store.counts("licence"),
            views=["text", "image", "lexical"] if manifest.image_encoder else ["text", "lexical"],
            embedder=manifest.embedder,
            image_encoder=manifest.image_encoder,
            index=index,
            data_sha256=manifest.data_sha256,
            records_sha256=manifest.records.sha256,
            index_sha256=manifest.index_sha256,
        )


class KnowledgeBase:
    """Records in SQLite with FAISS indexes over their descriptions and, if built with a viewer, their clips.

    Make one with :meth:`build`, :meth:`open` or :meth:`starter`. Searching is safe from several threads and
    processes; one process writes at a time, the others see the version that they opened. The embedder is loaded by
    the first search or addition.
    """

    def __init__(
        self, folder: Path, generation: OpenedVersion, embedder: TextEncoder, *, fixed: bool = False
    ) -> None:
        self.folder = folder
        self._version = _Version(folder, generation)
        self._embedder = embedder
        self._fixed = fixed

    @classmethod
    def build(
        cls,
        folder: str | Path,
        records: Iterable[InstructionRecord],
        embedder: TextEncoder | str | None = None,
        progress: Progress | None = None,
        *,
        viewer: Viewer | None = None,
        index: IndexChoice = "auto",
        left_out: OnLeftOut | None = None,
    ) -> KnowledgeBase:
        """Make a knowledge base, in place of the one in the folder if there is one.

        ``embedder``: a model's name or folder, an encoder of your own, or ``None`` for all-MiniLM-L6-v2. ``viewer``
        sees the records' clips; without one there is no image view. ``index``: how vectors are searched, by itself
        chosen by their number. ``left_out`` is told of each record whose clip cannot be read, instead of stopping.
        ``progress`` is called with (texts and clips done, in all). Records are read one after the other and memory
        is bounded; a build that is killed goes on when the same is built again.
        Raises ``KnowledgeError``, and leaves the folder's knowledge base as it was, for damaged records, an id that
        occurs twice, no records at all, or a folder that cannot be written.
        """
        folder = Path(folder).expanduser()
        refuse_unwritable(folder.absolute(), "the knowledge base", KnowledgeError)
        encoder = _encoder(embedder or DEFAULT_EMBEDDER)
        with building.workshop(folder) as shop:
            filled = building.fill(shop, records, encoder, viewer, left_out, progress)
            generation = first_version(folder, shop, filled, encoder, viewer, index)
            shop.done = True
        return cls(folder, generation, encoder)

    @classmethod
    def open(cls, folder: str | Path, embedder: TextEncoder | str | None = None) -> KnowledgeBase:
        """Open a knowledge base; nothing is written, so the folder may be read-only.

        Without ``embedder`` the one that built it is looked for on this machine, never on the network. Files up to
        64 MiB are checked against their hashes, larger ones by size (:meth:`verify` reads all). Raises
        ``KnowledgeError`` when there is none, it is damaged, or its embedder is another one.
        """
        folder = Path(folder).expanduser()
        refuse_unwritable(folder.absolute(), "the knowledge base", KnowledgeError)
        built_by = read_manifest(folder).embedder
        encoder = _encoder(embedder) if embedder else _embedder_of(built_by.name)
        if encoder.sha256 != built_by.sha256:
            raise KnowledgeError(
                f"The index in {folder} was built with the embedder {built_by.name} ({built_by.sha256[:12]}…), not with "
                f"{encoder.name} ({encoder.sha256[:12]}…); open it with that one or build it again."
            )
        return cls(folder, read_version(folder), encoder, fixed=_is_starter(folder))

    @classmethod
    def starter(cls) -> KnowledgeBase:
        """The knowledge base that ships with VideoPath: its own descriptions of more than 80 entities. Not changeable."""
        from videopath.knowledge.bundled import STARTER_FOLDER

        return cls.open(STARTER_FOLDER)

    @property
    def _generation(self) -> OpenedVersion:
        return self._version.generation

    @property
    def fixed(self) -> bool:
        """Whether it is the bundled starter, which is not changed."""
        return self._fixed

    @property
    def image_encoder(self) -> EncoderMark | None:
        """What made the vectors of the image view; none where there is no such view."""
        return self._generation.manifest.image_encoder

    def __len__(self) -> int:
        return self._generation.manifest.count

    def __iter__(self) -> Iterator[InstructionRecord]:
        return iter(self._generation.store)

    def get(self, record_id: str) -> InstructionRecord:
        """The record of an id; ``KnowledgeError`` when there is none."""
        refuse_unwritable(record_id, "the record", KnowledgeError)
        record = self._generation.store.get(record_id)
        if record is None:
            raise KnowledgeError(f"The knowledge base {self.folder} has no record {record_id!r}.")
        return record

    def add(
        self,
        records: Iterable[InstructionRecord],
        progress: Progress | None = None,
        *,
        viewer: Viewer | None = None,
        note: str = "",
    ) -> int:
        """Add records and say how many; all of them or, on an error or a kill, none.

        Records with clips are seen by ``viewer`` where the knowledge base has an image view; without a viewer they
        are found by their words alone. Raises ``KnowledgeError`` for an id that is there already, a clip that cannot
        be read, a viewer of another encoder, and for the bundled starter.
        """
        new = list(records)
        return self._changed("add", new, [], progress, viewer, note)

    def update(
        self,
        records: Iterable[InstructionRecord],
        progress: Progress | None = None,
        *,
        viewer: Viewer | None = None,
        note: str = "",
    ) -> int:
        """Put records in the place of those with the same ids and say how many; all of them or none.

        They stand last from then on. Raises as :meth:`add`, and for an id that is not there.
        """
        new = list(records)
        return self._changed("update", new, [record.id for record in new], progress, viewer, note)

    def remove(self, ids: Iterable[str], *, note: str = "") -> int:
        """Remove the records of these ids and say how many; all of them or, on an error or a kill, none.

        Raises ``KnowledgeError`` for an id that is not there, for the last records of all, and for the bundled starter.
        """
        return self._changed("remove", [], list(dict.fromkeys(ids)), None, None, note)

    def merge(self) -> None:
        """Write every view anew in one part, without the vectors of removed records. Searching gives the same."""
        self._refuse_fixed()
        self._use(merged(self.folder))

    def remeasure(self, models: Mapping[str, ModelMeasure] | None = None) -> Measure | None:
        """Measure the vote of the cases anew, as a version of its own; a build and every change do so by themselves.

        ``models``: SHA-256 of weights → what a model was measured to be worth with these cases. Raises ``KnowledgeError``
        for the bundled starter.
        """
        self._refuse_fixed()
        self._use(measured(self.folder, models))
        return self.measure

    def find(self, query: Query, k: int = 5, weights: ViewWeights | None = None) -> SearchResult:
        """The ``k`` records that are most similar to a query, best first, and what was left out of the search.

        Raises ``InputError`` for a site that is not known, ``k`` below 1, or an image vector of another length.
        """
        if k < 1:
            raise InputError(f"{k} results were asked for; at least 1 is possible.")
        weights = weights or ViewWeights()
        version = self._version
        mark = version.generation.manifest.image_encoder
        if query.image is not None and mark and np.shape(query.image)[-1] != mark.dimension:
            raise InputError(
                f"The image vector has {np.shape(query.image)[-1]} numbers; those of {mark.name} have {mark.dimension}."
            )
        asked = query.text.strip()
        vector = self.embedded([asked])[0] if asked and weights.text else None
        return version.searcher.find(query, vector, k, weights)

    @property
    def voting_encoder(self) -> EncoderMark | None:
        """What the picture of a query has to be encoded by to be voted on; none where no case has a picture."""
        electorate = self._version.electorate
        return electorate.mark if electorate else None

    @property
    def measure(self) -> Measure | None:
        """How often the vote of its cases is right; none where that cannot be told."""
        electorate = self._version.electorate
        return electorate.measure if electorate else None

    def vote(self, query: Query) -> Vote | None:
        """What the cases nearest to the query's picture say, one vote a patient, group or source; see :class:`Vote`.

        What the query excludes does not vote, nor do records without a diagnosis. None where nobody votes: there are no
        pictures, none at this site, or it was never measured. Raises ``InputError`` for a query without an image, or
        with one of another length.
        """
        electorate = self._version.electorate
        if electorate is None:
            return None
        if query.image is None or np.shape(query.image)[-1] != electorate.mark.dimension:
            raise InputError(
                f"A vote needs a picture, encoded by {electorate.mark.name} to {electorate.mark.dimension} numbers."
            )
        return electorate.vote(replace(query, diagnosed=True))

    def excluded(self, query: Query) -> list[Excluded]:
        """The records that a query leaves out, without a search: what :meth:`find` tells beside its hits."""
        return self._version.searcher.excluded(query)

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

        ``site``: only of this site (any known name of it; ``InputError`` for others). ``exclude_source``: files,
        videos, slides, patients or groups whose records are never returned. ``diagnosed``: only records that name a
        diagnosis.
        """
        named = [exclude_source] if isinstance(exclude_source, str | Path) else exclude_source or ()
        excluded = tuple(str(source) for source in named)
        return self.find(Query(query, site=site, diagnosed=diagnosed, exclude=excluded), k).hits

    def vectors(self) -> np.ndarray:
        """The vectors of the records in their order, float32 [records, dimension], each of length 1."""
        generation = self._generation
        rows = generation.store.rows()
        found = np.zeros((len(rows), self._embedder.dimension), np.float32)
        for part in generation.parts["text"]:
            places = np.searchsorted(rows, part.rows)
            known = np.flatnonzero(rows[np.minimum(places, len(rows) - 1)] == part.rows)
            found[places[known]] = part.all()[known]
        return found

    def embedded(self, texts: Sequence[str]) -> np.ndarray:
        """Texts as this knowledge base's embedder sees them, float32 [texts, dimension], each of length 1."""
        return building.encoded(self._embedder, texts)

    def verify(self) -> list[str]:
        """Everything that is wrong with the files on disk, a sentence each; empty when they are whole."""
        return verify_folder(self.folder)

    def changes(self) -> list[VersionChange]:
        """What each version changed, the first one first."""
        return list(self._generation.manifest.changes)

    def info(self) -> KnowledgeInfo:
        """Counts by site, diagnosis and licence, the encoders, and the hashes."""
        return self._version.info

    def _changed(
        self,
        action: Action,
        new: list[InstructionRecord],
        gone: list[str],
        progress: Progress | None,
        viewer: Viewer | None,
        note: str,
    ) -> int:
        self._refuse_fixed()
        if not new and not gone:
            return 0
        refuse_impossible(self._generation, new, gone)
        self._refuse_other_viewer(viewer)
        seen = [building.looks_at(record, viewer, building.checked_look) for record in new]
        vectors = building.encoded(self._embedder, [record.text for record in new], progress)
        self._use(next_version(self.folder, action, IncomingRecord.joined(new, vectors, seen), gone, note))
        return len(new) or len(gone)

    def _use(self, generation: OpenedVersion) -> None:
        """From now on this version is searched; a search that has begun ends in the one before."""
        self._version = _Version(self.folder, generation)

    def _refuse_other_viewer(self, viewer: Viewer | None) -> None:
        if viewer is None:
            return
        mark, given = self.image_encoder, EncoderMark.of(viewer)
        if mark is not None and mark.sha256 == given.sha256:
            if mark.views == given.views:
                return
            raise KnowledgeError(
                f"The pictures in {self.folder} were shown to {mark.name} as {mark.views!r}, not as {given.views!r}; add "
                "records in the same way, or build the knowledge base again."
            )
        raise KnowledgeError(
            f"The pictures in {self.folder} were encoded by {mark.name if mark else 'nothing'}, not by {viewer.name}; "
            "add records with that encoder, or build the knowledge base again."
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


def _embedder_of(name: str) -> Embedder:
    """The embedder that a manifest names. A manifest may be a stranger's: no folder is loaded because it says so."""
    folder = Path(name).expanduser()
    if name not in ("", DEFAULT_EMBEDDER) and folder.is_dir():
        allowed = load_settings().embedder
        if allowed is None or allowed.expanduser().resolve() != folder.resolve():
            raise KnowledgeError(
                f"This knowledge base was built with the embedder in the folder {name}, which is not loaded because a "
                f"knowledge base says so: if you trust it, set VIDEOPATH_EMBEDDER={name}, or open with embedder=."
            )
    return Embedder(name, download=False)


def _encoder(embedder: TextEncoder | str) -> TextEncoder:
    return Embedder(embedder) if isinstance(embedder, str) else embedder
