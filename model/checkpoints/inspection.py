"""Description of a checkpoint, from its settings and the headers of its weight files."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch
from pydantic import BaseModel, ConfigDict

from videopath.core.errors import ModelError
from videopath.model.architecture.config import LlavaConfig
from videopath.model.checkpoints import tensor_names
from videopath.model.checkpoints.hub import resolve
from videopath.model.checkpoints.loading import (
    PROJECTOR_FILE,
    Checkpoint,
    Layout,
    check_tensors,
    empty_model,
    expected_shapes,
    is_projector,
    load_tokenizer,
    open_checkpoint,
)
from videopath.model.checkpoints.weights import CheckpointWeights, FileWeights, read_json
from videopath.model.checkpoints.weights_hash import weights_sha256
from videopath.model.inference.spec import EngineSpec, ModelSource
from videopath.model.lora.adapter import NON_LORA_FILE, is_adapter, open_adapter, open_non_lora


class LoraInfo(BaseModel):
    """A LoRA adapter."""

    model_config = ConfigDict(frozen=True)

    rank: int
    alpha: float
    targets: int
    vision_targets: int
    base_name: str
    changed_tensors: int
    """Tensors in ``non_lora_trainables.bin``."""
    base_layer_names: int
    """How many of them have the ``.base_layer.`` names of newer PEFT."""


class NetworkInfo(BaseModel):
    """Geometry and rules of a whole network."""

    model_config = ConfigDict(frozen=True)

    image_size: int
    patch_size: int
    grid: int
    vision_hidden: int
    vision_layers: int
    vision_heads: int
    hidden: int
    layers: int
    heads: int
    key_value_heads: int
    vocabulary_rows: int
    tokenizer_entries: int
    newline_position: str
    temporal_heads: int | None
    """Heads of the attention between frames; ``None``: there is none, as in the original."""
    pool_mode: str
    patch_merge_type: str
    aspect: str
    pinpoints: list[tuple[int, int]]
    max_length: int
    repetition_penalty: float


class CheckpointInfo(BaseModel):
    """A checkpoint."""

    model_config = ConfigDict(frozen=True)

    path: str
    layout: Layout
    model_type: str
    base: str | None
    files: list[str]
    bytes: int
    sha256: str
    """Of all weight files, with those of a known base; the same as in reports."""
    dtype: str
    tensors: int
    parameters: int
    """Of the whole network if the base is known, else of the stored tensors."""
    lora: LoraInfo | None
    network: NetworkInfo | None
    """``None`` for an adapter or a projector without a known base."""
    problems: list[str]
    """Why the checkpoint cannot be loaded; empty if it can."""
    card: dict[str, Any]
    """The content of its videopath.json."""


def inspect(source: ModelSource, *, hash_weights: bool = True) -> CheckpointInfo:
    """Describe a checkpoint without loading its weights into memory.

    Args:
        source: A checkpoint folder, a hub id, or a spec with its base.
        hash_weights: Whether to read the weight files once for their hash.

    Returns:
        Settings, sizes and hash; ``problems`` lists what would stop the checkpoint from loading.

    Raises:
        ModelError: The folder is not a checkpoint, or one of its files is damaged.
    """
    spec = EngineSpec.of(source)
    folder = resolve(spec.model, accept_licence=spec.accept_licence)
    partial = is_adapter(folder) or is_projector(folder)
    try:
        checkpoint: Checkpoint | None = open_checkpoint(replace(spec, model=folder))
        reason = ""
    except ModelError as error:
        if not partial or spec.base is not None:
            raise
        checkpoint, reason = None, str(error)
    stored = _stored(folder, checkpoint)
    own = folder / "config.json"
    network, problems = _network(checkpoint) if checkpoint else (None, [reason])
    counted: CheckpointWeights = checkpoint.weights if checkpoint else stored
    card = folder / "videopath.json"
    return CheckpointInfo(
        path=str(folder),
        layout=checkpoint.layout if checkpoint else "lora" if is_adapter(folder) else "projector",
        model_type=str(read_json(own).get("model_type", "")) if own.is_file() else "",
        base=str(checkpoint.base.folder) if checkpoint and checkpoint.base else None,
        files=[file.name for file in stored.files],
        bytes=sum(file.stat().st_size for file in stored.files),
        sha256=weights_sha256(_whole(checkpoint, stored)) if hash_weights else "",
        dtype=_dtype_name(stored.dtypes),
        tensors=len(stored.shapes),
        parameters=sum(torch.Size(shape).numel() for shape in counted.shapes.values()),
        lora=_lora(folder) if is_adapter(folder) else None,
        network=network,
        problems=problems,
        card=read_json(card) if card.is_file() else {},
    )


def _whole(checkpoint: Checkpoint | None, stored: FileWeights) -> list[Path]:
    """Return all weight files, with those of a known base."""
    if checkpoint is None:
        return stored.files
    return [*(_whole(checkpoint.base, stored) if checkpoint.base else []), *checkpoint.files]


def _stored(folder: Path, checkpoint: Checkpoint | None) -> FileWeights:
    """Return the folder's own tensors, under the names in its files."""
    if checkpoint:
        files = checkpoint.files
    elif is_adapter(folder):
        changed = open_non_lora(folder)
        files = [*open_adapter(folder).weights.files, *(changed.files if changed else [])]
    else:
        files = [folder / PROJECTOR_FILE]
    return FileWeights(files, str)


def _lora(folder: Path) -> LoraInfo:
    adapter = open_adapter(folder)
    file = folder / NON_LORA_FILE
    changed = list(FileWeights([file], str).shapes) if file.is_file() else []
    return LoraInfo(
        rank=adapter.settings.rank,
        alpha=adapter.settings.alpha,
        targets=len(adapter.targets),
        vision_targets=sum(target.startswith(tensor_names.TOWER) for target in adapter.targets),
        base_name=adapter.settings.base_name,
        changed_tensors=len(changed),
        base_layer_names=sum(".base_layer." in name for name in changed),
    )


def _network(checkpoint: Checkpoint) -> tuple[NetworkInfo | None, list[str]]:
    try:
        config = checkpoint.config()
        tokenizer = len(load_tokenizer(checkpoint.tokenizer_folder))
        model = empty_model(config, tokenizer)
        check_tensors(expected_shapes(model, config), checkpoint.weights.shapes, checkpoint.folder)
    except ModelError as error:
        return None, [str(error)]
    return _network_info(config, checkpoint, tokenizer), []


def _network_info(config: LlavaConfig, checkpoint: Checkpoint, tokenizer: int) -> NetworkInfo:
    text, vision = config.text_config, config.vision_config
    return NetworkInfo(
        image_size=config.image_size,
        patch_size=config.patch_size,
        grid=config.grid,
        vision_hidden=vision["hidden_size"],
        vision_layers=vision["num_hidden_layers"],
        vision_heads=vision["num_attention_heads"],
        hidden=config.hidden_size,
        layers=text["num_hidden_layers"],
        heads=text["num_attention_heads"],
        key_value_heads=text.get("num_key_value_heads", text["num_attention_heads"]),
        vocabulary_rows=checkpoint.weights.shapes[tensor_names.EMBEDDING][0],
        tokenizer_entries=tokenizer,
        newline_position=config.newline_position,
        temporal_heads=config.temporal_heads or None,
        pool_mode=config.pool_mode,
        patch_merge_type=config.patch_merge_type,
        aspect=config.aspect,
        pinpoints=list(config.pinpoints),
        max_length=config.max_length,
        repetition_penalty=config.repetition_penalty,
    )


def _dtype_name(dtypes: Mapping[str, torch.dtype]) -> str:
    return " + ".join(sorted({str(dtype).removeprefix("torch.") for dtype in dtypes.values()}))
