"""The drawings of the comparison of two runs, each a section of the page."""

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
from videopath.app.web.components.case.charts import differentials, in_words
from videopath.app.web.components.compare import comparison
from videopath.app.web.components.shared.choices import knowledge_name
from videopath.app.web.components.shared.inert import inert
from videopath.app.web.components.shared.links import open_case
from videopath.app.web.components.shared.status import status_badge
from videopath.app.web.components.shared.tables import table
from videopath.tools.context import ranks_in_words

if TYPE_CHECKING:
    from videopath.agent import CaseReport, SimilarCase

NAMES = ("A", "B")


def outcomes(first: CaseReport, second: CaseReport) -> None:
    """Diagnosis, status and confidence of both."""
    with st.container(key="outcomes"):
        for name, report, column in zip(NAMES, (first, second), st.columns(2), strict=True):
            with column, st.container(border=True):
                st.caption(f"Run {name}")
                st.markdown(f"### {inert(diagnosis_in_words(report))}")
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
                    delta=f"{100 * change:+.0f} points against A"
                    if name == "B" and comparable and abs(change) >= 0.005
                    else None,
                    delta_color="off",
                )
                for statement in statements(report):
                    st.text(str(statement))
                if report.blind_diagnosis:
                    st.caption(retrieval_sentence(report))
                if st.button("Open", key=f"open_{name}", icon=":material/open_in_full:"):
                    open_case(report.case_id)


def asked(first: CaseReport, second: CaseReport) -> None:
    """The settings that differ; those that do not, folded away."""
    st.subheader("What was asked")
    pairs = comparison.settings(first, second)
    differing = [pair for pair in pairs if pair.differs]
    if differing:
        table(("differs", *NAMES), [(pair.name, pair.first, pair.second) for pair in differing])
    else:
        st.info("Both runs were asked the same, by the same model.", icon=":material/equal:")
    with st.expander("What was the same"):
        table(("", "both"), [(pair.name, pair.first) for pair in pairs if not pair.differs])


def differential(first: CaseReport, second: CaseReport) -> None:
    """Both differentials in one chart."""
    st.subheader("Differential")
    (own, others), (own_too, others_too) = by_organ(first.differential), by_organ(second.differential)
    runs = (own, own_too, NAMES)
    st.altair_chart(differentials(*runs), width="stretch", key="differentials", alt=in_words(*runs))
    for name, foreign in zip(NAMES, (others, others_too), strict=True):
        if foreign:
            with st.expander(f"Run {name}: {other_organs_in_words(foreign)}"):
                table(("diagnosis", "probability"), [(c.label, f"{c.probability:.1%}") for c in foreign])


def findings(first: CaseReport, second: CaseReport) -> None:
    """What was seen, and which of it only one run saw."""
    st.subheader("Findings")
    said = [{finding.text for finding in report.findings} for report in (first, second)]
    for name, report, other, column in zip(NAMES, (first, second), said[::-1], st.columns(2), strict=True):
        with column:
            st.caption(f"Run {name}")
            for finding in report.findings:
                mark = "" if finding.text in other else f"  (only {name})"
                when = f"{finding.seconds:.1f} s" if finding.was_seen else "–"
                st.text(f"{when}  {finding.text}{mark} ({basis_in_words(finding)})")


def similar(first: CaseReport, second: CaseReport) -> None:
    """The similar cases of both runs and of one alone."""
    st.subheader("Similar cases")
    found = comparison.similar(first, second)
    both, ours, theirs = st.columns(3)
    with both:
        st.caption(f"found by both: {len(found.both)}")
        for case, again in found.both:
            _case(case, again)
    for name, cases, column in (("A", found.only_first, ours), ("B", found.only_second, theirs)):
        with column:
            st.caption(f"only by {name}: {len(cases)}")
            for case in cases:
                _case(case)
    left_out = [
        (name, told)
        for name, report in zip(NAMES, (first, second), strict=True)
        for told in left_out_sentences(report)
    ]
    for name, told in left_out:
        st.caption(inert(f"{name}: {told}"))


def _case(*runs: SimilarCase) -> None:
    """A similar case as one run or both found it; what differs is said of both."""

    def said(*words: str) -> str:
        return " and ".join(dict.fromkeys(word for word in words if word))

    with st.container(border=True, gap=None):
        st.markdown(f"**{inert(runs[0].diagnosis or 'no diagnosis')}**")
        score = said(*(f"{case.score:.2f}" for case in runs))
        used = said(*("kept" if case.kept else "not used" for case in runs))
        st.caption(inert(f"similarity {score} · {used} · {runs[0].source}"))
        if ranks := said(*(ranks_in_words(case.ranks) for case in runs)):
            st.caption(f"ranks: {ranks}")


def steps(first: CaseReport, second: CaseReport) -> None:
    """How long each step took, and what it said."""
    st.subheader("Steps")
    pairs = comparison.steps(first, second)
    rows = [
        (pair.name, *(f"{step.seconds:.1f} s" if step else "not taken" for step in (pair.first, pair.second)))
        for pair in pairs
    ]
    whole = (f"{sum(step.seconds for step in report.steps):.1f} s" for report in (first, second))
    table(("step", *NAMES), [*rows, ("together", *whole)])
    with st.expander("What each step said"):
        table(
            ("step", *NAMES),
            [(p.name, *(step.summary if step else "" for step in (p.first, p.second))) for p in pairs],
        )
