"""The session of a served model: a clip is encoded once, and its frames stand first in every request."""

from __future__ import annotations

import logging
import re
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing, contextmanager
from threading import Lock
from types import TracebackType
from typing import TYPE_CHECKING, Any, Self, TypeVar

from videopath.core.choices import ScoreReduction, StopReason
from videopath.core.errors import EngineError, InputError
from videopath.core.settings import EngineSettings
from videopath.core.text import has_half_characters
from videopath.media.clip import Clip
from videopath.model.inference.arguments import check_generation, check_reduction
from videopath.model.inference.engine import Generation
from videopath.model.served.abilities import CONTINUED, Abilities, system_one_body
from videopath.model.served.connection import Connection, Json, RequestRejected
from videopath.model.served.frames import EncodedFrames, encode_frames
from videopath.model.served.replies import ChatReply, SystemOneReply
from videopath.model.served.scoring import SYSTEM_ONE_PICTURES, Scorer

if TYPE_CHECKING:
    import numpy as np

_log = logging.getLogger(__name__)

_T = TypeVar("_T")
_R = TypeVar("_R")

_LONGEST_ANSWER = 1 << 20  # characters
_MARKS = re.compile(
    r"<\|[^<>|\s]{1,40}\|>"
    r"|</?(?:s|image|video|img|pad|eos|bos|unk|start_of_turn|end_of_turn|start_of_image|end_of_image|image_soft_token)>"
    r"|<(?:image|video)_placeholder>|\[/?INST\]",
    re.IGNORECASE,
)
"""Marks of chat templates, which servers may read as such in a question."""
_TOO_MANY = re.compile(
    r"at most \d+ (?:image|video|picture)|too many (?:image|picture|frame)|(?:image|picture)s? (?:limit|exceed)"
    r"|(?:limit|maximum|max)\w*[^.]{0,40}(?:image|picture)|context.{0,20}(?:length|size|window)|max_model_len"
    r"|maximum model length|too large|exceeds? the (?:available|maximum)|prompt is too long",
    re.IGNORECASE,
)
_MOST = re.compile(r"at most (\d+) (?:image|picture)", re.IGNORECASE)
_TOO_LARGE = 413


class ServedSession:
    """One clip before a served model; :class:`videopath.model.inference.engine.Session` describes the methods.

    Only one call runs at a time: a second one, from another thread or from a callback, raises ``EngineError``. If the
    server rejects so many frames, fewer are sent, and ``notes`` says so.
    """

    def __init__(
        self,
        connection: Connection,
        model: str,
        settings: EngineSettings,
        abilities: Abilities,
        scorer: Scorer,
        clip: Clip,
        on_frames: Callable[[int, int], None] | None = None,
    ) -> None:
        self.clip = clip
        self.notes: list[str] = []
        self._connection = connection
        self._model = model
        self._settings = settings
        self._abilities = abilities
        self._scorer = scorer
        self._busy = Lock()
        self._fewer = Lock()
        self._closed = False
        self._frames = encode_frames(
            clip,
            longest_side=settings.max_image_side,
            image_format="jpeg" if abilities.video else settings.image_format,
            on_frames=on_frames,
        )

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
        """Answer a question, piece by piece as the server streams it.

        ``answer_start`` is sent as the beginning of the answer if the server is known to continue it. Otherwise the
        question alone is sent, and the same words are taken off the beginning of the answer if the model writes them.
        ``tokens`` of the answer is empty, since servers give no token numbers, and ``logprobs`` is empty if the server
        gives none. ``cancelled`` is called before each piece.
        """
        check_generation(max_new_tokens, temperature, top_p, seed)
        options: Json = {"max_tokens": max_new_tokens, "temperature": temperature, "top_p": top_p}
        if seed is not None:
            options["seed"] = seed
        if self._abilities.logprobs:
            options["logprobs"] = True
        if self._abilities.lenient:
            options["stream_options"] = {"include_usage": True}
        begins = self._abilities.continues
        with self._turn():
            if cancelled is not None and cancelled():
                return Generation("", [], [], 0.0, "cancelled")
            began = time.perf_counter()
            prefix = answer_start if begins else ""
            answer = _GrowingAnswer("" if begins else answer_start, on_token)
            stopped = self._with_fewer_frames(
                lambda: self._stream(self._body(question, prefix, options), answer, cancelled)
            )
            return Generation(answer.text, [], answer.logprobs, time.perf_counter() - began, stopped)

    def score(
        self,
        question: str,
        candidates: Sequence[str],
        *,
        answer_start: str = "",
        reduce: ScoreReduction = "mean",
    ) -> list[float]:
        """Return the log-probability of each candidate, in the way that the engine's ``info.scoring`` names.

        Only "token probabilities" heed ``reduce``. In the other ways the probabilities of all candidates sum to 1, and
        candidates that differ only by spaces around them have the same score.
        """
        check_reduction(reduce)
        for text in (question, answer_start, *candidates):
            _refuse_half_characters(text)
        with self._turn():
            return self._scorer.score(self, question, candidates, answer_start, reduce) if candidates else []

    def score_moments(
        self, question: str, texts: Sequence[str], *, answer_start: str = ""
    ) -> list[list[float]]:
        """Raise ``EngineError``: a request for each frame would be needed."""
        raise EngineError(
            "A served model does not score moments: that would need a request for each frame. A frame encoder can find them."
        )

    def frame_vectors(self) -> np.ndarray:
        """Raise ``EngineError``: servers give no vectors of frames."""
        raise EngineError("A served model gives no vectors of frames; use a frame encoder on this machine.")

    def close(self) -> None:
        """Free the frames."""
        self._closed = True
        self._frames = self._frames.take([])

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    # What scorers use: see :class:`videopath.model.served.scoring.Asker`

    def chat(self, text: str, *, prefix: str = "", **options: Any) -> ChatReply:
        """Return the whole answer to a question about the frames."""
        return self._with_fewer_frames(lambda: self._connection.chat(self._body(text, prefix, options)))

    def system_one(self, text: str, questions: dict[str, dict[str, Any]]) -> SystemOneReply:
        """Return the answers of ``/systemone`` to questions about at most four of the frames."""
        frames = self._frames.evenly(SYSTEM_ONE_PICTURES)
        if len(frames) < len(self._frames):
            self.note(
                f"Scores rest on {len(frames)} of {len(self._frames)} frames: the server's choice takes no more."
            )
        body = system_one_body(self._model, frames, without_template_marks(text), questions)
        return self._connection.post(SystemOneReply, "/systemone", body)

    def together(self, call: Callable[[_T], _R], values: Sequence[_T]) -> list[_R]:
        """Call with each value, several at a time."""
        return self._connection.together(call, values)

    def note(self, sentence: str) -> None:
        """Add a sentence to the notes, once."""
        if sentence not in self.notes:
            self.notes.append(sentence)

    def _body(self, text: str, prefix: str, options: Json) -> Json:
        """Return a chat request. The frames come first and are the same bytes each time: servers cache what is equal."""
        frames = self._frames
        shown = frames.as_video() if self._abilities.video else frames.as_pictures()
        question = {"type": "text", "text": without_template_marks(text)}
        messages: list[Json] = [{"role": "user", "content": [*shown, question]}]
        body: Json = {"messages": messages, "model": self._model, **self._settings.extra_body, **options}
        if self._abilities.video:
            body = {**frames.video_settings(), **body}
        if prefix:
            messages.append({"role": "assistant", "content": without_template_marks(prefix)})
            body |= CONTINUED
        return body

    def _stream(self, body: Json, answer: _GrowingAnswer, cancelled: Callable[[], bool] | None) -> StopReason:
        """Read an answer to its end; return why it ended."""
        reason: str | None = None
        with closing(self._connection.chat_pieces(body)) as pieces:
            for piece in pieces:
                if cancelled is not None and cancelled():
                    answer.end()
                    return "cancelled"
                for choice in piece.choices[:1]:
                    answer.add(choice.delta.content or "", [token.logprob for token in choice.tokens])
                    reason = choice.finish_reason or reason
        if reason is None:
            raise EngineError(
                f"The server at {self._connection.address} ended its answer in the middle.", retryable=True
            )
        if reason == "content_filter":
            raise EngineError(f"A filter of the server at {self._connection.address} withholds the answer.")
        answer.end()
        return "length" if reason == "length" else "eos"

    def _with_fewer_frames(self, call: Callable[[], _T]) -> _T:
        """Call; if the server rejects so many frames, try again with fewer."""
        while True:
            frames = self._frames
            try:
                return call()
            except RequestRejected as error:
                if error.status != _TOO_LARGE and not _TOO_MANY.search(error.reason):
                    raise
                self._use_fewer(frames, error)

    def _use_fewer(self, rejected: EncodedFrames, error: RequestRejected) -> None:
        with self._fewer:
            if self._frames is not rejected:
                return  # another request was rejected at the same time
            before = len(rejected)
            if before == 1:
                raise error
            named = _MOST.search(error.reason)
            count = min(int(named[1]), before - 1) if named else before // 2
            positions = rejected.evenly_spaced(max(count, 1))
            self._frames = rejected.take(positions)
            self.clip = self.clip.take(positions)
            self.note(
                f"The server rejects {before} frames ({error.reason or error.status}): {len(self.clip)} are used."
            )
            _log.warning("%s: trying again with %d of %d frames.", error, len(self.clip), before)

    @contextmanager
    def _turn(self) -> Iterator[None]:
        """Hold the session for one call."""
        if self._closed:
            raise EngineError("This session is closed; open the clip again.")
        if not self._busy.acquire(blocking=False):
            raise EngineError(
                "This session is answering another question; wait for it or open a second session."
            )
        try:
            yield
        finally:
            self._busy.release()


class _GrowingAnswer:
    """An answer that is being read. Words that the caller knows already are taken off its beginning."""

    def __init__(self, known_start: str, on_token: Callable[[str], None] | None) -> None:
        self.text = ""
        self.logprobs: list[float] = []
        self._on_token = on_token
        self._known = known_start.strip()
        self._held = ""  # what may still become the known beginning

    def add(self, piece: str, logprobs: Sequence[float]) -> None:
        """Add a piece of the answer."""
        self.logprobs += logprobs
        if self._known:
            self._held += piece
            begun = self._held.lstrip().lower()
            known = self._known.lower()
            if len(begun) < len(known) and known.startswith(begun):
                return
            piece = self._held.lstrip()[len(self._known) :] if begun.startswith(known) else self._held
            self._known = self._held = ""
        self._emit(piece)

    def end(self) -> None:
        """Add what was held back."""
        self._emit(self._held)
        self._held = self._known = ""

    def _emit(self, piece: str) -> None:
        self.text += piece
        if len(self.text) > _LONGEST_ANSWER:
            raise EngineError(f"The server's answer has more than {_LONGEST_ANSWER:,} characters.")
        if piece and self._on_token is not None:
            self._on_token(piece)


def without_template_marks(text: str) -> str:
    """Return a text without marks of chat templates, which a server might read as the end of a turn or as a picture.

    Raises:
        InputError: The text has a character that cannot be sent.
    """
    _refuse_half_characters(text)
    while _MARKS.search(text):
        text = _MARKS.sub("", text)
    return text


def _refuse_half_characters(text: str) -> None:
    if has_half_characters(text):
        raise InputError("The text has a character that is not valid (half of a surrogate pair); remove it.")
