"""Engines: models that answer questions about a clip.

:class:`Engine` and :class:`Session` are the protocols that the tools work with. They do not mention torch, so an engine
behind a server can implement them as well. :class:`AnswersTogether` and :class:`EncodesFrames` are optional abilities of
an engine. :class:`LocalEngine` runs a checkpoint on this machine and has both.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Protocol, Self, runtime_checkable

from pydantic import BaseModel, ConfigDict, Field, model_validator

from videopath.core.choices import ScoreReduction, Scoring, StopReason, Wording
from videopath.model.card import NANO_FOLDER, Card, read_card
from videopath.model.inference.spec import NANO, EngineSpec

if TYPE_CHECKING:
    import numpy as np

    from videopath.media.clip import Clip
    from videopath.model.architecture.network import Network
    from videopath.model.checkpoints.loading import Checkpoint
    from videopath.model.inference.session import LocalSession

_log = logging.getLogger(__name__)

_FRAMES = 32  # of the original's inference


class EngineInfo(BaseModel):
    """Description of an engine, for reports."""

    model_config = ConfigDict(frozen=True)

    name: str
    source: str = Field(description="folder, hub id or address")
    layout: str = Field(
        description="how a checkpoint's files are laid out: original, huggingface, lora or projector for LLaVA-Qwen, "
        "transformers for other families; served for a server"
    )
    weights_sha256: str
    device: str
    dtype: str
    device_reason: str
    parameters: int = Field(ge=0)
    licence: str
    frames: int = Field(ge=1, description="frames per clip by default")
    card: Card
    wording: Wording = Field("videopath", description="how the model is asked")
    scoring: Scoring = Field("token probabilities", description="how the scores of candidates come about")
    scores_moments: bool = Field(True, description="whether sessions can score texts on single frames")
    address: str = Field(
        "", description="where frames and questions are sent; empty: they stay on this machine"
    )

    @model_validator(mode="after")
    def _without_foreign_calibration(self) -> Self:
        """Leave out a calibration that was fitted on scores that came about in another way."""
        object.__setattr__(self, "card", self.card.fitted_under(self.scoring))  # the model is frozen
        return self


@dataclass(frozen=True)
class Generation:
    """An answer of the model."""

    text: str
    """The new text, without ``answer_start`` and special tokens."""
    tokens: list[int]
    """The new tokens, with the end-of-sequence token if the answer ended with one."""
    logprobs: list[float]
    """Natural-log probability of each token in the model's own distribution, before penalty and temperature."""
    seconds: float
    stopped: StopReason


@dataclass(frozen=True)
class Request:
    """A question with the options of :meth:`Session.generate`, for an answer beside others."""

    question: str
    max_new_tokens: int = 256
    temperature: float = 0.0
    top_p: float = 1.0
    seed: int | None = None
    answer_start: str = ""
    on_token: Callable[[str], None] | None = None
    cancelled: Callable[[], bool] | None = None


class Session(Protocol):
    """One clip before the model, which answers any number of questions about it.

    Use it in a ``with``, or close it. Two methods are optional. ``score_moments`` raises ``EngineError`` if the engine's
    ``info.scores_moments`` is false, and ``frame_vectors`` does if the engine is not :class:`EncodesFrames`.
    """

    @property
    def clip(self) -> Clip:
        """The frames that the model sees: fewer than were given if memory ran out, see ``notes``."""

    @property
    def notes(self) -> list[str]:
        """Deviations from the request, in sentences for the trace."""

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
        """Answer a question.

        Args:
            question: The question about the clip.
            max_new_tokens: Most tokens of the answer, at least 1.
            temperature: 0 takes the most probable token; above 0, tokens are drawn.
            top_p: Share of probability that tokens are drawn from, in (0, 1].
            seed: Makes drawn answers repeatable; default: random.
            answer_start: Text that the answer continues.
            on_token: Called with the text, piece by piece.
            cancelled: Called before each token; if it returns true, the answer ends there.

        Raises:
            InputError: An argument is out of range, or the question is too long.
            EngineError: The model fails.
        """

    def score(
        self,
        question: str,
        candidates: Sequence[str],
        *,
        answer_start: str = "",
        reduce: ScoreReduction = "mean",
    ) -> list[float]:
        """Return the natural-log probability of each candidate as the answer, after question and ``answer_start``.

        Candidates are scored exactly as given: leading spaces count, and no end token is added. ``reduce`` says whether
        the log-probabilities of a candidate's tokens are averaged or summed. An engine whose ``info.scoring`` is not
        "token probabilities" returns the log-probability of each candidate as a whole, and ignores ``reduce``.
        """

    def score_moments(
        self, question: str, texts: Sequence[str], *, answer_start: str = ""
    ) -> list[list[float]]:
        """Return ``[text][frame]``: the mean log-probability of each text if the model sees only that frame of the clip."""

    def frame_vectors(self) -> np.ndarray:
        """Return each frame of the clip as the vision tower sees it: float32 [T, dimension], each row of length 1.

        Raises:
            EngineError: The engine gives no vectors, for example because it runs behind a server.
        """

    def close(self) -> None:
        """Free the memory; the session then answers no more questions."""

    def __enter__(self) -> Self: ...

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None: ...


class Engine(Protocol):
    """A loaded model. Optional abilities are the protocols :class:`AnswersTogether` and :class:`EncodesFrames`."""

    @property
    def info(self) -> EngineInfo:
        """Name, weights, device and card."""

    def open(self, clip: Clip, *, on_frames: Callable[[int, int], None] | None = None) -> Session:
        """Encode a clip once; every answer of the session continues from there.

        Args:
            clip: The clip.
            on_frames: Called with (frames encoded, all frames). If it raises, the encoding stops.
        """


@runtime_checkable
class AnswersTogether(Engine, Protocol):
    """An engine that answers questions about several clips side by side. Optional."""

    def generate_together(
        self, sessions: Sequence[Session], questions: Sequence[str], *, max_new_tokens: int = 256
    ) -> list[Generation]:
        """Answer one question in each of several sessions of this engine, greedily.

        Raises:
            InputError: ``max_new_tokens`` is below 1, or a question is too long.
            EngineError: The memory is too small for all sessions at once, or the model fails.
        """


@runtime_checkable
class AnswersRequests(AnswersTogether, Protocol):
    """An engine that answers side by side with the options of each request. Optional."""

    def answer_together(self, sessions: Sequence[Session], requests: Sequence[Request]) -> list[Generation]:
        """Answer one request in each of several sessions of this engine.

        Raises:
            InputError: An option is out of range, or a question is too long.
            EngineError: The memory is too small for all sessions at once, or the model fails.
        """


@runtime_checkable
class EncodesFrames(Engine, Protocol):
    """An engine that turns frames into vectors with its vision tower. Optional."""

    @property
    def frame_dimension(self) -> int:
        """Length of a frame's vector."""

    @property
    def frame_side(self) -> int:
        """Side of the square that the tower reads, in pixels."""

    def encode_frames(self, frames: np.ndarray) -> np.ndarray:
        """Return one vector for each frame, uint8 [T, H, W, 3] RGB: float32 [T, dimension], each of length 1."""


class LocalEngine:
    """A checkpoint on this machine; see :class:`AnswersTogether` and :class:`EncodesFrames` for its methods."""

    def __init__(self, network: Network, info: EngineInfo) -> None:
        self.network = network
        self._info = info

    @property
    def info(self) -> EngineInfo:
        """Name, weights, device and card."""
        return self._info

    @property
    def frame_dimension(self) -> int:
        """Length of a frame's vector."""
        return int(self.network.config.vision_config["hidden_size"]) * len(self.network.depths)

    @property
    def frame_side(self) -> int:
        """Side of the square that the tower reads, in pixels."""
        return self.network.config.image_size

    def open(self, clip: Clip, *, on_frames: Callable[[int, int], None] | None = None) -> LocalSession:
        """Encode the clip and prefill the prompt up to its end, once."""
        from videopath.model.inference.session import LocalSession

        return LocalSession(self.network, clip, on_frames)

    def generate_together(
        self, sessions: Sequence[Session], questions: Sequence[str], *, max_new_tokens: int = 256
    ) -> list[Generation]:
        """Answer one question in each of several sessions of this engine, greedily."""
        return self.answer_together(
            sessions, [Request(question, max_new_tokens=max_new_tokens) for question in questions]
        )

    def answer_together(self, sessions: Sequence[Session], requests: Sequence[Request]) -> list[Generation]:
        """Answer one request in each of several sessions of this engine."""
        from videopath.model.inference import session

        own = [one for one in sessions if isinstance(one, session.LocalSession)]
        if len(own) < len(sessions):
            raise TypeError("LocalEngine answers only in its own sessions")
        return session.answer_together(own, requests)

    def encode_frames(self, frames: np.ndarray) -> np.ndarray:
        """Return one vector for each frame, uint8 [T, H, W, 3] RGB: float32 [T, dimension], each of length 1."""
        from videopath.model.inference.frame_vectors import encode_frames

        return encode_frames(self.network, frames)


def load_local_engine(spec: EngineSpec) -> LocalEngine:
    """Load a checkpoint of the VideoPath-LLaVA family; see :func:`videopath.model.inference.loading.load_engine`.

    Raises:
        ModelError: The checkpoint does not exist, its tensors do not fit, or its licence is not accepted.
        InputError: The device or the dtype is unknown.
    """
    from videopath.model.checkpoints.hub import licence_of
    from videopath.model.checkpoints.loading import load_open_checkpoint, open_checkpoint
    from videopath.model.checkpoints.weights_hash import weights_sha256
    from videopath.model.device import choose_device

    started = time.monotonic()
    source = _source(spec.model)
    choice = choose_device(spec.device, spec.dtype)
    checkpoint = open_checkpoint(spec)
    card = read_card(checkpoint.folder)
    network = load_open_checkpoint(checkpoint, choice)
    sha256 = weights_sha256(weight_files(checkpoint))
    info = EngineInfo(
        name=card.name or (checkpoint.folder.name if Path(source).is_dir() else source),
        source=str(spec.model),
        layout=checkpoint.layout,
        weights_sha256=sha256,
        device=choice.device,
        dtype=choice.dtype,
        device_reason=choice.reason,
        parameters=sum(weight.numel() for weight in network.parameters()),
        licence=card.licence or licence_of(source) or "not stated",
        frames=card.frames or _FRAMES,
        card=card.card_of(sha256),
    )
    _log.info(
        "Engine %s loaded on %s as %s in %.1f s (%s).",
        info.name, info.device, info.dtype, time.monotonic() - started, info.device_reason,
    )  # fmt: skip
    return LocalEngine(network, info)


def default_frames(name: str | Path) -> int | None:
    """Return the default number of frames of a checkpoint on this machine, from its card; ``None`` for a hub id."""
    from videopath.model.families.kinds import PLAIN_FRAMES, is_other_family

    folder = Path(_source(name))
    if not folder.is_dir():
        return None
    return read_card(folder).frames or (PLAIN_FRAMES if is_other_family(folder) else _FRAMES)


def _source(name: str | Path) -> str:
    return str(NANO_FOLDER) if str(name) == NANO else str(name)


def weight_files(checkpoint: Checkpoint | None) -> list[Path]:
    """Return a checkpoint's weight files, those of its base first."""
    return [] if checkpoint is None else [*weight_files(checkpoint.base), *checkpoint.files]
