"""The parts of an agent from their names. Weights and index are loaded by the first case that needs them."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from videopath.agent.library import load_case_library
from videopath.agent.nodes import Nodes
from videopath.agent.policy import Policy
from videopath.agent.records import RunSettings
from videopath.tools.retrieve import RetrieveTool
from videopath.tools.sessions import SessionPool

if TYPE_CHECKING:
    from videopath.knowledge import KnowledgeBase
    from videopath.model.engine import Engine


def load_nodes(
    model: str | Path | Engine,
    knowledge: str | Path | KnowledgeBase | None,
    policy: Policy,
    *,
    frames: int | None = None,
    device: str | None = None,
    dtype: str | None = None,
    accept_licence: bool = False,
    home: str | Path | None = None,
) -> Nodes:
    """The nodes of a graph around a model, a knowledge base, a policy and the case library of ``home``."""
    sessions = _sessions(model, device, dtype, accept_licence)
    settings = RunSettings(
        model=sessions.name,
        knowledge=_folder_of(knowledge),
        frames=frames,
        review=policy.review,
        device=device,
        dtype=dtype,
        policy=policy.model_dump(mode="json"),
    )
    return Nodes(sessions, RetrieveTool(knowledge=knowledge), load_case_library(home), settings)


def _sessions(
    model: str | Path | Engine, device: str | None, dtype: str | None, accept_licence: bool
) -> SessionPool:
    if not isinstance(model, str | Path):
        return SessionPool(model)

    def load() -> Engine:
        from videopath.model import load_engine

        return load_engine(model, device=device, dtype=dtype, accept_licence=accept_licence)

    name = str(model)  # a folder is kept whole, so that the case resumes from any other folder
    return SessionPool(
        str(Path(name).resolve()) if Path(name).is_dir() and name != "nano" else name, load=load
    )


def _folder_of(knowledge: str | Path | KnowledgeBase | None) -> str | None:
    if knowledge is None or isinstance(knowledge, str | Path):
        return str(Path(knowledge).resolve()) if knowledge else None
    return str(Path(knowledge.folder).resolve())
