"""``videopath cases list``, ``show``, ``audit``, ``export`` and ``delete``."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from videopath.app.cli import options
from videopath.app.cli.commands.cases.options import CaseId, open_library
from videopath.core.choices import EXPORT_FORMATS, DisplayedStatus, ExportFormat
from videopath.core.clock import minute
from videopath.core.errors import InputError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from videopath.agent.cases.library import CaseEntry, CaseLibrary


def list_cases(
    status: Annotated[
        DisplayedStatus | None,
        typer.Option("--status", help="Only cases with this status.", show_default=False),
    ] = None,
    site: options.Site = None,
    limit: Annotated[
        int | None,
        typer.Option(
            "--limit", min=1, help="At most so many cases, the newest; default: all.", show_default=False
        ),
    ] = None,
    as_json: options.AsJson = False,
    home: options.Home = None,
) -> None:
    """List the cases, newest first. A process is working on running cases; interrupted cases can be resumed."""
    from videopath.agent.cases.team.worklist import Sifting, Worklist
    from videopath.agent.report.phrases import listed_confidence
    from videopath.app.cli.console import emit_json, print_table, say
    from videopath.core.pathology.sites import canonical_site

    library = open_library()
    place = canonical_site(site) if site else None
    if limit is None:
        entries: Sequence[CaseEntry] = library.list(status, place)
    else:
        sifting = Sifting(statuses=(status,) if status else (), sites=(place,) if place else ())
        entries = Worklist(library).page(sifting, limit)
    if as_json:
        emit_json(json.dumps([entry.model_dump() for entry in entries], ensure_ascii=False, indent=2))
        return
    if not entries:
        say(f"No matching cases in {library.home}.")
        return
    rows = [
        (
            entry.case_id,
            entry.state,
            entry.site or "",
            entry.diagnosis,
            "" if entry.status == "signed" else listed_confidence(entry),
            minute(entry.updated),
        )
        for entry in entries
    ]
    print_table(("case", "status", "site", "diagnosis", "confidence", "updated"), rows)


def show(
    case_id: CaseId,
    as_json: options.AsJson = False,
    markdown: Annotated[bool, typer.Option("--markdown", help="Print the whole report as Markdown.")] = False,
    trace: Annotated[
        bool, typer.Option("--trace", help="Print the finished steps, also of a running case.")
    ] = False,
    home: options.Home = None,
) -> None:
    """Show a case: its summary, report or trace. An unfinished case shows its finished steps."""
    from videopath.agent.cases.unfinished import report_so_far
    from videopath.app.cli.console import emit_json, plain, stdout
    from videopath.app.cli.summary import questions_block, summary

    library = open_library()
    if trace:
        _show_trace(library, case_id, as_json)
        return
    report, entry = report_so_far(library, case_id), library.entry(case_id)
    if as_json:
        emit_json(report.to_json())
    elif markdown:
        sys.stdout.write(report.to_markdown())
    else:
        stdout().print(summary(report, entry.state))
        if entry.status == "signed" and (questions := library.questions(case_id)):
            stdout().print(questions_block(questions))  # the signed report itself stays as it is
        if entry.status == "failed" and entry.comment:
            stdout().print(plain(f"The case failed: {entry.comment}"))


def export(
    case_id: CaseId,
    path: Annotated[
        Path | None,
        typer.Argument(help="File to write; default: ID.FORMAT in this folder.", show_default=False),
    ] = None,
    form: Annotated[
        ExportFormat | None,
        typer.Option(
            "--format",
            help="zip: the bundle (report, trace, frames, hashes); otherwise the report. Default: the file's suffix.",
            **options.choice("--format", "zip", "pdf", "html", "md", "json"),
        ),
    ] = None,
    with_paths: Annotated[
        bool,
        typer.Option("--with-paths", help="Write full paths of this machine instead of file names."),
    ] = False,
    home: options.Home = None,
) -> None:
    """Write a case as a bundle, or its report as PDF, HTML, Markdown or JSON.

    Questions that were asked about a signed case are written to a file beside its report.
    """
    from videopath.agent.cases.exporting import questions_beside

    library = open_library()
    export_format = form if form is not None else _format_of(path)
    target = path or Path(f"{case_id}.{export_format}")
    target = target / f"{case_id}.{export_format}" if target.is_dir() else target
    typer.echo(library.export(case_id, target, export_format, with_paths=with_paths))
    is_signed = library.entry(case_id).status == "signed"
    if export_format != "zip" and is_signed and library.questions(case_id):
        typer.echo(questions_beside(target, export_format))


def audit(
    case_id: Annotated[
        str | None,
        typer.Argument(metavar="[ID]", help="Id of a case; default: all deletions.", show_default=False),
    ] = None,
    as_json: options.AsJson = False,
    home: options.Home = None,
) -> None:
    """Show who did what with a case, also with a deleted one; without an id, who deleted which case.

    Of a deleted case stay names, acts, times, and the SHA-256 of its report as it is exported in JSON.
    """
    from videopath.agent.cases.team.audit import audit_events, deletions
    from videopath.app.cli.console import emit_json, say, stdout, table

    library = open_library()
    events = audit_events(library, case_id) if case_id else deletions(library)
    if as_json:
        emit_json(json.dumps([event.row for event in events], ensure_ascii=False, indent=2))
        return
    if not events:
        say(f"Nobody has done anything with case {case_id}." if case_id else "No deletion is noted.")
        return
    head = ("when (UTC)", "case", "who", "what", "detail")
    rows = ((minute(one.moment), one.case_id, one.who, one.what, one.detail) for one in events)
    stdout().print(table(head, rows))


def delete(
    case_id: CaseId,
    yes: options.Yes = False,
    by: Annotated[str, typer.Option("--by", help="Your name, for the audit list.")] = "",
    home: options.Home = None,
) -> None:
    """Delete a case and all its files. Of its audit list stays who did what, without details."""
    from videopath.agent.cases.team.audit import NAMELESS
    from videopath.app.cli.console import say

    library = open_library()
    entry = library.entry(case_id)
    if not yes:
        if not sys.stdin.isatty():
            raise InputError(f"Deleting case {case_id} needs your confirmation: add --yes.")
        typer.confirm(f"Delete case {case_id} ({entry.state})?", abort=True, err=True)
    library.delete(case_id, by or NAMELESS)
    say(f"Case {case_id} is deleted.")


def _show_trace(library: CaseLibrary, case_id: str, as_json: bool) -> None:
    from videopath.agent.cases.trace import TRACE_NAME, read_trace
    from videopath.app.cli.console import emit_json, stdout, table

    library.entry(case_id)
    steps = read_trace(library.folder(case_id) / TRACE_NAME)
    if as_json:
        emit_json(json.dumps([step.model_dump(mode="json") for step in steps], ensure_ascii=False, indent=2))
        return
    rows = ((step.name, f"{step.seconds:.2f}", step.device or "", step.summary) for step in steps)
    stdout().print(table(("step", "seconds", "device", "outcome"), rows))


def _format_of(path: Path | None) -> ExportFormat:
    suffix = path.suffix.lower().removeprefix(".") if path else ""
    return next((known for known in EXPORT_FORMATS if known == suffix), "zip")
