"""The vectors of a view on disk, searched by FAISS from memory-mapped files.

``exact``
    compares every vector (``IndexFlatIP``, float32).
``hnsw``
    a graph over vectors with 8 bits a number (Malkov and Yashunin, TPAMI 2020): fastest, most memory.
``ivf``
    inverted lists of vectors with 8 bits a number (Sivic and Zisserman, ICCV 2003): less memory, fast to build.
``ivfpq``
    inverted lists of product codes with two bits a number (Jégou, Douze and Schmid, TPAMI 2011): least memory.

The approximate kinds only choose candidates. The candidates are ranked by their stored vectors, which lie beside the
index in float16 and are read from disk when they are needed. So every cosine that is returned is that of stored vectors.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Sequence
from functools import lru_cache
from importlib import import_module
from pathlib import Path
from typing import Any, Self

import numpy as np

from videopath.core.choices import IndexChoice, IndexKind
from videopath.core.errors import InputError, KnowledgeError
from videopath.knowledge.index.faiss_file import read_index

faiss: Any = import_module("faiss")  # its type stubs lack much that is used here

EXACT_BELOW = 200_000
"""From this many vectors an approximate kind is chosen."""

_ROW, _NUMBER = np.dtype("<i8"), np.dtype("<f2")  # formats of the files beside the index
_LEAST = 1_000  # fewer vectors are always searched exactly: there is too little to train on
_BLOCK = 16_384  # vectors that are in memory at once
_LINKS = 32  # of a node in the graph; its lowest layer has twice as many
_BUILD_EFFORT = 80  # candidates while the graph is built
_EFFORT = 160  # candidates while it is searched
_PROBES = 0.04  # share of the lists that are searched
_FETCHED: dict[IndexKind, int] = {"hnsw": 4, "ivf": 4, "ivfpq": 16}
"""Candidates that are ranked for each requested hit; coarser codes need more."""
_FEW = 20_000  # up to this many allowed vectors are compared one by one
_SLACK = 1e-3  # between a score of an approximate index and the cosine of the stored vectors
_TIE = 1e-6  # cosines that differ by less are equal but for rounding
_CLASSES: dict[IndexKind, str] = {
    "exact": "IndexFlatIP",
    "hnsw": "IndexHNSWSQ",
    "ivf": "IndexIVFScalarQuantizer",
    "ivfpq": "IndexIVFPQ",
}
_SEED = 1234


def choose_kind(count: int, dimension: int, memory: int | None = None) -> IndexKind:
    """Return how ``count`` vectors are searched best.

    Args:
        count: How many vectors.
        dimension: Their length.
        memory: Bytes of memory; by default what this machine has free.

    Returns:
        "exact" below 200,000 vectors; else "hnsw" if the graph fits into half of the memory, "ivf" if the lists fit, and
        "ivfpq" otherwise.
    """
    if count < EXACT_BELOW:
        return "exact"
    if memory is None:
        import psutil

        memory = int(psutil.virtual_memory().available)
    if count * (dimension + 8 * _LINKS) <= memory / 2:
        return "hnsw"
    return "ivf" if count * dimension <= memory / 2 else "ivfpq"


def write_vectors(
    stem: Path,
    rows: np.ndarray,
    chunks: Iterable[np.ndarray],
    dimension: int,
    kind: IndexChoice = "auto",
) -> tuple[IndexKind, list[Path]]:
    """Write vectors and their index to ``<stem>.<suffix>.part`` files.

    Args:
        stem: The beginning of the paths.
        rows: int64 [n], never falling: the record's row of each vector.
        chunks: float32 [m, dimension] with rows of length 1, n rows in total. They are read one after the other, so memory
            holds at most the index and a training sample.
        dimension: The length of a vector.
        kind: How the vectors are searched; fewer than a thousand vectors are always searched exactly.

    Returns:
        The kind that was written, and the files.

    Raises:
        KnowledgeError: The chunks do not have as many vectors as there are rows.
    """
    if kind == "auto":
        kind = choose_kind(len(rows), dimension)
    if len(rows) < _LEAST:
        kind = "exact"
    paths = {name: stem.with_name(f"{stem.name}.{name}.part") for name in ("rows", "faiss", "vectors")}
    np.asarray(rows, _ROW).tofile(paths["rows"])
    if kind == "exact":
        index = faiss.IndexFlatIP(dimension)
        for chunk in chunks:
            index.add(np.ascontiguousarray(chunk, np.float32))
        written = index.ntotal
        files = [paths["rows"], paths["faiss"]]
    else:
        written = _store(paths["vectors"], len(rows), dimension, chunks)
        index = _trained(kind, _mapped(paths["vectors"], dimension))
        files = [paths["rows"], paths["faiss"], paths["vectors"]]
    if written != len(rows):
        raise KnowledgeError(f"There are {written} vectors for {len(rows)} rows; the numbers must be equal.")
    _write_index(index, paths["faiss"])
    return kind, files


class Vectors:
    """Memory-mapped vectors with their index. Several threads may search them."""

    def __init__(self, kind: IndexKind, index: Any, rows: np.ndarray, stored: np.ndarray) -> None:
        self.kind = kind
        self.rows = rows
        """int64 [n], never falling: the row of each vector."""
        self.dimension = int(stored.shape[1])
        self._index = index
        self._stored = stored
        self._selection = lru_cache(maxsize=4)(self._new_selection)

    @classmethod
    def open(cls, kind: IndexKind, files: Sequence[Path]) -> Self:
        """Open the files that :func:`write_vectors` wrote. Raises ``KnowledgeError`` if they are damaged."""
        by_suffix = {path.suffix.removeprefix("."): path for path in files}
        try:
            rows = np.fromfile(by_suffix["rows"], _ROW)
            flag = faiss.IO_FLAG_MMAP if kind in ("ivf", "ivfpq") else faiss.IO_FLAG_MMAP_IFC
            index = read_index(by_suffix["faiss"], flag)
            if type(index).__name__ != _CLASSES[kind]:
                raise ValueError(f"it is a {type(index).__name__}, not of the kind {kind!r}")
            stored = _flat_vectors(index) if kind == "exact" else _mapped(by_suffix["vectors"], index.d)
        except (OSError, ValueError, KeyError, RuntimeError) as error:
            reason = (str(error) or type(error).__name__).splitlines()[0]
            raise KnowledgeError(
                f"The vectors in {files[0].parent} cannot be opened: {reason}; build the knowledge base again."
            ) from error
        fits = len(stored) == len(rows) == index.ntotal and bool(np.all(rows[1:] >= rows[:-1]))
        if not fits or not len(rows) or rows[0] < 0:
            raise KnowledgeError(
                f"The vectors in {files[0].parent} do not belong together; build the knowledge base again."
            )
        return cls(kind, index, rows, stored)

    def __len__(self) -> int:
        return len(self.rows)

    def search(
        self, query: np.ndarray, depth: int, allowed: np.ndarray | None = None
    ) -> tuple[np.ndarray, np.ndarray]:
        """Return the rows of the nearest vectors, each row once with its best cosine.

        Args:
            query: float32 [dimension], or [q, dimension], of which the best cosine counts.
            depth: How many rows to return at most; at least 1.
            allowed: bool by row; rows beyond its end are not allowed. Pass the same array again to reuse its selection.

        Returns:
            (rows int64 [m], cosines float32 [m]), best first, with m up to ``depth``.

        Raises:
            InputError: ``depth`` is below 1.
        """
        if depth < 1:
            raise InputError(f"A search needs a depth of 1 or more, not {depth}.")
        queries = np.ascontiguousarray(np.atleast_2d(query), np.float32)
        selection = None if allowed is None else self._selection(_IdentityKey(allowed))
        count = len(self) if selection is None else selection.count
        if count == 0:
            return np.zeros(0, np.int64), np.zeros(0, np.float32)
        if self.kind != "exact" and selection is not None and count <= _FEW:
            return self._ranked(queries, np.flatnonzero(selection.mask), depth)
        # one more than requested shows whether equal vectors lie beyond the cut
        count_to_fetch = depth + 1 if self.kind == "exact" else max(_FETCHED[self.kind] * depth, 64)
        while True:
            indices, unseen = self._nearest(queries, min(count_to_fetch, count), selection)
            rows, cosines = self._ranked(queries, indices, depth)
            if count_to_fetch >= count or (len(rows) == depth and cosines[-1] >= unseen):
                return rows, cosines
            count_to_fetch *= 4  # several vectors of the same rows filled the list

    def cosines(self, query: np.ndarray, rows: np.ndarray) -> np.ndarray:
        """Return the best cosine of each row's vectors: float32 [len(rows)], NaN for a row without vectors here."""
        queries = np.ascontiguousarray(np.atleast_2d(query), np.float32)
        first, last = (np.searchsorted(self.rows, rows, side) for side in ("left", "right"))
        cosines = np.full(len(rows), np.nan, np.float32)
        for index in np.flatnonzero(last > first):
            vectors = np.asarray(
                self._stored[first[index] : last[index]], np.float32
            )  # [vectors of the row, d]
            cosines[index] = float((vectors @ queries.T).max())
        return cosines

    def all(self) -> np.ndarray:
        """Return all vectors in their order, float32 or float16 [n, dimension]; they are read from disk when used."""
        return self._stored

    def _nearest(
        self, queries: np.ndarray, count: int, selection: _Selection | None
    ) -> tuple[np.ndarray, float]:
        """Return the indices of the candidates of all queries, each once, and the highest score that another may have."""
        share = 1.0 if selection is None else selection.count / len(self)
        scores, indices = self._index.search(queries, count, params=self._parameters(count, share, selection))
        candidates = np.unique(indices[indices >= 0])
        if len(candidates) and candidates[-1] >= len(self):
            raise KnowledgeError(
                "The index of the knowledge base names a vector that does not exist; build the knowledge base again."
            )
        return candidates, float(scores[:, -1].max()) + (_TIE if self.kind == "exact" else -_SLACK)

    def _parameters(self, count: int, share: float, selection: _Selection | None) -> Any:
        chosen = {} if selection is None or selection.count == len(self) else {"sel": selection.selector}
        if self.kind == "exact":
            return faiss.SearchParameters(**chosen) if chosen else None
        wider = min(8.0, 1.0 / share)  # the fewer vectors are allowed, the more must be visited
        if self.kind == "hnsw":
            effort = int(max(_EFFORT, count) * wider)
            return faiss.SearchParametersHNSW(efSearch=effort, **chosen)
        lists = self._index.nlist
        probes = min(lists, math.ceil(max(8, _PROBES * lists) * wider))
        kind = faiss.IVFPQSearchParameters if self.kind == "ivfpq" else faiss.SearchParametersIVF
        return kind(nprobe=probes, **chosen)

    def _ranked(self, queries: np.ndarray, indices: np.ndarray, depth: int) -> tuple[np.ndarray, np.ndarray]:
        """Rank the rows of these vectors by the cosines of the stored vectors."""
        vectors = np.asarray(self._stored[indices], np.float32)
        best = (vectors @ queries.T).max(axis=1)  # [indices]
        rows = self.rows[indices]
        order = np.lexsort((rows, -best))
        _, firsts = np.unique(rows[order], return_index=True)  # the best vector of each row
        order = order[np.sort(firsts)][:depth]
        return rows[order], best[order].astype(np.float32)

    def _new_selection(self, allowed: _IdentityKey) -> _Selection:
        return _Selection(self.rows, allowed.array)


class _Selection:
    """The vectors that a search may return."""

    def __init__(self, rows: np.ndarray, allowed: np.ndarray) -> None:
        inside = rows < len(allowed)
        self.mask = np.zeros(len(rows), bool)
        self.mask[inside] = allowed[rows[inside]]
        self.count = int(self.mask.sum())
        self._bits = np.packbits(self.mask, bitorder="little")
        self.selector = faiss.IDSelectorBitmap(self._bits)


class _IdentityKey:
    """An array as a cache key by identity. The key keeps the array alive."""

    def __init__(self, array: np.ndarray) -> None:
        self.array = array

    def __hash__(self) -> int:
        return id(self.array)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, _IdentityKey) and other.array is self.array


def _flat_vectors(index: Any) -> np.ndarray:
    """Return a flat index's memory as float32 [n, d]; valid as long as the index lives."""
    return faiss.rev_swig_ptr(index.get_xb(), index.ntotal * index.d).reshape(index.ntotal, index.d)


def _mapped(path: Path, dimension: int) -> np.ndarray:
    """Map a file that :func:`_store` wrote as float16 [n, d]. Raises ``ValueError`` if its size does not fit."""
    return np.memmap(path, _NUMBER, "r").reshape(-1, dimension)


def _store(path: Path, count: int, dimension: int, chunks: Iterable[np.ndarray]) -> int:
    """Write the vectors in float16 and return their number; more than ``count`` if there are too many."""
    stored = np.memmap(path, _NUMBER, "w+", shape=(count, dimension))
    start = 0
    for chunk in chunks:
        if start + len(chunk) > count:
            return start + len(chunk)
        stored[start : start + len(chunk)] = chunk
        start += len(chunk)
    stored.flush()
    return start


def _trained(kind: IndexKind, stored: np.ndarray) -> Any:
    """Train and fill an approximate index over stored vectors [n, d]."""
    count, dimension = stored.shape
    lists = max(1, min(int(4 * math.sqrt(count)), count // 39))
    if kind == "hnsw":
        index = faiss.IndexHNSWSQ(
            dimension, faiss.ScalarQuantizer.QT_8bit, _LINKS, faiss.METRIC_INNER_PRODUCT
        )
        index.hnsw.efConstruction = _BUILD_EFFORT
    else:
        codes = f"PQ{_subspaces(dimension)}x{_bits(count)}" if kind == "ivfpq" else "SQ8"
        index = faiss.index_factory(dimension, f"IVF{lists},{codes}", faiss.METRIC_INNER_PRODUCT)
        index.cp.seed = _SEED
    sample = np.random.default_rng(_SEED).choice(count, min(count, 64 * max(lists, 256)), replace=False)
    index.train(np.asarray(stored[np.sort(sample)], np.float32))
    for block in _blocks(stored):
        index.add(block)
    return index


def _write_index(index: Any, path: Path) -> None:
    """Write an index. Raises ``OSError`` if not every byte could be written.

    FAISS's own writer raises ``RuntimeError`` on a full disk, or nothing if the last bytes are missing.
    """
    with path.open("wb") as stream:
        failed: list[OSError] = []

        def write(data: bytes) -> None:
            try:
                stream.write(data)
            except OSError as error:
                failed.append(error)
                raise

        try:
            faiss.write_index(index, faiss.PyCallbackIOWriter(write))
        except RuntimeError as error:
            raise (failed[0] if failed else error) from error


def _subspaces(dimension: int) -> int:
    """Return how many parts a product code has: one for four numbers, if that divides the dimension."""
    return next(size for size in range(max(1, dimension // 4), 0, -1) if dimension % size == 0)


def _bits(count: int) -> int:
    """Return the bits of a code: 8 (256 centroids) if there are enough vectors to find that many."""
    return max(1, min(8, int(math.log2(count / 39))))


def _blocks(stored: np.ndarray) -> Iterator[np.ndarray]:
    for start in range(0, len(stored), _BLOCK):
        yield np.ascontiguousarray(stored[start : start + _BLOCK], np.float32)
