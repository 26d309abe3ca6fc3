"""Checks before a server starts."""

from __future__ import annotations

import os
import socket
from collections.abc import Sequence
from pathlib import Path

from videopath.core.errors import InputError


def check_folders(folders: Sequence[Path] | None) -> None:
    """Raise ``InputError`` if a folder that visitors may name files in does not exist."""
    for folder in folders or ():
        if not folder.is_dir():
            raise InputError(f"There is no folder {folder}; --folder must name a folder that exists.")


def check_address(host: str, port: int, *, other_host: str = "") -> None:
    """Raise ``InputError`` if an address cannot be listened on: before anything is loaded.

    Args:
        host: Name or address of this machine.
        port: The port.
        other_host: Ends the advice, if the user can choose the host as well.
    """
    try:
        family, kind, protocol, _, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0]
    except (socket.gaierror, UnicodeError) as error:
        raise InputError(f"The host {host!r} is not known; give an address of this machine.") from error
    with socket.socket(family, kind, protocol) as probe:
        if os.name == "posix":  # as servers do; on Windows it would let two processes listen on one port
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(address)
        except OSError as error:
            raise InputError(
                f"The server cannot listen on port {port} of {host} ({error.strerror or error}). Choose another "
                f"port with --port{other_host}."
            ) from error
