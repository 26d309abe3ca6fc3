"""The record that names a model and says how it is loaded."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from videopath.core.settings import Settings

NANO = "nano"
"""The name of the bundled model, wherever a model is named."""


@dataclass(frozen=True)
class EngineSpec:
    """A model and how it is loaded.

    Attributes:
        model: "nano" (bundled), a checkpoint folder of any layout, or a hub id.
        base: The checkpoint that a LoRA or a projector belongs to, a folder or a hub id. ``None``: the folder that the
            adapter names.
        device: "cpu", "cuda", "cuda:1" or "mps". ``None``: the fastest one here, see
            :func:`videopath.model.device.choose_device`.
        dtype: "float32", "float16" or "bfloat16". ``None``: the best one for the device.
        accept_licence: Whether the user accepts the licence of weights from the hub.
    """

    model: str | Path = NANO
    base: str | Path | None = None
    device: str | None = None
    dtype: str | None = None
    accept_licence: bool = False

    @classmethod
    def of(cls, source: ModelSource) -> EngineSpec:
        """Return ``source`` itself if it is a spec, else the spec with ``source`` as its model."""
        return source if isinstance(source, EngineSpec) else cls(source)

    @classmethod
    def from_settings(cls, settings: Settings) -> EngineSpec:
        """Return the spec of the model in the user's settings."""
        return cls(settings.model, settings.base, settings.device, settings.dtype, settings.accept_licence)

    def overridden(
        self,
        *,
        model: str | Path | None = None,
        base: str | Path | None = None,
        device: str | None = None,
        dtype: str | None = None,
        accept_licence: bool = False,
    ) -> EngineSpec:
        """Return this spec with every value that is given in place of its own.

        A base belongs to its model: if ``model`` is given, the base of this spec is dropped.
        """
        return replace(
            self,
            model=model or self.model,
            base=base or (None if model else self.base),
            device=device or self.device,
            dtype=dtype or self.dtype,
            accept_licence=accept_licence or self.accept_licence,
        )


ModelSource = str | Path | EngineSpec
"""What names a model: "nano", a checkpoint folder, a hub id, or a spec with its base, device and dtype."""
