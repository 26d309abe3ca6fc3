"""The engines of the worker: loaded once, kept while they are used, shared by the cases."""

from __future__ import annotations

import json
import time
from collections import OrderedDict
from pathlib import Path
from typing import TYPE_CHECKING

from videopath.app.cli.errors import os_sentence
from videopath.core.errors import VideoPathError
from videopath.core.files import write_text
from videopath.core.settings import Settings

if TYPE_CHECKING:
    from videopath.model.inference.engine import LocalEngine

LOADING = "loading the model"

_KEPT = 2  # engines in memory at once: that of the settings and one more
_Key = tuple[str, str | None, str | None, str | None]


class Engines:
    """Engines by model, base, device and dtype. Only the worker's thread loads them."""

    def __init__(self, home: Path, settings: Settings) -> None:
        self._settings = settings
        self._times = home / "cache" / "loading-seconds.json"
        self._loaded: OrderedDict[_Key, LocalEngine] = OrderedDict()
        self.problem: str | None = None
        """Why the settings' model could not be loaded; none: it could, or nobody tried."""

    def warm(self) -> None:
        """Load the settings' model; why it cannot be is kept for the pages, and told again by each case."""
        import videopath.agent.agent  # noqa: F401 - LangGraph takes a second: the first case does not wait for it

        wanted = self._settings
        try:
            self.get(wanted.model, wanted.base, wanted.device, wanted.dtype)
            self.problem = None
        except (VideoPathError, OSError) as error:
            self.problem = os_sentence(error) if isinstance(error, OSError) else str(error)

    def get(self, model: str, base: str | None, device: str | None, dtype: str | None) -> LocalEngine:
        """The engine, loaded now if it was not yet; the one used longest ago makes room for it."""
        from videopath.model import load_engine

        key = (_whole(model), base and _whole(base), device, dtype)
        if key not in self._loaded:
            while len(self._loaded) >= _KEPT:
                self._loaded.popitem(last=False)
            begun, accept = time.perf_counter(), self._settings.accept_licence
            self._loaded[key] = load_engine(
                model, base=base, device=device, dtype=dtype, accept_licence=accept
            )
            self._remember(key[0], time.perf_counter() - begun)
        self._loaded.move_to_end(key)
        return self._loaded[key]

    def put(self, model: str, engine: LocalEngine) -> None:
        """Take an engine that is loaded already, on the device and with the dtype that the settings name."""
        self._loaded[_whole(model), None, self._settings.device, self._settings.dtype] = engine

    def expected_loading(self, model: str) -> dict[str, float]:
        """Seconds that the model took to load last time, under ``LOADING``; empty when it never was."""
        seconds = self._measured().get(_whole(model))
        return {} if seconds is None else {LOADING: seconds}

    def _remember(self, model: str, seconds: float) -> None:
        write_text(
            self._times, json.dumps({**self._measured(), model: round(seconds, 2)}, indent=2), private=True
        )

    def _measured(self) -> dict[str, float]:
        try:
            found = json.loads(self._times.read_bytes())
        except (FileNotFoundError, ValueError):
            return {}
        return {str(name): float(seconds) for name, seconds in found.items()}


def _whole(name: str) -> str:
    """A folder with its whole path; nano and a hub id as they are."""
    return str(Path(name).resolve()) if name != "nano" and Path(name).is_dir() else name
