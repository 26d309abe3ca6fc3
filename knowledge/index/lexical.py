"""The lexical view: SQLite's FTS5 over descriptions and diagnoses, ranked by BM25 (Robertson and Zaragoza, 2009).

A question is a whole description. Its most frequent words are in nearly every record and would be scored in all of
them for next to nothing, so its rarest words are looked up first, until they fill a budget of places.
"""

from __future__ import annotations

import re
import sqlite3
from contextlib import closing

from videopath.knowledge.records.record import InstructionRecord

_TOKENS = "porter unicode61 remove_diacritics 2"
SCHEMA = f"""
CREATE VIRTUAL TABLE words USING fts5(
    description, diagnosis, content='records', content_rowid='row', tokenize='{_TOKENS}'
);
CREATE VIRTUAL TABLE vocabulary USING fts5vocab(words, row);
CREATE TABLE terms (term TEXT PRIMARY KEY, records INTEGER NOT NULL) WITHOUT ROWID;
"""
"""``terms``: in how many records a term occurs; counted once for each version, since FTS5 counts anew at each look."""

_PLACES = 50_000  # of a question's terms in the records, at most; reached only beyond some thousand records
_WORD = re.compile(r"\w+")


def insert(database: sqlite3.Connection, row: int, record: InstructionRecord) -> None:
    """Index a record's words."""
    database.execute(
        "INSERT INTO words (rowid, description, diagnosis) VALUES (?, ?, ?)",
        (row, record.description, record.diagnosis),
    )


def remove(database: sqlite3.Connection, row: int, record: InstructionRecord) -> None:
    """Take a record's words out; they must be those that were indexed."""
    database.execute(
        "INSERT INTO words (words, rowid, description, diagnosis) VALUES ('delete', ?, ?, ?)",
        (row, record.description, record.diagnosis),
    )


def optimise(database: sqlite3.Connection) -> None:
    """Merge the index's pieces into one."""
    database.execute("INSERT INTO words (words) VALUES ('optimize')")


def count_terms(database: sqlite3.Connection) -> None:
    """Count in how many records each term occurs."""
    database.execute("DELETE FROM terms")
    database.execute("INSERT INTO terms SELECT term, doc FROM vocabulary")


def search(
    database: sqlite3.Connection, text: str, depth: int, site: str | None, diagnosed: bool
) -> list[tuple[int, float]]:
    """(row, BM25) of the records that share words with a text, best first; a higher BM25 is better."""
    asked = _question(database, text)
    if not asked:
        return []
    found = database.execute(
        "SELECT words.rowid, -rank FROM words JOIN records ON records.row = words.rowid "
        "WHERE words MATCH ?1 AND (?2 IS NULL OR site = ?2) AND (NOT ?3 OR records.diagnosis != '') "
        "ORDER BY rank, words.rowid LIMIT ?4",
        (asked, site, diagnosed, depth),
    )
    return [(int(row), float(score)) for row, score in found]


def _question(database: sqlite3.Connection, text: str) -> str:
    """The FTS5 query of a text: its rarest words, any of which may occur; empty where none occurs at all."""
    counted = []
    for word, term in _terms(text):
        found = database.execute("SELECT records FROM terms WHERE term = ?", (term,)).fetchone()
        if found:
            counted.append((int(found[0]), word))
    chosen: list[str] = []
    places = 0
    for count, word in sorted(counted):
        places += count
        if chosen and places > _PLACES:
            break
        chosen.append(f'"{word}"')
    return " OR ".join(chosen)


def _terms(text: str) -> list[tuple[str, str]]:
    """(word, its term as FTS5 stems it) of a text's different terms."""
    words = list(dict.fromkeys(_WORD.findall(text.lower())))
    with closing(sqlite3.connect(":memory:")) as tokenizer:
        tokenizer.execute(f"CREATE VIRTUAL TABLE asked USING fts5(word, tokenize='{_TOKENS}')")
        tokenizer.execute("CREATE VIRTUAL TABLE found USING fts5vocab(asked, instance)")
        tokenizer.executemany("INSERT INTO asked (rowid, word) VALUES (?, ?)", enumerate(words))
        terms = tokenizer.execute("SELECT term, min(doc) FROM found GROUP BY term").fetchall()
    return [(words[place], term) for term, place in terms]
