"""``videopath app`` in a process of its own."""

from __future__ import annotations

import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

_VIDEOPATH = [sys.executable, "-c", "from videopath.app.cli.main import main; main()"]
_PATIENCE = 90.0  # seconds until it listens


@contextmanager
def serving(home: Path, *options: str) -> Iterator[tuple[subprocess.Popen[str], int]]:
    """``with serving(home, *options) as (process, port)``: on a free port of this machine, once it says that it
    listens. Its log is a file beside ``home`` (a pipe that nobody reads would stop it), shown when the test fails."""
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        port: int = found.getsockname()[1]
    log = home.parent / f"server-{port}.log"
    command = [*_VIDEOPATH, "app", "--port", str(port), "--home", str(home), *options]
    with log.open("w") as told, subprocess.Popen(command, stderr=told, text=True) as server:
        try:
            _await(server, log, f"http://127.0.0.1:{port}")
            yield server, port
        except BaseException:
            print(f"The server's log:\n{log.read_text()}")
            raise
        finally:
            server.kill()


def _await(server: subprocess.Popen[str], log: Path, word: str) -> None:
    until = time.monotonic() + _PATIENCE
    while word not in log.read_text():
        assert server.poll() is None, "the server ended"
        assert time.monotonic() < until, "the server does not listen"
        time.sleep(0.05)
