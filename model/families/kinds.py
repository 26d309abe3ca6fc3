"""Which loader reads a checkpoint folder. Only JSON is read, and torch is not imported."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

PLAIN_FRAMES = 8
"""Frames of a clip by default: a model of another family reads each frame as a picture of hundreds of tokens."""

_OWN_TYPES = ("llava_qwen", "qwen2")
"""Model types in the config.json of the original's training."""


def is_other_family(folder: Path) -> bool:
    """Return whether a folder is read by :mod:`videopath.model.families` and not by VideoPath's own loader.

    The own loader reads LLaVA-Qwen in every layout, adapters and projectors included. It also gets a folder whose
    config.json is missing or damaged, and says what is wrong.
    """
    config = None if (folder / "adapter_config.json").is_file() else _config(folder)
    if config is None:
        return False
    model_type = config.get("model_type")
    if not isinstance(model_type, str) or model_type in _OWN_TYPES or "mm_vision_tower" in config:
        return False
    return not (model_type == "llava_onevision" and _is_siglip_qwen(config))


def _config(folder: Path) -> dict[str, Any] | None:
    try:
        config = json.loads((folder / "config.json").read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError):
        return None
    return config if isinstance(config, dict) else None


def _is_siglip_qwen(config: Mapping[str, Any]) -> bool:
    """Return whether a LLaVA-OneVision has the parts that VideoPath's own network has."""
    text, vision = (config.get(key) or {} for key in ("text_config", "vision_config"))
    if not isinstance(text, dict) or not isinstance(vision, dict):
        return True  # damaged: the own loader says so
    features = (config.get("vision_feature_layer", -1), config.get("vision_feature_select_strategy", "full"))
    return (
        text.get("model_type", "qwen2") == "qwen2"
        and vision.get("model_type", "siglip_vision_model") == "siglip_vision_model"
        and features == (-1, "full")
    )
