"""The local session: a clip is encoded and prefilled once, every answer continues from there."""

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
    """One clip before a local network; see :class:`videopath.model.inference.engine.Session` for the calls.

    Answers do not depend on the calls before. One call at a time: a second one from another thread or from a
    callback is refused. Where the GPU's memory is too small, half of the frames are tried, and ``notes`` says so.
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
        chooser = TokenSampler(temperature, top_p, self._network.config.repetition_penalty)
        with self._turn():
            began = time.perf_counter()
            first = self._with_memory(lambda prefix: prefix.ask(question, answer_start))
            answer = _GrowingAnswer(self._network, chooser, seed, on_token)
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
        """Log-probability of each candidate as the answer, in one pass where all of them fit into one."""
        if reduce not in ("mean", "sum"):
            raise InputError(f"Scores are reduced by 'mean' or 'sum', not {reduce!r}.")
        with self._turn():
            found = self._with_memory(lambda prefix: prefix.score(question, answer_start, candidates))
            return [_finite(float(tokens.mean() if reduce == "mean" else tokens.sum())) for tokens in found]

    def score_moments(
        self, question: str, texts: Sequence[str], *, answer_start: str = ""
    ) -> list[list[float]]:
        """``[text][frame]`` for the frames of ``clip``, in one batch; what the tower saw is used again."""
        with self._turn():
            found = self._with_memory(lambda prefix: prefix.score_frames(question, answer_start, texts))
            return [[_finite(score) for score in tokens.mean(dim=1).tolist()] for tokens in found]

    def frame_vectors(self) -> np.ndarray:
        """float32 [T, dimension]: each frame as the vision tower saw it, of length 1."""
        with self._turn():
            kept = self._with_memory(lambda prefix: prefix.frame_vectors)
            return encode_frames(self._network, self.clip.frames) if kept is None else kept.cpu().numpy()

    def _first(self, question: str) -> torch.Tensor:
        """The logits ``[vocabulary]`` of the first token of an answer."""
        return self._with_memory(lambda prefix: prefix.ask(question, ""))

    def close(self) -> None:
        """Give the memory back."""
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
        """One call at a time, without gradients."""
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
        """Run ``call``; where the GPU's memory ends, free it and try again with half of the frames."""
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
    """An answer while it is written."""

    def __init__(
        self,
        network: Network,
        chooser: TokenSampler,
        seed: int | None,
        on_token: Callable[[str], None] | None,
    ) -> None:
        self.text = ""
        self.tokens: list[int] = []
        self.logprobs: list[float] = []
        self.ended = False
        self._chooser = chooser
        self._stream = TextStream(network.tokenizer)
        self._ends = network.config.eos_token_ids
        self._on_token = on_token
        self._generator = torch.Generator()
        self._generator.seed() if seed is None else self._generator.manual_seed(seed)

    def write(
        self, prefix: Prefix, logits: torch.Tensor, most: int, cancelled: Callable[[], bool] | None
    ) -> StopReason:
        """Choose tokens from ``logits`` on, at most ``most``; why it stopped."""
        for number in range(min(most, prefix.room)):
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
        token = self._chooser.choose(logits, self.tokens, self._generator)
        self.tokens.append(token)
        self.logprobs.append(float(logits[token]) - total)
        self.ended = token in self._ends
        if not self.ended:
            self._tell(self._stream.push(token))

    def close(self) -> None:
        """Hand out what is left of the text."""
        self._tell(self._stream.flush())

    def _tell(self, piece: str) -> None:
        self.text += piece
        if piece and self._on_token is not None:
            self._on_token(piece)


def generate_together(
    sessions: Sequence[LocalSession], questions: Sequence[str], *, max_new_tokens: int = 256
) -> list[Generation]:
    """Answer a question of each of several sessions of one engine, greedily: every pass moves all answers on by a token.

    Answers are those of :meth:`LocalSession.generate` but for the rounding of larger matrix products. Needs memory for a copy of
    each session's keys and values; raises ``EngineError`` where a GPU has too little.
    """
    _check_generation(max_new_tokens, 0.0, 1.0, None)
    began = time.perf_counter()
    with ExitStack() as turns:
        for session in sessions:
            turns.enter_context(session._turn())
        network = sessions[0]._network
        logits = [session._first(question) for session, question in zip(sessions, questions, strict=True)]
        prefixes = [session._prefix() for session in sessions]
        chooser = TokenSampler(0.0, 1.0, network.config.repetition_penalty)
        answers = [_GrowingAnswer(network, chooser, 0, None) for _ in sessions]
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
    most: int,
) -> None:
    """``logits`` ``[B, vocabulary]`` choose the first tokens; a row that has ended is carried along and not read."""
    rooms = [min(most, prefix.room) for prefix in prefixes]
    lengths = torch.tensor(
        [[prefix.cache.get_seq_length()] for prefix in prefixes], device=logits.device
    )  # [B, 1]
    cache = side_by_side([prefix.cache for prefix in prefixes])
    longest = cache.get_seq_length()
    places = torch.arange(longest + most, device=logits.device)
    seen = (places >= longest - lengths).long()  # [B, longest + most]: all but the padding
    for number in range(max(rooms)):
        for answer, row, room in zip(answers, logits, rooms, strict=True):
            if number < room and not answer.ended:
                answer.add(row)
        going = [number + 1 < room and not answer.ended for answer, room in zip(answers, rooms, strict=True)]
        if not any(going):
            break
        last = torch.tensor([[answer.tokens[-1]] for answer in answers], device=logits.device)
        found, _ = network.decode(
            network.embed_tokens(last),
            cache=cache,
            position_ids=lengths + number,
            attention_mask=seen[:, : longest + number + 1],
            logits_to_keep=1,
        )
        logits = found[:, -1]
    for answer in answers:
        answer.close()


@contextmanager
def _memory_error_as_engine_error() -> Iterator[None]:
    """Words of the answer are out already, so it cannot silently begin again with fewer frames."""
    try:
        yield
    except torch.OutOfMemoryError as error:
        raise EngineError(
            "The GPU's memory ended in the middle of an answer. Ask for fewer tokens or use fewer frames.",
            retryable=True,
        ) from error


def _finite(number: float) -> float:
    """Nothing is chosen from numbers that are none: half-precision overflow and broken weights end here."""
    if not math.isfinite(number):
        raise EngineError(
            "The model computed numbers that are not finite. Use dtype float32, or check its weights."
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
