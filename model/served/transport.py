"""What goes out to a server, and what is accepted from it: the transport under the ``openai`` client.

The client takes headers from ``OPENAI_*`` variables and adds some about this machine. Only the headers that a request
needs are sent. An answer that is too long, too slow or compressed is cut off while it is read.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from threading import Lock

import httpx2
from openai import OpenAIError

MAX_ANSWER_BYTES = 32 << 20
"""Bytes of one answer that are read; the log-probabilities of a long prompt need a few million."""
_SENT_HEADERS = frozenset({"host", "accept", "content-type", "content-length", "connection", "user-agent"})


class AnswerCutOff(OpenAIError):
    """The answer of a server was not read to its end. The client passes this error on without another try."""


@dataclass
class Traffic:
    """What an engine and its server exchanged so far."""

    requests: int = 0
    """Further tries of a request count as well."""
    bytes_sent: int = 0
    bytes_received: int = 0
    prompt_tokens: int = 0
    """As the server counts them, of the requests whose answer says so."""
    cached_tokens: int = 0
    """Tokens of prompts that the server took from its prefix cache."""
    answer_tokens: int = 0
    _lock: Lock = field(default_factory=Lock, repr=False, compare=False)

    def add(self, **counts: int) -> None:
        """Add counts by field name; several threads may do so."""
        with self._lock:
            for name, count in counts.items():
                setattr(self, name, getattr(self, name) + count)


class GuardedTransport(httpx2.BaseTransport):
    """Sends requests with the headers that they need and nothing else, and limits what is read."""

    def __init__(
        self,
        traffic: Traffic,
        *,
        key: str = "",
        proxy: str | None = None,
        connections: int = 4,
        longest: float = 1200.0,
        max_bytes: int = MAX_ANSWER_BYTES,
    ) -> None:
        """Make a transport.

        Args:
            traffic: Where requests and bytes are counted.
            key: Sent as the bearer token; empty: none is sent.
            proxy: Address of the only proxy that is used.
            connections: How many connections are open at a time.
            longest: Seconds from sending a request to the end of its answer.
            max_bytes: Bytes of one answer.
        """
        limits = httpx2.Limits(max_connections=connections, max_keepalive_connections=connections)
        self._inner = httpx2.HTTPTransport(limits=limits, proxy=proxy)
        self._traffic = traffic
        self._key = key
        self._longest = longest
        self._max_bytes = max_bytes

    def handle_request(self, request: httpx2.Request) -> httpx2.Response:
        """Send a request and return its answer, which is read later."""
        for name in [name for name in request.headers if name.lower() not in _SENT_HEADERS]:
            del request.headers[name]
        request.headers["Accept-Encoding"] = "identity"
        if self._key:
            request.headers["Authorization"] = f"Bearer {self._key}"
        deadline = time.monotonic() + self._longest
        self._traffic.add(requests=1, bytes_sent=int(request.headers.get("Content-Length", 0)))
        response = self._inner.handle_request(request)
        stream = response.stream
        if not isinstance(stream, httpx2.SyncByteStream):
            raise TypeError("the transport returned an answer that cannot be read")
        response.stream = _LimitedStream(stream, self._max_bytes, deadline, self._traffic)
        encoding = response.headers.get("Content-Encoding", "identity").strip().lower()
        length = response.headers.get("Content-Length", "")
        if encoding not in ("", "identity"):
            response.close()
            raise AnswerCutOff(f"is compressed ({encoding}), though that was not asked for")
        if length.isdecimal() and int(length) > self._max_bytes:
            response.close()
            raise AnswerCutOff(_too_long(int(length), self._max_bytes))
        return response

    def close(self) -> None:
        """Close all connections."""
        self._inner.close()


class _LimitedStream(httpx2.SyncByteStream):
    """The bytes of an answer, up to a number of bytes and a moment."""

    def __init__(
        self, inner: httpx2.SyncByteStream, max_bytes: int, deadline: float, traffic: Traffic
    ) -> None:
        self._inner = inner
        self._max_bytes = max_bytes
        self._deadline = deadline
        self._traffic = traffic

    def __iter__(self) -> Iterator[bytes]:
        count = 0
        for piece in self._inner:
            count += len(piece)
            self._traffic.add(bytes_received=len(piece))
            if count > self._max_bytes:
                raise AnswerCutOff(_too_long(None, self._max_bytes))
            if time.monotonic() > self._deadline:
                raise AnswerCutOff("does not come to an end")
            yield piece

    def close(self) -> None:
        self._inner.close()


def _too_long(length: int | None, most: int) -> str:
    size = f"has {length:,} bytes" if length else "is too long"
    return f"{size}; at most {most:,} bytes are read"
