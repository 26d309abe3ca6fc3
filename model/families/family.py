"""What the engine must know about a family of models."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from torch import Tensor


@dataclass(frozen=True)
class Positions:
    """Position ids of a prompt's beginning, and how they go on."""

    ids: Tensor | None = None
    """``[..., 1, L]``; ``None``: the model counts on its own, from the length of the cache."""
    shift: int = 0
    """What is added to a token's place in the sequence, for every token after the beginning."""

    def after(self, past: int, count: int, rows: int, device: Any) -> Tensor | None:
        """Return position ids ``[..., rows, count]`` of the tokens from place ``past`` on."""
        import torch

        if self.ids is None:
            return None
        places = torch.arange(past + self.shift, past + self.shift + count, device=device)
        return places.expand(*self.ids.shape[:-2], rows, count)


Positioning = Callable[[Any, Tensor, Mapping[str, Tensor]], Positions]
"""Computes the positions of a beginning from the model, its tokens ``[1, L]``, and the inputs of its pictures."""


def counted(model: Any, ids: Tensor, inputs: Mapping[str, Tensor]) -> Positions:
    """Let the model count its tokens from 0."""
    return Positions()


FrameOptions = Callable[[Any], dict[str, Any]]
"""Returns options for frames of a video from the image processor."""


def always(**options: Any) -> FrameOptions:
    """Return frame options that do not depend on the image processor."""
    return lambda image_processor: dict(options)


@dataclass(frozen=True)
class Family:
    """A family of models.

    Attributes:
        name: Name for people.
        model_types: Values of ``model_type`` in config.json.
        processor: Name of the processor's class in transformers; empty: the class that transformers lists for the type.
        frame_options: Options of the image processor for frames of a video. They are many: each is one view of moderate
            size, without tiles. A single image is read as finely as the model can.
        positioning: Computes the positions of the tokens.
        known: Whether tests compare its answers with those of plain transformers. The answers of a family that is not
            known are compared when a model of it is loaded.
    """

    name: str
    model_types: tuple[str, ...]
    processor: str = ""
    frame_options: FrameOptions = always()
    positioning: Positioning = counted
    known: bool = True
