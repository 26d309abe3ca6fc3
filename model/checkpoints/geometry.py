"""A checkpoint's ``LlavaConfig``, from its config.json and the shapes of its tensors.

The original's config.json names the vision tower by a hub id only, so its geometry is read from the tensors.
"""

from __future__ import annotations

import math
import re
from collections.abc import Mapping, Sequence
from typing import Any

from videopath.core.choices import NEWLINE_POSITIONS
from videopath.core.errors import ModelError
from videopath.model.architecture.config import TEXT_KEYS, VISION_KEYS, LlavaConfig
from videopath.model.architecture.layout import POOL_MODES
from videopath.model.architecture.preprocess import read_pinpoints
from videopath.model.checkpoints import tensor_names
from videopath.model.checkpoints.weights import Shape

# Heads of the published SigLIP towers by width; smaller towers have heads of 16.
_HEADS = {768: 12, 1024: 16, 1152: 16, 1536: 16}
_SMALL_HEAD = 16
_TEXT_SIZES = ("hidden_size", "intermediate_size", "num_hidden_layers", "num_attention_heads")
_LAYER = re.compile(re.escape(tensor_names.TOWER) + r"encoder\.layers\.(\d+)\.")


def read_config(
    config: Mapping[str, Any],
    shapes: Mapping[str, Shape],
    generation: Mapping[str, Any],
    base_configs: Sequence[Mapping[str, Any]] = (),
) -> LlavaConfig:
    """Return the geometry and rules of a checkpoint.

    Args:
        config: Its config.json, in the original's or in Hugging Face's form.
        shapes: Shapes of its tensors by original name.
        generation: Its generation_config.json.
        base_configs: The config.json of its bases; only their image size is used.

    Raises:
        ModelError: A value is unknown or not supported, or a tensor is missing.
    """
    vision = vision_geometry([config, *base_configs], shapes)
    text = text_geometry(config)
    _check_layers(text, shapes)
    position = str(config.get("mm_newline_position") or "one_token")  # the original's rule for a missing key
    mode = str(config.get("mm_spatial_pool_mode") or "bilinear")  # what the original's evaluation always sets
    default = "spatial_unpad" if is_hugging_face(config) else "flat"
    merge_type = str(config.get("mm_patch_merge_type") or default)
    _check_known(position, NEWLINE_POSITIONS, "mm_newline_position")
    _check_known(mode, POOL_MODES, "mm_spatial_pool_mode")
    _check_supported(config, position, merge_type)
    ends = generation.get("eos_token_id", config.get("eos_token_id"))
    return LlavaConfig(
        text_config=text,
        vision_config=vision,
        newline_position=position,
        pool_mode=mode,
        patch_merge_type=merge_type,
        aspect=_aspect(config),
        pinpoints=_pinpoints(config, vision["image_size"]),
        max_length=int(config.get("tokenizer_model_max_length") or text["max_position_embeddings"]),
        repetition_penalty=float(generation.get("repetition_penalty") or 1.0),
        eos_token_ids=tuple(ends) if isinstance(ends, list) else (() if ends is None else (int(ends),)),
        temporal_heads=_temporal_heads(config, text["hidden_size"]),
    )


def _temporal_heads(config: Mapping[str, Any], hidden: int) -> int:
    heads = int(config.get("mm_temporal_heads") or 0)
    if heads < 0 or (heads and hidden % heads):
        raise ModelError(f"The checkpoint's mm_temporal_heads is {heads}; it must divide the width {hidden}.")
    return heads


def _check_known(value: str, known: Sequence[str], key: str) -> None:
    if value not in known:
        raise ModelError(f"The checkpoint's {key} is {value!r}; known are {', '.join(known)}.")


def _check_supported(config: Mapping[str, Any], position: str, merge_type: str) -> None:
    """Reject settings that this network would compute differently from the original."""
    feature = (config.get("vision_feature_layer", -1), config.get("vision_feature_select_strategy", "full"))
    reasons = {
        "was trained with mm_use_im_start_end (marks around images)": config.get("mm_use_im_start_end"),
        "was trained with add_faster_video (a second pathway for videos)": config.get("add_faster_video"),
        f"reads the vision layer {feature}": is_hugging_face(config) and feature != (-1, "full"),
        f"places newlines by {position!r} without a newline vector ({merge_type})": merge_type.startswith(
            "spatial"
        )
        and position in ("grid", "frame")
        and "unpad" not in merge_type,
    }
    for reason, applies in reasons.items():
        if applies:
            raise ModelError(
                f"The checkpoint {reason}, which is not supported; none of the released models does so."
            )


def is_hugging_face(config: Mapping[str, Any]) -> bool:
    """Return whether a config.json has the Hugging Face layout."""
    return config.get("model_type") == "llava_onevision"


def text_geometry(config: Mapping[str, Any]) -> dict[str, Any]:
    """Return the arguments for ``Qwen2Config``. RoPE scaling is off, as in the original.

    Raises:
        ModelError: A size is missing or wrong, or the decoder scales RoPE or has a sliding window.
    """
    source = config.get("text_config", config) if is_hugging_face(config) else config
    text = {key: source[key] for key in TEXT_KEYS if source.get(key) is not None}
    rope = source.get("rope_parameters") or (is_hugging_face(config) and source.get("rope_scaling")) or {}
    kind = rope.get("rope_type") or rope.get("type") or "default"
    if kind != "default":
        raise ModelError(
            f"The checkpoint scales RoPE by {kind!r}, which is not supported; the original never does so."
        )
    text["rope_theta"] = float(rope.get("rope_theta") or source.get("rope_theta") or 1e4)
    text["tie_word_embeddings"] = bool(config.get("tie_word_embeddings") or source.get("tie_word_embeddings"))
    text.setdefault("max_position_embeddings", 32768)
    text.setdefault("num_key_value_heads", text.get("num_attention_heads"))
    missing = [key for key in _TEXT_SIZES if key not in text]
    if missing:
        raise ModelError(
            f"The checkpoint's config.json lacks {', '.join(missing)}; it does not belong to a LLaVA-Qwen model."
        )
    _check_sizes(text)
    if text.get("use_sliding_window") and text.get("max_window_layers", 0) < text["num_hidden_layers"]:
        raise ModelError(
            "The checkpoint's decoder has a sliding window of attention, which is not supported."
        )
    return text


def _check_sizes(text: Mapping[str, Any]) -> None:
    for key in (*_TEXT_SIZES, "num_key_value_heads", "max_position_embeddings"):
        if not isinstance(text[key], int) or isinstance(text[key], bool) or text[key] < 1:
            raise ModelError(
                f"The checkpoint's config.json says {key} = {text[key]!r}; it must be a positive whole number."
            )
    hidden, heads, shared = (
        text[key] for key in ("hidden_size", "num_attention_heads", "num_key_value_heads")
    )
    if hidden % heads or heads % shared or hidden // heads % 2:
        raise ModelError(
            f"The checkpoint's config.json says {heads} heads and {shared} key-value heads for a width of {hidden}; "
            "they do not divide."
        )


def _check_layers(text: Mapping[str, Any], shapes: Mapping[str, Shape]) -> None:
    """Before a network of that depth is built: its last layer must be in the weights."""
    last = f"model.layers.{text['num_hidden_layers'] - 1}.self_attn.q_proj.weight"
    if last not in shapes:
        raise ModelError(
            f"The checkpoint lacks the tensor {last}, which its config.json asks for by num_hidden_layers."
        )


def vision_geometry(configs: Sequence[Mapping[str, Any]], shapes: Mapping[str, Shape]) -> dict[str, Any]:
    """Return the arguments for ``SiglipVisionConfig``, from the tensors; heads and image size also from the configs.

    Raises:
        ModelError: The tensors are not those of a SigLIP tower, or some are missing.
    """
    patches = shapes.get(tensor_names.TOWER + "embeddings.patch_embedding.weight")
    positions = shapes.get(tensor_names.TOWER + "embeddings.position_embedding.weight")
    fc1 = shapes.get(tensor_names.TOWER + "encoder.layers.0.mlp.fc1.weight")
    if patches is None or positions is None or fc1 is None or len(patches) != 4:
        raise ModelError(
            f"The weights hold no SigLIP tower ({tensor_names.TOWER}embeddings..., encoder.layers.0...); "
            "a language model alone cannot see: give a LLaVA checkpoint."
        )
    hidden, channels, patch = patches[0], patches[1], patches[2]
    grid = math.isqrt(positions[0])
    if grid * grid != positions[0]:
        raise ModelError(
            f"The tower's {tensor_names.TOWER}embeddings.position_embedding.weight has {positions[0]} rows, not a square."
        )
    explicit: dict[str, Any] = next(
        (config["vision_config"] for config in configs if config.get("vision_config")), {}
    )
    stored = {int(match.group(1)) for name in shapes if (match := _LAYER.match(name))}
    layers = len(stored)
    if max(stored) >= layers:
        absent = min(set(range(layers)) - stored)
        raise ModelError(
            f"The checkpoint lacks the tensors {tensor_names.TOWER}encoder.layers.{absent}; it is incomplete."
        )
    heads = explicit.get("num_attention_heads") or _HEADS.get(hidden) or max(hidden // _SMALL_HEAD, 1)
    if hidden % int(heads):
        raise ModelError(
            f"The tower's width {hidden} cannot be divided into {heads} heads: set vision_config in config.json."
        )
    return {
        **{key: explicit[key] for key in VISION_KEYS if explicit.get(key) is not None},
        "hidden_size": hidden,
        "intermediate_size": fc1[0],
        "num_hidden_layers": layers,
        "num_attention_heads": int(heads),
        "num_channels": channels,
        "patch_size": patch,
        "image_size": _image_size(configs, explicit, patch, grid),
    }


def _image_size(
    configs: Sequence[Mapping[str, Any]], explicit: Mapping[str, Any], patch: int, grid: int
) -> int:
    """Return the first candidate that fits the tensors' grid: from vision_config, the pinpoints or the tower's name."""
    candidates: list[int] = [int(explicit["image_size"])] if explicit.get("image_size") else []
    for config in configs:
        sides = [side for size in read_pinpoints(config.get("image_grid_pinpoints"), None) for side in size]
        fitting = range(grid * patch, (grid + 1) * patch)
        candidates += [size for size in fitting if sides and not any(side % size for side in sides)]
        named = re.search(r"-(\d+)/?$", str(config.get("mm_vision_tower") or ""))
        candidates += [int(named.group(1))] if named else []
    return next((size for size in candidates if size // patch == grid), grid * patch)


def _aspect(config: Mapping[str, Any]) -> str:
    aspect = str(config.get("image_aspect_ratio") or config.get("vision_aspect_ratio") or "square")
    if aspect not in ("pad", "square") and not aspect.startswith("anyres"):
        raise ModelError(
            f"The checkpoint's image_aspect_ratio is {aspect!r}; known are anyres, anyres_max_N, pad, square."
        )
    return aspect


def _pinpoints(config: Mapping[str, Any], size: int) -> tuple[tuple[int, int], ...]:
    """Return (width, height) pairs; Hugging Face stores (height, width)."""
    pairs = read_pinpoints(config.get("image_grid_pinpoints"), size)
    return tuple((second, first) for first, second in pairs) if is_hugging_face(config) else pairs
