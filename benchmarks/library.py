"""How long a page of a long worklist takes: python benchmarks/library.py [--cases 50000] [--database postgresql://…] [--json]

Fills an empty case library and reads pages of 50: the first, one in the middle, the last, and pages of a status and a
site. Without ``--database`` it measures SQLite. The database's schema must be empty. Ends with 1 if a page takes longer
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

from sqlalchemy import insert

from videopath.agent.cases.library import CaseLibrary
from videopath.agent.cases.storage.tables import cases

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
        seconds = {name: seconds_of(read) for name, read in pages.items()}
        seconds["whole list"] = seconds_of(library.list)
    if wanted.json:
        print(json.dumps({"cases": wanted.cases, "seconds": seconds}))
    else:
        for name, value in seconds.items():
            print(f"{name:20} {value:.4f} s")
    sys.exit(1 if any(seconds[name] > LIMIT for name in pages) else 0)


if __name__ == "__main__":
    main()
