"""A plan of a transfer without its weights: the network has its real size on the meta device."""

from __future__ import annotations

import math
from collections import Counter
from dataclasses import dataclass

from videopath.core.errors import InputError
from videopath.model.architecture.config import LlavaConfig
from videopath.model.architecture.network import Network
from videopath.model.checkpoints.loading import check_tensors, empty_model, expected_shapes, open_checkpoint
from videopath.training.recipe import Geometry, TransferRecipe, TransferStage
from videopath.training.transfer.parts import is_lora, make_trainable, part_of
from videopath.training.transfer.start import apply_rules

_WEIGHT, _LEARNING = 4, 12
"""Bytes of a float32 weight; bytes of its gradient and AdamW's two moments."""
_TEXT_TOKENS = 512  # text tokens of a conversation, as planned


@dataclass(frozen=True)
class StagePlan:
    """What a stage trains, and its memory on each of the GPUs that share the weights (FSDP, ZeRO-3)."""

    name: str
    tensors: int
    """Tensors of the checkpoint that the stage writes."""
    parameters: int
    """Parameters of that checkpoint."""
    learning: dict[str, int]
    """Part, or part with " by LoRA" → number of parameters that learn."""
    tokens: int
    """Tokens of the longest row in the plan: all frames or tiles, and 512 text tokens."""
    states_gib: float
    """GiB per GPU of weights, gradients and AdamW's moments in float32."""
    activations_gib: float
    """Estimated GiB of one micro-batch: bf16 activations with checkpointing, and the logits of its text."""


def plan_stages(recipe: TransferRecipe, gpus: int) -> list[StagePlan]:
    """Return a plan for each stage.

    If the recipe starts from a checkpoint, the name and shape of each of its tensors are checked.

    Args:
        recipe: The transfer.
        gpus: Number of GPUs that share the weights.

    Raises:
        InputError: The recipe has neither a geometry nor a checkpoint to start from.
        ModelError: The checkpoint is damaged or incomplete.
    """
    network = _network(recipe)
    plans = []
    for stage in recipe.stages:
        apply_rules(network, stage.rules)
        shapes = expected_shapes(network.model, network.config)
        parameters = sum(math.prod(shape) for shape in shapes.values())
        make_trainable(network, stage.trains, stage.lora)
        learning: Counter[str] = Counter()
        for name, parameter in network.model.named_parameters():
            if parameter.requires_grad:
                learning[part_of(name) + (" by LoRA" if is_lora(name) else "")] += parameter.numel()
        tokens = min(_tokens(network.config, stage), network.config.max_length)
        adapters = sum(count for part, count in learning.items() if part.endswith("LoRA"))
        states = _WEIGHT * (parameters + adapters) + _LEARNING * sum(learning.values())
        plans.append(
            StagePlan(
                name=stage.name,
                tensors=len(shapes),
                parameters=parameters,
                learning=dict(learning),
                tokens=tokens,
                states_gib=states / gpus / 2**30,
                activations_gib=_activations(network, stage, tokens) / 2**30,
            )
        )
        network = _network(recipe)  # without the adapters
    return plans


def _network(recipe: TransferRecipe) -> Network:
    if recipe.start.checkpoint:
        checkpoint = open_checkpoint(recipe.start.checkpoint)
        config, tokenizer = checkpoint.config(), checkpoint.tokenizer()
        model = empty_model(config, len(tokenizer))
        check_tensors(expected_shapes(model, config), checkpoint.weights.shapes, checkpoint.folder)
        return Network(config, tokenizer, model)
    if recipe.geometry is None:
        raise InputError(
            f"The recipe {recipe.name} does not give the size of its network. Add geometry, or start from a checkpoint."
        )
    config = geometry_config(recipe.geometry)
    return Network(config, None, empty_model(config, recipe.geometry.vocabulary))


def geometry_config(geometry: Geometry) -> LlavaConfig:
    """Return the architecture of a recipe's geometry."""
    vision = {"num_channels": 3, "layer_norm_eps": 1e-6, "hidden_act": "gelu_pytorch_tanh", **geometry.vision}
    return LlavaConfig(text_config=dict(geometry.text), vision_config=vision, newline_position="grid")


def _tokens(config: LlavaConfig, stage: TransferStage) -> int:
    """Tokens of a row with a whole video, or with the image that has most tiles if that is longer."""
    pooled = math.ceil(config.grid / 2)
    video = stage.frames * pooled * (pooled + (config.newline_position == "grid" and config.has_newline))
    tiles = max((w * h // config.image_size**2 for w, h in config.pinpoints), default=0)
    image = config.grid**2 + tiles * config.grid * (config.grid + 1) if config.has_newline else config.grid**2
    return (image if stage.template == "plain" else max(video, image)) + _TEXT_TOKENS


def _activations(network: Network, stage: TransferStage, tokens: int) -> float:
    """Bytes of every layer's input, of one layer's inside, and of float32 logits with their gradient."""
    text = network.config.text_config
    hidden, inner = int(text["hidden_size"]), int(text["intermediate_size"])
    inputs = int(text["num_hidden_layers"]) * tokens * hidden * 2
    inside = tokens * (8 * hidden + 3 * inner) * 2
    rows = network.model.lm_head.out_features
    logits = _TEXT_TOKENS * rows * 8
    return float(stage.batch * (inputs + inside + logits))
