"""Everything about the network: video intake, preprocessing, checkpoints, the engine and its sessions.

Names are loaded when they are first used, so that importing this package costs nothing.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from videopath.model.burned_in import BurnedIn, Writing, find_writing
    from videopath.model.checkpoint import load_network, open_checkpoint
    from videopath.model.config import LlavaConfig
    from videopath.model.convert import convert as convert_checkpoint
    from videopath.model.device import DeviceChoice, choose_device
    from videopath.model.engine import Engine, EngineInfo, Generation, Session, load_engine
    from videopath.model.inspection import CheckpointInfo
    from videopath.model.inspection import inspect as inspect_checkpoint
    from videopath.model.network import Network, new_network
    from videopath.model.save import save_original
    from videopath.model.video import Clip, open_clip

# public name → (module, name there)
_PLACES = {
    "BurnedIn": ("burned_in", "BurnedIn"),
    "CheckpointInfo": ("inspection", "CheckpointInfo"),
    "Clip": ("video", "Clip"),
    "DeviceChoice": ("device", "DeviceChoice"),
    "Engine": ("engine", "Engine"),
    "EngineInfo": ("engine", "EngineInfo"),
    "Generation": ("engine", "Generation"),
    "LlavaConfig": ("config", "LlavaConfig"),
    "Network": ("network", "Network"),
    "Session": ("engine", "Session"),
    "Writing": ("burned_in", "Writing"),
    "choose_device": ("device", "choose_device"),
    "convert_checkpoint": ("convert", "convert"),
    "find_writing": ("burned_in", "find_writing"),
    "inspect_checkpoint": ("inspection", "inspect"),
    "load_engine": ("engine", "load_engine"),
    "load_network": ("checkpoint", "load_network"),
    "new_network": ("network", "new_network"),
    "open_checkpoint": ("checkpoint", "open_checkpoint"),
    "open_clip": ("video", "open_clip"),
    "save_original": ("save", "save_original"),
}

__all__ = [
    "BurnedIn",
    "CheckpointInfo",
    "Clip",
    "DeviceChoice",
    "Engine",
    "EngineInfo",
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


def __getattr__(name: str) -> Any:
    if name not in _PLACES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    module, attribute = _PLACES[name]
    return getattr(import_module(f"{__name__}.{module}"), attribute)
