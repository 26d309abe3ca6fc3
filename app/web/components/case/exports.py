"""The report to hand on: its downloads, and a preview."""

from __future__ import annotations

import re
import tempfile
from collections.abc import Callable
from pathlib import Path

import streamlit as st

from videopath.agent import CaseReport

_FRAME_LINK = re.compile(r"\[(\d+)\]\(frames/[^)\s]*\)")
_HEADING = re.compile(r"^#+ ", re.MULTILINE)
_STREAMLIT_MARKS = re.compile(
    r"\$|:(?=[\w+/-]+:)|:(?=[a-z-]+\\\[)|:(?=//)|\bwww(?=\\?\.)|@(?=\w)", re.IGNORECASE
)  # Streamlit looks for addresses after it has read the escapes


def exports(report: CaseReport) -> None:
    """Draw the downloads of a report, and its preview."""
    _downloads(report)
    with st.expander("Preview of the exported report", icon=":material/description:", key="preview"):
        st.markdown(preview_markdown(report.to_markdown()))


def preview_markdown(markdown: str) -> str:
    """Return the report's Markdown for Streamlit: without links into the bundle and Streamlit's own marks."""
    text = _HEADING.sub(r"##\g<0>", _FRAME_LINK.sub(r"\1", markdown))  # smaller than the page's own headings
    return _STREAMLIT_MARKS.sub(
        lambda mark: f"\\{mark[0]}" if mark[0] == "$" else f"{mark[0]}\N{WORD JOINER}", text
    )


def _downloads(report: CaseReport) -> None:
    name = report.case_id
    kinds: tuple[tuple[str, str, str, str, Callable[[], bytes | str]], ...] = (
        ("pdf", "PDF", f"{name}.pdf", "application/pdf", lambda: report.to_pdf()),
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
