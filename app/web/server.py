"""The server of ``videopath app``: Streamlit in this process, with its options set here."""

from __future__ import annotations

import asyncio
import ipaddress
import logging
import os
import signal
import sys
from collections.abc import Sequence
from pathlib import Path
from types import FrameType
from typing import Any

from streamlit.auth_util import get_secrets_auth_section
from streamlit.runtime.pages_manager import PagesManager
from streamlit.web import bootstrap
from streamlit.web.server import Server

from videopath.app.cli.console import say
from videopath.app.cli.telemetry import shares_usage_stats
from videopath.app.web.components.shared.style import THEME
from videopath.core.telemetry import end_telemetry

_log = logging.getLogger(__name__)

MAIN = Path(__file__).with_name("main.py")

_LOCAL = ["localhost", "127.0.0.1", "[::1]", "::1"]
_OPTIONS: dict[str, Any] = {
    "server.headless": True,
    "server.fileWatcherType": "none",
    "server.enableXsrfProtection": True,
    "server.enableCORS": True,
    "client.toolbarMode": "viewer",
    "client.showErrorDetails": "type",
    "client.showErrorLinks": False,
    "logger.level": "warning",
    "runner.magicEnabled": False,
    "runner.postScriptGC": False,  # with a model in memory a collection takes a second after every click
    "global.developmentMode": False,
    **THEME,
}


def serve(host: str, port: int, upload_limit: int, folders: Sequence[Path] | None = None) -> None:
    """Serve the pages until Ctrl-C; cases that run then can be resumed.

    Args:
        host: Address to listen on.
        port: Port to listen on.
        upload_limit: Largest upload, in MB.
        folders: Folders that visitors may open files in, for the warning if others can reach the address;
            None: any folder.
    """
    local = is_local(host)
    more = {
        "server.address": host,
        "server.port": port,
        "server.maxUploadSize": upload_limit,
        "server.allowedHosts": _LOCAL if local else [],  # no foreign host name may resolve to this machine
        "browser.serverAddress": host,
        "browser.gatherUsageStats": shares_usage_stats(),
    }
    bootstrap.load_config_options({**_OPTIONS, **more})
    PagesManager.uses_pages_directory = (
        False  # otherwise Streamlit serves the files of pages/ to the first visitor
    )
    asyncio.run(
        _serve(
            f"http://{f'[{host}]' if ':' in host else host}:{port}",
            None if local else warning_to_others(folders, login=bool(get_secrets_auth_section())),
        )
    )
    closed = _closed()
    end_telemetry()
    if not closed:
        say("The model was still running. No case is lost: interrupted cases can be resumed.")
        sys.stdout.flush()
        os._exit(0)  # a thread inside the model cannot be ended in any other way


def is_local(host: str) -> bool:
    """Return whether only this machine can reach the address."""
    try:
        return host == "localhost" or ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def warning_to_others(folders: Sequence[Path] | None, *, login: bool = False) -> str:
    """Return the warning for a server that others can reach; ``login``: whether it asks them to log in."""
    reach = (
        "can open any path of this machine that this server can read (restrict them with --folder)"
        if folders is None
        else f"can only open files in {', '.join(map(str, folders))}"
    )
    who = "Everybody who logs in" if login else "There is no login: every visitor"
    return f"Others can reach this address. {who} can see and change all cases, and {reach}."


async def _serve(address: str, warning: str | None) -> None:
    server = Server(str(MAIN), False)
    await server.start()
    bootstrap.prepare_streamlit_environment(server.main_script_path)
    loop = asyncio.get_running_loop()

    def end(_number: int, _frame: FrameType | None) -> None:
        loop.call_soon_threadsafe(server.stop)

    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, end)
    _log.info("The server listens on %s.", address)
    say(f"VideoPath listens on {address} (Ctrl-C stops it).")
    if warning:
        say(warning)
    await server.stopped


def _closed() -> bool:
    from videopath.app.web.runtime.services import close_services

    return close_services()
