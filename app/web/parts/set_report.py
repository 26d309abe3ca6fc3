"""An evaluation on a test set: the sections of its HTML report, and both to take away."""

from __future__ import annotations

from importlib.util import find_spec
from typing import TYPE_CHECKING

import streamlit as st

from videopath.app.figures.sections import Section, moment, sections
from videopath.app.web.parts.inert import inert
from videopath.app.web.parts.palette import palette
from videopath.app.web.parts.tables import table

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from videopath.agent.evaluation.summary import SetReport
    from videopath.app.figures.tables import Tabled

_BESIDE = 4  # columns of a table beside a plot, at most


def set_report(report: SetReport, file: Path) -> None:
    """Draw a document that was read from a file."""
    _head(report)
    for section in sections(report):
        st.subheader(section.title, anchor=section.key)
        st.caption(inert(section.lead))
        if len(section.plots) == 1:
            _beside(section)
        else:
            _in_a_row(section)
    _downloads(report, file)


def _head(report: SetReport) -> None:
    facts = (
        report.set.name,
        f"{report.set.questions:,} questions of {report.set.groups:,} groups",
        report.model,
        f"weights {report.weights_sha256[:12]}",
        f"set {report.set.sha256[:12]}",
        f"VideoPath {report.version}",
        moment(report.created),
    )
    st.caption(inert(" · ".join(facts)))


def _beside(section: Section) -> None:
    """The plot, narrow tables beside it, and the broad ones below."""
    narrow = [one for one in section.tables if len(one.head) <= _BESIDE]
    left, right = st.columns([2, 3], gap="large")
    with left:
        _plots(section)
    with right:
        _tables(narrow, folded=False)
    _tables([one for one in section.tables if one not in narrow], folded=False)


def _in_a_row(section: Section) -> None:
    _plots(section)
    _tables(section.tables, folded=True)


def _plots(section: Section) -> None:
    for column, figure in zip(st.columns(max(1, len(section.plots))), section.plots, strict=False):
        with column:
            if figure.title:
                st.markdown(f"**{inert(figure.title)}**")
            chart = figure.draw(palette())
            st.altair_chart(chart, width="stretch", key=figure.key, alt=figure.words)


def _tables(shown: Sequence[Tabled], *, folded: bool) -> None:
    for one in shown:
        if one.folded and folded:
            with st.expander(inert(one.title)):
                table(one.head, one.texts())
        else:
            table(one.head, one.texts())
        if one.notes:
            with st.expander("What the metrics mean"):
                table((one.head[0], "meaning"), one.notes.items())


def _downloads(report: SetReport, file: Path) -> None:
    from videopath.app.figures.html import html_report

    with st.container(horizontal=True, key="downloads"):
        st.download_button(
            "Download the figures",
            file.read_bytes(),
            file.name,
            "application/json",
            key="download_evaluation",
            icon=":material/download:",
        )
        if find_spec("vl_convert") is None:
            st.caption(
                inert('The HTML report needs a package more: pip install "videopath-agent[benchmark]".')
            )
            return
        st.download_button(
            "Download the HTML report",
            lambda: html_report(report),
            file.with_suffix(".html").name,
            "text/html",
            key="download_html",
            on_click="ignore",
            icon=":material/download:",
        )
