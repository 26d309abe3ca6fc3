"""``manifest.json``: the files of a knowledge base, its version, and what each version changed."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Literal

from pydantic import (
    BaseModel,
    ConfigDict,
    Field,
    SerializerFunctionWrapHandler,
    ValidationError,
    model_serializer,
)

from videopath.core.choices import IndexKind, StoredView
from videopath.core.errors import KnowledgeError
from videopath.core.files import sha256_file
from videopath.knowledge.index.encoders import NamedEncoder

MANIFEST = "manifest.json"
FORMAT = "videopath-knowledge/2"
_PREVIOUS_FORMAT = "videopath-knowledge/1"

"""How the vectors of a view are searched: see :mod:`videopath.knowledge.index.vectors`."""
FrameViews = Literal["whole", "parts"]
"""How a frame is shown to an encoder: as it is, or in its quadrants if it is large enough."""
JOIN = " + "
"""Stands between the names of encoders that are used together."""
FRAME_VIEWS: tuple[FrameViews, ...] = ("whole", "parts")


class DataFile(BaseModel, frozen=True):
    """A file beside the manifest. Its name has the kind of the file and a part of its hash."""

    name: str = Field(pattern=r"^[a-z]+-[0-9a-f]{12}\.[a-z]+$")
    sha256: str = Field(pattern=r"^[0-9a-f]{64}$")
    size: int = Field(ge=0)
    """In bytes."""


class EncoderMark(BaseModel, frozen=True):
    """Which encoder made the vectors of a view."""

    name: str
    sha256: str
    dimension: int = Field(ge=1)
    views: FrameViews = "whole"
    """How frames were shown to it."""
    members: tuple[EncoderMark, ...] = ()
    """The encoders that are joined, in the order of their vectors; empty for one encoder."""

    @classmethod
    def of(cls, encoder: NamedEncoder) -> EncoderMark:
        """Return the mark of an embedder, a frame encoder or a viewer."""
        return cls(
            name=encoder.name,
            sha256=encoder.sha256,
            dimension=encoder.dimension,
            views=getattr(encoder, "views", "whole"),
            members=getattr(encoder, "members", ()),
        )

    @classmethod
    def joined(cls, marks: Sequence[EncoderMark]) -> EncoderMark:
        """Return the mark of several encoders whose vectors are concatenated."""
        return cls(
            name=JOIN.join(mark.name for mark in marks),
            sha256=hashlib.sha256("\n".join(mark.sha256 for mark in marks).encode()).hexdigest(),
            dimension=sum(mark.dimension for mark in marks),
            members=tuple(marks),
        )

    @property
    def each(self) -> tuple[EncoderMark, ...]:
        """The single encoders: the members, or this encoder itself."""
        return self.members or (self,)

    @model_serializer(mode="wrap")
    def _without_defaults(self, write: SerializerFunctionWrapHandler) -> dict[str, object]:
        """Leave out default views and members, so that manifests of earlier versions keep their hash."""
        content = write(self)
        is_set = {"views": self.views != "whole", "members": bool(self.members)}
        return {key: value for key, value in content.items() if is_set.get(key, True)}


class IndexPart(BaseModel, frozen=True):
    """Vectors of a view that were written together, with their index."""

    view: StoredView
    kind: IndexKind
    vectors: int = Field(ge=1)
    files: tuple[DataFile, ...]


class VersionChange(BaseModel, frozen=True):
    """What a version changed."""

    version: int = Field(ge=1)
    when: str
    """ISO 8601, UTC."""
    action: Literal["build", "add", "update", "remove", "merge", "measure"]
    added: int = 0
    updated: int = 0
    removed: int = 0
    records: int
    """How many records this version has."""
    data_sha256: str
    """Hash of the records of this version; reports state it."""
    note: str = ""


class Manifest(BaseModel):
    """The content of ``manifest.json``."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    format: str
    version: int = Field(ge=1)
    count: int = Field(ge=1)
    data_sha256: str = Field(pattern=r"^[0-9a-f]{64}$")
    """See :attr:`videopath.knowledge.storage.store.StoreWriter.data_sha256`."""
    embedder: EncoderMark
    image_encoder: EncoderMark | None
    records: DataFile
    parts: tuple[IndexPart, ...]
    changes: tuple[VersionChange, ...]
    """The change of each version, the first version first."""
    measures: DataFile | None = None
    """The measure of the base's vote; see :mod:`videopath.knowledge.voting.measure`."""
    media_folders: tuple[str, ...] = ()
    """The folders in which the paths of the records' media began when they were encoded, the latest first."""

    @property
    def files(self) -> list[DataFile]:
        """All data files."""
        return [self.records, *self.part_files, *([self.measures] if self.measures else [])]

    @property
    def part_files(self) -> list[DataFile]:
        """The files of all views."""
        return [file for part in self.parts for file in part.files]

    @property
    def index_sha256(self) -> str:
        """One hash for all parts of the views."""
        return hashlib.sha256("".join(file.sha256 for file in self.part_files).encode()).hexdigest()

    def parts_of(self, view: StoredView) -> list[IndexPart]:
        """Return the parts of a view, the oldest first."""
        return [part for part in self.parts if part.view == view]

    def mark_of(self, view: StoredView) -> EncoderMark | None:
        """Return the encoder of a view."""
        return self.embedder if view == "text" else self.image_encoder

    def to_text(self) -> str:
        """Return the file's text, with a hash of everything else in it."""
        added_later = {name for name in ("measures", "media_folders") if not getattr(self, name)}
        content = self.model_dump(mode="json", exclude=added_later)
        return json.dumps({**content, "sha256": _sha256_of(content)}, indent=2, ensure_ascii=False) + "\n"


def read_manifest(folder: Path) -> Manifest:
    """Read and check ``manifest.json``. Raises ``KnowledgeError`` if it is missing or damaged."""
    path = folder / MANIFEST
    try:
        data = manifest_bytes(folder)
    except (FileNotFoundError, NotADirectoryError) as error:
        raise KnowledgeError(
            f"{folder} holds no knowledge base (no {MANIFEST}); make one with: videopath knowledge build."
        ) from error
    except OSError as error:
        raise KnowledgeError(f"{path} cannot be read: {error.strerror or error}.") from error
    try:
        content = json.loads(data)
        _refuse_other_format(content, folder)
        content.pop("sha256")
        manifest = Manifest.model_validate(content)
        written = manifest.to_text().encode()
    except KnowledgeError:
        raise
    except (ValueError, AttributeError, KeyError, TypeError, RecursionError, ValidationError) as error:
        raise KnowledgeError(
            f"{path} is damaged: it is not a manifest of a knowledge base; build it again."
        ) from error
    if written != data:
        raise KnowledgeError(f"{path} is damaged: it does not have the hash that it states; build it again.")
    return manifest


def manifest_bytes(folder: Path) -> bytes:
    """Return the file's bytes with newline line ends, which a checkout on Windows may have changed."""
    return (folder / MANIFEST).read_bytes().replace(b"\r\n", b"\n")


def data_file(path: Path, name: str) -> DataFile:
    """Return the manifest's entry for a file that will be named ``name`` with ``-<hash>`` before its ending."""
    digest = sha256_file(path)
    stem, _, suffix = name.partition(".")
    return DataFile(name=f"{stem}-{digest[:12]}.{suffix}", sha256=digest, size=path.stat().st_size)


def _refuse_other_format(content: dict[str, object], folder: Path) -> None:
    format_name = content["format"]
    if format_name == _PREVIOUS_FORMAT:
        raise KnowledgeError(
            f"{folder} was made by an earlier version of VideoPath; build it again from its records with: "
            "videopath knowledge build NEW_FOLDER OLD_FOLDER."
        )
    if format_name != FORMAT:
        raise KnowledgeError(
            f"{folder / MANIFEST} has the format {format_name!r}; this version reads {FORMAT!r}."
        )


def _sha256_of(content: dict[str, object]) -> str:
    return hashlib.sha256(json.dumps(content, sort_keys=True, separators=(",", ":")).encode()).hexdigest()
