"""A small random network with a byte-level tokenizer, for tests that need no golden files."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest


@pytest.fixture(scope="session")
def byte_tokenizer() -> Any:
    """A Qwen2 tokenizer of the 256 bytes and the special tokens that the prompts need."""
    from tokenizers.pre_tokenizers import ByteLevel
    from transformers import Qwen2Tokenizer

    vocabulary = {letter: number for number, letter in enumerate(sorted(ByteLevel.alphabet()))}
    marks = ["<|im_start|>", "<|im_end|>"]
    return Qwen2Tokenizer(
        vocab=vocabulary, merges=[], eos_token="<|im_end|>", additional_special_tokens=marks
    )


@pytest.fixture(scope="session")
def make_network(byte_tokenizer: Any) -> Callable[..., Any]:
    """``make_network(tied=False, **rules)``: a random network, 40 px in patches of 8, 5 x 5 patches."""
    from videopath.model.network import LlavaConfig, new_network

    def make(tied: bool = False, **rules: Any) -> Any:
        text = {
            "hidden_size": 32,
            "intermediate_size": 48,
            "num_hidden_layers": 2,
            "num_attention_heads": 4,
            "num_key_value_heads": 2,
            "max_position_embeddings": 4096,
            "rms_norm_eps": 1e-6,
            "rope_theta": 1e6,
            "tie_word_embeddings": tied,
            "initializer_range": 0.2,
        }
        vision = {
            "hidden_size": 48,
            "intermediate_size": 64,
            "num_hidden_layers": 2,
            "num_attention_heads": 2,
            "image_size": 40,
            "patch_size": 8,
        }
        pinpoints = ((40, 80), (80, 40), (80, 80))
        config = {
            "newline_position": "grid",
            "aspect": "anyres",
            "pinpoints": pinpoints,
            "eos_token_ids": (258,),
        }
        return new_network(
            LlavaConfig(text_config=text, vision_config=vision, **{**config, **rules}), byte_tokenizer
        )

    return make
