"""The engines of the worker: loaded once, kept while they are used, shared by the cases."""

from __future__ import annotations

from collections import OrderedDict
from typing import TYPE_CHECKING

from videopath.core.errors import VideoPathError
from videopath.core.settings import Settings

if TYPE_CHECKING:
    from videopath.model.engine import LocalEngine

_KEPT = 2  # engines in memory at once: that of the settings and one more


class Engines:
    """Engines by model, device and dtype. For the worker's thread alone."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._loaded: OrderedDict[tuple[str, str | None, str | None], LocalEngine] = OrderedDict()
        self.problem: str | None = None
        """Why the settings' model could not be loaded; none: it could, or nobody tried."""

    def warm(self) -> None:
        """Load the settings' model; why it cannot be is kept for the pages, and told again by each case."""
        import videopath.agent.agent  # noqa: F401 - LangGraph takes a second, the first case should not wait for it

        try:
            self.get(self._settings.model, self._settings.device, self._settings.dtype)
            self.problem = None
        except VideoPathError as error:
            self.problem = str(error)

    def get(self, model: str, device: str | None, dtype: str | None) -> LocalEngine:
        """The engine, loaded now if it was not yet; the one used longest ago makes room for it."""
        from videopath.model import load_engine

        key = (model, device, dtype)
        if key not in self._loaded:
            while len(self._loaded) >= _KEPT:
                self._loaded.popitem(last=False)
            accept = self._settings.accept_licence
            self._loaded[key] = load_engine(model, device=device, dtype=dtype, accept_licence=accept)
        self._loaded.move_to_end(key)
        return self._loaded[key]
