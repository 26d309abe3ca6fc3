"""The parts of a network: which of their parameters a stage trains, also by LoRA, and at which learning rate."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field
from torch import nn

from videopath.model.architecture.network import Network

Part = Literal["tower", "projector", "temporal", "decoder"]
"""A part of the network, as recipes name it; temporal is the attention between frames."""

# the decoder is everything else: embeddings, layers, head and newline vector, as in LLaVA-NeXT's mm_language_model
_PREFIXES: tuple[tuple[str, Part], ...] = (
    ("model.vision_tower.", "tower"),
    ("model.multi_modal_projector.", "projector"),
    ("model.temporal_attention.", "temporal"),
    ("", "decoder"),
)
_TARGETS: dict[Part, str] = {
    "decoder": r"model\.language_model\.layers\.\d+\.(self_attn\.[qkvo]_proj|mlp\.(gate|up|down)_proj)",
    "tower": r"model\.vision_tower\.encoder\.layers\.\d+\.self_attn\.[qkv]_proj",
}
_LORA = (".lora_A.", ".lora_B.")


class Lora(BaseModel):
    """The settings of low-rank adaptation (Hu et al., LoRA, ICLR 2022)."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    rank: int = Field(128, gt=0)
    alpha: float = Field(256, gt=0, description="the update is scaled by alpha / rank")
    dropout: float = Field(0.05, ge=0, lt=1)
    parts: tuple[Literal["decoder", "tower"], ...] = Field(
        ("decoder", "tower"),
        min_length=1,
        description="all linear layers of the decoder, q, k and v of the tower",
    )


def part_of(name: str) -> Part:
    """Return the part that a parameter of ``Network.model`` belongs to, by its name."""
    return next(part for prefix, part in _PREFIXES if name.startswith(prefix))


def is_lora(name: str) -> bool:
    """Return whether a parameter belongs to an adapter, by its name."""
    return any(mark in name for mark in _LORA)


def make_trainable(network: Network, trained: Iterable[Part], lora: Lora | None = None) -> list[str]:
    """Make exactly these parts trainable, and add adapters if settings for them are given.

    Parameters that are stored but never used do not learn: the norm after the tower's last layer, and the newline if
    the checkpoint's rules use no newline.

    Args:
        network: Changed in place.
        trained: Parts whose own weights learn.
        lora: Settings of the adapters; None: no adapters.

    Returns:
        The names of the parameters that learn, as in ``Network.model``.
    """
    parts = set(trained)
    for name, parameter in network.model.named_parameters():
        used = "post_layernorm" not in name and (network.config.has_newline or name != "model.image_newline")
        parameter.requires_grad_(used and part_of(name) in parts)
    if lora is not None:
        _adapt(network.model, lora)
    return [name for name, parameter in network.model.named_parameters() if parameter.requires_grad]


def _adapt(model: nn.Module, lora: Lora) -> None:
    """Put adapters into the model's own layers; parameters that are trainable stay so."""
    from peft import LoraConfig, inject_adapter_in_model

    learning = {name for name, parameter in model.named_parameters() if parameter.requires_grad}
    config = LoraConfig(
        r=lora.rank,
        lora_alpha=lora.alpha,  # type: ignore[arg-type] # a float as well
        lora_dropout=lora.dropout,
        target_modules="|".join(f"({_TARGETS[part]})" for part in lora.parts),
        bias="none",
    )
    inject_adapter_in_model(config, model)
    for name, parameter in model.named_parameters():
        parameter.requires_grad_(is_lora(name) or name.replace(".base_layer.", ".") in learning)


def optimiser_groups(
    named: Mapping[str, nn.Parameter], rates: Mapping[Part, float], weight_decay: float
) -> list[dict[str, Any]]:
    """Return the parameter groups of AdamW.

    Args:
        named: The parameters by name; frozen ones are left out.
        rates: Learning rate of each part.
        weight_decay: For matrices; vectors (norms, biases, the newline) have no weight decay.
    """
    groups: dict[tuple[Part, bool], list[nn.Parameter]] = {}
    for name, parameter in named.items():
        if parameter.requires_grad:
            groups.setdefault((part_of(name), parameter.ndim > 1), []).append(parameter)
    return [
        {"params": parameters, "lr": rates[part], "weight_decay": weight_decay if decayed else 0.0}
        for (part, decayed), parameters in groups.items()
    ]
