"""The report to hand on: its downloads, and a preview."""

from __future__ import annotations

import tempfile
from collections.abc import Callable
from importlib.util import find_spec
from pathlib import Path

import streamlit as st

from videopath.agent import CaseReport

_HEIGHT = 640  # pixels of the preview


def exports(report: CaseReport) -> None:
    """Draw the downloads of a report, and its preview."""
    _downloads(report)
    fold = st.expander(
        "Preview of the exported report", icon=":material/description:", key="preview", on_change="rerun"
    )
    if fold.open:
        with fold:
            _preview(report)


def _preview(report: CaseReport) -> None:
    """Draw the report as PDF if the package for it is installed, else as HTML.

    The HTML holds no text from outside that is not escaped, and its own policy forbids scripts.
    """
    if find_spec("streamlit_pdf") is not None:
        st.pdf(report.to_pdf(), height=_HEIGHT, alt="The report as PDF")
    else:
        st.iframe(report.to_html(), height=_HEIGHT, alt="The report as HTML")


def _downloads(report: CaseReport) -> None:
    name = report.case_id
    kinds: tuple[tuple[str, str, str, str, Callable[[], bytes | str]], ...] = (
        ("pdf", "PDF", f"{name}.pdf", "application/pdf", lambda: report.to_pdf()),
        ("html", "HTML", f"{name}.html", "text/html", lambda: report.to_html()),
        ("md", "Markdown", f"{name}.md", "text/markdown", report.to_markdown),
        ("json", "JSON", f"{name}.json", "application/json", lambda: report.without_paths().to_json()),
        ("bundle", "Bundle", f"{name}.zip", "application/zip", lambda: _bundle(report)),
    )
    with st.container(horizontal=True, key="downloads"):
        for key, label, file_name, mime, content in kinds:
            st.download_button(
                label,
                content,
                file_name=file_name,
                mime=mime,
                key=f"download_{key}",
                icon=":material/download:",
                on_click="ignore",
            )


def _bundle(report: CaseReport) -> bytes:
    """Report, trace, evidence frames and manifest as one zip."""
    with tempfile.TemporaryDirectory() as folder:
        return report.save_bundle(Path(folder) / f"{report.case_id}.zip").read_bytes()
