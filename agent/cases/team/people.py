"""Who is in charge of a case, its batch, and a second person's reading of a signed case."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from pydantic import ValidationError

from videopath.agent.cases.records import CaseReport, SecondReading, reason_of
from videopath.agent.cases.storage.events import insert_events
from videopath.agent.cases.storage.statements import select_case, update_case
from videopath.agent.cases.team.audit import AuditEvent
from videopath.core.clock import now
from videopath.core.errors import CaseError
from videopath.core.pathology.labels import normalised_label
from videopath.core.privacy.personal import screened_text
from videopath.core.text import has_half_characters

if TYPE_CHECKING:
    from videopath.agent.cases.library import CaseLibrary

LONGEST_NAME = 120
"""Characters of a name or of a batch."""
LONGEST_NOTE = 500
"""Characters of a note to the person in charge."""
_WAIT = 30.0  # seconds that a writer waits for another one


def assign(library: CaseLibrary, case_ids: Sequence[str], person: str, by: str, note: str = "") -> int:
    """Put a person in charge of cases, and return how many cases changed.

    Args:
        library: The library of the cases.
        case_ids: The cases; one that was deleted meanwhile is left out.
        person: Who is in charge; empty: nobody.
        by: Who says so.
        note: What the person is asked for; it stands in the audit list, with a person's data masked. With a note, a case
            that the person is in charge of already gets another entry.

    Raises:
        CaseError: A name is not usable, or the library cannot be written.
    """
    person, by, note = checked_name(person), checked_name(by), _checked_note(note)
    if not by:
        raise CaseError("Nothing was assigned: give your name.")
    moment, changed = now(), 0
    with library.store.writing() as connection:
        for case_id in case_ids:
            row = select_case(connection, case_id)
            if row is None or ((row["assigned"] or "") == person and not note):
                continue
            update_case(connection, case_id, {"assigned": person or None})
            what = f"to {person}" if person else f"to nobody, was {row['assigned']}"
            what += f": {note}" if note else ""
            insert_events(connection, case_id, [AuditEvent(case_id, moment, by, "assigned", what).row])
            changed += 1
    return changed


def enter_batch(library: CaseLibrary, case_ids: Sequence[str], batch: str) -> None:
    """Give cases the name of the batch that they were started in.

    Raises:
        CaseError: The name is empty or not usable, or the library cannot be written.
    """
    batch = checked_name(batch)
    if not batch:
        raise CaseError("A batch needs a name.")
    with library.store.writing() as connection:
        for case_id in case_ids:
            update_case(connection, case_id, {"batch": batch})


def add_second_reading(
    library: CaseLibrary, case_id: str, reader: str, diagnosis: str, comment: str = ""
) -> CaseReport:
    """Add a second person's reading to a signed case and return its report. What was signed stays as it is.

    Args:
        library: The library of the case.
        case_id: The case.
        reader: Who reads it; not the person who signed it.
        diagnosis: Their diagnosis.
        comment: Their comment.

    Raises:
        CaseError: The case is unknown or not signed, a word is missing, or the reader signed the case or has read it.
    """
    reader, diagnosis = checked_name(reader), " ".join(diagnosis.split())
    if not reader:
        raise CaseError("A second reading needs a name: give the reader.")
    if not diagnosis:
        raise CaseError("A second reading needs a diagnosis: write your own.")
    library.entry(case_id)
    with library.working(case_id, _WAIT):
        report = library.get(case_id)
        _refuse_reader(report, reader)
        try:
            reading = SecondReading(
                reader=reader,
                diagnosis=diagnosis,
                comment=comment.strip(),
                read=now(),
                compared_with=report.diagnosis,
                agrees=normalised_label(diagnosis) == normalised_label(report.diagnosis),
            )
        except ValidationError as error:
            raise CaseError(f"The second reading is not usable: {reason_of(error)}.") from error
        report.second_readings.append(reading)
        library.save(report)
    return report


def _refuse_reader(report: CaseReport, reader: str) -> None:
    """Raise ``CaseError`` if the case is not signed, or if this person knows it already."""
    if report.status != "signed":
        raise CaseError(
            f"Case {report.case_id} is {report.status}: only a signed case is read a second time."
        )
    same = reader.casefold()
    if report.review and report.review[-1].reviewer.casefold() == same:
        raise CaseError(f"{reader} signed case {report.case_id}: a second reading needs another person.")
    if any(reading.reader.casefold() == same for reading in report.second_readings):
        raise CaseError(f"{reader} has read case {report.case_id} already.")


def _checked_note(note: str) -> str:
    """Return a note on one line, with a person's data masked."""
    note = " ".join(note.split())
    if len(note) > LONGEST_NOTE or has_half_characters(note):
        raise CaseError(f"The note is not usable: write at most {LONGEST_NOTE} letters.")
    return screened_text(note).text


def checked_name(name: str) -> str:
    """Return a person's or a batch's name on one line.

    Raises:
        CaseError: The name is too long, or not valid text.
    """
    name = " ".join(name.split())
    if len(name) > LONGEST_NAME or has_half_characters(name) or not name.isprintable():
        raise CaseError(f"The name is not usable: write at most {LONGEST_NAME} letters, on one line.")
    return name
