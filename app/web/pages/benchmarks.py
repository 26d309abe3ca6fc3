"""The page Benchmarks: the figures of kept evaluations, as plots and tables."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import streamlit as st

from videopath.app.figures import plots
from videopath.app.web.components.benchmarks.set_report import set_report
from videopath.app.web.components.shared.inert import inert
from videopath.app.web.components.shared.palette import palette
from videopath.app.web.components.shared.status import age
from videopath.app.web.components.shared.tables import table
from videopath.app.web.runtime.services import services
from videopath.core.errors import InputError

if TYPE_CHECKING:
    from videopath.evaluation.kept import Evaluation
    from videopath.evaluation.stats.estimates import Share
    from videopath.evaluation.tiles.clips import Summary

_NONE_YET = """
There is no evaluation on this machine yet. The commands below keep their figures for this page. The first measures the
agent on held-out clips; DIR holds `manifest.csv` and the tiles. The second measures agent, model, similar cases and
colour on a test set; SET holds the questions. The third measures the agent with your own cases as knowledge base;
CASES.csv holds path, site, diagnosis and group.
"""


def show() -> None:
    """Draw the latest evaluation, or the chosen one."""
    from videopath.evaluation.kept import list_evaluations
    from videopath.evaluation.lab import list_lab_reports
    from videopath.evaluation.testsets.summary import list_set_reports

    st.title("Benchmarks")
    sets, labs = list_set_reports(services().home), list_lab_reports(services().home)
    files = sorted(
        [*sets, *labs, *list_evaluations(services().home)], key=lambda path: path.name, reverse=True
    )
    if not files:
        st.info(_NONE_YET, icon=":material/monitoring:")
        st.code("videopath evaluate --data DIR", language="bash")
        st.code("videopath evaluate SET", language="bash")
        st.code("videopath evaluate lab --base CASES.csv", language="bash")
        st.caption("The figures of the bundled model are in its model card, on the page About.")
        return
    file: Path = files[0]
    if len(files) > 1:
        file = st.selectbox("Evaluation", files, format_func=lambda path: path.stem, key="evaluation")
    try:
        (_show_set if file in sets else _show_lab if file in labs else _show_clips)(file)
    except InputError as error:
        st.error("This evaluation cannot be shown.", icon=":material/error:")
        st.text(str(error))


def _show_set(file: Path) -> None:
    from videopath.evaluation.testsets.summary import read_set_report

    set_report(read_set_report(file), file)


def _show_lab(file: Path) -> None:
    from videopath.app.figures.lab import SYSTEMS, lines, systems, title
    from videopath.evaluation.lab import read_lab_report

    report = read_lab_report(file)
    st.caption(inert(f"{title(report)} · {age(report.created)}"))
    table(SYSTEMS, systems(report))
    for line in lines(report):
        st.text(line)


def _show_clips(file: Path) -> None:
    from videopath.evaluation.kept import read_evaluation
    from videopath.evaluation.tiles.clips import summarise

    evaluation = read_evaluation(file)
    summary = summarise(evaluation.outcomes)
    _head(evaluation)
    _figures(summary)
    _classes(evaluation, summary)
    _confidence(evaluation, summary)
    _confusion(summary)
    st.download_button(
        "Download the outcomes",
        file.read_bytes(),
        file.name,
        "application/json",
        key="download_evaluation",
        icon=":material/download:",
    )


def _head(evaluation: Evaluation) -> None:
    facts = (
        evaluation.model,
        f"weights {evaluation.weights_sha256[:12]}",
        f"VideoPath {evaluation.version}",
        f"{len(evaluation.outcomes):,} clips of the {evaluation.split} side"
        + (", all in one stain colour (a control)" if evaluation.stain else ""),
        f"at most {evaluation.looks} closer looks",
        age(evaluation.created),
    )
    st.caption(inert(" · ".join(facts)))


def _figures(summary: Summary) -> None:
    with st.container(horizontal=True, key="figures"):
        _metric("accuracy", summary.accuracy)
        _metric("answered", summary.coverage)
        _metric("accuracy if answered", summary.accuracy_when_answered)
        _metric("before similar cases", summary.blind_accuracy)
    alone = [f"{name} alone {share}" for name, share in summary.alone.items()]
    lines = [
        f"given out wrongly {summary.signed_wrongly}",
        f"worst diagnosis {summary.worst[0]}, {summary.worst[1]} given out wrongly",
        *alone,
        f"similar cases helped {summary.helped}, hurt {summary.hurt}",
        f"agent − model at equal coverage {summary.equal_coverage or 'none answered'}",
    ]
    st.caption(inert("; ".join(lines)))
    st.caption(
        f"With 95% intervals. Mean over the classes {summary.mean_class_accuracy:.1%}; "
        f"{summary.seconds_per_clip:.1f} s per clip for the whole agent."
    )


def _metric(name: str, share: Share) -> None:
    interval = f"{share.low:.1%} to {share.high:.1%}"
    st.metric(
        name, f"{share.value:.1%}", interval, delta_color="off", delta_arrow="off", border=True, width=171
    )


def _classes(evaluation: Evaluation, summary: Summary) -> None:
    st.header("Accuracy by class")
    names = {outcome.label: outcome.truth for outcome in evaluation.outcomes}
    shares = {names[label]: share for label, share in summary.by_class.items()}
    words = ", ".join(f"{name} {share.value:.0%}" for name, share in shares.items())
    chart = plots.by_class({name: {"agent": share} for name, share in shares.items()}, palette())
    st.altair_chart(chart, width="stretch", key="by_class", alt=f"Accuracy by class: {words}")
    with st.expander("As a table"):
        rows = (
            (n, f"{s.value:.1%}", f"{s.low:.1%} to {s.high:.1%}", str(s.count)) for n, s in shares.items()
        )
        table(("class", "accuracy", "95% interval", "clips"), rows)


def _confidence(evaluation: Evaluation, summary: Summary) -> None:
    from videopath.evaluation.kept import reliability, risk_coverage, separation

    outcomes = evaluation.outcomes
    worth, points = separation(outcomes), risk_coverage(outcomes)
    bins = reliability([outcome for outcome in outcomes if outcome.has_confidence])
    left, right = st.columns(2, gap="large")
    with left:
        st.header("Risk and coverage")
        risk = 1 - summary.accuracy_when_answered.value
        here = (summary.coverage.value, risk) if summary.accuracy_when_answered.count else None
        words = (
            f"If all clips are answered, {points[-1].risk:.0%} are wrong; of the {points[0].coverage:.0%} with the highest "
            f"confidence {points[0].risk:.0%} are wrong; the agent answers {summary.coverage.value:.0%}, {risk:.0%} of them wrong"
        )
        chart = plots.risk_coverage([plots.Curve("agent", points, here)], palette())
        st.altair_chart(chart, width="stretch", key="risk_coverage", alt=words)
        st.caption(
            f"The diamond shows the agent's threshold. Area under the curve {worth.risk_area:.3f}; 0 is best."
        )
    with right:
        st.header("Calibration")
        words = ", ".join(f"confidence {b.confidence:.0%}: right {b.right.value:.0%}" for b in bins)
        error = (
            "No clip has a confidence"
            if summary.calibration_error is None
            else f"Calibration error {summary.calibration_error:.3f} of the clips with a confidence"
        )
        st.altair_chart(plots.reliability(bins, palette()), width="stretch", key="reliability", alt=words)
        auroc = (
            ""
            if worth.auroc is None
            else f"; a right answer has a higher confidence than a wrong one in {worth.auroc:.0%} of pairs"
        )
        st.caption(f"The numbers are counts of clips. {error}, Brier score of all {worth.brier:.3f}{auroc}.")


def _confusion(summary: Summary) -> None:
    st.header("Confusions")
    wrong = [
        (truth, answer, count)
        for truth, row in summary.confusion.items()
        for answer, count in row.items()
        if answer != truth
    ]
    if not wrong:
        st.text("All clips were diagnosed correctly.")
        return
    rows = sorted(wrong, key=lambda row: -row[2])
    table(("true", "answered", "clips"), [(truth, answer, str(count)) for truth, answer, count in rows])
