"""An evaluation on a test set: the sections of its HTML report, and downloads of figures and report."""

from __future__ import annotations

from contextlib import nullcontext
from importlib.util import find_spec
from typing import TYPE_CHECKING

import streamlit as st

from videopath.app.figures.sections import moment, sections
from videopath.app.web.components.shared.inert import inert
from videopath.app.web.components.shared.palette import palette
from videopath.app.web.components.shared.tables import table

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from videopath.app.figures.sections import Figure
    from videopath.app.figures.tables import Tabled
    from videopath.evaluation.testsets.summary import SetReport

_PLOTS_PER_ROW = 2


def set_report(report: SetReport, file: Path) -> None:
    """Draw a report that was read from a file."""
    _head(report)
    for section in sections(report):
        st.header(section.title, anchor=section.key)
        st.caption(inert(section.lead))
        _plots(section.plots)
        _tables(section.tables)
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


def _plots(figures: Sequence[Figure]) -> None:
    for row in (figures[index : index + _PLOTS_PER_ROW] for index in range(0, len(figures), _PLOTS_PER_ROW)):
        for column, figure in zip(
            st.columns(min(len(figures), _PLOTS_PER_ROW), gap="large"), row, strict=False
        ):
            with column:
                if figure.title:
                    st.markdown(f"**{inert(figure.title)}**")
                chart = figure.draw(palette())
                st.altair_chart(chart, width="stretch", key=figure.key, alt=figure.words)


def _tables(tables: Sequence[Tabled]) -> None:
    for figures in tables:
        with st.expander(inert(figures.title)) if figures.folded else nullcontext():
            table(figures.head, figures.texts())
        if figures.notes:
            with st.expander("What the metrics mean"):
                table((figures.head[0], "meaning"), figures.notes.items())


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
                inert("The HTML report needs the extra “benchmark” of VideoPath, which is not installed.")
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
