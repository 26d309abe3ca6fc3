"""The connection to a server: requests by the ``openai`` client, answers checked, errors in sentences."""

from __future__ import annotations

import json
import logging
import os
import weakref
from collections.abc import Callable, Generator, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from threading import BoundedSemaphore
from typing import Any, TypeVar
from urllib.parse import urlsplit

import httpx2
import openai
from pydantic import BaseModel, ValidationError

from videopath.core.errors import EngineError, InputError
from videopath.core.settings import EngineSettings
from videopath.model.served.replies import ChatChunk, ChatReply, ModelEntry, ModelList
from videopath.model.served.transport import AnswerCutOff, GuardedTransport, Traffic

_log = logging.getLogger(__name__)

_CONNECT_SECONDS = 10.0
_LONGEST = 10  # times the seconds that the server may be silent
_LONGEST_REASON = 300  # characters of a server's own message

_Reply = TypeVar("_Reply", bound=BaseModel)
_T = TypeVar("_T")
_R = TypeVar("_R")

Json = dict[str, Any]


class RequestRejected(EngineError):
    """The server understood the request and does not do it: another request may be taken."""

    def __init__(self, message: str, *, status: int, reason: str) -> None:
        super().__init__(message)
        self.status = status
        """The HTTP status, 400 to 499."""
        self.reason = reason
        """The server's own words; empty if it gave none."""


class Connection:
    """Requests to one server. Several threads may use it."""

    def __init__(self, settings: EngineSettings) -> None:
        """Prepare the client; nothing is sent.

        Raises:
            InputError: The variable of the key is not set, or the key or the proxy cannot be used.
        """
        self.address = settings.address
        self.traffic = Traffic()
        self._timeout = settings.timeout
        self._key_env = settings.key_env
        self._key = _key(settings.key_env)
        self._slots = BoundedSemaphore(settings.max_requests)
        self._at_once = settings.max_requests
        try:
            transport = GuardedTransport(
                self.traffic,
                key=self._key,
                proxy=settings.proxy,
                connections=settings.max_requests,
                longest=_LONGEST * settings.timeout,
            )
        except (ValueError, ImportError, httpx2.InvalidURL) as error:
            raise InputError(f"The proxy of the engine at {self.address} cannot be used: {error}.") from error
        timeout = httpx2.Timeout(settings.timeout, connect=min(_CONNECT_SECONDS, settings.timeout))
        http = httpx2.Client(
            transport=transport, timeout=timeout, follow_redirects=False, trust_env=False
        )  # a redirect or a proxy of the environment would lead to an address that the user did not name
        self._client = openai.OpenAI(
            base_url=self.address,
            api_key=self._key or "none",  # the transport sends the key, or none
            max_retries=settings.retries,
            timeout=timeout,
            http_client=http,
        )
        weakref.finalize(self, http.close)

    def models(self) -> list[ModelEntry]:
        """Return what the server lists; empty if it has no list."""
        try:
            return self._checked(ModelList, self._get("/models")).data
        except RequestRejected as error:
            if error.status in (404, 405, 501):
                return []
            raise

    def chat(self, body: Json) -> ChatReply:
        """Return the answer to a chat request, as a whole."""
        reply = self.post(ChatReply, "/chat/completions", body)
        self._count(reply)
        return reply

    def chat_pieces(self, body: Json) -> Generator[ChatChunk, None, None]:
        """Yield the answer to a chat request, piece by piece. Close the iterator to stop the server."""
        body = {**body, "stream": True}
        with self._slots, self._errors():
            stream = self._client.post(
                "/chat/completions", cast_to=object, body=body, stream=True, stream_cls=openai.Stream[object]
            )
            try:
                self._refuse_other_than_stream(stream.response)
                for data in stream:
                    chunk = self._checked(ChatChunk, data)
                    self._count(chunk)
                    yield chunk
            finally:
                stream.close()

    def post(self, kind: type[_Reply], path: str, body: Json) -> _Reply:
        """Send a request and return its checked answer."""
        with self._slots, self._errors():
            response = self._client.post(path, cast_to=httpx2.Response, body=body)
            return self._checked(kind, self._json(response))

    def together(self, call: Callable[[_T], _R], values: Sequence[_T]) -> list[_R]:
        """Call with each value. The first call runs alone, so that the server's prefix cache serves the others."""
        if len(values) < 3 or self._at_once == 1:
            return [call(value) for value in values]
        with ThreadPoolExecutor(min(self._at_once, len(values) - 1)) as pool:
            return [call(values[0]), *pool.map(call, values[1:])]

    def _get(self, path: str) -> object:
        with self._slots, self._errors():
            return self._json(self._client.get(path, cast_to=httpx2.Response))

    def _json(self, response: httpx2.Response) -> object:
        try:
            return json.loads(response.content)
        except (ValueError, RecursionError) as error:
            what = _kind_of(response)
            raise EngineError(
                f"The server at {self.address} answers with {what} instead of JSON; check the address. "
                "It usually ends in /v1."
            ) from error

    def _checked(self, kind: type[_Reply], data: object) -> _Reply:
        try:
            return kind.model_validate(data)
        except ValidationError as error:
            first = error.errors(include_input=False, include_context=False)[0]
            field = ".".join(str(part) for part in first["loc"]) or "the whole"
            raise EngineError(
                f"The answer of the server at {self.address} does not follow the OpenAI protocol: {field}: {first['msg']}."
            ) from error

    def _refuse_other_than_stream(self, response: httpx2.Response) -> None:
        if "text/event-stream" not in response.headers.get("Content-Type", ""):
            raise EngineError(
                f"The server at {self.address} answers with {_kind_of(response)} instead of a stream; check the address."
            )

    def _count(self, reply: ChatReply | ChatChunk) -> None:
        if reply.usage is None:
            return
        cached = reply.usage.prompt_tokens_details
        self.traffic.add(
            prompt_tokens=reply.usage.prompt_tokens or 0,
            answer_tokens=reply.usage.completion_tokens or 0,
            cached_tokens=(cached.cached_tokens or 0) if cached else 0,
        )

    @contextmanager
    def _errors(self) -> Iterator[None]:
        """Turn the client's errors into ours."""
        try:
            yield
        except AnswerCutOff as error:
            raise EngineError(f"The answer of the server at {self.address} {error}.") from error
        except openai.APITimeoutError as error:
            raise EngineError(
                f"The server at {self.address} was silent for {self._timeout:g} s. Check it, or raise the engine's timeout "
                "in the settings.",
                retryable=True,
            ) from error
        except openai.APIConnectionError as error:
            raise self._broken(error) from error
        except openai.APIStatusError as error:
            raise self._refused(error.response) from error
        except openai.APIError as error:
            reason = self._clean(error.message)
            raise EngineError(f"The server at {self.address} stopped its answer: {reason}.") from error
        except (ValueError, RecursionError) as error:  # of a stream's line
            if isinstance(error, InputError):
                raise
            raise EngineError(
                f"The stream of the server at {self.address} has a line that is not JSON."
            ) from error

    def _broken(self, error: openai.APIConnectionError) -> EngineError:
        if isinstance(error.__cause__, httpx2.ConnectError):
            return EngineError(
                f"The server at {self.address} cannot be reached ({self._clean(str(error.__cause__))}). Start it, or correct the "
                "address.",
                retryable=True,
            )
        return EngineError(
            f"The connection to the server at {self.address} broke off in the middle of an answer.",
            retryable=True,
        )

    def _refused(self, response: httpx2.Response) -> EngineError:
        status, reason = response.status_code, self._clean(_reason(response))
        said = f": {reason}" if reason else ""
        if 300 <= status < 400:
            host = urlsplit(response.headers.get("Location", "")).netloc or "another address"
            return EngineError(
                f"The server at {self.address} redirects to {self._clean(host)}, and nothing is sent to an address that you did "
                "not name; give the right address."
            )
        if status in (401, 403):
            advice = (
                f"check the key in {self._key_env}"
                if self._key_env
                else "name the variable that holds its key by key_env, under engines in the settings"
            )
            return EngineError(
                f"The server at {self.address} demands a valid key ({status}{said}); {advice}."
            )
        if status in (408, 409, 425, 429) or status >= 500:
            return EngineError(
                f"The server at {self.address} fails or is overloaded ({status}{said}).", retryable=True
            )
        message = f"The server at {self.address} rejects the request ({status}{said})."
        return RequestRejected(message, status=status, reason=reason)

    def _clean(self, text: str) -> str:
        """Return a server's words as one short line, without the key."""
        text = " ".join("".join(sign if sign.isprintable() else " " for sign in text).split())
        text = text.replace(self._key, "***") if self._key else text
        return (text if len(text) <= _LONGEST_REASON else f"{text[:_LONGEST_REASON]}…").rstrip(".")


def _key(name: str | None) -> str:
    if name is None:
        return ""
    key = os.environ.get(name, "").strip()
    if not key:
        raise InputError(f"The variable {name}, which should hold the key of the server, is not set.")
    if not (key.isascii() and key.isprintable()):
        raise InputError(f"The key in {name} has characters that cannot be sent; correct the variable.")
    return key


def _kind_of(response: httpx2.Response) -> str:
    kind = response.headers.get("Content-Type", "").split(";")[0].strip()
    return (
        "an HTML page"
        if "html" in kind
        else (kind if kind.isascii() and kind.isprintable() else "") or "something"
    )


def _reason(response: httpx2.Response) -> str:
    """Return a server's own message about an error."""
    try:
        data: object = json.loads(response.content)
    except (ValueError, RecursionError):
        return "" if "html" in response.headers.get("Content-Type", "") else response.text
    for _ in range(3):  # {"error": {"message": …}}, {"detail": …}, {"detail": [{"msg": …}]}
        if isinstance(data, dict):
            data = next((data[name] for name in ("error", "message", "detail", "msg") if data.get(name)), "")
        elif isinstance(data, list):
            data = data[0] if data else ""
    return data if isinstance(data, str) else ""
