"""Run as a process of its own by ``test_signing_race.py``: real processes that sign at once, or are killed.

    python signing_race.py pairs|kills CASE...

It has one thread, so that it may fork. Of each pair it prints what both were told, as a JSON line. Before kills the first
case is signed and timed; each other one is killed at a moment that is drawn by chance within a little more than that time.
"""

from __future__ import annotations

import json
import os
import random
import signal
import sys
import time

from videopath.agent.cases.library import load_case_library
from videopath.core.errors import CaseError

LEAST = 0.08  # seconds in which kills come, at least
LONGER = 1.5  # times what the timed signature took


def sign(case_id: str, name: str) -> str:
    try:
        load_case_library().sign(case_id, name, f"comment of {name}", description=f"Words of {name}.")
    except CaseError as error:
        return str(error)
    return "signed"


def started(case_id: str, name: str, gate: int) -> tuple[int, int]:
    """A process that signs when the gate closes; its id and where its answer comes from."""
    answer, told = os.pipe()
    child = os.fork()
    if child:
        os.close(told)
        return child, answer
    os.read(gate, 1)
    os.write(told, sign(case_id, name).encode())
    os._exit(0)


def pair(case_id: str) -> None:
    gate, opener = os.pipe()
    os.set_inheritable(opener, False)
    people = [started(case_id, name, gate) for name in ("Dr. A", "Dr. B")]
    os.write(opener, b"..")
    answers = []
    for child, answer in people:
        os.waitpid(child, 0)
        answers.append(os.read(answer, 1 << 16).decode())
    sys.stdout.write(json.dumps(answers) + "\n")


def kill(case_id: str, after: float) -> None:
    child = os.fork()
    if not child:
        sign(case_id, "Dr. A")
        os._exit(0)
    time.sleep(after)
    os.kill(child, signal.SIGKILL)
    os.waitpid(child, 0)


def time_of_signature(case_id: str) -> float:
    """Seconds from the start of a process until it has signed."""
    start = time.monotonic()
    child = os.fork()
    if not child:
        sign(case_id, "Dr. A")
        os._exit(0)
    os.waitpid(child, 0)
    return time.monotonic() - start


def main(mode: str, *case_ids: str) -> None:
    if mode == "pairs":
        for case_id in case_ids:
            pair(case_id)
        return
    timed, *killed = case_ids
    longest = max(LEAST, LONGER * time_of_signature(timed))
    chance = random.Random(11)
    for case_id in killed:
        kill(case_id, chance.uniform(0, longest))


if __name__ == "__main__":
    main(*sys.argv[1:])
