"""The optional attention between frames: nothing changes until it has learned, then the order of frames counts."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from videopath.core.errors import InputError, ModelError
from videopath.media.synthetic import render_clip
from videopath.model import load_engine, nano, open_clip
from videopath.model.architecture.network import Network
from videopath.model.checkpoints.conversion import convert
from videopath.model.checkpoints.inspection import inspect
from videopath.model.checkpoints.loading import load_network
from videopath.model.checkpoints.saving import save_original
from videopath.model.inference.spec import EngineSpec
from videopath.training.recipe import VisualRules
from videopath.training.transfer.parts import make_trainable
from videopath.training.transfer.start import apply_rules

NANO = Path(nano.__file__).parent


@pytest.fixture
def frames() -> np.ndarray:
    return render_clip("colon adenocarcinoma", 3, 6, 112)


@pytest.fixture
def network() -> Network:
    return load_network(EngineSpec(NANO, device="cpu", dtype="float32"))


def _seen(network: Network, frames: np.ndarray) -> torch.Tensor:
    with torch.inference_mode():
        return network.video_embeds(network.prepare(frames, "video"))


def _learned(network: Network) -> Network:
    """With the block, as if it had learned something."""
    apply_rules(network, VisualRules(temporal_heads=4), seed=5)
    torch.manual_seed(1)
    torch.nn.init.normal_(network.model.model.temporal_attention.attention.out_proj.weight, std=0.2)
    return network


def test_a_checkpoint_that_gets_the_block_sees_exactly_as_before(
    network: Network, frames: np.ndarray
) -> None:
    before = _seen(network, frames)
    apply_rules(network, VisualRules(temporal_heads=4))
    assert torch.equal(_seen(network, frames), before)
    assert network.config.temporal_heads == 4


def test_what_it_learned_depends_on_the_other_frames(network: Network, frames: np.ndarray) -> None:
    plain = _seen(network, frames)
    learned = _seen(_learned(network), frames)
    assert not torch.allclose(learned, plain, atol=1e-3)
    swapped = _seen(network, frames[[0, 2, 1, 3, 4, 5]])
    first = len(learned) // len(frames)
    assert not torch.allclose(
        swapped[:first], learned[:first], atol=1e-4
    )  # the first frame knows of the others' order


@pytest.mark.parametrize("layout", ["original", "huggingface"])
def test_it_is_saved_and_loaded_in_both_layouts(
    network: Network, frames: np.ndarray, layout: str, tmp_path: Path
) -> None:
    folder = save_original(_learned(network), tmp_path / "original", torch.float32)
    if layout == "huggingface":
        folder = convert(folder, tmp_path / "huggingface")
    assert inspect(folder).network.temporal_heads == 4
    again = load_network(EngineSpec(folder, device="cpu", dtype="float32"))
    assert torch.allclose(_seen(again, frames), _seen(network, frames), atol=1e-3)


def test_the_engine_answers_with_it_as_the_network_sees(
    network: Network, frames: np.ndarray, tmp_path: Path
) -> None:
    from PIL import Image

    folder = save_original(_learned(network), tmp_path / "checkpoint", torch.float32)
    for number, frame in enumerate(frames):
        (tmp_path / "clip").mkdir(exist_ok=True)
        Image.fromarray(frame).save(tmp_path / "clip" / f"{number}.png")
    labels = ["colon adenocarcinoma", "benign colon tissue"]
    scores = []
    for source in (folder, NANO):
        with load_engine(str(source), device="cpu").open(open_clip(tmp_path / "clip", 6)) as session:
            scores.append(list(session.score("What is it?", labels)))
    assert not np.allclose(scores[0], scores[1], atol=1e-3)


def test_the_part_that_learns_is_named_temporal(network: Network) -> None:
    apply_rules(network, VisualRules(temporal_heads=4))
    names = make_trainable(network, ("temporal",))
    assert names
    assert all(name.startswith("model.temporal_attention.") for name in names)


def test_heads_that_do_not_divide_are_told(network: Network, tmp_path: Path) -> None:
    with pytest.raises(InputError, match="does not divide"):
        apply_rules(network, VisualRules(temporal_heads=3))
    network.config = replace(network.config, temporal_heads=0)
    folder = save_original(network, tmp_path / "checkpoint")
    settings = folder / "config.json"
    settings.write_text(
        settings.read_text(encoding="utf-8").replace("{", '{"mm_temporal_heads": 3,', 1), encoding="utf-8"
    )
    with pytest.raises(ModelError, match="mm_temporal_heads"):
        load_network(folder)
