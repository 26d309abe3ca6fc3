"""The two sets on which retrieval is measured, with their knowledge bases and questions.

Tiles: every tile is a record like an expert's (the image, a description by its diagnosis and measurements). The questions are the clips
of held-out tiles with the model's own descriptions. WSI-Bench (Liang et al. 2024, arXiv:2412.02141): conversations about TCGA slides;
each description searches for the others.

Results that take minutes are stored in a folder and reused while data, model and embedder stay the same:

    tiles-<hash>/, wsi-<hash>/     knowledge bases
    clips-<hash>.jsonl             the model's descriptions and vectors of clips, one line each
"""

from __future__ import annotations

import hashlib
import tempfile
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from pydantic import BaseModel, ConfigDict, ValidationError

from videopath.core.choices import HeldOutSide
from videopath.core.errors import InputError, KnowledgeError
from videopath.core.files import sha256_file
from videopath.core.jsonl import JsonLines
from videopath.evaluation.retrieval.measurement import Member, Question, RetrievalSet
from videopath.evaluation.tiles.clips import FRAMES, write_clip
from videopath.knowledge.index.embedder import DEFAULT_SHA256
from videopath.knowledge.records.record import InstructionRecord, Media, read_records
from videopath.knowledge.records.sources import source_path
from videopath.media.clip import open_clip
from videopath.media.quality.attributes import measure
from videopath.model.prompts.questions import describe_question
from videopath.model.prompts.template import without_marks
from videopath.training.data import corpus
from videopath.training.data.corpus import Sample
from videopath.training.scratch import descriptions

if TYPE_CHECKING:
    from videopath.knowledge import KnowledgeBase, Viewer
    from videopath.knowledge.index.encoders import Progress
    from videopath.model.inference.engine import Engine

_DESCRIPTION_TOKENS = 256
_LAYOUT = 1  # format of stored results; another number makes them again


class SeenClip(BaseModel):
    """The model's description and vectors of one tile's clip, as stored."""

    model_config = ConfigDict(extra="forbid")

    tile: str
    """Path within the data folder."""
    description: str
    description_at_site: str
    """The description with the site given."""
    vectors: list[list[float]]
    """[clips, dimension], by the viewer."""
    fingerprints: str
    """Hexadecimal fingerprints of every frame in eight orientations."""


@dataclass(frozen=True)
class Tiles:
    """The tiles of a data folder, the model that looks at them, and the folder of stored results."""

    data: Path
    engine: Engine
    viewer_in: Callable[[Path], Viewer]
    """Viewer with the engine's tower, for the media in a folder."""
    folder: Path

    @cached_property
    def samples(self) -> list[Sample]:
        """Read all tiles.

        Raises:
            InputError: The folder has no manifest.
        """
        return corpus.read_tiles(self.data)

    @cached_property
    def key(self) -> str:
        """Return a key that changes with the data, the model, and the texts of the records."""
        manifest, viewer = sha256_file(self.data / "manifest.csv"), self.viewer_in(self.data)
        models = (self.engine.info.weights_sha256, viewer.sha256, DEFAULT_SHA256)
        return _key(manifest, *models, *descriptions.every_sentence())

    def base(self, progress: Progress | None = None) -> KnowledgeBase:
        """Return the knowledge base of all tiles; it is built if it is not stored yet."""
        records = (tile_record(sample, self.data) for sample in self.samples)
        return _kept_base(self.folder / f"tiles-{self.key}", records, progress, self.viewer_in(self.data))

    def seen(self, samples: Sequence[Sample]) -> Iterator[SeenClip]:
        """Describe each tile's clip. Results are stored one by one, so that a stopped run goes on."""
        file = JsonLines(self.folder / f"clips-{self.key}.jsonl")
        known = {clip.tile: clip for clip in _kept_clips(file)}
        for sample in samples:
            name = sample.path.relative_to(self.data).as_posix()
            if name not in known:
                known[name] = self._look(sample, name)
                file.append(known[name].model_dump_json())
            yield known[name]

    def _look(self, sample: Sample, name: str) -> SeenClip:
        from videopath.knowledge.index.fingerprint import turned_fingerprints

        with tempfile.TemporaryDirectory() as folder:
            clip = open_clip(write_clip(sample, Path(folder)), frames=FRAMES, writing="keep")
            look = self.viewer_in(Path(folder)).look(Media(path=sample.path.stem, start=None, end=None))
        with self.engine.open(clip) as session:
            texts = [
                without_marks(
                    session.generate(describe_question(site), max_new_tokens=_DESCRIPTION_TOKENS).text
                )
                for site in (None, sample.site)
            ]
        return SeenClip(
            tile=name,
            description=texts[0].strip(),
            description_at_site=texts[1].strip(),
            vectors=look.vectors.tolist(),
            fingerprints=turned_fingerprints(clip.frames).tobytes().hex(),
        )


class RememberingEmbedder:
    """The default embedder with a cache: questions are asked in many ways, and each text is embedded once."""

    def __init__(self) -> None:
        from videopath.knowledge.index.embedder import Embedder

        self._embedder = Embedder()
        self._known: dict[str, np.ndarray] = {}
        self.name, self.sha256, self.dimension = (
            self._embedder.name,
            self._embedder.sha256,
            self._embedder.dimension,
        )

    def encode(self, texts: Sequence[str], progress: Progress | None = None) -> np.ndarray:
        """Embed texts as float32 [len(texts), dimension], each of length 1."""
        if len(texts) != 1:
            return self._embedder.encode(texts, progress)
        if texts[0] not in self._known:
            self._known[texts[0]] = self._embedder.encode(texts)
        return self._known[texts[0]]


def tile_record(sample: Sample, data: Path) -> InstructionRecord:
    """Return a tile as an expert's record; the same tile gives the same record."""
    name = sample.path.relative_to(data).as_posix()
    rng = np.random.default_rng(int(hashlib.sha256(name.encode()).hexdigest()[:16], 16))
    measured = measure(corpus.load_images([sample])[0][None])
    return InstructionRecord(
        id=name,
        source=name,
        site=sample.site,
        question=describe_question(sample.site),
        description=descriptions.describe(sample.diagnosis, measured, rng),
        diagnosis=sample.diagnosis,
        media=(Media(path=name, start=None, end=None),),
        group=sample.group,
    )


def tiles_set(
    tiles: Tiles, base: KnowledgeBase, samples: Sequence[Sample], clips: Iterable[SeenClip]
) -> RetrievalSet:
    """Return questions about the clips of these tiles to the knowledge base of all tiles."""
    members = {
        sample.path.relative_to(tiles.data).as_posix(): Member(sample.diagnosis, sample.site, sample.group)
        for sample in tiles.samples
    }
    questions = [_question_of(sample, clip) for sample, clip in zip(samples, clips, strict=True)]
    return RetrievalSet("tiles", base, members, questions)


def wsi_base(text: Path, folder: Path, progress: Progress | None = None) -> KnowledgeBase:
    """Return the knowledge base of a file of conversations; it is built if it is not stored yet.

    Raises:
        InputError: There is no such file.
    """
    if not text.is_file():
        raise InputError(
            f"There are no WSI-Bench conversations at {text}. Name their file with --text, or use --set tiles."
        )
    key = _key(sha256_file(text), DEFAULT_SHA256)
    return _kept_base(folder / f"wsi-{key}", read_records(text), progress, None)


def wsi_set(base: KnowledgeBase, side: HeldOutSide, per_class: int, words: int = 1) -> RetrievalSet:
    """Return questions from every description of at least so many words. Its diagnosis is removed from the question.

    Records of the same TCGA project count as the same diagnosis. The hash of a patient decides the side. Records without a TCGA slide are
    searched, but are neither questions nor relevant.
    """
    members = {record.id: Member(_project(record), record.site, _patient(record)) for record in base}
    by_project: dict[str, list[Question]] = defaultdict(list)
    for record in sorted(base, key=lambda record: hashlib.sha256(record.id.encode()).digest()):
        member = members[record.id]
        long_enough = len(record.description.split()) >= max(words, 1)
        if member.diagnosis and long_enough and _side(member.cluster) == side:
            by_project[member.diagnosis].append(
                Question(
                    id=record.id,
                    cluster=member.cluster,
                    diagnosis=member.diagnosis,
                    site=record.site,
                    text=record.description,
                    text_at_site=record.description,
                    own=(record.source,),
                    asks=record.id,
                )
            )
    questions = [question for of_project in by_project.values() for question in of_project[:per_class]]
    return RetrievalSet("wsi", base, members, questions)


def _question_of(sample: Sample, clip: SeenClip) -> Question:
    from videopath.knowledge.index.fingerprint import FINGERPRINT_BYTES

    prints = np.frombuffer(bytes.fromhex(clip.fingerprints), np.uint8)
    return Question(
        id=clip.tile,
        cluster=sample.group,
        diagnosis=sample.diagnosis,
        site=sample.site,
        text=clip.description,
        text_at_site=clip.description_at_site,
        own=(sample.group,),
        image=np.array(clip.vectors, np.float32),
        fingerprints=prints.reshape(-1, FINGERPRINT_BYTES),
    )


def _kept_clips(file: JsonLines) -> Iterator[SeenClip]:
    """Read the clips of earlier runs.

    Raises:
        InputError: A line is damaged.
    """
    for number, line in enumerate(file.read(), start=1):
        try:
            yield SeenClip.model_validate_json(line)
        except ValidationError as error:
            raise InputError(
                f"Line {number} of {file.path} is damaged. Remove the file; it is made again."
            ) from error


def _kept_base(
    folder: Path, records: Iterable[InstructionRecord], progress: Progress | None, viewer: Viewer | None
) -> KnowledgeBase:
    from videopath.knowledge import KnowledgeBase

    embedder = RememberingEmbedder()
    try:
        return KnowledgeBase.open(folder, embedder)
    except KnowledgeError:  # none yet, or an older format; the folder's name is a hash of its content
        return KnowledgeBase.build(folder, records, embedder, progress, viewer=viewer)


def _key(*parts: str) -> str:
    return hashlib.sha256("\0".join([str(_LAYOUT), *parts]).encode()).hexdigest()[:12]


def _project(record: InstructionRecord) -> str:
    """Return the TCGA project of a record's slide, such as "TCGA-LUSC"; empty if there is none."""
    folder = record.media[0].path.split("/")[0] if record.media else ""
    return folder if folder.startswith("TCGA-") else ""


def _patient(record: InstructionRecord) -> str:
    return record.patient or "/".join(source_path(record.source))


def _side(patient: str) -> HeldOutSide:
    return "calibration" if hashlib.sha256(patient.encode()).digest()[0] % 2 else "test"
