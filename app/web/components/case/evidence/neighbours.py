"""Similar cases in the order of their weight: pictures beside the case's own, and the answer without each of them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import streamlit as st

from videopath.agent.cases.records import CaseReport, SimilarCase
from videopath.agent.decision.without import AnswerWithout, answer_without, fusion_of
from videopath.agent.report.phrases import (
    BALLOT_COLUMNS,
    ballots_in_words,
    left_out_sentences,
    vote_in_words,
)
from videopath.agent.report.sections import ReportSection
from videopath.app.web.components.case.decision.review import open_corrections
from videopath.app.web.components.case.evidence.abstention import abstained
from videopath.app.web.components.case.evidence.record_pictures import (
    Moment,
    middle_square,
    moment_of_case,
    moment_of_record,
    records_of,
    side_of,
)
from videopath.app.web.components.case.outcome import blind_sentence
from videopath.app.web.components.knowledge.bases import open_base
from videopath.app.web.components.shared.inert import inert
from videopath.app.web.components.shared.links import go, open_case
from videopath.app.web.components.shared.tables import table
from videopath.app.web.components.shared.view import CaseView
from videopath.app.web.components.shared.words import explained
from videopath.app.web.runtime.services import Services
from videopath.core.errors import InputError, KnowledgeError
from videopath.tools.context import ranks_in_words
from videopath.tools.schemas import CaseBallot

if TYPE_CHECKING:
    from videopath.knowledge import InstructionRecord

_A_ROW = 3
_PICTURED = 5  # similar cases with pictures before "Show more": with the case itself two rows
_CASE_PREFIX = "case-"  # of the ids of records from signed cases
Without = Callable[[str], str]
"""Record id → what the answer would be without it; empty if it has no vote."""


@dataclass(frozen=True)
class Neighbour:
    """A similar case by its words, by its vote, or by both."""

    id: str
    diagnosis: str
    case: SimilarCase | None = None
    ballot: CaseBallot | None = None

    @property
    def weight(self) -> float:
        """Its weight in the vote; 0 if it has no vote."""
        return self.ballot.weight if self.ballot else 0.0


def neighbours(view: CaseView, shared: Services) -> None:
    """Draw the similar cases, those with the greatest weight first, and their vote."""
    vote, report = view.evidence.vote, view.report
    with st.container(key="neighbours", gap="xsmall"):
        title = "Cases found as leads" if abstained(view.report) else ReportSection.SIMILAR_CASES.value
        st.header(title, anchor=False, help=explained("similarity", "kept", "rank", "vote", "blind"))
        if sentence := blind_sentence(view):
            st.caption(inert(sentence))
        folder, records = _records(view, shared)
        by_weight = in_order(view.evidence.similar, vote.ballots if vote else (), set(records))
        if not by_weight:
            st.text("No similar case was found, or the search has not run yet.")
        without = _without(view)
        moments = _moments(view, shared, folder, records)
        if not moments:
            for place, one in enumerate(by_weight, 1):
                _row(place, one, without, folder, abstained(view.report))
        grid = st.container(gap="xsmall")
        if vote is not None:
            st.text(vote_in_words(vote))
            with st.expander(f"{ReportSection.VOTE.value}, and the answer without each", type="compact"):
                rows = [(*row, without(row[0])) for row in ballots_in_words(vote)]
                table((*BALLOT_COLUMNS, "without it"), rows)
        for excluded in left_out_sentences(report) if report else ():
            st.caption(inert(excluded))
        if moments:
            first = by_weight if st.session_state.get(_all_key(view)) else by_weight[:_PICTURED]
            with grid:
                _grid(view, first, moments, without, folder)
                if len(by_weight) > len(first):
                    st.button(
                        f"Show {len(by_weight) - len(first)} more, of less weight",
                        key="more_similar",
                        type="tertiary",
                        icon=":material/expand_more:",
                        on_click=st.session_state.update,
                        args=({_all_key(view): True},),
                    )


def _all_key(view: CaseView) -> str:
    return f"all_similar:{view.case_id}"


def in_order(
    similar: Sequence[SimilarCase], ballots: Sequence[CaseBallot], known: set[str]
) -> list[Neighbour]:
    """Return the similar cases by their weight in the vote; those without a vote follow in the order of the search.

    Args:
        similar: The similar cases of the search.
        ballots: The votes.
        known: The records that the base has; votes of others, such as reference tissue, are only in the vote's table.
    """
    votes, found = {ballot.id: ballot for ballot in ballots}, {case.id for case in similar}
    both = [Neighbour(case.id, case.diagnosis, case, votes.get(case.id)) for case in similar]
    alone = [
        Neighbour(ballot.id, ballot.diagnosis, None, ballot)
        for ballot in ballots
        if ballot.id not in found and ballot.id in known
    ]
    return sorted([*both, *alone], key=lambda one: -one.weight)


def without_in_words(said: AnswerWithout | None, answer: str) -> str:
    """Return in a sentence what the answer would be without a similar case; empty if it has no vote.

    Args:
        said: The answer without it.
        answer: The answer of the agent with all similar cases.
    """
    if said is None:
        return ""
    if not said.cases:
        return "no similar case would vote"
    cases = f"the similar cases would say {said.cases} ({said.share:.0%})"
    if not said.answer:
        return cases
    probability = "" if said.probability is None else f" ({said.probability:.0%})"
    if said.basis == "model":
        return f"still {said.answer}, since the model leads here; {cases}"
    return f"{'still' if said.answer == answer else 'then'} {said.answer}{probability}; {cases}"


def _without(view: CaseView) -> Without:
    vote, report, differential = view.evidence.vote, view.report, view.evidence.differential
    if vote is None or report is None:
        return lambda record_id: ""
    basis, exponent = fusion_of(report)
    answer = differential[0].label if differential else ""

    def said(record_id: str) -> str:
        return without_in_words(answer_without(vote, differential, [record_id], basis, exponent), answer)

    return said


def _records(view: CaseView, shared: Services) -> tuple[Path | None, dict[str, InstructionRecord]]:
    """The folder of the case's base and the records there; the starter has no pictures and is not opened."""
    used: CaseReport | None = view.report
    folder = Path(used.settings.knowledge) if used and used.settings.knowledge else None
    if folder is None:
        return None, {}
    vote = view.evidence.vote
    ballots = vote.ballots if vote else []
    ids = [case.id for case in view.evidence.similar] + [ballot.id for ballot in ballots]
    try:
        return folder, records_of(open_base(folder), list(dict.fromkeys(ids)))
    except (InputError, KnowledgeError, OSError) as error:
        st.caption(inert(f"The knowledge base of this case cannot be opened: {error}"))
        return folder, {}


def _moments(
    view: CaseView, shared: Services, folder: Path | None, records: dict[str, InstructionRecord]
) -> dict[str, Moment]:
    """Record id → the picture of each record whose file is at hand."""
    if folder is None:
        return {}
    places = {key: moment_of_record(record, folder, shared, view.writing) for key, record in records.items()}
    return {key: place for key, place in places.items() if place is not None}


def _grid(
    view: CaseView,
    by_weight: Sequence[Neighbour],
    moments: dict[str, Moment],
    without: Without,
    folder: Path | None,
) -> None:
    """The case's own picture first, then the similar cases, row by row; the pictures come when all else is drawn."""
    own = moment_of_case(view)
    cells: list[Neighbour | None] = [None, *by_weight] if own else [*by_weight]
    slots = {}
    scale = st.empty()
    for first in range(0, len(cells), _A_ROW):
        row = cells[first : first + _A_ROW]
        for column, one in zip(st.columns(_A_ROW, gap="small"), row, strict=False):
            place = 0 if one is None else by_weight.index(one) + 1
            with column, st.container(gap="xsmall", border=True, key=f"similar_cell_{place}"):
                slots["" if one is None else one.id] = st.empty()
                if one is None:
                    st.markdown("**This case**")
                else:
                    _card(place, one, without, folder, abstained(view.report))
    picture = own.read() if own else None
    side = side_of(picture)
    scale.caption(f"Each picture shows {side} × {side} pixels of its source, from the middle of a frame.")
    if picture is not None:
        slots[""].image(middle_square(picture, side), width="stretch", alt="this case, the middle of a frame")
    for one in by_weight:
        picture = moments[one.id].read() if one.id in moments else None
        if picture is not None:
            alt = f"similar case {one.id}, {one.diagnosis}, the middle of a frame"
            slots[one.id].image(middle_square(picture, side), width="stretch", alt=alt)


def _row(place: int, one: Neighbour, without: Without, folder: Path | None, drafts: bool) -> None:
    """A case without a picture, on one line that unfolds."""
    said, _, _ = without(one.id).partition("; ")
    title = f"**{place} · {inert(one.diagnosis)}** · {inert(_facts(one))}"
    with st.expander(title + (inert(f" · without it: {said}") if said else ""), key=f"neighbour_{place}"):
        _unfolded(place, one, without, folder, drafts)


def _card(place: int, one: Neighbour, without: Without, folder: Path | None, drafts: bool) -> None:
    st.markdown(f"**{place} · {inert(one.diagnosis)}**")
    said, _, _ = without(one.id).partition("; ")
    if said:
        st.caption(inert(f"Without it: {said}."))
    weight = f"vote {one.weight:.2f}" if one.ballot else "no vote"
    dropped = ", dropped" if one.case and not one.case.kept else ""
    with st.expander(weight + dropped, type="compact"):
        st.caption(inert(_facts(one)))
        _unfolded(place, one, without, folder, drafts)


def _facts(one: Neighbour) -> str:
    similarity = one.case.score if one.case else one.ballot.similarity if one.ballot else 0.0
    facts = [
        f"vote {one.weight:.2f}" if one.ballot else "no vote by its picture",
        f"similarity {similarity:.2f}",
    ]
    return " · ".join([*facts, *(["dropped"] if one.case and not one.case.kept else [])])


def _unfolded(place: int, one: Neighbour, without: Without, folder: Path | None, drafts: bool) -> None:
    """The record's words, what the others would say, and what can be done with it."""
    if of_cases := without(one.id).partition("; ")[2]:
        st.text(f"Without it, {of_cases}.")
    _details(one)
    with st.container(horizontal=True, gap="xsmall"):
        _open(place, one, folder)
        if drafts:
            st.button(
                "Take as my draft",
                key=f"draft_{place}",
                icon=":material/edit_note:",
                on_click=open_corrections,
                args=(one.diagnosis,),
            )


def _details(one: Neighbour) -> None:
    case = one.case
    if case is None:
        st.text("It was found by its picture only.")
        return
    if case.kept:
        st.badge("kept", icon=":material/check:", color="green", help="The model was shown it as evidence.")
    else:
        st.badge("dropped", icon=":material/block:", color="gray")
    if ranks := ranks_in_words(case.ranks):
        st.caption(f"ranks: {ranks}")
    st.text(case.description)
    st.caption(inert(f"{case.id} · from {case.source}" + (f" · {case.why}" if case.why else "")))


def _open(place: int, one: Neighbour, folder: Path | None) -> None:
    """The way to the case that the record was learned from, else to the record on the page Knowledge."""
    from videopath.app.web.runtime.services import services

    case_id = one.id.removeprefix(_CASE_PREFIX)
    if case_id != one.id and services().library.folder(case_id).exists():
        if st.button("Open its case", key=f"open_similar_{place}", icon=":material/clinical_notes:"):
            open_case(case_id)
    elif st.button("Open in Knowledge", key=f"open_similar_{place}", icon=":material/menu_book:"):
        go("knowledge", record=one.id, **({"base": str(folder)} if folder else {}))
