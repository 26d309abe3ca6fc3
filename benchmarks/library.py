"""How long a page of a long worklist takes: python benchmarks/library.py [--cases 50000] [--database postgresql://…] [--json]

Fills an empty case library and reads pages of 50: the first, one in the middle, the last, pages of a status and a site,
and those of the worklist in the browser with its filters, its words and its orders. Without ``--database`` it measures SQLite. The database's schema must be empty. Ends with 1 if a page takes longer
than 0.2 s.
"""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path
from statistics import median
from typing import Any

from sqlalchemy import insert

from videopath.agent.cases.library import CaseLibrary
from videopath.agent.cases.storage.pages import ORDERS
from videopath.agent.cases.storage.tables import cases
from videopath.agent.cases.team.worklist import Sifting, Worklist

LIMIT, PAGE, TRIES = 0.2, 50, 7
STATUSES = ("done",) * 5 + ("signed",) * 3 + ("abstained", "failed")
SITES = ("colon", "lung", "breast", "skin")


def filled(library: CaseLibrary, count: int) -> None:
    """Enter rows, of which each thousandth is running."""
    begin = datetime(2026, 1, 1, tzinfo=UTC)
    rows = [
        {
            "case_id": f"case-{number:06d}",
            "status": "running" if number % 1000 == 0 else STATUSES[number % len(STATUSES)],
            "video": f"/videos/{number}.mp4",
            "site": SITES[number % len(SITES)],
            "diagnosis": "colon adenocarcinoma",
            "confidence": 0.8,
            "model": "nano",
            "created": (begin + timedelta(minutes=number)).isoformat(),
            "updated": begin.isoformat(),
        }
        for number in range(count)
    ]
    with library.store.writing() as connection:
        for start in range(0, count, 1000):
            connection.execute(insert(cases), rows[start : start + 1000])


def worklist_pages(worklist: Worklist, count: int) -> dict[str, Callable[[], object]]:
    """Return what the page of the worklist reads."""

    def page(offset: int = 0, **sifting: Any) -> Callable[[], object]:
        return partial(worklist.page, Sifting(**sifting), PAGE, offset)

    words = f"{count // 2:06d} ADENO"
    return {
        "worklist: counts": worklist.counts,
        "worklist: sites": worklist.sites,
        "worklist: running": page(statuses=("running",)),
        "worklist: signed, colon": page(statuses=("signed",), sites=("colon",)),
        "worklist: words": page(words=words),
        "worklist: words, count": partial(worklist.count, Sifting(words=words)),
        "worklist: runs first": page(video="/videos/7.mp4"),
        **{f"worklist: {order}": page(count // 2, order=order) for order in ORDERS},
    }


def seconds_of(read: Callable[[], object]) -> float:
    """Return the median of some tries."""
    tries = []
    for _ in range(TRIES):
        started = time.perf_counter()
        read()
        tries.append(time.perf_counter() - started)
    return round(median(tries), 4)


def main() -> None:
    """Fill, measure and print."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--cases", type=int, default=50_000)
    parser.add_argument("--database")
    parser.add_argument("--json", action="store_true")
    wanted = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="videopath-library-") as home:
        library = CaseLibrary(Path(home), wanted.database)
        if library.list(limit=1):
            sys.exit("The library is not empty.")
        filled(library, wanted.cases)
        page = partial(library.list, limit=PAGE)
        pages = {
            "first page": page,
            "page in the middle": partial(page, offset=wanted.cases // 2),
            "last page": partial(page, offset=wanted.cases - PAGE),
            "signed": partial(page, "signed"),
            "signed, colon": partial(page, "signed", "colon"),
            "interrupted": partial(page, "interrupted"),
            "failed": partial(page, "failed"),
            "count of all": library.count,
        }
        pages |= worklist_pages(Worklist(library), wanted.cases)
        seconds = {name: seconds_of(read) for name, read in pages.items()}
        seconds["whole list"] = seconds_of(library.list)
    if wanted.json:
        print(json.dumps({"cases": wanted.cases, "seconds": seconds}))
    else:
        for name, value in seconds.items():
            print(f"{name:36} {value:.4f} s")
    sys.exit(1 if any(seconds[name] > LIMIT for name in pages) else 0)


if __name__ == "__main__":
    main()
