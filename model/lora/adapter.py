"""LoRA adapters (Hu et al. 2021) of the original's training, merged under the original names in float32.

PEFT on the renamed modules would load an original adapter without an error but leave every B at zero. So the merge is
done here, tensor by tensor: W + scale · B A.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import torch

from videopath.core.errors import ModelError
from videopath.model.checkpoints import tensor_names
from videopath.model.checkpoints.weights import CheckpointWeights, FileWeights, Shape
from videopath.model.lora.settings import ADAPTER_CONFIG, AdapterSettings, read_settings

BaseLayer = Literal["map", "drop"]

NON_LORA_FILE = "non_lora_trainables.bin"
ADAPTER_PREFIX = "base_model.model."
"""Prefix of every name in the files of an adapter."""
_ADAPTER_FILES = ("adapter_model.safetensors", "adapter_model.bin")


@dataclass(frozen=True)
class Adapter:
    """A LoRA adapter: its settings, and its A and B by target tensor."""

    folder: Path
    settings: AdapterSettings
    weights: FileWeights

    @property
    def targets(self) -> list[str]:
        """Original names of the tensors that the adapter changes, sorted."""
        return sorted({name.rsplit(".lora_", 1)[0] + ".weight" for name in self.weights.shapes})

    def pair(self, target: str) -> tuple[str, str]:
        """Return the names of A and B of a target."""
        stem = target.removesuffix(".weight")
        return f"{stem}.lora_A", f"{stem}.lora_B"

    def module(self, target: str) -> str:
        """Return the module of a target as the adapter's own file names it; PEFT's patterns match this name."""
        return self.weights.key_of(self.pair(target)[0]).removeprefix(ADAPTER_PREFIX).rsplit(".lora_A", 1)[0]

    def delta(self, target: str) -> torch.Tensor:
        """Return what is added to a target, float32."""
        a, b = (self.weights.read(name).float() for name in self.pair(target))
        return (b @ a) * self.scale_of(target)

    def scale_of(self, target: str) -> float:
        """Return the factor of B A for a target."""
        rank = self.weights.shapes[self.pair(target)[0]][0]
        return self.settings.scale_of(self.module(target), rank)


class MergedWeights:
    """A base with an adapter merged into it; the changed tensors are float32.

    Raises:
        ModelError: The adapter does not fit the base.
    """

    def __init__(self, base: CheckpointWeights, adapter: Adapter) -> None:
        self.base, self.adapter = base, adapter
        self._targets = frozenset(adapter.targets)
        for target in adapter.targets:
            _check_pair(base, adapter, target)

    @property
    def shapes(self) -> dict[str, Shape]:
        return dict(self.base.shapes)

    @property
    def dtypes(self) -> dict[str, torch.dtype]:
        return {**self.base.dtypes, **dict.fromkeys(self._targets, torch.float32)}

    def read(self, name: str) -> torch.Tensor:
        tensor = self.base.read(name)
        return tensor.float() + self.adapter.delta(name) if name in self._targets else tensor


def is_adapter(folder: Path) -> bool:
    """Return whether a folder holds a LoRA adapter."""
    return (folder / ADAPTER_CONFIG).is_file()


def open_adapter(folder: Path) -> Adapter:
    """Read an adapter's settings and headers.

    Raises:
        ModelError: The adapter is not plain LoRA, or its files are incomplete or do not belong together.
    """
    settings = read_settings(folder)
    file = next((folder / name for name in _ADAPTER_FILES if (folder / name).is_file()), None)
    if file is None:
        raise ModelError(
            f"{folder} has {ADAPTER_CONFIG} but neither {' nor '.join(_ADAPTER_FILES)}: copy it again."
        )
    adapter = Adapter(folder, settings, FileWeights([file], _adapter_name))
    if not adapter.targets:
        raise ModelError(f"{file} holds no tensors: copy it again.")
    for target in adapter.targets:
        _check_alone(adapter, target)
    return adapter


def open_non_lora(folder: Path, base_layer: BaseLayer = "map") -> FileWeights | None:
    """Open the tensors that training changed outside the adapter.

    Args:
        folder: Folder of the adapter.
        base_layer: Newer PEFT stores tensors of adapted modules as ``….base_layer.weight``. "map" gives them their plain
            names; "drop" leaves them out, as the original's merge does silently.

    Returns:
        The tensors; ``None`` if there is no such file.
    """
    file = folder / NON_LORA_FILE

    def rename(key: str) -> str | None:
        if ".base_layer." in key and base_layer == "drop":
            return None
        return tensor_names.to_original(key.removeprefix(ADAPTER_PREFIX).replace(".base_layer.", "."))

    return FileWeights([file], rename) if file.is_file() else None


def stored_name(module_name: str) -> str:
    """Return the name in an adapter's file for a parameter ``….lora_A.default.weight`` of transformers' modules."""
    layer, _, kind = module_name.partition(".lora_")
    target = tensor_names.to_original(layer + ".weight").removesuffix(".weight")
    return f"{ADAPTER_PREFIX}{target}.lora_{kind[0]}.weight"


def _adapter_name(key: str) -> str:
    stem = key.removeprefix(ADAPTER_PREFIX).removesuffix(".weight").removesuffix(".default")
    if not stem.endswith((".lora_A", ".lora_B")):
        raise ModelError(
            f"The adapter holds the tensor {key}, which is neither lora_A nor lora_B: merge it with PEFT first."
        )
    return tensor_names.to_original(stem)


def _check_alone(adapter: Adapter, target: str) -> None:
    """Reject a target if its two matrices contradict the adapter's settings."""
    stored, pair = adapter.weights.shapes, adapter.pair(target)
    for name in pair:
        if name not in stored:
            raise ModelError(f"The adapter in {adapter.folder} lacks {name}: copy it again.")
    module, rank = adapter.module(target), stored[pair[0]][:1]
    if rank != (adapter.settings.rank_of(module),):
        raise ModelError(
            f"The adapter in {adapter.folder} holds {pair[0]} as {list(stored[pair[0]])} but its {ADAPTER_CONFIG} says rank "
            f"{adapter.settings.rank_of(module)}. The two files do not belong together: copy both again."
        )
    if not adapter.settings.names(module):
        raise ModelError(
            f"The adapter in {adapter.folder} holds matrices for {module}, which its {ADAPTER_CONFIG} does not name "
            "(target_modules, exclude_modules, layers_to_transform). The two files do not belong together: copy both again."
        )


def _check_pair(base: CheckpointWeights, adapter: Adapter, target: str) -> None:
    if target not in base.shapes:
        raise ModelError(
            f"The adapter in {adapter.folder} changes {target}, which the base does not have: use the base that it was trained on."
        )
    a, b = (adapter.weights.shapes[name] for name in adapter.pair(target))
    if len(a) != 2 or len(b) != 2 or a[0] != b[1] or (b[0], a[1]) != base.shapes[target]:
        raise ModelError(
            f"The adapter in {adapter.folder} does not fit the base at {target}: the base has {list(base.shapes[target])}, "
            f"the adapter A {list(a)} and B {list(b)}. Use the base that it was trained on."
        )
