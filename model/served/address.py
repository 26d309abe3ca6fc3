"""Names of served models: ``openai:ADDRESS#MODEL``, or a name from ``engines`` in the settings."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from videopath.core.errors import InputError
from videopath.model.inference.spec import NANO

if TYPE_CHECKING:
    from videopath.core.settings import EngineSettings

PREFIX = "openai:"
"""Before the address of a served model."""
_EXAMPLE = "openai:http://127.0.0.1:8000/v1#MODEL"
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]*")


@dataclass(frozen=True)
class ServedModel:
    """A served model as the user named it, and its settings with a checked address."""

    source: str
    settings: EngineSettings


def served_model(name: str) -> ServedModel | None:
    """Return the served model of a name, or ``None`` if the name is that of another model.

    Raises:
        InputError: The address cannot be used, or the settings cannot be read.
    """
    from videopath.core.settings import EngineSettings, load_settings

    if name.startswith(PREFIX):
        address, _, model = name.removeprefix(PREFIX).partition("#")
        address = checked_address(address)
        return ServedModel(name, EngineSettings(address=address, model=_checked_model(model)))
    if name == NANO or not _NAME.fullmatch(name):
        return None
    settings = load_settings().engines.get(name)
    if settings is None:
        return None
    checked = {
        "address": checked_address(settings.address, f"The address of the engine {name!r}"),
        "model": _checked_model(settings.model or ""),
    }
    return ServedModel(name, settings.model_copy(update=checked))


def checked_address(address: str, what: str = "The address of a served model") -> str:
    """Return the base address without a slash at its end.

    Args:
        address: The address. It is not repeated in messages if it may hold a secret.
        what: Subject of the messages.

    Raises:
        InputError: It is not an address of http or https, or it holds a user, a key or a query.
    """
    if any(not sign.isprintable() or sign.isspace() for sign in address):
        raise InputError(f"{what} has a space or a control character; give {_EXAMPLE}.")
    try:
        parts = urlsplit(address)
        port = parts.port
    except ValueError as error:
        raise InputError(f"{what} is not valid: {error}; give {_EXAMPLE}.") from error
    if "@" in parts.netloc:
        raise InputError(
            f"{what} holds a user or a key; name the variable that holds the key by key_env in the settings."
        )
    if parts.query or parts.fragment or "?" in address or "#" in address:
        raise InputError(f"{what} ends with its path, without '?' or a second '#'; give {_EXAMPLE}.")
    if parts.scheme not in ("http", "https") or not parts.hostname or port == 0:
        raise InputError(
            f"{what} must begin with http:// or https:// and name a host, not {address!r}; give {_EXAMPLE}."
        )
    return address.rstrip("/")


def _checked_model(model: str) -> str | None:
    if "#" in model:
        raise InputError(f"The name of a served model cannot hold a second '#'; give {_EXAMPLE}.")
    if not model.isprintable():
        raise InputError(
            "The name of a served model has a control character or a half character; correct it."
        )
    return model.strip() or None
