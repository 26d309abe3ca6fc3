"""Databases that several processes create at once, and damaged databases."""

from __future__ import annotations

import sqlite3
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from pathlib import Path
from threading import Barrier

import pytest

from videopath.core.database import connect, create_database, open_read_only

_WRITERS, _ROUNDS = 6, 60


def test_writers_that_begin_at_the_same_moment_wait_for_each_other(tmp_path: Path) -> None:
    together = Barrier(_WRITERS)

    def write(path: Path, number: int) -> None:
        together.wait()
        create_database(path)
        with closing(sqlite3.connect(path, timeout=30)) as database:
            database.execute("CREATE TABLE IF NOT EXISTS cases (number INTEGER)")
            with database:
                database.execute("INSERT INTO cases VALUES (?)", (number,))

    with ThreadPoolExecutor(_WRITERS) as writers:
        for round_ in range(_ROUNDS):
            path = tmp_path / str(round_) / "cases.sqlite"
            list(writers.map(lambda number, path=path: write(path, number), range(_WRITERS)))
            with closing(sqlite3.connect(path)) as database:
                assert database.execute("PRAGMA journal_mode").fetchone() == ("wal",)
                assert database.execute("SELECT count(*) FROM cases").fetchone() == (_WRITERS,)


def test_a_database_that_is_there_stays_as_it_is(tmp_path: Path) -> None:
    path = tmp_path / "cases.sqlite"
    with closing(sqlite3.connect(path)) as database, database:
        database.execute("CREATE TABLE cases (number INTEGER)")
    before = path.read_bytes()
    create_database(path)
    assert path.read_bytes() == before


def test_damage_whose_description_is_not_utf8_is_an_error_of_sqlite(tmp_path: Path) -> None:
    path = tmp_path / "cases.sqlite"
    with closing(sqlite3.connect(path)) as database, database:
        database.execute("CREATE TABLE namen (a)")
    path.write_bytes(path.read_bytes().replace(b"namen (a)", b"nam\xe9n (a"))
    for opened in (lambda: connect(path), lambda: open_read_only(path).__enter__()):
        with pytest.raises(sqlite3.DatabaseError):
            opened()
