"""Our numbers against those of the original code (tiny random weights), case by case."""

from __future__ import annotations

import dataclasses
import hashlib
import json
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import PIL.Image
import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from videopath.media.clip import open_clip
from videopath.model.architecture.layout import image_tokens, pool, video_tokens
from videopath.model.architecture.network import Network
from videopath.model.architecture.preprocess import best_resolution, image_tiles, normalise
from videopath.model.checkpoints.loading import load_network, open_checkpoint
from videopath.model.inference.spec import EngineSpec
from videopath.model.lora.adapter import BaseLayer
from videopath.model.prompts.template import render_turns, tokenise

GOLDEN = Path(__file__).resolve().parents[3] / "shared" / "golden"
LORA = "ckpt/tiny/lora/llava-qwen-lora-"
BASE = "ckpt/tiny/full"
# folder of the expected numbers → checkpoint, its base, base_layer of load_network
CHECKPOINTS: dict[str, tuple[str, str | None, BaseLayer]] = {
    "tiny": (BASE, None, "map"),
    "geom384": ("ckpt/geom384/full", None, "map"),
    "lora/llava-qwen-lora-peft04-classic": (LORA + "peft04-classic", BASE, "map"),
    "lora/llava-qwen-lora-peft04-fork": (LORA + "peft04-fork", BASE, "map"),
    "lora/llava-qwen-lora-peft13-fork": (LORA + "peft13-fork", BASE, "drop"),
    "lora/llava-qwen-lora-peft13-fork__base_layer_remapped": (LORA + "peft13-fork", BASE, "map"),
    "lora/merged_fp16_peft04_fork": ("ckpt/tiny/merged_fp16_peft04_fork", None, "map"),
}
EMBEDS, LOGITS = 1e-5, 1e-4


def _cases() -> list[Any]:
    found = [(group, file.stem) for group in CHECKPOINTS for file in sorted((GOLDEN / group).glob("*.npz"))]
    missing = pytest.mark.skip(reason="the contributors' material (../shared) is not beside this checkout")
    return [pytest.param(*case, id="/".join(case)) for case in found] or [
        pytest.param("", "", marks=missing, id="golden")
    ]


def _pixel_cases() -> list[Any]:
    return [case for case in _cases() if case.values[0] in ("tiny", "geom384", "")]


@cache
def _network(group: str) -> Network:
    folder, base, base_layer = CHECKPOINTS[group]
    spec = EngineSpec(GOLDEN / folder, base and GOLDEN / base, device="cpu", dtype="float32")
    return load_network(spec, base_layer=base_layer)


@cache
def _case(group: str, case: str) -> tuple[dict[str, np.ndarray], dict[str, np.ndarray], dict[str, Any]]:
    """Inputs, expected numbers and facts of a case; adapters share the inputs of ``tiny``."""
    inputs_group = "tiny" if group.startswith("lora/") else group
    expected = dict(np.load(GOLDEN / group / f"{case}.npz"))
    inputs = dict(np.load(GOLDEN / inputs_group / f"{case}.npz"))
    facts = json.loads((GOLDEN / inputs_group / "meta.json").read_text())[case]
    if f"{group}/{case}" == "geom384/video4_one_token":
        inputs = {**dict(np.load(GOLDEN / group / "video4_grid.npz")), **inputs}
    return inputs, expected, facts


def _ruled(group: str, facts: dict[str, Any]) -> Network:
    """The group's network with the case's rules, weights shared."""
    network = _network(group)
    keys = {"newline_position": "mm_newline_position", "aspect": "image_aspect_ratio"}
    rules = {ours: facts[theirs] for ours, theirs in keys.items() if theirs in facts}
    return Network(dataclasses.replace(network.config, **rules), network.tokenizer, network.model)


def _stored_pixels(inputs: dict[str, np.ndarray], number: int) -> torch.Tensor:
    pixels = normalise(inputs[f"pixel_u8_{number}"])
    return pixels if pixels.ndim == 4 else pixels[None]


@torch.no_grad()
def _embeds(network: Network, inputs: dict[str, np.ndarray], facts: dict[str, Any]) -> torch.Tensor:
    visuals = []
    for number, kind in enumerate(facts.get("modalities", [])):
        pixels = _stored_pixels(inputs, number)
        size = tuple(facts["image_sizes_wh"][number]) if kind == "image" else (0, 0)
        visuals.append(
            network.video_embeds(pixels) if kind == "video" else network.image_embeds(pixels, size)
        )
    return network.embed(inputs["input_ids"].tolist(), visuals)


@torch.no_grad()
def _greedy(network: Network, embeds: torch.Tensor, steps: int, penalty: float) -> list[int]:
    """Greedy ids; the penalty falls on new tokens only, as with the original, whose prompt ids nobody knows."""
    ids: list[int] = []
    logits, past = network.decode(embeds, logits_to_keep=1)
    for _ in range(steps):
        row = logits[0, -1]
        seen = torch.tensor(sorted(set(ids)), dtype=torch.long)
        row[seen] = torch.where(row[seen] < 0, row[seen] * penalty, row[seen] / penalty)
        ids.append(int(row.argmax()))
        if ids[-1] in network.config.eos_token_ids:
            break
        logits, past = network.decode(network.embed_tokens(torch.tensor([[ids[-1]]])), past, logits_to_keep=1)
    return ids


@pytest.mark.parametrize(("group", "case"), _cases())
def test_embeddings_logits_and_greedy_ids_equal_the_original(group: str, case: str) -> None:
    inputs, expected, facts = _case(group, case)
    network = _ruled(group, facts)
    embeds = _embeds(network, inputs, facts)
    assert embeds.shape[1] == len(expected["inputs_embeds"])
    np.testing.assert_allclose(embeds[0].numpy(), expected["inputs_embeds"], rtol=0, atol=EMBEDS)

    with torch.no_grad():
        logits = network.decode(embeds)[0][0].numpy()
    rows = expected.get("logits_positions", np.arange(len(logits)))
    assert logits.shape[1] == len(network.tokenizer) == expected["logits"].shape[1]
    np.testing.assert_allclose(logits[rows], expected["logits"], rtol=0, atol=LOGITS)

    for key, penalty in (("gen_ids", network.config.repetition_penalty), ("gen_ids_norp", 1.0)):
        wanted = expected[key].tolist()
        assert _greedy(network, embeds, len(wanted), penalty) == wanted


@pytest.mark.parametrize(("group", "case"), _pixel_cases())
def test_features_along_the_way_equal_the_original(group: str, case: str) -> None:
    inputs, expected, facts = _case(group, case)
    network = _ruled(group, facts)
    for number, kind in enumerate(facts.get("modalities", [])):
        with torch.no_grad():
            features = network.encode(_stored_pixels(inputs, number))
            projected = network.project(features)
            found = {"vision_features": features, "projected": projected}
            if kind == "video":
                found["pooled"] = pool(projected, network.config.pool_mode)
        for key, values in found.items():
            if f"{key}_{number}" in inputs:
                desired = inputs[f"{key}_{number}"]
                # Sums of terms as large as the largest value; another processor adds them in another order.
                bound = EMBEDS * max(1.0, float(np.abs(desired).max()))
                np.testing.assert_allclose(values.numpy(), desired, rtol=0, atol=bound)


@pytest.mark.parametrize(("group", "case"), _pixel_cases())
def test_pixels_equal_the_original_for_the_installed_pillow(group: str, case: str) -> None:
    inputs, _, facts = _case(group, case)
    network = _ruled(group, facts)
    for number in range(len(facts.get("modalities", []))):
        if f"frames{number}" in inputs:
            kind, frames = "video", inputs[f"frames{number}"]
        else:
            kind, frames = "image", inputs[f"image{number}"][None]
        aspect = "pad" if case.startswith("multi") else None
        pixels = network.prepare(frames, kind, aspect=aspect)  # type: ignore[arg-type]
        stored = _stored_pixels(inputs, number)
        assert (pixels - stored).abs().max() <= 2 * 2 / 255 + 1e-6
        sha = facts[f"pixel_sha_{number}"]
        if int(PIL.__version__.split(".")[0]) >= 13:
            sha = facts.get(f"pixel_sha_{number}_pillow13", sha)
        shaped = pixels.reshape(facts.get(f"pixel_shape_{number}", pixels.shape))
        assert hashlib.sha256(shaped.numpy().tobytes()).hexdigest()[:16] == sha


@pytest.mark.parametrize(("group", "case"), _pixel_cases())
def test_prompt_tokens_equal_the_original_with_fast_and_slow_files(group: str, case: str) -> None:
    inputs, _, facts = _case(group, case)
    tokenizers = [_network(group).tokenizer, _network("lora/merged_fp16_peft04_fork").tokenizer]
    if "prompt" in facts:
        for tokenizer in tokenizers:
            assert tokenise(tokenizer, facts["prompt"]) == inputs["input_ids"].tolist()


@settings(max_examples=200, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(text=st.text(max_size=40))
def test_fast_and_slow_files_tokenise_any_text_alike(shared: Path, text: str) -> None:
    fast, slow = (_network(group).tokenizer for group in ("tiny", "lora/merged_fp16_peft04_fork"))
    assert tokenise(fast, text) == tokenise(slow, text)


def test_prompt_bytes(shared: Path) -> None:
    rows = json.loads((shared / "golden/tables/prompts_qwen_1_5.json").read_text())
    for row in rows:
        assert render_turns([tuple(turn) for turn in row["turns"]]).encode().hex() == row["utf8_hex"]


def test_anyres_table(shared: Path) -> None:
    """Best pinpoint, tiles, unpadding and token counts of 449 sizes, those at the edge of float rounding included."""
    table = json.loads((shared / "golden/tables/anyres_384.json").read_text())
    pinpoints = [tuple(size) for size in table["pinpoints_wh"]]
    size, grid = table["tile"], table["grid"]
    newline = torch.full((1,), -1.0)
    for row in table["rows"]:
        facts = dict(zip(table["columns"], row, strict=True))
        source = (facts["width"], facts["height"])
        best = best_resolution(source, pinpoints)
        assert best == (facts["best_w"], facts["best_h"])
        tiles = (best[0] // size, best[1] // size)
        assert (*tiles, 1 + tiles[0] * tiles[1]) == (
            facts["grid_w"],
            facts["grid_h"],
            facts["n_tiles_incl_base"],
        )
        features = torch.zeros(1 + tiles[0] * tiles[1], grid * grid, 1)
        tokens = image_tokens(
            features, newline, tiles=tiles, image_size=source, merge_type="spatial_unpad", aspect="anyres"
        )
        assert len(tokens) == facts["n_visual_tokens"]
        assert int((tokens < 0).sum()) == facts["unpad_h"]


def test_token_counts(shared: Path) -> None:
    counts = json.loads((shared / "golden/tables/token_counts_384.json").read_text())
    newline = torch.zeros(1)
    for frames in (1, 4, 8, 16, 32):
        pooled = pool(torch.zeros(frames, 27 * 27, 1), "bilinear")
        for position in ("grid", "one_token", "frame", "no_token"):
            tokens = video_tokens(pooled, newline, position, "spatial_unpad")
            assert len(tokens) == counts[f"video{frames}_{position}"]
    averaged = pool(torch.zeros(2, 27 * 27, 1), "average")
    assert averaged.shape[0] * averaged.shape[1] == counts["pool_average_tokens"]
    whole = torch.zeros(1, 27 * 27, 1)
    arguments = {"tiles": (1, 1), "image_size": (640, 480)}
    padded = image_tokens(whole, newline, merge_type="spatial_unpad", aspect="pad", **arguments)  # type: ignore[arg-type]
    flat = image_tokens(whole, newline, merge_type="flat", aspect="square", **arguments)  # type: ignore[arg-type]
    assert (len(padded), len(flat)) == (counts["pad_640x480"][0], counts["stage0_flat_square"])


@pytest.mark.filterwarnings("ignore:Passing `repetition_penalty`:UserWarning")
def test_generate_of_transformers_agrees_with_our_greedy_ids() -> None:
    """The checkpoint's penalty through ``inputs_embeds`` is the original's path; ours must be the same."""
    if not GOLDEN.is_dir():
        pytest.skip("the contributors' material (../shared) is not beside this checkout")
    inputs, expected, facts = _case("tiny", "video8_one_token")
    network = _ruled("tiny", facts)
    embeds = _embeds(network, inputs, facts)
    ids = network.model.generate(
        inputs_embeds=embeds,
        attention_mask=torch.ones(embeds.shape[:2], dtype=torch.long),
        do_sample=False,
        max_new_tokens=16,
        repetition_penalty=network.config.repetition_penalty,
        pad_token_id=0,
    )
    assert ids[0].tolist() == expected["gen_ids"].tolist()


def test_a_training_image_has_the_original_pixels(shared: Path) -> None:
    inputs = dict(np.load(shared / "golden/train/image.npz"))
    network = _network("tiny")
    picture = np.asarray(PIL.Image.open(shared / "golden/train/img_a.png").convert("RGB"))
    tiles = image_tiles(picture, network.config.image_size, "anyres", network.config.pinpoints)
    assert np.abs(tiles.astype(int) - inputs["pixel_u8"].reshape(tiles.shape)).max() <= 2


@torch.no_grad()
@pytest.mark.parametrize("sample", ["image", "video"])
def test_a_training_sample_has_the_original_loss(shared: Path, sample: str) -> None:
    """From the data set's pixels and labels; the original counts the vocabulary's padded rows, too."""
    inputs = dict(np.load(shared / f"golden/train/{sample}.npz"))
    network, pixels = _network("tiny"), normalise(inputs["pixel_u8"])
    with PIL.Image.open(shared / "golden/train/img_a.png") as image:
        size = image.size
    visual = network.video_embeds(pixels) if sample == "video" else network.image_embeds(pixels, size)
    embeds = network.embed(inputs["input_ids"].tolist(), [visual])
    states = network.model.model.language_model(inputs_embeds=embeds, use_cache=False).last_hidden_state
    head = open_checkpoint(shared / "golden/ckpt/tiny/full").weights.read("lm_head.weight").float()
    labels = torch.tensor(inputs["expanded_labels"]).long()
    loss = torch.nn.functional.cross_entropy(states[0, :-1] @ head.T, labels[1:], ignore_index=-100)
    assert float(loss) == pytest.approx(float(inputs["loss"]), abs=1e-5)


def test_a_training_clip_has_the_original_frames(shared: Path) -> None:
    stored = np.load(shared / "golden/train/clip_a_decord_frames.npz")
    clip = open_clip(shared / "golden/train/clip_a.mp4", 4, sampling="fps")
    assert clip.indices.tolist() == stored["idx"].tolist()
    assert np.array_equal(clip.frames, stored["frames"])
