"""``videopath cases resume``, ``sign``, ``addendum`` and ``learn``: what a person decides about a case."""

from __future__ import annotations

import math
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from videopath.app.cli import options
from videopath.app.cli.commands.cases.options import (
    CaseId,
    Comment,
    Confirm,
    Description,
    Diagnosis,
    Findings,
    Reviewer,
    open_library,
)
from videopath.core.errors import InputError

if TYPE_CHECKING:
    from videopath.agent import CaseReport


def resume(
    case_id: CaseId,
    action: options.Action = None,
    reviewer: Reviewer = "",
    diagnosis: Diagnosis = None,
    description: Description = None,
    finding: Findings = None,
    drop: Annotated[
        list[str] | None,
        typer.Option(
            "--drop",
            help="Id of a similar case that the model must not see again; can be repeated.",
            show_default=False,
        ),
    ] = None,
    segment: Annotated[
        str | None,
        typer.Option(
            "--segment",
            metavar="START-END",
            help="With --action revise: another segment to look at, in seconds.",
            show_default=False,
        ),
    ] = None,
    comment: Comment = "",
    strict: options.Strict = False,
    as_json: options.AsJson = False,
    home: options.Home = None,
    verbose: options.Verbose = False,
) -> None:
    """Continue an interrupted case, or decide at its review."""
    from videopath.agent.cases.signatures.signing import words_not_kept
    from videopath.app.cli.console import quiet_libraries
    from videopath.app.cli.running import deliver, follow, load_agent_of
    from videopath.core.errors import CaseError

    quiet_libraries(verbose)
    words = {"diagnosis": diagnosis, "description": description, "findings": finding}
    revision = {"drop": drop or [], "segment": _segment(segment)}
    _check_decision(action, {name: value for name, value in (words | revision).items() if value})
    library = open_library()
    entry = library.entry(case_id)
    if library.finished(case_id):
        if action is not None:
            lost = words_not_kept(diagnosis, description, finding, comment)
            raise CaseError(
                f"Case {case_id} does not wait for a decision: its status is {entry.status}.{lost}"
            )
        deliver(library.get(case_id), as_json=as_json, strict=strict)
        return
    if entry.at_work:
        raise CaseError(
            f"Another process works on case {case_id}: wait for it to finish."
            + words_not_kept(diagnosis, description, finding, comment)
        )
    if entry.status == "waiting for review" and action is None:
        deliver(library.get(case_id), as_json=as_json)
    decision = None
    if action is not None:
        decision = {"action": action, "reviewer": reviewer, "comment": comment, **words, **revision}
    with load_agent_of(library, case_id) as agent:
        follow(library, case_id, lambda show: agent.stream_resume(case_id, decision, on_progress=show))
        deliver(library.get(case_id), as_json=as_json, strict=strict)


def sign(
    case_id: CaseId,
    reviewer: Annotated[str, typer.Option("--reviewer", help="Name of the person who signs.")],
    diagnosis: Diagnosis = None,
    description: Description = None,
    finding: Findings = None,
    comment: Comment = "",
    confirm: Confirm = False,
    as_json: options.AsJson = False,
    home: options.Home = None,
) -> None:
    """Sign a finished case, with your corrections. Name, time and comment are kept."""
    from videopath.app.cli.console import emit_json, say

    report = open_library().sign(
        case_id,
        reviewer,
        comment,
        diagnosis,
        description=description,
        findings=finding or None,
        confirmed=confirm,
    )
    if as_json:
        emit_json(report.to_json())
    else:
        say(f"Case {case_id} is signed by {reviewer} as: {report.diagnosis}")


def addendum(
    case_id: CaseId,
    reviewer: Annotated[str, typer.Option("--reviewer", help="Name of the author.")],
    text: Annotated[str, typer.Option("--text", help="Text of the addendum.")],
    diagnosis: Annotated[
        str | None,
        typer.Option("--diagnosis", help="New diagnosis, if it is not the signed one.", show_default=False),
    ] = None,
    as_json: options.AsJson = False,
    home: options.Home = None,
) -> None:
    """Add an addendum to a signed case, with name and time. The signed report stays as it is."""
    from videopath.app.cli.console import emit_json, say

    report = open_library().add_addendum(case_id, reviewer, text, diagnosis)
    if as_json:
        emit_json(report.to_json())
    else:
        say(f"Case {case_id} has an addendum by {reviewer}.")


def learn(
    case_id: CaseId,
    folder: Annotated[
        Path,
        typer.Argument(
            help="Folder of a knowledge base; it is created if it does not exist.", file_okay=False
        ),
    ],
    confirm: Confirm = False,
    description: Description = None,
    finding: Findings = None,
    reviewer: Annotated[
        str | None,
        typer.Option("--reviewer", help="Name of the person who confirms or writes it.", show_default=False),
    ] = None,
    patient: Annotated[
        str | None,
        typer.Option(
            "--patient",
            help="Patient id; the record is never used for other cases of this patient.",
            show_default=False,
        ),
    ] = None,
    group: Annotated[
        str | None,
        typer.Option(
            "--group",
            help="Group, such as a study; the record is never used for other cases of this group.",
            show_default=False,
        ),
    ] = None,
    home: options.Home = None,
    verbose: options.Verbose = False,
) -> None:
    """Add a signed case to a knowledge base as a record, with its pictures and provenance.

    The description must be a person's: confirm it with --confirm, or write it with --description or --finding.
    """
    from videopath.agent.cases.learning import add_to_knowledge
    from videopath.app.cli.console import quiet_libraries

    quiet_libraries(verbose)
    report = open_library().get(case_id)
    if not (confirm or description or finding):
        confirm = _confirmed_on_terminal(report)
    record = add_to_knowledge(
        report,
        folder,
        patient=patient,
        group=group,
        description=description,
        findings=finding or None,
        confirmed=confirm,
        reviewer=reviewer,
    )
    typer.echo(record)


def _check_decision(action: str | None, corrections: dict[str, Any]) -> None:
    """Reject wrong combinations of options before anything is loaded; the agent checks the rest."""
    names = [f"--{name.removesuffix('s')}" for name in corrections]
    if action not in ("edit", "revise") and names:
        raise InputError(f"{', '.join(names)} can only be used with --action edit or --action revise.")
    if action == "edit" and not {"diagnosis", "description", "findings"} & set(corrections):
        raise InputError("--action edit needs --diagnosis, --description or --finding.")
    if action == "edit" and {"drop", "segment"} & set(corrections):
        raise InputError("--drop and --segment need --action revise: the agent then looks again.")
    if action == "revise" and "diagnosis" in corrections:
        raise InputError(
            "With --action revise the agent diagnoses again; use --action edit to set the diagnosis."
        )
    if action == "revise" and not corrections:
        raise InputError("--action revise needs --description, --finding, --drop or --segment.")


def _segment(text: str | None) -> dict[str, float] | None:
    if text is None:
        return None
    start, _, end = text.partition("-")
    try:
        seconds = {"start": float(start), "end": float(end)}
    except ValueError:
        seconds = {"start": 0.0, "end": 0.0}
    if not 0 <= seconds["start"] < seconds["end"] < math.inf:
        raise InputError(f"--segment {text[:40]!r} must be START-END in seconds, such as 2-4.5.")
    return seconds


def _confirmed_on_terminal(report: CaseReport) -> bool:
    """On a terminal, show what the record will say and ask the person to confirm it."""
    from videopath.agent.report.statements import is_confirmed
    from videopath.app.cli.console import say

    if report.status != "signed" or is_confirmed(report) or not sys.stdin.isatty():
        return False
    say(f"Description: {report.description or 'none'}")
    for finding in report.findings:
        say(f"Finding: {finding.text}")
    return typer.confirm("Do you confirm this description and these findings?", err=True)
