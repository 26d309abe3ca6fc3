"""What a case writes to the log: its id, how it ended, and the seconds; not whose video it is."""

from __future__ import annotations

import logging
import re
from pathlib import Path
from typing import Any

import pytest

from videopath.agent import DiagnosticAgent, Policy
from videopath.core.errors import VideoPathError


def _messages(caplog: pytest.LogCaptureFixture) -> list[str]:
    return [record.getMessage() for record in caplog.records if record.name.startswith("videopath.agent")]


def test_a_case_is_logged_from_begin_to_end(
    tmp_path: Path, nano_engine: Any, small_case: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO, "videopath")
    named = tmp_path / "Erika Mustermann.mp4"
    named.write_bytes(small_case.read_bytes())
    policy = Policy(max_looks=0, samples=0, review="always")
    with DiagnosticAgent.load(nano_engine, policy=policy, home=tmp_path / "home") as agent:
        report = agent.diagnose(named, site="colon")
        agent.resume(report.case_id, {"action": "accept", "reviewer": "Dr. A"})
    case = f"Case {report.case_id}: "
    started, waiting, resumed, signed = _messages(caplog)
    assert (started, resumed) == (f"{case}started.", f"{case}resumed.")
    assert re.fullmatch(re.escape(case) + r"waiting for review after \d+\.\d s\.", waiting)
    assert re.fullmatch(re.escape(case) + r"signed after \d+\.\d s\.", signed)
    assert not [text for text in caplog.messages if "Mustermann" in text or "Dr. A" in text]


def test_a_failure_names_no_path_above_debug(
    tmp_path: Path, nano_engine: Any, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG, "videopath")
    broken = tmp_path / "Erika Mustermann.mp4"
    broken.write_bytes(b"no video" * 100)
    with DiagnosticAgent.load(nano_engine, home=tmp_path / "home") as agent, pytest.raises(VideoPathError):
        agent.diagnose(broken)
    levels = {record.levelno for record in caplog.records if "Mustermann" in record.getMessage()}
    assert levels <= {logging.DEBUG}
    assert [
        text for text in _messages(caplog) if re.search(r"failed after \d+\.\d s with InputError\.", text)
    ]
