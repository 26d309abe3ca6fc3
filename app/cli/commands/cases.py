"""``videopath cases``: the case library."""

from __future__ import annotations

import json
import math
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer

from videopath.app.cli import options
from videopath.core.errors import InputError

if TYPE_CHECKING:
    from videopath.agent import CaseReport
    from videopath.agent.cases.library import CaseLibrary, ExportFormat

app = typer.Typer(
    no_args_is_help=True,
    help="The case library: list, show, resume, sign, addendum, learn, export, delete, replay.",
)

CaseId = Annotated[str, typer.Argument(metavar="ID", help="Case id, as `videopath cases list` shows it.")]
Reviewer = Annotated[str, typer.Option("--reviewer", help="Who decides or signs.")]
Description = Annotated[
    str | None,
    typer.Option("--description", help="Another description than the agent's.", show_default=False),
]
Findings = Annotated[
    list[str] | None,
    typer.Option(
        "--finding",
        help="A finding in place of the agent's; again for each further one.",
        show_default=False,
    ),
]
Comment = Annotated[str, typer.Option("--comment", help="Kept with the decision.")]
Confirm = Annotated[
    bool,
    typer.Option(
        "--confirm", help="You have read description and findings and confirm them as they then stand."
    ),
]
Diagnosis = Annotated[
    str | None, typer.Option("--diagnosis", help="Another diagnosis than the agent's.", show_default=False)
]


@app.command("list")
def list_cases(
    status: Annotated[
        Literal[
            "running",
            "interrupted",
            "waiting for review",
            "abstained",
            "done",
            "signed",
            "rejected",
            "failed",
        ]
        | None,
        typer.Option("--status", help="Only these.", show_default=False),
    ] = None,
    site: options.Site = None,
    as_json: options.AsJson = False,
    home: options.Home = None,
) -> None:
    """The cases, newest first. Somebody works on those that run; interrupted ones can be resumed."""
    from videopath.agent.report.phrases import sureness_in_words
    from videopath.app.cli.console import emit_json, say, stdout, table
    from videopath.core.pathology.sites import canonical_site

    library = _library()
    entries = library.list(status, canonical_site(site) if site else None)
    if as_json:
        emit_json(json.dumps([entry.model_dump() for entry in entries], ensure_ascii=False, indent=2))
        return
    if not entries:
        say(f"There are no such cases in {library.home}.")
        return
    rows = (
        (
            entry.case_id,
            entry.state,
            entry.site or "",
            entry.diagnosis,
            "" if entry.status == "signed" else sureness_in_words(entry),
            entry.updated[:16].replace("T", " "),
        )
        for entry in entries
    )
    stdout().print(table(("case", "status", "site", "diagnosis", "confidence", "updated"), rows))


@app.command()
def show(
    case_id: CaseId,
    as_json: options.AsJson = False,
    markdown: Annotated[bool, typer.Option("--markdown", help="The whole report as Markdown.")] = False,
    trace: Annotated[bool, typer.Option("--trace", help="The steps so far, also of a running case.")] = False,
    home: options.Home = None,
) -> None:
    """Show a case: a summary, the report, or the trace. Of an unfinished one: the steps that it has finished."""
    from videopath.agent.cases.unfinished import report_so_far
    from videopath.app.cli.console import emit_json, plain, stdout
    from videopath.app.cli.summary import summary

    library = _library()
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
        if entry.status == "failed" and entry.comment:
            stdout().print(plain(f"It failed: {entry.comment}"))


@app.command()
def resume(
    case_id: CaseId,
    action: options.Action = None,
    reviewer: Reviewer = "",
    diagnosis: Diagnosis = None,
    description: Description = None,
    finding: Findings = None,
    drop: Annotated[
        list[str] | None,
        typer.Option("--drop", help="A similar case that the model may not see.", show_default=False),
    ] = None,
    segment: Annotated[
        str | None,
        typer.Option("--segment", metavar="START-END", help="Seconds to look at.", show_default=False),
    ] = None,
    comment: Comment = "",
    strict: options.Strict = False,
    as_json: options.AsJson = False,
    home: options.Home = None,
    verbose: options.Verbose = False,
) -> None:
    """Go on with a case that was stopped, or answer its review."""
    from videopath.agent.cases.signing import words_not_kept
    from videopath.app.cli.console import quiet_libraries
    from videopath.app.cli.running import deliver, follow, load_agent_of
    from videopath.core.errors import CaseError

    quiet_libraries(verbose)
    words = {"diagnosis": diagnosis, "description": description, "findings": finding}
    looks = {"drop": drop or [], "segment": _segment(segment)}
    _check_decision(action, {name: value for name, value in (words | looks).items() if value})
    library = _library()
    entry = library.entry(case_id)
    if library.finished(case_id):
        if action is not None:
            lost = words_not_kept(diagnosis, description, finding, comment)
            raise CaseError(f"Case {case_id} is {entry.status}: it does not wait for a decision.{lost}")
        deliver(library.get(case_id), as_json=as_json, strict=strict)
        return
    if entry.at_work:
        raise CaseError(
            f"Case {case_id} is being worked on by another process: wait for it to finish."
            + words_not_kept(diagnosis, description, finding, comment)
        )
    if entry.status == "waiting for review" and action is None:
        deliver(library.get(case_id), as_json=as_json)
    decision = None
    if action is not None:
        decision = {"action": action, "reviewer": reviewer, "comment": comment, **words, **looks}
    with load_agent_of(library, case_id) as agent:
        follow(library, case_id, lambda between: agent.stream_resume(case_id, decision, on_progress=between))
        deliver(library.get(case_id), as_json=as_json, strict=strict)


@app.command()
def sign(
    case_id: CaseId,
    reviewer: Annotated[str, typer.Option("--reviewer", help="Who signs.")],
    diagnosis: Diagnosis = None,
    description: Description = None,
    finding: Findings = None,
    comment: Comment = "",
    confirm: Confirm = False,
    as_json: options.AsJson = False,
    home: options.Home = None,
) -> None:
    """Sign a finished case, with your corrections; who, when and the comment are kept."""
    from videopath.app.cli.console import emit_json, say

    report = _library().sign(
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


@app.command()
def addendum(
    case_id: CaseId,
    reviewer: Annotated[str, typer.Option("--reviewer", help="Who adds it.")],
    text: Annotated[str, typer.Option("--text", help="What is added.")],
    diagnosis: Annotated[
        str | None,
        typer.Option("--diagnosis", help="Another diagnosis than the one signed.", show_default=False),
    ] = None,
    as_json: options.AsJson = False,
    home: options.Home = None,
) -> None:
    """Add to a signed case, with name and time; what was signed stays as it is."""
    from videopath.app.cli.console import emit_json, say

    report = _library().add_addendum(case_id, reviewer, text, diagnosis)
    if as_json:
        emit_json(report.to_json())
    else:
        say(f"Case {case_id} has an addendum by {reviewer}.")


@app.command()
def learn(
    case_id: CaseId,
    folder: Annotated[
        Path, typer.Argument(help="A knowledge base; it is made where there is none.", file_okay=False)
    ],
    confirm: Confirm = False,
    description: Description = None,
    finding: Findings = None,
    reviewer: Annotated[
        str | None, typer.Option("--reviewer", help="Who confirms or writes that.", show_default=False)
    ] = None,
    patient: Annotated[
        str | None,
        typer.Option("--patient", help="Whose other cases are never answered with it.", show_default=False),
    ] = None,
    group: Annotated[
        str | None,
        typer.Option(
            "--group", help="A study, say: its other cases are never answered with it.", show_default=False
        ),
    ] = None,
    home: options.Home = None,
    verbose: options.Verbose = False,
) -> None:
    """Make a signed case a record of a knowledge base, with its pictures and where it is from.

    Its description is a person's: confirmed with --confirm, or written with --description or --finding.
    """
    from videopath.agent.cases.learning import add_to_knowledge
    from videopath.app.cli.console import quiet_libraries

    quiet_libraries(verbose)
    report = _library().get(case_id)
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


@app.command()
def export(
    case_id: CaseId,
    path: Annotated[
        Path | None, typer.Argument(help="The file to write; default: ID.FORMAT here.", show_default=False)
    ] = None,
    form: Annotated[
        Literal["zip", "pdf", "md", "json"] | None,
        typer.Option(
            "--format",
            help="zip: the bundle of report, trace, frames and hashes; else the report. Default: as the file ends.",
            **options.choice("--format", "zip", "pdf", "md", "json"),
        ),
    ] = None,
    with_paths: Annotated[
        bool, typer.Option("--with-paths", help="Say where the files lie on this machine; else their names.")
    ] = False,
    home: options.Home = None,
) -> None:
    """Write a case as a bundle, or its report as PDF, Markdown or JSON."""
    library = _library()
    wanted = form if form is not None else _form_of(path)
    target = path or Path(f"{case_id}.{wanted}")
    target = target / f"{case_id}.{wanted}" if target.is_dir() else target
    typer.echo(library.export(case_id, target, wanted, with_paths=with_paths))


@app.command()
def delete(case_id: CaseId, yes: options.Yes = False, home: options.Home = None) -> None:
    """Delete a case with everything that belongs to it."""
    from videopath.app.cli.console import say

    library = _library()
    entry = library.entry(case_id)
    if not yes:
        if not sys.stdin.isatty():
            raise InputError(f"Deleting case {case_id} needs your word: add --yes.")
        typer.confirm(f"Delete case {case_id} ({entry.state})?", abort=True, err=True)
    library.delete(case_id)
    say(f"Case {case_id} is deleted.")


@app.command()
def replay(
    bundle: Annotated[Path, typer.Argument(help="A bundle that `cases export` wrote.")],
    video: Annotated[Path, typer.Argument(help="The case's video.")],
    model: options.Model = None,
    base: options.Base = None,
    knowledge: options.Knowledge = None,
    device: options.Device = None,
    accept_licence: options.AcceptLicence = False,
    as_json: options.AsJson = False,
    verbose: options.Verbose = False,
) -> None:
    """Run a case again from its bundle and say whether anything differs; exit code 1 when something does."""
    from videopath.agent.replay import replay as run
    from videopath.app.cli.console import StepDisplay, emit_json, quiet_libraries, stdout, table

    quiet_libraries(verbose)
    with StepDisplay() as display:
        result = run(
            bundle,
            video,
            model=model,
            base=base,
            knowledge=knowledge,
            device=device,
            accept_licence=accept_licence,
            on_step=display.finished,
        )
    if as_json:
        emit_json(result.model_dump_json(indent=2))
    else:
        console = stdout()
        for sentence in (*result.problems, *result.notes):
            console.print(sentence, markup=False)
        rows = ((d.field, d.before, d.after) for d in result.differences)
        console.print(table(("differs", "then", "now"), rows) if result.differences else "Nothing differs.")
    if not result.same:
        raise typer.Exit(1)


def _library() -> CaseLibrary:
    from videopath.agent.cases.library import load_case_library
    from videopath.core.settings import load_settings

    return load_case_library(load_settings().home)


def _confirmed_on_terminal(report: CaseReport) -> bool:
    """Show what would become knowledge and ask for a word on it, where somebody sits there to give it."""
    from videopath.agent.report.statements import is_confirmed
    from videopath.app.cli.console import say

    if report.status != "signed" or is_confirmed(report) or not sys.stdin.isatty():
        return False
    say(f"Description: {report.description or 'none'}")
    for finding in report.findings:
        say(f"Finding: {finding.text}")
    return typer.confirm("Do you confirm description and findings as they stand?", err=True)


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


def _check_decision(action: str | None, given: dict[str, Any]) -> None:
    """What can be told before anything is loaded; the rest is for the agent to say."""
    own = [f"--{name.removesuffix('s')}" for name in given]
    if action not in ("edit", "revise") and own:
        raise InputError(
            f"{', '.join(own)}: a correction of your own goes with --action edit or --action revise."
        )
    if action == "edit" and not {"diagnosis", "description", "findings"} & set(given):
        raise InputError("--action edit needs --diagnosis, --description or --finding.")
    if action == "edit" and {"drop", "segment"} & set(given):
        raise InputError("--drop and --segment go with --action revise: the agent then looks again.")
    if action == "revise" and "diagnosis" in given:
        raise InputError(
            "With --action revise the agent diagnoses again; --diagnosis goes with --action edit."
        )
    if action == "revise" and not given:
        raise InputError("--action revise needs --description, --finding, --drop or --segment.")


def _form_of(path: Path | None) -> ExportFormat:
    """The form of an export by the name of its file."""
    from videopath.agent.cases.library import EXPORT_FORMATS

    ending = path.suffix.lower().removeprefix(".") if path else ""
    return next((form for form in EXPORT_FORMATS if form == ending), "zip")


def _segment(text: str | None) -> dict[str, float] | None:
    if text is None:
        return None
    start, _, end = text.partition("-")
    try:
        seconds = {"start": float(start), "end": float(end)}
    except ValueError:
        seconds = {"start": 0.0, "end": 0.0}
    if not 0 <= seconds["start"] < seconds["end"] < math.inf:
        raise InputError(f"--segment {text[:40]!r} is not START-END in seconds, such as 2-4.5.")
    return seconds
