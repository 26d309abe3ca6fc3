"""The log of the worker: its jobs, and the model of the settings."""

from __future__ import annotations

import logging
import re
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from videopath.app.web.runtime.worker import Worker
from videopath.core.settings import load_settings


def _job_messages(caplog: pytest.LogCaptureFixture, count: int) -> list[str]:
    """Wait until the worker has written this many messages about jobs."""
    until = time.monotonic() + 150
    while time.monotonic() < until:
        messages = [text for text in caplog.messages if text.startswith("Job of case")]
        if len(messages) >= count:
            return messages
        time.sleep(0.02)
    raise AssertionError(caplog.messages)


def test_a_job_is_logged_from_start_to_end(
    worker: Worker, request_of: Callable[..., Any], tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO, "videopath")
    broken = tmp_path / "Erika Mustermann.mp4"
    broken.write_bytes(b"no video" * 100)
    worker.submit(request_of("case-1", video=broken))
    started, ended = _job_messages(caplog, 2)
    assert started == "Job of case case-1: started."
    assert re.fullmatch(r"Job of case case-1: failed after \d+\.\d s\.", ended)
    assert not [text for text in caplog.messages if "Mustermann" in text]


def test_a_model_that_cannot_be_loaded_is_logged(
    own_home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setenv("VIDEOPATH_MODEL", str(tmp_path / "missing"))
    worker = Worker(own_home, load_settings())
    worker.engines.warm()
    worker.close()
    (record,) = [r for r in caplog.records if r.getMessage().startswith("The model of the settings")]
    assert record.levelno == logging.WARNING
    assert "missing" in record.getMessage()
