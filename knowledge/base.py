"""The knowledge base: instruction records that are found by text, picture and words."""

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
from videopath.knowledge.records.edits import RecordEdit, edited
from videopath.knowledge.records.record import InstructionRecord, OnLeftOut
from videopath.knowledge.search import Searcher
from videopath.knowledge.storage import building
from videopath.knowledge.storage.manifest import EncoderMark, VersionChange, read_manifest
from videopath.knowledge.storage.new_versions import (
    Action,
    IncomingRecord,
    check_change,
    publish_change,
    publish_edit,
    publish_first_version,
    publish_measurement,
    publish_merge,
)
from videopath.knowledge.storage.versions import OpenedVersion, read_version, verify_folder
from videopath.knowledge.voting.electorate import Electorate, ReferenceElectorate, reference_electorate
from videopath.knowledge.voting.measure import Measure, ModelMeasure
from videopath.knowledge.voting.reference import STARTER_ENCODER, reference_of
from videopath.knowledge.voting.vote import Vote

__all__ = ["EncoderMark", "Hit", "KnowledgeBase", "KnowledgeInfo", "VersionChange"]


class KnowledgeInfo(BaseModel, frozen=True):
    """Counts of a knowledge base, its encoders, and the hashes that a report states."""

    folder: str
    version: int
    records: int
    sources: int
    diagnosed: int
    """How many records name a diagnosis."""
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


class _SearchableVersion:
    """One opened version of a knowledge base, with what searching it needs."""

    def __init__(self, folder: Path, opened: OpenedVersion) -> None:
        self.folder = folder
        self.opened = opened
        self.searcher = Searcher(opened)

    @once_property
    def electorate(self) -> Electorate | ReferenceElectorate | None:
        """Who votes. The starter's records have no pictures, so the reference tissue votes for it."""
        mark = self.opened.manifest.image_encoder
        if mark is not None and self.opened.parts.get("image"):
            return Electorate(self.folder, self.opened, self.searcher, mark)
        tissue = reference_of(STARTER_ENCODER) if _is_starter(self.folder) else None
        return reference_electorate(tissue.mark.sha256) if tissue else None

    @once_property
    def info(self) -> KnowledgeInfo:
        """Counts, encoders and hashes."""
        manifest, store = self.opened.manifest, self.opened.store
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
    """Records in SQLite with FAISS indexes over their descriptions and, if built with a viewer, over their clips.

    Make one with :meth:`build`, :meth:`open` or :meth:`starter`. Several threads and processes may search at the same
    time. One process writes at a time, and the others keep the version that they opened. The first search or addition
    loads the embedder.
    """

    def __init__(
        self, folder: Path, opened: OpenedVersion, embedder: TextEncoder, *, fixed: bool = False
    ) -> None:
        self.folder = folder
        self._version = _SearchableVersion(folder, opened)
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
        """Build a knowledge base; it replaces the one in the folder.

        Records are read one after the other, so memory stays bounded. If a build is killed, the same build continues
        where it stopped.

        Args:
            folder: The folder of the knowledge base. It is made if it is missing.
            records: The records; their ids must be unique.
            embedder: The name or folder of a sentence-transformers model, a text encoder of your own, or ``None`` for
                all-MiniLM-L6-v2.
            progress: Called with (texts and clips done, total).
            viewer: Encodes the records' clips. Without a viewer there is no image view.
            index: How vectors are searched; "auto" chooses by their number.
            left_out: Called with the error of each record whose clip cannot be read. Without it, the build stops there.

        Raises:
            KnowledgeError: A record is damaged, an id occurs twice, there are no records, or the folder cannot be
                written. The folder's knowledge base stays as it was.
        """
        folder = Path(folder).expanduser()
        refuse_unwritable(folder.absolute(), "the knowledge base", KnowledgeError)
        encoder = _encoder(embedder or DEFAULT_EMBEDDER)
        with building.build_folder(folder) as build_folder:
            filled = building.fill(build_folder, records, encoder, viewer, left_out, progress)
            opened = publish_first_version(folder, build_folder, filled, encoder, viewer, index)
            build_folder.done = True
        return cls(folder, opened, encoder)

    @classmethod
    def open(cls, folder: str | Path, embedder: TextEncoder | str | None = None) -> KnowledgeBase:
        """Open a knowledge base. Nothing is written, so the folder may be read-only.

        Files up to 64 MiB are checked against their hashes, larger files only by size; :meth:`verify` reads all of them.

        Args:
            folder: The folder of the knowledge base.
            embedder: The embedder that built it. By default it is looked for on this machine, never on the network.

        Raises:
            KnowledgeError: There is no knowledge base, it is damaged, or its embedder is another one.
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
        """Open the bundled starter: the project's own descriptions of more than 80 entities. It is never changed."""
        from videopath.knowledge.bundled import STARTER_FOLDER

        return cls.open(STARTER_FOLDER)

    @property
    def _opened(self) -> OpenedVersion:
        return self._version.opened

    @property
    def fixed(self) -> bool:
        """Whether it is the bundled starter, which is never changed."""
        return self._fixed

    @property
    def image_encoder(self) -> EncoderMark | None:
        """The encoder of the image view, or ``None`` if there is no image view."""
        return self._opened.manifest.image_encoder

    def __len__(self) -> int:
        return self._opened.manifest.count

    def __iter__(self) -> Iterator[InstructionRecord]:
        return iter(self._opened.store)

    def get(self, record_id: str) -> InstructionRecord:
        """Return the record of an id. Raises ``KnowledgeError`` if there is none."""
        refuse_unwritable(record_id, "the record", KnowledgeError)
        record = self._opened.store.get(record_id)
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
        """Add records: all of them or, on an error or a kill, none.

        Args:
            records: The new records.
            progress: Called with (texts done, total).
            viewer: Encodes the records' clips for the image view. Without a viewer they are found only by their text
                and words.
            note: A note for the list of changes.

        Returns:
            How many records were added.

        Raises:
            KnowledgeError: An id exists already, a clip cannot be read, the viewer has another encoder, or this is the
                bundled starter.
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
        """Replace the records with the same ids: all of them or none. The new records move to the end.

        Arguments and errors are those of :meth:`add`; an id that does not exist raises ``KnowledgeError`` as well.

        Returns:
            How many records were replaced.
        """
        new = list(records)
        return self._changed("update", new, [record.id for record in new], progress, viewer, note)

    def remove(self, ids: Iterable[str], *, note: str = "") -> int:
        """Remove the records of these ids: all of them or, on an error or a kill, none.

        Returns:
            How many records were removed.

        Raises:
            KnowledgeError: An id does not exist, no record would be left, or this is the bundled starter.
        """
        return self._changed("remove", [], list(dict.fromkeys(ids)), None, None, note)

    def edit(
        self, before: InstructionRecord, changes: Mapping[str, str | None], *, by: str, note: str = ""
    ) -> InstructionRecord:
        """Change texts of a record. Its pictures stay, and the version before stays in its :meth:`history`.

        Args:
            before: The record as the person saw it.
            changes: Field → its new text; :data:`videopath.knowledge.records.edits.EDITABLE` names the fields.
            by: The name of the person.
            note: The reason of the edit.

        Returns:
            The edited record; it moves to the end. If nothing changed, ``before``, and no version is made.

        Raises:
            KnowledgeError: There is no name, a field cannot be edited, the record would not be valid, somebody else
                changed it meanwhile, or this is the bundled starter. The knowledge base stays as it was.
        """
        self._refuse_fixed()
        after, name = edited(before, changes), by.strip()
        if not name:
            raise KnowledgeError("An edit needs the name of the person who makes it.")
        refuse_unwritable(f"{name} {note}", "the edit", KnowledgeError)
        if after != before:
            vector = building.encode_texts(self._embedder, [after.text])[0]
            self._use(publish_edit(self.folder, before, after, vector, name, note.strip()))
        return after

    def history(self, record_id: str) -> list[RecordEdit]:
        """Return the edits of a record, the first one first. They are kept until the record is removed."""
        return self._opened.store.edits(record_id)

    def page(
        self, start: int, count: int, site: str | None = None, diagnosis: str | None = None
    ) -> tuple[int, list[InstructionRecord]]:
        """Return some records in their order, without reading the others.

        Args:
            start: How many records to skip.
            count: How many records to return at most.
            site: Only records of this site; "" for those without a site.
            diagnosis: Only records with this diagnosis; "" for those without one.

        Returns:
            How many records there are of that site and diagnosis, and those of the page.
        """
        return self._opened.store.page(start, count, site, diagnosis)

    def merge(self) -> None:
        """Rewrite each view as one part, without the vectors of removed records. Searches return the same."""
        self._refuse_fixed()
        self._use(publish_merge(self.folder))

    def remeasure(self, models: Mapping[str, ModelMeasure] | None = None) -> Measure | None:
        """Measure the vote of the cases again and store it as a new version. A build and every change also measure.

        Args:
            models: SHA-256 of a model's weights → the measured worth of that model together with these cases.

        Returns:
            The measure, or ``None`` if the vote cannot be measured.

        Raises:
            KnowledgeError: This is the bundled starter.
        """
        self._refuse_fixed()
        self._use(publish_measurement(self.folder, models))
        return self.measure

    def find(self, query: Query, k: int = 5, weights: ViewWeights | None = None) -> SearchResult:
        """Search by text, picture and words.

        Args:
            query: What to search for, and what to exclude.
            k: How many hits to return; at least 1.
            weights: How much each view counts; ``None`` uses the default weights.

        Returns:
            The hits, best first, and the records that were excluded.

        Raises:
            InputError: The site is not known, ``k`` is below 1, or the image vector has another length.
        """
        if k < 1:
            raise InputError(f"k is {k}; ask for at least 1 result.")
        weights = weights or ViewWeights()
        version = self._version
        mark = version.opened.manifest.image_encoder
        if query.image is not None and mark and np.shape(query.image)[-1] != mark.dimension:
            raise InputError(
                f"The image vector has {np.shape(query.image)[-1]} numbers; those of {mark.name} have {mark.dimension}."
            )
        text = query.text.strip()
        vector = self.embedded([text])[0] if text and weights.text else None
        return version.searcher.find(query, vector, k, weights)

    @property
    def voting_encoder(self) -> EncoderMark | None:
        """The encoder that a query's picture needs for a vote, or ``None`` if no case has a picture."""
        electorate = self._version.electorate
        return electorate.mark if electorate else None

    @property
    def measure(self) -> Measure | None:
        """How often the vote of the cases is right, or ``None`` if that cannot be measured."""
        electorate = self._version.electorate
        return electorate.measure if electorate else None

    def vote(self, query: Query) -> Vote | None:
        """Let the cases nearest to the query's picture vote, with one vote for each patient, group or source.

        Records that the query excludes and records without a diagnosis do not vote.

        Returns:
            The vote, or ``None`` if no case votes: no case of the site has a picture, or the vote was never measured.

        Raises:
            InputError: The query has no image, or an image vector of another length.
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
        """Return the records that a query excludes, without a search."""
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
        """Search by text.

        Args:
            query: A description of the tissue.
            k: How many hits to return; at least 1.
            site: Only records of this site, by any known name of it.
            exclude_source: Files, videos, slides, patients or groups whose records are never returned.
            diagnosed: Only records that name a diagnosis.

        Returns:
            Up to ``k`` hits, best first.

        Raises:
            InputError: The text is empty, the site is not known, or ``k`` is below 1.
        """
        named = [exclude_source] if isinstance(exclude_source, str | Path) else exclude_source or ()
        excluded = tuple(str(source) for source in named)
        return self.find(Query(query, site=site, diagnosed=diagnosed, exclude=excluded), k).hits

    def vectors(self) -> np.ndarray:
        """Return the text vectors of the records in their order: float32 [records, dimension], each of length 1."""
        opened = self._opened
        rows = opened.store.rows()
        vectors = np.zeros((len(rows), self._embedder.dimension), np.float32)
        for part in opened.parts["text"]:
            indices = np.searchsorted(rows, part.rows)
            known = np.flatnonzero(rows[np.minimum(indices, len(rows) - 1)] == part.rows)
            vectors[indices[known]] = part.all()[known]
        return vectors

    def embedded(self, texts: Sequence[str]) -> np.ndarray:
        """Encode texts by this knowledge base's embedder: float32 [texts, dimension], each of length 1."""
        return building.encode_texts(self._embedder, texts)

    def verify(self) -> list[str]:
        """Return one sentence for each problem of the files on disk; empty if they are whole."""
        return verify_folder(self.folder)

    def changes(self) -> list[VersionChange]:
        """Return what each version changed, the first version first."""
        return list(self._opened.manifest.changes)

    def info(self) -> KnowledgeInfo:
        """Return counts by site, diagnosis and licence, the encoders, and the hashes."""
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
        check_change(self._opened, new, gone)
        self._refuse_other_viewer(viewer)
        media = [building.encode_clips(record, viewer, building.encode_clip) for record in new]
        vectors = building.encode_texts(self._embedder, [record.text for record in new], progress)
        joined = IncomingRecord.joined(new, vectors, media)
        self._use(publish_change(self.folder, action, joined, gone, note, viewer))
        return len(new) or len(gone)

    def _use(self, opened: OpenedVersion) -> None:
        """Search this version from now on. A search that has begun ends in the version before."""
        self._version = _SearchableVersion(self.folder, opened)

    def _refuse_other_viewer(self, viewer: Viewer | None) -> None:
        if viewer is None:
            return
        mark, new = self.image_encoder, EncoderMark.of(viewer)
        if mark is not None and mark.sha256 == new.sha256:
            if mark.views == new.views:
                return
            raise KnowledgeError(
                f"The pictures in {self.folder} were shown to {mark.name} as {mark.views!r}, not as {new.views!r}; add "
                "records in the same way, or build the knowledge base again."
            )
        raise KnowledgeError(
            f"The pictures in {self.folder} were encoded by {mark.name if mark else 'nothing'}, not by {viewer.name}; "
            "add records with that encoder, or build the knowledge base again."
        )

    def _refuse_fixed(self) -> None:
        if self._fixed:
            raise KnowledgeError(
                "The starter knowledge base is part of VideoPath and cannot be changed; "
                "build one of your own with: videopath knowledge build."
            )


def _is_starter(folder: Path) -> bool:
    from videopath.knowledge.bundled import STARTER_FOLDER

    return folder.resolve() == STARTER_FOLDER.resolve()


def _embedder_of(name: str) -> Embedder:
    """Return the embedder that a manifest names. A stranger may have written it, so it never loads a folder by itself."""
    folder = Path(name).expanduser()
    if name not in ("", DEFAULT_EMBEDDER) and folder.is_dir():
        allowed = load_settings().embedder
        if allowed is None or allowed.expanduser().resolve() != folder.resolve():
            raise KnowledgeError(
                f"This knowledge base was built with the embedder in the folder {name}, which is not loaded only because "
                f"a knowledge base names it: if you trust it, set VIDEOPATH_EMBEDDER={name}, or open with embedder=."
            )
    return Embedder(name, download=False)


def _encoder(embedder: TextEncoder | str) -> TextEncoder:
    return Embedder(embedder) if isinstance(embedder, str) else embedder
