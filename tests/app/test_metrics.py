"""Figures for Prometheus: what a scrape of them says, also at a real server."""

from __future__ import annotations

import json
import signal
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from prometheus_client.parser import text_string_to_metric_families
from serving import serving
from typer.testing import Result

from videopath.agent.cases.library import CaseLibrary
from videopath.app.cli.serving import check_metrics
from videopath.app.metrics import Figures, serve_figures
from videopath.core.choices import DISPLAYED_STATUSES
from videopath.core.errors import InputError
from videopath.core.telemetry import span

Values = dict[tuple[str, ...], float]


@pytest.fixture
def served(own_home: Path, free_port: int) -> Iterator[tuple[Figures, int]]:
    figures = Figures(CaseLibrary(own_home))
    end = serve_figures(figures, "127.0.0.1", free_port)
    yield figures, free_port
    end()


def _scraped(port: int) -> Values:
    """Name and labels of each sample, with its value."""
    with urllib.request.urlopen(f"http://127.0.0.1:{port}/metrics", timeout=30) as answer:
        families = text_string_to_metric_families(answer.read().decode())
    return {(one.name, *one.labels.values()): one.value for family in families for one in family.samples}


def test_cases_are_counted_when_they_are_read(served: tuple[Figures, int], own_home: Path) -> None:
    _, port = served
    empty = _scraped(port)
    assert {name[1] for name in empty if name[0] == "videopath_cases"} == set(DISPLAYED_STATUSES)
    assert sum(value for name, value in empty.items() if name[0] == "videopath_cases") == 0
    assert not own_home.exists()  # to count creates nothing
    library = CaseLibrary(own_home)
    for case_id in ("a", "b", "c"):
        library.start(case_id, "/videos/Erika Mustermann.mp4", "colon", "nano")
    library.set_status("a", "failed", "no file")
    values = _scraped(port)
    assert values["videopath_library_readable",] == 1
    assert values["videopath_cases", "failed"] == 1
    assert values["videopath_cases", "interrupted"] == 2
    assert not [name for name in values if "Mustermann" in str(name)]


def test_steps_and_calls_are_counted_as_they_end(served: tuple[Figures, int]) -> None:
    figures, port = served
    figures.watch_queue(lambda: (3, 1))
    with span("step", case_id="a", step="describe"), span("model call", method="generate", model="m") as call:
        call.note(tokens=7)
    with pytest.raises(ZeroDivisionError), span("step", case_id="a", step="verify"):
        _ = 1 / 0
    with span("step", case_id="a", step="review") as review:
        review.waits = True
    values = _scraped(port)
    assert values["videopath_step_seconds_count", "describe"] == 1
    assert 0 < values["videopath_step_seconds_sum", "describe"] < 5
    assert values["videopath_step_failures_total", "ZeroDivisionError", "verify"] == 1
    assert not [name for name in values if "review" in name]
    assert values["videopath_model_call_seconds_count", "generate"] == 1
    assert values["videopath_model_tokens_total",] == 7
    assert values["videopath_queue_length",] == 3
    assert values["videopath_cases_at_work",] == 1


def test_a_library_that_cannot_be_read_is_a_figure(served: tuple[Figures, int], own_home: Path) -> None:
    own_home.mkdir()
    (own_home / "cases.sqlite").write_bytes(b"no database" * 1000)
    values = _scraped(served[1])
    assert values["videopath_library_readable",] == 0
    assert not [name for name in values if name[0] == "videopath_cases"]


def test_after_its_end_nothing_listens(own_home: Path, free_port: int) -> None:
    serve_figures(Figures(CaseLibrary(own_home)), "127.0.0.1", free_port)()
    with pytest.raises(urllib.error.URLError):
        _scraped(free_port)


@pytest.mark.parametrize("command", ["app", "worker"])
def test_a_port_that_cannot_be_used_is_a_sentence(
    videopath: Callable[..., Result], served: tuple[Figures, int], command: str
) -> None:
    answer = videopath(command, "--metrics-port", served[1])
    assert answer.exit_code == 2
    assert "--metrics-port" in answer.stderr
    assert videopath(command, "--metrics-port", "0").exit_code == 2
    assert videopath(command, "--metrics-port", "9464", "--metrics-host", "192.0.2.1").exit_code == 2


def test_pages_and_figures_need_two_ports(videopath: Callable[..., Result], free_port: int) -> None:
    answer = videopath("app", "--port", free_port, "--metrics-port", free_port)
    assert answer.exit_code == 2
    assert "two different ports" in answer.stderr


def test_a_missing_package_is_a_sentence(monkeypatch: pytest.MonkeyPatch, free_port: int) -> None:
    monkeypatch.setattr("videopath.core.installing.find_spec", lambda name: None)
    with pytest.raises(InputError, match=r"prometheus-client.*pip install"):
        check_metrics("127.0.0.1", free_port)
    check_metrics("127.0.0.1", None)  # nobody asks for figures


@pytest.mark.slow
def test_a_real_server_answers_on_loopback_and_logs_in_json(
    own_home: Path, free_port: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("VIDEOPATH_LOG_JSON", "1")
    with serving(own_home, "--metrics-port", str(free_port)) as (server, port):
        assert _scraped(free_port)["videopath_queue_length",] == 0
        server.send_signal(signal.SIGINT)
        assert server.wait(timeout=60) == 0
        lines = (own_home.parent / f"server-{port}.log").read_text().splitlines()
    messages = [json.loads(line)["message"] for line in lines]
    assert f"The server listens on http://127.0.0.1:{port}." in messages
    assert str(own_home) not in "".join(lines)
