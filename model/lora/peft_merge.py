"""The merge of an adapter by PEFT itself; our own merge is checked against it.

PEFT gets each changed layer under the name in the adapter's own file, so settings, patterns and matrices fit whatever the
names in the whole network are.
"""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from typing import Any

import torch
from torch import nn

from videopath.core.errors import ModelError
from videopath.model.checkpoints.weights import CheckpointWeights
from videopath.model.lora.adapter import ADAPTER_PREFIX, Adapter

SAME = 1e-5
"""The largest difference, as a share of a layer's largest weight, that the order of float32 sums can explain."""
_AT_ONCE = 1 << 28  # weights


def largest_difference_from_peft(
    adapter: Adapter, base: CheckpointWeights, merged: CheckpointWeights
) -> float:
    """Return the largest difference of a merged weight from PEFT's own merge, as a share of its layer's largest weight.

    About 1 GB of layers is in memory at a time.

    Args:
        adapter: The adapter.
        base: The weights before the merge.
        merged: The weights after our merge.

    Raises:
        ModelError: PEFT cannot merge the adapter.
    """
    largest = 0.0
    with torch.random.fork_rng(devices=[]):  # PEFT draws random weights before it reads the adapter
        for targets in _groups(adapter.targets, base):
            weights = {target: base.read(target).float() for target in targets}
            for target, expected in _merged_by_peft(adapter, weights).items():
                difference = (merged.read(target).float() - expected).abs().max()
                largest = max(largest, float(difference / expected.abs().max().clamp(min=1e-30)))
    return largest


def _groups(targets: list[str], base: CheckpointWeights) -> Iterator[list[str]]:
    group: list[str] = []
    numbers = 0
    for target in targets:
        group.append(target)
        numbers += torch.Size(base.shapes[target]).numel()
        if numbers >= _AT_ONCE:
            yield group
            group, numbers = [], 0
    if group:
        yield group


@torch.no_grad()
def _merged_by_peft(adapter: Adapter, weights: dict[str, torch.Tensor]) -> dict[str, torch.Tensor]:
    from peft import LoraConfig, PeftModel, set_peft_model_state_dict

    modules = {target: adapter.module(target) for target in weights}
    tree = _tree_of({modules[target]: weight for target, weight in weights.items()})
    stored = {
        f"{ADAPTER_PREFIX}{modules[target]}.lora_{kind}.weight": adapter.weights.read(name)
        for target in weights
        for kind, name in zip("AB", adapter.pair(target), strict=True)
    }
    try:
        with warnings.catch_warnings():
            warnings.simplefilter(
                "ignore"
            )  # of the other layers' matrices, and that a bare tree has no config
            settings = LoraConfig.from_pretrained(str(adapter.folder))
            model = PeftModel(tree, settings)  # type: ignore[arg-type] # any module will do
            left: Any = set_peft_model_state_dict(model, stored)
            merged = model.merge_and_unload()
    except (ValueError, TypeError, KeyError, RuntimeError) as error:
        raise ModelError(f"PEFT cannot merge the adapter in {adapter.folder}: {error}") from error
    if left.unexpected_keys:
        raise ModelError(
            f"PEFT finds no place for {left.unexpected_keys[0]} of the adapter in {adapter.folder}."
        )
    return {target: merged.get_submodule(module).weight for target, module in modules.items()}


def _tree_of(weights: dict[str, torch.Tensor]) -> nn.Module:
    """Return modules with only linear layers, at dotted names."""
    root = nn.Module()
    for module, weight in weights.items():
        *path, last = module.split(".")
        parent = root
        for name in path:
            if not hasattr(parent, name):
                parent.add_module(name, nn.Module())
            parent = parent.get_submodule(name)
        layer = nn.Linear(weight.shape[1], weight.shape[0], bias=False, device="meta")
        layer.weight = nn.Parameter(weight, requires_grad=False)
        parent.add_module(last, layer)
    return root
