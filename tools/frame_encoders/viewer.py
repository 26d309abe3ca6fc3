"""Seeing the media of records: encoders of frames by name, and the viewer that a knowledge base is built with.

An encoder is the vision tower of a model ("tower:nano", "tower:/models/seven-b"), "efficientnet-lite0", a model of timm
("timm:NAME") or of Hugging Face ("hf:NAME"), or any other that a package offers under a name of its own in the entry point
group ``videopath.frame_encoders``. Several are used together where their names are given together.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from importlib.metadata import entry_points
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

import numpy as np

from videopath.core.errors import InputError, KnowledgeError
from videopath.knowledge.storage.manifest import JOIN
from videopath.tools.frame_encoders.encoders import (
    EFFICIENTNET,
    HUGGING_FACE,
    TIMM,
    JoinedEncoder,
    efficientnet_lite0,
    hugging_face_encoder,
    joined_vectors,
    timm_encoder,
)

if TYPE_CHECKING:
    from videopath.knowledge import Look, Media
    from videopath.knowledge.storage.manifest import EncoderMark, Views
    from videopath.model.inference.engine import Engine

GROUP = "videopath.frame_encoders"
TOWER = "tower"
_FRAMES = 8
_USUAL_SIDE = 224  # pixels, of an encoder that does not say what it reads
_ENLARGED = 1.5  # times as large as what an encoder reads: from there on, parts show more than the whole


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


def load_frame_encoder(name: str | Sequence[str], engine: Engine | None = None) -> FrameEncoder:
    """The encoder of a name; of several names, or of one that joins them by " + ", all of them together.

    "tower": of ``engine``, or of nano where none is given; "tower:NAME": of the model of that name (a folder, a hub
    id), which is ``engine`` itself where that is its name; any other: what the entry point of that name in
    ``videopath.frame_encoders``, a function without arguments, returns. Raises ``InputError`` for an unknown name.
    """
    names = name.split(JOIN) if isinstance(name, str) else list(name)
    if len(set(names)) < len(names):
        raise InputError(f"An image encoder is named twice: {', '.join(names)}.")
    if len(names) > 1:
        return JoinedEncoder([load_frame_encoder(one, engine) for one in names])
    kind, _, model = names[0].partition(":")
    if kind == TOWER:
        return _tower(model, engine)
    if names[0] == EFFICIENTNET:
        return efficientnet_lite0()
    if kind in _BY_KIND and model:
        return _BY_KIND[kind](model)
    found = [entry for entry in entry_points(group=GROUP) if entry.name == names[0]]
    if not found:
        known = ", ".join(sorted({entry.name for entry in entry_points(group=GROUP)})) or "none is installed"
        raise InputError(
            f"The image encoder {names[0][:80]!r} is not known; use {TOWER}:nano, {TOWER}:FOLDER, {EFFICIENTNET}, "
            f"{TIMM}:NAME, {HUGGING_FACE}:NAME, or the name of one that is installed ({known})."
        )
    return found[0].load()()


_BY_KIND = {TIMM: timm_encoder, HUGGING_FACE: hugging_face_encoder}


def is_loaded_by_name(name: str, allowed: Collection[str] = ()) -> bool:
    """Whether an encoder may be loaded because a knowledge base, perhaps a stranger's, names it.

    Those whose weights come with an installed package may; models that are folders or hub ids only where the user named
    them, too.
    """
    return all(
        one in (f"{TOWER}:nano", *allowed) or one.partition(":")[0] not in (TOWER, TIMM, HUGGING_FACE)
        for one in name.split(JOIN)
    )


def picture_vector(encoder: FrameEncoder, frames: np.ndarray, views: Views) -> np.ndarray:
    """One vector for a clip, frames uint8 [T, H, W, 3]: the mean over its views, float32 [dimension] of length 1.

    ``views``: "whole" for the frames as they are; "parts" for the quadrants of frames that are larger than what the
    encoder reads, which show more of their cells. Each of several encoders together has its own.
    """
    if isinstance(encoder, JoinedEncoder):
        parts = [picture_vector(one, frames, views)[None] for one in encoder.encoders]
        return joined_vectors(parts)[0]
    return clip_vector(encoder.encode(_viewed(frames, views, getattr(encoder, "side", _USUAL_SIDE))))


def clip_vector(frames: np.ndarray) -> np.ndarray:
    """One vector for a clip out of those of its frames [T, dimension]: their mean, float32 [dimension] of length 1."""
    mean = np.asarray(frames, np.float32).mean(axis=0)
    return mean / max(float(np.linalg.norm(mean)), 1e-12)


def _viewed(frames: np.ndarray, views: Views, side: int) -> np.ndarray:
    height, width = frames.shape[1:3]
    if views == "whole" or min(height, width) < _ENLARGED * side:
        return frames
    h, w = height // 2, width // 2
    return np.concatenate([frames[:, y : y + h, x : x + w] for y in (0, height - h) for x in (0, width - w)])


class MediaViewer:
    """Sees the clips and images of records; what ``KnowledgeBase.build(viewer=…)`` takes.

    ``folder``: where the records' paths begin, and out of which none may lead; ``None``: only whole paths, as the
    user's own cases have them. ``frames``: of a clip, by which it is known. ``views``: see :func:`picture_vector`.
    """

    def __init__(
        self,
        encoder: FrameEncoder,
        folder: str | Path | None,
        frames: int = _FRAMES,
        views: Views = "parts",
    ) -> None:
        self.encoder = encoder
        self.views = views
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

    @property
    def members(self) -> tuple[EncoderMark, ...]:
        """Of several encoders together, each one."""
        return getattr(self.encoder, "members", ())

    def stamp(self, media: Media) -> str:
        """The file's place, size and time of change (of a folder of frames: each one's), and how many are looked at."""
        path = self._path(media)
        try:
            files = sorted(filter(Path.is_file, path.iterdir())) if path.is_dir() else [path]
            states = [(file.name, file.stat()) for file in files]
        except OSError as error:
            raise KnowledgeError(f"{path} cannot be read: {error.strerror or error}.") from error
        each = " ".join(f"{name} {state.st_size} {state.st_mtime_ns}" for name, state in states)
        return f"{path} {each} {self.frames} {self.views}"

    def look(self, media: Media) -> Look:
        """One vector for the clip as a whole, and the fingerprints of its frames.

        Raises ``InputError`` for what is no video or image, ``KnowledgeError`` for a path that leads out of the folder.
        """
        from videopath.knowledge import Look
        from videopath.knowledge.index.fingerprint import fingerprints
        from videopath.model import open_clip

        clip = open_clip(self._path(media), self.frames, media.start, media.end)
        vector = picture_vector(self.encoder, clip.frames, self.views)
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
    from videopath.model.inference.engine import NANO, LocalEngine
    from videopath.model.inference.frame_vectors import TowerEncoder

    if engine is None or (model and model != engine.info.source):
        engine = load_engine(model or NANO)
    if not isinstance(engine, LocalEngine):
        raise InputError(
            f"The model {engine.info.name} shows no vision tower of its own; name another encoder."
        )
    return TowerEncoder(engine)
