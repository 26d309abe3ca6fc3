"""The lexical view: SQLite's FTS5 over descriptions and diagnoses, ranked by BM25 (Robertson and Zaragoza, 2009).

A query is a whole description. Its most frequent words are in nearly every record, so scoring them takes long and tells
little. Its rarest words are looked up first, until they fill a budget of occurrences.
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
"""Table ``terms``: in how many records a term occurs. It is counted once for each version: FTS5 counts at each query."""

_MAX_OCCURRENCES = 50_000  # of a query's terms in the records; reached only beyond some thousand records
_WORD = re.compile(r"\w+")


def insert(database: sqlite3.Connection, row: int, record: InstructionRecord) -> None:
    """Index a record's words."""
    database.execute(
        "INSERT INTO words (rowid, description, diagnosis) VALUES (?, ?, ?)",
        (row, record.description, record.diagnosis),
    )


def remove(database: sqlite3.Connection, row: int, record: InstructionRecord) -> None:
    """Remove a record's words; they must be the words that were indexed."""
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
    """Return (row, BM25) of the records that share words with a text, best first. A higher BM25 is better."""
    match = _match_expression(database, text)
    if not match:
        return []
    ranking = database.execute(
        "SELECT words.rowid, -rank FROM words JOIN records ON records.row = words.rowid "
        "WHERE words MATCH ?1 AND (?2 IS NULL OR site = ?2) AND (NOT ?3 OR records.diagnosis != '') "
        "ORDER BY rank, words.rowid LIMIT ?4",
        (match, site, diagnosed, depth),
    )
    return [(int(row), float(score)) for row, score in ranking]


def _match_expression(database: sqlite3.Connection, text: str) -> str:
    """Return the FTS5 query of a text: its rarest words joined by OR; empty if no word occurs in any record."""
    counted = []
    for word, term in _terms(text):
        count = database.execute("SELECT records FROM terms WHERE term = ?", (term,)).fetchone()
        if count:
            counted.append((int(count[0]), word))
    chosen: list[str] = []
    occurrences = 0
    for count, word in sorted(counted):
        occurrences += count
        if chosen and occurrences > _MAX_OCCURRENCES:
            break
        chosen.append(f'"{word}"')
    return " OR ".join(chosen)


def _terms(text: str) -> list[tuple[str, str]]:
    """Return (word, term as FTS5 stems it) for each different term of a text."""
    words = list(dict.fromkeys(_WORD.findall(text.lower())))
    with closing(sqlite3.connect(":memory:")) as tokenizer:
        tokenizer.execute(f"CREATE VIRTUAL TABLE input USING fts5(word, tokenize='{_TOKENS}')")
        tokenizer.execute("CREATE VIRTUAL TABLE stemmed USING fts5vocab(input, instance)")
        tokenizer.executemany("INSERT INTO input (rowid, word) VALUES (?, ?)", enumerate(words))
        terms = tokenizer.execute("SELECT term, min(doc) FROM stemmed GROUP BY term").fetchall()
    return [(words[index], term) for term, index in terms]
