"""Writing a network in the original LLaVA-NeXT layout."""

from __future__ import annotations

import json
import tempfile
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import save_file

from videopath.core.files import replaced_on_success, write_text
from videopath.model.architecture.config import LlavaConfig
from videopath.model.architecture.network import Network
from videopath.model.checkpoints import tensor_names


def save_original(network: Network, folder: Path | str, dtype: torch.dtype = torch.float16) -> Path:
    """Write a network in the original layout: weights, config, generation config and tokenizer.

    Each file is written completely or not at all. Other files in the folder stay. Tied embeddings are stored once.

    Args:
        network: The network.
        folder: The folder; it is created if needed.
        dtype: Number format to write. The original always writes float16.

    Returns:
        ``folder``.
    """
    folder = Path(folder)
    folder.mkdir(parents=True, exist_ok=True)
    with replaced_on_success(folder / "model.safetensors") as part:
        save_file(original_tensors(network, dtype), part, metadata={"format": "pt"})
    vocabulary = network.model.lm_head.out_features
    write_original_settings(network.config, network.tokenizer, vocabulary, dtype, folder)
    return folder


def write_original_settings(
    config: LlavaConfig, tokenizer: Any, vocabulary: int, dtype: torch.dtype, folder: Path
) -> None:
    """Write the files of the original layout other than the weights; config.json is written last."""
    save_tokenizer(tokenizer, folder)
    write_json(folder / "generation_config.json", config.generation_config())
    settings = {
        **config.to_original(),
        "vocab_size": vocabulary,
        "torch_dtype": str(dtype).removeprefix("torch."),
        "image_grid_pinpoints": [list(size) for size in config.pinpoints] or None,
    }
    write_json(folder / "config.json", settings)


def original_tensors(network: Network, dtype: torch.dtype) -> dict[str, torch.Tensor]:
    """Return the network's tensors under their original names, on the CPU in ``dtype``."""
    tied = bool(network.config.text_config.get("tie_word_embeddings", False))
    tensors: dict[str, torch.Tensor] = {}
    for module_name, tensor in network.model.state_dict().items():
        name = tensor_names.to_original(module_name)
        if (name == tensor_names.HEAD and tied) or (
            name == tensor_names.NEWLINE and not network.config.has_newline
        ):
            continue
        tensors[name] = tensor.detach().to("cpu", dtype).contiguous()
    return tensors


def save_tokenizer(tokenizer: Any, folder: Path) -> None:
    """Write a tokenizer's files into ``folder``, each completely or not at all."""
    with tempfile.TemporaryDirectory(dir=folder, prefix=".tokenizer.") as temporary:
        tokenizer.save_pretrained(temporary)
        for file in Path(temporary).iterdir():
            file.replace(folder / file.name)


def write_json(path: Path, content: dict[str, Any]) -> None:
    """Write an indented JSON file, completely or not at all."""
    write_text(path, json.dumps(content, indent=2, ensure_ascii=False) + "\n")
