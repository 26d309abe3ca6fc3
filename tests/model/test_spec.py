"""The spec of an engine, and the optional abilities of engines."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from videopath.core.errors import InputError
from videopath.core.settings import Settings
from videopath.media.clip import Clip
from videopath.model.inference.engine import (
    AnswersTogether,
    EncodesFrames,
    EngineInfo,
    LocalEngine,
    Session,
)
from videopath.model.inference.spec import EngineSpec
from videopath.tools.frame_encoders.loading import TOWER, load_frame_encoder


def test_a_new_model_drops_the_base_of_the_old_one() -> None:
    spec = EngineSpec("adapter", "base", device="cpu", dtype="float32")
    assert spec.overridden(model="other") == EngineSpec("other", None, "cpu", "float32")
    assert spec.overridden(model="other", base="own").base == "own"
    assert spec.overridden(device="cuda").base == "base"
    assert spec.overridden() == spec
    assert spec.overridden(accept_licence=True).accept_licence
    assert EngineSpec("x", accept_licence=True).overridden().accept_licence


def test_a_source_becomes_a_spec(tmp_path: Path) -> None:
    spec = EngineSpec("adapter", "base")
    assert EngineSpec.of(spec) is spec
    assert EngineSpec.of(tmp_path) == EngineSpec(tmp_path)
    settings = Settings(model="adapter", base="base", device="cpu", dtype="float16", accept_licence=True)
    assert EngineSpec.from_settings(settings) == EngineSpec("adapter", "base", "cpu", "float16", True)


class RemoteEngine:
    """An engine without optional abilities, as one behind a server."""

    def __init__(self, info: EngineInfo) -> None:
        self.info = info

    def open(self, clip: Clip, *, on_frames: Callable[[int, int], None] | None = None) -> Session:
        raise NotImplementedError


def test_optional_abilities_are_asked_of_the_engine(nano_engine: LocalEngine) -> None:
    remote = RemoteEngine(nano_engine.info)
    for ability in (AnswersTogether, EncodesFrames):
        assert isinstance(nano_engine, ability)
        assert not isinstance(remote, ability)
    encoder = load_frame_encoder(TOWER, nano_engine)
    assert encoder.dimension == nano_engine.frame_dimension
    with pytest.raises(InputError, match="gives no vectors of frames"):
        load_frame_encoder(TOWER, remote)
