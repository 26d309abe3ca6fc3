"""The sections of the page Compare."""

from __future__ import annotations

from typing import TYPE_CHECKING

import streamlit as st

from videopath.agent.report.phrases import (
    basis_in_words,
    by_organ,
    diagnosis_in_words,
    left_out_sentences,
    other_organs_in_words,
)
from videopath.agent.report.statements import retrieval_sentence, statements
from videopath.app.figures.differentials import differentials, differentials_in_words
from videopath.app.web.components.compare import comparison
from videopath.app.web.components.shared.choices import knowledge_name
from videopath.app.web.components.shared.inert import inert
from videopath.app.web.components.shared.links import open_case
from videopath.app.web.components.shared.palette import palette
from videopath.app.web.components.shared.status import status_badge
from videopath.app.web.components.shared.tables import table
from videopath.app.web.components.shared.words import explained
from videopath.tools.context import ranks_in_words

if TYPE_CHECKING:
    from videopath.agent import CaseReport, SimilarCase

NAMES = ("A", "B")


def outcomes(first: CaseReport, second: CaseReport) -> None:
    """Draw diagnosis, status and confidence of both runs."""
    with st.container(key="outcomes"):
        for name, report, column in zip(NAMES, (first, second), st.columns(2), strict=True):
            with column, st.container(border=True):
                st.caption(f"Run {name}")
                st.header(inert(diagnosis_in_words(report)), anchor=f"run-{name.lower()}")
                frames = len(report.video.seconds) if report.video else 0
                facts = (report.model, knowledge_name(report.settings.knowledge), f"{frames} frames")
                st.caption(inert(" · ".join(facts)))
                status_badge(report.status if report.status != "running" else "interrupted")
                change = report.confidence - first.confidence
                comparable = all(one.provenance.get("calibrated") is not False for one in (first, second))
                fitted = report.provenance.get("calibrated") is not False
                st.metric(
                    "confidence of the agent" if report.has_persons_diagnosis else "confidence",
                    f"{report.confidence:.0%}" if fitted else "not calibrated",
                    delta=f"{100 * change:+.0f} points from A"
                    if name == "B" and comparable and abs(change) >= 0.005
                    else None,
                    delta_color="off",
                    help=explained("confidence", "calibrated"),
                )
                for statement in statements(report):
                    st.text(str(statement))
                if report.blind_diagnosis:
                    st.caption(retrieval_sentence(report))
                if st.button("Open", key=f"open_{name}", icon=":material/open_in_full:"):
                    open_case(report.case_id)


def settings(first: CaseReport, second: CaseReport) -> None:
    """Draw the settings that differ; the others are folded."""
    st.header("Settings", anchor=False)
    pairs = comparison.settings(first, second)
    differing = [pair for pair in pairs if pair.differs]
    if differing:
        table(("differs", *NAMES), [(pair.name, pair.first, pair.second) for pair in differing])
    else:
        st.info("Both runs have the same question, model and settings.", icon=":material/equal:")
    with st.expander("Equal settings"):
        table(("", "both"), [(pair.name, pair.first) for pair in pairs if not pair.differs])


def differential(first: CaseReport, second: CaseReport) -> None:
    """Draw both differentials in one chart."""
    st.header("Differential", anchor=False, help=explained("blind", "vote"))
    (own, others), (own_too, others_too) = by_organ(first.differential), by_organ(second.differential)
    runs = (own, own_too, NAMES)
    st.altair_chart(
        differentials(*runs, palette()),
        width="stretch",
        key="differentials",
        alt=differentials_in_words(*runs),
    )
    for name, foreign in zip(NAMES, (others, others_too), strict=True):
        if foreign:
            with st.expander(f"Run {name}: {other_organs_in_words(foreign)}"):
                table(("diagnosis", "probability"), [(c.label, f"{c.probability:.1%}") for c in foreign])


def findings(first: CaseReport, second: CaseReport) -> None:
    """Draw the findings of both runs, and mark those of one run only."""
    st.header("Findings", anchor=False)
    texts = [{finding.text for finding in report.findings} for report in (first, second)]
    for name, report, other, column in zip(NAMES, (first, second), texts[::-1], st.columns(2), strict=True):
        with column:
            st.caption(f"Run {name}")
            for finding in report.findings:
                mark = "" if finding.text in other else f"  (only {name})"
                when = f"{finding.seconds:.1f} s" if finding.has_moment else "–"
                st.text(f"{when}  {finding.text}{mark} ({basis_in_words(finding)})")


def similar(first: CaseReport, second: CaseReport) -> None:
    """Draw the similar cases of both runs, and those of one run only."""
    st.header("Similar cases", anchor=False, help=explained("similarity", "kept", "rank"))
    sets = comparison.similar(first, second)
    both, ours, theirs = st.columns(3)
    with both:
        st.caption(f"found by both: {len(sets.both)}")
        for case, again in sets.both:
            _case(case, again)
    for name, cases, column in (("A", sets.only_first, ours), ("B", sets.only_second, theirs)):
        with column:
            st.caption(f"only by {name}: {len(cases)}")
            for case in cases:
                _case(case)
    left_out = [
        (name, sentence)
        for name, report in zip(NAMES, (first, second), strict=True)
        for sentence in left_out_sentences(report)
    ]
    for name, sentence in left_out:
        st.caption(inert(f"{name}: {sentence}"))


def _case(*runs: SimilarCase) -> None:
    """A similar case of one run or both; values that differ are joined."""

    def joined(*words: str) -> str:
        return " and ".join(dict.fromkeys(word for word in words if word))

    with st.container(border=True, gap=None):
        st.markdown(f"**{inert(runs[0].diagnosis or 'no diagnosis')}**")
        score = joined(*(f"{case.score:.2f}" for case in runs))
        used = joined(*("kept" if case.kept else "dropped" for case in runs))
        st.caption(inert(f"similarity {score} · {used} · {runs[0].source}"))
        if ranks := joined(*(ranks_in_words(case.ranks) for case in runs)):
            st.caption(f"ranks: {ranks}")


def steps(first: CaseReport, second: CaseReport) -> None:
    """Draw the times and summaries of the steps."""
    st.header("Steps", anchor=False, help=explained("look"))
    pairs = comparison.steps(first, second)
    rows = [
        (pair.name, *(f"{step.seconds:.1f} s" if step else "not taken" for step in (pair.first, pair.second)))
        for pair in pairs
    ]
    totals = (f"{sum(step.seconds for step in report.steps):.1f} s" for report in (first, second))
    table(("step", *NAMES), [*rows, ("total", *totals)])
    with st.expander("Summaries of the steps"):
        table(
            ("step", *NAMES),
            [(p.name, *(step.summary if step else "" for step in (p.first, p.second))) for p in pairs],
        )
