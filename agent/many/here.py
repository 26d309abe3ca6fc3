"""Many cases by one agent, in this process: ``DiagnosticAgent.diagnose_many``."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import nullcontext
from pathlib import Path
from typing import TYPE_CHECKING

from videopath.agent.cases.request import CaseRequest
from videopath.agent.many.journal import open_folder
from videopath.agent.many.manifest import Row, checked_scale, writable
from videopath.agent.many.pool import OneAgent
from videopath.agent.many.results import ResultRow, Rows, write_results
from videopath.agent.many.run import Batch, OnResult
from videopath.core.errors import InputError
from videopath.core.pathology.sites import canonical_site
from videopath.core.remote import Place, is_address, place
from videopath.core.text import has_half_characters
from videopath.media.crop import checked_crop

if TYPE_CHECKING:
    from videopath.agent.agent import DiagnosticAgent


def diagnose_here(
    agent: DiagnosticAgent,
    requests: Iterable[str | Path | CaseRequest],
    *,
    out: Place | None,
    retry_failed: bool,
    on_result: OnResult | None,
) -> Iterator[ResultRow]:
    """Yield the row of each request as it ends; see :meth:`videopath.agent.DiagnosticAgent.diagnose_many`."""
    rows = (_row(number, request) for number, request in enumerate(requests, start=1))
    folder = None if out is None else open_folder(out)
    ended = Rows()
    with nullcontext() if folder is None else folder.held():
        batch = Batch(rows, OneAgent(agent), folder=folder, retry_failed=retry_failed, on_result=on_result)
        try:
            for result in batch.run():
                if folder is not None:
                    ended.add(result)
                yield result
        finally:
            if folder is not None:
                write_results(folder.path, ended)
                folder.publish()


def _place(name: str) -> Place:
    one = place(name)
    return one.expanduser().absolute() if isinstance(one, Path) else one


def _row(number: int, request: str | Path | CaseRequest) -> Row:
    asked = request if isinstance(request, CaseRequest) else CaseRequest(request)
    name = str(asked.video)
    try:
        if has_half_characters(name) or not name or "\0" in name:
            raise InputError(f"The path {writable(name)[:200]!r} is not a valid path.")
        return Row(
            number,
            _place(name),
            site=canonical_site(asked.site) if asked.site else None,
            question=asked.question,
            start=asked.start,
            end=asked.end,
            sampling=asked.sampling,
            exclude=tuple(asked.exclude),
            crop=None if asked.crop is None else checked_crop(asked.crop),
            um_per_pixel=None if asked.um_per_pixel is None else checked_scale(asked.um_per_pixel),
            writing=asked.writing,
            masks=asked.masks,
        )
    except (InputError, RuntimeError) as error:  # RuntimeError: an unknown ~user
        return Row(number, Path() if is_address(name) else Path(writable(name)), problem=str(error))
