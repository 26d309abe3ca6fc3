"""What the tests of the command line share: a small random checkpoint, a sample case, and the command itself."""

from __future__ import annotations

import json
import socket
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from typer.testing import CliRunner, Result

LABELS = {"colon": ["benign colon tissue", "colon adenocarcinoma"]}
_TEXT = "Irregular glands with crowded, dark nuclei. Diagnosis: colon adenocarcinoma. Benign colon tissue."


@pytest.fixture(scope="session")
def checkpoint(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A random network in the original layout: its answers mean nothing, but every step really runs."""
    from videopath.model.architecture.config import LlavaConfig
    from videopath.model.architecture.network import new_network
    from videopath.model.checkpoints.saving import save_original
    from videopath.training.scratch.tokenizer import train_tokenizer

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
    from videopath.media.synthetic import render_case

    return render_case(tmp_path_factory.mktemp("video") / "case.mp4", seconds=2.0)


@pytest.fixture
def videopath() -> Callable[..., Result]:
    """The command in this process; stdout and stderr are kept apart."""
    from videopath.app.cli.main import app

    def run(*arguments: object) -> Result:
        return CliRunner().invoke(app, [str(argument) for argument in arguments])

    return run


@pytest.fixture
def free_port() -> int:
    """A port of loopback on which nothing listens."""
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        return int(found.getsockname()[1])


@pytest.fixture(scope="session")
def made_set_report() -> Callable[..., Any]:
    """``made_set_report("agent", "model", questions=45)``: a document of made answers; ``truth=False`` names no diagnosis."""
    from videopath.evaluation.testsets.answers import Answer
    from videopath.evaluation.testsets.document import SystemAnswers, set_facts, set_report
    from videopath.model.card import Card
    from videopath.model.inference.engine import EngineInfo

    diagnoses = LABELS["colon"]
    info = EngineInfo(
        name="nano", source="nano", layout="original", weights_sha256="1" * 64, device="cpu", dtype="float32", device_reason="",
        parameters=1, licence="", frames=8, card=Card(),
    )  # fmt: skip

    def answers(system: int, questions: int, truth: bool) -> list[Answer]:
        drawn = np.random.default_rng(system)
        return [
            Answer(
                id=str(n), video=f"{n}.mp4", question="?", reference=_TEXT, text=diagnoses[int(drawn.random() < 0.5)],
                truth=diagnoses[n % 2] if truth else None, group=f"patient {n % 9}", confidence=float(drawn.random()), seconds=1.0,
            )
            for n in range(questions)
        ]  # fmt: skip

    def made(
        *systems: Any, questions: int = 45, truth: bool = True, created: str = "", model: str = ""
    ) -> Any:
        said = {name: SystemAnswers(answers(place, questions, truth)) for place, name in enumerate(systems)}
        facts = set_facts("test.json", "0" * 64, said[systems[0]].answers)
        found = set_report(facts, info, said, lambda texts: np.ones((len(texts), 1)))
        return found.model_copy(update={"created": created or found.created, "model": model or found.model})

    return made
