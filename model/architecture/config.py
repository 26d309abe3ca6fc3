"""The configuration of a LLaVA-Qwen network."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

VISION_KEYS = (
    "hidden_size",
    "intermediate_size",
    "num_hidden_layers",
    "num_attention_heads",
    "num_channels",
    "image_size",
    "patch_size",
    "layer_norm_eps",
    "hidden_act",
)
TEXT_KEYS = (
    "hidden_size",
    "intermediate_size",
    "num_hidden_layers",
    "num_attention_heads",
    "num_key_value_heads",
    "hidden_act",
    "max_position_embeddings",
    "rms_norm_eps",
    "rope_theta",
    "tie_word_embeddings",
    "use_sliding_window",
    "sliding_window",
    "max_window_layers",
    "attention_dropout",
    "initializer_range",
    "bos_token_id",
    "eos_token_id",
    "vocab_size",
)


@dataclass(frozen=True)
class LlavaConfig:
    """Geometry and rules of a network: a SigLIP tower, a two-layer projector, a Qwen2 decoder.

    Attributes:
        text_config: Arguments of ``Qwen2Config``.
        vision_config: Arguments of ``SiglipVisionConfig``; without the last layer of SigLIP, which the original drops.
        newline_position: Where newline tokens stand in a video: "grid", "frame", "one_token" or "no_token".
        pool_mode: How frames are pooled: "bilinear", "average" or "max".
        patch_merge_type: How the tiles of an image are joined, the original's ``mm_patch_merge_type``.
        aspect: How an image is cut into tiles, the original's ``image_aspect_ratio``.
        pinpoints: Sizes of the mosaics of tiles, (width, height) in pixels.
        max_length: Most tokens of the context.
        repetition_penalty: Penalty on repeated tokens; 1: none.
        eos_token_ids: Tokens that end an answer.
        temporal_heads: Heads of the attention between frames; 0: there is none, as in the original.
    """

    text_config: dict[str, Any]
    vision_config: dict[str, Any]
    newline_position: str = "one_token"
    pool_mode: str = "bilinear"
    patch_merge_type: str = "spatial_unpad"
    aspect: str = "square"
    pinpoints: tuple[tuple[int, int], ...] = ()
    max_length: int = 32768
    repetition_penalty: float = 1.0
    eos_token_ids: tuple[int, ...] = ()
    temporal_heads: int = 0

    @property
    def image_size(self) -> int:
        """Side of the square that the tower reads, in pixels."""
        return int(self.vision_config["image_size"])

    @property
    def patch_size(self) -> int:
        """Side of a patch, in pixels."""
        return int(self.vision_config["patch_size"])

    @property
    def grid(self) -> int:
        """Patches on a side; remaining pixels at the right and the bottom are not used."""
        return self.image_size // self.patch_size

    @property
    def hidden_size(self) -> int:
        """Width of the decoder, of the visual tokens and of the newline."""
        return int(self.text_config["hidden_size"])

    @property
    def has_newline(self) -> bool:
        """Whether the checkpoint holds the learned ``image_newline`` vector."""
        return "unpad" in self.patch_merge_type

    def to_original(self) -> dict[str, Any]:
        """Return the ``config.json`` of the original LLaVA-NeXT layout, with the geometry of the tower."""
        return {
            "architectures": ["LlavaQwenForCausalLM"],
            "model_type": "llava_qwen",
            **{key: self.text_config[key] for key in TEXT_KEYS if key in self.text_config},
            "mm_vision_tower": "siglip",
            "mm_hidden_size": self.vision_config["hidden_size"],
            "mm_projector_type": "mlp2x_gelu",
            "mm_vision_select_layer": -2,
            "mm_vision_select_feature": "patch",
            **self.rules(),
            "vision_config": {
                key: self.vision_config[key] for key in VISION_KEYS if key in self.vision_config
            },
        }

    def rules(self) -> dict[str, Any]:
        """Return the rules for visuals, under the original's key names."""
        return {
            "mm_newline_position": self.newline_position,
            "mm_spatial_pool_mode": self.pool_mode,
            "mm_patch_merge_type": self.patch_merge_type,
            "image_aspect_ratio": self.aspect,
            "tokenizer_model_max_length": self.max_length,
            "add_faster_video": False,
            **({"mm_temporal_heads": self.temporal_heads} if self.temporal_heads else {}),
        }

    def generation_config(self) -> dict[str, Any]:
        """Return the ``generation_config.json`` of a checkpoint."""
        return {"eos_token_id": list(self.eos_token_ids), "repetition_penalty": self.repetition_penalty}
