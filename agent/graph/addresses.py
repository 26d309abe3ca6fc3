"""Where the frames of a case are sent, known before the first question is asked."""

from __future__ import annotations

from collections.abc import Iterable
from contextlib import suppress
from typing import TYPE_CHECKING

from videopath.core.errors import EngineError, InputError, ModelError

if TYPE_CHECKING:
    from videopath.tools.session_pool import SessionPool


def addresses_of(first: SessionPool, second: SessionPool | None) -> dict[str, str]:
    """Return model → the address that its frames will be sent to; models on this machine are left out.

    A served model is known by its name. An installed engine is loaded, since only the engine itself knows where it runs.

    Args:
        first: The sessions of the first model.
        second: The sessions of the second model; None: the case asks for no second opinion. If it cannot be loaded, it
            is left out: its own step then says why.

    Raises:
        EngineError: The first model does not answer.
        InputError: The address of a model cannot be used.
        ModelError: The first model cannot be loaded.
    """
    found = [_address_of(first)]
    if second is not None:
        with suppress(EngineError, InputError, ModelError):
            found.append(_address_of(second))
    return {model: address for model, address in found if address}


def going_away(sent_to: Iterable[str]) -> str:
    """Return the end of the first step's summary; empty if all frames stay on this machine.

    Args:
        sent_to: The addresses.
    """
    addresses = list(dict.fromkeys(sent_to))
    return f"; frames leave this machine for {' and '.join(addresses)}" if addresses else ""


def _address_of(pool: SessionPool) -> tuple[str, str]:
    """Return the name of a model and its address."""
    from videopath.model.inference.loading import installed_engine
    from videopath.model.served.address import served_model

    if not pool.loaded and installed_engine(pool.name) is None:
        served = served_model(pool.name)
        return (served.settings.model or pool.name, served.settings.address) if served else (pool.name, "")
    return pool.info.name, pool.info.address
