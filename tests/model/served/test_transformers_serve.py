"""A real server: ``transformers serve`` with a tiny random LLaVA-NeXT, on loopback, without the network."""

from __future__ import annotations

import base64
import io
import json
import math
import os
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from urllib.error import URLError

import numpy as np
import pytest
from fixtures.tiny_llava import save_tiny_llava
from PIL import Image

from videopath.core.errors import ModelError
from videopath.media.clip import Clip, open_clip
from videopath.model import load_engine
from videopath.model.inference.engine import Engine
from videopath.model.served.frames import picture_text

pytestmark = pytest.mark.slow

QUESTION = "What is the best diagnosis for this colon tissue?"
LABELS = [" colon adenocarcinoma\n", " benign colon tissue\n", " tubular adenoma\n"]
_START = "from transformers.cli.transformers import main; main()"
_PATIENCE = 240  # seconds until the server must be ready


@pytest.fixture(scope="module")
def checkpoint(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return save_tiny_llava(tmp_path_factory.mktemp("model") / "tiny-llava")


@pytest.fixture(scope="module")
def address(checkpoint: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The address of a server that serves this checkpoint."""
    pytest.importorskip("fastapi")
    pytest.importorskip("uvicorn")
    home = tmp_path_factory.mktemp("server")
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        port = unused.getsockname()[1]
    command = [sys.executable, "-c", _START, "serve", str(checkpoint), "--host", "127.0.0.1"]
    environment = {**os.environ, "HF_HOME": str(home), "HF_HUB_OFFLINE": "1", "OMP_NUM_THREADS": "1"}
    with (home / "log.txt").open("wb") as log:
        process = subprocess.Popen(
            [*command, "--port", str(port), "--device", "cpu"], env=environment, stdout=log, stderr=log
        )
        try:
            _wait(f"http://127.0.0.1:{port}/health", process, home / "log.txt")
            yield f"http://127.0.0.1:{port}/v1"
        finally:
            process.terminate()
            process.wait(30)


def _wait(url: str, process: subprocess.Popen[bytes], log: Path) -> None:
    deadline = time.monotonic() + _PATIENCE
    while time.monotonic() < deadline and process.poll() is None:
        try:
            urllib.request.urlopen(url, timeout=5).close()
            return
        except (URLError, OSError):
            time.sleep(0.3)
    pytest.fail(f"the server did not start: {log.read_text(errors='replace')[-2000:]}")


@pytest.fixture(scope="module")
def engine(address: str, tmp_path_factory: pytest.TempPathFactory) -> Engine:
    return load_engine(f"openai:{address}")


def _clip(folder: Path, seed: int, frames: int = 3) -> Clip:
    rng = np.random.default_rng(seed)
    for number in range(frames):
        Image.fromarray(rng.integers(0, 255, (48, 72, 3), np.uint8)).save(folder / f"{number:02}.png")
    return open_clip(folder, frames)


@pytest.fixture(scope="module")
def clip(tmp_path_factory: pytest.TempPathFactory) -> Clip:
    return _clip(tmp_path_factory.mktemp("clip"), 1)


def test_the_server_is_asked_what_it_can_do(engine: Engine, checkpoint: Path, address: str) -> None:
    info = engine.info
    assert (info.name, info.address) == (str(checkpoint), address)
    assert info.scoring == "lettered choice"
    assert engine.abilities.system_one
    assert not engine.abilities.continues


def test_an_answer_is_that_of_the_model_to_the_token(engine: Engine, checkpoint: Path, clip: Clip) -> None:
    """The same pictures, words and weights here, greedily."""
    import torch
    from transformers import AutoModelForImageTextToText, AutoProcessor

    pieces: list[str] = []
    with engine.open(clip) as session:
        answer = session.generate(QUESTION, max_new_tokens=24, on_token=pieces.append)
        assert session.generate(QUESTION, max_new_tokens=24).text == answer.text
    assert answer.stopped == "length"
    assert "".join(pieces) == answer.text
    assert len(pieces) > 1

    content = []
    for second, frame in enumerate(clip.frames):
        picture = Image.open(io.BytesIO(base64.b64decode(picture_text(frame, 768, "jpeg"))))
        content += [{"type": "text", "text": f"Frame at {second} s:"}, {"type": "image", "image": picture}]
    messages = [{"role": "user", "content": [*content, {"type": "text", "text": QUESTION}]}]
    processor = AutoProcessor.from_pretrained(checkpoint)
    model = AutoModelForImageTextToText.from_pretrained(checkpoint)
    inputs = processor.apply_chat_template(
        messages, add_generation_prompt=True, tokenize=True, return_dict=True, return_tensors="pt"
    )
    with torch.inference_mode():
        tokens = model.generate(**inputs, max_new_tokens=24, do_sample=False)[
            0, inputs["input_ids"].shape[1] :
        ]
    assert answer.text == processor.tokenizer.decode(tokens, skip_special_tokens=True)


def test_an_answer_is_cancelled(engine: Engine, clip: Clip) -> None:
    with engine.open(clip) as session:
        pieces: list[str] = []
        answer = session.generate(
            QUESTION, max_new_tokens=2000, on_token=pieces.append, cancelled=lambda: len(pieces) >= 2
        )
        assert answer.stopped == "cancelled"
        assert answer.text == "".join(pieces)
        assert session.generate(QUESTION, max_new_tokens=4).stopped == "length"


def test_scores_come_from_the_choice_endpoint_in_one_request(
    engine: Engine, clip: Clip, tmp_path: Path
) -> None:
    with engine.open(clip) as session:
        before = engine.traffic.requests
        scores = session.score(QUESTION, LABELS, answer_start="Diagnosis:")
        assert engine.traffic.requests == before + 1
        assert sum(map(math.exp, scores)) == pytest.approx(1)
        assert session.score(QUESTION, LABELS[::-1], answer_start="Diagnosis:")[::-1] == scores
        assert session.notes == []
    with engine.open(_clip(tmp_path, 2)) as other:
        assert other.score(QUESTION, LABELS, answer_start="Diagnosis:") != scores


def test_more_frames_than_the_choice_takes_are_said(engine: Engine, tmp_path: Path) -> None:
    with engine.open(_clip(tmp_path, 3, frames=6)) as session:
        session.score(QUESTION, LABELS)
        assert session.notes == ["Scores rest on 4 of 6 frames: the server's choice takes no more."]


def test_sampled_answers_can_be_demanded(address: str, clip: Clip, monkeypatch: pytest.MonkeyPatch) -> None:
    record = {"address": address, "scoring": "sampled answers"}
    monkeypatch.setenv("VIDEOPATH_ENGINES", json.dumps({"tiny": record}))
    engine = load_engine("tiny")
    assert engine.info.scoring == "sampled answers"
    with engine.open(clip) as session:
        assert sum(map(math.exp, session.score(QUESTION, LABELS))) == pytest.approx(1)


def test_another_model_is_refused_with_the_one_that_is_served(address: str, checkpoint: Path) -> None:
    with pytest.raises(ModelError, match=str(checkpoint)):
        load_engine(f"openai:{address}#org/other")
