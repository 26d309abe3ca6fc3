"""A loaded model of another family with its processor: what prefixes and sessions compute with."""

from __future__ import annotations

import inspect
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from threading import RLock
from typing import Any, Literal

import torch
from torch import Tensor
from transformers.cache_utils import Cache, DummyLayer, DynamicCache, DynamicLayer, DynamicSlidingWindowLayer

from videopath.core.errors import EngineError
from videopath.model.checkpoints.weights import reason_of
from videopath.model.families.family import Family, Positions
from videopath.model.families.processing import PictureProcessor
from videopath.model.families.prompting import FramePrompts
from videopath.model.inference.answering import Speech

CacheUse = Literal["rewound", "copied", "none"]

_NO_LIMIT = 1 << 20  # tokens; for models that state no length


class FamilyNetwork:
    """A model and its processor.

    Attributes:
        cache_use: How answers go on from a prefilled clip. A cache of keys and values is rewound; one with states that
            forget is copied; "none": every prompt is computed as a whole.
        turn: Held by a session while it answers, if ``cache_use`` is "none": a whole prompt may leave something behind in
            the model.
        max_length: How many tokens the model reads at most.
        vocabulary: How many logits each position has.
        hidden_size: Width of the decoder.
        speech: How the model writes, by its generation_config.json.

    Raises:
        ValueError: A setting cannot be used; wrong types raise other errors of Python.
    """

    def __init__(self, model: Any, processor: PictureProcessor, family: Family) -> None:
        self.model = model
        self.processor = processor
        self.family = family
        self.turn = RLock()
        self.cache_use: CacheUse = "rewound" if self._attends_only() else "copied"
        text = self._text_config
        self.max_length = int(getattr(text, "max_position_embeddings", None) or _NO_LIMIT)
        self.vocabulary = int(text.vocab_size)
        self.hidden_size = int(text.hidden_size)
        self.speech = _speech(model.generation_config, processor.tokenizer)
        self._arguments = frozenset(inspect.signature(model.forward).parameters)

    @property
    def device(self) -> torch.device:
        """Where the model is."""
        return torch.device(self.model.device)

    def own_cache(self) -> Cache:
        """Return an empty cache of the kind that the model uses itself."""
        return DynamicCache(config=self._text_config)

    def begin(
        self, prompts: FramePrompts, ids: list[int], cache: Cache | None, *, keep: int = 1
    ) -> tuple[Positions, Tensor]:
        """Compute a prompt, or its beginning, with its pictures.

        Args:
            prompts: The prompts of the clip.
            ids: Tokens of one of them, at least up to the last picture.
            cache: An empty cache, which is filled; ``None``: nothing is kept.
            keep: How many positions at the end get logits.

        Returns:
            The positions, and logits ``[1, keep, vocabulary]``.
        """
        tokens = torch.tensor([ids], device=self.device)
        inputs = {**self._pictures(prompts.pictures), **self._token_inputs(prompts, len(ids))}
        with _failure_as_engine_error():
            positions = self.family.positioning(self.model, tokens, inputs)
        logits = self._forward(tokens, cache, positions.ids, keep, inputs)
        return positions, logits

    def proceed(
        self,
        rows: list[list[int]],
        past: int,
        cache: Cache,
        positions: Positions,
        *,
        all_logits: bool = False,
    ) -> Tensor:
        """Feed rows of tokens of the same length after a cache of ``past`` tokens.

        Returns:
            Logits ``[rows, 1, vocabulary]`` of the last tokens, or of all with ``all_logits``.
        """
        tokens = torch.tensor(rows, device=self.device)
        count = tokens.shape[1]
        places = positions.after(past, count, len(rows), self.device)
        return self._forward(tokens, cache, places, count if all_logits else 1, {})

    def picture_features(self, prompts: FramePrompts) -> Tensor:
        """Return the mean of the features that the decoder reads of a picture, float32 ``[hidden]``."""
        arguments = inspect.signature(self.model.get_image_features).parameters
        inputs = {
            name: value for name, value in self._pictures(prompts.pictures).items() if name in arguments
        }
        with _failure_as_engine_error():
            features = self.model.get_image_features(**inputs, return_dict=True).pooler_output
        parts = features if isinstance(features, list | tuple) else [features]
        return torch.cat([part.flatten(0, -2) for part in parts]).float().mean(dim=0)

    @property
    def _text_config(self) -> Any:
        return self.model.config.get_text_config(decoder=True)

    def _forward(
        self,
        tokens: Tensor,
        cache: Cache | None,
        positions: Tensor | None,
        keep: int,
        inputs: Mapping[str, Any],
    ) -> Tensor:
        named: dict[str, Any] = {"position_ids": positions} if positions is not None else {}
        if "logits_to_keep" in self._arguments:
            named["logits_to_keep"] = keep
        with _failure_as_engine_error():
            out = self.model(input_ids=tokens, cache=cache, use_cache=cache is not None, **named, **inputs)
        return out.logits[:, -keep:].float()

    def _pictures(self, pictures: Mapping[str, Any]) -> dict[str, Any]:
        """Return the inputs that the model takes, on its device."""
        return {
            name: self._moved(value)
            for name, value in pictures.items()
            if name in self._arguments and value is not None
        }

    def _token_inputs(self, prompts: FramePrompts, length: int) -> dict[str, Tensor]:
        """Return the inputs with one number for each token; after the pictures there is text, with zeros."""
        found = {}
        for name, numbers in prompts.token_inputs.items():
            if name in self._arguments:
                row = numbers.new_zeros(1, length)
                row[:, : prompts.beginning] = numbers[:, : prompts.beginning]
                found[name] = row.to(self.device)
        return found

    def _moved(self, value: Any) -> Any:
        if not isinstance(value, Tensor):
            return value
        return value.to(self.device, self.model.dtype if value.is_floating_point() else value.dtype)

    def _attends_only(self) -> bool:
        """Return whether every layer keeps keys and values, or uses those of another one, and no state that forgets."""
        kinds = {type(layer) for layer in self.own_cache().layers}
        return kinds <= {DynamicLayer, DynamicSlidingWindowLayer, DummyLayer}


def _speech(generation: Any, tokenizer: Any) -> Speech:
    ends = tokenizer.eos_token_id if generation.eos_token_id is None else generation.eos_token_id
    ends = ends if isinstance(ends, list | tuple) else [ends]
    penalty = 1.0 if generation.repetition_penalty is None else float(generation.repetition_penalty)
    if not penalty > 0:
        raise ValueError(f"the repetition penalty is {penalty}")
    return Speech(tokenizer, tuple(int(end) for end in ends if end is not None), penalty)


@contextmanager
def _failure_as_engine_error() -> Iterator[None]:
    """Raise ``EngineError`` for whatever a model raises whose files do not fit together; memory errors stay."""
    try:
        yield
    except torch.OutOfMemoryError:
        raise
    except (ArithmeticError, AttributeError, LookupError, RuntimeError, TypeError, ValueError) as error:
        raise EngineError(
            f"The model failed ({reason_of(error)}). Its configuration may not fit its processor; copy or download the "
            "checkpoint again."
        ) from error
