"""Sessions that answer from a prefix: a clip is prefilled once, and every answer continues from there."""

from __future__ import annotations

import logging
import math
import time
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from threading import Lock
from types import TracebackType
from typing import Any, Generic, Protocol, Self, TypeVar

import torch

from videopath.core.choices import ScoreReduction, StopReason
from videopath.core.errors import EngineError
from videopath.media.clip import Clip
from videopath.model.inference.arguments import check_generation, check_reduction
from videopath.model.inference.decoding import TextStream, TokenSampler
from videopath.model.inference.engine import Generation

_log = logging.getLogger(__name__)

_T = TypeVar("_T")


class AnsweringPrefix(Protocol):
    """A clip that is prefilled up to the question."""

    @property
    def room(self) -> int:
        """How many more tokens fit into the context after the last question."""

    @property
    def penalised(self) -> Sequence[int]:
        """Tokens of the last prompt that the repetition penalty covers beside those of the answer."""

    def ask(self, question: str, answer_start: str) -> torch.Tensor:
        """Put a question after the prefix, in place of the last one; return the logits ``[vocabulary]`` of the answer."""

    def step(self, token: int) -> torch.Tensor:
        """Append a token of the answer; return the logits ``[vocabulary]`` of the next one."""

    def score(self, question: str, answer_start: str, texts: Sequence[str]) -> list[torch.Tensor]:
        """Return the log-probabilities of each text's tokens after the prompt, ``[tokens]``."""

    def score_frames(self, question: str, answer_start: str, texts: Sequence[str]) -> list[torch.Tensor]:
        """Return the log-probabilities of each text's tokens if the model sees one frame, ``[frames, tokens]``."""


_P = TypeVar("_P", bound=AnsweringPrefix)


@dataclass(frozen=True)
class Speech:
    """How a model writes: its tokenizer, the tokens that end an answer, and its repetition penalty."""

    tokenizer: Any
    ends: tuple[int, ...]
    repetition_penalty: float


class PrefixSession(ABC, Generic[_P]):
    """One clip before a model on this machine; :class:`videopath.model.inference.engine.Session` describes the methods.

    Answers do not depend on earlier calls. Only one call runs at a time: a second one, from another thread or from a
    callback, raises ``EngineError``. If the memory is too small, half of the frames are used, and ``notes`` says so.
    """

    def __init__(self, clip: Clip, device: torch.device | str) -> None:
        self.clip = clip
        self.notes: list[str] = []
        self._device = device
        self._busy = Lock()
        self._closed = False
        self._held: _P | None = None

    @property
    @abstractmethod
    def _speech(self) -> Speech:
        """How the model writes."""

    @abstractmethod
    def _new_prefix(self) -> _P:
        """Prefill the frames of ``clip``."""

    def _prefill(self) -> None:
        """Prefill the clip now instead of at the first question."""
        with self._turn():
            self._with_memory(lambda prefix: prefix)

    def generate(
        self,
        question: str,
        *,
        max_new_tokens: int = 256,
        temperature: float = 0.0,
        top_p: float = 1.0,
        seed: int | None = None,
        answer_start: str = "",
        on_token: Callable[[str], None] | None = None,
        cancelled: Callable[[], bool] | None = None,
    ) -> Generation:
        """Answer a question, token by token."""
        check_generation(max_new_tokens, temperature, top_p, seed)
        sampler = TokenSampler(temperature, top_p, self._speech.repetition_penalty)
        with self._turn():
            began = time.perf_counter()
            first = self._with_memory(lambda prefix: prefix.ask(question, answer_start))
            answer = GrowingAnswer(self._speech, sampler, seed, on_token)
            with memory_error_as_engine_error():
                stopped = answer.write(self._prefix(), first, max_new_tokens, cancelled)
            return Generation(
                answer.text, answer.tokens, answer.logprobs, time.perf_counter() - began, stopped
            )

    def score(
        self,
        question: str,
        candidates: Sequence[str],
        *,
        answer_start: str = "",
        reduce: ScoreReduction = "mean",
    ) -> list[float]:
        """Return the log-probability of each candidate as the answer; one pass if all candidates fit into it."""
        check_reduction(reduce)
        with self._turn():
            logprobs = self._with_memory(lambda prefix: prefix.score(question, answer_start, candidates))
            return [finite(float(own.mean() if reduce == "mean" else own.sum())) for own in logprobs]

    def score_moments(
        self, question: str, texts: Sequence[str], *, answer_start: str = ""
    ) -> list[list[float]]:
        """Return ``[text][frame]``: the mean log-probability of each text if the model sees only that frame."""
        with self._turn():
            logprobs = self._with_memory(lambda prefix: prefix.score_frames(question, answer_start, texts))
            return [[finite(score) for score in own.mean(dim=1).tolist()] for own in logprobs]

    def close(self) -> None:
        """Free the memory."""
        self._closed = True
        self._held = None

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    @contextmanager
    def _turn(self) -> Iterator[None]:
        """Hold the session for one call, without gradients."""
        if self._closed:
            raise EngineError("This session is closed; open the clip again.")
        if not self._busy.acquire(blocking=False):
            raise EngineError(
                "This session is answering another question; wait for it or open a second session."
            )
        try:
            with torch.inference_mode():
                yield
        finally:
            self._busy.release()

    def _prefix(self) -> _P:
        if self._held is None:
            self._held = self._new_prefix()
        return self._held

    def _with_memory(self, call: Callable[[_P], _T]) -> _T:
        """Run ``call``; if the GPU's memory is too small, free it and try again with half of the frames."""
        while True:
            with suppress(torch.OutOfMemoryError):
                return call(self._prefix())
            self._use_fewer_frames()  # outside the handler: the traceback would keep tensors alive

    def _use_fewer_frames(self) -> None:
        self._held = None
        if torch.cuda.is_available():
            torch.cuda.empty_cache()
        before, device = len(self.clip), self._device
        if before == 1:
            raise EngineError(
                f"The memory of {device} is too small for even one frame. Free it, or choose another device or dtype.",
                retryable=True,
            )
        self.clip = self.clip.take(range(0, before - before % 2, 2))
        self.notes.append(f"Out of memory on {device}: {len(self.clip)} of {before} frames are used.")
        _log.warning(
            "Out of memory on %s: trying again with %d of %d frames.", device, len(self.clip), before
        )


class GrowingAnswer:
    """An answer that is being written."""

    def __init__(
        self,
        speech: Speech,
        sampler: TokenSampler,
        seed: int | None,
        on_token: Callable[[str], None] | None,
    ) -> None:
        self.text = ""
        self.tokens: list[int] = []
        self.logprobs: list[float] = []
        self.ended = False
        self._sampler = sampler
        self._stream = TextStream(speech.tokenizer)
        self._ends = speech.ends
        self._on_token = on_token
        self._generator = torch.Generator()
        self._generator.seed() if seed is None else self._generator.manual_seed(seed)

    def write(
        self, prefix: AnsweringPrefix, logits: torch.Tensor, limit: int, cancelled: Callable[[], bool] | None
    ) -> StopReason:
        """Choose at most ``limit`` tokens, the first from ``logits``; return why the answer ended."""
        for number in range(min(limit, prefix.room)):
            if cancelled is not None and cancelled():
                self.close()
                return "cancelled"
            self.add(prefix.step(self.tokens[-1]) if number else logits, prefix.penalised)
            if self.ended:
                break
        self.close()
        return "eos" if self.ended else "length"

    def add(self, logits: torch.Tensor, penalised: Sequence[int] = ()) -> None:
        """Choose the next token from ``logits`` ``[vocabulary]``; the penalty covers ``penalised`` and the answer so far."""
        total = finite(float(logits.logsumexp(-1)))
        token = self._sampler.choose(logits, [*penalised, *self.tokens], self._generator)
        self.tokens.append(token)
        self.logprobs.append(float(logits[token]) - total)
        self.ended = token in self._ends
        if not self.ended:
            self._emit(self._stream.push(token))

    def close(self) -> None:
        """Add the rest of the text."""
        self._emit(self._stream.flush())

    def _emit(self, piece: str) -> None:
        self.text += piece
        if piece and self._on_token is not None:
            self._on_token(piece)


@contextmanager
def memory_error_as_engine_error() -> Iterator[None]:
    """Raise ``EngineError``: a part of the answer is out already, so it cannot start again with fewer frames."""
    try:
        yield
    except torch.OutOfMemoryError as error:
        raise EngineError(
            "The GPU ran out of memory in the middle of an answer. Ask for fewer tokens or use fewer frames.",
            retryable=True,
        ) from error


def finite(number: float) -> float:
    """Return ``number``; raise if it is NaN or infinite, because of half-precision overflow or broken weights."""
    if not math.isfinite(number):
        raise EngineError(
            "The model computed values that are not finite. Use dtype float32, or check its weights."
        )
    return number
