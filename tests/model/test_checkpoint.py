"""One loader for every layout: what fits loads exactly, what does not is refused and named."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from safetensors.torch import load_file, save_file

from videopath.core.errors import ModelError
from videopath.model.checkpoints.conversion import convert
from videopath.model.checkpoints.loading import load_network, open_checkpoint
from videopath.model.checkpoints.saving import save_original
from videopath.model.inference.spec import EngineSpec
from videopath.model.lora.adapter import open_adapter

Edit = Callable[[dict[str, torch.Tensor]], None]
HEAD, EMBEDDING = "lm_head.weight", "model.embed_tokens.weight"
Q_PROJ = "model.layers.1.self_attn.q_proj.weight"
TOWER_Q = "model.vision_tower.vision_tower.vision_model.encoder.layers.0.self_attn.q_proj.weight"


@pytest.fixture
def checkpoint(make_network: Callable[..., Any], tmp_path: Path) -> Path:
    """A random network in the original layout, float32."""
    return save_original(make_network(), tmp_path / "checkpoint", torch.float32)


def edit_weights(folder: Path, change: Edit) -> None:
    tensors = load_file(folder / "model.safetensors")
    change(tensors)
    save_file(tensors, folder / "model.safetensors")


def edit_config(folder: Path, **changes: Any) -> None:
    config = json.loads((folder / "config.json").read_text())
    config = {key: value for key, value in {**config, **changes}.items() if value is not ...}
    (folder / "config.json").write_text(json.dumps(config))


def write_adapter(
    folder: Path, targets: dict[str, tuple[int, int]], **settings: Any
) -> dict[str, torch.Tensor]:
    """A random rank-3 adapter for tensors of the given (out, in); returns what it should add, by tensor."""
    folder.mkdir()
    config = {"peft_type": "LORA", "r": 3, "lora_alpha": 6, "bias": "none", **settings}
    (folder / "adapter_config.json").write_text(json.dumps(config))
    stored, added = {}, {}
    for number, (name, (rows, columns)) in enumerate(targets.items()):
        torch.manual_seed(number)
        a, b = torch.randn(3, columns), torch.randn(rows, 3)
        stem = "base_model.model." + name.removesuffix(".weight")
        stored[f"{stem}.lora_A.weight"], stored[f"{stem}.lora_B.weight"] = a, b
        added[name] = 2.0 * b @ a
    save_file(stored, folder / "adapter_model.safetensors")
    return added


@pytest.mark.parametrize("tied", [False, True])
@pytest.mark.parametrize("merge_type", ["spatial_unpad", "flat"])
def test_saved_and_loaded_is_the_same_network(
    make_network: Callable[..., Any], tmp_path: Path, tied: bool, merge_type: str
) -> None:
    network = make_network(tied=tied, patch_merge_type=merge_type, repetition_penalty=1.1, max_length=777)
    loaded = load_network(EngineSpec(save_original(network, tmp_path / "x", torch.float32), device="cpu"))
    for field in ("newline_position", "pool_mode", "patch_merge_type", "aspect", "pinpoints", "max_length"):
        assert getattr(loaded.config, field) == getattr(network.config, field)
    assert loaded.config.repetition_penalty == 1.1
    assert loaded.config.eos_token_ids == (258,)
    assert loaded.config.vision_config["num_attention_heads"] == 2
    for name, tensor in network.model.state_dict().items():
        if not name.endswith("image_newline") or network.config.has_newline:
            assert torch.equal(loaded.model.state_dict()[name], tensor), name
    embeddings = loaded.model.get_input_embeddings().weight
    assert (loaded.model.lm_head.weight is embeddings) == tied


def test_padded_rows_of_the_vocabulary_are_cut_off(checkpoint: Path) -> None:
    plain = load_network(EngineSpec(checkpoint, device="cpu"))

    def pad(tensors: dict[str, torch.Tensor]) -> None:
        for name in (HEAD, EMBEDDING):
            tensors[name] = torch.cat([tensors[name], torch.full((5, 32), 9.0)])

    edit_weights(checkpoint, pad)
    padded = load_network(EngineSpec(checkpoint, device="cpu"))
    assert torch.equal(padded.model.lm_head.weight, plain.model.lm_head.weight)
    assert padded.decode(torch.zeros(1, 2, 32))[0].shape == (1, 2, len(plain.tokenizer))


@pytest.mark.parametrize(
    ("change", "named"),
    [
        (lambda t: t.pop(Q_PROJ), f"lacks the tensor {Q_PROJ}"),
        (lambda t: t.pop("model.image_newline"), "lacks the tensor model.image_newline"),
        (
            lambda t: t.update({"model.layers.7.extra": torch.zeros(1)}),
            "holds the tensor model.layers.7.extra",
        ),
        (lambda t: t.update({Q_PROJ: torch.zeros(32, 31)}), f"{Q_PROJ} as [32, 31]"),
        (lambda t: t.update({EMBEDDING: torch.zeros(100, 32)}), f"{EMBEDDING} as [100, 32]"),
        (lambda t: [t.pop(name) for name in list(t) if "vision_tower" in name], "no SigLIP tower"),
        (lambda t: t.update({TOWER_Q.replace(".0.", ".99999999."): torch.zeros(48, 48)}), "encoder.layers.2"),
    ],
)
def test_what_does_not_fit_is_named(checkpoint: Path, change: Edit, named: str) -> None:
    edit_weights(checkpoint, change)
    with pytest.raises(ModelError) as raised:
        load_network(EngineSpec(checkpoint, device="cpu"))
    assert named in str(raised.value)


def test_the_unused_norm_of_the_tower_may_be_there_or_not(checkpoint: Path) -> None:
    before = load_network(EngineSpec(checkpoint, device="cpu"))
    edit_weights(checkpoint, lambda t: [t.pop(name) for name in list(t) if "post_layernorm" in name])  # type: ignore[func-returns-value,arg-type]
    after = load_network(EngineSpec(checkpoint, device="cpu"))
    pixels = torch.rand(1, 3, 40, 40)
    assert torch.equal(before.video_embeds(pixels), after.video_embeds(pixels))


def test_an_answer_ends_with_its_turn_where_the_checkpoint_names_no_end(checkpoint: Path) -> None:
    (checkpoint / "generation_config.json").unlink()
    network = load_network(EngineSpec(checkpoint, device="cpu"))
    assert [network.tokenizer.decode(network.config.eos_token_ids)] == ["<|im_end|>"]


@pytest.mark.parametrize("keep", [0, 7, 1000, -1])
def test_a_truncated_weight_file_is_named_in_one_sentence(checkpoint: Path, keep: int) -> None:
    file = checkpoint / "model.safetensors"
    file.write_bytes(file.read_bytes()[:keep])
    with pytest.raises(ModelError, match=r"model\.safetensors is damaged or incomplete"):
        load_network(EngineSpec(checkpoint, device="cpu"))


@pytest.mark.parametrize(
    ("name", "content", "said"),
    [
        ("config.json", "{", "config.json cannot be read as JSON"),
        ("config.json", "[1]", "config.json does not hold a JSON object"),
        ("tokenizer.json", "{}", "tokenizer files"),
        ("tokenizer.json", '{"added_tokens": [], "model": {"type": "Nope"}}', "tokenizer files"),
        ("generation_config.json", "nonsense", "generation_config.json cannot be read"),
    ],
)
def test_damaged_small_files_are_named(checkpoint: Path, name: str, content: str, said: str) -> None:
    (checkpoint / name).write_text(content)
    with pytest.raises(ModelError) as raised:
        load_network(EngineSpec(checkpoint, device="cpu"))
    assert said in str(raised.value)


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.data())
def test_a_config_with_wrong_values_loads_or_is_refused_in_words(
    checkpoint: Path, data: st.DataObject
) -> None:
    original = (checkpoint / "config.json").read_text()
    config = json.loads(original)
    key = data.draw(st.sampled_from(sorted(config)))
    wrong = st.sampled_from([None, 0, -1, 7, 1.5, "x", "", [], [1], ["x"], {}, {"x": 1}, True, 1 << 40])
    try:
        edit_config(checkpoint, **{key: data.draw(wrong)})
        load_network(EngineSpec(checkpoint, device="cpu"))
    except ModelError as error:
        assert "\n" not in str(error)  # noqa: PT017
    finally:
        (checkpoint / "config.json").write_text(original)


@pytest.mark.parametrize("name", ["config.json", "model.safetensors", "tokenizer.json"])
def test_missing_files_are_named(checkpoint: Path, name: str) -> None:
    (checkpoint / name).unlink()
    with pytest.raises(ModelError, match=name.replace(".", r"\.")):
        load_network(EngineSpec(checkpoint, device="cpu"))


@pytest.mark.parametrize(("present", "says"), [((1, 2), "2 of 2 shards"), ((2,), "1 of 2 shards")])
def test_shards_without_their_index_are_named(checkpoint: Path, present: tuple[int, ...], says: str) -> None:
    for number in present:
        (checkpoint / f"model-{number:05}-of-00002.safetensors").write_bytes(b"")
    (checkpoint / "model.safetensors").unlink()
    with pytest.raises(ModelError, match=f"{says}.*no model.safetensors.index.json"):
        open_checkpoint(checkpoint)


def test_a_missing_shard_is_named(checkpoint: Path) -> None:
    index = {"weight_map": {HEAD: "model-00002-of-00002.safetensors"}}
    (checkpoint / "model.safetensors.index.json").write_text(json.dumps(index))
    with pytest.raises(ModelError, match=r"model-00002-of-00002\.safetensors is missing"):
        open_checkpoint(checkpoint)


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"mm_newline_position": "diagonal"}, "mm_newline_position is 'diagonal'"),
        ({"mm_spatial_pool_mode": "median"}, "mm_spatial_pool_mode is 'median'"),
        ({"add_faster_video": True}, "add_faster_video"),
        ({"mm_use_im_start_end": True}, "mm_use_im_start_end"),
        ({"image_aspect_ratio": "crop_split"}, "image_aspect_ratio is 'crop_split'"),
        ({"hidden_size": ...}, "lacks hidden_size"),
        ({"use_sliding_window": True, "max_window_layers": 1}, "sliding window"),
    ],
)
def test_rules_that_are_not_known_are_refused(checkpoint: Path, changes: dict[str, Any], said: str) -> None:
    edit_config(checkpoint, **changes)
    with pytest.raises(ModelError) as raised:
        load_network(EngineSpec(checkpoint, device="cpu"))
    assert said in str(raised.value)


def test_geometry_comes_from_the_tensors_where_the_config_is_silent(checkpoint: Path) -> None:
    edit_config(
        checkpoint,
        vision_config=...,
        mm_newline_position=...,
        mm_vision_tower="google/siglip-so400m-patch14-384",
    )
    config = open_checkpoint(checkpoint).config()
    assert (config.image_size, config.patch_size, config.grid) == (40, 8, 5)
    assert config.vision_config["num_attention_heads"] == 3  # small towers: heads of 16
    assert config.newline_position == "one_token"  # the original's rule for a missing key


def test_the_image_size_is_the_one_that_has_the_tensors_grid(checkpoint: Path) -> None:
    edit_config(
        checkpoint,
        vision_config=...,
        image_grid_pinpoints="(1x1),...,(2x2)",
        mm_vision_tower="x/siglip-patch8-47",
    )
    config = open_checkpoint(checkpoint).config()
    assert config.image_size == 47
    assert config.pinpoints == ((47, 47), (47, 94), (94, 47), (94, 94))
    edit_config(checkpoint, image_grid_pinpoints=[[86, 86], [129, 86]])
    assert open_checkpoint(checkpoint).config().image_size == 43  # none of the sides, but what divides them


def test_scaled_rope_is_refused_where_it_would_count(
    make_network: Callable[..., Any], tmp_path: Path
) -> None:
    original = save_original(make_network(), tmp_path / "original", torch.float32)
    edit_config(original, rope_scaling={"type": "yarn", "factor": 4.0})
    open_checkpoint(original).config()  # the original switches it off
    converted = convert(original, tmp_path / "converted")
    text = json.loads((converted / "config.json").read_text())["text_config"]
    text.pop("rope_parameters", None)
    edit_config(converted, text_config={**text, "rope_scaling": {"type": "yarn", "factor": 4.0}})
    with pytest.raises(ModelError, match="scales RoPE by 'yarn'"):
        open_checkpoint(converted).config()


@pytest.mark.parametrize("naming", ["{}.lora_A.weight", "{}.lora_A.default.weight"])
def test_an_adapter_is_added_in_float32(checkpoint: Path, tmp_path: Path, naming: str) -> None:
    folder = tmp_path / "adapter"
    added = write_adapter(folder, {Q_PROJ: (32, 32), TOWER_Q: (48, 48)})
    if "default" in naming:
        stored = load_file(folder / "adapter_model.safetensors")
        save_file(
            {key.replace(".weight", ".default.weight"): t for key, t in stored.items()},
            folder / "adapter_model.safetensors",
        )
    base = open_checkpoint(checkpoint).weights
    merged = open_checkpoint(EngineSpec(folder, base=checkpoint)).weights
    for name in base.shapes:
        expected = base.read(name) + added[name] if name in added else base.read(name)
        torch.testing.assert_close(merged.read(name), expected, rtol=0, atol=0)
    network = load_network(EngineSpec(folder, base=checkpoint, device="cpu"))
    tower = network.model.model.vision_tower.encoder.layers[0].self_attn.q_proj.weight
    assert torch.equal(tower, base.read(TOWER_Q) + added[TOWER_Q])


def test_an_adapter_of_another_base_names_the_tensor(checkpoint: Path, tmp_path: Path) -> None:
    write_adapter(tmp_path / "shape", {Q_PROJ: (64, 64)})
    with pytest.raises(ModelError) as raised:
        load_network(EngineSpec(tmp_path / "shape", base=checkpoint, device="cpu"))
    assert Q_PROJ in str(raised.value)
    write_adapter(tmp_path / "layer", {"model.layers.9.mlp.up_proj.weight": (48, 32)})
    with pytest.raises(ModelError, match=r"model\.layers\.9\.mlp\.up_proj\.weight"):
        load_network(EngineSpec(tmp_path / "layer", base=checkpoint, device="cpu"))


@pytest.mark.parametrize("settings", [{"use_dora": True}, {"bias": "all"}, {"peft_type": "IA3"}, {"r": None}])
def test_other_kinds_of_adapter_are_refused(tmp_path: Path, settings: dict[str, Any]) -> None:
    write_adapter(tmp_path / "adapter", {Q_PROJ: (32, 32)}, **settings)
    with pytest.raises(ModelError):
        open_adapter(tmp_path / "adapter")


def test_an_adapter_needs_its_base_and_finds_it_beside_itself(checkpoint: Path, tmp_path: Path) -> None:
    write_adapter(tmp_path / "alone", {Q_PROJ: (32, 32)}, base_model_name_or_path="nowhere")
    with pytest.raises(ModelError, match="give its base"):
        open_checkpoint(tmp_path / "alone")
    with pytest.raises(ModelError, match="give a whole LLaVA checkpoint"):
        open_checkpoint(EngineSpec(tmp_path / "alone", base=tmp_path / "alone"))
    write_adapter(tmp_path / "beside", {Q_PROJ: (32, 32)}, base_model_name_or_path=checkpoint.name)
    assert open_checkpoint(tmp_path / "beside").layout == "lora"


@pytest.mark.parametrize("base_layer", ["map", "drop"])
def test_tensors_trained_beside_the_adapter_under_both_names(
    checkpoint: Path, tmp_path: Path, base_layer: Any
) -> None:
    folder = tmp_path / "adapter"
    added = write_adapter(folder, {Q_PROJ: (32, 32)})
    newline, q_proj = torch.full((32,), 3.0), torch.full((32, 32), 5.0)
    prefix = "base_model.model."
    stored = {
        prefix + "model.image_newline": newline,
        prefix + Q_PROJ.replace(".weight", ".base_layer.weight"): q_proj,
    }
    torch.save(stored, folder / "non_lora_trainables.bin")
    weights = open_checkpoint(EngineSpec(folder, base=checkpoint), base_layer=base_layer).weights
    under = q_proj if base_layer == "map" else open_checkpoint(checkpoint).weights.read(Q_PROJ)
    assert torch.equal(weights.read("model.image_newline"), newline)
    assert torch.equal(weights.read(Q_PROJ), under + added[Q_PROJ])


def test_tensors_beside_the_adapter_must_fit_the_base(checkpoint: Path, tmp_path: Path) -> None:
    folder = tmp_path / "adapter"
    write_adapter(folder, {Q_PROJ: (32, 32)})
    torch.save({"base_model.model.model.norm.weight": torch.zeros(33)}, folder / "non_lora_trainables.bin")
    with pytest.raises(ModelError, match=r"model\.norm\.weight as \[33\] but the base has \[32\]"):
        open_checkpoint(EngineSpec(folder, base=checkpoint))


class _Dangerous:
    def __reduce__(self) -> tuple[Any, ...]:
        return (print, ("code in a weight file ran",))


def test_code_in_a_weight_file_never_runs(
    checkpoint: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = tmp_path / "projector"
    folder.mkdir()
    torch.save({"x": _Dangerous()}, folder / "mm_projector.bin")
    with pytest.raises(ModelError, match=r"mm_projector\.bin is damaged"):
        open_checkpoint(EngineSpec(folder, base=checkpoint))
    assert "ran" not in capsys.readouterr().out


@pytest.mark.parametrize("legacy", [False, True])
def test_a_stage_0_projector_takes_its_place_on_a_base(
    checkpoint: Path, tmp_path: Path, legacy: bool
) -> None:
    folder = tmp_path / "projector"
    folder.mkdir()
    projector = {
        "model.mm_projector.0.weight": torch.randn(32, 48),
        "model.mm_projector.2.bias": torch.randn(32),
    }
    torch.save(projector, folder / "mm_projector.bin", _use_new_zipfile_serialization=not legacy)
    shutil.copy(checkpoint / "config.json", folder)
    edit_config(folder, mm_patch_merge_type="flat", image_aspect_ratio="square", image_grid_pinpoints=None)
    network = load_network(EngineSpec(folder, base=checkpoint, device="cpu"))
    assert torch.equal(
        network.model.model.multi_modal_projector.linear_1.weight, projector["model.mm_projector.0.weight"]
    )
    assert (network.config.image_size, network.config.patch_merge_type) == (40, "flat")
    assert network.video_embeds(torch.zeros(2, 3, 40, 40)).shape == (2 * 9, 32)


def test_golden_projector_on_its_base(shared: Path) -> None:
    folder = shared / "golden/ckpt/tiny"
    checkpoint = open_checkpoint(EngineSpec(folder / "stage0_projector", base=folder / "full"))
    stored = torch.load(folder / "stage0_projector/mm_projector.bin", weights_only=True)
    for name, tensor in stored.items():
        assert torch.equal(checkpoint.weights.read(name), tensor)
    assert checkpoint.config().patch_merge_type == "flat"
    assert (
        load_network(
            EngineSpec(folder / "stage0_projector", base=folder / "full", device="cpu")
        ).config.max_length
        == 8192
    )
