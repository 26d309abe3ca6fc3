"""Spans reach the receiver that the environment names, and nobody else; they hold no texts and no paths."""

from __future__ import annotations

import logging
import os
import subprocess
import sys
from collections.abc import Generator
from pathlib import Path
from typing import Any

import pytest
from fixtures.spans import Receiver

from videopath.app.cli.installation import _spans
from videopath.core import telemetry
from videopath.core.telemetry import Work, end_telemetry, endpoint, observe, span, spanned


def _work() -> None:
    with span("step", case_id="case-1", step="describe") as step:
        with span("model call", model="/models/secret place/mine", device="cpu", method="generate") as call:
            call.note(tokens=7)
        step.note(device="cpu")


def test_spans_arrive_where_the_environment_says(receiver: Receiver, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", receiver.address)
    _work()
    end_telemetry()
    call, step = receiver.spans()
    assert receiver.paths == ["/v1/traces"]
    assert receiver.service()["service.name"] == "videopath"
    assert (step.name, step.parent, call.name, call.parent) == ("step", "", "model call", step.id)
    assert step.fields["videopath.seconds"] >= call.fields.pop("videopath.seconds") > 0
    assert call.fields == {
        "videopath.case_id": "case-1", "videopath.step": "describe", "videopath.model": "mine",
        "videopath.device": "cpu", "videopath.method": "generate", "videopath.tokens": 7,
    }  # fmt: skip
    assert b"secret place" not in b"".join(receiver.bodies)


@pytest.mark.parametrize(
    "variables",
    [
        {},
        {"OTEL_EXPORTER_OTLP_ENDPOINT": " "},
        {"OTEL_EXPORTER_OTLP_ENDPOINT": "{address}", "OTEL_SDK_DISABLED": "true"},
        {"OTEL_EXPORTER_OTLP_ENDPOINT": "{address}", "OTEL_TRACES_EXPORTER": "none"},
        {"OTEL_EXPORTER_OTLP_ENDPOINT": "{address}", "OTEL_EXPORTER_OTLP_PROTOCOL": "grpc"},
    ],
)
def test_nothing_is_sent_unless_the_environment_names_where_to(
    receiver: Receiver, monkeypatch: pytest.MonkeyPatch, variables: dict[str, str]
) -> None:
    for name, value in variables.items():
        monkeypatch.setenv(name, value.format(address=receiver.address))
    _work()
    end_telemetry()
    assert receiver.bodies == []


def test_the_endpoint_of_the_spans_wins(receiver: Receiver, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", "http://127.0.0.1:9")
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", f"{receiver.address}/own/path")
    monkeypatch.setenv("OTEL_SERVICE_NAME", "ward")
    _work()
    end_telemetry()
    assert receiver.paths == ["/own/path"]
    assert receiver.service()["service.name"] == "ward"


def test_an_error_is_named_by_its_class_alone(receiver: Receiver, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", receiver.address)
    with pytest.raises(ValueError, match="Mustermann"), span("step", case_id="a", step="intake"):
        raise ValueError("no file /videos/Erika Mustermann.mp4")
    end_telemetry()
    (failed,) = receiver.spans()
    assert failed.failed
    assert failed.fields["error.type"] == "ValueError"
    assert failed.events == 0
    assert b"Mustermann" not in b"".join(receiver.bodies)


def test_a_generator_is_the_parent_of_its_own_work_only(
    receiver: Receiver, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", receiver.address)

    def steps(work: Work) -> Generator[int, None, None]:
        with span("step", step="intake"):
            pass
        yield 1
        work.note(status="done")

    for _ in spanned("case", steps, case_id="a"):
        with span("model loading", model="another"):
            pass
    end_telemetry()
    by_name = {one.name: one for one in receiver.spans()}
    assert by_name["step"].parent == by_name["case"].id
    assert by_name["step"].fields["videopath.case_id"] == "a"
    assert by_name["case"].fields["videopath.status"] == "done"
    assert by_name["model loading"].parent == ""
    assert "videopath.case_id" not in by_name["model loading"].fields


def test_a_generator_that_is_left_ends_its_work() -> None:
    ended: list[Work] = []
    forget = observe(ended.append)
    closed: list[str] = []

    def steps(_: Work) -> Generator[int, None, None]:
        try:
            yield from (1, 2)
        finally:
            closed.append("closed")

    running: Any = spanned("case", steps, case_id="a")
    assert next(running) == 1
    running.close()
    forget()
    assert closed == ["closed"]
    assert [work.error for work in ended] == ["GeneratorExit"]


def test_a_receiver_that_is_down_costs_one_warning_and_no_case(
    receiver: Receiver, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture, capfd: Any
) -> None:
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", "http://user:secret@127.0.0.1:9?key=secret")
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_TIMEOUT", "0.3")
    caplog.set_level(logging.WARNING, "videopath")
    _work()
    end_telemetry()
    assert [text for text in caplog.messages if "Spans" in text] == [
        "Spans cannot be sent to http://127.0.0.1:9."
    ]
    assert capfd.readouterr().err == ""


@pytest.mark.parametrize(
    ("address", "said"),
    [
        ("nonsense", "no address"),
        ("ftp://127.0.0.1", "no address"),
        ("http://[::1", "no address"),
        ("http://127.0.0.1:99999", "no address"),
    ],
)
def test_an_odd_address_is_a_sentence(
    receiver: Receiver,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
    address: str,
    said: str,
) -> None:
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", address)
    _work()
    assert said in "".join(caplog.messages)
    (check,) = _spans()
    assert not check.ok
    assert said in check.found


def test_doctor_asks_the_receiver(receiver: Receiver, monkeypatch: pytest.MonkeyPatch) -> None:
    assert _spans()[0].ok
    assert endpoint() is None
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", f"{receiver.address}/?key=secret")
    (check,) = _spans()
    assert check.ok, check
    assert receiver.address in check.found
    assert "secret" not in str(check)
    assert receiver.spans() == []


def test_a_missing_package_is_a_sentence(receiver: Receiver, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", receiver.address)
    monkeypatch.setitem(sys.modules, "opentelemetry.exporter.otlp.proto.http.trace_exporter", None)
    _work()
    (check,) = _spans()
    assert not check.ok
    assert "telemetry" in check.found
    assert "pip install" in check.found


def test_without_an_endpoint_the_sdk_is_not_imported() -> None:
    code = """
import sys
from videopath.core.telemetry import span
with span("step", step="intake"): pass
print([name for name in sys.modules if name.startswith(("opentelemetry", "prometheus_client"))])
"""
    answer = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert answer.stdout.strip() == "[]"


def test_a_program_with_a_provider_of_its_own_gets_the_spans(receiver: Receiver) -> None:
    code = """
from opentelemetry import trace
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from videopath.core.telemetry import end_telemetry, span
kept = InMemorySpanExporter()
provider = TracerProvider()
provider.add_span_processor(SimpleSpanProcessor(kept))
trace.set_tracer_provider(provider)
with trace.get_tracer("program").start_as_current_span("request") as request, span("step", step="intake"):
    pass
end_telemetry()
step, _ = kept.get_finished_spans()
print(step.name, step.parent.span_id == request.get_span_context().span_id)
"""
    environment = {**os.environ, "OTEL_EXPORTER_OTLP_ENDPOINT": receiver.address}
    answer = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, env=environment)
    assert answer.stdout.strip() == "step True", answer.stderr
    assert receiver.bodies == []


def test_other_libraries_get_no_provider(receiver: Receiver, monkeypatch: pytest.MonkeyPatch) -> None:
    from opentelemetry import trace

    monkeypatch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", receiver.address)
    _work()
    with trace.get_tracer("another library").start_as_current_span("prompt: Erika"):
        pass
    end_telemetry()
    assert {one.name for one in receiver.spans()} == {"step", "model call"}


@pytest.mark.slow
def test_a_case_is_a_tree_of_spans(
    receiver: Receiver, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, small_case: Path
) -> None:
    from videopath.agent import DiagnosticAgent, Policy
    from videopath.model import FunctionEngine

    monkeypatch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", receiver.address)
    named = tmp_path / "Erika Mustermann.mp4"
    named.write_bytes(small_case.read_bytes())
    engine = FunctionEngine(lambda clip, question: "Crowded glands.", name="mine", weights_sha256="1" * 64)
    policy = Policy(max_looks=0, samples=1, show_blank=False, review="always")
    with DiagnosticAgent.load(engine, policy=policy, home=tmp_path / "home") as agent:
        report = agent.diagnose(named, question="What is it, Erika?", site="colon")
    end_telemetry()
    spans = receiver.spans()
    (case,) = [one for one in spans if one.name == "case"]
    steps = [one for one in spans if one.name == "step"]
    assert {one.parent for one in steps} == {case.id}
    assert {one.fields["videopath.case_id"] for one in spans} == {report.case_id}
    assert [one.fields["videopath.step"] for one in steps][:2] == ["intake", "describe"]
    assert not [one for one in spans if one.failed]
    assert case.fields["videopath.status"] == "waiting for review"
    asked = [one for one in spans if one.name == "model call"]
    assert {one.parent for one in asked} <= {one.id for one in steps}
    assert {one.fields["videopath.model"] for one in asked} == {"mine"}
    sent = b"".join(receiver.bodies)
    for text in (b"Mustermann", b"Erika", b"Crowded", str(tmp_path).encode()):
        assert text not in sent
    assert telemetry.endpoint() == receiver.address
