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
from videopath.app.web.components.shared.words import explained
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
    from videopath.app.figures.lab import EQUAL, SYSTEMS, at_equal_coverage, lines, systems, title
    from videopath.evaluation.lab import read_lab_report

    report = read_lab_report(file)
    st.caption(inert(f"{title(report)} · {age(report.created)}"))
    st.header(
        "Agent beside model, cases and colour", anchor=False, help=explained("vote", "blind", "confidence")
    )
    charted: dict[str, list[plots.Dot]] = {
        name: [plots.Dot(name, right.value, right.low, right.high)]
        for name, figures in report.own.items()
        if (right := figures.right_of_answered)
    }
    words = "; ".join(f"{name} {dots[0].value:.0%}" for name, dots in charted.items())
    chart = plots.dots(charted, "right of the answers, with the 95% interval", palette())
    st.altair_chart(chart, width="stretch", key="lab_systems", alt=f"Right of the answers: {words}")
    table(SYSTEMS, systems(report))
    if rows := at_equal_coverage(report):
        st.header("At equal coverage", anchor=False)
        st.caption(
            "Each system gives as many answers as the agent, its surest ones. If the interval holds 0, the two are not told apart."
        )
        table(EQUAL, rows)
    for line in lines(report):
        st.text(line)


def _show_clips(file: Path) -> None:
    from videopath.evaluation.kept import read_evaluation
    from videopath.evaluation.tiles.clips import summarise

    evaluation = read_evaluation(file)
    summary = summarise(evaluation.outcomes)
    _head(evaluation)
    _figures(summary)
    _beside(evaluation, summary)
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


def _beside(evaluation: Evaluation, summary: Summary) -> None:
    """Agent, model, cases and colour on the clips that the agent answers."""
    from videopath.evaluation.stats.estimates import Estimate

    st.header("Agent beside model, cases and colour", anchor=False, help=explained("vote", "blind"))
    answered = [one for one in evaluation.outcomes if not one.abstained]
    if not answered:
        st.text("The agent answered no clip.")
        return
    groups = [one.group or one.path for one in answered]
    hits = {"agent": [one.right for one in answered], "model": [one.blind_right for one in answered]}
    for name in summary.alone:
        hits[name] = [one.is_true(getattr(one, name)) for one in answered]
    shares = {name: Estimate.of([float(hit) for hit in of_it], groups) for name, of_it in hits.items()}
    difference = summary.equal_coverage
    st.caption(
        f"On the {len(answered):,} clips that the agent answers. The model may choose as many clips itself, its surest ones: "
        f"agent less model is then {difference or 'not known'}; if the interval holds 0, the two are not told apart. The cases "
        "and colour state no confidence here, so they cannot choose."
    )
    chart = plots.dots(
        {name: [plots.Dot(name, share.value, share.low, share.high)] for name, share in shares.items()},
        "right of the answered clips, with the 95% interval",
        palette(),
    )
    words = "; ".join(f"{name} {share.value:.0%}" for name, share in shares.items())
    st.altair_chart(chart, width="stretch", key="beside", alt=f"Right of the answered clips: {words}")
    table(("system", "right of the answered clips (95% interval)"), [(n, str(s)) for n, s in shares.items()])


def _metric(name: str, share: Share) -> None:
    interval = f"{share.low:.1%} to {share.high:.1%}"
    st.metric(
        name, f"{share.value:.1%}", interval, delta_color="off", delta_arrow="off", border=True, width=171
    )


def _classes(evaluation: Evaluation, summary: Summary) -> None:
    st.header("Accuracy by class", anchor=False)
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
        st.header("Risk and coverage", anchor=False)
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
        st.header("Calibration", anchor=False, help=explained("calibrated", "confidence"))
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
    st.header("Confusions", anchor=False)
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
