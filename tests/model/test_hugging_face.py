"""What other tools make of what is written: PEFT of adapters, transformers' processors and templates of conversions."""

from __future__ import annotations

import json
import os
import stat
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from peft import PeftModel
from transformers import (
    AutoTokenizer,
    LlavaOnevisionForConditionalGeneration,
    LlavaOnevisionImageProcessorPil,
)

from videopath.core.errors import InputError
from videopath.model import nano
from videopath.model.checkpoints.conversion import convert
from videopath.model.checkpoints.hf_settings import differences
from videopath.model.checkpoints.loading import load_network, load_tokenizer
from videopath.model.inference.spec import EngineSpec
from videopath.model.lora.peft_export import export_adapter
from videopath.model.prompts.template import IMAGE_TAG, IMAGE_TOKEN_ID, build_prompt, tokenise

pytestmark = pytest.mark.filterwarnings("ignore::FutureWarning:transformers", "ignore::UserWarning:peft")
NANO = Path(str(nano.__file__)).parent


@pytest.fixture
def open_umask() -> Iterator[None]:
    before = os.umask(0o022)
    yield
    os.umask(before)


@torch.no_grad()
@pytest.mark.parametrize("naming", ["peft04-fork", "peft04-classic", "peft13-fork"])
def test_an_original_adapter_is_exported_and_peft_computes_our_merge(
    shared: Path, tmp_path: Path, naming: str
) -> None:
    tiny = shared / "golden/ckpt/tiny"
    source = tiny / "lora" / f"llava-qwen-lora-{naming}"
    folder = export_adapter(EngineSpec(source, base=tiny / "full"), tmp_path / "peft")
    plain = LlavaOnevisionForConditionalGeneration.from_pretrained(folder / "base", dtype=torch.float32)
    model = PeftModel.from_pretrained(plain, str(folder)).eval()
    ups = {name: tensor for name, tensor in model.named_parameters() if ".lora_B." in name}
    assert len(ups) == 27
    if naming.endswith("fork"):
        assert all(torch.any(tensor) for tensor in ups.values())
    ours = load_network(EngineSpec(source, base=tiny / "full", device="cpu", dtype="float32"))
    embeds = ours.embed(tokenise(ours.tokenizer, build_prompt("why?", visuals=0)), [])
    expected = ours.decode(embeds)[0]
    found = model(inputs_embeds=embeds).logits
    torch.testing.assert_close(found, expected, rtol=0, atol=0.05)  # the base is written in its own bfloat16
    again = load_network(EngineSpec(folder, device="cpu", dtype="float32"))
    torch.testing.assert_close(again.decode(embeds)[0], found, rtol=0, atol=1e-4)
    without = PeftModel.from_pretrained(
        LlavaOnevisionForConditionalGeneration.from_pretrained(folder / "base", dtype=torch.float32),
        str(folder),
    )
    with without.disable_adapter():
        assert not torch.allclose(without(inputs_embeds=embeds).logits, expected, atol=0.05)


def test_a_whole_checkpoint_has_no_adapter_to_export(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="no adapter to write"):
        export_adapter("nano", tmp_path / "x")
    assert not (tmp_path / "x").exists()


@pytest.fixture(scope="module")
def converted(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, list[str]]:
    told: list[str] = []
    before = os.umask(0o022)
    folder = convert("nano", tmp_path_factory.mktemp("converted") / "nano", tell=told.append)
    os.umask(before)
    return folder, told


def test_a_conversion_can_be_read_by_everybody_the_umask_allows(converted: tuple[Path, list[str]]) -> None:
    folder, _ = converted
    assert stat.S_IMODE(folder.stat().st_mode) == 0o755
    assert {stat.S_IMODE(file.stat().st_mode) for file in folder.iterdir()} == {0o644}


def test_the_newline_grid_is_told_on_the_card_and_to_the_caller(converted: tuple[Path, list[str]]) -> None:
    folder, told = converted
    assert told == differences(load_network(EngineSpec("nano", device="cpu")).config)
    assert any("grid of newline tokens" in sentence for sentence in told)
    card = (folder / "README.md").read_text(encoding="utf-8")
    assert all(sentence in card for sentence in told)
    assert (folder / "MODEL_CARD.md").read_bytes() == (NANO / "MODEL_CARD.md").read_bytes()


def test_what_transformers_computes_as_trained_is_not_told(make_network: Callable[..., Any]) -> None:
    config = make_network(newline_position="one_token").config
    assert differences(config) == []
    assert len(differences(make_network(pool_mode="max", aspect="pad").config)) == 3


def test_the_marks_are_single_tokens_and_the_network_is_the_same(converted: tuple[Path, list[str]]) -> None:
    folder, _ = converted
    before, after = load_tokenizer(NANO), AutoTokenizer.from_pretrained(folder)
    settings = json.loads((folder / "config.json").read_text())
    processor = json.loads((folder / "processor_config.json").read_text())
    ids = after.convert_tokens_to_ids([processor["image_token"], processor["video_token"]])
    assert ids == [settings["image_token_index"], settings["video_token_index"]]
    assert len({*ids, after.pad_token_id}) == 3
    assert len(after) == len(before)
    text = "Glands \u00fe\u00ff, naïve 100 µm — 腺 \U0001f52c"
    assert after(text)["input_ids"] == before(text)["input_ids"]


@pytest.mark.parametrize("kind", ["image", "video"])
def test_the_chat_template_is_the_prompt_of_training(converted: tuple[Path, list[str]], kind: str) -> None:
    folder, _ = converted
    tokenizer = AutoTokenizer.from_pretrained(folder)
    mark = json.loads((folder / "processor_config.json").read_text())[f"{kind}_token"]
    question = "What is the best diagnosis?"
    asked = [{"role": "user", "content": [{"type": "text", "text": question}, {"type": kind}]}]
    shown = tokenizer.apply_chat_template(asked, add_generation_prompt=True, tokenize=False)
    assert shown == build_prompt(question).replace(IMAGE_TAG, mark)
    number = tokenizer.convert_tokens_to_ids(mark)
    expected = tokenise(load_tokenizer(NANO), build_prompt(question))
    assert tokenizer(shown)["input_ids"] == [number if one == IMAGE_TOKEN_ID else one for one in expected]
    plain = [{"role": "system", "content": "Be short."}, {"role": "user", "content": "Why?"}]
    assert tokenizer.apply_chat_template(plain, tokenize=False) == (
        "<|im_start|>system\nBe short.<|im_end|>\n<|im_start|>user\nWhy?<|im_end|>\n"
    )


def test_processors_are_configured_as_the_network_reads(converted: tuple[Path, list[str]]) -> None:
    folder, _ = converted
    config = load_network(EngineSpec("nano", device="cpu")).config
    processor = json.loads((folder / "processor_config.json").read_text())
    assert processor["processor_class"] == "LlavaOnevisionProcessor"
    assert processor["num_image_tokens"] == config.grid**2
    assert processor["vision_aspect_ratio"].startswith("anyres_max_")
    images = LlavaOnevisionImageProcessorPil.from_pretrained(folder)
    found = images(np.zeros((90, 200, 3), np.uint8), return_tensors="np")["pixel_values"]
    assert found.shape[-2:] == (config.image_size, config.image_size)
    videos = json.loads((folder / "video_preprocessor_config.json").read_text())
    assert videos["video_processor_type"] == "LlavaOnevisionVideoProcessor"
    assert videos["size"] == {"height": 112, "width": 112}
    assert (videos["num_frames"], videos["image_mean"], videos["image_std"]) == (8, [0.5] * 3, [0.5] * 3)


def test_the_whole_processor_loads_where_torchvision_is(converted: tuple[Path, list[str]]) -> None:
    pytest.importorskip("torchvision")
    from transformers import AutoProcessor

    folder, _ = converted
    processor = AutoProcessor.from_pretrained(folder)
    model = LlavaOnevisionForConditionalGeneration.from_pretrained(folder, dtype=torch.float32)
    asked = [{"role": "user", "content": [{"type": "video"}, {"type": "text", "text": "What is it?"}]}]
    text = processor.apply_chat_template(asked, add_generation_prompt=True)
    inputs = processor(text=text, videos=[np.zeros((20, 90, 120, 3), np.uint8)], return_tensors="pt")
    assert inputs["pixel_values_videos"].shape == (1, 8, 3, 112, 112)
    assert torch.isfinite(model(**inputs).logits).all()
    asked = [{"role": "user", "content": [{"type": "image"}, {"type": "text", "text": "What is it?"}]}]
    text = processor.apply_chat_template(asked, add_generation_prompt=True)
    inputs = processor(text=text, images=[np.zeros((90, 120, 3), np.uint8)], return_tensors="pt")
    assert torch.isfinite(model(**inputs).logits).all()
