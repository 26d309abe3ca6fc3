"""The settings of a checkpoint in Hugging Face's layout, for ``AutoProcessor``, ``pipeline`` and servers.

Plain transformers computes some steps differently from how this network was trained. :func:`differences` lists them in
sentences, for the model card and for the terminal.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch

from videopath.core.files import write_text
from videopath.model.architecture.config import LlavaConfig
from videopath.model.architecture.network import hf_config
from videopath.model.card import CardFile
from videopath.model.checkpoints.hf_marks import VisualMarks, save_marked_tokenizer, visual_marks
from videopath.model.checkpoints.saving import write_json

_PROCESSOR = "LlavaOnevisionProcessor"
_MIN_TILES = 9
_FRAMES = 32


def write_settings(
    config: LlavaConfig,
    generation: dict[str, Any],
    tokenizer: Any,
    dtype: torch.dtype,
    frames: int | None,
    folder: Path,
) -> None:
    """Write configuration, generation settings, processors, tokenizer and chat template into ``folder``."""
    marks = visual_marks(tokenizer)
    hf_config(
        config,
        len(tokenizer),
        image_token_index=marks.image_id,
        video_token_index=marks.video_id,
        vision_aspect_ratio=_vision_aspect(config),
        architectures=["LlavaOnevisionForConditionalGeneration"],
        dtype=str(dtype).removeprefix("torch."),
        **config.rules(),
    ).save_pretrained(folder)
    write_json(folder / "generation_config.json", {**generation, **config.generation_config()})
    write_json(folder / "processor_config.json", _processor(config, marks))
    write_json(folder / "preprocessor_config.json", _image_processor(config))
    write_json(folder / "video_preprocessor_config.json", _video_processor(config, frames or _FRAMES))
    save_marked_tokenizer(tokenizer, marks, folder)


def differences(config: LlavaConfig) -> list[str]:
    """Return what plain transformers computes differently from this network's training, a sentence each."""
    sentences = []
    if config.newline_position != "one_token" or not config.has_newline:
        sentences.append(
            f"Videos: this network was trained with {_newlines(config)}; transformers sets one newline token after the "
            "last frame and has no setting for it."
        )
    if config.pool_mode != "bilinear":
        sentences.append(
            f"Videos: this network pools frames by {config.pool_mode}; transformers pools bilinearly."
        )
    if config.temporal_heads:
        sentences.append(
            "Videos: this network has attention between frames (mm_temporal_heads); transformers leaves it out."
        )
    if not (config.aspect.startswith("anyres") and config.has_newline and config.pinpoints):
        sentences.append(
            f"Images: this network was trained with the rule {config.aspect!r} and {config.patch_merge_type!r} merging; "
            "transformers cuts every image into tiles (anyres) with a newline token after each row."
        )
    return sentences


def write_card(config: LlavaConfig, card: CardFile, source: str, folder: Path) -> None:
    """Write the model card: what the model is, how to load it, and what plain transformers computes differently."""
    sentences = differences(config)
    listed = (
        "\n".join(f"- {sentence}" for sentence in sentences)
        if sentences
        else "Nothing: transformers lays out images and videos as in training."
    )
    advice = (
        "\nIf this matters to you, load the folder with VideoPath. It reads the same files and follows the network's own "
        "rules, which are in `config.json`: `videopath diagnose VIDEO --model FOLDER`, or `load_engine(FOLDER)` in Python.\n"
        if sentences
        else ""
    )
    write_text(
        folder / "README.md",
        "---\nlibrary_name: transformers\npipeline_tag: video-text-to-text\n---\n\n"
        f"# {card.name or Path(source).name}\n\n"
        f"A LLaVA-Qwen network in Hugging Face's layout, converted by VideoPath from `{Path(source).name}`. "
        "For research only: not a medical device.\n\n"
        f"- Licence: {card.licence or 'not stated'}\n"
        f"- Trained on: {card.trained_on or 'not stated'}\n\n"
        "```python\nfrom transformers import AutoProcessor, LlavaOnevisionForConditionalGeneration\n\n"
        'processor = AutoProcessor.from_pretrained("FOLDER")  # needs torchvision\n'
        'model = LlavaOnevisionForConditionalGeneration.from_pretrained("FOLDER")\n```\n\n'
        f"## What transformers computes differently\n\n{listed}\n{advice}",
    )


def _newlines(config: LlavaConfig) -> str:
    if not config.has_newline or config.newline_position == "no_token":
        return "no newline tokens"
    if config.newline_position == "grid":
        return "a grid of newline tokens, one after each row of each frame (mm_newline_position: grid)"
    return "a newline token after each frame (mm_newline_position: frame)"


def _vision_aspect(config: LlavaConfig) -> str:
    """Return ``anyres_max_N``, the only form that Hugging Face knows; an N above all possible tiles means ``anyres``."""
    if config.aspect.startswith("anyres_max_"):
        return config.aspect
    tiles = [
        (width // config.image_size) * (height // config.image_size) for width, height in config.pinpoints
    ]
    return f"anyres_max_{max([_MIN_TILES, *tiles])}"


def _processor(config: LlavaConfig, marks: VisualMarks) -> dict[str, Any]:
    return {
        "processor_class": _PROCESSOR,
        "num_image_tokens": config.grid**2,
        "vision_feature_select_strategy": "full",
        "image_token": marks.image,
        "video_token": marks.video,
        "vision_aspect_ratio": _vision_aspect(config),
    }


def _pixels(config: LlavaConfig) -> dict[str, Any]:
    """Return the settings of both processors for a frame or a tile."""
    side = config.image_size
    return {
        "processor_class": _PROCESSOR,
        "do_convert_rgb": True,
        "do_resize": True,
        "do_rescale": True,
        "do_normalize": True,
        "size": {"height": side, "width": side},
        "default_to_square": False,
        "resample": 3,
        "rescale_factor": 1 / 255,
        "image_mean": [0.5, 0.5, 0.5],
        "image_std": [0.5, 0.5, 0.5],
    }


def _image_processor(config: LlavaConfig) -> dict[str, Any]:
    side = config.image_size
    return {
        **_pixels(config),
        "image_processor_type": "LlavaOnevisionImageProcessor",
        "do_pad": True,
        "image_grid_pinpoints": [[height, width] for width, height in config.pinpoints] or [[side, side]],
    }


def _video_processor(config: LlavaConfig, frames: int) -> dict[str, Any]:
    return {
        **_pixels(config),
        "video_processor_type": "LlavaOnevisionVideoProcessor",
        "do_sample_frames": True,
        "num_frames": frames,
    }
