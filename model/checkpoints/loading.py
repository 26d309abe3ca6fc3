"""Loading of checkpoints in every layout that the original's training and Hugging Face write.

- the original LLaVA-NeXT layout, in one or more shards, with a padded or a cut vocabulary;
- an original LoRA folder with its base;
- a stage-0 ``mm_projector.bin`` with its base;
- the Hugging Face layout.

Loading is strict: a missing, unexpected or misshapen tensor raises a ``ModelError`` that names it.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Literal

import torch
from huggingface_hub.errors import StrictDataclassError
from torch import nn
from transformers import LlavaOnevisionForConditionalGeneration, Qwen2Tokenizer

from videopath.core.errors import ModelError
from videopath.model.architecture.config import LlavaConfig
from videopath.model.architecture.network import Network, hf_config, with_temporal
from videopath.model.architecture.quantise import Quantisation, quantise_linears
from videopath.model.checkpoints import tensor_names
from videopath.model.checkpoints.geometry import is_hugging_face, read_config
from videopath.model.checkpoints.hub import resolve
from videopath.model.checkpoints.weights import (
    CheckpointWeights,
    FileWeights,
    OverlaidWeights,
    Shape,
    load_bin,
    loose_shards,
    read_json,
    reason_of,
    weight_files,
)
from videopath.model.device import DeviceChoice, check_quantisation, choose_device
from videopath.model.inference.spec import EngineSpec, ModelSource
from videopath.model.lora.adapter import (
    NON_LORA_FILE,
    BaseLayer,
    MergedWeights,
    is_adapter,
    open_adapter,
    open_non_lora,
)
from videopath.model.prompts.template import END_OF_TURN, TURN_MARKS

Layout = Literal["original", "huggingface", "lora", "projector"]
PROJECTOR_FILE = "mm_projector.bin"


@dataclass(frozen=True)
class Checkpoint:
    """An open checkpoint: its settings are read, its tensors are listed but not loaded.

    Attributes:
        folder: Where it is.
        layout: "original", "huggingface", "lora" or "projector".
        settings: Its config.json.
        weights: Its tensors under their original names, merged with the base if it has one.
        generation: Its generation_config.json.
        files: Its own weight files, without those of the base.
        tokenizer_folder: The folder of the tokenizer.
        base: The base of an adapter or a projector.
        further_settings: The config.json of the bases; only their image size is used.
    """

    folder: Path
    layout: Layout
    settings: dict[str, Any]
    weights: CheckpointWeights
    generation: dict[str, Any]
    files: list[Path]
    tokenizer_folder: Path
    base: Checkpoint | None = None
    further_settings: list[Mapping[str, Any]] = field(default_factory=list)

    def config(self) -> LlavaConfig:
        """Return geometry and rules, read from the settings and the tensors.

        Raises:
            ModelError: A setting has a wrong type or is not supported.
        """
        try:
            return read_config(self.settings, self.weights.shapes, self.generation, self.further_settings)
        except ModelError:
            raise
        except (TypeError, ValueError, LookupError, AttributeError, ArithmeticError, RecursionError) as error:
            raise ModelError(
                f"The settings in {self.folder} have a value of a wrong type ({reason_of(error)}); copy them again."
            ) from error

    def tokenizer(self) -> Any:
        """Load the checkpoint's own tokenizer, from fast or slow files."""
        return load_tokenizer(self.tokenizer_folder)


def load_network(
    source: ModelSource,
    *,
    base_layer: BaseLayer = "map",
    quantise: Quantisation | None = None,
    padded: bool = False,
    progress: Callable[[int, int], None] | None = None,
) -> Network:
    """Load a checkpoint of any layout onto a device, in ``eval`` mode.

    Args:
        source: A checkpoint folder, a hub id, or a spec with base, device and dtype.
        base_layer: What to do with tensors ``….base_layer.`` in ``non_lora_trainables.bin``: "map" gives them their
            plain names, "drop" leaves them out, as the original's merge does.
        quantise: "4bit" or "8bit" weights of the decoder; CUDA only.
        padded: Keep the rows of the vocabulary that belong to no token, as training does. By default they are cut off.
        progress: Called with (tensors read, all tensors).

    Returns:
        The network, on the device and with the dtype of the spec.

    Raises:
        ModelError: The checkpoint is missing or damaged, its tensors do not fit, or the device is not here.
        InputError: The device, the dtype or the quantisation is unknown.
    """
    spec = EngineSpec.of(source)
    choice = choose_device(spec.device, spec.dtype)
    check_quantisation(choice, quantise)
    checkpoint = open_checkpoint(spec, base_layer=base_layer)
    return load_open_checkpoint(checkpoint, choice, quantise=quantise, padded=padded, progress=progress)


def load_open_checkpoint(
    checkpoint: Checkpoint,
    choice: DeviceChoice,
    *,
    quantise: Quantisation | None = None,
    padded: bool = False,
    progress: Callable[[int, int], None] | None = None,
) -> Network:
    """Load an open checkpoint onto a device; see :func:`load_network`."""
    config, tokenizer = checkpoint.config(), checkpoint.tokenizer()
    if not config.eos_token_ids:  # neither config.json nor generation_config.json has it
        config = replace(config, eos_token_ids=(tokenizer.convert_tokens_to_ids(END_OF_TURN),))
    model = empty_model(
        config, checkpoint.weights.shapes[tensor_names.EMBEDDING][0] if padded else len(tokenizer)
    )
    load_device = "cpu" if quantise else choice.device
    fill_model(model, checkpoint, config, load_device, choice.torch_dtype, progress)
    if quantise:
        quantise_linears(model.model.language_model.layers, quantise)
    return Network(config, tokenizer, model).to(choice.device).eval()


def open_checkpoint(source: ModelSource, *, base_layer: BaseLayer = "map") -> Checkpoint:
    """Open a checkpoint of any layout without loading its weights; see :func:`load_network`."""
    spec = EngineSpec.of(source)
    folder = resolve(spec.model, accept_licence=spec.accept_licence)
    if is_adapter(folder):
        return _with_adapter(folder, _open_base(folder, spec), base_layer)
    if is_projector(folder):
        return _with_projector(folder, _open_base(folder, spec))
    settings = read_json(folder / "config.json")
    files = weight_files(folder)
    return Checkpoint(
        folder=folder,
        layout="huggingface" if is_hugging_face(settings) else "original",
        settings=settings,
        weights=FileWeights(files),
        generation=generation_settings(folder),
        files=files,
        tokenizer_folder=folder,
    )


def is_projector(folder: Path) -> bool:
    """Return whether a folder holds a stage-0 projector and no other weights."""
    weight_names = (
        "model.safetensors",
        "model.safetensors.index.json",
        "pytorch_model.bin",
        "pytorch_model.bin.index.json",
    )
    return (
        (folder / PROJECTOR_FILE).is_file()
        and not any((folder / name).is_file() for name in weight_names)
        and not loose_shards(folder)
    )


def generation_settings(folder: Path) -> dict[str, Any]:
    """Read the checkpoint's generation_config.json; return an empty dict if there is none."""
    path = folder / "generation_config.json"
    return read_json(path) if path.is_file() else {}


def load_tokenizer(folder: Path) -> Any:
    """Load the Qwen2 tokenizer of a folder, from tokenizer.json or from vocab.json and merges.txt.

    Raises:
        ModelError: The files are missing or damaged, or the tokenizer lacks the marks of a chat turn.
    """
    if not (folder / "tokenizer.json").is_file() and not (
        (folder / "vocab.json").is_file() and (folder / "merges.txt").is_file()
    ):
        raise ModelError(f"{folder} has no tokenizer: expected tokenizer.json, or vocab.json and merges.txt.")
    try:
        tokenizer = Qwen2Tokenizer.from_pretrained(folder, local_files_only=True)
        # damaged settings show only when it is used
        tokenizer.decode(tokenizer("tissue", add_special_tokens=False)["input_ids"])
    except Exception as error:  # noqa: BLE001 - the tokenizers library raises bare Exception for damaged files
        raise ModelError(
            f"The tokenizer files in {folder} cannot be read ({reason_of(error)}); copy or download them again."
        ) from error
    unknown = [mark for mark in TURN_MARKS if mark not in tokenizer.get_vocab()]
    if unknown:
        raise ModelError(
            f"The tokenizer in {folder} lacks {' and '.join(unknown)}; it is not that of a Qwen2 chat model."
        )
    return tokenizer


def empty_model(config: LlavaConfig, vocabulary: int) -> LlavaOnevisionForConditionalGeneration:
    """Return the modules with their parameters on the meta device: shapes without memory.

    The meta device is set for this thread only, so other threads can build and load networks at the same time.

    Raises:
        ModelError: The settings do not describe a network that can be built.
    """
    try:
        settings = hf_config(config, vocabulary)
        with torch.device("meta"):
            model = with_temporal(LlavaOnevisionForConditionalGeneration(settings), config)
        with torch.device("cpu"):
            _compute_buffers(model)
        return model
    except (TypeError, ValueError, KeyError, RuntimeError, ZeroDivisionError, StrictDataclassError) as error:
        reason = str(error).strip().splitlines()[-1][:160] if str(error).strip() else type(error).__name__
        raise ModelError(
            f"No network can be built from the checkpoint's config.json ({reason}); copy it again."
        ) from error


def _compute_buffers(model: LlavaOnevisionForConditionalGeneration) -> None:
    """Compute the buffers that no checkpoint stores: positions of patches, angles of RoPE."""
    decoder, embeddings = model.model.language_model, model.model.vision_tower.embeddings
    decoder.rotary_emb = type(decoder.rotary_emb)(decoder.config)
    embeddings.position_ids = torch.arange(embeddings.num_positions).expand((1, -1))
    empty = [name for name, buffer in model.named_buffers() if buffer.is_meta]
    if empty:
        raise RuntimeError(f"this version of transformers has the unknown buffers {', '.join(empty[:3])}")


def expected_shapes(model: nn.Module, config: LlavaConfig) -> dict[str, Shape]:
    """Return original names and shapes of the tensors that a checkpoint must hold."""
    shapes = {
        tensor_names.to_original(name): tuple(tensor.shape)
        for name, tensor in model.named_parameters(remove_duplicate=False)
    }
    if config.text_config.get("tie_word_embeddings"):
        shapes.pop(tensor_names.HEAD, None)
    if not config.has_newline:
        shapes.pop(tensor_names.NEWLINE, None)
    return {name: shape for name, shape in shapes.items() if name not in tensor_names.UNUSED}


def unused_tensors(config: LlavaConfig, weights: CheckpointWeights) -> dict[str, torch.Tensor]:
    """Return the tensors that the modules have but this network never uses, by original name.

    They are as stored; if they are not stored, they have neutral values.
    """
    width = config.vision_config["hidden_size"]
    unused = {tensor_names.UNUSED[0]: torch.ones(width), tensor_names.UNUSED[1]: torch.zeros(width)}
    for name in unused:
        if weights.shapes.get(name) == (width,):
            unused[name] = weights.read(name)
    return unused if config.has_newline else unused | {tensor_names.NEWLINE: torch.zeros(config.hidden_size)}


def check_tensors(expected: Mapping[str, Shape], found: Mapping[str, Shape], folder: Path) -> None:
    """Check the tensors of a checkpoint against those that its network needs.

    The matrices of the vocabulary may have more rows than the tokenizer has entries. Tensors that the network never
    uses may be there.

    Raises:
        ModelError: A tensor is missing, unexpected or has another shape; the message names it.
    """
    missing = sorted(set(expected) - set(found))
    if missing:
        raise ModelError(
            f"The checkpoint {folder} lacks {_listed(missing)}; it is incomplete or has another architecture."
        )
    unexpected = sorted(
        set(found) - set(expected) - {*tensor_names.UNUSED, tensor_names.HEAD, tensor_names.NEWLINE}
    )
    if unexpected:
        raise ModelError(
            f"The checkpoint {folder} holds {_listed(unexpected)}, which this architecture does not have."
        )
    for name, shape in expected.items():
        spare_rows = (
            name in (tensor_names.EMBEDDING, tensor_names.HEAD)
            and found[name][:1] >= shape[:1]
            and found[name][1:] == shape[1:]
        )
        if found[name] != shape and not spare_rows:
            raise ModelError(
                f"The checkpoint {folder} holds {name} as {list(found[name])}; its config and tokenizer need {list(shape)}."
            )


def fill_model(
    model: LlavaOnevisionForConditionalGeneration,
    checkpoint: Checkpoint,
    config: LlavaConfig,
    device: str,
    dtype: torch.dtype,
    progress: Callable[[int, int], None] | None = None,
) -> None:
    """Check a checkpoint's tensors, then copy them into an empty model, one at a time."""
    expected = expected_shapes(model, config)
    check_tensors(expected, checkpoint.weights.shapes, checkpoint.folder)
    tensors = {}
    for number, (name, shape) in enumerate(expected.items(), start=1):
        tensor = checkpoint.weights.read(name)
        rows = tensor[: shape[0]]
        tensors[tensor_names.to_module(name)] = rows.to(device=device, dtype=dtype, copy=True)
        if progress:
            progress(number, len(expected))
    for name, tensor in unused_tensors(config, checkpoint.weights).items():
        tensors[tensor_names.to_module(name)] = tensor.to(device=device, dtype=dtype)
    if config.text_config.get("tie_word_embeddings"):
        tensors[tensor_names.HEAD] = tensors[tensor_names.to_module(tensor_names.EMBEDDING)]
    model.load_state_dict(tensors, strict=True, assign=True)
    if config.text_config.get("tie_word_embeddings"):
        # not by transformers' tie_weights, which its from_pretrained switches off for all threads while it loads
        model.lm_head.weight = model.get_input_embeddings().weight


def _open_base(folder: Path, spec: EngineSpec) -> Checkpoint:
    """Open the base of the spec, else the folder that the adapter names; it must be a whole checkpoint."""
    base = spec.base
    named = open_adapter(folder).settings.base_name if is_adapter(folder) else ""
    if base is None and named:
        base = next((path for path in (Path(named), folder.parent / named) if path.is_dir()), None)
    if base is None:
        trained_on = f" (it was trained on {named!r})" if named else ""
        raise ModelError(
            f"{folder} holds only an adapter or a projector: give its base, a LLaVA checkpoint{trained_on}, with base= or "
            "--base, or merge the two: videopath model merge."
        )
    base_folder = resolve(base, accept_licence=spec.accept_licence)
    if is_adapter(base_folder) or is_projector(base_folder):
        raise ModelError(
            f"The base {base_folder} is itself an adapter or a projector: give a whole LLaVA checkpoint."
        )
    return open_checkpoint(base_folder)


def _with_adapter(folder: Path, base: Checkpoint, base_layer: BaseLayer) -> Checkpoint:
    adapter = open_adapter(folder)
    changed = open_non_lora(folder, base_layer)
    weights = (
        base.weights
        if changed is None
        else OverlaidWeights(base.weights, changed, f"{folder / NON_LORA_FILE}")
    )
    own = folder / "config.json"
    merged = Checkpoint(
        folder=folder,
        layout="lora",
        settings=read_json(own) if own.is_file() else base.settings,
        weights=MergedWeights(weights, adapter),
        generation=base.generation or generation_settings(folder),
        files=[*adapter.weights.files, *(changed.files if changed else [])],
        tokenizer_folder=base.tokenizer_folder,
        base=base,
        further_settings=[base.settings, *base.further_settings],
    )
    if tensor_names.HEAD in adapter.targets and merged.config().text_config.get("tie_word_embeddings"):
        raise ModelError(
            f"The adapter in {folder} changes {tensor_names.HEAD}, but this base shares that tensor with its embeddings "
            "(tie_word_embeddings): merge it with PEFT first."
        )
    return merged


def _with_projector(folder: Path, base: Checkpoint) -> Checkpoint:
    file = folder / PROJECTOR_FILE
    load_bin(file)
    own = folder / "config.json"
    return Checkpoint(
        folder=folder,
        layout="projector",
        settings=read_json(own) if own.is_file() else base.settings,
        weights=OverlaidWeights(base.weights, FileWeights([file]), str(file)),
        generation=base.generation,
        files=[file],
        tokenizer_folder=base.tokenizer_folder,
        base=base,
        further_settings=[base.settings, *base.further_settings],
    )


def _listed(tensors: list[str], limit: int = 3) -> str:
    if len(tensors) == 1:
        return f"the tensor {tensors[0]}"
    more = f" and {len(tensors) - limit} more" if len(tensors) > limit else ""
    return f"the tensors {', '.join(tensors[:limit])}{more}"
