"""Side by side: the answers of several cases, each in a thread of its own, are written by one model at once.

A thread that asks for an answer waits until every other case waits as well, or for a moment; then one of them has the
model write all answers together. Everything else (opening clips, scores, other models) runs in the thread of its case.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from types import TracebackType
from typing import TYPE_CHECKING, Any, Self

from videopath.core.errors import InputError, VideoPathError
from videopath.model.inference.engine import AnswersRequests, EncodesFrames, Generation, Request
from videopath.model.inference.loading import load_engine
from videopath.model.inference.spec import EngineSpec

if TYPE_CHECKING:
    import numpy as np

    from videopath.core.choices import ScoreReduction
    from videopath.media.clip import Clip
    from videopath.model.inference.engine import Engine, EngineInfo, Session

_PATIENCE = 5.0  # seconds that a request waits for others; meanwhile their work has the processor


class Gathering:
    """The cases that one model answers side by side."""

    def __init__(self) -> None:
        self._changed = threading.Condition()
        self._waiting: list[_Waiting] = []
        self._cases = 0
        self._writing = False
        self.sizes: list[int] = []
        """How many answers were written at once, for measurements."""

    @contextmanager
    def case(self) -> Iterator[None]:
        """Count a case within the block: the requests of others wait for its own."""
        with self._changed:
            self._cases += 1
        try:
            yield
        finally:
            with self._changed:
                self._cases -= 1
                self._changed.notify_all()

    def answer(self, engine: AnswersRequests, session: Session, request: Request) -> Generation | None:
        """Return the answer, written together with others; None if this request has to be asked alone.

        The latter holds if no other request came in time, or if the answers could not be written together.
        """
        own = _Waiting(engine, session, request)
        with self._changed:
            self._waiting.append(own)
            self._changed.notify_all()
            until = time.monotonic() + _PATIENCE
            while not own.settled and not self._may_begin(until):
                self._changed.wait(max(0.001, until - time.monotonic()) if not self._writing else None)
            if own.settled:
                return own.answer
            group = [one for one in self._waiting if one.engine is engine]
            self._waiting = [one for one in self._waiting if one.engine is not engine]
            self._writing = True
        answers: Sequence[Generation | None] = [None] * len(group)
        try:
            if len(group) > 1:
                answers = _written(engine, group)
        finally:
            with self._changed:
                self.sizes.append(len(group))
                self._writing = False
                for one, answer in zip(group, answers, strict=True):
                    one.settled, one.answer = True, answer
                self._changed.notify_all()
        return own.answer

    def _may_begin(self, until: float) -> bool:
        """Return whether a waiting request may begin: all cases wait, or time is up."""
        return not self._writing and (len(self._waiting) >= self._cases or time.monotonic() >= until)


@dataclass(eq=False)
class _Waiting:
    engine: AnswersRequests
    session: Session
    request: Request
    settled: bool = False
    answer: Generation | None = None


def _written(engine: AnswersRequests, group: Sequence[_Waiting]) -> Sequence[Generation | None]:
    """Return the answers of a group; None for all if one of them fails: each is then asked alone and fails alone."""
    # a callback of one case may raise, which would stop the others: tokens are not shown side by side
    requests = [replace(one.request, on_token=None, cancelled=None) for one in group]
    try:
        return engine.answer_together([one.session for one in group], requests)
    except VideoPathError:
        return [None] * len(group)


class SideBySideSession:
    """A session whose answers are written together with those of other cases."""

    def __init__(self, engine: AnswersRequests, session: Session, gathering: Gathering) -> None:
        self._engine, self._session, self._gathering = engine, session, gathering

    @property
    def clip(self) -> Clip:
        """The frames that the model sees."""
        return self._session.clip

    @property
    def notes(self) -> list[str]:
        """Deviations from the request."""
        return self._session.notes

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
        """Answer a question, beside others if they come in time."""
        options: dict[str, Any] = {
            "max_new_tokens": max_new_tokens,
            "temperature": temperature,
            "top_p": top_p,
            "seed": seed,
            "answer_start": answer_start,
            "on_token": on_token,
            "cancelled": cancelled,
        }
        together = self._gathering.answer(self._engine, self._session, Request(question, **options))
        return together or self._session.generate(question, **options)

    def score(
        self,
        question: str,
        candidates: Sequence[str],
        *,
        answer_start: str = "",
        reduce: ScoreReduction = "mean",
    ) -> list[float]:
        """Return the log-probability of each candidate."""
        return self._session.score(question, candidates, answer_start=answer_start, reduce=reduce)

    def score_moments(
        self, question: str, texts: Sequence[str], *, answer_start: str = ""
    ) -> list[list[float]]:
        """Return ``[text][frame]``: the log-probability of each text if the model sees only that frame."""
        return self._session.score_moments(question, texts, answer_start=answer_start)

    def frame_vectors(self) -> np.ndarray:
        """Return the vectors of the frames: float32 [T, dimension]."""
        return self._session.frame_vectors()

    def close(self) -> None:
        """Free the memory."""
        self._session.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


class SideBySideEngine:
    """An engine whose sessions, in several threads, are answered together."""

    def __init__(self, engine: AnswersRequests, gathering: Gathering) -> None:
        self._engine, self._gathering = engine, gathering

    @property
    def info(self) -> EngineInfo:
        """Name, weights, device and card."""
        return self._engine.info

    def open(self, clip: Clip, *, on_frames: Callable[[int, int], None] | None = None) -> SideBySideSession:
        """Encode a clip once."""
        return SideBySideSession(self._engine, self._engine.open(clip, on_frames=on_frames), self._gathering)


class SideBySideEncodingEngine(SideBySideEngine):
    """The same for an engine that turns frames into vectors as well."""

    def __init__(self, engine: AnswersRequests, gathering: Gathering, encoder: EncodesFrames) -> None:
        super().__init__(engine, gathering)
        self._encoder = encoder

    @property
    def frame_dimension(self) -> int:
        """Length of a frame's vector."""
        return self._encoder.frame_dimension

    @property
    def frame_side(self) -> int:
        """Side of the square that the tower reads, in pixels."""
        return self._encoder.frame_side

    def encode_frames(self, frames: np.ndarray) -> np.ndarray:
        """Return one vector for each frame: float32 [T, dimension]."""
        return self._encoder.encode_frames(frames)


class SharedLoader:
    """Loads each model once for several agents, and lets it answer side by side."""

    def __init__(self, gathering: Gathering) -> None:
        self._gathering = gathering
        self._engines: dict[EngineSpec, Engine] = {}
        self._lock = threading.Lock()

    def __call__(self, spec: EngineSpec) -> Engine:
        """Return the engine of a spec.

        Raises:
            InputError: The model cannot answer side by side.
        """
        with self._lock:
            if spec not in self._engines:
                self._engines[spec] = side_by_side(load_engine(spec), self._gathering)
            return self._engines[spec]


def side_by_side(engine: Engine, gathering: Gathering) -> SideBySideEngine:
    """Return an engine whose sessions are answered together.

    Raises:
        InputError: The engine cannot.
    """
    if not isinstance(engine, AnswersRequests):
        raise InputError(
            f"The model {engine.info.name} cannot answer several cases side by side: leave --together out."
        )
    if isinstance(engine, EncodesFrames):
        return SideBySideEncodingEngine(engine, gathering, engine)
    return SideBySideEngine(engine, gathering)
