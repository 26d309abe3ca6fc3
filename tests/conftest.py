"""Fixtures that all tests share."""

from __future__ import annotations

import os
import shutil
import sys
from pathlib import Path

import pytest

if "PYTEST_XDIST_WORKER" in os.environ:
    # workers side by side: threads that wait for one another cost most of the time
    os.environ.setdefault("OMP_NUM_THREADS", "1")
# hundreds of commands are started: each would compile all of ours anew
os.environ.pop("PYTHONDONTWRITEBYTECODE", None)
sys.dont_write_bytecode = False

pytest_plugins = (
    "fixtures.cases",
    "fixtures.knowledge",
    "fixtures.model_server",
    "fixtures.networks",
    "fixtures.postgres",
    "fixtures.spans",
)

_SHARED = Path(__file__).resolve().parents[2] / "shared"


@pytest.fixture(scope="session")
def shared() -> Path:
    """The contributors' material beside the checkout (golden files, real histology)."""
    if not (_SHARED / "golden").is_dir():
        pytest.skip("the contributors' material (../shared) is not beside this checkout")
    return _SHARED


@pytest.fixture(autouse=True)
def own_home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """No test touches the user's own case library."""
    home = tmp_path / "home"
    monkeypatch.setenv("VIDEOPATH_HOME", str(home))
    return home


@pytest.fixture(scope="session")
def nano_engine():  # noqa: ANN201 - importing the type would import torch at collection
    """The bundled model, loaded once."""
    from videopath.model import load_engine

    return load_engine("nano")


@pytest.fixture(scope="session")
def small_checkpoint(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A random model of 60 px in the original layout, with a card that knows colon and lung."""
    import json

    from videopath.model import LlavaConfig, new_network, save_original
    from videopath.training.scratch.tokenizer import train_tokenizer

    labels = {
        "colon": ["benign colon tissue", "colon adenocarcinoma"],
        "lung": ["benign lung tissue", "lung adenocarcinoma"],
    }
    words = [label for of_site in labels.values() for label in of_site]
    config = LlavaConfig(
        text_config={
            "hidden_size": 48,
            "intermediate_size": 96,
            "num_hidden_layers": 2,
            "num_attention_heads": 4,
            "num_key_value_heads": 2,
            "max_position_embeddings": 4096,
            "rope_theta": 1e6,
            "initializer_range": 0.25,
        },
        vision_config={
            "hidden_size": 32,
            "intermediate_size": 64,
            "num_hidden_layers": 2,
            "num_attention_heads": 4,
            "image_size": 60,
            "patch_size": 12,
        },
        newline_position="grid",
        pinpoints=((60, 120), (120, 60), (120, 120)),
        max_length=4096,
        repetition_penalty=1.05,
    )
    network = new_network(config, train_tokenizer(["Crowded irregular glands.", *words], 400), seed=3)
    folder = save_original(network, tmp_path_factory.mktemp("small") / "small")
    card = {
        "name": "small",
        "frames": 4,
        "licence": "none: random weights",
        "labels": labels,
        "unknown_label": "not a tissue that this model knows",
        "score_reduction": "sum",
    }
    (folder / "videopath.json").write_text(json.dumps(card), encoding="utf-8")
    return folder


@pytest.fixture(scope="session")
def small_case(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A short synthetic H&E video, 320×256, 6 seconds at 8 frames per second."""
    from videopath.media.synthetic import render_case

    return render_case(tmp_path_factory.mktemp("case") / "small_case.mp4", seconds=6, size=(320, 256))


@pytest.fixture(scope="session")
def words_alone(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The starter's records elsewhere, where no tiles vote beside them: the model alone decides."""
    from videopath.knowledge import STARTER_FOLDER

    return Path(shutil.copytree(STARTER_FOLDER, tmp_path_factory.mktemp("knowledge") / "words"))
