"""Damaged bundles, case folders, libraries and decisions, for fuzz.py."""

from __future__ import annotations

import io
import json
import shutil
import sqlite3
import zipfile
from collections.abc import Callable
from contextlib import closing
from functools import cache, partial
from pathlib import Path
from random import Random
from typing import Any

from damage import STRANGE, damaged_json, exchanged, turned
from fuzz_input import Input, Maker

from videopath.agent import DiagnosticAgent, Policy, load_case_library
from videopath.agent.cases.bundle import read_bundle
from videopath.agent.cases.library import CaseLibrary
from videopath.agent.cases.trace import read_trace
from videopath.agent.replay import settings_of
from videopath.core.choices import EXPORT_FORMATS
from videopath.media.synthetic import render_case
from videopath.model import load_engine
from videopath.tools.journal import Journal

DONE, WAITING, STOPPED = "case-done", "case-waiting", "case-stopped"
_POLICY = Policy(max_looks=0, samples=0, description_tokens=8, answer_tokens=8)
_FILES = ("inputs.json", "calls.jsonl", "trace.jsonl", "report.json")


def bundles(seeds: Path) -> Maker:
    """Bundles: members exchanged, offsets turned, texts nested."""
    home = _home(seeds)
    whole = load_case_library(home).export(DONE, seeds / "whole.zip").read_bytes()
    return partial(_damaged_bundle, whole)


def cases(seeds: Path) -> Maker:
    """Case folders: what they were begun with, their calls, steps and reports."""
    return partial(_damaged_case, _home(seeds))


def libraries(seeds: Path) -> Maker:
    """The two databases of a home folder."""
    return partial(_damaged_library, _home(seeds))


def decisions(seeds: Path) -> Maker:
    """What a person may answer to a review, and sign."""
    return partial(_damaged_decision, _home(seeds))


@cache
def _agent(home: Path) -> DiagnosticAgent:
    return DiagnosticAgent.load(_engine(), policy=_POLICY, home=home)


@cache
def _engine() -> Any:
    return load_engine("nano", device="cpu")


def _home(seeds: Path) -> Path:
    """A home with a finished case, one that waits, and one that was stopped after its first steps; one for all kinds."""
    home = seeds.parent / "cases" / "home"
    if home.exists():
        return home
    home.mkdir(parents=True)
    video = render_case(home.parent / "case.mp4", seconds=2, size=(128, 96))
    for case_id, review in ((DONE, "never"), (WAITING, "always"), (STOPPED, "never")):
        policy = _POLICY.model_copy(update={"accept_any_image": True})
        with DiagnosticAgent.load(_engine(), review=review, policy=policy, frames=2, home=home) as agent:
            steps = agent.stream(video, site="colon", case_id=case_id)
            for number, _ in enumerate(steps, start=1):
                if case_id == STOPPED and number == 2:
                    break
            steps.close()
    return home


def _damaged_bundle(whole: bytes, draw: Random, work: Path) -> Input:
    path = work / "case.zip"
    if draw.random() < 0.4:
        path.write_bytes(turned(whole, draw))
    else:
        path.write_bytes(_repacked(whole, draw))
    return Input(path, [partial(read_bundle, path)])


def _repacked(whole: bytes, draw: Random) -> bytes:
    """The same members but one, which is damaged, doubled, renamed or gone; perhaps with the manifest's blessing."""
    made = io.BytesIO()
    with zipfile.ZipFile(io.BytesIO(whole)) as old, zipfile.ZipFile(made, "w") as new:
        names = old.namelist()
        chosen = draw.choice([name for name in names if name.endswith((".json", ".jsonl"))] + names)
        for name in names:
            data, told = old.read(name), name
            if name == chosen:
                how = draw.random()
                if how < 0.7:
                    data = _damaged_member(name, data, draw)
                elif how < 0.8:
                    told = draw.choice(["../x", "/x", "", "x" * 300, "frames\\x", "a\0b"])
                elif how < 0.9:
                    continue
            packing = draw.choice(
                [zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED, zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA]
            )
            new.writestr(zipfile.ZipInfo(told), data, compress_type=packing)
    data = made.getvalue()
    return turned(data, draw) if draw.random() < 0.2 else data


def _damaged_member(name: str, data: bytes, draw: Random) -> bytes:
    if name.endswith(".jsonl"):
        return _damaged_line(data, draw)
    return damaged_json(json.loads(data), draw) if name.endswith(".json") else turned(data, draw)


def _damaged_line(data: bytes, draw: Random) -> bytes:
    lines = data.splitlines()
    at = draw.randrange(len(lines))
    lines[at] = damaged_json(json.loads(lines[at]), draw)
    return b"\n".join(lines) + b"\n" * draw.randrange(2)


def _damaged_case(home: Path, draw: Random, work: Path) -> Input:
    copy = shutil.copytree(home, work / "home")
    case_id = draw.choice([DONE, DONE, WAITING, STOPPED])
    folder = copy / "cases" / case_id
    path = folder / draw.choice([name for name in _FILES if (folder / name).exists()])
    data = path.read_bytes()
    path.write_bytes(_damaged_member(path.name, data, draw) if draw.random() < 0.8 else turned(data, draw))
    if draw.random() < 0.2:
        (folder / ".saving").touch()
    if draw.random() < 0.05:
        path.unlink()
        path.mkdir()
    return _asked(copy, case_id, draw)


def _damaged_library(home: Path, draw: Random, work: Path) -> Input:
    copy = shutil.copytree(home, work / "home")
    path = copy / draw.choice(["cases.sqlite", "cases.sqlite", "checkpoints.sqlite"])
    if draw.random() < 0.5:
        path.write_bytes(turned(path.read_bytes(), draw))
    else:
        damage_cells(path, draw)
    if draw.random() < 0.1:
        path.with_name(f"{path.name}-wal").write_bytes(draw.randbytes(draw.choice([0, 40, 5000])))
    return _asked(copy, draw.choice([DONE, WAITING, STOPPED]), draw)


CELLS = (
    "NULL",
    "7",
    "1e400",
    "X'00FF'",
    "CAST(X'FF' AS TEXT)",
    "CAST(X'00' AS TEXT)",
    "''",
    "'x'",
    "'[1]'",
    "zeroblob(200000)",
)
_STATEMENTS = (
    "DROP TABLE {table}", "ALTER TABLE {table} RENAME TO other", "ALTER TABLE {table} ADD COLUMN more TEXT",
    "ALTER TABLE {table} RENAME COLUMN {column} TO other", "CREATE VIEW v AS SELECT * FROM {table}",
    "CREATE TRIGGER t AFTER INSERT ON {table} BEGIN SELECT 1; END", "DELETE FROM {table}", "PRAGMA user_version = 99",
    "ALTER TABLE {table} ADD COLUMN made TEXT AS (zeroblob(500000000)) VIRTUAL",
)  # fmt: skip


def damage_cells(path: Path, draw: Random) -> None:
    """Change what stands in a database, as its owner could."""
    with closing(sqlite3.connect(path)) as database:
        tables = [name for (name,) in database.execute("SELECT name FROM sqlite_master WHERE type = 'table'")]
        table = draw.choice([name for name in tables if not name.startswith("sqlite_")])
        column = draw.choice([row[1] for row in database.execute(f'PRAGMA table_info("{table}")')])
        change = f'UPDATE "{table}" SET "{column}" = {draw.choice(CELLS)}'
        if draw.random() < 0.5:
            change += " WHERE rowid = 1"
        elif draw.random() < 0.5:
            change = draw.choice(_STATEMENTS).format(table=f'"{table}"', column=f'"{column}"')
        try:
            with database:
                database.execute(change)
        except sqlite3.Error:  # a rule of the table forbids it: then the database stays whole
            database.rollback()


def _asked(home: Path, case_id: str, draw: Random) -> Input:
    library = load_case_library(home)
    readings: list[Callable[[], object]] = [
        library.list,
        lambda: library.get(case_id).to_markdown(),
        lambda: read_trace(library.folder(case_id) / "trace.jsonl"),
        lambda: Journal(library.folder(case_id) / "calls.jsonl"),
        lambda: settings_of(library, case_id),
        partial(library.export, case_id, home.parent / "out" / "case", draw.choice(EXPORT_FORMATS)),
    ]
    writes = draw.random() < 0.3
    if writes:
        readings += [
            partial(_resumed, home, case_id),
            partial(library.sign, case_id, "Dr. A", diagnosis="benign colon tissue"),
        ]
    return Input(home, readings, ignored=("out",), writes=writes)


def _resumed(home: Path, case_id: str) -> None:
    with DiagnosticAgent.load(_engine(), policy=_POLICY, home=home) as agent:
        agent.resume(case_id)


def _damaged_decision(home: Path, draw: Random, work: Path) -> Input:
    decision: Any = exchanged(draw.choice(_DECISIONS), draw, draw.choice([1, 1, 2]))
    if draw.random() < 0.05:
        decision = draw.choice(STRANGE)
    (work / "decision.json").write_bytes(json.dumps(decision).encode())
    words = decision if isinstance(decision, dict) else {}
    copy = _copied(home)
    readings: list[Callable[[], object]] = [partial(_agent(copy).check, WAITING, decision)]
    if draw.random() < 0.3:
        signing = shutil.copytree(home, work / "home")
        readings.append(partial(_signed, load_case_library(signing), words))
    return Input(work / "decision.json", readings, ignored=("home",))


def _signed(library: CaseLibrary, words: dict[str, Any]) -> None:
    texts = {
        name: value if isinstance(value := words.get(name), str) else "" for name in ("reviewer", "comment")
    }
    findings = words.get("findings")
    library.sign(
        DONE, texts["reviewer"], texts["comment"], words.get("diagnosis") if isinstance(words.get("diagnosis"), str) else None,
        findings=[line for line in findings if isinstance(line, str)] if isinstance(findings, list) else None,
    )  # fmt: skip
    library.list()
    library.get(DONE).to_pdf()


@cache
def _copied(home: Path) -> Path:
    return Path(shutil.copytree(home, home.parent / "asked"))


_DECISIONS: tuple[dict[str, Any], ...] = (
    {"action": "accept", "reviewer": "Dr. A", "comment": "Agreed."},
    {"action": "edit", "reviewer": "Dr. A", "diagnosis": "colon adenocarcinoma", "description": "Glands.", "findings": ["Glands."]},
    {"action": "revise", "reviewer": "Dr. A", "drop": ["x"], "segment": {"start": 0.0, "end": 1.0}, "findings": ["Glands."]},
    {"action": "reject", "reviewer": "Dr. A", "comment": "", "interrupt_id": "x", "decided": "", "changes": {}},
)  # fmt: skip
