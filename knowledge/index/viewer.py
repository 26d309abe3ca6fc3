"""The protocol by which a knowledge base sees the clips and images of its records.

The knowledge base itself opens no video and knows no network. Whoever builds one with pictures gives it a viewer.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

import numpy as np

from videopath.knowledge.index.encoders import NamedEncoder
from videopath.knowledge.records.record import Media


@dataclass(frozen=True)
class EncodedMedia:
    """One clip or image as the viewer sees it."""

    vectors: np.ndarray
    """float32 [clips, dimension], each of length 1."""
    fingerprints: np.ndarray
    """uint8 [frames, FINGERPRINT_BYTES]: see :mod:`videopath.knowledge.index.fingerprint`."""
    sha256: str
    """Hash of the media file; for a folder of frames, of the frames' bytes."""


class Viewer(NamedEncoder, Protocol):
    """What a knowledge base needs to have an image view.

    Its name, such as "tower:nano", its hash and its dimension are those of its frame encoder.
    """

    def stamp(self, media: Media) -> str:
        """Return a text that changes when the file changes. An interrupted build reuses what has an equal stamp."""

    def look(self, media: Media) -> EncodedMedia:
        """Open a clip or an image and encode it.

        Raises:
            InputError: The file is not a video or an image that can be used.
            KnowledgeError: The path leads out of the media folder, or the file cannot be read.
        """
