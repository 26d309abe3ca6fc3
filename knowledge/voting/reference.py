"""Reference tissue: vectors of tiles of many organs, which ship instead of the tiles.

There is one file for each encoder, with the vectors of tiles that VideoPath-nano was trained on and with their sites and
diagnoses. They compete with a knowledge base's own cases for the nearest places, and they are the voters of the starter.
``README.md`` beside the files names the data sets and their licences.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Self

import numpy as np

from videopath.core.errors import KnowledgeError
from videopath.core.files import replaced_on_success
from videopath.knowledge.storage.manifest import EncoderMark
from videopath.knowledge.voting.measure import Measure

FOLDER = Path(__file__).parent / "tissue"
_COLUMNS = ("ids", "groups", "sites", "diagnoses")
SUFFIX = ".safetensors"
STARTER_ENCODER = "tower:nano"
"""The encoder of the starter's voters."""


@dataclass(frozen=True)
class ReferenceTissue:
    """Tiles of many organs, encoded by one encoder. All arrays have the same order."""

    mark: EncoderMark
    vectors: np.ndarray
    """float32 [tiles, dimension], each of length 1."""
    ids: np.ndarray
    """str [tiles]: the data set and the file of each tile."""
    groups: np.ndarray
    """str [tiles]: the source field, slide or patient of each tile."""
    sites: np.ndarray
    """str [tiles]"""
    diagnoses: np.ndarray
    """str [tiles]; empty if only the diagnosis of the whole slide is known."""
    fingerprints: np.ndarray
    """uint8 [tiles, FINGERPRINT_BYTES]: they exclude the same picture from a vote on itself."""
    colours: np.ndarray
    """float32 [tiles, 6]: means and standard deviations of L, a, b, for the colour baseline."""
    measure: Measure | None
    """The measure of the vote of these tiles, on tiles that the encoder was not trained on."""

    @classmethod
    def read(cls, path: Path) -> Self:
        """Read a file that :meth:`write` wrote. Raises ``KnowledgeError`` if it cannot be read."""
        from safetensors import SafetensorError, safe_open

        try:
            with safe_open(path, "numpy") as file:
                facts = json.loads(file.metadata()["tissue"])
                vectors = file.get_tensor("vectors").astype(np.float32)
                prints, colours = file.get_tensor("fingerprints"), file.get_tensor("colours")
            columns = {name: np.array(facts[name], dtype=str) for name in _COLUMNS}
            if any(len(column) != len(vectors) for column in (*columns.values(), prints, colours)):
                raise ValueError("its columns are of different lengths")
            return cls(
                mark=EncoderMark.model_validate(facts["encoder"]),
                vectors=vectors,
                fingerprints=prints,
                colours=colours.astype(np.float32),
                measure=Measure.model_validate(facts["measure"]) if facts["measure"] else None,
                **columns,
            )
        except (OSError, SafetensorError, KeyError, TypeError, ValueError) as error:
            raise KnowledgeError(f"The reference tissue {path} cannot be read: {error}") from error

    def write(self, path: Path) -> None:
        """Write the vectors in float16, with the facts of the tiles."""
        from safetensors.numpy import save_file

        facts = {
            "encoder": self.mark.model_dump(mode="json"),
            **{name: getattr(self, name).tolist() for name in _COLUMNS},
            "measure": self.measure.model_dump(mode="json") if self.measure else None,
        }
        path.parent.mkdir(parents=True, exist_ok=True)
        with replaced_on_success(path) as part:
            save_file(
                {
                    "vectors": self.vectors.astype(np.float16),
                    "fingerprints": self.fingerprints,
                    "colours": self.colours.astype(np.float16),
                },
                part,
                {"tissue": json.dumps(facts, ensure_ascii=False, separators=(",", ":"))},
            )


def reference_for(marks: Sequence[EncoderMark]) -> ReferenceTissue | None:
    """Return the reference tissue of these encoders together; ``None`` if none ships for one of them.

    For several encoders it has the tiles that all of them have, with concatenated vectors.
    """
    tissues = [tissue for mark in marks if (tissue := _shipped().get(mark.sha256))]
    if len(tissues) < len(marks) or not tissues:
        return None
    if len(tissues) == 1:
        return tissues[0]
    shared = sorted(set.intersection(*(set(tissue.ids.tolist()) for tissue in tissues)))
    indices = [_indices(tissue, shared) for tissue in tissues]
    first, chosen = tissues[0], indices[0]
    return ReferenceTissue(
        EncoderMark.joined([tissue.mark for tissue in tissues]),
        np.concatenate([tissue.vectors[i] for tissue, i in zip(tissues, indices, strict=True)], axis=1)
        / np.float32(len(tissues) ** 0.5),
        first.ids[chosen],
        first.groups[chosen],
        first.sites[chosen],
        first.diagnoses[chosen],
        first.fingerprints[chosen],
        first.colours[chosen],
        None,
    )


def reference_of(name: str) -> ReferenceTissue | None:
    """Return the reference tissue of the encoder with a name, such as "tower:nano"; ``None`` if none ships."""
    return next((tissue for tissue in _shipped().values() if tissue.mark.name == name), None)


def reference_of_encoder(sha256: str) -> ReferenceTissue | None:
    """Return the reference tissue of the encoder with these weights; ``None`` if none ships."""
    return _shipped().get(sha256)


@cache
def _shipped() -> dict[str, ReferenceTissue]:
    """Return SHA-256 of an encoder → its reference tissue."""
    tissues = [ReferenceTissue.read(path) for path in sorted(FOLDER.glob(f"*{SUFFIX}"))]
    return {tissue.mark.sha256: tissue for tissue in tissues}


def _indices(tissue: ReferenceTissue, ids: Sequence[str]) -> np.ndarray:
    index_of = {name: index for index, name in enumerate(tissue.ids.tolist())}
    return np.array([index_of[name] for name in ids], np.int64)
