"""How long a person waits: python benchmarks/startup.py [--repeats 3] [--json]

Prints the median seconds, each from the start of a process of its own, with an empty home folder:
``videopath --help`` until it ends, ``videopath demo`` until its first step is shown and until its report is, and
``videopath app`` until a browser has been sent its whole first page (what the browser then takes is not in it).
"""

from __future__ import annotations

import argparse
import json
import os
import socket
import statistics
import subprocess
import sys
import tempfile
import time

_VIDEOPATH = [sys.executable, "-c", "from videopath.app.cli.main import main; main()"]
_GOALS = {
    "help": 0.3,
    "demo first step": 5.0,
    "demo report": 20.0,
    "app first page": 3.0,
}  # seconds on 2 cores


def help_seconds() -> float:
    """Seconds that ``videopath --help`` takes."""
    start = time.perf_counter()
    subprocess.run([*_VIDEOPATH, "--help"], check=True, stdout=subprocess.DEVNULL)
    return time.perf_counter() - start


def demo_seconds() -> tuple[float, float]:
    """Seconds until ``videopath demo`` shows its first finished step, and until it has ended."""
    with tempfile.TemporaryDirectory() as home:
        start = time.perf_counter()
        environment = {**os.environ, "VIDEOPATH_HOME": home, "PYTHONUNBUFFERED": "1"}
        demo = subprocess.Popen(
            [*_VIDEOPATH, "demo"], env=environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT
        )
        assert demo.stdout is not None
        first, shown = float("nan"), b""
        while piece := os.read(demo.stdout.fileno(), 1 << 16):
            shown += piece
            if first != first and b"intake" in shown:
                first = time.perf_counter() - start
        if demo.wait():
            raise SystemExit(
                f"videopath demo ended with {demo.returncode}:\n{shown.decode(errors='replace')}"
            )
        return first, time.perf_counter() - start


def app_seconds() -> float:
    """Seconds until ``videopath app`` has sent its first page."""
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        port = found.getsockname()[1]
    with tempfile.TemporaryDirectory() as home:
        start = time.perf_counter()
        command = [*_VIDEOPATH, "app", "--port", str(port), "--home", home]
        with subprocess.Popen(command, stderr=subprocess.PIPE) as app:
            try:
                assert app.stderr is not None
                if b"listens" not in (said := app.stderr.readline()):
                    raise SystemExit(f"videopath app did not start:\n{said.decode(errors='replace')}")
                _receive_page(port)
                return time.perf_counter() - start
            finally:
                app.kill()


def _receive_page(port: int) -> None:
    """Open a session as a browser does and take what it is sent, to the page's end."""
    from streamlit.proto.BackMsg_pb2 import BackMsg
    from streamlit.proto.ForwardMsg_pb2 import ForwardMsg
    from websockets.sync.client import connect

    with connect(f"ws://127.0.0.1:{port}/_stcore/stream", max_size=None) as page:
        page.send(BackMsg(rerun_script={}).SerializeToString())
        while True:
            sent = page.recv(timeout=60)
            assert isinstance(sent, bytes)
            if ForwardMsg.FromString(sent).WhichOneof("type") == "script_finished":
                return


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--json", action="store_true")
    wanted = parser.parse_args()

    help_seconds()  # byte code and disk cache, as after an installation
    app_seconds()
    demos = [demo_seconds() for _ in range(wanted.repeats)]
    measured = {
        "help": statistics.median(help_seconds() for _ in range(wanted.repeats)),
        "demo first step": statistics.median(first for first, _ in demos),
        "demo report": statistics.median(report for _, report in demos),
        "app first page": statistics.median(app_seconds() for _ in range(wanted.repeats)),
    }
    if wanted.json:
        print(json.dumps({name: round(seconds, 2) for name, seconds in measured.items()}))
        return
    print(f"{os.cpu_count()} cores, median of {wanted.repeats}")
    for name, seconds in measured.items():
        print(f"{name:<16} {seconds:6.2f} s   (goal {_GOALS[name]:g} s)")


if __name__ == "__main__":
    main()
