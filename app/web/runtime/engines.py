"""The engines of the worker: each is loaded once and shared by the cases."""

from __future__ import annotations

import json
import logging
import time
from collections import OrderedDict
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from videopath.app.cli.errors import os_sentence
from videopath.core.errors import VideoPathError
from videopath.core.files import write_text
from videopath.core.settings import Settings
from videopath.model.inference.spec import EngineSpec

if TYPE_CHECKING:
    from videopath.model.inference.engine import Engine

_log = logging.getLogger(__name__)

LOADING = "loading the model"

_KEPT = 2  # engines in memory at once: the one of the settings and another


class Engines:
    """Engines by spec. Only the worker's thread loads them."""

    def __init__(self, home: Path, settings: Settings) -> None:
        self._settings = settings
        self._times = home / "cache" / "loading-seconds.json"
        self._loaded: OrderedDict[EngineSpec, Engine] = OrderedDict()
        self.problem: str | None = None
        """Why the settings' model could not be loaded; None if it was loaded, or if nobody tried."""

    def warm(self) -> None:
        """Load the settings' model; if it fails, keep the reason for the pages."""
        import videopath.agent.agent  # noqa: F401 - loads LangGraph, which takes a second, before the first case

        try:
            self.get(EngineSpec.from_settings(self._settings))
            self.problem = None
        except (VideoPathError, OSError) as error:
            self.problem = os_sentence(error) if isinstance(error, OSError) else str(error)
            _log.warning("The model of the settings cannot be loaded: %s", self.problem)

    def get(self, spec: EngineSpec) -> Engine:
        """Return the engine of a spec; load it if needed, in place of the least recently used one."""
        from videopath.model.inference.loading import load_engine

        key = _key(spec)
        if key not in self._loaded:
            while len(self._loaded) >= _KEPT:
                self._loaded.popitem(last=False)
            started = time.perf_counter()
            self._loaded[key] = load_engine(spec)
            self._remember(str(key.model), time.perf_counter() - started)
        self._loaded.move_to_end(key)
        return self._loaded[key]

    def put(self, model: str, engine: Engine) -> None:
        """Add a loaded engine, under the device and dtype of the settings."""
        own = self._settings
        self._loaded[_key(EngineSpec(model, device=own.device, dtype=own.dtype))] = engine

    def expected_loading(self, model: str) -> dict[str, float]:
        """Return the seconds of the model's last loading, under ``LOADING``; empty if it was never loaded."""
        seconds = self._measured().get(_whole(model))
        return {} if seconds is None else {LOADING: seconds}

    def _remember(self, model: str, seconds: float) -> None:
        write_text(
            self._times, json.dumps({**self._measured(), model: round(seconds, 2)}, indent=2), private=True
        )

    def _measured(self) -> dict[str, float]:
        try:
            seconds = json.loads(self._times.read_bytes())
        except (FileNotFoundError, ValueError):
            return {}
        return {str(name): float(value) for name, value in seconds.items()}


def _key(spec: EngineSpec) -> EngineSpec:
    """The spec with absolute paths; accepting the licence makes no difference to what is loaded."""
    base = None if spec.base is None else _whole(str(spec.base))
    return replace(spec, model=_whole(str(spec.model)), base=base, accept_licence=False)


def _whole(name: str) -> str:
    """The absolute path of a folder; nano and a hub id stay as they are."""
    return str(Path(name).resolve()) if name != "nano" and Path(name).is_dir() else name
