"""Conversion of a checkpoint: written shard by shard, in the Hugging Face layout or in the original's."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Literal
from uuid import uuid4

import torch
from safetensors import SafetensorError
from safetensors.torch import save_file

from videopath.core.errors import InputError, ModelError
from videopath.core.files import replaced_on_success, write_text
from videopath.model.architecture.config import LlavaConfig
from videopath.model.card import CARD_FILE, card_text, carry_calibration_over, read_card
from videopath.model.checkpoints import tensor_names
from videopath.model.checkpoints.hf_settings import differences, write_card, write_settings
from videopath.model.checkpoints.loading import (
    Checkpoint,
    check_tensors,
    empty_model,
    expected_shapes,
    open_checkpoint,
    unused_tensors,
)
from videopath.model.checkpoints.saving import write_json, write_original_settings
from videopath.model.checkpoints.weights import Shape
from videopath.model.device import DTYPES
from videopath.model.inference.engine import weight_files
from videopath.model.inference.spec import ModelSource
from videopath.model.lora.adapter import BaseLayer

SHARD_BYTES = 2 << 30


def convert(
    source: ModelSource | Checkpoint,
    target: str | Path,
    *,
    dtype: str | None = None,
    shard_bytes: int = SHARD_BYTES,
    base_layer: BaseLayer = "map",
    layout: Literal["huggingface", "original"] = "huggingface",
    progress: Callable[[int, int], None] | None = None,
    tell: Callable[[str], None] | None = None,
) -> Path:
    """Write a checkpoint of any layout to a new folder, in the Hugging Face layout or in the original's.

    In the Hugging Face layout, ``LlavaOnevisionForConditionalGeneration.from_pretrained(target)`` gives the same logits.
    Adapters are merged in float32 and rounded once. Padded rows of the vocabulary are cut off. The conversion needs
    memory for one shard.

    Hugging Face's own video code cannot lay out newline grids. The config.json keeps the original's keys for them, which
    ``load_network`` reads; the model card says so.

    Args:
        source: A checkpoint folder, a hub id, a spec with its base, or an open checkpoint.
        target: The new folder. It appears complete or not at all.
        dtype: Number format to write; default: that of the stored weights.
        shard_bytes: Largest size of a shard, in bytes.
        base_layer: See :func:`videopath.model.checkpoints.loading.load_network`.
        layout: "huggingface" or "original".
        progress: Called with (tensors written, all tensors).
        tell: Called with each sentence about what plain transformers computes differently.

    Returns:
        ``target``.

    Raises:
        InputError: ``target`` exists already, or the dtype is unknown.
        ModelError: The checkpoint is damaged, or ``target`` cannot be written.
    """
    if dtype is not None and dtype not in DTYPES:
        raise InputError(f"The number format {dtype!r} is not known; use one of {', '.join(DTYPES)}.")
    checkpoint = source if isinstance(source, Checkpoint) else open_checkpoint(source, base_layer=base_layer)
    config, tokenizer = checkpoint.config(), checkpoint.tokenizer()
    shapes = _checked_shapes(checkpoint, config, len(tokenizer))
    rename: Callable[[str], str] = tensor_names.to_file
    if layout == "original":
        shapes = {
            name: shape
            for name, shape in shapes.items()
            if name != tensor_names.NEWLINE or config.has_newline
        }
        rename = str
    stored = DTYPES[dtype] if dtype else _main_dtype(checkpoint, shapes)
    with _new_folder(Path(target), _bytes(shapes, stored)) as folder:
        _write_shards(checkpoint, config, shapes, stored, folder, shard_bytes, rename, progress)
        if layout == "original":
            write_original_settings(config, tokenizer, len(tokenizer), stored, folder)
        else:
            card = read_card(checkpoint.folder)
            write_settings(config, checkpoint.generation, tokenizer, stored, card.frames, folder)
            write_card(config, card, str(checkpoint.folder), folder)
        _copy_cards(checkpoint, folder)
    if layout == "huggingface" and tell:
        for sentence in differences(config):
            tell(sentence)
    return Path(target)


def _copy_cards(checkpoint: Checkpoint, target: Path) -> None:
    """Copy the cards of the source, for programs and for people."""
    source = checkpoint.folder
    if (source / CARD_FILE).is_file():
        shutil.copyfile(source / CARD_FILE, target / CARD_FILE)
        carry_calibration_over(weight_files(checkpoint), target)
    text = card_text(source)
    if text is not None:
        write_text(target / "MODEL_CARD.md", text)


def plan_shards(sizes: dict[str, int], limit: int) -> list[list[str]]:
    """Distribute tensors over shards of at most ``limit`` bytes, in their order; a larger tensor gets its own shard.

    Args:
        sizes: Name → size in bytes.
        limit: Largest size of a shard, in bytes.

    Returns:
        The names of each shard.
    """
    shards: list[list[str]] = []
    room = 0
    for name, size in sizes.items():
        if not shards or size > room:
            shards.append([])
            room = limit
        shards[-1].append(name)
        room -= size
    return shards


def _checked_shapes(checkpoint: Checkpoint, config: LlavaConfig, vocabulary: int) -> dict[str, Shape]:
    """Return names and shapes of the tensors to write, with the norm and the newline that the checkpoint may lack."""
    expected = expected_shapes(empty_model(config, vocabulary), config)
    check_tensors(expected, checkpoint.weights.shapes, checkpoint.folder)
    return expected | {
        name: tuple(tensor.shape) for name, tensor in unused_tensors(config, checkpoint.weights).items()
    }


def _write_shards(
    checkpoint: Checkpoint,
    config: LlavaConfig,
    shapes: dict[str, Shape],
    dtype: torch.dtype,
    folder: Path,
    shard_bytes: int,
    rename: Callable[[str], str],
    progress: Callable[[int, int], None] | None,
) -> None:
    sizes = {name: _bytes({name: shape}, dtype) for name, shape in shapes.items()}
    shards = plan_shards(sizes, shard_bytes)
    unused = unused_tensors(config, checkpoint.weights)
    done, weight_map = 0, {}
    for number, members in enumerate(shards, start=1):
        file = (
            "model.safetensors" if len(shards) == 1 else f"model-{number:05}-of-{len(shards):05}.safetensors"
        )
        tensors = {}
        for name in members:
            tensor = unused[name] if name in unused else checkpoint.weights.read(name)
            tensors[rename(name)] = tensor[: shapes[name][0]].to(dtype, copy=True).contiguous()
            done += 1
            if progress:
                progress(done, len(shapes))
        with replaced_on_success(folder / file) as part:  # with the mode that the umask gives
            save_file(tensors, part, metadata={"format": "pt"})
        weight_map.update(dict.fromkeys(tensors, file))
    if len(shards) > 1:
        index = {"metadata": {"total_size": sum(sizes.values())}, "weight_map": weight_map}
        write_json(folder / "model.safetensors.index.json", index)


def _main_dtype(checkpoint: Checkpoint, shapes: dict[str, Shape]) -> torch.dtype:
    """Return the number format of most stored tensors; merged tensors are written in it, too."""
    root = checkpoint
    while root.base is not None:
        root = root.base
    stored = [dtype for name, dtype in root.weights.dtypes.items() if name in shapes]
    return max(set(stored), key=stored.count)


def _bytes(shapes: dict[str, Shape], dtype: torch.dtype) -> int:
    return sum(torch.Size(shape).numel() for shape in shapes.values()) * dtype.itemsize


@contextmanager
def _new_folder(target: Path, needed: int) -> Iterator[Path]:
    """Yield a folder beside ``target`` that becomes ``target`` at the end of the block; after an error nothing stays."""
    if target.is_file() or (target.is_dir() and any(target.iterdir())):
        raise InputError(f"{target} exists already: give a new folder for the converted checkpoint.")
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        free = shutil.disk_usage(target.parent).free
        if free < needed:
            raise ModelError(
                f"{target.parent} has {free >> 20} MiB free, but {needed >> 20} MiB are needed: free some space."
            )
        part = target.with_name(f".{target.name}.{uuid4().hex}.part")
        part.mkdir()
        try:
            yield part
            part.rename(target)
        finally:
            shutil.rmtree(part, ignore_errors=True)
    except (OSError, SafetensorError) as error:
        raise ModelError(
            f"The converted checkpoint could not be written to {target} ({error}); nothing was kept."
        ) from error
