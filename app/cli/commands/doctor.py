"""``videopath doctor``: check the installation."""

from __future__ import annotations

import json
from dataclasses import asdict
from typing import TYPE_CHECKING

import typer

from videopath.app.cli.errors import EXIT_FAILED
from videopath.app.cli.options import AsJson, Home

if TYPE_CHECKING:
    from collections.abc import Sequence

    from videopath.app.cli.installation import Check


def doctor(as_json: AsJson = False, home: Home = None) -> None:
    """Check the installation: what works, what is missing, and what to do about it."""
    from videopath.app.cli.console import emit_json, quiet_libraries
    from videopath.app.cli.installation import check_installation
    from videopath.core.notice import RESEARCH_USE

    quiet_libraries(verbose=False)
    checks = check_installation()
    ok = all(check.ok for check in checks)
    if as_json:
        document = {"ok": ok, "checks": [asdict(check) for check in checks], "notice": RESEARCH_USE}
        emit_json(json.dumps(document, indent=2))
    else:
        _show(checks, ok)
    if not ok:
        raise typer.Exit(EXIT_FAILED)


def _show(checks: Sequence[Check], ok: bool) -> None:
    from videopath.app.cli.console import stdout, table
    from videopath.core.notice import RESEARCH_USE

    rows = [("ok" if check.ok else "MISSING", check.name, check.found, check.advice) for check in checks]
    console = stdout()
    console.print(table(("", "what", "found", "what to do"), rows))
    console.print("Everything is here." if ok else "Something is missing: see “what to do” above.")
    console.print(RESEARCH_USE, markup=False)
