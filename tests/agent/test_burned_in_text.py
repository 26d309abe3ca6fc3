"""Writing in the frames: found and filled at intake, named in the trace and the report, and nothing that stops a case."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import cv2
import pytest

from videopath.agent import CaseReport, DiagnosticAgent
from videopath.agent.report.markdown import to_markdown
from videopath.model import open_clip


@pytest.fixture(scope="module")
def labelled_case(small_case: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder of the small case's frames with a patient's name on a plate."""
    folder = tmp_path_factory.mktemp("labelled") / "frames"
    folder.mkdir()
    for number, frame in enumerate(open_clip(small_case, frames=4).frames):
        cv2.rectangle(frame, (20, 20), (150, 38), (250, 250, 250), -1)
        cv2.putText(
            frame, "SMITH 4839201", (26, 34), cv2.FONT_HERSHEY_SIMPLEX, 0.45, (0, 0, 0), 1, cv2.LINE_AA
        )
        cv2.imwrite(str(folder / f"{number}.png"), cv2.cvtColor(frame, cv2.COLOR_RGB2BGR))
    return folder


def test_writing_in_the_frames_is_told_and_stops_nothing(nano_engine: Any, labelled_case: Path) -> None:
    with DiagnosticAgent.load(model=nano_engine) as agent:
        report = agent.diagnose(labelled_case, site="colon")
    intake = report.steps[0]
    assert "writing was filled in 1 of 1 place" in intake.summary
    assert report.status in ("done", "abstained")
    assert report.burned_in == intake.detail["burned_in_text"]
    (place,) = report.burned_in["writings"]
    assert place["box"][0] < 30 / 320 < 112 / 320 < place["box"][2]
    assert place["seconds"] == [0.0, 1.0, 2.0, 3.0]
    assert (place["kind"], place["filled"]) == ("personal", True)
    assert CaseReport.from_json(report.to_json()).burned_in == report.burned_in
    assert report.burned_in["sentence"] in to_markdown(report).replace("\\", "")


def test_a_clean_case_says_nothing_of_writing(nano_engine: Any, small_case: Path) -> None:
    with DiagnosticAgent.load(model=nano_engine) as agent:
        report = agent.diagnose(small_case, site="colon")
    assert report.burned_in["writings"] == []
    assert "riting" not in to_markdown(report)


def test_a_report_from_before_writing_was_looked_for_is_still_read() -> None:
    report = CaseReport.from_json('{"case_id": "old", "status": "done"}')
    assert report.burned_in == {}
    assert "riting" not in to_markdown(report)
