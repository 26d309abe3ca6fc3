"""videopath model merge: float32 arithmetic, the original's layout, and the proof against the unmerged network."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file

from videopath.core.errors import InputError, ModelError
from videopath.model.checkpoints.loading import load_network, open_checkpoint
from videopath.model.inference.spec import EngineSpec
from videopath.model.lora.merging import merge

ADAPTERS = ("llava-qwen-lora-peft04-fork", "llava-qwen-lora-peft04-classic", "llava-qwen-lora-peft13-fork")


@pytest.mark.parametrize("name", ADAPTERS)
@pytest.mark.parametrize("dtype", ["float32", "float16", "bfloat16"])
def test_the_original_s_adapters_are_merged_and_answer_as_unmerged(
    shared: Path, tmp_path: Path, name: str, dtype: str
) -> None:
    tiny = shared / "golden/ckpt/tiny"
    found = merge(EngineSpec(tiny / "lora" / name, base=tiny / "full"), tmp_path / "merged", dtype=dtype)
    assert found is not None
    assert found.positions > 20
    assert found.exact < 1e-5
    assert found.rounded < {"float32": 1e-5, "float16": 0.01, "bfloat16": 0.05}[dtype]
    settings = json.loads((tmp_path / "merged/config.json").read_text(encoding="utf-8"))
    assert settings["model_type"] == "llava_qwen"
    assert settings["torch_dtype"] == dtype


def test_it_is_rounded_once_from_float32(shared: Path, tmp_path: Path) -> None:
    tiny = shared / "golden/ckpt/tiny"
    source = tiny / "lora" / ADAPTERS[0]
    merge(EngineSpec(source, base=tiny / "full"), tmp_path / "merged", dtype="float16", check=False)
    exact, written = (
        open_checkpoint(EngineSpec(source, base=tiny / "full")).weights,
        open_checkpoint(tmp_path / "merged").weights,
    )
    for name in written.shapes:
        expected = exact.read(name)[: written.shapes[name][0]].to(torch.float16)
        assert torch.equal(written.read(name), expected), name


def test_a_projector_is_merged(shared: Path, tmp_path: Path) -> None:
    tiny = shared / "golden/ckpt/tiny"
    projector = tmp_path / "projector"
    projector.mkdir()
    network = load_network(EngineSpec(tiny / "full", device="cpu", dtype="float32"))
    learned = {
        f"model.mm_projector.{number}.{kind}": torch.full_like(getattr(layer, kind), 0.01)
        for number, layer in (
            ("0", network.model.model.multi_modal_projector.linear_1),
            ("2", network.model.model.multi_modal_projector.linear_2),
        )
        for kind in ("weight", "bias")
    }
    torch.save(learned, projector / "mm_projector.bin")
    assert merge(EngineSpec(projector, base=tiny / "full"), tmp_path / "merged") is not None
    merged = load_file(tmp_path / "merged/model.safetensors")
    expected = learned["model.mm_projector.0.weight"].to(torch.float16)
    assert torch.equal(merged["model.mm_projector.0.weight"], expected)


def test_a_merge_that_answers_differently_is_told(
    shared: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    tiny = shared / "golden/ckpt/tiny"
    from videopath.model.lora import merging

    def wrong(*arguments: object, **named: object) -> Path:
        folder = real(*arguments, **named)  # type: ignore[arg-type]
        tensors = load_file(folder / "model.safetensors")
        tensors["lm_head.weight"] = -3 * tensors["lm_head.weight"]
        save_file(tensors, folder / "model.safetensors", metadata={"format": "pt"})
        return folder

    real = merging.convert
    monkeypatch.setattr(merging, "convert", wrong)
    with pytest.raises(ModelError, match="answers differently"):
        merge(EngineSpec(tiny / "lora" / ADAPTERS[0], base=tiny / "full"), tmp_path / "merged")


def test_there_is_nothing_to_merge_in_a_whole_checkpoint(shared: Path, tmp_path: Path) -> None:
    with pytest.raises(InputError, match="nothing to merge"):
        merge(shared / "golden/ckpt/tiny/full", tmp_path / "merged")
    assert not (tmp_path / "merged").exists()
