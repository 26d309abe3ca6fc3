"""Checks before a server starts."""

from __future__ import annotations

import os
import socket
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from videopath.app.metrics import require_metrics
from videopath.core.errors import InputError

if TYPE_CHECKING:
    from videopath.agent.cases.library import CaseLibrary


def check_folders(folders: Sequence[Path] | None) -> None:
    """Raise ``InputError`` if a folder that visitors may name files in does not exist."""
    for folder in folders or ():
        if not folder.is_dir():
            raise InputError(f"There is no folder {folder}; --folder must name a folder that exists.")


def check_address(host: str, port: int, *, other_host: str = "", option: str = "--port") -> None:
    """Raise ``InputError`` if an address cannot be listened on: before anything is loaded.

    Args:
        host: Name or address of this machine.
        port: The port.
        other_host: Ends the advice, if the user can choose the host as well.
        option: The option that gives the port.
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
                f"port with {option}{other_host}."
            ) from error


def check_metrics(host: str, port: int | None, *, taken: int | None = None) -> None:
    """Raise ``InputError`` if figures cannot be served: the package is missing or the address cannot be used.

    Args:
        host: Address to listen on.
        port: The port; None: no figures are asked for.
        taken: The port of the pages.
    """
    if port is None:
        return
    require_metrics()
    if port == taken:
        raise InputError(f"--port and --metrics-port are both {port}: give two different ports.")
    check_address(
        host, port, other_host=", or an address of this machine with --metrics-host", option="--metrics-port"
    )


def start_metrics(library: CaseLibrary, host: str, port: int | None) -> None:
    """Serve the figures for Prometheus until the process ends, and say where; nothing happens without a port."""
    if port is None:
        return
    from videopath.app.cli.console import say
    from videopath.app.metrics import start_figures

    start_figures(library, host, port)
    say(f"Figures for Prometheus: http://{f'[{host}]' if ':' in host else host}:{port}/metrics")
