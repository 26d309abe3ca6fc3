"""Reference tissue: vectors of tiles of many organs, which ship in the place of the tiles themselves.

A file for each encoder holds the vectors of tiles that VideoPath-nano was trained on, with what each shows. They are the
background that competes with a knowledge base's own cases, and the cases by which the starter votes. ``README.md`` beside
the files names the data sets and their licences.
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
"""By which the starter votes."""


@dataclass(frozen=True)
class ReferenceTissue:
    """Tiles of many organs as one encoder sees them."""

    mark: EncoderMark
    vectors: np.ndarray
    """float32 [tiles, dimension], each of length 1."""
    ids: np.ndarray
    """str [tiles]: data set and file."""
    groups: np.ndarray
    """str [tiles]: source field, slide or patient."""
    sites: np.ndarray
    """str [tiles]"""
    diagnoses: np.ndarray
    """str [tiles]; empty where the tile's own is not known, but its slide's."""
    fingerprints: np.ndarray
    """uint8 [tiles, FINGERPRINT_BYTES]: the same picture is never answered with itself."""
    colours: np.ndarray
    """float32 [tiles, 6]: means and deviations of L, a, b, by which the trivial baseline tells tiles apart."""
    measure: Measure | None
    """Of the vote by these tiles, on others that the encoder was not trained on."""

    @classmethod
    def read(cls, path: Path) -> Self:
        """Read a file that :meth:`write` wrote. Raises ``KnowledgeError`` for anything else."""
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
        """Write the vectors in float16, with what each shows beside them."""
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
    """The reference tissue as these encoders see it together; None where one of them has none.

    Of several encoders the tiles that all have, with their vectors one behind the other.
    """
    found = [tissue for mark in marks if (tissue := _shipped().get(mark.sha256))]
    if len(found) < len(marks) or not found:
        return None
    if len(found) == 1:
        return found[0]
    shared = sorted(set.intersection(*(set(tissue.ids.tolist()) for tissue in found)))
    places = [_places(tissue, shared) for tissue in found]
    first, at = found[0], places[0]
    return ReferenceTissue(
        EncoderMark.joined([tissue.mark for tissue in found]),
        np.concatenate([tissue.vectors[p] for tissue, p in zip(found, places, strict=True)], axis=1)
        / np.float32(len(found) ** 0.5),
        first.ids[at],
        first.groups[at],
        first.sites[at],
        first.diagnoses[at],
        first.fingerprints[at],
        first.colours[at],
        None,
    )


def reference_of(name: str) -> ReferenceTissue | None:
    """The reference tissue as the encoder of a name sees it, such as "tower:nano"; None where there is none."""
    return next((tissue for tissue in _shipped().values() if tissue.mark.name == name), None)


def reference_of_encoder(sha256: str) -> ReferenceTissue | None:
    """The reference tissue as the encoder with these weights sees it; None where there is none."""
    return _shipped().get(sha256)


@cache
def _shipped() -> dict[str, ReferenceTissue]:
    """SHA-256 of an encoder → the reference tissue as it sees it."""
    tissues = [ReferenceTissue.read(path) for path in sorted(FOLDER.glob(f"*{SUFFIX}"))]
    return {tissue.mark.sha256: tissue for tissue in tissues}


def _places(tissue: ReferenceTissue, ids: Sequence[str]) -> np.ndarray:
    known = {name: place for place, name in enumerate(tissue.ids.tolist())}
    return np.array([known[name] for name in ids], np.int64)
