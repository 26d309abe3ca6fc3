"""The viewer of records' clips and images, which ``KnowledgeBase.build(viewer=…)`` takes."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from videopath.core.choices import WritingRule
from videopath.core.errors import KnowledgeError
from videopath.core.privacy.paths import find_path
from videopath.tools.frame_encoders.picture_vectors import picture_vector

if TYPE_CHECKING:
    from videopath.knowledge import EncodedMedia, Media
    from videopath.knowledge.index.encoders import FrameEncoder
    from videopath.knowledge.storage.manifest import EncoderMark, FrameViews

_FRAMES = 8


class MediaViewer:
    """Encodes the clips and images of records.

    Args:
        encoder: The frame encoder.
        folder: The folder in which the records' paths begin. No path may lead out of it. ``None`` allows absolute paths
            only, which the user's own cases have.
        frames: How many frames of a clip are encoded.
        views: How a frame is shown to the encoder; see
            :func:`videopath.tools.frame_encoders.picture_vectors.picture_vector`.
        writing: Which burned-in writing is filled before the encoder sees a frame, unless the media names its own rule.
    """

    def __init__(
        self,
        encoder: FrameEncoder,
        folder: str | Path | None,
        frames: int = _FRAMES,
        views: FrameViews = "parts",
        writing: WritingRule = "mask-all",
    ) -> None:
        self.encoder = encoder
        self.views = views
        self.folder = None if folder is None else Path(folder).expanduser().resolve()
        self.frames = frames
        self.writing: WritingRule = writing

    @property
    def name(self) -> str:
        """The name of the encoder."""
        return self.encoder.name

    @property
    def sha256(self) -> str:
        """The hash of the encoder's weights."""
        return self.encoder.sha256

    @property
    def dimension(self) -> int:
        """The length of a vector."""
        return self.encoder.dimension

    @property
    def members(self) -> tuple[EncoderMark, ...]:
        """The marks of the encoders that are joined; empty if it is one encoder."""
        return getattr(self.encoder, "members", ())

    def stamp(self, media: Media) -> str:
        """Return a text that changes with the file's path, size or time of change, or with this viewer's settings.

        For a folder of frames it changes with each of its files.
        """
        path = find_path(self._path(media))
        try:
            files = sorted(filter(Path.is_file, path.iterdir())) if path.is_dir() else [path]
            states = [(file.name, file.stat()) for file in files]
        except OSError as error:
            raise KnowledgeError(f"{path} cannot be read: {error.strerror or error}.") from error
        each = " ".join(f"{name} {state.st_size} {state.st_mtime_ns}" for name, state in states)
        rule = media.writing or self.writing
        part = "" if media.crop is None else f" {media.crop}"
        part += f" {media.masks}" if media.masks else ""
        return f"{path} {each} {self.frames} {self.views}{part}" + ("" if rule == "keep" else f" {rule}")

    def look(self, media: Media) -> EncodedMedia:
        """Open a clip and return one vector for it and the fingerprints of its frames.

        Raises:
            InputError: The file is not a video or an image that can be used.
            KnowledgeError: The path leads out of the folder, or is not absolute and there is no folder.
        """
        from videopath.knowledge import EncodedMedia
        from videopath.knowledge.index.fingerprint import fingerprints
        from videopath.model import open_clip

        clip = open_clip(
            self._path(media),
            self.frames,
            media.start,
            media.end,
            crop=media.crop,
            writing=media.writing or self.writing,
            masks=media.masks,
        )
        vector = picture_vector(self.encoder, clip.frames, self.views)
        distinct = clip.frames[np.unique(clip.indices, return_index=True)[1]]
        return EncodedMedia(vector[None], fingerprints(distinct), clip.sha256)

    def _path(self, media: Media) -> Path:
        try:  # an unknown ~user, links in a circle and a zero byte do not raise OSError
            path = Path(media.path).expanduser()
            resolved = ((self.folder or Path()) / path).resolve()
        except (OSError, RuntimeError, ValueError) as error:
            raise KnowledgeError(f"{media.path!r} is not a usable path: {error}") from error
        if self.folder is None:
            if not path.is_absolute():
                raise KnowledgeError(
                    f"{media.path} is not an absolute path; give the folder that it begins in with --media."
                )
            return path
        if not resolved.is_relative_to(self.folder):
            raise KnowledgeError(f"{media.path} leads out of the media folder {self.folder}.")
        return resolved
