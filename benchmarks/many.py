"""Many cases: python benchmarks/many.py [--only workers|ray|…] [--cases 8] [--kills 6] [--json]

workers   two workers on two cores against one: cases an hour, and processor seconds a case
together  eight nano clips side by side against one by one: seconds of the model's writing
memory    growth of a worker after its first hundred small cases
rows      a manifest of 10,000 rows of which 9,990 are done: seconds until the first open case begins
kills     a batch whose process or worker is killed at seeded moments: nothing is lost, nothing is done twice
ray       two actors of a Ray cluster on two cores against two local workers: cases an hour (extra ray)
ray-kills the same as kills with --ray: the command, an actor, the reading task or the feed is killed

All ratios are of one run on one machine. Ends with 1 if a kill loses something.
"""

from __future__ import annotations

import argparse
import json
import os
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from random import Random
from typing import Any

import psutil

from videopath.agent.many.identity import file_state, identity_of
from videopath.agent.many.journal import JOURNAL, BatchFolder
from videopath.agent.many.manifest import Row, read_rows
from videopath.agent.many.pool import WorkerPool
from videopath.agent.many.results import Outcome, ResultRow
from videopath.agent.many.run import Batch
from videopath.agent.many.worker import WorkerSetup
from videopath.media.synthetic import render_case, render_slide

_VIDEOPATH = [sys.executable, "-c", "from videopath.app.cli.main import main; main()"]
_MANY, _OPEN = 10_000, 10
_SETTLED = 100  # cases after which memory should no longer grow
_FRAMES = 8


def workers(place: Path, cases: int) -> dict[str, Any]:
    """Compare two workers with one thread each with one worker, on one core and on both."""
    files = _clips(place, cases)
    found = {}
    for jobs, threads in ((1, 1), (1, 2), (2, 1)):
        home = place / f"home-{jobs}-{threads}"
        with WorkerPool(_setup(home, threads=threads), jobs) as pool:
            run = _Timed(pool, files)
            run.warm_up(_clips(place / "warm", jobs, seed=1000))
            if jobs * threads == 1:  # decoders have threads of their own, which would use the other core
                for process in pool.processes:
                    _pin(psutil.Process(process), cores=1)
            found[jobs, threads] = run.measure()
    one_core, one, two = (found[key] for key in ((1, 1), (1, 2), (2, 1)))
    return {
        "cases": cases,
        "one worker on one core: cases an hour": cases / one_core.wall * 3600,
        "one worker on both cores: cases an hour": cases / one.wall * 3600,
        "two workers: cases an hour": cases / two.wall * 3600,
        "one worker on one core: processor seconds a case": one_core.processor / cases,
        "one worker on both cores: processor seconds a case": one.processor / cases,
        "two workers: processor seconds a case": two.processor / cases,
        "times as many cases an hour as one worker on one core (goal 1.7)": one_core.wall / two.wall,
        "times as many cases an hour as one worker on both cores": one.wall / two.wall,
        "load of the machine": os.getloadavg()[0],
    }


def _pin(process: psutil.Process, cores: int) -> None:
    """Let all threads of a process run on so many cores only."""
    for thread in process.threads():
        os.sched_setaffinity(thread.id, sorted(os.sched_getaffinity(thread.id))[:cores])


def on_ray(place: Path, cases: int) -> dict[str, Any]:
    """Compare two actors with two local workers, each with one thread, after all have loaded everything."""
    from videopath.agent.many.cluster.pool import RayPool

    files = _clips(place, cases)
    with WorkerPool(_setup(place / "home-local", threads=1), 2) as pool:
        run = _Timed(pool, files)
        run.warm_up(_clips(place / "warm", 4, seed=1000))
        local = run.measure()
    setup = _setup(place / "home-ray", threads=1)
    began = time.perf_counter()
    with RayPool(setup, 2, device="cpu", notify=lambda said: print(said, file=sys.stderr)) as ray_pool:
        warm = _clips(place / "warm", 4, seed=1000)
        rows = [Row(number, file, site="colon") for number, file in enumerate((*warm, *files), 1)]
        first = before = 0.0
        for number, row in enumerate(Batch(rows, ray_pool).run(), 1):
            if row.status in ("failed", "refused"):
                raise SystemExit(f"{row.path}: {row.reason}")
            if number == len(warm):
                first, before = time.perf_counter(), _processor()
        spent, processor = time.perf_counter() - first, _processor() - before
    return {
        "cases": cases,
        "local: cases an hour": cases / local.wall * 3600,
        "Ray: cases an hour": cases / spent * 3600,
        "local: processor seconds a case": local.processor / cases,
        "Ray: processor seconds a case, with Ray's own processes": processor / cases,
        "seconds until Ray's first four cases ended": first - began,
        "Ray against local (goal 0.9)": local.wall / spent,
        "load of the machine": os.getloadavg()[0],
    }


def _processor() -> float:
    """Return the processor seconds of this process and of all below it."""
    own = psutil.Process()
    return sum(sum(one.cpu_times()[:2]) for one in (own, *own.children(recursive=True)))


@dataclass(frozen=True)
class _Spent:
    wall: float
    processor: float


class _Timed:
    """A pool whose work is timed once all its workers have loaded everything."""

    def __init__(self, pool: WorkerPool, files: list[Path]) -> None:
        self._pool, self._files = pool, files

    def warm_up(self, files: list[Path]) -> None:
        """Let each worker work on a case."""
        self._all(files)

    def measure(self) -> _Spent:
        """Work on all files."""
        before, began = self._processor(), time.perf_counter()
        self._all(self._files)
        return _Spent(time.perf_counter() - began, self._processor() - before)

    def _all(self, files: list[Path]) -> None:
        rows = [Row(number, file, site="colon") for number, file in enumerate(files, 1)]
        failed = [row for row in _results(rows, self._pool) if row.status in ("failed", "refused")]
        if failed:
            raise SystemExit(f"{failed[0].path}: {failed[0].reason}")

    def _processor(self) -> float:
        times = [psutil.Process(process).cpu_times() for process in self._pool.processes]
        return sum(one.user + one.system for one in times)


def _results(rows: list[Row], pool: WorkerPool) -> list[ResultRow]:
    return list(Batch(rows, pool).run())


def together(place: Path, cases: int) -> dict[str, Any]:
    """Compare cases in threads that one model answers together with the same cases one by one."""
    import torch

    from videopath.agent import DiagnosticAgent
    from videopath.agent.many.together import Gathering, SharedLoader
    from videopath.model.inference.engine import LocalEngine
    from videopath.model.inference.session import LocalSession

    torch.set_num_threads(1)
    files, warm = _clips(place, cases), _clips(place / "warm", 1, seed=1000)[0]
    spent = _Clock()
    LocalSession.generate = spent.timed(LocalSession.generate)  # type: ignore[method-assign]
    LocalEngine.answer_together = spent.timed(LocalEngine.answer_together)  # type: ignore[method-assign]
    with DiagnosticAgent.load(home=place / "alone") as agent:
        agent.diagnose(warm)
        spent.seconds = 0.0
        alone = [agent.diagnose(file, site="colon") for file in files]
        one_by_one, knowledge = spent.seconds, agent.knowledge
    gathering = Gathering()
    loader = SharedLoader(gathering)
    agents = [
        DiagnosticAgent.load(home=place / f"home-{number}", loader=loader, knowledge=knowledge)
        for number in range(cases)
    ]
    agents[0].diagnose(warm)
    gathering.sizes.clear()
    spent.seconds = 0.0
    reports: list[Any] = [None] * cases

    def work(number: int) -> None:
        with gathering.case():
            reports[number] = agents[number].diagnose(files[number], site="colon")

    threads = [threading.Thread(target=work, args=(number,)) for number in range(cases)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    same = sum(
        (one.diagnosis, one.description, one.rationale)
        == (other.diagnosis, other.description, other.rationale)
        for one, other in zip(alone, reports, strict=True)
    )
    return {
        "cases": cases,
        "the same answers": same,
        "one by one: processor seconds of writing": one_by_one,
        "side by side: processor seconds of writing": spent.seconds,
        "answers written at once": gathering.sizes,
        "share of the time (goal 0.4)": spent.seconds / one_by_one,
    }


class _Clock:
    """Adds up the processor seconds of a function, in whatever threads it runs."""

    def __init__(self) -> None:
        self.seconds = 0.0
        self._lock = threading.Lock()

    def timed(self, function: Callable[..., Any]) -> Callable[..., Any]:
        def run(*arguments: Any, **options: Any) -> Any:
            began = time.thread_time()
            try:
                return function(*arguments, **options)
            finally:
                with self._lock:
                    self.seconds += time.thread_time() - began

        return run


def memory(place: Path, cases: int) -> dict[str, Any]:
    """Watch the resident memory of one worker over small cases, and of this process."""
    from PIL import Image

    files = []
    for number in range(cases):
        files.append(place / f"{number}.png")
        Image.fromarray(render_slide("colon adenocarcinoma", number, 128, 96)).save(files[-1])
    sizes: list[float] = []
    with WorkerPool(_setup(place / "home", threads=1), 1) as pool:
        pool.start()
        (worker,) = map(psutil.Process, pool.processes)
        rows = (Row(number, file, site="colon") for number, file in enumerate(files, 1))
        own = psutil.Process()
        parent: list[float] = []
        for _ in Batch(rows, pool).run():
            sizes.append(worker.memory_info().rss / 2**20)
            parent.append(own.memory_info().rss / 2**20)
            if len(sizes) % 20 == 0:
                print(f"{len(sizes)} cases: {sizes[-1]:.0f} MiB", file=sys.stderr, flush=True)
    settled = min(_SETTLED, cases // 2) - 1
    return {
        "cases": cases,
        f"MiB after {settled + 1}": sizes[settled],
        "MiB at the end": sizes[-1],
        "MiB more (goal 50)": max(sizes[settled:]) - sizes[settled],
        "MiB more in the parent": parent[-1] - parent[settled],
    }


def rows(place: Path, _: int) -> dict[str, Any]:
    """Begin a batch of which nearly everything is done."""
    files, home, out = place / "files", place / "home", place / "out"
    files.mkdir()
    for number in range(_MANY - _OPEN):
        (files / f"case-{number:05d}.mp4").write_text(str(number))
    for file in _clips(place / "open", _OPEN):
        file.rename(files / f"open-{file.name}")
    (place / "m.csv").write_text(
        "path,site,ward\n" + "".join(f"files/{file.name},colon,A\n" for file in sorted(files.iterdir()))
    )
    command = [
        *_VIDEOPATH,
        "batch",
        str(place / "m.csv"),
        "--out",
        str(out),
        "--frames",
        "2",
        "--device",
        "cpu",
    ]
    _write_journal(place / "m.csv", out, home)
    environment = {**os.environ, "VIDEOPATH_HOME": str(home)}
    began = time.perf_counter()
    with subprocess.Popen(
        command, env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE
    ) as batch:
        while not list(home.glob("cases/batch-*/inputs.json")):
            if batch.poll() is not None:
                assert batch.stderr is not None
                raise SystemExit(f"the batch ended: {batch.stderr.read().decode()[-500:]}")
            time.sleep(0.01)
        seconds = time.perf_counter() - began
        processes = [psutil.Process(batch.pid), *psutil.Process(batch.pid).children(recursive=True)]
        processor = sum(sum(one.cpu_times()[:2]) for one in processes)
        batch.send_signal(signal.SIGTERM)
    with (out / "results.csv").open(encoding="utf-8") as stream:
        ended = sum(1 for _ in stream) - 1
    return {
        "rows": _MANY,
        "done before": _MANY - _OPEN,
        "in the results after SIGTERM": ended,
        "seconds until the first open case (goal 10)": seconds,
        "processor seconds until then": processor,
        "load of the machine": os.getloadavg()[0],
    }


def _write_journal(manifest: Path, out: Path, home: Path) -> None:
    """Write the journal that the rows would have left, had they been worked on."""
    with WorkerPool(_setup(home, frames=2, device="cpu"), 1) as pool:
        system = pool.start()
    out.mkdir()
    folder = BatchFolder(out)
    lines = []
    for row in read_rows([manifest], out):
        if row.path.name.startswith("case-"):
            file = file_state(row.path, folder)
            identity = identity_of(row, file.sha256, system)
            outcome = Outcome(status="done", diagnosis="made", case_id=identity.case_id, **identity.hashes())
            entry = {"identity": identity.sha256, "file": file.model_dump(), "outcome": outcome.model_dump()}
            lines.append(json.dumps(entry))
    (out / JOURNAL).write_text("\n".join(lines) + "\n")


def kills(place: Path, count: int, *options: str) -> dict[str, Any]:
    """Kill a batch, or its worker, again and again until it has ended; then look at what it left."""
    draw, lost = Random(0), list[str]()
    tried: Counter[str] = Counter()
    victims = _RAY_VICTIMS if "--ray" in options else _VICTIMS
    number = 0
    while sum(tried.values()) < count:
        number += 1
        work = place / f"try-{number}"
        _clips(work / "clips", 2, seed=number * 10)
        home = work / "home"
        environment = {**os.environ, "VIDEOPATH_HOME": str(home), "OMP_NUM_THREADS": "1"}
        command = [*_VIDEOPATH, "batch", str(work / "clips"), "--out", str(work / "out"), "--frames", "2"]
        code = None
        while code is None or code < 0:
            before = time.perf_counter()
            kill = sum(tried.values()) < count and (code is None or draw.random() < 0.7)
            with subprocess.Popen(
                [*command, *options], env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
            ) as batch:
                whom = draw.choice((_PARENT, *victims)) if kill else ""
                if kill:
                    tried[whom] += _kill(batch, victims.get(whom), home, draw)
                code = batch.wait()
            print(
                f"{number}: {whom or 'left alone'}, {code}, {time.perf_counter() - before:.0f} s",
                file=sys.stderr,
            )
        lost += [f"{number}: {problem}" for problem in _problems(work, code)]
    return {"kills": dict(tried), "batches": number, "lost": lost}


def ray_kills(place: Path, count: int) -> dict[str, Any]:
    """Do the same on a Ray cluster of this machine."""
    return kills(place, count, "--ray", "auto", "--jobs", "2")


_PARENT = "parent"
_VICTIMS = {"worker": "spawn_main"}
_RAY_VICTIMS = {"actor": "MapWorker", "reading task": "ReadCases", "feed": "ray::Feed"}
"""Who is killed beside the parent → what its command line holds."""


def _kill(batch: subprocess.Popen[bytes], victim: str | None, home: Path, draw: Random) -> bool:
    """Kill the process or a child a moment after a step of a case or at the very beginning; return whether it was."""
    steps = draw.randrange(0, 6)
    while batch.poll() is None:
        done = sum(len(file.read_bytes().splitlines()) for file in home.glob("cases/*/calls.jsonl"))
        if done >= steps:
            break
        time.sleep(0.005)
    time.sleep(draw.random() * 2)
    try:
        children = psutil.Process(batch.pid).children(recursive=True)
        if victim is None:
            workers = [child for child in children if not _is_agent(child)]
            batch.kill()
            psutil.wait_procs(workers, timeout=60)
            if any(_works(worker) for worker in workers):
                raise SystemExit("a worker outlives its killed parent")
            return True
        for child in reversed(children):
            if victim in " ".join(child.cmdline()):
                child.kill()
                return True
    except psutil.NoSuchProcess:
        pass
    return False


def _is_agent(process: psutil.Process) -> bool:
    """Return whether it is one of Ray's agents, which notice the end of their cluster after a minute."""
    return "Agent" in " ".join(process.cmdline())


def _works(process: psutil.Process) -> bool:
    try:
        return process.is_running() and process.status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False


def _problems(work: Path, code: int) -> Iterator[str]:
    """Yield what a batch has lost or done twice."""
    from videopath.agent import load_case_library

    if code:
        yield f"it ended with {code}"
    lines = [json.loads(line) for line in (work / "out" / JOURNAL).read_text().splitlines()]
    if sorted(Counter(line["identity"] for line in lines).values()) != [1, 1]:
        yield f"the journal has {len(lines)} lines"
    library = load_case_library(work / "home")
    listed = library.list()
    if len(listed) != 2:
        yield f"the library has {len(listed)} cases"
    for entry in listed:
        steps = Counter(step.name for step in library.get(entry.case_id).steps)
        if steps["intake"] != 1 or steps["report"] != 1:
            yield f"{entry.case_id} has the steps {dict(steps)}"
        calls = [json.loads(line)["key"] for line in (library.folder(entry.case_id) / "calls.jsonl").open()]
        if len(calls) != len(set(calls)):
            yield f"{entry.case_id} asked the model twice"
    if not (work / "out" / "results.parquet").exists():
        yield "there are no results"


def _clips(place: Path, count: int, seed: int = 0) -> list[Path]:
    place.mkdir(parents=True, exist_ok=True)
    return [
        render_case(place / f"{number}.mp4", seconds=2, size=(128, 96), seed=seed + number)
        for number in range(count)
    ]


def _setup(
    home: Path, *, threads: int | None = None, frames: int = _FRAMES, device: str = "cpu"
) -> WorkerSetup:
    return WorkerSetup({"home": home, "frames": frames, "device": device}, threads=threads)


MEASURES: dict[str, Callable[[Path, int], dict[str, Any]]] = {
    "workers": workers,
    "together": together,
    "memory": memory,
    "rows": rows,
    "kills": kills,
    "ray": on_ray,
    "ray-kills": ray_kills,
}


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--only", action="append", choices=MEASURES)
    parser.add_argument("--cases", type=int, default=8, help="of workers and together")
    parser.add_argument("--small-cases", type=int, default=300, help="of memory")
    parser.add_argument("--kills", type=int, default=6)
    parser.add_argument("--json", action="store_true")
    wanted = parser.parse_args()
    counts = {"memory": wanted.small_cases, "kills": wanted.kills, "ray-kills": wanted.kills}
    found: dict[str, dict[str, Any]] = {}
    for name in wanted.only or MEASURES:
        with tempfile.TemporaryDirectory(prefix="videopath-many-") as place:
            found[name] = MEASURES[name](Path(place), counts.get(name, wanted.cases))
        if not wanted.json:
            print(name)
            for what, value in found[name].items():
                print(
                    f"  {what}: {value:.2f}" if isinstance(value, float) else f"  {what}: {value}", flush=True
                )
    if wanted.json:
        print(json.dumps(found))
    sys.exit(1 if any(figures.get("lost") for figures in found.values()) else 0)


if __name__ == "__main__":
    main()
