"""A second, small embedder for the tests, and a process that writes until it is killed.

``python words.py FOLDER`` adds to, and rebuilds, the knowledge base in FOLDER for ever.
"""

from __future__ import annotations

import hashlib
import re
import sys
from collections.abc import Iterator, Sequence

import numpy as np

from videopath.knowledge import InstructionRecord, KnowledgeBase


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
