"""Seeing the media of records: encoders of frames by name, and the viewer that a knowledge base is built with.

An encoder is the vision tower of a model ("tower:nano", "tower:/models/seven-b") or any other that a package offers
under a name of its own in the entry point group ``videopath.frame_encoders``.
"""

from __future__ import annotations

from importlib.metadata import entry_points
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

import numpy as np

from videopath.core.errors import InputError, KnowledgeError

if TYPE_CHECKING:
    from videopath.knowledge import Look, Media
    from videopath.model.engine import Engine

GROUP = "videopath.frame_encoders"
TOWER = "tower"
_FRAMES = 8


class FrameEncoder(Protocol):
    """What turns pictures into vectors that are near where the pictures are alike."""

    @property
    def name(self) -> str:
        """By which :func:`load_frame_encoder` finds it again."""

    @property
    def sha256(self) -> str:
        """Hash of the weights: vectors of two encoders compare only if their hashes are equal."""

    @property
    def dimension(self) -> int:
        """Length of a vector."""

    def encode(self, frames: np.ndarray) -> np.ndarray:
        """Frames uint8 [T, H, W, 3] to float32 [T, dimension]."""


def load_frame_encoder(name: str, engine: Engine | None = None) -> FrameEncoder:
    """The encoder of a name.

    "tower": of ``engine``, or of nano where none is given; "tower:NAME": of the model of that name (a folder, a hub
    id), which is ``engine`` itself where that is its name; any other: what the entry point of that name in
    ``videopath.frame_encoders``, a function without arguments, returns. Raises ``InputError`` for an unknown name.
    """
    kind, _, model = name.partition(":")
    if kind == TOWER:
        return _tower(model, engine)
    found = [entry for entry in entry_points(group=GROUP) if entry.name == name]
    if not found:
        known = ", ".join(sorted({entry.name for entry in entry_points(group=GROUP)})) or "none is installed"
        raise InputError(
            f"The image encoder {name[:80]!r} is not known; use {TOWER}:nano, {TOWER}:FOLDER, or the name of one that "
            f"is installed ({known})."
        )
    return found[0].load()()


def clip_vector(frames: np.ndarray) -> np.ndarray:
    """One vector for a clip out of those of its frames [T, dimension]: their mean, float32 [dimension] of length 1."""
    mean = np.asarray(frames, np.float32).mean(axis=0)
    return mean / max(float(np.linalg.norm(mean)), 1e-12)


class MediaViewer:
    """Sees the clips and images of records; what ``KnowledgeBase.build(viewer=…)`` takes.

    ``folder``: where the records' paths begin, and out of which none may lead; ``None``: only whole paths, as the
    user's own cases have them. ``frames``: of a clip, by which it is known.
    """

    def __init__(self, encoder: FrameEncoder, folder: str | Path | None, frames: int = _FRAMES) -> None:
        self.encoder = encoder
        self.folder = None if folder is None else Path(folder).expanduser().resolve()
        self.frames = frames

    @property
    def name(self) -> str:
        """Of the encoder."""
        return self.encoder.name

    @property
    def sha256(self) -> str:
        """Of the encoder."""
        return self.encoder.sha256

    @property
    def dimension(self) -> int:
        """Of the encoder."""
        return self.encoder.dimension

    def stamp(self, media: Media) -> str:
        """The file's place, size and time of change (of a folder of frames: each one's), and how many are looked at."""
        path = self._path(media)
        try:
            files = sorted(filter(Path.is_file, path.iterdir())) if path.is_dir() else [path]
            states = [(file.name, file.stat()) for file in files]
        except OSError as error:
            raise KnowledgeError(f"{path} cannot be read: {error.strerror or error}.") from error
        each = " ".join(f"{name} {state.st_size} {state.st_mtime_ns}" for name, state in states)
        return f"{path} {each} {self.frames}"

    def look(self, media: Media) -> Look:
        """One vector for the clip as a whole, and the fingerprints of its frames.

        Raises ``InputError`` for what is no video or image, ``KnowledgeError`` for a path that leads out of the folder.
        """
        from videopath.knowledge import Look
        from videopath.knowledge.fingerprint import fingerprints
        from videopath.model import open_clip

        clip = open_clip(self._path(media), self.frames, media.start, media.end)
        vector = clip_vector(self.encoder.encode(clip.frames))
        distinct = clip.frames[np.unique(clip.indices, return_index=True)[1]]
        return Look(vector[None], fingerprints(distinct), clip.sha256)

    def _path(self, media: Media) -> Path:
        try:  # an unknown ~user, links in a circle and a zero byte are no OSError
            path = Path(media.path).expanduser()
            found = ((self.folder or Path()) / path).resolve()
        except (OSError, RuntimeError, ValueError) as error:
            raise KnowledgeError(f"{media.path!r} is no usable path: {error}") from error
        if self.folder is None:
            if not path.is_absolute():
                raise KnowledgeError(
                    f"{media.path} is no whole path; name the folder that it begins in with --media."
                )
            return path
        if not found.is_relative_to(self.folder):
            raise KnowledgeError(f"{media.path} leads out of the media folder {self.folder}.")
        return found


def _tower(model: str, engine: Engine | None) -> FrameEncoder:
    from videopath.model import load_engine
    from videopath.model.engine import NANO, LocalEngine
    from videopath.model.tower import TowerEncoder

    if engine is None or (model and model != engine.info.source):
        engine = load_engine(model or NANO)
    if not isinstance(engine, LocalEngine):
        raise InputError(
            f"The model {engine.info.name} shows no vision tower of its own; name another encoder."
        )
    return TowerEncoder(engine)
