"""The case library: one folder per case and one SQLite table over them all.

    $VIDEOPATH_HOME/cases.sqlite                  what ``videopath cases list`` shows
    $VIDEOPATH_HOME/cases/<case_id>/inputs.json   what the case was begun with
                                   /report.json   the report, when there is one
                                   /report.md
                                   /trace.jsonl   the steps, while they finish
                                   /frames/*.png  the evidence frames
    $VIDEOPATH_HOME/checkpoints.sqlite            the graph's own checkpoints of unfinished cases, by case id

All of it is for its owner alone, and so are the copies of videos in $VIDEOPATH_HOME/cache; a library of an earlier
version becomes so when it is written to. Reading never creates or changes anything. Writers from several processes wait for each other (write-ahead log).
"""

from __future__ import annotations

import re
import secrets
import shutil
import sqlite3
from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager, nullcontext
from pathlib import Path

from filelock import BaseFileLock
from pydantic import BaseModel, Field, ValidationError, computed_field

from videopath.agent.cases.bundle import MARKDOWN_NAME, REPORT_NAME
from videopath.agent.cases.lock import LOCK_NAME, is_held, take
from videopath.agent.cases.records import CaseReport
from videopath.agent.cases.signing import (
    Signature,
    addendum_of,
    apply_signature,
    refuse_to_overwrite,
    words_not_kept,
)
from videopath.core.choices import CaseStatus, DisplayedStatus, ExportFormat
from videopath.core.clock import now, utc
from videopath.core.database import connected, create_database, reading
from videopath.core.errors import CaseError
from videopath.core.files import close_to_others, private_folder, write_bytes, write_text
from videopath.core.settings import home_folder

SAVING_NAME = ".saving"
"""Stands in a case's folder while its report and its row are written: a kill may have come between the two."""
INPUTS_NAME = "inputs.json"
"""What a case was begun with, in its folder."""

_SAFE_ID = re.compile(r"[A-Za-z0-9][A-Za-z0-9_-]{0,79}")
_WAIT = 30.0  # seconds that a writer waits for another
_LITTLE_SPACE = 1 << 20  # bytes
_FINISHED = ("done", "abstained", "signed", "rejected")
_TABLE = """
CREATE TABLE IF NOT EXISTS cases (
    case_id TEXT PRIMARY KEY, status TEXT NOT NULL, video TEXT NOT NULL, site TEXT, diagnosis TEXT NOT NULL,
    confidence REAL, model TEXT NOT NULL, created TEXT NOT NULL, updated TEXT NOT NULL,
    signed_by TEXT, signed_at TEXT, comment TEXT
)
"""


class CaseEntry(BaseModel):
    """A row of the library."""

    case_id: str
    status: CaseStatus
    video: str
    site: str | None = None
    diagnosis: str = ""
    confidence: float | None = None
    model: str = ""
    created: str
    updated: str
    signed_by: str | None = None
    signed_at: str | None = None
    comment: str | None = None
    at_work: bool = Field(default=False, description="whether somebody works on this unfinished case")

    @computed_field  # type: ignore[prop-decorator]
    @property
    def state(self) -> DisplayedStatus:
        """The status for people: somebody works on a case that runs; one that was begun and left is interrupted."""
        if self.at_work:
            return "running"
        return "interrupted" if self.status == "running" else self.status


def new_case_id() -> str:
    """A fresh case id that sorts by time: ``20260131-142501-9f3c1a``."""
    return f"{utc():%Y%m%d-%H%M%S}-{secrets.token_hex(3)}"


def load_case_library(home: str | Path | None = None) -> CaseLibrary:
    """The library of a home folder; none: ``$VIDEOPATH_HOME`` or the platform's folder."""
    return CaseLibrary(Path(home).expanduser() if home is not None else home_folder())


class CaseLibrary:
    """All cases of one home folder."""

    def __init__(self, home: Path) -> None:
        self.home = home
        self.database = home / "cases.sqlite"
        self._is_private = False  # as far as this process has looked

    def folder(self, case_id: str) -> Path:
        """The folder of a case, whether or not it exists. Raises ``CaseError`` for an id that is no file name."""
        if not _SAFE_ID.fullmatch(case_id):
            raise CaseError(
                f"{case_id[:80]!r} is not a case id: letters, digits, '-' and '_' only, at most 80."
            )
        return self.home / "cases" / case_id

    def list(self, status: DisplayedStatus | None = None, site: str | None = None) -> list[CaseEntry]:
        """The cases, newest first; only those in a state or of a site when it is given."""
        if not self.database.exists():
            return []
        with self._reading() as database:
            rows = database.execute(
                "SELECT * FROM cases WHERE (?1 IS NULL OR site = ?1) ORDER BY created DESC, case_id DESC",
                (site,),
            ).fetchall()
        entries = [self._listed(row) for row in rows]
        return [entry for entry in entries if status in (None, entry.state)]

    def entry(self, case_id: str) -> CaseEntry:
        """The row of a case. Raises ``CaseError`` when there is none."""
        self.folder(case_id)
        row = None
        if self.database.exists():
            with self._reading() as database:
                row = database.execute("SELECT * FROM cases WHERE case_id = ?", (case_id,)).fetchone()
        if row is None:
            raise CaseError(
                f"There is no case {case_id} in {self.home}: `videopath cases list` shows those there are."
            )
        return self._entry_from(row)

    def _listed(self, row: sqlite3.Row) -> CaseEntry:
        """A row for the list; one that this version does not understand is listed as failed, with the reason."""
        try:
            return self._entry_from(row)
        except CaseError as error:
            kept = {name: str(value or "") for name, value in dict(row).items()}
            known = {name: kept.get(name, "") for name in ("case_id", "video", "created", "updated")}
            return CaseEntry(status="failed", comment=str(error), **known)

    def _entry_from(self, row: sqlite3.Row) -> CaseEntry:
        """The row, or what the report says where a kill came after the report of a finished case and before its row."""
        try:
            entry = CaseEntry(**dict(row))
        except ValidationError as error:
            raise CaseError(
                f"This version of VideoPath does not understand the entry of case {dict(row).get('case_id')}: "
                f"{error.errors()[0]['msg']}."
            ) from error
        folder = self.folder(entry.case_id)
        entry.at_work = entry.status not in _FINISHED and is_held(folder)
        if not (folder / SAVING_NAME).exists():
            return entry
        try:
            report = CaseReport.from_json((folder / REPORT_NAME).read_bytes(), folder)
        except (OSError, ValidationError):
            return entry
        return _entry_of(report) if report.status in _FINISHED else entry

    def get(self, case_id: str) -> CaseReport:
        """The report of a case.

        Raises ``CaseError`` when the case is unknown, has no report yet, or its report is damaged.
        """
        entry, folder = self.entry(case_id), self.folder(case_id)
        try:
            return CaseReport.from_json((folder / REPORT_NAME).read_bytes(), folder)
        except FileNotFoundError as error:
            raise CaseError(
                f"Case {case_id} has no report yet (status: {entry.status}): run `videopath cases resume {case_id}`."
            ) from error
        except OSError as error:
            raise CaseError(f"{folder / REPORT_NAME} cannot be read: {error.strerror or error}.") from error
        except ValidationError as error:
            raise CaseError(
                f"{folder / REPORT_NAME} is damaged or was changed: it is not a report."
            ) from error

    def start(self, case_id: str, video: str, site: str | None, model: str) -> Path:
        """Enter a new case as running and make its folder. Raises ``CaseError`` when the id is taken."""
        folder, moment = self.folder(case_id), now()
        entry = CaseEntry(
            case_id=case_id,
            status="running",
            video=video,
            site=site,
            model=model,
            created=moment,
            updated=moment,
        )
        with self._connect() as database:
            try:
                _insert(database, entry)
            except sqlite3.IntegrityError as error:
                raise CaseError(
                    f"There is a case {case_id} already: leave the id out or choose another."
                ) from error
            private_folder(folder)
        return folder

    @contextmanager
    def working(self, case_id: str, wait: float = 0.0, lost: str = "") -> Iterator[None]:
        """Only one process works on a case; the lock of a killed one is free again.

        Raises ``CaseError`` if the lock is not free within ``wait`` seconds.
        """
        lock = self.take(case_id, wait, lost)
        try:
            yield
        finally:
            lock.release()

    def take(self, case_id: str, wait: float = 0.0, lost: str = "") -> BaseFileLock:
        """The case's lock, held until its ``release``; raises as ``working`` does."""
        return take(self.folder(case_id), wait, lost)

    def set_status(self, case_id: str, status: CaseStatus, comment: str | None = None) -> None:
        """Note how far a case is; ``comment`` says why it failed. Raises ``CaseError`` for a signed case."""
        if self.entry(case_id).status == "signed":
            raise CaseError(f"Case {case_id} is signed and stays as signed.")
        with self._connect() as database:
            database.execute(
                "UPDATE cases SET status = ?, comment = coalesce(?, comment), updated = ? WHERE case_id = ?",
                (status, comment, now(), case_id),
            )

    def save(self, report: CaseReport) -> Path:
        """Write the report of a case (JSON and Markdown) and its row; returns the case folder.

        Raises ``CaseError`` if the case is signed and the report says something else than what was signed.
        """
        folder = self.folder(report.case_id)
        refuse_to_overwrite(folder / REPORT_NAME, report)
        report.folder = folder
        write_text(folder / SAVING_NAME, "", private=True)
        write_text(folder / REPORT_NAME, report.to_json(), private=True)
        write_text(folder / MARKDOWN_NAME, report.to_markdown(), private=True)
        with self._connect() as database:
            _upsert(database, _entry_of(report))
        (folder / SAVING_NAME).unlink(missing_ok=True)
        return folder

    def sign(
        self,
        case_id: str,
        reviewer: str,
        comment: str = "",
        diagnosis: str | None = None,
        *,
        description: str | None = None,
        findings: Sequence[str] | None = None,
        confirmed: bool = False,
    ) -> CaseReport:
        """Sign a finished case; who, when and the comment are kept in report and row.

        ``diagnosis``, ``description`` and ``findings`` replace the agent's; a case without a diagnosis cannot be
        signed without one. ``confirmed``: the person has read description and findings as they are signed and
        confirms them, so that the case may become knowledge. One person signs: a second signature raises
        ``CaseError`` and repeats the words that it would have lost.
        """
        signature = Signature(reviewer, comment, diagnosis, description, findings, confirmed)
        self.entry(case_id)
        signature.refuse_unnamed()
        lost = words_not_kept(diagnosis, description, findings, comment)
        with self.working(case_id, _WAIT, lost):
            entry = self.entry(case_id)
            signature.refuse_where_signed(entry.case_id, entry.signed_by, entry.signed_at, entry.status)
            report = self.get(case_id)
            apply_signature(signature, report, now())
            self.save(report)
            self.drop_checkpoints(case_id)
        return report

    def add_addendum(
        self, case_id: str, reviewer: str, text: str, diagnosis: str | None = None
    ) -> CaseReport:
        """Add to a signed case what a person has to say later, with name and time; what was signed stays.

        ``diagnosis``: another one than the one that was signed. Raises ``CaseError`` for a case that nobody signed,
        and without a name or a text.
        """
        self.entry(case_id)
        with self.working(case_id, wait=_WAIT):
            report = self.get(case_id)
            report.addenda.append(addendum_of(report, reviewer, text, diagnosis, now()))
            self.save(report)
        return report

    def delete(self, case_id: str) -> None:
        """Remove a case with its folder and the graph's checkpoints. Raises ``CaseError`` while it is worked on."""
        self.entry(case_id)
        folder = self.folder(case_id)
        with self.working(case_id) if folder.exists() else nullcontext():  # none where a deletion was killed
            self.discard(case_id)

    def discard(self, case_id: str) -> None:
        """Remove a case for the one who holds its lock; the lock goes last, so nobody begins with what is left.

        A case whose deletion was killed is still listed and can be deleted again.
        """
        folder = self.folder(case_id)
        for part in folder.iterdir() if folder.exists() else ():
            if part.is_dir() and not part.is_symlink():
                shutil.rmtree(part)
            elif part.name != LOCK_NAME:
                part.unlink()
        self.drop_checkpoints(case_id)
        with self._connect() as database:
            database.execute("DELETE FROM cases WHERE case_id = ?", (case_id,))
        shutil.rmtree(
            folder, ignore_errors=True
        )  # one who waits for the lock may make it again: there is no case to it

    def finished(self, case_id: str) -> bool:
        """Whether a case has come to its end: nothing of it is left to be done but to sign it."""
        return self.entry(case_id).status in _FINISHED

    def drop_checkpoints(self, case_id: str) -> None:
        """Remove the graph's checkpoints of a case: a finished one has no use for them, its folder holds all.

        The space is that of the next case: the file grows with the cases at work, not with those that were done.
        """
        checkpoints = self.home / "checkpoints.sqlite"
        if not checkpoints.exists():
            return
        try:
            with closing(connected(checkpoints, timeout=_WAIT)) as database, database:
                names = database.execute(
                    "SELECT name FROM sqlite_master WHERE name IN ('checkpoints', 'writes')"
                ).fetchall()
                for (name,) in names:
                    database.execute(f"DELETE FROM {name} WHERE thread_id = ?", (case_id,))
        except sqlite3.DatabaseError as error:
            raise CaseError(self.why_unusable(error, checkpoints)) from error

    def export(
        self, case_id: str, path: str | Path, form: ExportFormat = "zip", *, with_paths: bool = False
    ) -> Path:
        """Write the bundle of a case, or its report as PDF, Markdown or JSON, to ``path`` and return it.

        ``with_paths``: it says where the files lie on this machine; else it has their names and hashes alone.
        """
        report, path = self.get(case_id), Path(path)
        if form == "zip":
            return report.save_bundle(path, with_paths=with_paths)
        report = report if with_paths else report.without_paths()
        if form == "pdf":
            write_bytes(path, report.to_pdf(with_paths=with_paths))
        else:
            write_text(path, report.to_markdown(with_paths=with_paths) if form == "md" else report.to_json())
        return path

    @contextmanager
    def _reading(self) -> Iterator[sqlite3.Connection]:
        """A connection that writes nothing."""
        try:
            with reading(self.database, _WAIT) as database:
                database.row_factory = sqlite3.Row
                yield database
        except (sqlite3.DatabaseError, OSError) as error:
            raise CaseError(self.why_unusable(error, self.database)) from error

    @contextmanager
    def _connect(self) -> Iterator[sqlite3.Connection]:
        """A connection whose changes are kept when the block ends well."""
        try:
            create_database(self.database)
            if not self._is_private:
                self._close_to_others()
            with closing(connected(self.database, timeout=_WAIT)) as database:
                database.row_factory = sqlite3.Row
                database.execute(_TABLE)
                with database:
                    yield database
        except sqlite3.IntegrityError:
            raise
        except (sqlite3.DatabaseError, OSError) as error:
            raise CaseError(self.why_unusable(error, self.database)) from error

    def _close_to_others(self) -> None:
        """Earlier versions left all to the umask. A folder comes after what is in it: open, it says that work is left."""
        for database in self.home.glob("*.sqlite*"):
            close_to_others(database)
        for folder in (self.home / "cache", self.home / "cases"):
            if folder.is_dir() and folder.stat().st_mode & 0o077:
                for path in folder.rglob("*"):
                    close_to_others(path)
                close_to_others(folder)
        self._is_private = True

    def why_unusable(self, error: Exception, file: Path) -> str:
        """Why a database in this library could not be used: SQLite calls a full disk an I/O error, so look for oneself."""
        if self.home.exists() and shutil.disk_usage(self.home).free < _LITTLE_SPACE:
            return f"The disk of {self.home} is full: free some space or set VIDEOPATH_HOME to a folder elsewhere."
        return (
            f"{file} of the case library cannot be used ({error}): check the disk and the folder's "
            "permissions, or set VIDEOPATH_HOME to another folder."
        )


def _insert(database: sqlite3.Connection, entry: CaseEntry, on_conflict: str = "") -> None:
    values = entry.model_dump(exclude={"at_work", "state"})
    names = ", ".join(values)
    places = ", ".join(f":{name}" for name in values)
    database.execute(f"INSERT INTO cases ({names}) VALUES ({places}) {on_conflict}", values)


def _upsert(database: sqlite3.Connection, entry: CaseEntry) -> None:
    """Insert the row or bring it up to date; the moment of creation stays."""
    changing = [name for name in CaseEntry.model_fields if name not in ("case_id", "created", "at_work")]
    updates = ", ".join(f"{name} = excluded.{name}" for name in changing)
    _insert(database, entry, f"ON CONFLICT(case_id) DO UPDATE SET {updates}")


def _entry_of(report: CaseReport) -> CaseEntry:
    moment = now()
    signature = report.review[-1] if report.status == "signed" and report.review else None
    return CaseEntry(
        case_id=report.case_id,
        status=report.status,
        video=report.video.path if report.video else "",
        site=report.site,
        diagnosis=report.diagnosis,
        confidence=None if report.provenance.get("calibrated") is False else report.confidence,
        model=report.model,
        created=report.created or moment,
        updated=moment,
        signed_by=signature.reviewer if signature else None,
        signed_at=signature.decided if signature else None,
        comment=signature.comment if signature else None,
    )
