"""The second readings of a signed case, with their agreement, and the way to the next one."""

from __future__ import annotations

import streamlit as st

from videopath.agent.cases.records import CaseReport
from videopath.app.web.components.shared.links import go
from videopath.app.web.components.shared.tables import table
from videopath.core.clock import minute


def second_readings(report: CaseReport) -> None:
    """Draw who read the signed case again, what they diagnosed, and whether they agree."""
    if report.status != "signed":
        return
    with st.container(key="second_readings"):
        st.header("Second readings", anchor=False)
        if report.second_readings:
            agreeing = sum(reading.agrees for reading in report.second_readings)
            st.text(f"{agreeing} of {len(report.second_readings)} agree with the signed diagnosis.")
            table(
                ("when (UTC)", "who", "diagnosis", "agrees", "comment"),
                [
                    (
                        minute(reading.read),
                        reading.reader,
                        reading.diagnosis,
                        "yes" if reading.agrees else "no",
                        reading.comment or "–",
                    )
                    for reading in report.second_readings
                ],
            )
        if st.button(
            "Read this case a second time",
            key="read_again",
            icon=":material/group:",
            help="Another person sees the video without any diagnosis, writes their own, and both are compared.",
        ):
            go("second_reading", id=report.case_id)
