"""Loading of an agent's parts by their names. The first case that needs weights or index loads them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, TypeAlias

from videopath.agent.cases.library import load_case_library
from videopath.agent.cases.records import RunSettings, SecondModel
from videopath.agent.graph.nodes import Nodes
from videopath.agent.policy import Policy
from videopath.core.choices import WritingRule
from videopath.core.errors import InputError
from videopath.core.text import refuse_unwritable
from videopath.model.inference.spec import NANO, EngineSpec
from videopath.tools.retrieve import RetrieveTool
from videopath.tools.session_pool import SessionPool

if TYPE_CHECKING:
    from videopath.agent.cases.library import CaseLibrary
    from videopath.core.settings import Settings
    from videopath.knowledge import KnowledgeBase
    from videopath.model.inference.engine import Engine

EngineLoader: TypeAlias = "Callable[[EngineSpec], Engine]"
"""Loads the model of a spec."""


def load_nodes(
    spec: EngineSpec,
    knowledge: str | Path | KnowledgeBase | None,
    policy: Policy,
    *,
    engine: Engine | None = None,
    second_opinion: EngineSpec | Engine | None = None,
    frames: int | None = None,
    writing: WritingRule = "mask-all",
    home: str | Path | None = None,
    loader: EngineLoader | None = None,
    library: CaseLibrary | None = None,
) -> Nodes:
    """Return the nodes of a graph.

    Args:
        spec: The model. The first case that needs it loads it.
        knowledge: A folder or a knowledge base; ``None``: the bundled starter.
        policy: How careful the agent is.
        engine: A loaded engine in place of the model. ``spec`` then only says what the case's settings record.
        second_opinion: A second model, or a loaded engine; None: no second opinion. A case loads it when it is asked.
        frames: Frames per clip; default: the number in the model's card.
        writing: Which burned-in writing is filled in cases that do not say it themselves.
        home: Folder of the case library; default: that of the settings.
        loader: Loads a model of its spec; default: :func:`videopath.model.load_engine`.
        library: A case library, in place of ``home``.

    Raises:
        InputError: ``engine`` is given and the spec has a base, or a name cannot be written.
    """
    base = None if spec.base is None else _absolute_name(spec.base)
    device, dtype = spec.device, spec.dtype
    sessions = _session_pool(replace(spec, base=base), engine, loader)
    second, second_model = _second_pool(second_opinion, loader)
    folder = _folder_of(knowledge)
    names = {
        "the model": sessions.name,
        "the base": base,
        "the second model": second.name if second else None,
        "the knowledge base": folder,
        "the device": device,
    }
    for what, name in names.items():
        refuse_unwritable(name or "", what)
    settings = RunSettings(
        model=sessions.name,
        base=base,
        second_opinion=second_model,
        knowledge=folder,
        frames=frames,
        review=policy.review,
        device=device,
        dtype=dtype,
        policy=policy.model_dump(mode="json"),
        writing=writing,
    )
    library = library or load_case_library(home)
    return Nodes(sessions, RetrieveTool(knowledge=knowledge), library, settings, second)


def second_spec_from(settings: Settings) -> EngineSpec | None:
    """Return the second model of the user's settings; None if they ask for no second opinion.

    Device, number format and accepted licence are those of the first model.
    """
    first = EngineSpec.from_settings(settings)
    return replace(first, model=settings.second_opinion, base=None) if settings.second_opinion else None


def _second_pool(
    second_opinion: EngineSpec | Engine | None, loader: EngineLoader | None
) -> tuple[SessionPool, SecondModel] | tuple[None, None]:
    """Return the pool of the second model, with what a case's settings record of it; None for both without one."""
    if second_opinion is None:
        return None, None
    if not isinstance(second_opinion, EngineSpec):
        pool = SessionPool(second_opinion)
        return pool, SecondModel(model=pool.name)
    base = None if second_opinion.base is None else _absolute_name(second_opinion.base)
    pool = _session_pool(replace(second_opinion, base=base), None, loader)
    return pool, SecondModel(
        model=pool.name, base=base, device=second_opinion.device, dtype=second_opinion.dtype
    )


def _session_pool(spec: EngineSpec, engine: Engine | None, loader: EngineLoader | None) -> SessionPool:
    if engine is not None:
        if spec.base is not None:
            raise InputError("A loaded engine takes no base: give the model by its name.")
        return SessionPool(engine)

    def load() -> Engine:
        from videopath.model.inference.loading import load_engine

        return load_engine(spec) if loader is None else loader(spec)

    return SessionPool(NANO if str(spec.model) == NANO else _absolute_name(spec.model), load=load)


def _absolute_name(name: str | Path) -> str:
    """Return a folder's whole path, so that the case can resume from any folder; return a hub id as it is."""
    return str(Path(name).resolve()) if Path(name).is_dir() else str(name)


def _folder_of(knowledge: str | Path | KnowledgeBase | None) -> str | None:
    if knowledge is None or isinstance(knowledge, str | Path):
        return str(Path(knowledge).resolve()) if knowledge else None
    return None if knowledge.fixed else str(Path(knowledge.folder).resolve())
