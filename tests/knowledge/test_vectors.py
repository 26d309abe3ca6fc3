"""Vectors on disk: every kind of search against brute force, masks, repeated rows, damaged files."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from videopath.core.choices import IndexKind
from videopath.core.errors import InputError, KnowledgeError
from videopath.knowledge.index.embedder import unit_rows
from videopath.knowledge.index.vectors import EXACT_BELOW, Vectors, choose_kind, write_vectors

KINDS: tuple[IndexKind, ...] = ("exact", "hnsw", "ivf", "ivfpq")


def clustered(count: int, dimension: int = 32, seed: int = 0) -> np.ndarray:
    rng = np.random.default_rng(seed)
    centres = rng.standard_normal((max(4, count // 100), dimension))
    return unit_rows(
        centres[rng.integers(len(centres), size=count)] + 0.4 * rng.standard_normal((count, dimension))
    )


def written(folder: Path, rows: np.ndarray, vectors: np.ndarray, kind: IndexKind = "exact") -> Vectors:
    """Written in chunks and opened under their last names."""
    folder.mkdir(parents=True, exist_ok=True)
    chunks = (vectors[start : start + 700] for start in range(0, len(vectors), 700))
    used, paths = write_vectors(folder / ".text", rows, chunks, vectors.shape[1], kind)
    files = [path.rename(path.with_name(f"text.{path.name.split('.')[-2]}")) for path in paths]
    return Vectors.open(used, files)


def brute(rows, vectors, query, depth, allowed=None) -> list[tuple[int, float]]:
    best: dict[int, float] = {}
    for row, score in zip(
        rows.tolist(), (vectors @ np.atleast_2d(query).T).max(axis=1).tolist(), strict=True
    ):
        if allowed is None or (row < len(allowed) and allowed[row]):
            best[row] = max(score, best.get(row, -9))
    return sorted(best.items(), key=lambda pair: (-pair[1], pair[0]))[:depth]


@settings(max_examples=60, deadline=None)
@given(
    count=st.integers(1, 60),
    repeats=st.integers(1, 4),
    questions=st.integers(1, 3),
    depth=st.integers(1, 80),
    seed=st.integers(0, 1000),
    masked=st.booleans(),
)
def test_exact_search_is_brute_force(
    tmp_path_factory, count, repeats, questions, depth, seed, masked
) -> None:
    rng = np.random.default_rng(seed)
    rows = np.sort(rng.integers(1, max(2, count // repeats) + 1, count)).astype(np.int64)
    vectors = unit_rows(rng.standard_normal((count, 8)))
    allowed = rng.random(int(rows.max()) + rng.integers(-1, 3)) < 0.6 if masked else None
    query = unit_rows(rng.standard_normal((questions, 8)))
    opened = written(tmp_path_factory.mktemp("v"), rows, vectors)
    found, cosines = opened.search(query, depth, allowed)
    expected = brute(rows, vectors, query, depth, allowed)
    assert found.tolist() == [row for row, _ in expected]
    assert cosines == pytest.approx([score for _, score in expected], abs=1e-6)
    again = opened.cosines(query, np.array([*found, 10_000]))
    assert again[:-1] == pytest.approx(cosines, abs=1e-6)
    assert np.isnan(again[-1])
    assert np.array_equal(opened.all(), vectors)


@pytest.fixture(scope="module", params=KINDS)
def large(request, tmp_path_factory) -> tuple[Vectors, np.ndarray]:
    vectors = clustered(6000)
    rows = np.arange(1, 6001, dtype=np.int64)
    return written(tmp_path_factory.mktemp(request.param), rows, vectors, request.param), vectors


def test_every_kind_finds_the_nearest(large) -> None:
    opened, vectors = large
    assert (len(opened), opened.dimension) == (6000, 32)
    hits = 0
    for query in clustered(50, seed=0)[:50]:
        found, cosines = opened.search(query, 10)
        assert len(found) == len(set(found.tolist())) == 10
        assert np.all(cosines[1:] <= cosines[:-1])
        assert cosines == pytest.approx(
            vectors[found - 1] @ query, abs=2e-3
        )  # float16 in the approximate kinds
        hits += len(set(found.tolist()) & {row for row, _ in brute(opened.rows, vectors, query, 10)})
    assert hits >= 0.95 * 500


@pytest.mark.parametrize("share", [0.5, 0.02, 0.0])
def test_only_what_is_allowed_is_found(large, share: float) -> None:
    opened, vectors = large
    rng = np.random.default_rng(3)
    allowed = rng.random(6001) < share
    right = 0
    for query in clustered(20, seed=5):
        found, _ = opened.search(query, 10, allowed)
        assert allowed[found].all()
        expected = [row for row, _ in brute(opened.rows, vectors, query, 10, allowed)]
        assert len(found) == len(expected)
        right += len(set(found.tolist()) & set(expected))
    assert right >= 0.95 * 200 or share == 0.0


def test_equal_ones_at_the_cut_come_by_their_rows(tmp_path: Path) -> None:
    near, far = np.eye(2, dtype=np.float32)
    vectors = np.stack([unit_rows((near + far)[None])[0]] * 3 + [near] * 2)
    opened = written(tmp_path, np.arange(5, dtype=np.int64), vectors)
    assert opened.search(near, 3)[0].tolist() == [3, 4, 0]
    assert opened.search(near, 4)[0].tolist() == [3, 4, 0, 1]
    assert opened.search(near, 1)[0].tolist() == [3]


def test_rows_with_many_vectors_come_once(tmp_path: Path) -> None:
    vectors = clustered(4000)
    rows = np.repeat(np.arange(40, dtype=np.int64), 100)
    for kind in KINDS:
        found, _ = written(tmp_path / kind, rows, vectors, kind).search(vectors[0], 12)
        assert len(found) == len(set(found.tolist())) == 12
        expected = {row for row, _ in brute(rows, vectors, vectors[0], 12)}
        assert len(expected & set(found.tolist())) >= (12 if kind == "exact" else 10)


def test_equal_vectors_give_equal_files(tmp_path: Path) -> None:
    vectors, rows = clustered(2000), np.arange(2000, dtype=np.int64)
    for kind in ("exact", "ivf", "ivfpq"):
        for name in ("a", "b"):
            written(tmp_path / name / kind, rows, vectors, kind)
        for path in (tmp_path / "a" / kind).iterdir():
            assert path.read_bytes() == (tmp_path / "b" / kind / path.name).read_bytes(), path


def test_the_kind_follows_number_and_memory() -> None:
    assert choose_kind(EXACT_BELOW - 1, 384) == "exact"
    assert choose_kind(EXACT_BELOW - 1, 384, 0) == "exact"
    assert [choose_kind(1_000_000, 384, gib << 30) for gib in (16, 1, 0)] == ["hnsw", "ivf", "ivfpq"]
    assert choose_kind(1_000_000, 384) in KINDS[1:]


def test_few_vectors_are_searched_exactly_whatever_is_asked(tmp_path: Path) -> None:
    assert written(tmp_path, np.arange(50, dtype=np.int64), clustered(50), "ivfpq").kind == "exact"


def test_wrong_calls_are_refused(tmp_path: Path) -> None:
    opened = written(tmp_path / "a", np.arange(50, dtype=np.int64), clustered(50))
    with pytest.raises(InputError, match="depth of 1 or more, not 0"):
        opened.search(clustered(1)[0], 0)

    def chunks(count: int) -> Iterator[np.ndarray]:
        yield clustered(count)

    for kind, count in (("exact", 49), ("ivf", 1999), ("ivf", 2001)):
        rows = np.arange(50 if kind == "exact" else 2000, dtype=np.int64)
        with pytest.raises(KnowledgeError, match="numbers must be equal"):
            write_vectors(tmp_path / ".text", rows, chunks(count), 32, kind)


@pytest.mark.parametrize("kind", KINDS)
def test_damaged_files_are_refused(tmp_path: Path, kind: IndexKind) -> None:
    written(tmp_path, np.arange(2000, dtype=np.int64), clustered(2000), kind)
    files = sorted(tmp_path.iterdir())
    for path in files:
        whole = path.read_bytes()
        zeros = [b"\0" * len(whole)] if path.suffix == ".faiss" else []  # the others hold numbers alone
        for data in (b"", whole[: len(whole) // 2], whole[:60], *zeros):
            path.write_bytes(data)
            with pytest.raises(KnowledgeError, match="cannot be opened|do not belong together"):
                Vectors.open(kind, files)
        path.write_bytes(whole)
    other = written(tmp_path / "other", np.arange(1500, dtype=np.int64), clustered(1500), kind)
    assert len(other) == 1500
    (tmp_path / "other" / "text.rows").replace(tmp_path / "text.rows")
    with pytest.raises(KnowledgeError, match="do not belong together"):
        Vectors.open(kind, files)
    with pytest.raises(KnowledgeError, match="cannot be opened"):
        Vectors.open(kind, [tmp_path / "none.rows"])
    others = sorted((tmp_path / "other").iterdir())
    for another in KINDS:
        if another != kind:
            with pytest.raises(KnowledgeError, match="cannot be opened"):
                Vectors.open(another, others)
