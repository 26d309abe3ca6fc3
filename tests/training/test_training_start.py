"""How a transfer begins and is planned, and several processes as one."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file
from transformers import Qwen2Config, Qwen2ForCausalLM, SiglipConfig, SiglipModel

from videopath.core.errors import InputError, ModelError
from videopath.model.checkpoints import tensor_names
from videopath.model.checkpoints.loading import load_network, load_tokenizer
from videopath.model.checkpoints.saving import save_tokenizer
from videopath.model.inference.spec import EngineSpec
from videopath.training.recipe import TransferRecipe, load_recipe
from videopath.training.transfer.planning import plan_stages
from videopath.training.transfer.stages import LEARNED_FILE, Transfer
from videopath.training.transfer.start import assemble


@pytest.fixture(scope="module")
def parts(tmp_path_factory: pytest.TempPathFactory, small_checkpoint: Path) -> tuple[Path, Path]:
    """A Qwen2 of 500 rows and a SigLIP of three layers, as transformers writes them."""
    folder = tmp_path_factory.mktemp("parts")
    torch.manual_seed(2)
    text = {
        "hidden_size": 48, "intermediate_size": 96, "num_hidden_layers": 2, "num_attention_heads": 4,
        "num_key_value_heads": 2, "vocab_size": 500, "tie_word_embeddings": False,
    }  # fmt: skip
    Qwen2ForCausalLM(Qwen2Config(**text)).save_pretrained(folder / "decoder")
    save_tokenizer(load_tokenizer(small_checkpoint), folder / "decoder")
    seen = {
        "hidden_size": 32, "intermediate_size": 64, "num_hidden_layers": 3, "num_attention_heads": 4, "image_size": 60,
        "patch_size": 12,
    }  # fmt: skip
    SiglipModel(SiglipConfig(vision_config=seen, text_config={**seen, "vocab_size": 60})).save_pretrained(
        folder / "tower"
    )
    return folder / "decoder", folder / "tower"


def test_a_decoder_and_a_tower_become_one_network(parts: tuple[Path, Path]) -> None:
    decoder, tower = map(str, parts)
    network = assemble(decoder, tower, seed=1)
    language = Qwen2ForCausalLM.from_pretrained(decoder)
    ids = torch.tensor([[5, 9, 17, 4]])
    with torch.no_grad():
        ours, _ = network.decode(network.embed_tokens(ids), use_cache=False)
        assert torch.allclose(ours, language(ids).logits, atol=1e-5)
        pixels = torch.randn(2, 3, 60, 60)
        states = (
            SiglipModel.from_pretrained(tower).vision_model(pixels, output_hidden_states=True).hidden_states
        )
        assert torch.allclose(network.encode(pixels), states[-2], atol=1e-5), "the last layer is dropped"
    again, other = (assemble(decoder, tower, seed=seed).model.state_dict() for seed in (1, 2))
    first = network.model.state_dict()
    drawn = {name for name in first if not torch.equal(first[name], other[name])}
    assert drawn == {n for n in first if "multi_modal_projector" in n or n == tensor_names.NEWLINE}
    assert all(torch.equal(first[name], again[name]) for name in first)


def test_parts_of_another_architecture_are_refused(parts: tuple[Path, Path]) -> None:
    decoder, tower = map(str, parts)
    with pytest.raises(ModelError, match="'siglip_vision_model' is needed"):
        assemble(decoder, decoder, seed=1)
    with pytest.raises(ModelError, match="'qwen2' is needed"):
        assemble(tower, tower, seed=1)


def test_the_whole_published_way_on_small_parts(
    short_stage: dict[str, Any], parts: tuple[Path, Path], data: Path, tmp_path: Path
) -> None:
    """Plain captions for the projector, then images, then LoRA on videos: rules change from stage to stage."""
    decoder, tower = map(str, parts)
    anyres = {
        "aspect": "anyres", "patch_merge_type": "spatial_unpad", "pinpoints": [[60, 120], [120, 60]], "max_length": 600,
    }  # fmt: skip
    stages = [
        {
            "name": "projector", "data": "images.json", "template": "plain", "trains": ["projector"],
            "rules": {"aspect": "square", "patch_merge_type": "flat"},
        },
        {"name": "images", "data": "images.json", "trains": ["tower", "projector", "decoder"], "rules": anyres},
        {"name": "videos", "data": "videos.json", "trains": ["tower", "projector"], "lora": {"rank": 4}, "rules": anyres},
    ]  # fmt: skip
    recipe = TransferRecipe.model_validate(
        {
            "kind": "transfer", "name": "whole", "start": {"decoder": decoder, "tower": tower},
            "stages": [{**short_stage, "steps": 2, **stage} for stage in stages],
        }
    )  # fmt: skip
    folder = Transfer(recipe, data, tmp_path, lambda _: None).run()
    network = load_network(EngineSpec(folder, device="cpu", dtype="float32"))
    assert (network.config.aspect, network.config.patch_merge_type) == ("anyres", "spatial_unpad")
    assert network.dtype == torch.float32
    first = load_network(EngineSpec(tmp_path / "projector" / "original", device="cpu", dtype="float32"))
    assert (first.config.aspect, first.config.patch_merge_type) == ("square", "flat")
    assert {name.rpartition("linear")[0] for name in load_file(tmp_path / "projector" / LEARNED_FILE)} == {
        "network.model.model.multi_modal_projector."
    }


def test_the_published_size_is_built_without_memory() -> None:
    recipe = load_recipe("vidrip-7b")
    assert isinstance(recipe, TransferRecipe)
    plans = plan_stages(recipe, gpus=8)
    assert [one.tensors for one in plans] == [762, 763, 763, 763], (
        "of 765 stored ones two are never used, one is the newline"
    )
    assert plans[1].parameters == 8_030_346_528
    assert plans[0].learning == {"projector": 1152 * 3584 + 3584 + 3584 * 3584 + 3584}
    lora = plans[3].learning
    assert set(lora) == {"tower", "projector", "tower by LoRA", "decoder by LoRA"}
    assert lora["tower by LoRA"] == 26 * 3 * 128 * 2 * 1152
    assert plans[1].states_gib > plans[3].states_gib > plans[0].states_gib
    with pytest.raises(InputError, match="does not give the size of its network"):
        plan_stages(recipe.model_copy(update={"geometry": None}), gpus=8)


_TWO = """
import sys
from pathlib import Path
from videopath.training.recipe import load_recipe
from videopath.training.transfer.stages import Transfer
recipe, data, out = sys.argv[1:]
Transfer(load_recipe(recipe), Path(data), Path(out), lambda sentence: None).run()
"""


@pytest.mark.slow
def test_two_processes_learn_what_one_does_with_the_double_batch(
    short_stage: dict[str, Any],
    small_checkpoint: Path,
    data: Path,
    tmp_path: Path,
) -> None:
    def run(name: str, processes: int, batch: int) -> dict[str, torch.Tensor]:
        stage: dict[str, Any] = {
            **short_stage, "steps": 1, "batch": batch, "name": "all", "data": "images.json",
            "trains": ["tower", "projector", "decoder"],
        }  # fmt: skip
        recipe = TransferRecipe.model_validate(
            {
                "kind": "transfer",
                "name": name,
                "start": {"checkpoint": str(small_checkpoint)},
                "stages": [stage],
            }
        )
        file = tmp_path / f"{name}.yaml"
        file.write_text(recipe.model_dump_json())
        launcher = ["-m", "torch.distributed.run", "--standalone", "--nproc-per-node", str(processes)]
        script = tmp_path / "two.py"
        script.write_text(_TWO)
        command = [
            sys.executable,
            *(launcher if processes > 1 else []),
            str(script),
            str(file),
            str(data),
            str(tmp_path / name),
        ]
        environment = {**os.environ, "OMP_NUM_THREADS": "1", "ACCELERATE_USE_CPU": "true"}
        subprocess.run(command, check=True, capture_output=True, text=True, timeout=240, env=environment)
        return load_file(tmp_path / name / "all" / LEARNED_FILE)

    together, apart = run("one", 1, 2), run("two", 2, 1)
    assert together.keys() == apart.keys()
    start = load_network(EngineSpec(small_checkpoint, device="cpu", dtype="float32")).model.state_dict()
    for name, tensor in together.items():
        moved = (tensor - start[name.removeprefix("network.model.")]).abs().max()
        assert torch.allclose(apart[name], tensor, atol=float(moved) * 0.02 + 1e-7), name
