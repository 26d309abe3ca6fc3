"""The findings of a case, in its viewer."""

from __future__ import annotations

from videopath.app.web.components.shared.view import CaseView
from videopath.app.web.components.viewer.column import _column
from videopath.app.web.runtime.services import services


def findings(view: CaseView) -> None:
    """Draw the viewer with the findings."""
    _column(view, services())
