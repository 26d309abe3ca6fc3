"""Merging of a LoRA or a stage-0 projector into its base, and the check of the result.

The merge is float32 arithmetic, W + scale · B A, rounded once to the number format that is written. The check has two
parts. First, PEFT merges each layer with its own code, and the weights must be the same. Then three networks read the same
frames and question, and their probabilities are compared at every position of the text: the base with the adapter beside
it, as in training; the merged network before it is rounded; and the written checkpoint.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch

from videopath.core.errors import InputError, ModelError
from videopath.model.architecture.network import Network
from videopath.model.checkpoints import tensor_names
from videopath.model.checkpoints.conversion import convert
from videopath.model.checkpoints.loading import Checkpoint, load_network, open_checkpoint
from videopath.model.inference.spec import EngineSpec, ModelSource
from videopath.model.lora.adapter import MergedWeights, open_adapter, open_non_lora
from videopath.model.lora.peft_merge import SAME, largest_difference_from_peft
from videopath.model.prompts.template import build_prompt, tokenise

EXACT, ROUNDED = 1e-3, 0.2
"""The largest total variation distance at a position that float32 arithmetic, and rounding to 16 bits, can explain."""

_QUESTION = "Describe the histological findings in this tissue, then give the best diagnosis."
_FRAMES = 2


@dataclass(frozen=True)
class MergeCheck:
    """A merged checkpoint compared with its base and the adapter beside it."""

    positions: int
    exact: float
    """Largest total variation distance of the probabilities over the vocabulary, before rounding; 0 to 1."""
    rounded: float
    """The same for the written checkpoint."""
    same: int
    """Positions at which the written and the unmerged network have the same most likely token."""
    peft: float | None = None
    """Largest difference of a weight from PEFT's own merge, as a share of its layer's largest weight; ``None`` for a
    projector."""

    def __str__(self) -> str:
        peft_sentence = (
            ""
            if self.peft is None
            else f" PEFT's own merge differs by at most {self.peft:.2g} of a layer's largest weight."
        )
        return (
            f"Checked on {self.positions} positions: probabilities differ by at most {self.exact:.2g} in float32 and "
            f"{self.rounded:.2g} as written (total variation); the most likely token is the same on {self.same}."
            + peft_sentence
        )


def merge(
    source: ModelSource,
    target: Path,
    *,
    dtype: str = "float16",
    check: bool = True,
    progress: Callable[[int, int], None] | None = None,
) -> MergeCheck | None:
    """Merge an adapter or a projector with its base, and write the result in the original layout.

    Args:
        source: Folder of the adapter, or a spec with its base.
        target: The new folder.
        dtype: Number format to write. The original always writes float16.
        check: Whether to compare the answers before and after. This needs memory for one network in float32.
        progress: Called with (tensors written, all tensors).

    Returns:
        The comparison; ``None`` without ``check``.

    Raises:
        InputError: ``source`` is a whole checkpoint, so there is nothing to merge.
        ModelError: The merged checkpoint answers differently. It stays in ``target`` for inspection.
    """
    spec = EngineSpec.of(source)
    checkpoint = open_checkpoint(spec)
    if checkpoint.base is None:
        raise InputError(
            f"{spec.model} is a whole checkpoint: there is nothing to merge (model convert writes other layouts)."
        )
    convert(spec, target, dtype=dtype, layout="original", progress=progress)
    if not check:
        return None
    peft = _difference_from_peft(checkpoint)
    expected = _probabilities(_unmerged(checkpoint))
    exact = _probabilities(load_network(replace(spec, device="cpu", dtype="float32")))
    written = _probabilities(load_network(_in_float32(target)))
    result = MergeCheck(
        positions=len(expected),
        exact=_total_variation(expected, exact),
        rounded=_total_variation(expected, written),
        same=int((expected.argmax(dim=1) == written.argmax(dim=1)).sum()),
        peft=peft,
    )
    if result.exact > EXACT or result.rounded > ROUNDED or (peft or 0.0) > SAME:
        raise ModelError(f"{target} answers differently from {spec.model} on its base. {result}")
    return result


def _difference_from_peft(checkpoint: Checkpoint) -> float | None:
    if not isinstance(checkpoint.weights, MergedWeights):
        return None
    return largest_difference_from_peft(
        checkpoint.weights.adapter, checkpoint.weights.base, checkpoint.weights
    )


def _total_variation(one: torch.Tensor, other: torch.Tensor) -> float:
    """Return the largest total variation distance of two rows, ``[positions, vocabulary]``."""
    return float(0.5 * (one - other).abs().sum(dim=1).max())


def _unmerged(checkpoint: Checkpoint) -> Network:
    """Return the base, float32, with the other trained tensors and the adapter as a second path of its layers."""
    assert checkpoint.base is not None
    if checkpoint.layout != "lora":
        return load_network(_in_float32(checkpoint.folder, checkpoint.base.folder))
    network = load_network(_in_float32(checkpoint.base.folder))
    network.config = checkpoint.config()
    adapter = open_adapter(checkpoint.folder)
    changed = open_non_lora(checkpoint.folder)
    if changed is not None:
        state = network.model.state_dict()
        with torch.no_grad():
            for name in changed.shapes:
                rows = state[tensor_names.to_module(name)]
                rows.copy_(changed.read(name)[: len(rows)] if rows.ndim else changed.read(name))
    for target in adapter.targets:
        down, up = (adapter.weights.read(name).float() for name in adapter.pair(target))
        module = network.model.get_submodule(tensor_names.to_module(target).removesuffix(".weight"))
        module.register_forward_hook(_second_path(down, up * adapter.scale_of(target)))
    return network


def _in_float32(folder: Path, base: Path | None = None) -> EngineSpec:
    return EngineSpec(folder, base, device="cpu", dtype="float32")


def _second_path(down: torch.Tensor, up: torch.Tensor) -> Callable[..., torch.Tensor]:
    def add(_: Any, inputs: tuple[torch.Tensor, ...], output: torch.Tensor) -> torch.Tensor:
        return output + inputs[0] @ down.T @ up.T

    return add


@torch.inference_mode()
def _probabilities(network: Network) -> torch.Tensor:
    """Return the probabilities ``[positions, vocabulary]`` after each token of a question about fixed noise frames."""
    size = network.config.image_size
    frames = np.random.default_rng(0).integers(0, 256, (_FRAMES, size, size, 3), dtype=np.uint8)
    ids = tokenise(network.tokenizer, build_prompt(_QUESTION))
    visual = network.video_embeds(network.prepare(frames, "video"))
    logits, _ = network.decode(network.embed(ids, [visual]), use_cache=False, logits_to_keep=len(ids) - 1)
    return logits[0].softmax(dim=-1)
