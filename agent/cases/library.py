"""The case library: one folder per case and one table over them all.

    $VIDEOPATH_HOME/cases.sqlite                  a row for each case
    $VIDEOPATH_HOME/cases/<case_id>/inputs.json   the inputs of the graph
                                   /report.json   the report
                                   /report.md
                                   /trace.jsonl   the finished steps
                                   /questions.jsonl  the questions that were asked afterwards
                                   /frames/*.png  the evidence frames
    $VIDEOPATH_HOME/checkpoints.sqlite            the graph's checkpoints of unfinished cases, by case id

With the setting ``database``, rows and checkpoints are in a PostgreSQL database instead, and the home folder is on a
disk that all machines share.

Only the owner of the home folder can read it, including the copies of videos in $VIDEOPATH_HOME/cache. A library of
an earlier version gets these permissions when it is written to. Reading never creates or changes anything. Writers of
several processes wait for each other.
"""

from __future__ import annotations

import os
import re
import secrets
import shutil
from collections.abc import Collection, Iterable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext
from pathlib import Path
from typing import TypeAlias, get_args

from pydantic import ValidationError
from sqlalchemy import Connection
from sqlalchemy.exc import IntegrityError

from videopath.agent.cases.bundle import MARKDOWN_NAME, REPORT_NAME
from videopath.agent.cases.lock import LOCK_NAME
from videopath.agent.cases.questions import append_question, read_questions
from videopath.agent.cases.records import Annotation, CaseReport, FollowUp
from videopath.agent.cases.signatures.signing import (
    Signature,
    addendum_of,
    apply_signature,
    keep_unsigned,
    refuse_to_overwrite,
    words_not_kept,
)
from videopath.agent.cases.storage.entries import (
    FINISHED,
    NOBODY,
    OF_PEOPLE,
    REVIEW_STATUS,
    CaseEntry,
    entry_of,
    values_of,
    values_of_report,
)
from videopath.agent.cases.storage.events import insert_events
from videopath.agent.cases.storage.queue import IN_QUEUE, delete_queued, insert_queued
from videopath.agent.cases.storage.sqlite import CASES_NAME, SqliteStore
from videopath.agent.cases.storage.statements import (
    Row,
    count_cases,
    delete_case,
    insert_case,
    locked_status,
    replace_case,
    select_case,
    select_case_ids,
    select_cases,
    update_case,
)
from videopath.agent.cases.storage.store import CaseLock, Store
from videopath.agent.cases.team.audit import events_of, note_deletion
from videopath.core.choices import CaseStatus, DisplayedStatus, ExportFormat
from videopath.core.clock import now, utc
from videopath.core.database_address import checked_address
from videopath.core.errors import CaseError, InputError
from videopath.core.files import private_folder, write_text
from videopath.core.installing import require
from videopath.core.settings import database_of, home_folder

__all__ = [
    "FINISHED",
    "INPUTS_NAME",
    "NOBODY",
    "REVIEW_STATUS",
    "SAVING_NAME",
    "CaseEntry",
    "CaseLibrary",
    "load_case_library",
    "new_case_id",
]

SAVING_NAME = ".saving"
"""A file in the case folder while report and row are written. If it is left there, a kill came between the two."""
INPUTS_NAME = "inputs.json"
"""The file with the inputs of the graph, in the case folder."""

_POSTGRES = {
    "psycopg": "psycopg[binary,pool]",
    "langgraph.checkpoint.postgres": "langgraph-checkpoint-postgres",
}
_SAFE_ID = re.compile(r"[A-Za-z0-9][A-Za-z0-9_-]{0,79}")
_WAIT = 30.0  # seconds that a writer waits for another one
_UNFINISHED = tuple(status for status in get_args(CaseStatus) if status not in FINISHED)
_STORED = {"running": _UNFINISHED, "interrupted": ("running",)}
"""The statuses of the rows that people see with another one, depending on who works on the case."""


_Entries: TypeAlias = list[CaseEntry]  # within the class, `list` is its method


def new_case_id() -> str:
    """Return a new case id that sorts by time: ``20260131-142501-9f3c1a``."""
    return f"{utc():%Y%m%d-%H%M%S}-{secrets.token_hex(3)}"


def load_case_library(home: str | Path | None = None, database: str | None = None) -> CaseLibrary:
    """Return the library of a home folder.

    Args:
        home: The folder; default: ``$VIDEOPATH_HOME``, else the platform's folder.
        database: The address of a PostgreSQL database, ``postgresql://…``; default: that of the settings for the
            settings' home folder, and SQLite files for any other folder.

    Raises:
        InputError: The settings or the address cannot be used, or a package for PostgreSQL is missing.
    """
    folder = Path(home).expanduser() if home is not None else home_folder()
    return CaseLibrary(folder, database or database_of(folder))


class CaseLibrary:
    """All cases of one home folder.

    Args:
        home: The home folder; it is created when the first case is entered.
        database: The address of a PostgreSQL database, ``postgresql://…``; None: SQLite files in the home folder.

    Raises:
        InputError: The address cannot be used, or a package for PostgreSQL is missing.
    """

    def __init__(self, home: Path, database: str | None = None) -> None:
        self.home = home
        self.database = home / CASES_NAME
        """The SQLite file; with PostgreSQL it does not exist."""
        self.store: Store = SqliteStore(home) if database is None else _postgres_store(home, database)

    def folder(self, case_id: str) -> Path:
        """Return the folder of a case, whether or not it exists.

        Raises:
            CaseError: The id is not a safe file name.
        """
        _refuse_unsafe(case_id)
        return self.home / "cases" / case_id

    def list(
        self,
        status: DisplayedStatus | None = None,
        site: str | None = None,
        *,
        limit: int | None = None,
        offset: int = 0,
    ) -> list[CaseEntry]:
        """Return the cases, newest first.

        Args:
            status: Only cases that people see with this status.
            site: Only cases of this canonical site.
            limit: At most so many cases, for a page of a long list. Only they are read from the disk.
            offset: So many cases are left out at the beginning.
        """
        with self.store.reading() as connection:
            if connection is None:
                return []
            if limit is None and status is not None:
                rows = self._rows_with(connection, status, site)
                return [entry for entry in self.listed(rows) if entry.state == status][offset:]
            if limit is None or status is None or status in FINISHED:
                statuses = None if status is None else (status,)
                rows = select_cases(connection, site=site, statuses=statuses, limit=limit, offset=offset)
            else:
                case_ids = self._unfinished(connection, status, site)[offset : offset + limit]
                rows = select_cases(connection, case_ids=case_ids)
        return self.listed(rows)

    def count(self, status: DisplayedStatus | None = None, site: str | None = None) -> int:
        """Return how many cases there are, for the pages of a long list. Arguments are those of :meth:`list`."""
        with self.store.reading() as connection:
            if connection is None:
                return 0
            if status is None or status in FINISHED:
                statuses = None if status is None else (status,)
                return count_cases(connection, site=site, statuses=statuses)
            return len(self._unfinished(connection, status, site))

    def case_ids(self) -> Sequence[str]:
        """Return the ids of all cases, newest first."""
        with self.store.reading() as connection:
            return [] if connection is None else select_case_ids(connection)

    def has(self, case_id: str) -> bool:
        """Return whether there is such a case."""
        if not _SAFE_ID.fullmatch(case_id):
            return False
        with self.store.reading() as connection:
            return connection is not None and select_case(connection, case_id) is not None

    def entry(self, case_id: str) -> CaseEntry:
        """Return the row of a case.

        Raises:
            CaseError: The case is unknown.
        """
        self.folder(case_id)
        with self.store.reading() as connection:
            row = None if connection is None else select_case(connection, case_id)
        if row is None:
            raise CaseError(
                f"There is no case {case_id} in {self.home}: `videopath cases list` shows all cases."
            )
        return self._entry_from(row, self._at_work([row]))

    def _unfinished(self, connection: Connection, status: DisplayedStatus, site: str | None) -> Sequence[str]:
        """Return the ids of cases whose status depends on who works on them."""
        case_ids = select_case_ids(connection, site=site, statuses=_STORED.get(status, (status,)))
        at_work = self.held(case_ids)
        return [one for one in case_ids if (one in at_work) == (status == "running")]

    def _rows_with(self, connection: Connection, status: DisplayedStatus, site: str | None) -> Sequence[Row]:
        """Return the rows that may have a status: stored with it, or with a report that is newer than its row."""
        saving = [one for one in select_case_ids(connection, site=site) if self._is_saving(one)]
        return select_cases(
            connection, site=site, statuses=_STORED.get(status, (status,)), or_case_ids=saving
        )

    def _is_saving(self, case_id: str) -> bool:
        """Return whether a kill came between the report of a case and its row."""
        return os.path.exists(f"{self.home}/cases/{case_id}/{SAVING_NAME}")  # noqa: PTH110 - asked for each case of a list

    def _at_work(self, rows: Iterable[Row]) -> set[str]:
        """Return the ids of unfinished cases that a process works on."""
        return self.held(row["case_id"] for row in rows if row["status"] not in FINISHED)

    def held(self, case_ids: Iterable[str]) -> set[str]:
        """Return those of the cases that a process works on."""
        return self.store.at_work([one for one in case_ids if _SAFE_ID.fullmatch(str(one))])

    def listed(self, rows: Sequence[Row]) -> _Entries:
        """Return rows for the list; one that this version does not understand is listed as failed."""
        at_work = self._at_work(rows)
        return [self._listed_row(row, at_work) for row in rows]

    def _listed_row(self, row: Row, at_work: Collection[str]) -> CaseEntry:
        try:
            return self._entry_from(row, at_work)
        except CaseError as error:
            values = {name: str(value or "") for name, value in row.items()}
            fields = {name: values.get(name, "") for name in ("case_id", "video", "created", "updated")}
            return CaseEntry(status="failed", comment=str(error), **fields)

    def _entry_from(self, row: Row, at_work: Collection[str]) -> CaseEntry:
        """Return the row; if a kill came between the report of a finished case and its row, what the report says."""
        try:
            entry = CaseEntry(**row)
        except ValidationError as error:
            raise CaseError(
                f"This version of VideoPath does not understand the entry of case {row.get('case_id')}: "
                f"{error.errors()[0]['msg']}."
            ) from error
        _refuse_unsafe(entry.case_id)
        entry.at_work = entry.case_id in at_work
        if not self._is_saving(entry.case_id):
            return entry
        folder = self.folder(entry.case_id)
        try:
            report = CaseReport.from_json((folder / REPORT_NAME).read_bytes(), folder)
        except (OSError, ValidationError):
            return entry
        if report.status not in FINISHED:
            return entry
        return entry_of(report).model_copy(update={name: getattr(entry, name) for name in OF_PEOPLE})

    def get(self, case_id: str) -> CaseReport:
        """Return the report of a case, with the questions that were asked afterwards.

        The report of a signed case stays as signed: its questions are read with :meth:`questions`.

        Raises:
            CaseError: The case is unknown, has no report yet, or its report is damaged.
        """
        entry, folder = self.entry(case_id), self.folder(case_id)
        try:
            report = CaseReport.from_json((folder / REPORT_NAME).read_bytes(), folder)
            report.questions = [] if report.status == "signed" else read_questions(folder)
            return report
        except FileNotFoundError as error:
            raise CaseError(
                f"Case {case_id} has no report yet (status: {entry.status}): run `videopath cases resume {case_id}`."
            ) from error
        except OSError as error:
            raise CaseError(f"{folder / REPORT_NAME} cannot be read: {error.strerror or error}.") from error
        except ValidationError as error:
            raise CaseError(f"{folder / REPORT_NAME} was damaged or changed: it is not a report.") from error

    def questions(self, case_id: str) -> Sequence[FollowUp]:
        """Return the questions that were asked about a case after its diagnosis, in order.

        Raises:
            CaseError: The case is unknown, or its questions cannot be read.
        """
        self.entry(case_id)
        return read_questions(self.folder(case_id))

    def add_question(self, case_id: str, asked: FollowUp) -> None:
        """Keep a question with its answer beside the report, which stays as it is.

        Raises:
            CaseError: The case is unknown, or the question cannot be written; the message repeats the answer.
        """
        self.entry(case_id)
        append_question(self.folder(case_id), asked, self.store.writing_questions(case_id))

    def start(
        self,
        case_id: str,
        video: str,
        site: str | None,
        model: str,
        *,
        inputs: str | None = None,
        queued: bool = False,
    ) -> Path:
        """Enter a new case as running and return its new folder.

        Args:
            case_id: The case.
            video: The path of its video.
            site: Its canonical site.
            model: The model that answers it.
            inputs: The inputs of the graph, as JSON; they are written before others can see the case.
            queued: Enter it as queued, for ``videopath worker``.

        Raises:
            CaseError: The id is taken.
        """
        folder, moment = self.folder(case_id), now()
        entry = CaseEntry(
            case_id=case_id,
            status="queued" if queued else "running",
            video=video,
            site=site,
            model=model,
            created=moment,
            updated=moment,
        )
        with self._connect() as database:
            try:
                insert_case(database, values_of(entry))
            except IntegrityError as error:
                raise CaseError(
                    f"There is already a case {case_id}: choose another id, or leave it out."
                ) from error
            try:
                private_folder(folder)
                if inputs is not None:
                    write_text(folder / INPUTS_NAME, inputs, private=True)
            except OSError as error:
                raise CaseError(self.store.why_unusable(error)) from error
            if queued:
                insert_queued(database, case_id, moment)
        return folder

    @contextmanager
    def working(self, case_id: str, wait: float = 0.0, lost: str = "") -> Iterator[None]:
        """Hold the lock of a case within the block, so that only this process works on it.

        Args:
            case_id: The case.
            wait: How long to wait for another process, in seconds.
            lost: What a person typed for this case, from ``words_not_kept``; it is added to the error.

        Raises:
            CaseError: The lock is not free in time.
        """
        lock = self.take(case_id, wait, lost)
        try:
            yield
        finally:
            lock.release()

    def take(self, case_id: str, wait: float = 0.0, lost: str = "") -> CaseLock:
        """Return the case's lock, held until its ``release``. Arguments and errors are those of :meth:`working`."""
        self.folder(case_id)
        return self.store.take(case_id, wait, lost)

    def refuse_lost(self, case_id: str) -> None:
        """Check that this process has not lost the lock of a case; nothing happens if it never took it.

        Raises:
            LostCaseError: The lock is lost with the connection to the database.
        """
        self.store.refuse_lost(case_id)

    def set_status(self, case_id: str, status: CaseStatus, comment: str | None = None) -> None:
        """Set the status of a case; ``comment`` says why it failed.

        Raises:
            CaseError: The case is signed.
        """
        self.refuse_lost(case_id)
        if self.entry(case_id).status == "signed":
            raise CaseError(f"Case {case_id} is signed and stays as signed.")
        values = {"status": status, "updated": now()} | ({} if comment is None else {"comment": comment})
        with self._connect() as database:
            update_case(database, case_id, values)
            if status not in IN_QUEUE:
                delete_queued(database, case_id)

    def save(self, report: CaseReport) -> Path:
        """Write the report of a case (JSON and Markdown) and its row; return the case folder.

        The questions that were asked afterwards are kept beside the report, not in it.

        Raises:
            CaseError: The case is signed, and the report differs from what was signed.
        """
        folder = self._write_report(report)
        with self._connect() as database:
            replace_case(database, values_of_report(report))
            insert_events(database, report.case_id, [event.row for event in events_of(report)])
            if report.status not in IN_QUEUE:
                delete_queued(database, report.case_id)
        (folder / SAVING_NAME).unlink(missing_ok=True)
        return folder

    def _write_report(self, report: CaseReport) -> Path:
        """Write the files of a report; the marker stays until the row is written as well."""
        self.refuse_lost(report.case_id)
        folder = self.folder(report.case_id)
        refuse_to_overwrite(folder / REPORT_NAME, report)
        keep_unsigned(folder, report)
        report.folder = folder
        write_text(folder / SAVING_NAME, "", private=True)
        kept = report.model_copy(update={"questions": []})
        write_text(folder / REPORT_NAME, kept.to_json(), private=True)
        write_text(folder / MARKDOWN_NAME, kept.to_markdown(), private=True)
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
        annotations: Sequence[Annotation] = (),
    ) -> CaseReport:
        """Sign a finished case and return its report.

        Args:
            case_id: The case.
            reviewer: Who signs.
            comment: The person's comment; report and row keep it with the name and the time.
            diagnosis: Replaces the agent's. It must be given if the agent has none or abstained.
            description: Replaces the agent's.
            findings: Replace the agent's.
            confirmed: Whether the person has read and confirms description and findings. Only then, or if the
                person wrote them, can the case become knowledge.
            annotations: What the person marked on frames.

        Raises:
            CaseError: The case is unknown, not finished or already signed, or the diagnosis is missing. The message
                repeats the words that were not kept.
        """
        signature = Signature(reviewer, comment, diagnosis, description, findings, confirmed, annotations)
        self.entry(case_id)
        signature.refuse_unnamed()
        lost = words_not_kept(diagnosis, description, findings, comment)
        with self.working(case_id, _WAIT, lost):
            entry = self.entry(case_id)
            signature.refuse_unsignable(entry.case_id, entry.signed_by, entry.signed_at, entry.status)
            report = self.get(case_id)
            apply_signature(signature, report, now())
            self._save_signed(report, signature)
            self.drop_checkpoints(case_id)
        return report

    def _save_signed(self, report: CaseReport, signature: Signature) -> None:
        """Save a signed report within one transaction, which holds the case's row from its check to its change.

        So one signature stands, also if the case's lock is lost with its connection.
        """
        with self._connect() as database:
            status = locked_status(database, report.case_id)
            if status == "signed":
                entry = self._entry_from(select_case(database, report.case_id) or {}, ())
                signature.refuse_unsignable(entry.case_id, entry.signed_by, entry.signed_at, status)
            folder = self._write_report(report)
            replace_case(database, values_of_report(report))
            insert_events(database, report.case_id, [event.row for event in events_of(report)])
        (folder / SAVING_NAME).unlink(missing_ok=True)

    def add_addendum(
        self, case_id: str, reviewer: str, text: str, diagnosis: str | None = None
    ) -> CaseReport:
        """Add an addendum to a signed case and return its report. What was signed stays as it is.

        Args:
            case_id: The case.
            reviewer: Who adds it.
            text: What they add.
            diagnosis: A diagnosis that differs from the signed one.

        Raises:
            CaseError: The case is unknown or not signed, or the name or the text is empty.
        """
        self.entry(case_id)
        with self.working(case_id, wait=_WAIT):
            report = self.get(case_id)
            report.addenda.append(addendum_of(report, reviewer, text, diagnosis, now()))
            self.save(report)
        return report

    def delete(self, case_id: str, by: str = "") -> None:
        """Delete a case with its folder and its checkpoints. Of its audit list stays who did what, without details.

        Args:
            case_id: The case.
            by: Who deletes it, for the audit list.

        Raises:
            CaseError: The case is unknown, or a process works on it.
        """
        self.entry(case_id)
        folder = self.folder(case_id)
        with self.working(case_id) if folder.exists() else nullcontext():  # no folder: a deletion was killed
            self.discard(case_id, by)

    def discard(self, case_id: str, by: str = "") -> None:
        """Delete a case whose lock the caller holds; ``by`` as in :meth:`delete`.

        The lock is deleted last, so that nobody works on a half-deleted case. If the deletion is
        killed, the case is still listed and can be deleted again.
        """
        note_deletion(self, case_id, by)
        folder = self.folder(case_id)
        for part in folder.iterdir() if folder.exists() else ():
            if part.is_dir() and not part.is_symlink():
                shutil.rmtree(part)
            elif part.name != LOCK_NAME:
                part.unlink()
        self.drop_checkpoints(case_id)
        with self._connect() as database:
            delete_case(database, case_id)
            delete_queued(database, case_id)
        # A process that waits for the lock may create the folder again; it then belongs to no case.
        shutil.rmtree(folder, ignore_errors=True)

    def finished(self, case_id: str) -> bool:
        """Return whether a case has ended: only a signature may follow."""
        return self.entry(case_id).status in FINISHED

    def drop_checkpoints(self, case_id: str) -> None:
        """Delete the checkpoints of a case. A finished case does not need them: its folder holds everything."""
        self.store.drop_checkpoints(case_id)

    def export(
        self, case_id: str, path: str | Path, form: ExportFormat = "zip", *, with_paths: bool = False
    ) -> Path:
        """Export a case.

        The export of a signed report stays the same whatever is asked afterwards. If questions were asked, they are
        written beside it, to ``NAME-questions.md``, or for JSON to ``NAME-questions.jsonl``. The bundle holds them itself.

        Args:
            case_id: The case.
            path: The file to write.
            form: The bundle ("zip"), or the report as "pdf", "html", "md" or "json".
            with_paths: Write whole paths, not only the names of files and folders.

        Returns:
            ``path``.

        Raises:
            CaseError: The case has no report that can be read.
        """
        from videopath.agent.cases.exporting import write_export

        report = self.get(case_id)
        questions = self.questions(case_id) if report.status == "signed" else ()
        return write_export(report, Path(path), form, questions, with_paths=with_paths)

    def _connect(self) -> AbstractContextManager[Connection]:
        """Open a connection; its changes are committed if the block ends without an error."""
        return self.store.writing()


def _refuse_unsafe(case_id: str) -> None:
    if not _SAFE_ID.fullmatch(case_id):
        raise CaseError(
            f"{case_id[:80]!r} is not a case id: use letters, digits, '-' and '_', at most 80 characters."
        )


def _postgres_store(home: Path, address: str) -> Store:
    try:
        address = checked_address(address)
    except ValueError as error:
        raise InputError(f"The address of the database is not usable: {error}.") from error
    for module, package in _POSTGRES.items():
        require(module, package, "postgres", "A case library in PostgreSQL")
    from videopath.agent.cases.storage.postgres import PostgresStore

    return PostgresStore(home, address)
