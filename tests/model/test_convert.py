"""Converting to the Hugging Face layout, and telling what a checkpoint is."""

from __future__ import annotations

import dataclasses
import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image
from transformers import LlavaOnevisionForConditionalGeneration

from videopath.core.errors import InputError, ModelError
from videopath.core.files import sha256_file
from videopath.model.architecture.network import new_network
from videopath.model.architecture.preprocess import normalise
from videopath.model.checkpoints.conversion import convert, plan_shards
from videopath.model.checkpoints.inspection import inspect
from videopath.model.checkpoints.loading import load_network
from videopath.model.checkpoints.saving import save_original
from videopath.model.inference.spec import EngineSpec
from videopath.model.prompts.template import build_prompt, tokenise

Make = Callable[..., Any]


@given(st.dictionaries(st.text(max_size=3), st.integers(1, 50), max_size=20), st.integers(1, 60))
def test_shards_keep_all_tensors_in_order_and_within_the_limit(sizes: dict[str, int], limit: int) -> None:
    shards = plan_shards(sizes, limit)
    assert [name for shard in shards for name in shard] == list(sizes)
    for shard in shards:
        assert len(shard) == 1 or sum(sizes[name] for name in shard) <= limit


def _plain(folder: Path) -> LlavaOnevisionForConditionalGeneration:
    """What plain transformers makes of a folder; nothing may be missing or left over."""
    model, report = LlavaOnevisionForConditionalGeneration.from_pretrained(folder, output_loading_info=True)
    assert not any(report.values()), report
    return model.float().eval()


@torch.no_grad()
@pytest.mark.parametrize("tied", [False, True])
@pytest.mark.parametrize("merge_type", ["spatial_unpad", "flat"])
def test_plain_transformers_loads_the_same_network(
    make_network: Make, tmp_path: Path, tied: bool, merge_type: str
) -> None:
    network = make_network(tied=tied, patch_merge_type=merge_type, max_length=99, repetition_penalty=1.2)
    source = save_original(network, tmp_path / "original", torch.float32)
    folder = convert(source, tmp_path / "converted", shard_bytes=60_000)
    assert len(list(folder.glob("model-*.safetensors"))) > 2
    embeds = network.embed(tokenise(network.tokenizer, build_prompt("why?", visuals=0)), [])
    expected = network.decode(embeds)[0]
    assert torch.equal(_plain(folder)(inputs_embeds=embeds).logits, expected)
    ours = load_network(EngineSpec(folder, device="cpu"))
    assert torch.equal(ours.decode(embeds)[0], expected)
    rules = [field.name for field in dataclasses.fields(ours.config) if not field.name.endswith("_config")]
    assert {name: getattr(ours.config, name) for name in rules} == {
        name: getattr(network.config, name) for name in rules
    }


@torch.no_grad()
def test_an_image_through_plain_transformers_gives_the_golden_logits(shared: Path, tmp_path: Path) -> None:
    """Its own anyres path, pinpoints as (height, width), against the original's numbers."""
    folder = convert(shared / "golden/ckpt/tiny/full", tmp_path / "converted", dtype="float32")
    model = _plain(folder)
    case = dict(np.load(shared / "golden/tiny/image_anyres_wide.npz"))
    facts = json.loads((shared / "golden/tiny/meta.json").read_text())["image_anyres_wide"]
    (width, height), count = facts["image_sizes_wh"][0], facts["n_visual_tokens"]
    ids = [token for token in case["input_ids"].tolist() for _ in range(count if token == -200 else 1)]
    ids = [model.config.image_token_id if token == -200 else token for token in ids]
    logits = model(
        input_ids=torch.tensor([ids]),
        pixel_values=normalise(case["pixel_u8_0"])[None],
        image_sizes=torch.tensor([[height, width]]),
    ).logits
    np.testing.assert_allclose(logits[0].numpy(), case["logits"], rtol=0, atol=1e-4)


def test_the_converted_image_processor_is_the_originals(shared: Path, tmp_path: Path) -> None:
    from transformers import LlavaOnevisionImageProcessorPil

    folder = convert(shared / "golden/ckpt/tiny/full", tmp_path / "converted")
    processor = LlavaOnevisionImageProcessorPil.from_pretrained(folder)
    case = dict(np.load(shared / "golden/tiny/image_anyres_wide.npz"))
    pixels = processor(Image.fromarray(case["image0"]), return_tensors="np")["pixel_values"][0]
    assert np.abs(pixels - normalise(case["pixel_u8_0"]).numpy()).max() < 2 * 2 / 255 + 1e-5


@torch.no_grad()
def test_a_folder_that_transformers_saved_loads_too(make_network: Make, tmp_path: Path) -> None:
    network = make_network(aspect="anyres")
    network.model.save_pretrained(tmp_path)
    network.tokenizer.save_pretrained(tmp_path)
    loaded = load_network(EngineSpec(tmp_path, device="cpu"))
    embeds = torch.rand(1, 5, 32)
    assert torch.equal(loaded.decode(embeds)[0], network.decode(embeds)[0])
    pixels = torch.rand(1, 3, 40, 40)
    assert torch.equal(loaded.encode(pixels), network.encode(pixels))
    assert loaded.config.pinpoints == network.config.pinpoints
    assert loaded.config.newline_position == "one_token"  # Hugging Face's own way, where nothing else is said


@torch.no_grad()
def test_an_adapter_is_merged_on_the_way(shared: Path, tmp_path: Path) -> None:
    tiny = shared / "golden/ckpt/tiny"
    adapter, base = tiny / "lora/llava-qwen-lora-peft13-fork", tiny / "full"
    folder = convert(EngineSpec(adapter, base=base), tmp_path / "converted", dtype="float32")
    merged, plain = load_network(EngineSpec(adapter, base=base, device="cpu")), _plain(folder)
    for name, tensor in merged.model.state_dict().items():
        assert torch.equal(plain.state_dict()[name], tensor), name
    kept = convert(EngineSpec(adapter, base=base), tmp_path / "kept")
    assert inspect(kept).dtype == "bfloat16"  # that of the base


def test_nothing_half_written_stays(
    make_network: Make, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    source = save_original(make_network(), tmp_path / "original", torch.float32)
    target = tmp_path / "sub" / "converted"

    def stop(done: int, _: int) -> None:
        if done == 20:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        convert(source, target, shard_bytes=20_000, progress=stop)
    assert list(target.parent.iterdir()) == []
    target.mkdir()
    (target / "mine.txt").write_text("mine")
    with pytest.raises(InputError, match="exists already"):
        convert(source, target)
    with pytest.raises(InputError, match="float7"):
        convert(source, tmp_path / "x", dtype="float7")
    with pytest.raises(ModelError, match="could not be written"):
        convert(source, tmp_path / "original" / "config.json" / "x")
    assert (
        sorted(path.name for path in tmp_path.iterdir()) == ["home", "original", "sub"]
        or not (tmp_path / "x").exists()
    )


_MEASURE = """
import sys, resource
from pathlib import Path
from videopath.model.checkpoints.conversion import convert
source, target, shard = Path(sys.argv[1]), Path(sys.argv[2]), int(sys.argv[3])
before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
convert(source, target / "out", shard_bytes=shard)
print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before)
"""


@pytest.mark.slow
def test_memory_is_that_of_a_shard_not_of_the_model(make_network: Make, tmp_path: Path) -> None:
    """240 MB of weights in 20 MB shards: the peak grows by a few shards, however large the model is."""
    small = make_network()
    text = {**small.config.text_config, "intermediate_size": 60_000, "num_hidden_layers": 10}
    large = new_network(dataclasses.replace(small.config, text_config=text), small.tokenizer)
    source = save_original(large, tmp_path / "original", torch.float32)
    size = (source / "model.safetensors").stat().st_size
    del large
    assert size > 230e6
    done = subprocess.run(
        [sys.executable, "-c", _MEASURE, str(source), str(tmp_path), str(20 << 20)],
        capture_output=True,
        text=True,
        check=True,
    )
    grown = int(done.stdout.split()[-1]) * 1024
    assert grown < size / 2, f"the peak grew by {grown >> 20} MiB for shards of 20 MiB"


def test_inspection_tells_layout_sizes_and_rules(shared: Path) -> None:
    tiny = shared / "golden/ckpt/tiny"
    full = inspect(tiny / "full")
    assert (full.layout, full.model_type, full.dtype, full.tensors) == ("original", "qwen2", "bfloat16", 81)
    assert full.network is not None
    assert full.problems == []
    shown = full.network
    assert (shown.image_size, shown.grid, shown.newline_position) == (76, 5, "grid")
    assert (shown.vocabulary_rows, shown.tokenizer_entries, shown.repetition_penalty) == (544, 502, 1.05)
    merged = inspect(tiny / "merged_fp16_peft04_fork")
    assert (merged.model_type, merged.dtype) == ("llava_qwen", "float16")
    assert merged.sha256 == sha256_file(tiny / "merged_fp16_peft04_fork/model.safetensors")


@pytest.mark.parametrize(
    ("naming", "changed", "base_layer"),
    [("peft04-fork", 81, 0), ("peft13-fork", 81, 42), ("peft04-classic", 4, 0)],
)
def test_inspection_of_an_adapter_with_and_without_its_base(
    shared: Path, naming: str, changed: int, base_layer: int
) -> None:
    folder = shared / f"golden/ckpt/tiny/lora/llava-qwen-lora-{naming}"
    alone = inspect(folder)
    assert alone.lora is not None
    assert (alone.lora.rank, alone.lora.alpha, alone.lora.targets, alone.lora.vision_targets) == (
        8,
        16,
        27,
        6,
    )
    assert (alone.lora.changed_tensors, alone.lora.base_layer_names) == (changed, base_layer)
    assert alone.network is None
    assert "give its base" in alone.problems[0]
    whole = inspect(EngineSpec(folder, base=shared / "golden/ckpt/tiny/full"))
    assert whole.network is not None
    assert whole.problems == []
    assert whole.sha256 != alone.sha256


def test_inspection_says_why_a_checkpoint_would_not_load(make_network: Make, tmp_path: Path) -> None:
    source = save_original(make_network(), tmp_path / "original")
    settings = json.loads((source / "config.json").read_text())
    (source / "config.json").write_text(json.dumps({**settings, "num_hidden_layers": 1}))
    assert "model.layers.1" in inspect(source).problems[0]
    (source / "videopath.json").write_text('{"name": "mine"}')
    assert inspect(source, hash_weights=False).card == {"name": "mine"}
    file = source / "model.safetensors"
    file.write_bytes(file.read_bytes()[:500])
    with pytest.raises(ModelError, match="damaged"):
        inspect(source)
