"""Adapters: what PEFT would merge is merged to the same weights, every other kind is refused by name."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from peft import LoraConfig, PeftModel
from safetensors.torch import load_file, save_file

from videopath.core.errors import ModelError
from videopath.model import nano
from videopath.model.architecture.network import Network
from videopath.model.checkpoints.loading import load_network, open_checkpoint
from videopath.model.checkpoints.saving import save_original
from videopath.model.checkpoints.tensor_names import to_original
from videopath.model.inference.spec import EngineSpec
from videopath.model.lora.merging import merge

pytestmark = pytest.mark.filterwarnings("ignore::FutureWarning:transformers", "ignore::UserWarning:peft")

PLAIN: list[dict[str, Any]] = [
    {},
    {"lora_alpha": 5, "use_rslora": True},
    {"rank_pattern": {"layers.0.self_attn.q_proj": 6, "v_proj": 2}, "alpha_pattern": {"v_proj": 32}},
    {"rank_pattern": {"v_proj": 2}, "alpha_pattern": {r"layers\.1\..*q_proj": 3}, "use_rslora": True},
    {"init_lora_weights": "gaussian"},
    {"init_lora_weights": "orthogonal"},
    {"layers_to_transform": [1], "layers_pattern": "layers"},
    {"exclude_modules": r".*vision_tower.*"},
    {"target_modules": r".*language_model.*\.(q_proj|up_proj)"},
]


@pytest.fixture(scope="module")
def network(make_network: Callable[..., Any]) -> Network:
    return make_network()


@pytest.fixture(scope="module")
def base(network: Network, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return save_original(network, tmp_path_factory.mktemp("base") / "base", torch.float32)


def saved_by_peft(base: Path, folder: Path, settings: dict[str, Any]) -> dict[str, torch.Tensor]:
    """Save an adapter with PEFT, all its matrices at random, and return PEFT's own merge under original names."""
    network = load_network(EngineSpec(base, device="cpu"))
    config = LoraConfig(**{"r": 4, "lora_alpha": 8, "target_modules": ["q_proj", "v_proj"], **settings})
    model = PeftModel(network.model, config)
    torch.manual_seed(5)
    with torch.no_grad():
        for name, tensor in model.named_parameters():
            if ".lora_" in name:
                tensor.copy_(torch.randn_like(tensor))
    model.save_pretrained(str(folder))
    merged = model.merge_and_unload().state_dict()
    return {to_original(name): tensor for name, tensor in merged.items()}


@pytest.mark.parametrize("settings", PLAIN)
def test_what_peft_saves_is_merged_as_peft_merges_it(
    base: Path, tmp_path: Path, settings: dict[str, Any]
) -> None:
    expected = saved_by_peft(base, tmp_path / "adapter", settings)
    found = open_checkpoint(EngineSpec(tmp_path / "adapter", base=base)).weights
    changed = 0
    for name in found.shapes:
        torch.testing.assert_close(found.read(name), expected[name], rtol=0, atol=1e-5)
        changed += not torch.equal(expected[name], open_checkpoint(base).weights.read(name))
    assert changed


def test_a_merge_is_compared_with_peft_s_own(base: Path, tmp_path: Path) -> None:
    saved_by_peft(base, tmp_path / "adapter", PLAIN[2])
    found = merge(EngineSpec(tmp_path / "adapter", base=base), tmp_path / "merged", dtype="float32")
    assert found is not None
    assert found.peft is not None
    assert found.peft < 1e-6
    assert "PEFT's own merge differs by at most" in str(found)


def test_a_merge_that_peft_makes_otherwise_is_told(
    base: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The same wrong formula in merge and check is not believed."""
    from videopath.model.lora.settings import AdapterSettings

    saved_by_peft(base, tmp_path / "adapter", {"use_rslora": True})
    monkeypatch.setattr(AdapterSettings, "scale_of", lambda settings, module, rank: settings.alpha / rank)
    with pytest.raises(ModelError, match="answers differently.*PEFT's own merge"):
        merge(EngineSpec(tmp_path / "adapter", base=base), tmp_path / "merged")


@pytest.mark.parametrize(
    ("settings", "named"),
    [
        ({"init_lora_weights": "pissa"}, "init_lora_weights: 'pissa'"),
        ({"init_lora_weights": "pissa_niter_4"}, "init_lora_weights: 'pissa_niter_4'"),
        ({"init_lora_weights": "olora"}, "init_lora_weights: 'olora'"),
        ({"init_lora_weights": "corda", "corda_config": {"corda_method": "kpm"}}, "'corda'"),
        ({"init_lora_weights": "loftq", "loftq_config": {"loftq_bits": 4}}, "'loftq'"),
        ({"init_lora_weights": "lora_ga"}, "init_lora_weights: 'lora_ga'"),
        ({"init_lora_weights": "mica"}, "init_lora_weights: 'mica'"),
        ({"init_lora_weights": "of tomorrow"}, "init_lora_weights: 'of tomorrow'"),
        ({"loftq_config": {"loftq_bits": 4}}, "loftq_config"),
        ({"use_dora": True}, "use_dora: 'True'"),
        ({"use_qalora": True}, "use_qalora"),
        ({"use_bdlora": {"nblocks": 2}}, "use_bdlora"),
        ({"lora_bias": True}, "lora_bias"),
        ({"bias": "all"}, "bias: 'all'"),
        ({"bias": "lora_only"}, "bias: 'lora_only'"),
        ({"fan_in_fan_out": True}, "fan_in_fan_out"),
        ({"modules_to_save": ["lm_head"]}, "modules_to_save"),
        ({"trainable_token_indices": [1, 2]}, "trainable_token_indices"),
        ({"target_parameters": ["model.image_newline"]}, "target_parameters"),
        ({"layer_replication": [[0, 1], [0, 1]]}, "layer_replication"),
        ({"alora_invocation_tokens": [5]}, "alora_invocation_tokens"),
        ({"arrow_config": {"top_k": 2}}, "arrow_config"),
        ({"kasa_config": {"beta": 1}}, "kasa_config"),
        ({"monteclora_config": {"num_samples": 2}}, "monteclora_config"),
        ({"velora_config": {"num_groups": 2}}, "velora_config"),
        ({"megatron_config": {"x": 1}}, "megatron_config"),
        ({"ensure_weight_tying": True}, "ensure_weight_tying"),
        ({"use_what_comes_next": 1}, "use_what_comes_next"),
        ({"peft_type": "LOHA"}, "type 'LOHA'"),
        ({"peft_type": "ADALORA"}, "type 'ADALORA'"),
        ({"peft_type": None}, "type None"),
        ({"r": 5}, "says rank 5"),
        ({"r": 0}, "no number above 0"),
        ({"r": True}, "no number above 0"),
        ({"lora_alpha": "8"}, "no number above 0"),
        ({"lora_alpha": float("nan")}, "no number above 0"),
        ({"use_rslora": "no"}, "neither true nor false"),
        ({"alpha_pattern": {"q_proj": None}}, "no number above 0"),
        ({"alpha_pattern": {"(": 8}}, "not usable"),
        ({"rank_pattern": [4]}, "no table of patterns"),
        ({"rank_pattern": {"q_proj": 2}}, "says rank 2"),
        ({"target_modules": ["v_proj"]}, "does not name"),
        ({"exclude_modules": "model.*"}, "does not name"),
        ({"layers_to_transform": [0]}, "does not name"),
        ({"target_modules": 7}, "names no modules"),
    ],
)
def test_every_other_kind_is_refused_by_name(
    base: Path, tmp_path: Path, settings: dict[str, Any], named: str
) -> None:
    folder = tmp_path / "adapter"
    folder.mkdir()
    config = {"peft_type": "LORA", "r": 4, "lora_alpha": 8, "target_modules": ["q_proj"], **settings}
    (folder / "adapter_config.json").write_text(json.dumps(config))
    stem = "base_model.model.model.layers.1.self_attn.q_proj.lora_"
    save_file(
        {f"{stem}A.weight": torch.ones(4, 32), f"{stem}B.weight": torch.ones(32, 4)},
        folder / "adapter_model.safetensors",
    )
    with pytest.raises(ModelError) as raised:
        open_checkpoint(EngineSpec(folder, base=base))
    assert named in str(raised.value)
    assert "\n" not in str(raised.value)


def test_an_adapter_that_was_begun_by_pissa_is_refused_by_name(shared: Path, tmp_path: Path) -> None:
    folder = shutil.copytree(shared / "data/cases/pissa_adapter", tmp_path / "pissa")
    config = json.loads((folder / "adapter_config.json").read_text())
    config["base_model_name_or_path"] = str(Path(str(nano.__file__)).parent)
    (folder / "adapter_config.json").write_text(json.dumps(config))
    with pytest.raises(ModelError, match="init_lora_weights: 'pissa'"):
        merge(folder, tmp_path / "merged")
    assert not (tmp_path / "merged").exists()


def test_an_adapter_of_a_head_that_is_one_with_the_embeddings_is_refused(
    make_network: Callable[..., Any], tmp_path: Path
) -> None:
    base = save_original(make_network(tied=True), tmp_path / "base", torch.float32)
    tensors = load_file(base / "model.safetensors")
    tensors["lm_head.weight"] = tensors["model.embed_tokens.weight"].clone()
    save_file(tensors, base / "model.safetensors")
    folder = tmp_path / "adapter"
    folder.mkdir()
    (folder / "adapter_config.json").write_text(json.dumps({"peft_type": "LORA", "r": 4, "lora_alpha": 8}))
    rows = tensors["lm_head.weight"].shape[0]
    stem = "base_model.model.lm_head.lora_"
    save_file(
        {f"{stem}A.weight": torch.ones(4, 32), f"{stem}B.weight": torch.ones(rows, 4)},
        folder / "adapter_model.safetensors",
    )
    with pytest.raises(ModelError, match="shares that tensor with its embeddings"):
        open_checkpoint(EngineSpec(folder, base=base))
