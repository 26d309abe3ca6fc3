"""Damaged checkpoints: cut short, bits turned, values of other kinds. Each loads or is refused in one sentence."""

from __future__ import annotations

import json
import random
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file, save_file

from videopath.core.errors import ModelError
from videopath.model.architecture.config import LlavaConfig
from videopath.model.architecture.network import new_network
from videopath.model.card import read_card
from videopath.model.checkpoints.loading import load_network, open_checkpoint
from videopath.model.checkpoints.saving import save_original
from videopath.model.inference.spec import EngineSpec

SINGLE, SHARD = "pytorch_model.bin", "pytorch_model-00001-of-00001.bin"
_STRANGE = [None, True, -1, 0, 1.5, 1 << 70, float("nan"), float("inf"), "", "x", "\ud800", [], [[]], ["x"], {}, {"x": {}}]  # fmt: skip


@pytest.fixture(scope="module")
def whole(byte_tokenizer: Any, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The smallest network, in every kind of file that a checkpoint may have."""
    small = {"hidden_size": 16, "intermediate_size": 16, "num_hidden_layers": 1, "num_attention_heads": 2}
    text = {**small, "num_key_value_heads": 1, "max_position_embeddings": 512, "rope_theta": 1e4}
    config = LlavaConfig(text_config=text, vision_config={**small, "image_size": 40, "patch_size": 8})
    folder = save_original(
        new_network(config, byte_tokenizer), tmp_path_factory.mktemp("whole") / "safe", torch.float32
    )
    tensors = load_file(folder / "model.safetensors")
    for name in ("zipped", "legacy", "sharded"):
        other = shutil.copytree(folder, folder.parent / name, ignore=shutil.ignore_patterns("*.safetensors"))
        file = SHARD if name == "sharded" else SINGLE
        torch.save(tensors, other / file, _use_new_zipfile_serialization=name != "legacy")
        if name == "sharded":
            index = {"metadata": {}, "weight_map": dict.fromkeys(tensors, SHARD)}
            (other / "pytorch_model.bin.index.json").write_text(json.dumps(index))
    adapter = folder.parent / "adapter"
    adapter.mkdir()
    config_of_adapter = {"peft_type": "LORA", "r": 2, "lora_alpha": 4, "target_modules": ["q_proj"]}
    (adapter / "adapter_config.json").write_text(json.dumps({**config_of_adapter, "alpha_pattern": {"x": 2}}))
    stem = "base_model.model.model.layers.0.self_attn.q_proj.lora_"
    save_file(
        {f"{stem}A.weight": torch.ones(2, 16), f"{stem}B.weight": torch.ones(16, 2)},
        adapter / "adapter_model.safetensors",
    )
    torch.save({"base_model.model.model.norm.weight": torch.ones(16)}, adapter / "non_lora_trainables.bin")
    return folder.parent


def turned(data: bytes, draw: random.Random) -> bytes:
    """The bytes with one kind of damage; headers and directories, at both ends, are hit more often."""
    found = bytearray(data)
    kind = draw.random()
    if kind < 0.2:
        return bytes(found[: draw.randrange(len(found))])
    if kind < 0.3:
        at = draw.randrange(len(found))
        return bytes(found[:at] + found[at + draw.randrange(50) :])
    near = min(len(found), 4000)
    for _ in range(draw.choice([1, 1, 3, 20])):
        at = draw.choice(
            [draw.randrange(len(found)), draw.randrange(near), len(found) - 1 - draw.randrange(near)]
        )
        found[at] ^= 1 << draw.randrange(8)
    return bytes(found)


def exchanged(data: bytes, draw: random.Random) -> bytes:
    """A JSON text in which one value, at any depth, is of another kind."""
    content = json.loads(data)
    places: list[tuple[Any, Any]] = []

    def walk(value: Any) -> None:
        pairs = value.items() if isinstance(value, dict) else enumerate(value)
        for key, inner in list(pairs)[:40]:
            places.append((value, key))
            if isinstance(inner, dict | list):
                walk(inner)

    walk(content)
    parent, key = draw.choice(places)
    parent[key] = draw.choice(_STRANGE)
    return json.dumps(content).encode()


FILES = [
    ("safe", "model.safetensors"),
    ("zipped", SINGLE),
    ("legacy", SINGLE),
    ("sharded", "pytorch_model.bin.index.json"),
    ("safe", "config.json"),
    ("safe", "generation_config.json"),
    ("safe", "tokenizer.json"),
    ("safe", "tokenizer_config.json"),
    ("adapter", "adapter_config.json"),
    ("adapter", "adapter_model.safetensors"),
    ("adapter", "non_lora_trainables.bin"),
]


def damage(whole: Path, tmp_path: Path, name: str, file: str, times: int) -> None:
    folder = shutil.copytree(whole / name, tmp_path / name)
    data = (folder / file).read_bytes()
    draw = random.Random(f"{name} {file}")
    base = whole / "safe" if name == "adapter" else None
    refused = 0
    for _ in range(times):
        how: Callable[..., bytes] = exchanged if file.endswith(".json") and draw.random() < 0.6 else turned
        (folder / file).write_bytes(how(data, draw))
        try:
            load_network(EngineSpec(folder, base=base, device="cpu"))
        except ModelError as error:
            refused += 1
            assert "\n" not in str(error)  # noqa: PT017
            assert len(str(error)) < 700  # noqa: PT017
    assert refused > times / 10


@pytest.mark.parametrize(("name", "file"), FILES)
def test_a_damaged_file_is_refused_in_one_sentence(whole: Path, tmp_path: Path, name: str, file: str) -> None:
    damage(whole, tmp_path, name, file, 25)


@pytest.mark.slow
@pytest.mark.timeout(600)
@pytest.mark.parametrize(("name", "file"), FILES)
def test_a_file_is_damaged_in_many_ways(whole: Path, tmp_path: Path, name: str, file: str) -> None:
    damage(whole, tmp_path, name, file, 200)


@pytest.mark.parametrize(
    "content",
    [
        b"\x80\x02]q\x00(K\x01e.",
        b"\x80\x02N.",
        b"PK\x03\x04",
        b"\x80\x02}q\x00K\x01K\x02s.",
        b"}",
        b"\x00" * 64,
    ],
)
def test_what_torch_s_reader_stumbles_over_is_refused(whole: Path, tmp_path: Path, content: bytes) -> None:
    folder = shutil.copytree(whole / "zipped", tmp_path / "model")
    (folder / SINGLE).write_bytes(content)
    with pytest.raises(ModelError, match=r"pytorch_model\.bin"):
        load_network(EngineSpec(folder, device="cpu"))


@pytest.mark.parametrize("file", ["config.json", "generation_config.json", "tokenizer_config.json"])
def test_a_deeply_nested_json_is_refused(whole: Path, tmp_path: Path, file: str) -> None:
    folder = shutil.copytree(whole / "safe", tmp_path / "model")
    (folder / file).write_text('{"x":' + "[" * 200_000 + "]" * 200_000 + "}")
    with pytest.raises(ModelError, match="cannot be read"):
        load_network(EngineSpec(folder, device="cpu"))


def test_a_tokenizer_that_cannot_be_used_is_refused(whole: Path, tmp_path: Path) -> None:
    folder = shutil.copytree(whole / "safe", tmp_path / "model")
    settings = json.loads((folder / "tokenizer_config.json").read_text())
    (folder / "tokenizer_config.json").write_text(json.dumps({**settings, "model_max_length": {}}))
    with pytest.raises(ModelError, match="tokenizer"):
        load_network(EngineSpec(folder, device="cpu"))


def test_a_deeply_nested_card_is_refused(tmp_path: Path) -> None:
    (tmp_path / "videopath.json").write_text('{"labels":' + "[" * 200_000 + "]" * 200_000 + "}")
    with pytest.raises(ModelError, match="not a usable card"):
        read_card(tmp_path)


@pytest.mark.parametrize(
    "tensor", [torch.eye(3).to_sparse(), torch.ones(3, device="meta"), torch.ones(2).cfloat()]
)
def test_tensors_that_no_checkpoint_has_are_refused(
    whole: Path, tmp_path: Path, tensor: torch.Tensor
) -> None:
    folder = shutil.copytree(whole / "zipped", tmp_path / "model")
    stored = torch.load(folder / SINGLE, weights_only=True)
    torch.save({**stored, "model.norm.weight": tensor}, folder / SINGLE)
    with pytest.raises(ModelError, match=r"pytorch_model\.bin"):
        load_network(EngineSpec(folder, device="cpu"))


@pytest.mark.parametrize(("ending", "kind"), [("safetensors", "model"), ("bin", "pytorch_model")])
@pytest.mark.parametrize("projector", [False, True])
def test_shards_without_their_index_are_named_as_such(
    whole: Path, tmp_path: Path, ending: str, kind: str, projector: bool
) -> None:
    folder = shutil.copytree(whole / "safe", tmp_path / "model")
    (folder / "model.safetensors").rename(folder / f"{kind}-00001-of-00003.{ending}")
    if projector:
        torch.save({"model.mm_projector.0.bias": torch.ones(16)}, folder / "mm_projector.bin")
    with pytest.raises(ModelError) as raised:
        open_checkpoint(folder)
    said = str(raised.value)
    assert f"1 of 3 shards of weights ({kind}-00001-of-00003.{ending}" in said
    assert f"no {'model.safetensors' if ending == 'safetensors' else 'pytorch_model.bin'}.index.json" in said


@pytest.mark.parametrize("file", ["../safe/model.safetensors", "/etc/passwd", "", ".", 7, None, ["x"]])
def test_an_index_names_files_beside_it_alone(whole: Path, tmp_path: Path, file: Any) -> None:
    folder = shutil.copytree(whole / "sharded", tmp_path / "model")
    index = {"weight_map": {"model.norm.weight": file}}
    (folder / "pytorch_model.bin.index.json").write_text(json.dumps(index))
    with pytest.raises(ModelError, match="no file beside it"):
        open_checkpoint(folder)
