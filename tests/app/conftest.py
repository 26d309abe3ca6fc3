"""What the tests of the command line share: a small random checkpoint, a sample case, and the command itself."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

LABELS = {"colon": ["benign colon tissue", "colon adenocarcinoma"]}
_TEXT = "Irregular glands with crowded, dark nuclei. Diagnosis: colon adenocarcinoma. Benign colon tissue."


@pytest.fixture(scope="session")
def checkpoint(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A random network in the original layout: its answers mean nothing, but every step really runs."""
    from videopath.model.config import LlavaConfig
    from videopath.model.network import new_network
    from videopath.model.save import save_original
    from videopath.model.training.tokenizer import train_tokenizer

    heads = {"num_hidden_layers": 2, "num_attention_heads": 2}
    config = LlavaConfig(
        text_config={"hidden_size": 32, "intermediate_size": 64, "num_key_value_heads": 1, **heads},
        vision_config={
            "hidden_size": 32,
            "intermediate_size": 64,
            "image_size": 48,
            "patch_size": 12,
            **heads,
        },
        newline_position="grid",
        pinpoints=((48, 96), (96, 48), (96, 96)),
        max_length=2048,
    )
    folder = save_original(
        new_network(config, train_tokenizer([_TEXT], 300)), tmp_path_factory.mktemp("model")
    )
    card = {"name": "small", "frames": 4, "licence": "Apache-2.0", "labels": LABELS, "score_reduction": "sum"}
    (folder / "videopath.json").write_text(json.dumps(card))
    return folder


@pytest.fixture(scope="session")
def sample(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A drawn case of two seconds."""
    from videopath.model.synthetic import render_case

    return render_case(tmp_path_factory.mktemp("video") / "case.mp4", seconds=2.0)


@pytest.fixture
def videopath() -> Callable[..., Result]:
    """The command in this process; stdout and stderr are kept apart."""
    from videopath.app.cli import app

    def run(*arguments: object) -> Result:
        return CliRunner().invoke(app, [str(argument) for argument in arguments])

    return run
