"""How retrieval scales: python benchmarks/retrieval.py [--sizes 10000,100000,1000000] [--kinds auto,exact] [--whole] [--json]

Vectors of 384 numbers, clustered as those of descriptions are, drawn with a seed. For each size: brute force over
vectors in memory (the obvious alternative), then each kind of index, asked the same 300 questions one at a time:
recall@10 against brute force, median and 99th percentile of a question, time to build, peak memory of the process that
builds, memory of one that has opened it and answered, size on disk. ``--whole``: the same through a knowledge base
with records of forty words, whose text and lexical views are asked and fused. Every line is a process of its own.
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import numpy as np

DIMENSION = 384
_BLOCK = 256
_QUESTIONS = 300
_K, _DEPTH = 10, 50  # a knowledge base asks each view for 50 to fuse them
_INNER = 48  # dimensions in which the clusters lie
_SPREAD, _NOISE = (
    0.55,
    1.0,
)  # of a cluster; chosen so that first neighbours are as near as those of WSI-Bench's descriptions
_WORDS = 40


class Collection:
    """``count`` vectors in clusters whose sizes fall off slowly; any block of them can be drawn by itself."""

    def __init__(self, count: int) -> None:
        self.count = count
        rng = np.random.default_rng(0)
        clusters = max(20, count // 200)
        self._basis = rng.standard_normal((_INNER, DIMENSION)).astype(np.float32)
        self._centres = rng.standard_normal((clusters, _INNER)).astype(np.float32)
        shares = 1 / np.arange(1, clusters + 1) ** 0.7
        self._edges = np.cumsum(shares / shares.sum())

    def block(self, number: int) -> np.ndarray:
        """float32 [256, 384], unit rows."""
        rng = np.random.default_rng([1, number])
        cluster = np.minimum(np.searchsorted(self._edges, rng.random(_BLOCK)), len(self._centres) - 1)
        inner = self._centres[cluster] + _SPREAD * rng.standard_normal((_BLOCK, _INNER)).astype(np.float32)
        vectors = inner @ self._basis + _NOISE * rng.standard_normal((_BLOCK, DIMENSION)).astype(np.float32)
        return vectors / np.linalg.norm(vectors, axis=1, keepdims=True)

    def blocks(self) -> Iterator[np.ndarray]:
        """All vectors, block by block."""
        for start in range(0, self.count, _BLOCK):
            yield self.block(start // _BLOCK)[: self.count - start]

    def questions(self) -> np.ndarray:
        """float32 [300, 384]: vectors of the same clusters that are not in the collection."""
        return np.concatenate([self.block(10_000_000 + n) for n in range(2)])[:_QUESTIONS]


class SeededEncoder:
    """Gives a record's text, which begins with its number, the vector of that number."""

    name, dimension = "seeded", DIMENSION
    sha256 = "0" * 64

    def __init__(self, collection: Collection) -> None:
        self._collection = collection
        self._questions = collection.questions()

    def encode(self, texts: Sequence[str], progress: object = None) -> np.ndarray:
        """float32 [texts, 384]."""
        return np.stack([self._vector(text.split(" ", 1)[0]) for text in texts])

    def _vector(self, name: str) -> np.ndarray:
        number = int(name[1:])
        if name[0] == "q":
            return self._questions[number]
        block, place = divmod(number, _BLOCK)
        if getattr(self, "_at", None) != block:
            self._at, self._held = block, self._collection.block(block)
        return self._held[place]


def text_of(name: str, seed: int) -> str:
    """Forty words whose frequencies fall off as those of language do."""
    rng = np.random.default_rng([2, seed])
    return " ".join([name, *(f"w{word}" for word in np.minimum(rng.zipf(1.3, _WORDS), 30_000))])


def brute_force(count: int, folder: Path) -> dict[str, float]:
    """Write down the true neighbours and say how long finding them takes."""
    import faiss

    collection = Collection(count)
    index = faiss.IndexFlatIP(DIMENSION)
    for block in collection.blocks():
        index.add(block)
    questions = collection.questions()
    seconds = timed(lambda n: index.search(questions[n : n + 1], _K))
    cosines, found = index.search(questions, _K)
    np.save(folder / "truth.npy", found)
    nearest = {"cosine of the 1st": float(cosines[:, 0].mean()), "10th": float(cosines[:, -1].mean())}
    return {**seconds, **nearest, "resident MiB": resident()}


def build(count: int, kind: str, folder: Path) -> dict[str, object]:
    """Write the vectors' files."""
    from videopath.knowledge.index.vectors import write_vectors

    begun = time.perf_counter()
    used, paths = write_vectors(folder / "x", np.arange(count), Collection(count).blocks(), DIMENSION, kind)  # type: ignore[arg-type]
    seconds = time.perf_counter() - begun
    for path in paths:
        path.rename(folder / f"x.{path.name.split('.')[-2]}")
    return {"kind": used, "build s": seconds, "peak MiB": peak(), "disk MiB": size_of(folder.glob("x.*"))}


def search(count: int, kind: str, folder: Path) -> dict[str, float]:
    """Open the files and answer."""
    from videopath.knowledge.index.vectors import Vectors

    before = resident()
    vectors = Vectors.open(kind, sorted(folder.glob("x.*")))  # type: ignore[arg-type]
    questions, truth = Collection(count).questions(), np.load(folder / "truth.npy")
    allowed = np.ones(count, bool)
    found: list[np.ndarray] = [np.zeros(0)] * _QUESTIONS

    def ask(number: int) -> None:
        found[number] = vectors.search(questions[number], _DEPTH, allowed)[0]

    seconds = timed(ask)
    hits = sum(len(set(f[:_K].tolist()) & set(t.tolist())) for f, t in zip(found, truth, strict=True))
    return {"recall@10": hits / truth.size, **seconds, "resident MiB": resident() - before}


def whole(count: int, folder: Path) -> dict[str, object]:
    """Build a knowledge base of so many records and ask its views, alone and fused."""
    from videopath.knowledge import InstructionRecord, KnowledgeBase, Query, ViewWeights

    collection = Collection(count)
    records = (
        InstructionRecord(id=str(n), source=f"s{n}", question="q", description=text_of(f"r{n}", n))
        for n in range(count)
    )
    begun = time.perf_counter()
    base = KnowledgeBase.build(folder / "kb", records, SeededEncoder(collection))
    measured: dict[str, object] = {
        "kind": base.info().index["text"][0].split(",")[0],
        "build s": time.perf_counter() - begun,
        "peak MiB": peak(),
        "disk MiB": size_of((folder / "kb").iterdir()),
    }
    truth = np.load(folder / "truth.npy")
    asked = [text_of(f"q{n}", 10**9 + n) for n in range(_QUESTIONS)]
    for name, weights in (("text", (1, 0, 0)), ("lexical", (0, 0, 1)), ("fused", (1, 0, 1))):
        found: list[list[str]] = [[]] * _QUESTIONS

        def ask(number: int, weights: tuple[int, int, int] = weights, found: list[list[str]] = found) -> None:
            hits = base.find(Query(asked[number]), _K, ViewWeights(*weights)).hits
            found[number] = [hit.record.id for hit in hits]

        seconds = timed(ask)
        measured |= {f"{name} {key}": value for key, value in seconds.items()}
        if name == "text":
            right = sum(len(set(map(int, f)) & set(t.tolist())) for f, t in zip(found, truth, strict=True))
            measured["recall@10"] = right / truth.size
    return measured


def timed(ask: Callable[[int], object]) -> dict[str, float]:
    """Milliseconds of one question."""
    for number in range(5):
        ask(number)
    spent = []
    for number in range(_QUESTIONS):
        begun = time.perf_counter()
        ask(number)
        spent.append(1e3 * (time.perf_counter() - begun))
    return {"median ms": statistics.median(spent), "p99 ms": float(np.percentile(spent, 99))}


def peak() -> float:
    """MiB that this process held at most, mapped files included."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def resident() -> float:
    """MiB that this process holds, mapped files included."""
    import psutil

    return psutil.Process().memory_info().rss / (1 << 20)


def size_of(paths: Iterator[Path]) -> float:
    """MiB on disk."""
    return sum(path.stat().st_size for path in paths if path.is_file()) / (1 << 20)


def in_process(task: str, count: int, kind: str, folder: Path) -> dict[str, object]:
    """Run one measurement in a process of its own."""
    command = [sys.executable, __file__, "--task", task, str(count), kind, str(folder)]
    done = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True)
    return json.loads(done.stdout.splitlines()[-1])


def measure(count: int, kinds: Sequence[str], with_whole: bool) -> Iterator[dict[str, object]]:
    """All lines of one size."""
    with tempfile.TemporaryDirectory(prefix="videopath-retrieval-") as place:
        folder = Path(place)
        brute = in_process("brute", count, "brute force", folder)
        yield {"records": count, "what": "brute force in memory", "recall@10": 1.0, **brute}
        for kind in dict.fromkeys(kinds):
            built = in_process("build", count, kind, folder)
            found = in_process("search", count, str(built["kind"]), folder)
            ratio = {"of brute force": float(found["median ms"]) / float(brute["median ms"])}  # type: ignore[arg-type]
            yield {"records": count, "what": f"{kind}: {built['kind']}", **built, **found, **ratio}
            for path in folder.glob("x.*"):
                path.unlink()
        if with_whole:
            yield {"records": count, "what": "knowledge base", **in_process("whole", count, "-", folder)}


def shown(line: dict[str, object]) -> str:
    """A line for people."""
    values = (
        f"{name} {value:.4g}" if isinstance(value, float) else f"{name} {value}"
        for name, value in line.items()
        if name not in ("records", "what", "kind")
    )
    return f"{line['records']:>9,}  {line['what']}\n           " + ", ".join(values)


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--sizes", default="10000,100000,1000000")
    parser.add_argument("--kinds", default="auto", help="auto, exact, hnsw, ivf, ivfpq; several with commas")
    parser.add_argument("--whole", action="store_true", help="a whole knowledge base, too")
    parser.add_argument("--json", action="store_true")
    parser.add_argument("--task", nargs=4, help=argparse.SUPPRESS)
    wanted = parser.parse_args()
    if wanted.task:
        task, count, kind, folder = wanted.task[0], int(wanted.task[1]), wanted.task[2], Path(wanted.task[3])
        tasks: dict[str, Callable[[], dict]] = {
            "brute": lambda: brute_force(count, folder),
            "build": lambda: build(count, kind, folder),
            "search": lambda: search(count, kind, folder),
            "whole": lambda: whole(count, folder),
        }
        print(json.dumps(tasks[task]()))
        return
    if not wanted.json:
        load = ", ".join(f"{value:.1f}" for value in os.getloadavg())
        print(f"{os.cpu_count()} cores, load before {load}; {_QUESTIONS} questions of {DIMENSION} numbers")
    for size in map(int, wanted.sizes.split(",")):
        for line in measure(size, wanted.kinds.split(","), wanted.whole):
            print(json.dumps(line) if wanted.json else shown(line), flush=True)


if __name__ == "__main__":
    main()
