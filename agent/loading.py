"""The parts of an agent from their names. Weights and index are loaded by the first case that needs them."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from videopath.agent.cases.library import load_case_library
from videopath.agent.cases.records import RunSettings
from videopath.agent.graph.nodes import Nodes
from videopath.agent.policy import Policy
from videopath.core.errors import InputError
from videopath.core.text import refuse_unwritable
from videopath.tools.retrieve import RetrieveTool
from videopath.tools.session_pool import SessionPool

if TYPE_CHECKING:
    from videopath.knowledge import KnowledgeBase
    from videopath.model.inference.engine import Engine


def load_nodes(
    model: str | Path | Engine,
    knowledge: str | Path | KnowledgeBase | None,
    policy: Policy,
    *,
    base: str | Path | None = None,
    frames: int | None = None,
    device: str | None = None,
    dtype: str | None = None,
    accept_licence: bool = False,
    home: str | Path | None = None,
) -> Nodes:
    """The nodes of a graph around a model, a knowledge base, a policy and the case library of ``home``."""
    base = None if base is None else _kept_whole(base)
    sessions = _sessions(model, base, device, dtype, accept_licence)
    folder = _folder_of(knowledge)
    kept = {"the model": sessions.name, "the base": base, "the knowledge base": folder, "the device": device}
    for what, name in kept.items():
        refuse_unwritable(name or "", what)
    settings = RunSettings(
        model=sessions.name,
        base=base,
        knowledge=folder,
        frames=frames,
        review=policy.review,
        device=device,
        dtype=dtype,
        policy=policy.model_dump(mode="json"),
    )
    return Nodes(sessions, RetrieveTool(knowledge=knowledge), load_case_library(home), settings)


def _sessions(
    model: str | Path | Engine, base: str | None, device: str | None, dtype: str | None, accept_licence: bool
) -> SessionPool:
    if not isinstance(model, str | Path):
        if base is not None:
            raise InputError("An engine that is loaded already takes no base: give the model by its name.")
        return SessionPool(model)

    def load() -> Engine:
        from videopath.model import load_engine

        return load_engine(model, base=base, device=device, dtype=dtype, accept_licence=accept_licence)

    return SessionPool("nano" if str(model) == "nano" else _kept_whole(model), load=load)


def _kept_whole(name: str | Path) -> str:
    """A folder with its whole path, so that the case resumes from any other folder; a hub id as it is."""
    return str(Path(name).resolve()) if Path(name).is_dir() else str(name)


def _folder_of(knowledge: str | Path | KnowledgeBase | None) -> str | None:
    if knowledge is None or isinstance(knowledge, str | Path):
        return str(Path(knowledge).resolve()) if knowledge else None
    return None if knowledge.fixed else str(Path(knowledge.folder).resolve())
