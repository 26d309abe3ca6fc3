"""Run as a process of its own by ``test_worker.py``: a worker with one case at work and one that waits, to be killed.

    python killed_worker.py HOME VIDEO

Says "here" once the model writes.
"""

from __future__ import annotations

import sys
import time
from pathlib import Path

from videopath.agent import CaseRequest
from videopath.app.web.runtime.worker import Submission, Worker
from videopath.core.settings import load_settings


def main(home: str, video: str) -> None:
    worker = Worker(Path(home), load_settings())
    for case_id in ("working", "waiting"):
        worker.submit(Submission(CaseRequest(video, site="colon", case_id=case_id), "a", "nano"))
    while not ((state := worker.state("working")) and state.step == "diagnose_blind" and state.text):
        time.sleep(0.005)
    sys.stdout.write("here\n")
    sys.stdout.flush()
    time.sleep(600)


if __name__ == "__main__":
    main(*sys.argv[1:])
