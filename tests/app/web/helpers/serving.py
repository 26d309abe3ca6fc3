"""``videopath app`` in a process of its own."""

from __future__ import annotations

import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

_VIDEOPATH = [sys.executable, "-c", "from videopath.app.cli import main; main()"]


@contextmanager
def serving(home: Path, *options: str) -> Iterator[tuple[subprocess.Popen[str], int]]:
    """``with serving(home, *options) as (process, port)``: on a free port of this machine, once it says that it
    listens."""
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        port: int = found.getsockname()[1]
    command = [*_VIDEOPATH, "app", "--port", str(port), "--home", str(home), *options]
    with subprocess.Popen(command, stderr=subprocess.PIPE, text=True) as server:
        assert server.stderr is not None
        try:
            assert f"http://127.0.0.1:{port}" in server.stderr.readline()
            yield server, port
        finally:
            server.kill()
