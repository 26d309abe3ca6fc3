"""Loading of a served model: the server is asked what it lists and what it can do."""

from __future__ import annotations

from typing import TYPE_CHECKING

from videopath.core.errors import InputError
from videopath.core.installing import require

if TYPE_CHECKING:
    from pathlib import Path

    from videopath.model.inference.engine import Engine
    from videopath.model.served.address import ServedModel


def load_served_engine(served: ServedModel, base: str | Path | None = None) -> Engine:
    """Connect to a server, find out what it can do, and return its model as an engine.

    Args:
        served: The model and how it is asked.
        base: Must be ``None``: a served model has no base here.

    Raises:
        InputError: A base is given, the client is not installed, the key's variable is not set, or the server does not
            offer the scoring that the settings demand.
        ModelError: The server does not have the model, or the model takes no pictures.
        EngineError: The server does not answer, or not by the protocol.
    """
    if base is not None:
        raise InputError(
            f"{served.source} is a served model and has no base; leave the base away, and let the server load it."
        )
    require("openai", "openai", "served", "A served model")
    from videopath.model.served.engine import connect

    return connect(served)
