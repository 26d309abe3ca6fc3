"""Tensors of a checkpoint under their original names, read one at a time.

``FileWeights`` reads files. ``OverlaidWeights`` replaces some tensors of a base by others. ``MergedWeights`` in
:mod:`videopath.model.lora.adapter` adds a LoRA. At first only headers are read, so the memory needed is that of one tensor.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import torch
from safetensors import SafetensorError, safe_open

from videopath.core.errors import ModelError
from videopath.model.checkpoints import tensor_names

Shape = tuple[int, ...]

_DTYPES = {
    "F64": torch.float64,
    "F32": torch.float32,
    "F16": torch.float16,
    "BF16": torch.bfloat16,
    "I64": torch.int64,
    "I32": torch.int32,
    "U8": torch.uint8,
    "I8": torch.int8,
    "BOOL": torch.bool,
}
_WEIGHT_FILES = ("model.safetensors", "pytorch_model.bin")
_SHARD = re.compile(r"(?P<stem>[\w.]+?)-\d+-of-(?P<whole>\d+)\.(?P<ending>safetensors|bin)")


class CheckpointWeights(Protocol):
    """Named tensors that are read when they are needed."""

    @property
    def shapes(self) -> Mapping[str, Shape]: ...

    @property
    def dtypes(self) -> Mapping[str, torch.dtype]: ...

    def read(self, name: str) -> torch.Tensor:
        """Read a tensor to the CPU."""
        ...


@dataclass(frozen=True)
class _Entry:
    file: Path
    key: str
    shape: Shape
    dtype: torch.dtype


class FileWeights:
    """Tensors of safetensors or PyTorch files.

    Args:
        files: The files.
        rename: Returns the original name for a stored key; ``None`` leaves the tensor out.

    Raises:
        ModelError: A file is missing or damaged, or two files hold the same tensor.
    """

    def __init__(
        self, files: list[Path], rename: Callable[[str], str | None] = tensor_names.to_original
    ) -> None:
        self.files = files
        self._loaded: dict[Path, dict[str, torch.Tensor]] = {}
        self._entries: dict[str, _Entry] = {}
        for file in files:
            for entry in self._entries_of(file):
                name = rename(entry.key)
                if name is None:
                    continue
                if name in self._entries:
                    raise ModelError(f"{file} and {self._entries[name].file} both hold the tensor {name}.")
                self._entries[name] = entry

    @property
    def shapes(self) -> dict[str, Shape]:
        return {name: entry.shape for name, entry in self._entries.items()}

    @property
    def dtypes(self) -> dict[str, torch.dtype]:
        return {name: entry.dtype for name, entry in self._entries.items()}

    def key_of(self, name: str) -> str:
        """Return the key under which a tensor is stored."""
        return self._entries[name].key

    def read(self, name: str) -> torch.Tensor:
        entry = self._entries[name]
        if entry.file.suffix != ".safetensors":
            return self._loaded[entry.file][entry.key]
        try:
            with safe_open(entry.file, framework="pt") as stored:
                return stored.get_tensor(entry.key)
        except (SafetensorError, OSError) as error:
            raise _unreadable(entry.file, error) from error

    def _entries_of(self, file: Path) -> Iterator[_Entry]:
        if not file.is_file():
            raise ModelError(f"The weight file {file} is missing: copy or download the checkpoint again.")
        if file.suffix == ".safetensors":
            yield from _safetensors_entries(file)
            return
        self._loaded[file] = load_bin(file)
        for key, tensor in self._loaded[file].items():
            yield _Entry(file, key, tuple(tensor.shape), tensor.dtype)


class OverlaidWeights:
    """A base with some of its tensors replaced.

    Args:
        base: The base.
        over: The tensors that replace those of the same name; each must be in the base with the same shape.
        what: Name of ``over`` in error messages.

    Raises:
        ModelError: A tensor does not fit the base.
    """

    def __init__(self, base: CheckpointWeights, over: CheckpointWeights, what: str) -> None:
        self._base, self._over = base, over
        for name, shape in over.shapes.items():
            if name not in base.shapes:
                raise ModelError(
                    f"{what} holds the tensor {name}, which the base does not have; it belongs to another base."
                )
            same = shape == base.shapes[name] or (
                name in (tensor_names.EMBEDDING, tensor_names.HEAD) and shape[1:] == base.shapes[name][1:]
            )
            if not same:
                raise ModelError(
                    f"{what} holds {name} as {list(shape)} but the base has {list(base.shapes[name])}; it belongs to another base."
                )

    @property
    def shapes(self) -> dict[str, Shape]:
        return {**self._base.shapes, **self._over.shapes}

    @property
    def dtypes(self) -> dict[str, torch.dtype]:
        return {**self._base.dtypes, **self._over.dtypes}

    def read(self, name: str) -> torch.Tensor:
        return (self._over if name in self._over.shapes else self._base).read(name)


def weight_files(folder: Path) -> list[Path]:
    """Return the weight files of a checkpoint folder: one file, or all files of its index.

    Raises:
        ModelError: The folder has no weights, or shards without their index.
    """
    for name in _WEIGHT_FILES:
        index = folder / f"{name}.index.json"
        if index.is_file():
            return _indexed_files(index)
        if (folder / name).is_file():
            return [folder / name]
    _reject_shards_without_index(folder)
    raise ModelError(
        f"{folder} holds no weights: expected {' or '.join(_WEIGHT_FILES)} (or their .index.json), "
        "adapter_model.* or mm_projector.bin."
    )


def _reject_shards_without_index(folder: Path) -> None:
    shards = loose_shards(folder)
    if not shards:
        return
    parts = _SHARD.fullmatch(shards[0])
    assert parts is not None
    whole, index = int(parts["whole"]), f"{parts['stem']}.{parts['ending']}.index.json"
    raise ModelError(
        f"{folder} holds {len(shards)} of {whole} shards of weights ({shards[0]}{' …' if len(shards) > 1 else ''}) but "
        f"no {index}, which lists their tensors: download the index{'' if len(shards) == whole else ' and the missing shards'} "
        "as well."
    )


def loose_shards(folder: Path) -> list[str]:
    """Return the names of the shards in a folder, sorted."""
    return sorted(path.name for path in folder.glob("*-of-*") if _SHARD.fullmatch(path.name))


def _indexed_files(index: Path) -> list[Path]:
    mapping = read_json(index).get("weight_map")
    if not isinstance(mapping, dict) or not mapping:
        raise ModelError(f"{index} has no weight_map: copy or download it again.")
    strange = [file for file in mapping.values() if not _is_file_name(file)]
    if strange:
        raise ModelError(
            f"{index} names {str(strange[0])[:80]!r}, which is no file beside it: copy or download it again."
        )
    return sorted({index.parent / file for file in mapping.values()})


def _is_file_name(value: Any) -> bool:
    return isinstance(value, str) and value.isprintable() and Path(value).name == value != ""


def load_bin(file: Path) -> dict[str, torch.Tensor]:
    """Load the tensors of a PyTorch file; they are memory-mapped if its format allows. Code in the file is never run.

    Raises:
        ModelError: The file is damaged, or it holds other objects than plain tensors.
    """
    try:
        try:
            content: Any = torch.load(file, map_location="cpu", weights_only=True, mmap=True)
        except RuntimeError:  # files from before PyTorch 1.6 cannot be mapped
            content = torch.load(file, map_location="cpu", weights_only=True)
    except Exception as error:  # noqa: BLE001 - torch's unpickler may raise anything for damaged bytes
        raise _unreadable(file, error) from error
    if not isinstance(content, dict) or not all(map(_is_plain, content.values())):
        raise ModelError(
            f"{file} holds other objects than named, plain tensors; it is not a weight file of a LLaVA checkpoint."
        )
    return {str(key): tensor for key, tensor in content.items()}


def _is_plain(tensor: Any) -> bool:
    return (
        isinstance(tensor, torch.Tensor)
        and tensor.layout is torch.strided
        and tensor.device.type == "cpu"
        and tensor.dtype in _DTYPES.values()
    )


def read_json(path: Path) -> dict[str, Any]:
    """Read a JSON object from a file of a checkpoint.

    Raises:
        ModelError: The file is missing or is not a JSON object.
    """
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError as error:
        raise ModelError(f"{path} is missing: a checkpoint folder needs it.") from error
    except (OSError, ValueError, RecursionError) as error:
        raise ModelError(
            f"{path} cannot be read as JSON ({reason_of(error)}); copy or download it again."
        ) from error
    if not isinstance(content, dict):
        raise ModelError(f"{path} does not hold a JSON object; copy or download it again.")
    return content


def _safetensors_entries(file: Path) -> Iterator[_Entry]:
    try:
        with safe_open(file, framework="pt") as stored:
            for key in stored.keys():  # noqa: SIM118 - safe_open is no mapping
                part = stored.get_slice(key)
                kind = part.get_dtype()
                if kind not in _DTYPES:
                    raise ModelError(
                        f"{file} holds {key} in the number format {kind}; known are {', '.join(_DTYPES)}."
                    )
                yield _Entry(file, key, tuple(part.get_shape()), _DTYPES[kind])
    except (SafetensorError, OSError) as error:
        raise _unreadable(file, error) from error


def reason_of(error: Exception) -> str:
    """Return the first line of a library's error, cut to the length of a sentence."""
    first = (str(error).strip() or type(error).__name__).splitlines()[0][:160]
    return first.encode(errors="backslashreplace").decode()


def _unreadable(file: Path, error: Exception) -> ModelError:
    return ModelError(
        f"The weight file {file} is damaged or incomplete ({reason_of(error)}); copy or download it again."
    )
