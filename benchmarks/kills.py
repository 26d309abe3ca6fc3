"""Whether anything is lost by a kill: python benchmarks/kills.py [--seed 0] [--kills 60] [--only COMMAND] [--database ADDRESS] [--json]

Each try runs a command of ``videopath`` in a process of its own and ends it with SIGKILL at a seeded moment, spread over
the time that the command takes. Then the library is looked at: no case is lost, a stopped case is finished by
``cases resume``, report and row agree on who signed, a second signature is refused, a knowledge base is whole and
holds the case once or not at all, and the same command ends well when it is given again. Ends with 1 where one of
these does not hold.

``--database postgresql://…`` is for the command ``worker`` alone: each try has a schema of its own, which is removed.

The processes are forked from one that has imported everything, so that a kill takes a second.
"""

from __future__ import annotations

import os

os.environ.setdefault("OMP_NUM_THREADS", "1")
os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")
os.environ["HF_HUB_OFFLINE"] = "1"

import argparse
import json
import shutil
import signal
import sys
import tempfile
import time
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from importlib import import_module
from pathlib import Path
from random import Random

from typer.main import get_command

from videopath.agent.cases.library import CaseLibrary, load_case_library
from videopath.agent.cases.team.queue import CaseQueue
from videopath.app.cli.main import app
from videopath.core.errors import CaseError
from videopath.knowledge import KnowledgeBase, verify_folder
from videopath.media.synthetic import render_case

CASE, REVIEWER, DIAGNOSIS = "case-1", "Dr. A", "colon adenocarcinoma"
_LEARN = ("cases", "learn", CASE, "base", "--confirm")
"""A further option of the command goes here."""
_PRELOADED = (
    "videopath.agent.agent", "videopath.agent.queue_worker", "videopath.agent.cases.learning", "videopath.agent.replay", "videopath.app.cli.console",
    "videopath.app.cli.running", "videopath.app.cli.summary", "videopath.model.checkpoints.loading", "videopath.model.inference.session",
    "videopath.knowledge.base", "videopath.knowledge.index.embedder", "videopath.tools.frame_encoders.media_viewer", "sentence_transformers",
    "transformers.models.qwen2.modeling_qwen2", "transformers.models.siglip.modeling_siglip", "videopath.agent.report.pdf",
)  # fmt: skip


class Lost(Exception):
    """What a kill should not have done."""


@dataclass(frozen=True)
class Command:
    """A command, what it begins with, and what holds after it whether or not it was killed."""

    arguments: tuple[str, ...]
    start: str
    """Which of the prepared homes it works on."""
    holds: Callable[[Path], None]
    first: tuple[str, ...] = ()
    """What is run in the copy of that home before the command."""


@dataclass(frozen=True)
class Kill:
    """One try."""

    command: str
    number: int
    after: float
    """Seconds from the command's beginning."""
    killed: bool
    """False where it ended before."""
    lost: str


def main() -> None:
    """Kill, look and print."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--kills", type=int, default=60, help="in all, as many of each command")
    parser.add_argument("--only", action="append", choices=COMMANDS)
    parser.add_argument("--database", help="for the command worker: its library is in PostgreSQL")
    parser.add_argument("--json", action="store_true")
    wanted = parser.parse_args()
    warnings.simplefilter("ignore")
    for name in _PRELOADED:
        import_module(name)
    names = wanted.only or [*COMMANDS]
    if wanted.database and names != ["worker"]:
        parser.error("--database goes with --only worker")
    kills: list[Kill] = []
    with tempfile.TemporaryDirectory(prefix="videopath-kills-") as place:
        homes = prepared(Path(place))
        for name in names:
            count = max(1, round(wanted.kills / len(names)))
            kills += tried(name, count, wanted.seed, homes, wanted.database)
    if wanted.json:
        print(json.dumps([asdict(kill) for kill in kills]))
    else:
        show(kills)
    sys.exit(1 if any(kill.lost for kill in kills) else 0)


def prepared(place: Path) -> Path:
    """Folders to begin with: "empty", "stopped", "done", "signed" and "learned", each with a home and files beside it."""
    begun = place / "empty"
    begun.mkdir()
    render_case(begun / "case.mp4", seconds=2, size=(128, 96))
    records = [
        {"id": f"r{n}", "source": f"s{n}", "question": "What?", "description": f"Glands {n}."}
        for n in range(60)
    ]
    (begun / "records.json").write_text(json.dumps(records))
    _finished(begun, *_BUILD)
    done = shutil.copytree(begun, place / "done")
    _finished(done, *_DIAGNOSE)
    _named_case(done)
    signed = shutil.copytree(done, place / "signed")
    _finished(signed, *_SIGN)
    learned = shutil.copytree(signed, place / "learned")
    _finished(learned, *_LEARN)
    stopped = shutil.copytree(begun, place / "stopped")
    _stopped(stopped)
    return place


@contextmanager
def _begun(homes: Path, command: Command, address: str | None) -> Iterator[Path]:
    """Yield a folder in which a command can run, with a schema of the database if there is one."""
    work = _copied(homes, command.start)
    with _schema(address, work.name.lower()) as own:
        if own is not None:
            os.environ["VIDEOPATH_DATABASE"] = own
        os.environ["VIDEOPATH_HOME"] = str(work / "home")  # the database belongs to this folder
        if command.first:
            _finished(work, *command.first)
        yield work
    shutil.rmtree(work)


@contextmanager
def _schema(address: str | None, name: str) -> Iterator[str | None]:
    if address is None:
        yield None
        return
    import psycopg

    from videopath.agent.cases.storage.postgres import close_connections

    schema = "".join(letter if letter.isalnum() else "_" for letter in name)
    with psycopg.connect(address, autocommit=True) as connection:
        connection.execute(f"CREATE SCHEMA {schema}")
    try:
        yield f"{address}{'&' if '?' in address else '?'}options=-csearch_path%3D{schema}"
    finally:
        close_connections()
        with psycopg.connect(address, autocommit=True) as connection:
            connection.execute(f"DROP SCHEMA {schema} CASCADE")


def tried(name: str, count: int, seed: int, homes: Path, address: str | None = None) -> list[Kill]:
    """Kill a command at moments that are spread over the time that it takes."""
    command = COMMANDS[name]
    with _begun(homes, command, address) as whole:
        began = time.perf_counter()
        _finished(whole, *command.arguments)
        length = time.perf_counter() - began
    kills = []
    for number in range(count):
        draw = Random(f"{seed} {name} {number}")
        after = length * (number + draw.random()) / count
        with _begun(homes, command, address) as work:
            process = _started(work, command.arguments)
            killed = _killed(process, after)
            try:
                command.holds(work)
                lost = ""
            except Lost as error:
                lost = str(error)
        kills.append(Kill(name, number, round(after, 3), killed, lost))
        print(
            f"{name} {number}: after {after:.2f} s{'' if killed else ' (it had ended)'} {lost}",
            file=sys.stderr,
        )
    return kills


def _copied(homes: Path, start: str) -> Path:
    work = Path(tempfile.mkdtemp(prefix="try-", dir=homes))
    return shutil.copytree(homes / start, work, dirs_exist_ok=True)


def _started(work: Path, arguments: tuple[str, ...]) -> int:
    """Run a command in a forked process, in the folder and with a home of its own."""
    process = os.fork()
    if process:
        return process
    code = 70
    try:
        os.chdir(work)
        os.environ["VIDEOPATH_HOME"] = str(work / "home")
        said = os.open("said.txt", os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
        for stream in (1, 2):
            os.dup2(said, stream)
        get_command(app).main([*arguments], prog_name="videopath", standalone_mode=True)
    except SystemExit as left:
        code = left.code if isinstance(left.code, int) else 0 if left.code is None else 1
    finally:
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(code)  # nothing of the parent's is run


def _killed(process: int, after: float) -> bool:
    """Kill a process after so many seconds; false where it had ended before."""
    end = time.perf_counter() + after
    while time.perf_counter() < end:
        if os.waitpid(process, os.WNOHANG)[0]:
            return False
        time.sleep(0.0005)
    os.kill(process, signal.SIGKILL)
    return os.WIFSIGNALED(os.waitpid(process, 0)[1])


def _ended(work: Path, *arguments: str) -> tuple[int, str]:
    """The exit code of a command that is left to end, and what it said."""
    (work / "said.txt").unlink(missing_ok=True)
    status = os.waitpid(_started(work, arguments), 0)[1]
    return os.waitstatus_to_exitcode(status), (work / "said.txt").read_text(errors="replace")


def _finished(work: Path, *arguments: str) -> None:
    """Run a command that must end well."""
    code, said = _ended(work, *arguments)
    if code:
        raise Lost(f"`videopath {' '.join(arguments)}` ends with {code}: {' '.join(said.split())[-300:]}")


def _library(work: Path) -> CaseLibrary:
    return load_case_library(work / "home")


def _named_case(work: Path) -> None:
    """Give the only case a name that the commands know."""
    (entry,) = _library(work).list()
    report = _library(work).get(entry.case_id)
    shutil.move(_library(work).folder(entry.case_id), _library(work).folder(CASE))
    report.case_id = CASE
    _library(work).save(report)
    import sqlite3
    from contextlib import closing

    with closing(sqlite3.connect(work / "home" / "cases.sqlite")) as database, database:
        database.execute("DELETE FROM cases WHERE case_id != ?", (CASE,))


def _stopped(work: Path) -> None:
    """A case that was killed as soon as its first step was done."""
    process = _started(work, _DIAGNOSE)
    while not list(work.glob("home/cases/*/trace.jsonl")):
        time.sleep(0.001)
    os.kill(process, signal.SIGKILL)
    os.waitpid(process, 0)


def nothing_of_a_case_is_lost(work: Path) -> None:
    """Each case folder has a row, each case is finished by resuming it, and it is signed by one person."""
    library = _library(work)
    listed = {entry.case_id for entry in library.list()}
    folders = {folder.name for folder in (work / "home" / "cases").glob("*") if folder.is_dir()}
    if lost := folders - listed:
        raise Lost(f"the folders {sorted(lost)} are not in the list")
    for case_id in listed:
        if not (library.folder(case_id) / "inputs.json").exists():
            _finished(work, "cases", "delete", case_id, "--yes")  # killed before it began: nothing to resume
            continue
        if library.entry(case_id).status == "running":
            _finished(work, "cases", "resume", case_id)
        steps = [step.name for step in library.get(case_id).steps]
        if steps.count("report") != 1 or steps.count("intake") != 1:
            raise Lost(f"case {case_id} has the steps {steps}")
        _finished(work, "cases", "sign", case_id, *_SIGN[3:])
        signed_by_one(work, case_id)
    _finished(work, *_DIAGNOSE)


def finished_by_another(work: Path) -> None:
    """The case is finished by another worker, each of its steps once, and no further one finds anything to do."""
    library = _library(work)
    (entry,) = library.list()
    trace = library.folder(entry.case_id) / "trace.jsonl"
    before = (
        [line for line in trace.read_bytes().splitlines(True) if line.endswith(b"\n")]
        if trace.exists()
        else []
    )
    _finished(work, "worker", "--once")
    _finished(work, "worker", "--once")
    entry = library.entry(entry.case_id)
    if entry.state not in ("done", "abstained"):
        raise Lost(f"the case is {entry.state}: {entry.comment}")
    steps = [step.name for step in library.get(entry.case_id).steps]
    if len(steps) != len(set(steps)) or steps[-1] != "report":
        raise Lost(f"the case has the steps {steps}")
    if trace.read_bytes().splitlines(True)[: len(before)] != before:
        raise Lost("a finished step was written again")
    if len(CaseQueue(library)):
        raise Lost("the case is still in the queue")


def signed_by_one(work: Path, case_id: str = CASE) -> None:
    """Report and row agree; whoever signs after that is told that it is signed."""
    library = _library(work)
    entry, report = library.entry(case_id), library.get(case_id)
    if (entry.status, entry.diagnosis) != (report.status, report.diagnosis):
        raise Lost(f"the row says {entry.status}, the report {report.status}")
    if entry.status != "signed":
        if report.review:
            raise Lost(f"a report that is {report.status} has a signature")
        _finished(work, "cases", "sign", case_id, *_SIGN[3:])
    try:
        library.sign(case_id, "Dr. B", diagnosis="benign colon tissue")
    except CaseError as error:
        if REVIEWER not in str(error):
            raise Lost(f"the second signature is refused with: {error}") from error
    else:
        raise Lost("a second signature is accepted")
    if [decision.reviewer for decision in library.get(case_id).review] != [REVIEWER]:
        raise Lost(f"the report has the signatures {library.get(case_id).review}")
    if library.entry(case_id).signed_by != REVIEWER:
        raise Lost("the row does not say who signed")


def learned_once(work: Path) -> None:
    """The knowledge base is whole and the case is in it once, at the latest when it is learned again."""
    _whole(work)
    known = [record.id for record in KnowledgeBase.open(work / "base")]
    if f"case-{CASE}" not in known:
        _finished(work, *_LEARN)
    elif not _ended(work, *_LEARN)[0]:
        raise Lost("the case is learned twice")
    _whole(work)
    known = [record.id for record in KnowledgeBase.open(work / "base")]
    if known.count(f"case-{CASE}") != 1 or len(known) != len(set(known)):
        raise Lost(f"the records are {known}")
    signed_by_one(work)


def built_whole(work: Path) -> None:
    """The knowledge base is the one before or the new one, and can be built again."""
    _whole(work)
    _finished(work, *_BUILD_ANEW)
    _whole(work)
    if len(KnowledgeBase.open(work / "base")) != 60:
        raise Lost("records are missing")


def removed_whole(work: Path) -> None:
    """The record is there or not, and the rest is whole."""
    _whole(work)
    known = [record.id for record in KnowledgeBase.open(work / "base")]
    if "r1" in known:
        _finished(work, *_REMOVE)
    if len(KnowledgeBase.open(work / "base")) != 59 or len(known) not in (59, 60):
        raise Lost(f"{len(known)} records were there")
    _whole(work)


def deleted_whole(work: Path) -> None:
    """A case that was being deleted is there or is gone."""
    if _library(work).list():
        _finished(work, *_DELETE)
    if (work / "home" / "cases" / CASE).exists():
        raise Lost("the case is not in the list, but its folder is there")


def _whole(work: Path) -> None:
    if problems := verify_folder(work / "base"):
        raise Lost(f"the knowledge base is damaged: {problems}")


_BUILD = ("knowledge", "build", "base", "records.json")
_BUILD_ANEW = _BUILD
_REMOVE = ("knowledge", "remove", "base", "r1", "--yes")
_DIAGNOSE = ("diagnose", "case.mp4", "--site", "colon", "--frames", "2")
_SIGN = ("cases", "sign", CASE, "--reviewer", REVIEWER, "--diagnosis", DIAGNOSIS)
_DELETE = ("cases", "delete", CASE, "--yes")

COMMANDS: dict[str, Command] = {
    "diagnose": Command(_DIAGNOSE, "empty", nothing_of_a_case_is_lost),
    "worker": Command(("worker", "--once"), "empty", finished_by_another, (*_DIAGNOSE, "--queue")),
    "sign": Command(_SIGN, "done", signed_by_one),
    "learn": Command(_LEARN, "signed", learned_once),
    "build": Command(_BUILD_ANEW, "learned", built_whole),
    "remove": Command(_REMOVE, "empty", removed_whole),
    "delete": Command(_DELETE, "done", deleted_whole),
}


def show(kills: list[Kill]) -> None:
    """Print how many of each were killed, and what was lost."""
    print(f"{'command':<12}{'tried':>7}{'killed':>8}{'lost':>6}")
    for name in COMMANDS:
        of_command = [kill for kill in kills if kill.command == name]
        if of_command:
            lost = [kill for kill in of_command if kill.lost]
            print(f"{name:<12}{len(of_command):>7}{sum(kill.killed for kill in of_command):>8}{len(lost):>6}")
            for kill in lost:
                print(f"  {kill.number}, after {kill.after} s: {kill.lost}")


if __name__ == "__main__":
    main()
