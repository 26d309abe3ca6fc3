"""The network's own path, on random weights."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch

from videopath.core.errors import InputError
from videopath.model.prompts.template import build_prompt, tokenise

Make = Callable[..., Any]
CLIP = np.random.default_rng(1).integers(0, 256, (3, 50, 70, 3), dtype=np.uint8)


def test_the_same_seed_gives_the_same_weights_and_leaves_torch_alone(make_network: Make) -> None:
    torch.manual_seed(5)
    expected = torch.rand(1)
    torch.manual_seed(5)
    first, second = make_network(), make_network()
    assert torch.equal(torch.rand(1), expected)
    for one, other in zip(first.parameters(), second.parameters(), strict=True):
        assert torch.equal(one, other)


def test_everything_that_is_used_gets_a_gradient(make_network: Make) -> None:
    network = make_network()
    visual = network.video_embeds(network.prepare(CLIP, "video"))
    logits, past = network.decode(
        network.embed(tokenise(network.tokenizer, build_prompt("why?")), [visual]), use_cache=False
    )
    logits.square().mean().backward()
    assert past is None
    without = [name for name, weight in network.named_parameters() if weight.grad is None]
    assert without == [f"model.model.vision_tower.post_layernorm.{part}" for part in ("weight", "bias")]


@torch.no_grad()
def test_continuing_from_a_cache_gives_the_same_logits(make_network: Make) -> None:
    network = make_network()
    embeds = network.embed(tokenise(network.tokenizer, build_prompt("why?", visuals=0)), [])
    whole, _ = network.decode(embeds)
    head, past = network.decode(embeds[:, :9])
    tail, _ = network.decode(embeds[:, 9:], past)
    torch.testing.assert_close(torch.cat([head, tail], dim=1), whole, rtol=0, atol=1e-5)
    last, _ = network.decode(embeds, logits_to_keep=2)
    torch.testing.assert_close(last, whole[:, -2:], rtol=0, atol=1e-5)
    chosen, _ = network.decode(embeds, logits_to_keep=torch.tensor([0, 3]))
    torch.testing.assert_close(chosen, whole[:, [0, 3]], rtol=0, atol=1e-5)


@torch.no_grad()
def test_the_visual_block_stands_where_the_mark_was(make_network: Make) -> None:
    network = make_network()
    visual = network.video_embeds(network.prepare(CLIP, "video"))
    ids = tokenise(network.tokenizer, build_prompt("why?"))
    place = ids.index(-200)
    embeds = network.embed(ids, [visual])[0]
    assert len(embeds) == len(ids) - 1 + len(visual) == len(ids) - 1 + 3 * 3 * 4
    assert torch.equal(embeds[place : place + len(visual)], visual)
    assert torch.equal(embeds[:place], network.embed_tokens(torch.tensor(ids[:place])))


def test_a_long_sequence_is_cut_from_its_end(make_network: Make) -> None:
    network = make_network(max_length=20)
    ids = tokenise(network.tokenizer, build_prompt("why?", visuals=0))
    assert torch.equal(network.embed(ids, [])[0], network.embed_tokens(torch.tensor(ids[:20])))


@pytest.mark.parametrize("visuals", [0, 2])
def test_marks_and_visuals_must_agree(make_network: Make, visuals: int) -> None:
    network = make_network()
    with pytest.raises(InputError, match="must be equal"):
        network.embed([1, -200, 2], [torch.zeros(1, 32)] * visuals)


@torch.no_grad()
@pytest.mark.parametrize(("aspect", "tiles"), [("anyres", 5), ("pad", 1), ("square", 1)])
def test_an_image_follows_the_checkpoints_aspect(make_network: Make, aspect: str, tiles: int) -> None:
    network = make_network(aspect=aspect)
    pixels = network.prepare(CLIP[:1], "image")
    assert len(pixels) == tiles
    assert len(network.prepare(CLIP[:1], "image", aspect="pad")) == 1
    expected = 25 + (8 * 11 if tiles == 5 else 1)  # 10 x 10 features, 8 rows left after unpadding
    assert network.image_embeds(pixels, (70, 50)).shape == (expected, 32)
    with pytest.raises(InputError, match="one frame"):
        network.prepare(CLIP, "image")


@torch.no_grad()
@pytest.mark.parametrize("aspect", ["anyres_max_1", "anyres_max_2", "anyres_max_9"])
@pytest.mark.parametrize("size", [(70, 50), (31, 97), (200, 10), (64, 64), (39, 41)])
def test_image_tokens_agree_with_those_of_transformers(
    make_network: Make, aspect: str, size: tuple[int, int]
) -> None:
    """An independent implementation of tiles, unpadding and down-interpolation."""
    network = make_network(aspect=aspect)
    image = np.zeros((1, size[1], size[0], 3), dtype=np.uint8)
    projected = torch.rand(len(network.prepare(image, "image")), 25, 32)
    theirs, _ = network.model.model.pack_image_features(
        [projected], torch.tensor([[size[1], size[0]]]), network.newline, vision_aspect_ratio=aspect
    )
    torch.testing.assert_close(network.image_layout(projected, size), theirs[0], rtol=0, atol=1e-6)
