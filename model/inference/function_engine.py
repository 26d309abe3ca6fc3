"""An engine from a function: any model that turns frames and a question into text.

This is the short way to an engine of one's own. The long way is a class with the methods of
:class:`videopath.model.inference.engine.Engine`, which may score candidates by its own probabilities, score moments and
encode frames.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Sequence
from types import TracebackType
from typing import TYPE_CHECKING, Self

from videopath.core.choices import ScoreReduction
from videopath.core.errors import EngineError
from videopath.core.pathology.labels import normalised_label
from videopath.model.card import Card
from videopath.model.inference.engine import EngineInfo, Generation

if TYPE_CHECKING:
    import numpy as np

    from videopath.media.clip import Clip

Answer = Callable[["Clip", str], str]
"""(clip, question) → the answer."""
Score = Callable[["Clip", str, Sequence[str]], Sequence[float]]
"""(clip, question, candidates) → the natural-log probability of each candidate."""

_FRAMES = 8
_ADDED = 0.5  # answers that each candidate has from the start, so that no probability is 0


class FunctionEngine:
    """A model that answers through a function."""

    def __init__(
        self,
        answer: Answer,
        *,
        name: str,
        weights_sha256: str,
        score: Score | None = None,
        frames: int = _FRAMES,
        device: str = "cpu",
        licence: str = "not stated",
        address: str = "",
        card: Card | None = None,
    ) -> None:
        """Make an engine.

        Args:
            answer: Takes a clip (``frames`` uint8 [T, H, W, 3] RGB, ``seconds`` [T]) and a question, and returns text. It is
                asked in plain words for an answer in JSON; text with a line "Diagnosis: …" is understood as well.
            name: Name of the model, for traces and reports.
            weights_sha256: Mark of its weights. Answers of a case are used again only if it is the same.
            score: Scores candidates; default: the candidate that the answer names is the most probable one.
            frames: Frames of a clip by default, at least 1.
            device: Where it runs.
            licence: Licence of its weights.
            address: Where frames are sent, if they leave this machine; the trace and the report then say so.
            card: What is known of the model; default: nothing, so its confidence is not calibrated.
        """
        self._answer, self._score = answer, score
        self._info = EngineInfo(
            name=name,
            source=name,
            layout="function",
            weights_sha256=weights_sha256,
            device=device,
            dtype="unknown",
            device_reason="set by the engine",
            parameters=0,
            licence=licence,
            frames=frames,
            card=card or Card(),
            wording="plain",
            scoring="sampled answers" if score is None else "token probabilities",
            scores_moments=False,
            address=address,
        )

    @property
    def info(self) -> EngineInfo:
        """Name, weights, device and card."""
        return self._info

    def open(self, clip: Clip, *, on_frames: Callable[[int, int], None] | None = None) -> FunctionSession:
        """Return a session on a clip."""
        if on_frames:
            on_frames(len(clip), len(clip))
        return FunctionSession(clip, self._answer, self._score)


class FunctionSession:
    """A clip before a function; :class:`videopath.model.inference.engine.Session` describes the methods."""

    def __init__(self, clip: Clip, answer: Answer, score: Score | None) -> None:
        self.clip = clip
        self.notes: list[str] = []
        self._answer, self._score = answer, score
        self._answers: dict[str, str] = {}

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
        """Return the function's answer as one piece. The options for drawing tokens have no effect."""
        if cancelled is not None and cancelled():
            return Generation("", [], [], 0.0, "cancelled")
        began = time.perf_counter()
        text = self._answered(question)
        if on_token is not None and text:
            on_token(text)
        return Generation(text, [], [], time.perf_counter() - began, "eos")

    def score(
        self,
        question: str,
        candidates: Sequence[str],
        *,
        answer_start: str = "",
        reduce: ScoreReduction = "mean",
    ) -> list[float]:
        """Return the natural-log probability of each candidate, by the engine's own score or by its answer."""
        if self._score is not None:
            return [float(value) for value in self._score(self.clip, question, candidates)]
        named = _named(self._answered(question), candidates)
        votes = [_ADDED + (candidate == named) for candidate in candidates]
        return [math.log(vote / sum(votes)) for vote in votes]

    def score_moments(
        self, question: str, texts: Sequence[str], *, answer_start: str = ""
    ) -> list[list[float]]:
        """Raise: a function does not score single frames."""
        raise EngineError("This engine answers through a function and does not score single frames.")

    def frame_vectors(self) -> np.ndarray:
        """Raise: a function gives no vectors of frames."""
        raise EngineError("This engine answers through a function and gives no vectors of frames.")

    def close(self) -> None:
        """Forget the answers."""
        self._answers.clear()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def _answered(self, question: str) -> str:
        if question not in self._answers:
            self._answers[question] = self._answer(self.clip, question)
        return self._answers[question]


def _named(answer: str, candidates: Sequence[str]) -> str | None:
    """Return the candidate that an answer names, the longest if it names several."""
    text = normalised_label(answer)
    named = [candidate for candidate in candidates if normalised_label(candidate) in text]
    return max(named, key=len, default=None)
