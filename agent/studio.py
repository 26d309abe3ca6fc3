"""The graph and its checkpoints for LangGraph's server (``langgraph.json``)."""

from __future__ import annotations

import logging
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from functools import partial
from typing import Any

from langgraph.checkpoint.base import BaseCheckpointSaver

from videopath.agent.async_checkpoints import open_async_checkpoints
from videopath.agent.cases.library import CaseLibrary, load_case_library
from videopath.agent.graph.builder import CaseGraph, build_graph
from videopath.agent.loading import load_nodes, second_spec_from
from videopath.agent.policy import Policy
from videopath.core import log
from videopath.core.folders import visitor_path
from videopath.core.settings import load_settings
from videopath.model.inference.spec import EngineSpec


def make_graph() -> CaseGraph:
    """Return the graph with the model and the knowledge base of the settings."""
    settings = load_settings()
    if settings.log_level:  # the server shows the log
        logging.getLogger(log.NAME).setLevel(settings.log_level.upper())
    nodes = load_nodes(
        EngineSpec.from_settings(settings),
        settings.knowledge,
        Policy(review=settings.review, accept_uncalibrated=settings.accept_uncalibrated),
        second_opinion=second_spec_from(settings),
        frames=settings.frames,
        writing=settings.writing,
        home=settings.home,
    )
    for pool in nodes.pools:
        pool.refuse = partial(visitor_path, settings=settings)
    return build_graph(nodes)


@asynccontextmanager
async def make_checkpointer() -> AsyncIterator[BaseCheckpointSaver[Any]]:
    """Yield the checkpointer of the settings: PostgreSQL if they name a database, else SQLite in the home folder."""
    async with open_async_checkpoints(_library) as saver:
        yield saver


def _library() -> CaseLibrary:
    return load_case_library(load_settings().home)
