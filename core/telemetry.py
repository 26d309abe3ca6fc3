"""Spans and figures of the work: one seam for OpenTelemetry, Prometheus and the fields of the log.

Code that works announces what it does with :func:`span` or, if it is a generator, :func:`spanned`. Nothing else happens
unless somebody asks for it:

- OpenTelemetry spans are made if an endpoint is named in ``OTEL_EXPORTER_OTLP_ENDPOINT`` or
  ``OTEL_EXPORTER_OTLP_TRACES_ENDPOINT`` and the extra ``telemetry`` is installed. They are sent to this endpoint only.
- Observers, such as the figures of ``videopath app --metrics-port``, are called with each piece of work that ends.

Spans hold ids, names of steps and models, devices, token counts and seconds, never texts or paths. The provider of the
spans is not made global: other libraries cannot send theirs, which may hold texts, through it.
"""

from __future__ import annotations

import logging
import os
import threading
import time
from collections.abc import Callable, Generator, Iterator
from contextlib import AbstractContextManager, closing, contextmanager, nullcontext
from dataclasses import dataclass, field
from importlib.metadata import version
from typing import TYPE_CHECKING, Any, Literal, TypedDict, TypeVar, Unpack
from urllib.parse import urlsplit

from videopath.core.installing import NAME as PACKAGE
from videopath.core.installing import install_command
from videopath.core.log import known_fields, log_fields

if TYPE_CHECKING:
    from opentelemetry.sdk.trace import TracerProvider

_log = logging.getLogger(__name__)

Item = TypeVar("Item")
WorkName = Literal["case", "step", "model call", "model loading"]

ENDPOINTS = ("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", "OTEL_EXPORTER_OTLP_ENDPOINT")
"""The variables that name where spans are sent; the first one wins."""
_PROTOCOLS = ("OTEL_EXPORTER_OTLP_TRACES_PROTOCOL", "OTEL_EXPORTER_OTLP_PROTOCOL")
_PROTOCOL = "http/protobuf"
_TIMEOUTS = ("OTEL_EXPORTER_OTLP_TRACES_TIMEOUT", "OTEL_EXPORTER_OTLP_TIMEOUT")
_TIMEOUT = 5.0  # seconds that sending spans may take by default: a command must not wait longer at its end
_PREFIX = "videopath."


class Fields(TypedDict, total=False):
    """What a piece of work may say about itself."""

    case_id: str
    step: str
    """The node of the graph."""
    model: str
    device: str
    method: str
    """What the model is asked for: generate, score, …"""
    tokens: int
    """New tokens of the answer."""
    status: str
    """How a case ended."""


@dataclass
class Work:
    """A piece of work, while it is done and when it has ended."""

    name: WorkName
    fields: Fields
    seconds: float = 0.0
    error: str = ""
    """The class of the error that ended it."""
    waits: bool = False
    """Whether it stopped to wait for a person: no error."""
    _started: float = field(default_factory=time.perf_counter)
    _span: Any = None

    def note(self, **fields: Unpack[Fields]) -> None:
        """Add what is known by now."""
        self.fields.update(fields)

    def current(self) -> AbstractContextManager[None]:
        """Make this work the parent of what begins in the block."""
        return _current(self)

    def end(self, error: BaseException | None = None) -> None:
        """End the work, with the error that ended it."""
        self.seconds = time.perf_counter() - self._started
        if error is not None and not self.waits:
            self.error = type(error).__name__
        if self._span is not None:
            _end_span(self)
        for observer in list(_observers):
            observer(self)
        if self.name == "step" and not (self.error or self.waits):
            _log_step(self)


def _log_step(work: Work) -> None:
    fields = {**work.fields, "seconds": work.seconds}
    case_id, step = work.fields.get("case_id", ""), work.fields.get("step", "")
    _log.info("Case %s: step %s took %.1f s.", case_id, step, work.seconds, extra=fields)


_observers: list[Callable[[Work], object]] = []


def observe(observer: Callable[[Work], object]) -> Callable[[], None]:
    """Have ``observer`` called with each piece of work that ends; return a function that ends this."""
    _observers.append(observer)
    return lambda: _observers.remove(observer)


@contextmanager
def span(name: WorkName, **fields: Unpack[Fields]) -> Iterator[Work]:
    """Announce the work of the block; more can be said about it by ``note``.

    Not for the body of a generator: use :func:`spanned`.
    """
    work = _begin(name, fields)
    try:
        with work.current():
            yield work
    except BaseException as error:
        work.end(error)
        raise
    work.end()


def spanned(
    name: WorkName, items: Callable[[Work], Generator[Item, None, None]], **fields: Unpack[Fields]
) -> Iterator[Item]:
    """Yield the items of a generator, which is one piece of work.

    It is the parent only of what begins while the generator runs, not of what the caller does between two items.
    """
    work = _begin(name, fields)
    try:
        with closing(items(work)) as running:
            while True:
                with work.current():
                    try:
                        item = next(running)
                    except StopIteration:
                        break
                yield item
    except BaseException as error:
        work.end(error)
        raise
    work.end()


def _begin(name: WorkName, fields: Fields) -> Work:
    work = Work(name, {**_of_the_case(), **fields})
    tracing = _tracing()
    if tracing is not None:
        work._span = tracing.tracer.start_span(name, record_exception=False, set_status_on_exception=False)
    return work


def _of_the_case() -> Fields:
    """Return the case and the step that the work belongs to."""
    known = known_fields()
    inherited: Fields = {}
    if "case_id" in known:
        inherited["case_id"] = known["case_id"]
    if "step" in known:
        inherited["step"] = known["step"]
    return inherited


@contextmanager
def _current(work: Work) -> Iterator[None]:
    with log_fields(**work.fields), _current_span(work._span):
        yield


def _current_span(span: Any) -> AbstractContextManager[Any]:
    if span is None:
        return nullcontext()
    from opentelemetry.trace import use_span

    return use_span(span, end_on_exit=False, record_exception=False, set_status_on_exception=False)


def _end_span(work: Work) -> None:
    from opentelemetry.trace import Status, StatusCode

    fields: dict[str, Any] = {**work.fields, "seconds": round(work.seconds, 6)}
    if "model" in fields:
        fields["model"] = _without_folder(fields["model"])
    for name, value in fields.items():
        work._span.set_attribute(_PREFIX + name, value)
    if work.error:
        work._span.set_attribute("error.type", work.error)
        work._span.set_status(Status(StatusCode.ERROR))
    work._span.end()


def _without_folder(model: str) -> str:
    """Return a model's name; of a path, which servers may give as the name, the last part."""
    path = model.replace("\\", "/")
    return path.rstrip("/").rsplit("/", 1)[-1] if path[:1] in "/~." or path[1:2] == ":" else model


@dataclass(frozen=True)
class _Tracing:
    """Where spans are made."""

    tracer: Any
    own: TracerProvider | None
    """The provider, if it is not the one of the program that uses VideoPath."""


_lock = threading.Lock()
_set_up: list[_Tracing | None] = []  # empty: not looked for yet


def endpoint() -> str | None:
    """Return where spans are sent, without user, password and query; None if no endpoint is named."""
    named = _first(ENDPOINTS)
    if named is None or os.environ.get("OTEL_SDK_DISABLED", "").strip().lower() == "true":
        return None
    if os.environ.get("OTEL_TRACES_EXPORTER", "").strip().lower() == "none":
        return None
    try:
        parts = urlsplit(named)
        port = f":{parts.port}" if parts.port else ""
    except ValueError:
        return "an address that cannot be read"
    host = parts.hostname or ""
    return f"{parts.scheme}://{f'[{host}]' if ':' in host else host}{port}"


def why_no_spans() -> str:
    """Return why spans cannot be sent although an endpoint is named; empty if they can."""
    protocol = _first(_PROTOCOLS)
    if protocol not in (None, _PROTOCOL):
        return f"spans are sent by {_PROTOCOL} only, not by {protocol!r}: see {' and '.join(_PROTOCOLS)}"
    named = _first(ENDPOINTS) or ""
    try:
        parts = urlsplit(named)
        usable = parts.scheme in ("http", "https") and bool(parts.hostname) and parts.port != 0
    except ValueError:
        usable = False
    if not usable:
        return f"{' or '.join(ENDPOINTS)} is no address such as http://127.0.0.1:4318"
    try:
        import opentelemetry.exporter.otlp.proto.http.trace_exporter
        import opentelemetry.sdk.trace  # noqa: F401
    except ImportError:
        return f"spans need the extra telemetry: {install_command('telemetry')}"
    return ""


def can_be_sent(timeout: float = 3.0) -> bool:
    """Return whether the endpoint accepts an empty message. Call it if :func:`why_no_spans` is empty."""
    from opentelemetry.sdk.trace.export import SpanExportResult

    exporter = _exporter(timeout)
    try:
        return exporter.export([]) is SpanExportResult.SUCCESS
    finally:
        exporter.shutdown()


def end_telemetry() -> None:
    """Send the spans that are left, within seconds. The next span reads the environment again."""
    with _lock:
        tracing = _set_up.pop() if _set_up else None
    if tracing is not None and tracing.own is not None:
        tracing.own.shutdown()


def _tracing() -> _Tracing | None:
    if not _set_up:
        with _lock:
            if not _set_up:
                _set_up.append(_new_tracing())
    return next(iter(_set_up), None)


def _new_tracing() -> _Tracing | None:
    if endpoint() is None:
        return None
    if reason := why_no_spans():
        _log.warning("No spans are sent: %s.", reason)
        return None
    from opentelemetry import trace
    from opentelemetry.sdk.resources import Resource
    from opentelemetry.sdk.trace import TracerProvider
    from opentelemetry.sdk.trace.export import BatchSpanProcessor

    release = version(PACKAGE)
    platforms = trace.get_tracer_provider()
    if isinstance(platforms, TracerProvider):  # of the program that uses VideoPath
        return _Tracing(platforms.get_tracer("videopath", release), None)
    try:
        exporter = _exporter(float(_first(_TIMEOUTS) or _TIMEOUT))
    except (ValueError, OSError) as error:
        _log.warning("No spans are sent: the variables OTEL_EXPORTER_OTLP_… cannot be used (%s).", type(error).__name__)  # fmt: skip
        return None
    own = TracerProvider(resource=Resource.create({"service.version": release, **_service()}))
    own.add_span_processor(BatchSpanProcessor(exporter))
    return _Tracing(own.get_tracer("videopath", release), own)


def _service() -> dict[str, str]:
    """Return the service's name, unless the environment gives one."""
    named = os.environ.get("OTEL_SERVICE_NAME") or "service.name=" in os.environ.get(
        "OTEL_RESOURCE_ATTRIBUTES", ""
    )
    return {} if named else {"service.name": "videopath"}


def _exporter(timeout: float) -> Any:
    """Return an exporter that reports the first failure of a row in VideoPath's log."""
    from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
    from opentelemetry.sdk.trace.export import SpanExportResult

    logging.getLogger("opentelemetry").addHandler(logging.NullHandler())  # else its warnings go to stderr

    class Reporting(OTLPSpanExporter):
        failed = False

        def export(self, spans: Any) -> SpanExportResult:
            try:
                result = super().export(spans)
            except Exception as error:  # noqa: BLE001 - whatever the client raises: no case may fail because of a span
                _log.debug("Spans were not sent: %s", error)
                result = SpanExportResult.FAILURE
            failed = result is not SpanExportResult.SUCCESS
            if failed and not self.failed:
                _log.warning("Spans cannot be sent to %s.", endpoint())
            self.failed = failed
            return result

    return Reporting(timeout=timeout)


def _first(names: tuple[str, ...]) -> str | None:
    """Return the first of these variables that is not empty."""
    return next((value for name in names if (value := os.environ.get(name, "").strip())), None)
