"""The session pool: several tools share sessions, so that a clip is encoded and prefilled once.

``SessionPool`` loads the engine at the first question and keeps the sessions of the last few clips open.
``Recording`` is the pool as one case uses it: answers in the case's journal are not asked again, and the session of a
clip is opened only if a question needs it.
"""

from __future__ import annotations

import hashlib
import threading
from collections import OrderedDict
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from videopath.core.errors import InputError
from videopath.core.files import sha256_text
from videopath.core.privacy.paths import find_path
from videopath.core.settings import load_settings
from videopath.core.telemetry import span
from videopath.core.text import has_half_characters
from videopath.tools.abilities import ModelAbilities, abilities_of
from videopath.tools.journal import Journal
from videopath.tools.schemas import ClipInput, FramesSeen, ModelCall

if TYPE_CHECKING:
    import numpy as np

    from videopath.knowledge.index.encoders import FrameEncoder
    from videopath.knowledge.storage.manifest import FrameViews
    from videopath.media.quality.scales import MeasuredFrame
    from videopath.model import Clip
    from videopath.model.inference.engine import Engine, EngineInfo, Generation, Session
    from videopath.model.prompts.prompt_set import PromptSet

LOADING = "loading the model"
READING = "reading the video"
ENCODING = "encoding the video"
WRITING = "writing"

_OF_THE_CLIP = ("frames", "measured_frames")  # what a session answers without the model

OnActivity = Callable[[str], None]

_OPEN_SESSIONS = 2  # the overview and one closer look; each holds a prefix cache


class SessionPool:
    """The open sessions of one engine, by clip. It answers one question at a time."""

    def __init__(
        self,
        engine: Engine | str | Path,
        *,
        load: Callable[[], Engine] | None = None,
        keep: int = _OPEN_SESSIONS,
        prompts: PromptSet | None = None,
    ) -> None:
        """Make a pool.

        Args:
            engine: An engine, or the name of a model.
            load: Loads the engine when it is needed; ``load_engine(name)`` by default.
            keep: How many sessions stay open.
            prompts: How the model is asked; by default the prompts of the engine's wording, with the user's own files.
        """
        self.refuse: Callable[[str], object] | None = None
        """Called with each video's path; raises if it may not be opened. Servers set it for paths that others name."""
        self._engine = None if isinstance(engine, str | Path) else engine
        self.name = str(engine) if isinstance(engine, str | Path) else engine.info.source
        self._load = load
        self._keep = keep
        self._prompts = prompts
        self._sessions: OrderedDict[str, Session] = OrderedDict()
        self._encoders: dict[str, FrameEncoder] = {}
        self._latest: tuple[str, Clip] | None = None  # the clip decoded last, for the session that comes next
        self._lock = threading.RLock()

    @property
    def engine(self) -> Engine:
        """The engine; the first access loads it."""
        with self._lock:
            if self._engine is None:
                from videopath.model import load_engine

                with span("model loading") as work:
                    self._engine = self._load() if self._load else load_engine(self.name)
                    work.note(model=self._engine.info.name, device=self._engine.info.device)
            return self._engine

    def encoder(self, name: str) -> FrameEncoder:
        """Return the frame encoder of a name, which stays loaded; "tower" is the tower of this engine."""
        from videopath.tools.frame_encoders.loading import load_frame_encoder

        with self._lock:
            if name not in self._encoders:
                self._encoders[name] = load_frame_encoder(name, self.engine)
            return self._encoders[name]

    @property
    def loaded(self) -> bool:
        """Whether the engine is loaded."""
        return self._engine is not None

    @property
    def info(self) -> EngineInfo:
        """The engine's facts; loads the engine."""
        return self.engine.info

    @property
    def prompts(self) -> PromptSet:
        """How the model is asked: the prompts of the engine's wording, with the user's own files; loads the engine.

        Raises:
            InputError: One of the user's own files is not usable.
        """
        from videopath.model.prompts.prompt_set import load_prompts

        with self._lock:
            if self._prompts is None:
                self._prompts = load_prompts(self.info.wording, load_settings().prompts)
            return self._prompts

    @property
    def encodes_frames(self) -> bool:
        """Whether the engine turns frames into vectors itself; loads the engine."""
        from videopath.model.inference.engine import EncodesFrames

        return isinstance(self.engine, EncodesFrames)

    @property
    def frames(self) -> int:
        """The default number of frames per clip. It is read from the card, without loading the engine if possible."""
        from videopath.model.inference.engine import default_frames

        known = default_frames(self.name) if self._engine is None else None
        return known or self.info.frames

    def clip(self, request: ClipInput) -> Clip:
        """Return the clip of a request: that of its open session, the clip decoded last, or one decoded now."""
        from videopath.model import open_clip

        if self.refuse:
            self.refuse(request.video)
        with self._lock:
            key = _identity(request)
            if key in self._sessions:
                return self._sessions[key].clip
            if self._latest is None or self._latest[0] != key:
                frames = request.frames or self.frames
                clip = open_clip(
                    request.video,
                    frames,
                    request.start,
                    request.end,
                    request.sampling,
                    crop=request.crop,
                    writing=request.writing,
                    masks=request.masks,
                )
                self._latest = (key, clip)
            return self._latest[1]

    @contextmanager
    def session(self, request: ClipInput, on_activity: OnActivity | None = None) -> Iterator[Session]:
        """Hold the session of a request's clip for the block; other threads wait."""
        notify = on_activity or _ignore
        with self._lock:
            key = _identity(request)
            if key not in self._sessions:
                if self._latest is None or self._latest[0] != key:
                    notify(READING)
                clip = self.clip(request)
                while len(self._sessions) >= self._keep:
                    self._sessions.popitem(last=False)[1].close()
                notify(ENCODING)
                self._sessions[key] = self.engine.open(clip, on_frames=lambda done, total: notify(ENCODING))
            self._sessions.move_to_end(key)
            yield self._sessions[key]

    def open(self, request: ClipInput) -> ClipSession:
        """Return a request's clip to ask questions about, without a journal."""
        return Recording(self).open(request)

    def close(self) -> None:
        """Close all sessions; the engine stays loaded."""
        with self._lock:
            self._latest = None
            while self._sessions:
                self._sessions.popitem()[1].close()


@dataclass(frozen=True)
class Recording:
    """The pool as one case uses it, with the case's journal."""

    pool: SessionPool
    journal: Journal | None = None
    video_sha256: str = ""  # of the video that the case began with; empty: not checked
    on_token: Callable[[str], None] | None = None
    on_activity: OnActivity | None = None  # called with what begins: reading, encoding, writing, scoring

    @property
    def info(self) -> EngineInfo:
        """The engine's facts."""
        return self.pool.info

    def open(self, request: ClipInput) -> ClipSession:
        """Return a request's clip to ask questions about."""
        return ClipSession(self, request)


@dataclass(frozen=True)
class ClipSession:
    """Questions about one clip. The first question that the journal cannot answer opens the engine's session."""

    recording: Recording
    request: ClipInput
    _scope: dict[str, Any] = field(init=False, repr=False)

    def __post_init__(self) -> None:
        scope = {
            "weights": self.recording.info.weights_sha256,
            "dtype": self.recording.info.dtype,
            "video": self.recording.video_sha256,
            "clip": _scope_of(self.request),
        }
        object.__setattr__(self, "_scope", scope)

    @property
    def prompts(self) -> PromptSet:
        """How the model is asked."""
        return self.recording.pool.prompts

    @property
    def abilities(self) -> ModelAbilities:
        """Which questions a case asks the model."""
        return abilities_of(self.recording.info)

    def frames(self) -> FramesSeen:
        """Return which frames the model sees."""
        answer = self._answered("frames", {}, READING, lambda session: _frames_of(session).model_dump())
        return FramesSeen.model_validate(answer)

    def generate(self, question: str, **settings: Any) -> Generation:
        """Return the model's answer. ``settings`` are the options of the engine's ``Session.generate``."""
        from videopath.model.inference.engine import Generation

        def ask(session: Session) -> dict[str, Any]:
            answer = asdict(session.generate(question, on_token=self.recording.on_token, **settings))
            return {**answer, "text": _writable(answer["text"])}

        return Generation(**self._answered("generate", {"question": question, **settings}, WRITING, ask))

    def score(self, question: str, candidates: Sequence[str], **settings: Any) -> list[float]:
        """Return the log-probability of each candidate as the answer. ``settings`` are those of ``Session.score``."""
        arguments = {"question": question, "texts": list(candidates), **settings}
        return self._answered(
            "score",
            arguments,
            f"scoring {_counted(len(candidates), 'candidate')}",
            lambda session: session.score(question, candidates, **settings),
        )

    def score_moments(self, question: str, texts: Sequence[str]) -> list[list[float]]:
        """Return ``[text][frame]``: the log-probability of each text if the model sees only that frame.

        Raises:
            EngineError: The engine does not score single frames (``abilities.finds_moments``).
        """
        arguments = {"question": question, "texts": list(texts)}
        return self._answered(
            "score_moments",
            arguments,
            f"finding the moments of {_counted(len(texts), 'sentence')}",
            lambda session: session.score_moments(question, texts),
        )

    def frame_vectors(self) -> np.ndarray:
        """Return the vectors of the frames by the model's vision tower: float32 [T, dimension], each of length 1.

        Raises:
            EngineError: The engine gives no vectors (``SessionPool.encodes_frames``).
        """
        import numpy as np

        vectors = self._answered(
            "frame_vectors", {}, ENCODING, lambda session: session.frame_vectors().tolist()
        )
        return np.array(vectors, np.float32)

    def measured_frames(self) -> list[MeasuredFrame]:
        """Return what is measured on the pixels of each frame."""
        from videopath.media.quality.attributes import measure_frames
        from videopath.media.quality.scales import Attributes, MeasuredFrame

        def measured(session: Session) -> list[dict[str, Any]]:
            return [asdict(frame) for frame in measure_frames(session.clip.frames)]

        return [
            MeasuredFrame(
                Attributes(**frame["own"]),
                Attributes(**frame["one_colour"]),
                frame["nuclear_radius"],
                frame["bright"],
            )
            for frame in self._answered("measured_frames", {}, READING, measured)
        ]

    def picture_vector(self, encoder: FrameEncoder, views: FrameViews) -> np.ndarray:
        """Return the clip's vector by an encoder, float32 [dimension] of length 1.

        The model's own tower is not run again if the frames are shown whole.
        """
        import numpy as np

        from videopath.model.inference.frame_vectors import tower_sha256
        from videopath.tools.frame_encoders.picture_vectors import clip_vector, picture_vector

        own_tower = encoder.sha256 == tower_sha256(self.recording.info)
        if own_tower and views == "whole" and self.recording.pool.encodes_frames:
            return clip_vector(self.frame_vectors())  # the session has encoded whole frames
        vector = self._answered(
            "picture_vector",
            {"encoder": encoder.sha256, "views": views},
            ENCODING,
            lambda session: picture_vector(encoder, session.clip.frames, views).tolist(),
        )
        return np.array(vector, np.float32)

    def call(self, question: str, seconds: float, answer_start: str = "") -> ModelCall:
        """Return the record of a question for the trace. ``seconds``: how long it took."""
        from videopath.model.prompts.template import build_prompt

        info, prompts = self.recording.info, self.prompts
        prompt = question
        if prompts.wording == "videopath":
            prompt = build_prompt(question, visuals=1, answer_start=answer_start)
        return ModelCall(
            prompt=prompt,
            prompt_sha256=sha256_text(prompt),
            seconds=round(seconds, 3),
            device=info.device,
            model=info.name,
            wording=prompts.wording,
            template_sha256=prompts.sha256,
        )

    def _answered(
        self, method: str, arguments: dict[str, Any], activity: str, ask: Callable[[Session], Any]
    ) -> Any:
        journal = self.recording.journal
        call = {**self._scope, "method": method, "arguments": arguments}
        known = None if journal is None else journal.find(call)
        if known is not None:
            return known
        notify = self.recording.on_activity or _ignore
        with self.recording.pool.session(self.request, notify) as session:
            self._refuse_other_video(session)
            notify(activity)
            answer = ask(session) if method in _OF_THE_CLIP else self._of_the_model(method, session, ask)
        if journal is not None:
            journal.add(call, answer)
        return answer

    def _of_the_model(self, method: str, session: Session, ask: Callable[[Session], Any]) -> Any:
        info = self.recording.info
        with span("model call", model=info.name, device=info.device, method=method) as work:
            answer = ask(session)
            if method == "generate":
                work.note(tokens=len(answer["tokens"]))
        return answer

    def _refuse_other_video(self, session: Session) -> None:
        expected = self.recording.video_sha256
        if expected and session.clip.sha256 != expected:
            raise InputError(
                f"{self.request.video} is not the file that the case began with: its SHA-256 is now "
                f"{session.clip.sha256[:12]}…, not {expected[:12]}…. Put the file back or begin a new case."
            )


def _frames_of(session: Session) -> FramesSeen:
    clip = session.clip
    return FramesSeen(
        seconds=[round(float(second), 4) for second in clip.seconds],
        indices=[int(index) for index in clip.indices],
        sha256=hashlib.sha256(clip.frames.tobytes()).hexdigest(),
        notes=list(session.notes),
        writing=clip.writing,
    )


def _scope_of(request: ClipInput) -> dict[str, Any]:
    """Return what a journal knows a clip by, without what journals of before did not have and what changes nothing."""
    scope = request.model_dump(mode="json")
    if request.writing == "keep":
        del scope["writing"]
    if request.masks is None:
        del scope["masks"]
    return scope


def _identity(request: ClipInput) -> str:
    """Return a key of the request and its file's size and time of change, so that a replaced file is read again."""
    path = find_path(request.video)
    stat = path.stat() if path.exists() else None
    return f"{request.model_dump_json()} {stat.st_size if stat else 0} {stat.st_mtime_ns if stat else 0}"


def _writable(text: str) -> str:
    """Return an answer that can be written as UTF-8; half characters, which a server may send, become question marks."""
    return text.encode(errors="replace").decode() if has_half_characters(text) else text


def _counted(number: int, thing: str) -> str:
    return f"{number} {thing}" if number == 1 else f"{number} {thing}s"


def _ignore(_: str) -> None:
    """Ignore an activity."""


def pool_of(values: dict[str, Any]) -> dict[str, Any]:
    """Return a tool's arguments with ``engine=`` (an engine or its name; nano by default) replaced by ``sessions=``."""
    values = dict(values)
    engine = values.pop("engine", None)
    values.setdefault("sessions", SessionPool(engine or "nano"))
    return values
