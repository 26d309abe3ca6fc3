"""A second, small embedder for the tests, and a process that writes until it is killed.

``python words.py FOLDER`` adds to, and rebuilds, the knowledge base in FOLDER for ever.
"""

from __future__ import annotations

import hashlib
import re
import sys
from collections.abc import Iterator, Sequence

import numpy as np

from videopath.core.errors import KnowledgeError
from videopath.knowledge import InstructionRecord, KnowledgeBase, Look, Media
from videopath.knowledge.fingerprint import FINGERPRINT_BYTES


class WordEncoder:
    """Hashed bags of words: the same texts give the same vectors, without a network."""

    def __init__(self, dimension: int = 64, name: str = "words") -> None:
        self.name = f"{name}-{dimension}"
        self.sha256 = hashlib.sha256(self.name.encode()).hexdigest()
        self.dimension = dimension

    def encode(self, texts: Sequence[str], progress: object = None) -> np.ndarray:
        vectors = np.full((len(texts), self.dimension), 1e-3, np.float32)
        for row, text in enumerate(texts):
            for word in re.findall(r"\w+", text.lower()):
                vectors[row, int(hashlib.sha256(word.encode()).hexdigest(), 16) % self.dimension] += 1
        return vectors / np.linalg.norm(vectors, axis=1, keepdims=True)


class NamedViewer:
    """Sees in a clip what its path says: "red-3.png" is a vector near red, with fingerprint 3; no file is opened."""

    _COLOURS = ("red", "green", "blue")

    def __init__(self, name: str = "colours") -> None:
        self.name = name
        self.sha256 = hashlib.sha256(name.encode()).hexdigest()
        self.dimension = 3

    def stamp(self, media: Media) -> str:
        return "unchanged"

    def look(self, media: Media) -> Look:
        found = re.fullmatch(r"(\w+)-(\d+)\.png", media.path)
        if not found:
            raise KnowledgeError(f"{media.path} cannot be opened.")
        colour, number = found.group(1), int(found.group(2))
        vector = self.vector(colour)
        vector[(self._COLOURS.index(colour) + 1) % 3] += 0.01 * (number % 7)
        prints = fingerprint(number)[None]
        return Look(
            (vector / np.linalg.norm(vector))[None], prints, hashlib.sha256(media.path.encode()).hexdigest()
        )

    def vector(self, colour: str) -> np.ndarray:
        return np.eye(3, dtype=np.float32)[self._COLOURS.index(colour)]


def fingerprint(number: int) -> np.ndarray:
    """Random bits: those of two numbers differ in about half of them."""
    return np.random.default_rng(number).integers(0, 256, FINGERPRINT_BYTES).astype(np.uint8)


def some_records(count: int, start: int = 0) -> list[InstructionRecord]:
    """Records whose texts differ."""
    return [
        InstructionRecord(
            id=f"r{number}",
            source=f"videos/v{number}.mp4",
            site="colon" if number % 2 else "lung",
            question="What is the best diagnosis for this tissue?",
            description=f"Glands of pattern {number} with {'mucin' if number % 3 else 'necrosis'} in field {number}.",
            diagnosis=f"entity {number % 5}",
        )
        for number in range(start, start + count)
    ]


def write_for_ever(folder: str) -> Iterator[str]:
    while True:
        base = KnowledgeBase.build(folder, some_records(60), WordEncoder())
        yield "built"
        for start in range(60, 120, 20):
            base.add(some_records(20, start))
            yield "added"


if __name__ == "__main__":
    for line in write_for_ever(sys.argv[1]):
        sys.stdout.write(line + "\n")
        sys.stdout.flush()
