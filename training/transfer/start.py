"""Where the first stage begins: a LLaVA checkpoint, or a Qwen2 decoder and a SigLIP tower put together.

As the original does it: the tower's last layer and head are dropped, the projector and the newline vector are random.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

import torch
from torch import nn

from videopath.core.errors import InputError, ModelError
from videopath.model.architecture.config import TEXT_KEYS, VISION_KEYS, LlavaConfig
from videopath.model.architecture.network import Network, with_temporal
from videopath.model.checkpoints import tensor_names
from videopath.model.checkpoints.hub import resolve
from videopath.model.checkpoints.loading import (
    Checkpoint,
    empty_model,
    fill_model,
    generation_settings,
    load_network,
    load_tokenizer,
)
from videopath.model.checkpoints.weights import FileWeights, Shape, read_json, weight_files
from videopath.model.inference.spec import EngineSpec
from videopath.model.prompts.template import END_OF_TURN
from videopath.training.recipe import StartWeights, VisualRules

_LAYERS = tensor_names.TOWER + "encoder.layers."


@dataclass(frozen=True)
class _Assembled:
    """Tensors of decoder and tower files, and fresh ones, under their original names."""

    parts: tuple[FileWeights, ...]
    fresh: Mapping[str, torch.Tensor]

    @property
    def shapes(self) -> dict[str, Shape]:
        stored = {name: shape for part in self.parts for name, shape in part.shapes.items()}
        return stored | {name: tuple(tensor.shape) for name, tensor in self.fresh.items()}

    @property
    def dtypes(self) -> dict[str, torch.dtype]:
        stored = {name: dtype for part in self.parts for name, dtype in part.dtypes.items()}
        return stored | {name: tensor.dtype for name, tensor in self.fresh.items()}

    def read(self, name: str) -> torch.Tensor:
        if name in self.fresh:
            return self.fresh[name]
        return next(part for part in self.parts if name in part.shapes).read(name)


def load_start(start: StartWeights, seed: int, *, accept_licence: bool = False) -> Network:
    """The network of a recipe's start, float32 on the CPU, its vocabulary with all stored rows."""
    if start.checkpoint:
        return load_network(
            EngineSpec(start.checkpoint, device="cpu", dtype="float32", accept_licence=accept_licence),
            padded=True,
        )
    assert start.decoder is not None
    assert start.tower is not None
    return assemble(start.decoder, start.tower, seed, accept_licence=accept_licence)


def apply_rules(network: Network, rules: VisualRules, seed: int = 0) -> None:
    """Give a network a stage's rules; those that are not given stay. ``seed``: of a part that a rule adds.

    Raises ``InputError`` for heads that do not divide the network's width.
    """
    given = {name: value for name, value in rules.model_dump().items() if value is not None}
    network.config = replace(network.config, **given)
    heads, hidden = network.config.temporal_heads, network.config.hidden_size
    if heads and hidden % heads:
        raise InputError(f"temporal_heads is {heads}, which does not divide the network's width {hidden}.")
    with torch.random.fork_rng(devices=[]), network.newline.device:
        torch.manual_seed(seed)
        with_temporal(network.model, network.config)


def assemble(decoder: str, tower: str, seed: int, *, accept_licence: bool = False) -> Network:
    """A Qwen2 chat model and a SigLIP, folders or hub ids in Hugging Face's layout, as one network.

    Raises ``ModelError`` for other architectures and incomplete files.
    """
    language, vision = (resolve(name, accept_licence=accept_licence) for name in (decoder, tower))
    text_settings = _of_type(read_json(language / "config.json"), "qwen2", str(language))
    seen = read_json(vision / "config.json")
    vision_settings = _of_type(seen.get("vision_config", seen), "siglip_vision_model", str(vision))
    tokenizer = load_tokenizer(language)
    config = _config(text_settings, vision_settings, tokenizer)
    kept = int(config.vision_config["num_hidden_layers"])
    files = weight_files(language)
    weights = _Assembled(
        (
            FileWeights(files, lambda key: key),
            FileWeights(weight_files(vision), lambda key: _tower_name(key, kept)),
        ),
        _fresh(config, seed),
    )
    model = empty_model(config, weights.shapes[tensor_names.EMBEDDING][0])
    whole = Checkpoint(
        folder=language, layout="original", settings={}, weights=weights,
        generation=generation_settings(language), files=files, tokenizer_folder=language,
    )  # fmt: skip
    fill_model(model, whole, config, "cpu", torch.float32)
    return Network(config, tokenizer, model)


def _config(text: Mapping[str, Any], vision: Mapping[str, Any], tokenizer: Any) -> LlavaConfig:
    text_config = {key: text[key] for key in TEXT_KEYS if key in text}
    theta = (text.get("rope_parameters") or {}).get("rope_theta")
    if theta is not None:
        text_config.setdefault("rope_theta", theta)
    vision_config = {key: vision[key] for key in VISION_KEYS if key in vision}
    vision_config["num_hidden_layers"] = int(vision_config["num_hidden_layers"]) - 1
    return LlavaConfig(
        text_config=text_config,
        vision_config=vision_config,
        newline_position="grid",
        eos_token_ids=(tokenizer.convert_tokens_to_ids(END_OF_TURN),),
    )


def _fresh(config: LlavaConfig, seed: int) -> dict[str, torch.Tensor]:
    """Projector as ``nn.Linear`` begins, newline as LLaVA-NeXT's: normal with deviation 1 / √hidden."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        hidden = config.hidden_size
        layers = {"0": nn.Linear(config.vision_config["hidden_size"], hidden), "2": nn.Linear(hidden, hidden)}
        newline = torch.randn(hidden) / math.sqrt(hidden)
    projector = {
        f"{tensor_names.PROJECTOR}{number}.{name}": tensor.detach()
        for number, layer in layers.items()
        for name, tensor in layer.named_parameters()
    }
    return {**projector, tensor_names.NEWLINE: newline}


def _tower_name(key: str, kept: int) -> str | None:
    """The original name of a SigLIP tensor; none for the text side, the head and the layers that are dropped."""
    if not key.startswith("vision_model.") or key.startswith("vision_model.head."):
        return None
    name = tensor_names.TOWER + key.removeprefix("vision_model.")
    dropped = name.startswith(_LAYERS) and int(name.removeprefix(_LAYERS).split(".")[0]) >= kept
    return None if dropped else name


def _of_type(settings: Mapping[str, Any], expected: str, place: str) -> Mapping[str, Any]:
    found = settings.get("model_type")
    if found != expected:
        raise ModelError(f"{place} is of type {found!r}; a {expected} is needed there.")
    return settings
