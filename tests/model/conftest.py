"""Small random networks and conversations, for tests that need no golden files."""

from __future__ import annotations

import csv
import json
import shutil
from collections import defaultdict
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from videopath.model.synthetic import render_case
from videopath.model.training import corpus


@pytest.fixture(scope="session")
def byte_tokenizer() -> Any:
    """A Qwen2 tokenizer of the 256 bytes and the special tokens that the prompts need."""
    from tokenizers.pre_tokenizers import ByteLevel
    from transformers import Qwen2Tokenizer

    vocabulary = {letter: number for number, letter in enumerate(sorted(ByteLevel.alphabet()))}
    marks = ["<|im_start|>", "<|im_end|>"]
    return Qwen2Tokenizer(
        vocab=vocabulary, merges=[], eos_token="<|im_end|>", additional_special_tokens=marks
    )


@pytest.fixture(scope="session")
def make_network(byte_tokenizer: Any) -> Callable[..., Any]:
    """``make_network(tied=False, **rules)``: a random network, 40 px in patches of 8, 5 x 5 patches."""
    from videopath.model.network import LlavaConfig, new_network

    def make(tied: bool = False, **rules: Any) -> Any:
        text = {
            "hidden_size": 32,
            "intermediate_size": 48,
            "num_hidden_layers": 2,
            "num_attention_heads": 4,
            "num_key_value_heads": 2,
            "max_position_embeddings": 4096,
            "rms_norm_eps": 1e-6,
            "rope_theta": 1e6,
            "tie_word_embeddings": tied,
            "initializer_range": 0.2,
        }
        vision = {
            "hidden_size": 48,
            "intermediate_size": 64,
            "num_hidden_layers": 2,
            "num_attention_heads": 2,
            "image_size": 40,
            "patch_size": 8,
        }
        pinpoints = ((40, 80), (80, 40), (80, 80))
        config = {
            "newline_position": "grid",
            "aspect": "anyres",
            "pinpoints": pinpoints,
            "eos_token_ids": (258,),
        }
        return new_network(
            LlavaConfig(text_config=text, vision_config=vision, **{**config, **rules}), byte_tokenizer
        )

    return make


@pytest.fixture
def short_stage() -> dict[str, Any]:
    """A stage of four steps, without what is its own."""
    return {
        "steps": 4,
        "batch": 2,
        "bf16": False,
        "workers": 0,
        "frames": 3,
        "save_every": 2,
        "learning_rate": 1e-3,
    }


@pytest.fixture(scope="session")
def conversation_data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Eight images, four videos and two texts with conversations about them."""
    folder = tmp_path_factory.mktemp("conversations")
    draw = np.random.default_rng(1)
    for number in range(8):
        Image.fromarray(draw.integers(0, 255, (70 + number, 90, 3), np.uint8)).save(folder / f"{number}.png")
    render_case(folder / "case.mp4", seconds=4)

    def said(number: int, shown: dict[str, str]) -> dict[str, Any]:
        question = ("<image>\n" if shown else "") + f"What is shown in number {number}?"
        turns = [
            {"from": "human", "value": question},
            {"from": "gpt", "value": "Crowded glands. " * (1 + number % 3)},
        ]
        return {"id": f"{next(iter(shown), 'text')}-{number}", **shown, "conversations": turns}

    images = [said(n, {"image": f"{n}.png"}) for n in range(8)]
    videos = [said(n, {"video": "case.mp4"}) for n in range(4)]
    (folder / "images.json").write_text(json.dumps(images + [said(n, {}) for n in range(2)]))
    (folder / "videos.json").write_text(json.dumps(videos))
    return folder


@pytest.fixture
def data(conversation_data: Path, tmp_path: Path) -> Path:
    """A copy of its own."""
    return Path(shutil.copytree(conversation_data, tmp_path / "data"))


@pytest.fixture(scope="session")
def small_data(shared: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Four groups of each class and three slides of the real material."""
    data = tmp_path_factory.mktemp("data")
    for name in ("tiles", "videos", "atlas"):
        (data / name).symlink_to(shared / "data" / name)
    with (shared / "data" / "slides.csv").open(newline="") as stream:
        slides = list(csv.DictReader(stream))[:5]
    with (shared / "data" / "manifest.csv").open(newline="") as stream:
        rows = list(csv.DictReader(stream))
    groups: dict[str, dict[str, dict[str, str]]] = defaultdict(dict)
    for row in rows:
        if row["label"] in corpus.LABELS and len(groups[row["label"]]) < 4:
            groups[row["label"]].setdefault(row["group_id"], row)
    cases = {slide["case"] for slide in slides}
    kept = [row for label in groups.values() for row in label.values()]
    kept += [row for row in rows if row["label"].removeprefix("atlas:") in cases]
    _write_rows(data / "manifest.csv", kept)
    _write_rows(data / "slides.csv", slides)
    return data


def _write_rows(path: Path, rows: list[dict[str, str]]) -> None:
    with path.open("w", newline="") as stream:
        writer = csv.DictWriter(stream, list(rows[0]))
        writer.writeheader()
        writer.writerows(rows)
