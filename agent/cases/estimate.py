"""How long a case will take, from how long earlier ones took with the same model."""

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

_CASES = 20  # the latest ones of the model; machines and settings change
_BY_A_PERSON = "review"  # lasts as long as the person takes


def expected_seconds(library: CaseLibrary, model: str) -> dict[str, float]:
    """Median seconds by step over the latest cases of a model; empty when there are none.

    ``model``: its name in reports, or what the cases were begun with ("nano", a folder, a hub id).
    """
    return _medians((step.name, step.seconds) for step in _steps(library, model))


def expected_activities(library: CaseLibrary, model: str) -> dict[str, float]:
    """Median seconds by what ``Progress`` tells as an activity, such as "loading the model" or "writing"."""
    found: Iterator[tuple[str, float]] = (
        (activity, seconds)
        for step in _steps(library, model)
        for activity, seconds in step.detail.get(ACTIVITIES, {}).items()
    )
    return _medians(found)


def _medians(values: Iterator[tuple[str, float]]) -> dict[str, float]:
    found: dict[str, list[float]] = defaultdict(list)
    for name, seconds in values:
        found[name].append(seconds)
    return {name: round(median(seconds), 3) for name, seconds in found.items()}


def _steps(library: CaseLibrary, model: str) -> Iterator[Step]:
    cases = (entry for entry in library.list() if model in _names(library, entry))
    for entry, _ in zip(cases, range(_CASES), strict=False):
        try:
            steps = read_trace(library.folder(entry.case_id) / TRACE_NAME)
        except CaseError:
            continue  # a trace that cannot be read says nothing about time
        yield from (step for step in steps if step.name not in (_BY_A_PERSON, DAMAGED))


def _names(library: CaseLibrary, entry: CaseEntry) -> set[str]:
    """What a case's model is called: by its report, and by what it was begun with."""
    try:
        inputs: Any = json.loads((library.folder(entry.case_id) / INPUTS_NAME).read_bytes())
        return {entry.model, str(inputs["settings"]["model"])}
    except (OSError, ValueError, KeyError, TypeError, RecursionError):
        return {entry.model}
