"""The network: parts of transformers' LLaVA-OneVision, connected by the original's own arithmetic.

Every step is differentiable and public, so that training, the engine and the tests share one path. The model's logits
have exactly ``len(tokenizer)`` columns: padded rows of the vocabulary are cut off, as the original does on load; in
training they stay, as in the original's.
"""

from __future__ import annotations

from typing import Any, Literal

import numpy as np
import torch
from torch import nn
from transformers import (
    LlavaOnevisionConfig,
    LlavaOnevisionForConditionalGeneration,
    Qwen2Config,
    SiglipVisionConfig,
)
from transformers.cache_utils import Cache

from videopath.core.errors import InputError
from videopath.model.architecture import layout, preprocess
from videopath.model.architecture.config import LlavaConfig
from videopath.model.architecture.temporal import TemporalAttention
from videopath.model.prompts.template import IMAGE_TOKEN_ID

__all__ = ["Network", "hf_config", "new_network", "with_temporal"]


class Network(nn.Module):
    """A LLaVA-Qwen network with its tokenizer and its rules.

    ``model`` is a ``LlavaOnevisionForConditionalGeneration`` whose vocabulary has ``len(tokenizer)`` rows.
    """

    def __init__(
        self, config: LlavaConfig, tokenizer: Any, model: LlavaOnevisionForConditionalGeneration
    ) -> None:
        super().__init__()
        self.config = config
        self.tokenizer = tokenizer
        self.model = model

    @property
    def device(self) -> torch.device:
        """The device of the weights."""
        return self.newline.device

    @property
    def dtype(self) -> torch.dtype:
        """Number format of the weights."""
        return self.newline.dtype

    @property
    def newline(self) -> torch.Tensor:
        """The learned ``image_newline`` vector ``[hidden]``."""
        return self.model.model.image_newline

    def prepare(
        self, frames: np.ndarray, kind: Literal["video", "image"], *, aspect: str | None = None
    ) -> torch.Tensor:
        """Turn frames ``uint8 [T, H, W, 3]`` into pixels ``[N, 3, S, S]`` on the model's device.

        Args:
            frames: Frames of a video, or one image (T = 1).
            kind: "video": each frame is resized. "image": the image is cut into tiles.
            aspect: Rule for the tiles; default: that of the checkpoint. The original uses "pad" if a question shows
                several images.

        Raises:
            InputError: An image has more than one frame.
        """
        size = self.config.image_size
        if kind == "video":
            pixels = preprocess.to_pixels(frames, size)
        elif len(frames) != 1:
            raise InputError(
                f"An image must be one frame, not {len(frames)}: prepare several images one by one."
            )
        else:
            tiles = preprocess.image_tiles(
                frames[0], size, aspect or self.config.aspect, self.config.pinpoints
            )
            pixels = preprocess.normalise(tiles)
        return pixels.to(self.device, self.dtype)

    def encode(self, pixels: torch.Tensor) -> torch.Tensor:
        """Encode pixels ``[T, 3, S, S]`` to features ``[T, grid², vision hidden]`` of the last kept layer, without a norm."""
        return self.encode_at_depths(pixels)[-1]

    @property
    def depths(self) -> tuple[int, ...]:
        """The tower's layers after a third, after two thirds and at its end, counted from 1."""
        count = len(self.model.model.vision_tower.encoder.layers)
        return tuple(sorted({max(1, round(count * part / 3)) for part in (1, 2, 3)}))

    def encode_at_depths(self, pixels: torch.Tensor) -> list[torch.Tensor]:
        """Encode pixels ``[T, 3, S, S]`` to features ``[T, grid², vision hidden]`` at each of :attr:`depths`."""
        tower, depths = self.model.model.vision_tower, self.depths
        kept, features = [], tower.embeddings(pixels)
        for number, layer in enumerate(tower.encoder.layers, 1):
            features = layer(features, None)
            if number in depths:
                kept.append(features)
        return kept

    def project(self, features: torch.Tensor) -> torch.Tensor:
        """Project features ``[T, grid², vision hidden]`` to the decoder's width ``[T, grid², hidden]``."""
        return self.model.model.multi_modal_projector(features)

    def video_embeds(self, pixels: torch.Tensor) -> torch.Tensor:
        """Turn pixels of a clip's frames ``[T, 3, S, S]`` into visual tokens ``[N, hidden]``."""
        return self.video_layout(self.project(self.encode(pixels)))

    def video_layout(self, projected: torch.Tensor) -> torch.Tensor:
        """Pool projected frames ``[T, grid², hidden]`` and lay them out with newlines: ``[N, hidden]``."""
        return self.pooled_layout(layout.pool(projected, self.config.pool_mode))

    def pooled_layout(self, pooled: torch.Tensor) -> torch.Tensor:
        """Lay out all pooled frames of a clip, ``[T, P, hidden]``, as visual tokens ``[N, hidden]``."""
        if self.config.temporal_heads:
            pooled = self.model.model.temporal_attention(pooled)
        return layout.video_tokens(
            pooled, self.newline, self.config.newline_position, self.config.patch_merge_type
        )

    def image_embeds(self, pixels: torch.Tensor, image_size: tuple[int, int]) -> torch.Tensor:
        """Turn tiles of an image ``[N, 3, S, S]`` into visual tokens; ``image_size`` is its (width, height)."""
        return self.image_layout(self.project(self.encode(pixels)), image_size)

    def image_layout(self, projected: torch.Tensor, image_size: tuple[int, int]) -> torch.Tensor:
        """Lay out projected tiles ``[N, grid², hidden]`` as the visual tokens of an image, ``[M, hidden]``."""
        tiles = (1, 1)
        if len(projected) > 1:
            target = preprocess.best_resolution(image_size, self.config.pinpoints)
            tiles = (target[0] // self.config.image_size, target[1] // self.config.image_size)
        return layout.image_tokens(
            projected,
            self.newline,
            tiles=tiles,
            image_size=image_size,
            merge_type=self.config.patch_merge_type,
            aspect=self.config.aspect,
        )

    def embed_tokens(self, ids: torch.Tensor) -> torch.Tensor:
        """Return the embeddings of token ids of any shape, ``[..., hidden]``."""
        return self.model.get_input_embeddings()(ids)

    def embed(self, ids: list[int], visuals: list[torch.Tensor]) -> torch.Tensor:
        """Return the decoder's input ``[1, L, hidden]``.

        As in the original, the end is cut off at the checkpoint's ``max_length``.

        Args:
            ids: Tokens of the prompt; each -200 is replaced by the next visual.
            visuals: Visual tokens ``[N, hidden]`` of each clip or image.

        Raises:
            InputError: The numbers of marks and visuals differ. The original silently reuses or drops visuals.
        """
        marks = [position for position, token in enumerate(ids) if token == IMAGE_TOKEN_ID]
        if len(marks) != len(visuals):
            raise InputError(
                f"The prompt has marks for {len(marks)} visuals, but {len(visuals)} are given: both numbers must be equal."
            )
        pieces: list[torch.Tensor] = []
        start = 0
        for position, visual in zip([*marks, len(ids)], [*visuals, None], strict=True):
            if position > start:
                pieces.append(self.embed_tokens(torch.tensor(ids[start:position], device=self.device)))
            if visual is not None:
                pieces.append(visual.to(self.device, self.dtype))
            start = position + 1
        return torch.cat(pieces)[None, : self.config.max_length]

    def decode(
        self,
        inputs_embeds: torch.Tensor,
        cache: Cache | None = None,
        position_ids: torch.Tensor | None = None,
        attention_mask: torch.Tensor | None = None,
        *,
        use_cache: bool = True,
        logits_to_keep: int | torch.Tensor = 0,
    ) -> tuple[torch.Tensor, Cache | None]:
        """Run the decoder once.

        Args:
            inputs_embeds: Its input ``[B, L, hidden]``.
            cache: Keys and values of earlier positions.
            position_ids: Positions ``[B, L]``; default: those after the cache.
            attention_mask: A mask as transformers takes it.
            use_cache: Whether to return a cache.
            logits_to_keep: Number of last positions with logits, 0: all; or a tensor of positions.

        Returns:
            Logits, float32 ``[B, L, len(tokenizer)]``, and the cache.
        """
        out = self.model.model.language_model(
            inputs_embeds=inputs_embeds,
            cache=cache,
            position_ids=position_ids,
            attention_mask=attention_mask,
            use_cache=use_cache,
        )
        kept = slice(-logits_to_keep, None) if isinstance(logits_to_keep, int) else logits_to_keep
        return self.model.lm_head(out.last_hidden_state[:, kept]).float(), out.cache


def hf_config(config: LlavaConfig, vocabulary: int, **extra: Any) -> LlavaOnevisionConfig:
    """Return the transformers configuration of a network with ``vocabulary`` rows; pinpoints become (height, width)."""
    text = {**config.text_config, "vocab_size": vocabulary}
    vision = {**config.vision_config, "vision_use_head": False}
    return LlavaOnevisionConfig(
        text_config=Qwen2Config(**text),
        vision_config=SiglipVisionConfig(**vision),
        tie_word_embeddings=bool(text.get("tie_word_embeddings", False)),
        image_grid_pinpoints=[[height, width] for width, height in config.pinpoints]
        or [[config.image_size] * 2],
        vision_feature_layer=-1,
        vision_feature_select_strategy="full",
        **extra,
    )


def with_temporal(
    model: LlavaOnevisionForConditionalGeneration, config: LlavaConfig
) -> LlavaOnevisionForConditionalGeneration:
    """Add the attention between frames to a model if its config has it and the model does not."""
    if config.temporal_heads and not hasattr(model.model, "temporal_attention"):
        model.model.temporal_attention = TemporalAttention(config.hidden_size, config.temporal_heads)
    return model


def new_network(config: LlavaConfig, tokenizer: Any, seed: int = 0) -> Network:
    """Return a network with random float32 weights in ``eval`` mode; torch's own random state is not changed."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        model = LlavaOnevisionForConditionalGeneration(hf_config(config, len(tokenizer)))
        with_temporal(model, config)
    return Network(config, tokenizer, model.float().eval())
