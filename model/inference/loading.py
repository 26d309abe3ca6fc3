"""Loading of engines by name: the bundled model, a checkpoint of any family, a served model, or an installed engine."""

from __future__ import annotations

from importlib.metadata import EntryPoint, entry_points
from pathlib import Path
from typing import TYPE_CHECKING

from videopath.model.inference.spec import NANO, EngineSpec, ModelSource
from videopath.model.served.address import served_model

if TYPE_CHECKING:
    from videopath.model.inference.engine import Engine

GROUP = "videopath.engines"
"""The entry point group. An entry is a function that takes an :class:`EngineSpec` and returns an engine."""


def load_engine(
    name: ModelSource,
    *,
    device: str | None = None,
    dtype: str | None = None,
    accept_licence: bool = False,
    base: str | Path | None = None,
) -> Engine:
    """Load a model.

    Args:
        name: "nano" (bundled), a checkpoint folder, a hub id, "openai:ADDRESS#NAME" for a served model, the name of a
            served model in the settings, the name of an installed engine, or a spec.
        device: "cpu", "cuda", "cuda:1" or "mps"; default: the fastest one here.
        dtype: "float32", "float16" or "bfloat16"; default: the best one for the device.
        accept_licence: Whether you accept the licence of weights from the hub.
        base: The checkpoint that a LoRA or a projector belongs to, a folder or a hub id; default: the folder that the
            adapter names.

    Returns:
        The engine. Open a clip with it and ask questions.

    Raises:
        ModelError: The model does not exist, its tensors do not fit, its licence is not accepted, or its family is not
            known.
        EngineError: The server does not answer.
        InputError: The device, the dtype or the address is not usable.
    """
    spec = EngineSpec.of(name).overridden(
        base=base, device=device, dtype=dtype, accept_licence=accept_licence
    )
    installed = installed_engine(str(spec.model))
    if installed is not None:
        return installed.load()(spec)
    served = served_model(str(spec.model))
    if served is not None:
        from videopath.model.served.loading import load_served_engine

        return load_served_engine(served, spec.base)
    if _is_other_family(spec):
        from videopath.model.families.loading import load_family_engine

        return load_family_engine(spec)
    from videopath.model.inference.engine import load_local_engine

    return load_local_engine(spec)


def _is_other_family(spec: EngineSpec) -> bool:
    """Return whether the model is a checkpoint of another family than VideoPath's own; a hub id is downloaded first."""
    from videopath.model.checkpoints.hub import resolve
    from videopath.model.families.kinds import is_other_family

    return is_other_family(resolve(spec.model, accept_licence=spec.accept_licence))


def installed_engine(name: str) -> EntryPoint | None:
    """Return the installed engine of a name. What stands after a colon is the engine's own: "myengine:large".

    The bundled model keeps its name: no installed engine can take it.
    """
    if name == NANO:
        return None
    return next((entry for entry in entry_points(group=GROUP) if entry.name == name.partition(":")[0]), None)
