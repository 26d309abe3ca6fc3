"""The network: transformers' LLaVA-OneVision parts with the original's own arithmetic between them.

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

__all__ = ["LlavaConfig", "Network", "hf_config", "new_network", "with_temporal"]


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
        """Where the weights are."""
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
        """Frames ``uint8 [T, H, W, 3]`` to pixels ``[N, 3, S, S]`` on the model's device.

        A video's frames are squashed one by one; an image (T = 1) follows the checkpoint's aspect rule or ``aspect``
        ("pad" where a question shows several images, as in the original).
        """
        size = self.config.image_size
        if kind == "video":
            pixels = preprocess.to_pixels(frames, size)
        elif len(frames) != 1:
            raise InputError(f"An image is one frame; got {len(frames)}. Prepare several images one by one.")
        else:
            tiles = preprocess.image_tiles(
                frames[0], size, aspect or self.config.aspect, self.config.pinpoints
            )
            pixels = preprocess.normalise(tiles)
        return pixels.to(self.device, self.dtype)

    def encode(self, pixels: torch.Tensor) -> torch.Tensor:
        """Pixels ``[T, 3, S, S]`` to features ``[T, grid², vision hidden]``: the last kept layer, no closing norm."""
        tower = self.model.model.vision_tower
        return tower.encoder(inputs_embeds=tower.embeddings(pixels)).last_hidden_state

    def project(self, features: torch.Tensor) -> torch.Tensor:
        """Features ``[T, grid², vision hidden]`` to the decoder's width ``[T, grid², hidden]``."""
        return self.model.model.multi_modal_projector(features)

    def video_embeds(self, pixels: torch.Tensor) -> torch.Tensor:
        """Pixels of a clip's frames ``[T, 3, S, S]`` to its visual tokens ``[N, hidden]``."""
        return self.video_layout(self.project(self.encode(pixels)))

    def video_layout(self, projected: torch.Tensor) -> torch.Tensor:
        """Projected frames ``[T, grid², hidden]``, pooled and laid out with the checkpoint's newlines, ``[N, hidden]``."""
        return self.pooled_layout(layout.pool(projected, self.config.pool_mode))

    def pooled_layout(self, pooled: torch.Tensor) -> torch.Tensor:
        """Pooled frames ``[T, P, hidden]``, all of a clip, to its visual tokens ``[N, hidden]``."""
        if self.config.temporal_heads:
            pooled = self.model.model.temporal_attention(pooled)
        return layout.video_tokens(
            pooled, self.newline, self.config.newline_position, self.config.patch_merge_type
        )

    def image_embeds(self, pixels: torch.Tensor, image_size: tuple[int, int]) -> torch.Tensor:
        """Tiles of one image ``[N, 3, S, S]`` to its visual tokens; ``image_size`` is the source's (width, height)."""
        return self.image_layout(self.project(self.encode(pixels)), image_size)

    def image_layout(self, projected: torch.Tensor, image_size: tuple[int, int]) -> torch.Tensor:
        """Projected tiles ``[N, grid², hidden]`` to an image's visual tokens ``[M, hidden]``."""
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
        """Embeddings of token ids, any shape, ``[..., hidden]``."""
        return self.model.get_input_embeddings()(ids)

    def embed(self, ids: list[int], visuals: list[torch.Tensor]) -> torch.Tensor:
        """The decoder's input ``[1, L, hidden]``: text embedded, each -200 in ``ids`` replaced by the next visual.

        Cut from the end to the checkpoint's ``max_length``, as the original does. Raises ``InputError`` where the
        numbers of marks and visuals differ (the original reuses or drops visuals silently).
        """
        marks = [place for place, token in enumerate(ids) if token == IMAGE_TOKEN_ID]
        if len(marks) != len(visuals):
            raise InputError(
                f"The prompt has places for {len(marks)} visuals but {len(visuals)} were given; they must agree."
            )
        pieces: list[torch.Tensor] = []
        start = 0
        for place, visual in zip([*marks, len(ids)], [*visuals, None], strict=True):
            if place > start:
                pieces.append(self.embed_tokens(torch.tensor(ids[start:place], device=self.device)))
            if visual is not None:
                pieces.append(visual.to(self.device, self.dtype))
            start = place + 1
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
        """One pass of the decoder over ``[B, L, hidden]``.

        Returns float32 logits ``[B, L, len(tokenizer)]`` (of the last ``logits_to_keep`` positions, 0: of all; a tensor
        names the positions) and the cache.
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
    """The transformers configuration of a network with ``vocabulary`` rows; pinpoints become (height, width)."""
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
    """Give a model the attention between frames that its config asks for, where it has none yet."""
    if config.temporal_heads and not hasattr(model.model, "temporal_attention"):
        model.model.temporal_attention = TemporalAttention(config.hidden_size, config.temporal_heads)
    return model


def new_network(config: LlavaConfig, tokenizer: Any, seed: int = 0) -> Network:
    """A network with random float32 weights, the same for the same seed, in ``eval`` mode; torch's own seed is untouched."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        model = LlavaOnevisionForConditionalGeneration(hf_config(config, len(tokenizer)))
        with_temporal(model, config)
    return Network(config, tokenizer, model.float().eval())
