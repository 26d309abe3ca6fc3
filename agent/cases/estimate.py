"""Estimates of how long a case takes, from earlier cases of the same model."""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Iterator
from statistics import median
from typing import Any

from videopath.agent.cases.library import INPUTS_NAME, CaseEntry, CaseLibrary
from videopath.agent.cases.records import Step
from videopath.agent.cases.trace import DAMAGED, TRACE_NAME, read_trace
from videopath.agent.graph.steps import ACTIVITIES
from videopath.core.errors import CaseError

_MAX_CASES = 20  # the latest of the model: machines and settings change
_PAGE, _PAGES = 100, 5  # older cases say little, and their folders would all be read
_REVIEW = "review"  # takes as long as the person takes


def expected_seconds(library: CaseLibrary, model: str) -> dict[str, float]:
    """Return the median seconds of each step, over the latest 20 cases of a model among the latest 500 of all.

    Args:
        library: The library with the cases.
        model: Its name in reports, or what the cases were started with ("nano", a folder, a hub id).

    Returns:
        Step name → seconds; empty if there is no such case.
    """
    return _medians((step.name, step.seconds) for step in _steps(library, model))


def expected_activities(library: CaseLibrary, model: str) -> dict[str, float]:
    """Return the median seconds of each activity, such as "loading the model", as :func:`expected_seconds` does."""
    durations: Iterator[tuple[str, float]] = (
        (activity, seconds)
        for step in _steps(library, model)
        for activity, seconds in step.detail.get(ACTIVITIES, {}).items()
    )
    return _medians(durations)


def _medians(values: Iterator[tuple[str, float]]) -> dict[str, float]:
    by_name: dict[str, list[float]] = defaultdict(list)
    for name, seconds in values:
        by_name[name].append(seconds)
    return {name: round(median(seconds), 3) for name, seconds in by_name.items()}


def _steps(library: CaseLibrary, model: str) -> Iterator[Step]:
    pages = (library.list(limit=_PAGE, offset=number * _PAGE) for number in range(_PAGES))
    cases = (entry for page in pages for entry in page if model in _model_names(library, entry))
    for entry, _ in zip(cases, range(_MAX_CASES), strict=False):
        try:
            steps = read_trace(library.folder(entry.case_id) / TRACE_NAME)
        except CaseError:
            continue  # an unreadable trace has no times
        yield from (step for step in steps if step.name not in (_REVIEW, DAMAGED))


def _model_names(library: CaseLibrary, entry: CaseEntry) -> set[str]:
    """Return the names of a case's model: that of its report, and what the case was started with."""
    try:
        inputs: Any = json.loads((library.folder(entry.case_id) / INPUTS_NAME).read_bytes())
        return {entry.model, str(inputs["settings"]["model"])}
    except (OSError, ValueError, KeyError, TypeError, RecursionError):
        return {entry.model}
