"""What a record looks like: the protocol by which a knowledge base sees the media of its records.

The knowledge base itself opens no video and knows no network: whoever builds one with pictures gives it a viewer.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

import numpy as np

from videopath.knowledge.records.record import Media


@dataclass(frozen=True)
class Look:
    """One clip or image as the viewer sees it."""

    vectors: np.ndarray
    """float32 [clips, dimension], each of length 1."""
    fingerprints: np.ndarray
    """uint8 [frames, FINGERPRINT_BYTES]: see :mod:`videopath.knowledge.index.fingerprint`."""
    sha256: str
    """Of the media file; of a folder of frames, of their bytes."""


class Viewer(Protocol):
    """What a knowledge base needs to have an image view."""

    @property
    def name(self) -> str:
        """How the encoder is loaded again, such as "tower:nano"; written into the manifest."""

    @property
    def sha256(self) -> str:
        """Hash of the encoder's weights: vectors of two viewers compare only if their hashes are equal."""

    @property
    def dimension(self) -> int:
        """Length of a vector."""

    def stamp(self, media: Media) -> str:
        """What changes when the file does; a look that an interrupted build has kept is used again while it is equal."""

    def look(self, media: Media) -> Look:
        """Open a clip or an image and see it. Raises ``InputError`` or ``KnowledgeError`` where it cannot be read."""
