"""Export of a LoRA with PEFT's own key names, together with its base in Hugging Face's layout.

An adapter of the original's training has the original's tensor names. PEFT on transformers' modules finds none of its
names in it, and loads it without an error but with every B at zero.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import save_file
from torch import nn

from videopath.core.errors import InputError
from videopath.core.files import replaced_on_success
from videopath.model.checkpoints import tensor_names
from videopath.model.checkpoints.conversion import convert
from videopath.model.checkpoints.loading import Checkpoint, empty_model, open_checkpoint
from videopath.model.checkpoints.saving import write_json
from videopath.model.inference.spec import EngineSpec, ModelSource
from videopath.model.lora.adapter import ADAPTER_CONFIG, ADAPTER_PREFIX, Adapter, MergedWeights

BASE = "base"
"""Folder of the base inside the adapter's folder."""


def export_adapter(
    source: ModelSource,
    target: Path,
    *,
    progress: Callable[[int, int], None] | None = None,
    tell: Callable[[str], None] | None = None,
) -> Path:
    """Write a LoRA as ``PeftModel.from_pretrained`` reads it.

    ``target/base`` is the base with the tensors that were trained beside the adapter (``non_lora_trainables.bin``), for
    ``LlavaOnevisionForConditionalGeneration.from_pretrained``.

    Args:
        source: Folder of the LoRA, or a spec with its base.
        target: The new folder.
        progress: Called with (tensors written, all tensors) while the base is written.
        tell: Called with each sentence about what plain transformers computes differently.

    Returns:
        ``target``.

    Raises:
        InputError: ``source`` is not a LoRA, or ``target`` exists already.
    """
    spec = EngineSpec.of(source)
    checkpoint = open_checkpoint(spec)
    merged = checkpoint.weights
    if not isinstance(merged, MergedWeights):
        raise InputError(
            f"{spec.model} is not a LoRA: there is no adapter to write (model convert writes other layouts)."
        )
    if target.exists() and any(target.iterdir()):
        raise InputError(f"{target} exists already: give a new folder for the adapter.")
    convert(replace(checkpoint, weights=merged.base), target / BASE, progress=progress, tell=tell)
    with replaced_on_success(target / "adapter_model.safetensors") as part:
        save_file(_tensors(merged.adapter), part, metadata={"format": "pt"})
    write_json(target / ADAPTER_CONFIG, _settings(merged.adapter, checkpoint, target.resolve() / BASE))
    return target


def _module(target: str) -> str:
    """Return the module of a target in transformers' network."""
    return tensor_names.to_module(target).removesuffix(".weight")


def _tensors(adapter: Adapter) -> dict[str, torch.Tensor]:
    return {
        f"{ADAPTER_PREFIX}{_module(target)}.lora_{kind}.weight": adapter.weights.read(name)
        .clone()
        .contiguous()
        for target in adapter.targets
        for kind, name in zip("AB", adapter.pair(target), strict=True)
    }


def _settings(adapter: Adapter, checkpoint: Checkpoint, base: Path) -> dict[str, Any]:
    settings = adapter.settings
    own = {target: adapter.module(target) for target in adapter.targets}
    return {
        "peft_type": "LORA",
        "task_type": None,
        "auto_mapping": {
            "base_model_class": "LlavaOnevisionForConditionalGeneration",
            "parent_library": "transformers.models.llava_onevision.modeling_llava_onevision",
        },
        "base_model_name_or_path": str(base),
        "inference_mode": True,
        "bias": "none",
        "r": settings.rank,
        "lora_alpha": settings.alpha,
        "use_rslora": settings.rank_scaled,
        "target_modules": _targets(adapter, checkpoint),
        "rank_pattern": {
            _module(target): rank
            for target, module in own.items()
            if (rank := settings.rank_of(module)) != settings.rank
        },
        "alpha_pattern": {
            _module(target): alpha
            for target, module in own.items()
            if (alpha := settings.alpha_of(module)) != settings.alpha
        },
    }


def _targets(adapter: Adapter, checkpoint: Checkpoint) -> list[str]:
    """Return the short names of the layers, as servers expect them; the full names if the short ones match other layers."""
    changed = {_module(target) for target in adapter.targets}
    network = empty_model(checkpoint.config(), len(checkpoint.tokenizer()))
    linear = {name for name, module in network.named_modules() if isinstance(module, nn.Linear)}
    short = {module.rpartition(".")[2] for module in changed}
    return sorted(
        short if {name for name in linear if name.rpartition(".")[2] in short} == changed else changed
    )
