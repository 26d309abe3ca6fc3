"""The model: network, preprocessing, checkpoints, engines and sessions.

Names are imported when they are first used, so importing this package is fast.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from videopath.media.clip import Clip, open_clip
    from videopath.media.writing.records import BurnedIn, Writing
    from videopath.media.writing.search import find_writing
    from videopath.model.architecture.config import LlavaConfig
    from videopath.model.architecture.network import Network, new_network
    from videopath.model.checkpoints.conversion import convert as convert_checkpoint
    from videopath.model.checkpoints.inspection import CheckpointInfo
    from videopath.model.checkpoints.inspection import inspect as inspect_checkpoint
    from videopath.model.checkpoints.loading import load_network, open_checkpoint
    from videopath.model.checkpoints.saving import save_original
    from videopath.model.device import DeviceChoice, choose_device
    from videopath.model.inference.engine import Engine, EngineInfo, Generation, Session
    from videopath.model.inference.function_engine import FunctionEngine
    from videopath.model.inference.loading import load_engine
    from videopath.model.inference.spec import EngineSpec

# public name → (module, name there)
_PLACES = {
    "BurnedIn": ("videopath.media.writing.records", "BurnedIn"),
    "CheckpointInfo": ("videopath.model.checkpoints.inspection", "CheckpointInfo"),
    "Clip": ("videopath.media.clip", "Clip"),
    "DeviceChoice": ("videopath.model.device", "DeviceChoice"),
    "Engine": ("videopath.model.inference.engine", "Engine"),
    "EngineInfo": ("videopath.model.inference.engine", "EngineInfo"),
    "EngineSpec": ("videopath.model.inference.spec", "EngineSpec"),
    "FunctionEngine": ("videopath.model.inference.function_engine", "FunctionEngine"),
    "Generation": ("videopath.model.inference.engine", "Generation"),
    "LlavaConfig": ("videopath.model.architecture.config", "LlavaConfig"),
    "Network": ("videopath.model.architecture.network", "Network"),
    "Session": ("videopath.model.inference.engine", "Session"),
    "Writing": ("videopath.media.writing.records", "Writing"),
    "choose_device": ("videopath.model.device", "choose_device"),
    "convert_checkpoint": ("videopath.model.checkpoints.conversion", "convert"),
    "find_writing": ("videopath.media.writing.search", "find_writing"),
    "inspect_checkpoint": ("videopath.model.checkpoints.inspection", "inspect"),
    "load_engine": ("videopath.model.inference.loading", "load_engine"),
    "load_network": ("videopath.model.checkpoints.loading", "load_network"),
    "new_network": ("videopath.model.architecture.network", "new_network"),
    "open_checkpoint": ("videopath.model.checkpoints.loading", "open_checkpoint"),
    "open_clip": ("videopath.media.clip", "open_clip"),
    "save_original": ("videopath.model.checkpoints.saving", "save_original"),
}

__all__ = [
    "BurnedIn",
    "CheckpointInfo",
    "Clip",
    "DeviceChoice",
    "Engine",
    "EngineInfo",
    "EngineSpec",
    "FunctionEngine",
    "Generation",
    "LlavaConfig",
    "Network",
    "Session",
    "Writing",
    "choose_device",
    "convert_checkpoint",
    "find_writing",
    "inspect_checkpoint",
    "load_engine",
    "load_network",
    "new_network",
    "open_checkpoint",
    "open_clip",
    "save_original",
]


if not TYPE_CHECKING:  # a type checker would take every name for an existing one

    def __getattr__(name: str) -> Any:
        if name not in _PLACES:
            raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
        module, attribute = _PLACES[name]
        return getattr(import_module(module), attribute)
