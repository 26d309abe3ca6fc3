"""The server behind ``videopath app``: Streamlit in this process, with its settings made for this."""

from __future__ import annotations

import asyncio
import ipaddress
import os
import signal
import sys
from collections.abc import Sequence
from pathlib import Path
from types import FrameType
from typing import Any

from streamlit.runtime.pages_manager import PagesManager
from streamlit.web import bootstrap
from streamlit.web.server import Server

from videopath.app.cli.console import say
from videopath.app.cli.telemetry import shares_usage_stats
from videopath.app.web.components.shared.style import THEME

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
    "runner.postScriptGC": False,  # with a model in memory it would take a second after every click
    "global.developmentMode": False,
    **THEME,
}


def serve(host: str, port: int, upload_limit: int, folders: Sequence[Path] | None = None) -> None:
    """Serve the pages until Ctrl-C. ``upload_limit`` in MB. What runs then stays resumable.

    ``folders``: to which visitors are confined, for what is said to others than this machine.
    """
    local = is_local(host)
    more = {
        "server.address": host,
        "server.port": port,
        "server.maxUploadSize": upload_limit,
        "server.allowedHosts": _LOCAL if local else [],  # no foreign name may be bent to this machine
        "browser.serverAddress": host,
        "browser.gatherUsageStats": shares_usage_stats(),
    }
    bootstrap.load_config_options({**_OPTIONS, **more})
    PagesManager.uses_pages_directory = False  # else the first visitor gets the files of pages/ raw
    asyncio.run(
        _serve(
            f"http://{f'[{host}]' if ':' in host else host}:{port}",
            None if local else warning_to_others(folders),
        )
    )
    if not _closed():
        say("The model was still at work. No case is lost: those that ran can be resumed.")
        sys.stdout.flush()
        os._exit(0)  # a thread within the model cannot be ended in any other way


def is_local(host: str) -> bool:
    """Whether only this machine can reach what listens there."""
    try:
        return host == "localhost" or ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def warning_to_others(folders: Sequence[Path] | None) -> str:
    """What whoever opens the pages to others should know."""
    reach = (
        "may name any path of this machine that this server can read (--folder confines them)"
        if folders is None
        else f"may name files in {', '.join(map(str, folders))} alone"
    )
    return (
        "Others can reach this address. There is no login: whoever does sees and changes all cases, and "
        f"{reach}."
    )


async def _serve(address: str, warning: str | None) -> None:
    server = Server(str(MAIN), False)
    await server.start()
    bootstrap.prepare_streamlit_environment(server.main_script_path)
    loop = asyncio.get_running_loop()

    def end(_number: int, _frame: FrameType | None) -> None:
        loop.call_soon_threadsafe(server.stop)

    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, end)
    say(f"VideoPath listens on {address} (Ctrl-C ends it).")
    if warning:
        say(warning)
    await server.stopped


def _closed() -> bool:
    from videopath.app.web.runtime.services import close_services

    return close_services()
