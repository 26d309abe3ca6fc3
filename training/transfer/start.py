"""The network that the first stage starts from: a LLaVA checkpoint, or a Qwen2 decoder with a SigLIP tower.

Decoder and tower are assembled as in the original: the tower's last layer and head are dropped; projector and newline
vector are random.
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
    """Tensors from the files of decoder and tower, and random ones, under their original names."""

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
    """Return the network of a recipe's start, in float32 on the CPU, with all stored rows of its vocabulary.

    Args:
        start: The checkpoint, or decoder and tower.
        seed: Decides the random weights of a new projector.
        accept_licence: Whether a licence that the hub asks for is accepted.

    Raises:
        ModelError: A folder or hub id cannot be found, or its files are of another architecture or incomplete.
    """
    if start.checkpoint:
        return load_network(
            EngineSpec(start.checkpoint, device="cpu", dtype="float32", accept_licence=accept_licence),
            padded=True,
        )
    assert start.decoder is not None
    assert start.tower is not None
    return assemble(start.decoder, start.tower, seed, accept_licence=accept_licence)


def apply_rules(network: Network, rules: VisualRules, seed: int = 0) -> None:
    """Set a stage's rules in a network. Rules that are not set stay as they are.

    Args:
        network: Changed in place.
        rules: The rules of the stage.
        seed: Decides the first weights of attention between frames, if a rule adds it.

    Raises:
        InputError: ``temporal_heads`` does not divide the network's width.
    """
    changes = {name: value for name, value in rules.model_dump().items() if value is not None}
    network.config = replace(network.config, **changes)
    heads, hidden = network.config.temporal_heads, network.config.hidden_size
    if heads and hidden % heads:
        raise InputError(f"temporal_heads is {heads}, which does not divide the network's width of {hidden}.")
    with torch.random.fork_rng(devices=[]), network.newline.device:
        torch.manual_seed(seed)
        with_temporal(network.model, network.config)


def assemble(decoder: str, tower: str, seed: int, *, accept_licence: bool = False) -> Network:
    """Make one network of a Qwen2 chat model and a SigLIP model.

    Args:
        decoder: A folder or hub id in Hugging Face's layout.
        tower: A folder or hub id in Hugging Face's layout.
        seed: Decides the weights of projector and newline vector.
        accept_licence: Whether a licence that the hub asks for is accepted.

    Raises:
        ModelError: A model is of another architecture, or files are missing.
    """
    language, vision = (resolve(name, accept_licence=accept_licence) for name in (decoder, tower))
    text_settings = _of_type(read_json(language / "config.json"), "qwen2", str(language))
    settings = read_json(vision / "config.json")
    vision_settings = _of_type(settings.get("vision_config", settings), "siglip_vision_model", str(vision))
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
    assembled = Checkpoint(
        folder=language, layout="original", settings={}, weights=weights,
        generation=generation_settings(language), files=files, tokenizer_folder=language,
    )  # fmt: skip
    fill_model(model, assembled, config, "cpu", torch.float32)
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
    """A new projector as ``nn.Linear`` makes it, and a newline as in LLaVA-NeXT: normal, deviation 1 / √hidden."""
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
    """The original name of a SigLIP tensor; None for the text model, the head and dropped layers."""
    if not key.startswith("vision_model.") or key.startswith("vision_model.head."):
        return None
    name = tensor_names.TOWER + key.removeprefix("vision_model.")
    dropped = name.startswith(_LAYERS) and int(name.removeprefix(_LAYERS).split(".")[0]) >= kept
    return None if dropped else name


def _of_type(settings: Mapping[str, Any], expected: str, folder: str) -> Mapping[str, Any]:
    model_type = settings.get("model_type")
    if model_type != expected:
        raise ModelError(
            f"{folder} is a model of type {model_type!r}; a model of type {expected!r} is needed."
        )
    return settings
