"""Loading of an agent's parts by their names. The first case that needs weights or index loads them."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from videopath.agent.cases.library import load_case_library
from videopath.agent.cases.records import RunSettings
from videopath.agent.graph.nodes import Nodes
from videopath.agent.policy import Policy
from videopath.core.errors import InputError
from videopath.core.text import refuse_unwritable
from videopath.model.inference.spec import NANO, EngineSpec
from videopath.tools.retrieve import RetrieveTool
from videopath.tools.session_pool import SessionPool

if TYPE_CHECKING:
    from videopath.knowledge import KnowledgeBase
    from videopath.model.inference.engine import Engine


def load_nodes(
    spec: EngineSpec,
    knowledge: str | Path | KnowledgeBase | None,
    policy: Policy,
    *,
    engine: Engine | None = None,
    frames: int | None = None,
    home: str | Path | None = None,
) -> Nodes:
    """Return the nodes of a graph.

    Args:
        spec: The model. The first case that needs it loads it.
        knowledge: A folder or a knowledge base; ``None``: the bundled starter.
        policy: How careful the agent is.
        engine: A loaded engine in place of the model. ``spec`` then only says what the case's settings record.
        frames: Frames per clip; default: the number in the model's card.
        home: Folder of the case library; default: that of the settings.

    Raises:
        InputError: ``engine`` is given and the spec has a base, or a name cannot be written.
    """
    base = None if spec.base is None else _absolute_name(spec.base)
    device, dtype = spec.device, spec.dtype
    sessions = _session_pool(replace(spec, base=base), engine)
    folder = _folder_of(knowledge)
    names = {"the model": sessions.name, "the base": base, "the knowledge base": folder, "the device": device}
    for what, name in names.items():
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


def _session_pool(spec: EngineSpec, engine: Engine | None) -> SessionPool:
    if engine is not None:
        if spec.base is not None:
            raise InputError("A loaded engine takes no base: give the model by its name.")
        return SessionPool(engine)

    def load() -> Engine:
        from videopath.model.inference.loading import load_engine

        return load_engine(spec)

    return SessionPool(NANO if str(spec.model) == NANO else _absolute_name(spec.model), load=load)


def _absolute_name(name: str | Path) -> str:
    """Return a folder's whole path, so that the case can resume from any folder; return a hub id as it is."""
    return str(Path(name).resolve()) if Path(name).is_dir() else str(name)


def _folder_of(knowledge: str | Path | KnowledgeBase | None) -> str | None:
    if knowledge is None or isinstance(knowledge, str | Path):
        return str(Path(knowledge).resolve()) if knowledge else None
    return None if knowledge.fixed else str(Path(knowledge.folder).resolve())
