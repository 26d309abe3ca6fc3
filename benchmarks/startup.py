"""How long a person waits: python benchmarks/startup.py [--repeats 3] [--json]

Prints the median seconds, each from the start of a process of its own, with an empty home folder:
``videopath --help`` until it ends, and ``videopath demo`` until its first step is shown and until its report is.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time

_VIDEOPATH = [sys.executable, "-c", "from videopath.app.cli import main; main()"]
_GOALS = {"help": 0.3, "demo first step": 5.0, "demo report": 20.0}  # seconds on 2 cores


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


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--json", action="store_true")
    wanted = parser.parse_args()

    help_seconds()  # byte code and disk cache, as after an installation
    demos = [demo_seconds() for _ in range(wanted.repeats)]
    measured = {
        "help": statistics.median(help_seconds() for _ in range(wanted.repeats)),
        "demo first step": statistics.median(first for first, _ in demos),
        "demo report": statistics.median(report for _, report in demos),
    }
    if wanted.json:
        print(json.dumps({name: round(seconds, 2) for name, seconds in measured.items()}))
        return
    print(f"{os.cpu_count()} cores, median of {wanted.repeats}")
    for name, seconds in measured.items():
        print(f"{name:<16} {seconds:6.2f} s   (goal {_GOALS[name]:g} s)")


if __name__ == "__main__":
    main()
