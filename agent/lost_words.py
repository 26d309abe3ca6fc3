"""A person whose decision or signature is refused gets their words back with the reason."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager

from videopath.agent.records import Decision
from videopath.core.errors import CaseError

_MARK = "Your words were not kept"


@contextmanager
def giving_back(
    diagnosis: str | None = None,
    description: str | None = None,
    findings: Sequence[str] | None = None,
    comment: str = "",
) -> Iterator[None]:
    """Add these words to the ``CaseError`` of the block, which would lose them."""
    words = {
        "diagnosis": diagnosis,
        "description": description,
        "findings": " / ".join(findings or ()),
        "comment": comment,
    }
    typed = [f"{name}: {text.strip()}" for name, text in words.items() if text and text.strip()]
    try:
        yield
    except CaseError as error:
        if not typed or _MARK in str(error):
            raise
        raise CaseError(f"{error} {_MARK}: {'; '.join(typed)}") from error


@contextmanager
def giving_back_decision(decision: Decision | None) -> Iterator[None]:
    """``giving_back`` with the words of a decision, where there is one."""
    if decision is None:
        yield
        return
    with giving_back(decision.diagnosis, decision.description, decision.findings, decision.comment):
        yield
