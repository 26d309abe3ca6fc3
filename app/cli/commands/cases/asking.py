"""``videopath cases ask``: a question about a case that has a report."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from videopath.app.cli import options
from videopath.app.cli.commands.cases.options import CaseId, open_library

if TYPE_CHECKING:
    from videopath.agent import FollowUp


def ask(
    case_id: CaseId,
    question: Annotated[str, typer.Argument(help="Your question.")],
    as_json: options.AsJson = False,
    home: options.Home = None,
    verbose: options.Verbose = False,
) -> None:
    """Ask the model about a case with a report. The answer is kept beside it, and is not part of the diagnosis."""
    from videopath.agent.report.phrases import follow_up_source
    from videopath.app.cli.console import emit_json, plain, quiet_libraries, say, stdout
    from videopath.app.cli.running import load_agent_of

    quiet_libraries(verbose)
    library = open_library()
    library.get(case_id)  # fail fast on a case without a report
    console = stdout()

    def write(text: str) -> None:
        console.print(plain(text), end="", soft_wrap=True)

    with load_agent_of(library, case_id) as agent:
        asked = agent.ask(case_id, question, on_token=None if as_json else write)
    if as_json:
        emit_json(asked.model_dump_json(indent=2))
        return
    console.print()
    console.print(plain(_verdict(asked)), soft_wrap=True)
    say(follow_up_source(asked))


def _verdict(asked: FollowUp) -> str:
    """Return whether the answer that was written above fits the question."""
    if not asked.answered:
        return f"Not answered: {asked.why_not}"
    return "This answer is not part of the diagnosis, and nobody has checked it."
