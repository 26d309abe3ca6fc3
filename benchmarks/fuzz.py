"""Whether damaged input ends well: python benchmarks/fuzz.py [--seed 0] [--inputs 2000] [--only KIND[:NUMBER]] [--json]

Each input is a whole file or folder with seeded damage; it goes to the public names that read such things. Right is that
it is read or refused by an error of VideoPath in one sentence. A find is any other exception, a process that dies,
more than ``--seconds`` or ``--mebibytes``, a network connection or a program that is started, and anything written
beside what reading may write. Ends with 1 where there is a find; ``--only KIND:NUMBER`` gives one again.
"""

from __future__ import annotations

import os

os.environ.setdefault("OMP_NUM_THREADS", "1")
os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")
os.environ["HF_HUB_OFFLINE"] = "1"

import argparse
import json
import logging
import multiprocessing
import resource
import shutil
import signal
import sys
import tempfile
import time
import traceback
import warnings
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from multiprocessing.connection import Connection
from pathlib import Path
from random import Random
from typing import Any

import fuzz_cases
import fuzz_media
import fuzz_stores
import fuzz_texts
from fuzz_input import Input, Maker

from videopath.core.errors import VideoPathError

KINDS: dict[str, Callable[[Path], Maker]] = {
    "videos": fuzz_media.videos,
    "pictures": fuzz_media.pictures,
    "folders": fuzz_media.folders,
    "datasets": fuzz_texts.datasets,
    "bundles": fuzz_cases.bundles,
    "cases": fuzz_cases.cases,
    "libraries": fuzz_cases.libraries,
    "knowledge": fuzz_stores.knowledge,
    "checkpoints": fuzz_stores.checkpoints,
    "settings": fuzz_texts.settings,
    "recipes": fuzz_texts.recipes,
    "decisions": fuzz_cases.decisions,
}
_LONGEST = 1000  # characters of a refusal
_HARMLESS = ("/dev/", "/proc/")
_CHANGES = {
    f"os.{name}" for name in ("mkdir", "remove", "rmdir", "rename", "link", "symlink", "truncate", "chmod")
}
_PROGRAMS = (
    "subprocess.Popen",
    "os.system",
    "os.exec",
    "os.posix_spawn",
    "os.fork",
    "pty.spawn",
    "socket.connect",
)
_context = multiprocessing.get_context("fork")


@dataclass(frozen=True)
class Limits:
    """What an input may take."""

    seconds: float
    mebibytes: int


@dataclass(frozen=True)
class Outcome:
    """How an input ended."""

    kind: str
    number: int
    end: str
    """"refused", "accepted" or "find"."""
    said: str
    seconds: float


class Find(Exception):
    """What should not happen."""


def main() -> None:
    """Try, count and print."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--inputs", type=int, default=2000, help="in all, as many of each kind")
    parser.add_argument("--only", action="append", metavar="KIND[:NUMBER]", help=", ".join(KINDS))
    parser.add_argument("--seconds", type=float, default=20.0, help="for one input")
    parser.add_argument(
        "--mebibytes", type=int, default=700, help="for one input, above what was there before"
    )
    parser.add_argument("--json", action="store_true")
    parser.add_argument("--refusals", action="store_true", help="print what each refusal says")
    wanted = parser.parse_args()
    begun = time.perf_counter()
    outcomes: list[Outcome] = []
    with tempfile.TemporaryDirectory(prefix="videopath-fuzz-") as place:
        for kind, numbers in chosen(wanted.only, wanted.inputs):
            for outcome in tried(
                kind, numbers, wanted.seed, Limits(wanted.seconds, wanted.mebibytes), Path(place)
            ):
                outcomes.append(outcome)
                if outcome.end == "find" or wanted.refusals:
                    print(
                        f"{kind}:{outcome.number} {outcome.end}: {outcome.said}", file=sys.stderr, flush=True
                    )
            print(
                f"{kind}: {len(numbers)} tried, {time.perf_counter() - begun:.0f} s",
                file=sys.stderr,
                flush=True,
            )
    finds = [outcome for outcome in outcomes if outcome.end == "find"]
    if wanted.json:
        print(
            json.dumps(
                {"seed": wanted.seed, "table": table(outcomes), "finds": [asdict(find) for find in finds]}
            )
        )
    else:
        show(outcomes, finds, wanted.seed)
    sys.exit(1 if finds else 0)


def chosen(only: list[str] | None, inputs: int) -> list[tuple[str, list[int]]]:
    """Kinds with the numbers of their inputs."""
    every = max(1, round(inputs / len(KINDS)))
    pairs = []
    for name in only or KINDS:
        kind, _, number = name.partition(":")
        if kind not in KINDS:
            raise SystemExit(f"There is no kind {kind}; use one of: {', '.join(KINDS)}.")
        count = max(1, round(inputs / len(only))) if only else every
        pairs.append((kind, [int(number)] if number else list(range(count))))
    return pairs


def tried(kind: str, numbers: list[int], seed: int, limits: Limits, place: Path) -> Iterator[Outcome]:
    """Try inputs in a process of their own; one that dies or hangs is ended, and the next goes on after it."""
    seeds = place / f"seeds-{kind}"
    seeds.mkdir()
    left = list(numbers)
    while left:
        here, there = _context.Pipe(duplex=False)
        worker = _context.Process(target=_work, args=(kind, left, seed, limits, seeds, place, there))
        worker.start()
        there.close()
        left = yield from _heard(kind, left, limits, here, worker)
        worker.join()


def _heard(kind: str, left: list[int], limits: Limits, here: Connection, worker: Any) -> Iterator[Outcome]:
    """What a worker tells; returns the numbers that it has not come to."""
    patience, now = 180.0, -1  # it first makes the seeds
    while left:
        if not here.poll(patience):
            worker.kill()
            yield _lost(kind, now, f"took more than {patience:.0f} s")
            break
        try:
            told = here.recv()
        except EOFError:
            worker.join()
            name = (
                signal.Signals(-worker.exitcode).name
                if worker.exitcode < 0
                else f"exit code {worker.exitcode}"
            )
            yield _lost(kind, now, f"the process died ({name})")
            break
        patience = limits.seconds + 10
        if isinstance(told, int):
            now = told
            continue
        yield told
        left = left[1:]
        now = -1
    return left[1:]


def _lost(kind: str, number: int, said: str) -> Outcome:
    if number < 0:
        raise SystemExit(f"{kind}: {said} before it came to an input.")
    return Outcome(kind, number, "find", said, 0.0)


def _work(
    kind: str, numbers: list[int], seed: int, limits: Limits, seeds: Path, place: Path, there: Connection
) -> None:
    """The worker: makes the seeds where they are missing, then tries one input after the other."""
    warnings.simplefilter("ignore")
    logging.disable(logging.CRITICAL)
    sys.dont_write_bytecode = True
    os.environ["VIDEOPATH_HOME"] = str(place / "no-home")
    silence = os.open(os.devnull, os.O_WRONLY)
    os.dup2(silence, 1)
    watch = _Watch()
    marker = seeds / ".made"
    fresh = seeds if not marker.exists() else Path(tempfile.mkdtemp(dir=place))  # a maker may need them again
    make = KINDS[kind](fresh)
    marker.touch()
    for number in numbers:
        there.send(number)
        there.send(_tried(kind, number, seed, limits, make, place, watch))


def _tried(
    kind: str, number: int, seed: int, limits: Limits, make: Maker, place: Path, watch: _Watch
) -> Outcome:
    work = Path(tempfile.mkdtemp(prefix="input-", dir=place))
    given = make(Random(f"{seed} {kind} {number}"), work)
    begun = time.perf_counter()
    try:
        refusals = _read(given, limits, place, work, watch)
        end, said = ("refused", refusals[0]) if refusals else ("accepted", "")
    except Find as find:
        end, said = "find", str(find)
    shutil.rmtree(work, ignore_errors=True)
    return Outcome(kind, number, end, said, round(time.perf_counter() - begun, 2))


def _read(given: Input, limits: Limits, place: Path, work: Path, watch: _Watch) -> list[str]:
    """What the readings refused. Raises ``Find``."""
    before, around = _state(given.path), sorted(path.name for path in place.iterdir())
    refusals = []
    for reading in given.readings:
        allowed = [work] if given.writes else [work / name for name in given.ignored]
        begun, base = time.perf_counter(), _memory("VmRSS")
        _forget_peak()
        with watch.on(allowed):
            try:
                reading()
            except VideoPathError as error:
                refusals.append(_sentence(error))
            except BaseException as error:
                raise Find(_place_of(error)) from error
        if watch.seen:
            raise Find(f"{watch.seen[0]} by {_name(reading)}")
        if (took := time.perf_counter() - begun) > limits.seconds:
            raise Find(f"{_name(reading)} took {took:.0f} s")
        if (more := _memory("VmHWM") - base) > limits.mebibytes:
            raise Find(f"{_name(reading)} took {more} MiB")
    if not given.writes and _state(given.path) != before:
        raise Find(
            f"reading changed the input: {sorted(set(_state(given.path).items()) ^ set(before.items()))[:3]}"
        )
    if sorted(path.name for path in place.iterdir()) != around:
        raise Find("something was written beside the input")
    return refusals


def _sentence(error: VideoPathError) -> str:
    said = str(error)
    if "\n" in said.strip() or len(said) > _LONGEST or not said.strip():
        raise Find(f"{type(error).__name__} is no sentence ({len(said)} characters): {said[:300]!r}")
    return said


def _place_of(error: BaseException) -> str:
    frames = [
        frame for frame in traceback.extract_tb(error.__traceback__) if "/benchmarks/" not in frame.filename
    ]
    ours = [
        frame
        for frame in frames
        if "site-packages" not in frame.filename and "/lib/python" not in frame.filename
    ]
    where = ", ".join(f"{Path(frame.filename).name}:{frame.lineno}" for frame in [*ours[-2:], *frames[-1:]])
    return f"{type(error).__name__}: {str(error)[:200]!r} at {where}"


def _name(reading: Callable[[], object]) -> str:
    return getattr(getattr(reading, "func", reading), "__qualname__", "a reading")


def _state(path: Path) -> dict[str, Any]:
    """Names, sizes and moments of what lies there."""
    there = [path, *path.rglob("*")] if path.is_dir() else [path]
    found = {}
    for entry in there:
        stat = entry.lstat()
        if entry.name.endswith(("-shm", "-wal")):
            continue  # how SQLite's connections know of each other
        moment = 0 if entry.is_dir() else stat.st_mtime_ns
        found[os.fsdecode(os.fsencode(entry))] = (0 if entry.is_dir() else stat.st_size, moment)
    return found


def _memory(what: str) -> int:
    """Mebibytes of this process."""
    with Path("/proc/self/status").open() as lines:
        return next((int(line.split()[1]) >> 10 for line in lines if line.startswith(f"{what}:")), 0)


def _forget_peak() -> None:
    Path("/proc/self/clear_refs").write_text("5")


class _Watch:
    """Hears of each file that Python opens to write, each program and each connection."""

    def __init__(self) -> None:
        self.seen: list[str] = []
        self._on = False
        self._allowed: list[Path] = []
        sys.addaudithook(self._hear)

    def on(self, allowed: list[Path]) -> _Watch:
        """What may be written from now on."""
        self._allowed, self.seen = allowed, []
        return self

    def __enter__(self) -> None:
        self._on = True

    def __exit__(self, *_: object) -> None:
        self._on = False

    def _hear(self, event: str, arguments: tuple[Any, ...]) -> None:
        if not self._on:
            return
        if (
            event == "open"
            and isinstance(arguments[2], int)
            and arguments[2] & (os.O_WRONLY | os.O_RDWR | os.O_CREAT)
        ):
            self._judge("wrote", arguments[0])
        elif event in _CHANGES and not (event == "os.mkdir" and Path(os.fsdecode(arguments[0])).is_dir()):
            self._judge(event, arguments[0])
        elif event in _PROGRAMS:
            self.seen.append(f"{event} {str(arguments)[:200]}")

    def _judge(self, did: str, name: Any) -> None:
        if isinstance(name, int):
            return
        path = os.path.abspath(os.fsdecode(name))  # noqa: PTH100 - as text: a name may be any bytes
        scratch = path.startswith(
            (tempfile.gettempdir() + "/tmp", tempfile.gettempdir() + "/videopath-replay")
        )
        if scratch or path.startswith(_HARMLESS):
            return
        if not any(path == str(root) or path.startswith(f"{root}/") for root in self._allowed):
            self.seen.append(f"{did} {path[-120:]}")


def table(outcomes: list[Outcome]) -> dict[str, dict[str, float]]:
    """Per kind: tried, refused, accepted, finds, the longest time."""
    rows = {}
    for kind in KINDS:
        of_kind = [outcome for outcome in outcomes if outcome.kind == kind]
        counts = Counter(outcome.end for outcome in of_kind)
        if of_kind:
            rows[kind] = {
                "tried": len(of_kind), "refused": counts["refused"], "accepted": counts["accepted"],
                "finds": counts["find"], "longest": max(outcome.seconds for outcome in of_kind),
            }  # fmt: skip
    return rows


def show(outcomes: list[Outcome], finds: list[Outcome], seed: int) -> None:
    """Print the table and how each kind of find is given again."""
    print(f"{'kind':<14}{'tried':>7}{'refused':>9}{'accepted':>10}{'finds':>7}{'longest':>10}")
    for kind, row in table(outcomes).items():
        print(
            f"{kind:<14}{row['tried']:>7}{row['refused']:>9}{row['accepted']:>10}{row['finds']:>7}{row['longest']:>8.1f} s"
        )
    alike = Counter(
        (find.kind, find.said.split(" at ")[-1] if " at " in find.said else find.said) for find in finds
    )
    for (kind, what), count in alike.most_common():
        first = next(find for find in finds if find.kind == kind and what in find.said)
        print(f"{count:>4} × {kind}: {first.said}\n       again: --seed {seed} --only {kind}:{first.number}")


if __name__ == "__main__":
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    main()
