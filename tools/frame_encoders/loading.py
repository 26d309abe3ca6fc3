"""Frame encoders by name.

An encoder is the vision tower of a model ("tower:nano", "tower:/models/seven-b"), "efficientnet-lite0", a model of timm
("timm:NAME") or of Hugging Face ("hf:NAME"), or one that an installed package offers in the entry point group
``videopath.frame_encoders``. Several names together load several encoders, which are joined.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from importlib.metadata import entry_points
from typing import TYPE_CHECKING

from videopath.core.errors import InputError
from videopath.knowledge.storage.manifest import JOIN
from videopath.tools.frame_encoders.networks import (
    EFFICIENTNET,
    HUGGING_FACE,
    TIMM,
    efficientnet_lite0,
    hugging_face_encoder,
    timm_encoder,
)
from videopath.tools.frame_encoders.picture_vectors import JoinedEncoder

if TYPE_CHECKING:
    from videopath.knowledge.index.encoders import FrameEncoder
    from videopath.model.inference.engine import Engine

GROUP = "videopath.frame_encoders"
"""The entry point group. An entry is a function without arguments that returns a frame encoder."""
TOWER = "tower"

_BY_KIND = {TIMM: timm_encoder, HUGGING_FACE: hugging_face_encoder}


def load_frame_encoder(name: str | Sequence[str], engine: Engine | None = None) -> FrameEncoder:
    """Load the frame encoder of a name, or several encoders together.

    Args:
        name: A name, several names, or several names joined by " + ". "tower" is the tower of ``engine``, or of nano
            if no engine is given. "tower:NAME" is the tower of a model by its folder or hub id; if ``engine`` has that
            name, its tower is used, unless it gives no vectors of frames, as a served model.
        engine: A loaded engine.

    Raises:
        InputError: A name is unknown or is given twice, or the encoder cannot be loaded.
    """
    names = name.split(JOIN) if isinstance(name, str) else list(name)
    if len(set(names)) < len(names):
        raise InputError(f"An image encoder is named twice: {', '.join(names)}.")
    if len(names) > 1:
        return JoinedEncoder([load_frame_encoder(member, engine) for member in names])
    kind, _, model = names[0].partition(":")
    if kind == TOWER:
        return _tower(model, engine)
    if names[0] == EFFICIENTNET:
        return efficientnet_lite0()
    if kind in _BY_KIND and model:
        return _BY_KIND[kind](model)
    installed = entry_points(group=GROUP)
    for entry in installed:
        if entry.name == names[0]:
            return entry.load()()
    known = ", ".join(sorted({entry.name for entry in installed})) or "none is installed"
    raise InputError(
        f"The image encoder {names[0][:80]!r} is not known; use {TOWER}:nano, {TOWER}:FOLDER, {EFFICIENTNET}, "
        f"{TIMM}:NAME, {HUGGING_FACE}:NAME, or the name of one that is installed ({known})."
    )


def is_loaded_by_name(name: str, allowed: Collection[str] = ()) -> bool:
    """Return whether an encoder may be loaded only because a knowledge base, perhaps a stranger's, names it.

    Encoders whose weights come with an installed package may be loaded. Models that are folders or hub ids may be
    loaded only if the user named them, too (``allowed``).
    """
    return all(
        member in (f"{TOWER}:nano", *allowed) or member.partition(":")[0] not in (TOWER, TIMM, HUGGING_FACE)
        for member in name.split(JOIN)
    )


def _tower(model: str, engine: Engine | None) -> FrameEncoder:
    from videopath.model import load_engine
    from videopath.model.inference.engine import EncodesFrames
    from videopath.model.inference.frame_vectors import TowerEncoder
    from videopath.model.inference.spec import NANO

    if engine is None or _is_other(model, engine):
        engine = load_engine(model or NANO)
    if not isinstance(engine, EncodesFrames):
        raise InputError(f"The model {engine.info.name} gives no vectors of frames; name another encoder.")
    return TowerEncoder(engine)


def _is_other(model: str, engine: Engine) -> bool:
    """Return whether a named model must be loaded beside the engine; the empty name is the engine itself."""
    from videopath.model.inference.engine import EncodesFrames

    return bool(model) and (model != engine.info.source or not isinstance(engine, EncodesFrames))
