"""The local session: a clip is encoded and prefilled once, and every answer continues from there."""

from __future__ import annotations

import logging
import math
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager, suppress
from threading import Lock
from types import TracebackType
from typing import Self, TypeVar

import numpy as np
import torch

from videopath.core.choices import ScoreReduction, StopReason
from videopath.core.errors import EngineError, InputError
from videopath.media.clip import Clip
from videopath.model.architecture.network import Network
from videopath.model.inference.decoding import TextStream, TokenSampler
from videopath.model.inference.engine import Generation
from videopath.model.inference.frame_vectors import encode_frames
from videopath.model.inference.prefix import OnFrames, Prefix
from videopath.model.inference.prefix_cache import side_by_side

_log = logging.getLogger(__name__)

_T = TypeVar("_T")


class LocalSession:
    """One clip before a local network; :class:`videopath.model.inference.engine.Session` describes the methods.

    Answers do not depend on earlier calls. Only one call runs at a time: a second one, from another thread or from a
    callback, raises ``EngineError``. If the GPU's memory is too small, half of the frames are used, and ``notes`` says so.
    """

    def __init__(self, network: Network, clip: Clip, on_frames: OnFrames | None = None) -> None:
        self.clip = clip
        self.notes: list[str] = []
        self._network = network
        self._on_frames = on_frames
        self._busy = Lock()
        self._closed = False
        self._held: Prefix | None = None
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
        _check_generation(max_new_tokens, temperature, top_p, seed)
        sampler = TokenSampler(temperature, top_p, self._network.config.repetition_penalty)
        with self._turn():
            began = time.perf_counter()
            first = self._with_memory(lambda prefix: prefix.ask(question, answer_start))
            answer = _GrowingAnswer(self._network, sampler, seed, on_token)
            with _memory_error_as_engine_error():
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
        if reduce not in ("mean", "sum"):
            raise InputError(f"Scores are reduced by 'mean' or 'sum', not {reduce!r}.")
        with self._turn():
            logprobs = self._with_memory(lambda prefix: prefix.score(question, answer_start, candidates))
            return [_finite(float(own.mean() if reduce == "mean" else own.sum())) for own in logprobs]

    def score_moments(
        self, question: str, texts: Sequence[str], *, answer_start: str = ""
    ) -> list[list[float]]:
        """Return ``[text][frame]``; the features of the tower are used again."""
        with self._turn():
            logprobs = self._with_memory(lambda prefix: prefix.score_frames(question, answer_start, texts))
            return [[_finite(score) for score in own.mean(dim=1).tolist()] for own in logprobs]

    def frame_vectors(self) -> np.ndarray:
        """Return each frame as the vision tower sees it: float32 [T, dimension], each row of length 1."""
        with self._turn():
            kept = self._with_memory(lambda prefix: prefix.frame_vectors)
            return encode_frames(self._network, self.clip.frames) if kept is None else kept.cpu().numpy()

    def _first(self, question: str) -> torch.Tensor:
        """Return the logits ``[vocabulary]`` of the first token of an answer."""
        return self._with_memory(lambda prefix: prefix.ask(question, ""))

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

    def _prefix(self) -> Prefix:
        if self._held is None:
            self._held = Prefix(self._network, self.clip, self._on_frames)
        return self._held

    def _with_memory(self, call: Callable[[Prefix], _T]) -> _T:
        """Run ``call``; if the GPU's memory is too small, free it and try again with half of the frames."""
        while True:
            with suppress(torch.OutOfMemoryError):
                return call(self._prefix())
            self._use_fewer_frames()  # outside the handler: the traceback would keep tensors alive

    def _use_fewer_frames(self) -> None:
        self._held = None
        if torch.cuda.is_available():
            torch.cuda.empty_cache()
        before, device = len(self.clip), self._network.device
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


class _GrowingAnswer:
    """An answer that is being written."""

    def __init__(
        self,
        network: Network,
        sampler: TokenSampler,
        seed: int | None,
        on_token: Callable[[str], None] | None,
    ) -> None:
        self.text = ""
        self.tokens: list[int] = []
        self.logprobs: list[float] = []
        self.ended = False
        self._sampler = sampler
        self._stream = TextStream(network.tokenizer)
        self._ends = network.config.eos_token_ids
        self._on_token = on_token
        self._generator = torch.Generator()
        self._generator.seed() if seed is None else self._generator.manual_seed(seed)

    def write(
        self, prefix: Prefix, logits: torch.Tensor, limit: int, cancelled: Callable[[], bool] | None
    ) -> StopReason:
        """Choose at most ``limit`` tokens, the first from ``logits``; return why the answer ended."""
        for number in range(min(limit, prefix.room)):
            if cancelled is not None and cancelled():
                self.close()
                return "cancelled"
            self.add(prefix.step(self.tokens[-1]) if number else logits)
            if self.ended:
                break
        self.close()
        return "eos" if self.ended else "length"

    def add(self, logits: torch.Tensor) -> None:
        """Choose the next token from ``logits`` ``[vocabulary]``."""
        total = _finite(float(logits.logsumexp(-1)))
        token = self._sampler.choose(logits, self.tokens, self._generator)
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


def generate_together(
    sessions: Sequence[LocalSession], questions: Sequence[str], *, max_new_tokens: int = 256
) -> list[Generation]:
    """Answer one question in each of several sessions of one engine, greedily. Each pass adds one token to every answer.

    The answers equal those of :meth:`LocalSession.generate`, except for the rounding of larger matrix products. This needs
    memory for a copy of each session's keys and values.

    Args:
        sessions: Sessions of one engine.
        questions: One question for each session.
        max_new_tokens: Most tokens of an answer, at least 1.

    Raises:
        InputError: ``max_new_tokens`` is below 1, or a question is too long.
        EngineError: The GPU's memory is too small, or a session is busy or closed.
    """
    _check_generation(max_new_tokens, 0.0, 1.0, None)
    began = time.perf_counter()
    with ExitStack() as turns:
        for session in sessions:
            turns.enter_context(session._turn())
        network = sessions[0]._network
        logits = [session._first(question) for session, question in zip(sessions, questions, strict=True)]
        prefixes = [session._prefix() for session in sessions]
        sampler = TokenSampler(0.0, 1.0, network.config.repetition_penalty)
        answers = [_GrowingAnswer(network, sampler, 0, None) for _ in sessions]
        with _memory_error_as_engine_error():
            _write_together(network, prefixes, answers, torch.stack(logits), max_new_tokens)
    seconds = (time.perf_counter() - began) / len(sessions)
    return [
        Generation(answer.text, answer.tokens, answer.logprobs, seconds, "eos" if answer.ended else "length")
        for answer in answers
    ]


def _write_together(
    network: Network,
    prefixes: Sequence[Prefix],
    answers: Sequence[_GrowingAnswer],
    logits: torch.Tensor,
    limit: int,
) -> None:
    """Write all answers; ``logits`` ``[B, vocabulary]`` give the first tokens. Rows that have ended are ignored."""
    rooms = [min(limit, prefix.room) for prefix in prefixes]
    lengths = torch.tensor(
        [[prefix.cache.get_seq_length()] for prefix in prefixes], device=logits.device
    )  # [B, 1]
    cache = side_by_side([prefix.cache for prefix in prefixes])
    longest = cache.get_seq_length()
    positions = torch.arange(longest + limit, device=logits.device)
    seen = (positions >= longest - lengths).long()  # [B, longest + limit]: all but the padding
    for number in range(max(rooms)):
        for answer, row, room in zip(answers, logits, rooms, strict=True):
            if number < room and not answer.ended:
                answer.add(row)
        unfinished = [
            number + 1 < room and not answer.ended for answer, room in zip(answers, rooms, strict=True)
        ]
        if not any(unfinished):
            break
        last = torch.tensor([[answer.tokens[-1]] for answer in answers], device=logits.device)
        next_logits, _ = network.decode(
            network.embed_tokens(last),
            cache=cache,
            position_ids=lengths + number,
            attention_mask=seen[:, : longest + number + 1],
            logits_to_keep=1,
        )
        logits = next_logits[:, -1]
    for answer in answers:
        answer.close()


@contextmanager
def _memory_error_as_engine_error() -> Iterator[None]:
    """Raise ``EngineError``: a part of the answer is out already, so it cannot start again with fewer frames."""
    try:
        yield
    except torch.OutOfMemoryError as error:
        raise EngineError(
            "The GPU ran out of memory in the middle of an answer. Ask for fewer tokens or use fewer frames.",
            retryable=True,
        ) from error


def _finite(number: float) -> float:
    """Return ``number``; raise if it is NaN or infinite, because of half-precision overflow or broken weights."""
    if not math.isfinite(number):
        raise EngineError(
            "The model computed values that are not finite. Use dtype float32, or check its weights."
        )
    return number


def _check_generation(max_new_tokens: int, temperature: float, top_p: float, seed: int | None) -> None:
    if max_new_tokens < 1:
        raise InputError(f"An answer needs max_new_tokens of 1 or more, not {max_new_tokens}.")
    if not (math.isfinite(temperature) and temperature >= 0):
        raise InputError(f"The temperature must be 0 (greedy) or above, not {temperature}.")
    if not 0 < top_p <= 1:
        raise InputError(f"top_p must be in (0, 1], not {top_p}.")
    if seed is not None and not -(2**63) <= seed < 2**63:
        raise InputError(f"The seed must be a whole number of 64 bits, not {seed}.")
