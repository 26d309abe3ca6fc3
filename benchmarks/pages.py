"""How fast the pages of ``videopath app`` stand, how high a case is, and what many sessions at once need.

    python benchmarks/pages.py [--home HOME] [--sessions 20] [--rounds 3]

First paint is the browser's own "first contentful paint" after a page is opened by its address; the heading stands when
the page's h1 is drawn. Each page is opened once before it is measured. Sessions go through the pages at the same time;
each must come to its end without an error, and the memory is that of the server with all of them. Without --home a drawn
case is diagnosed by nano first. Needs Debian's chromium and chromium-driver.
"""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from statistics import median
from typing import Any

import psutil

_HELPERS = Path(__file__).parents[1] / "tests/app/web/helpers"
_PAINTED = "return (performance.getEntriesByName('first-contentful-paint')[0] || {}).startTime / 1000"
_HEADED = """
const done = arguments[arguments.length - 1];
const look = () => document.querySelector('h1') ? done(performance.now() / 1000) : requestAnimationFrame(look);
look();
"""
_HEIGHT = "return document.querySelector('[data-testid=stMain]').scrollHeight"
_SCREEN = (1400, 900)
_LOADING = 20.0  # seconds


def main() -> None:
    """Print the figures of each page, and those of many sessions."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--home", type=Path, help="a case library; its first case is opened")
    parser.add_argument("--sessions", type=int, default=20)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--json", action="store_true")
    args = parser.parse_args()
    sys.path.insert(0, str(_HELPERS))
    with tempfile.TemporaryDirectory() as folder:
        home = args.home or _with_a_case(Path(folder) / "home")
        for figures in _measured(home, Path(folder), args.sessions, args.rounds):
            print(json.dumps(figures) if args.json else _line(figures), flush=True)


def _line(figures: dict[str, Any]) -> str:
    return ", ".join(f"{name}: {f'{v:.2f}' if isinstance(v, float) else v}" for name, v in figures.items())


def _with_a_case(home: Path) -> Path:
    from videopath.agent import DiagnosticAgent
    from videopath.media.synthetic import render_case

    video = render_case(home.parent / "drawn.mp4", seconds=3)
    with DiagnosticAgent.load(home=home) as agent:
        agent.diagnose(video, site="colon")
    return home


def _measured(home: Path, folder: Path, sessions: int, rounds: int) -> Iterator[dict[str, Any]]:
    from serving import serving

    from videopath.agent import load_case_library

    case = load_case_library(home).list(limit=1)[0].case_id
    pages = ("", f"case?id={case}", "worklist", "knowledge", "benchmarks", "about")
    with serving(home) as (process, port):
        yield _of_sessions(psutil.Process(process.pid), port, case, sessions)
        yield from _of_pages(f"http://127.0.0.1:{port}", folder, pages, rounds)


def _of_pages(address: str, folder: Path, pages: tuple[str, ...], rounds: int) -> Iterator[dict[str, Any]]:
    from browsing import Browser

    browser = Browser(address, folder / "profile", size=_SCREEN)
    try:
        browser.screen(*_SCREEN)
        for page in pages:
            browser.go(page)
            browser.settle()
            painted, headed = [], []
            for _ in range(rounds):
                browser.driver.get("about:blank")
                browser.driver.get(f"{address}/{page}")
                headed.append(float(browser.driver.execute_async_script(_HEADED)))
                painted.append(float(browser.run(_PAINTED)))
            browser.settle()
            yield {
                "page": page.partition("?")[0] or "new case",
                "first paint, seconds (goal 1)": median(painted),
                "heading, seconds": median(headed),
                "height, pixels at 1400 x 900": browser.run(_HEIGHT),
            }
    finally:
        browser.close()


def _of_sessions(server: psutil.Process, port: int, case: str, sessions: int) -> dict[str, Any]:
    from session_tab import Tab

    def visit(_: int) -> float:
        with Tab(port) as tab:
            began = time.perf_counter()
            tab.open_first_page()
            for query in (f"id={case}", ""):
                tab.query = query
                tab.run()
            seconds = time.perf_counter() - began
            ready.append(_memory(server))
            time.sleep(1.0)  # all are open at the same time
            return seconds

    ready: list[float] = []
    visit(0)
    time.sleep(_LOADING)  # the server loads the model while the first page is looked at
    before = _memory(server)
    with ThreadPoolExecutor(sessions) as people:
        took = list(people.map(visit, range(sessions)))
    return {
        "sessions at once": sessions,
        "MB with the model loaded and one session": before,
        "MB with all (goal 550)": max(ready),
        "seconds of a session's three runs, median": median(took),
    }


def _memory(server: psutil.Process) -> float:
    """Return the megabytes that the server holds alone; pages of libraries that others read as well do not count."""
    return sum(one.memory_full_info().uss for one in (server, *server.children(recursive=True))) / 1e6


if __name__ == "__main__":
    main()
