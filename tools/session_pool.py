"""Sessions that several tools share: a clip is encoded and prefilled once, whoever asks next.

``SessionPool`` loads the engine at the first question and keeps the sessions of the last few clips open.
``Recording`` is the pool as one case sees it: answers that its journal holds are not asked again, and the session
of a clip is not even opened before a question needs it.
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
from videopath.tools.journal import Journal
from videopath.tools.schemas import ClipInput, FramesSeen, ModelCall

if TYPE_CHECKING:
    import numpy as np

    from videopath.knowledge.index.encoders import FrameEncoder
    from videopath.knowledge.storage.manifest import Views
    from videopath.media.quality.scales import Attributes
    from videopath.model import Clip
    from videopath.model.inference.engine import Engine, EngineInfo, Generation, Session

LOADING = "loading the model"
READING = "reading the video"
ENCODING = "encoding the video"
WRITING = "writing"

OnActivity = Callable[[str], None]

_OPEN_SESSIONS = 2  # the overview and one closer look; each holds a prefix cache


class SessionPool:
    """Opens an engine's sessions by clip and keeps the latest open. One question at a time."""

    def __init__(
        self,
        engine: Engine | str | Path,
        *,
        load: Callable[[], Engine] | None = None,
        keep: int = _OPEN_SESSIONS,
    ) -> None:
        """``engine``: an engine, or the name of one that ``load`` (``load_engine`` by default) loads when needed."""
        self.refuse: Callable[[str], object] | None = None
        """Raises for a video that may not be opened, where those who name it are others than the user."""
        self._engine = None if isinstance(engine, str | Path) else engine
        self.name = str(engine) if isinstance(engine, str | Path) else engine.info.source
        self._load = load
        self._keep = keep
        self._sessions: OrderedDict[str, Session] = OrderedDict()
        self._encoders: dict[str, FrameEncoder] = {}
        self._latest: tuple[str, Clip] | None = None  # the clip decoded last, for the session that comes next
        self._lock = threading.RLock()

    @property
    def engine(self) -> Engine:
        """The engine, loaded now if it was not yet."""
        with self._lock:
            if self._engine is None:
                from videopath.model import load_engine

                self._engine = self._load() if self._load else load_engine(self.name)
            return self._engine

    def encoder(self, name: str) -> FrameEncoder:
        """The encoder of frames of a name, which stays loaded; "tower" is that of this engine."""
        from videopath.tools.frame_encoders.loading import load_frame_encoder

        with self._lock:
            if name not in self._encoders:
                self._encoders[name] = load_frame_encoder(name, self.engine)
            return self._encoders[name]

    @property
    def loaded(self) -> bool:
        """Whether the engine is there already."""
        return self._engine is not None

    @property
    def info(self) -> EngineInfo:
        """What the engine is."""
        return self.engine.info

    @property
    def frames(self) -> int:
        """Frames per clip unless told otherwise; told without loading the engine where its card is at hand."""
        from videopath.model.inference.engine import usual_frames

        known = usual_frames(self.name) if self._engine is None else None
        return known or self.info.frames

    def clip(self, request: ClipInput) -> Clip:
        """The frames of a request: those of its session, those decoded last, or decoded now."""
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
                    request.video, frames, request.start, request.end, request.sampling, crop=request.crop
                )
                self._latest = (key, clip)
            return self._latest[1]

    @contextmanager
    def session(self, request: ClipInput, on_activity: OnActivity | None = None) -> Iterator[Session]:
        """The session of a request's clip, for as long as the block runs; nobody else asks meanwhile."""
        tell = on_activity or _nobody
        with self._lock:
            key = _identity(request)
            if key not in self._sessions:
                if self._latest is None or self._latest[0] != key:
                    tell(READING)
                clip = self.clip(request)
                while len(self._sessions) >= self._keep:
                    self._sessions.popitem(last=False)[1].close()
                tell(ENCODING)
                self._sessions[key] = self.engine.open(clip, on_frames=lambda done, total: tell(ENCODING))
            self._sessions.move_to_end(key)
            yield self._sessions[key]

    def open(self, request: ClipInput) -> ClipSession:
        """A request's clip to ask questions about, without a journal."""
        return Recording(self).open(request)

    def close(self) -> None:
        """Close all sessions; the engine stays loaded."""
        with self._lock:
            self._latest = None
            while self._sessions:
                self._sessions.popitem()[1].close()


@dataclass(frozen=True)
class Recording:
    """The pool as one case sees it."""

    pool: SessionPool
    journal: Journal | None = None
    video_sha256: str = ""  # of the video that the case was begun with; empty: not checked
    on_token: Callable[[str], None] | None = None
    on_activity: OnActivity | None = None  # told what begins: reading, encoding, writing, scoring

    @property
    def info(self) -> EngineInfo:
        """What the engine is."""
        return self.pool.info

    def open(self, request: ClipInput) -> ClipSession:
        """A request's clip to ask questions about."""
        return ClipSession(self, request)


@dataclass(frozen=True)
class ClipSession:
    """Questions about one clip. The engine's session is opened by the first that the journal cannot answer."""

    recording: Recording
    request: ClipInput
    _scope: dict[str, Any] = field(init=False, repr=False)

    def __post_init__(self) -> None:
        scope = {
            "weights": self.recording.info.weights_sha256,
            "dtype": self.recording.info.dtype,
            "video": self.recording.video_sha256,
            "clip": self.request.model_dump(mode="json"),
        }
        object.__setattr__(self, "_scope", scope)

    def frames(self) -> FramesSeen:
        """Which frames the model sees."""
        answer = self._answered("frames", {}, READING, lambda session: _frames_of(session).model_dump())
        return FramesSeen.model_validate(answer)

    def generate(self, question: str, **settings: Any) -> Generation:
        """An answer; ``settings`` are those of the engine's ``Session.generate``."""
        from videopath.model.inference.engine import Generation

        def ask(session: Session) -> dict[str, Any]:
            return asdict(session.generate(question, on_token=self.recording.on_token, **settings))

        return Generation(**self._answered("generate", {"question": question, **settings}, WRITING, ask))

    def score(self, question: str, candidates: Sequence[str], **settings: Any) -> list[float]:
        """The log-probability of each candidate as the answer."""
        arguments = {"question": question, "texts": list(candidates), **settings}
        return self._answered(
            "score",
            arguments,
            f"scoring {_counted(len(candidates), 'candidate')}",
            lambda session: session.score(question, candidates, **settings),
        )

    def score_moments(self, question: str, texts: Sequence[str]) -> list[list[float]]:
        """``[text][frame]``: the log-probability of each text when the model sees that frame alone."""
        arguments = {"question": question, "texts": list(texts)}
        return self._answered(
            "score_moments",
            arguments,
            f"finding the moments of {_counted(len(texts), 'sentence')}",
            lambda session: session.score_moments(question, texts),
        )

    def frame_vectors(self) -> np.ndarray:
        """float32 [T, dimension]: each frame as the model's vision tower sees it, of length 1."""
        import numpy as np

        found = self._answered(
            "frame_vectors", {}, ENCODING, lambda session: session.frame_vectors().tolist()
        )
        return np.array(found, np.float32)

    def attributes(self) -> list[Attributes]:
        """What is measured on the pixels of each frame."""
        from videopath.media.quality.attributes import measure
        from videopath.media.quality.scales import NAMES, Attributes

        found = self._answered(
            "attributes",
            {},
            READING,
            lambda session: [measure(frame[None]).as_array().tolist() for frame in session.clip.frames],
        )
        return [Attributes(**dict(zip(NAMES, values, strict=True))) for values in found]

    def picture_vector(self, encoder: FrameEncoder, views: Views) -> np.ndarray:
        """float32 [dimension]: the clip as an encoder sees it, of length 1; by the model's own tower, or beside it."""
        import numpy as np

        from videopath.model.inference.frame_vectors import tower_sha256
        from videopath.tools.frame_encoders.picture_vectors import clip_vector, picture_vector

        if views == "whole" and encoder.sha256 == tower_sha256(self.recording.info):
            return clip_vector(self.frame_vectors())  # the tower has seen the frames as they are
        found = self._answered(
            "picture_vector",
            {"encoder": encoder.sha256, "views": views},
            ENCODING,
            lambda session: picture_vector(encoder, session.clip.frames, views).tolist(),
        )
        return np.array(found, np.float32)

    def call(self, question: str, seconds: float, answer_start: str = "") -> ModelCall:
        """What a question was, for the trace."""
        from videopath.model.prompts.template import build_prompt

        info = self.recording.info
        prompt = build_prompt(question, visuals=1, answer_start=answer_start)
        return ModelCall(
            prompt=prompt,
            prompt_sha256=sha256_text(prompt),
            seconds=round(seconds, 3),
            device=info.device,
            model=info.name,
        )

    def _answered(
        self, method: str, arguments: dict[str, Any], activity: str, ask: Callable[[Session], Any]
    ) -> Any:
        journal = self.recording.journal
        call = {**self._scope, "method": method, "arguments": arguments}
        found = None if journal is None else journal.find(call)
        if found is not None:
            return found
        tell = self.recording.on_activity or _nobody
        with self.recording.pool.session(self.request, tell) as session:
            self._refuse_other_video(session)
            tell(activity)
            answer = ask(session)
        if journal is not None:
            journal.add(call, answer)
        return answer

    def _refuse_other_video(self, session: Session) -> None:
        expected = self.recording.video_sha256
        if expected and session.clip.sha256 != expected:
            raise InputError(
                f"{self.request.video} is not the file that the case was begun with: its SHA-256 is now "
                f"{session.clip.sha256[:12]}…, not {expected[:12]}…. Put the file back or begin a new case."
            )


def _frames_of(session: Session) -> FramesSeen:
    clip = session.clip
    return FramesSeen(
        seconds=[round(float(second), 4) for second in clip.seconds],
        indices=[int(index) for index in clip.indices],
        sha256=hashlib.sha256(clip.frames.tobytes()).hexdigest(),
        notes=list(session.notes),
    )


def _identity(request: ClipInput) -> str:
    """A request with its file's size and time of change, so that a replaced file is read again."""
    path = Path(request.video)
    stat = path.stat() if path.exists() else None
    return f"{request.model_dump_json()} {stat.st_size if stat else 0} {stat.st_mtime_ns if stat else 0}"


def _counted(number: int, thing: str) -> str:
    return f"{number} {thing}" if number == 1 else f"{number} {thing}s"


def _nobody(_: str) -> None:
    """Nobody listens."""


def pool_of(values: dict[str, Any]) -> dict[str, Any]:
    """A tool's arguments with ``engine=`` (an engine or its name; none: nano) replaced by ``sessions=``."""
    values = dict(values)
    engine = values.pop("engine", None)
    values.setdefault("sessions", SessionPool(engine or "nano"))
    return values
