"""Raw replies of the model: each is kept as soon as it is there, and the same question is never asked twice.

A build that was killed therefore pays for nothing again: what was answered is read from ``replies.jsonl``.
"""

from __future__ import annotations

import logging
import time
from contextlib import closing
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from pydantic import BaseModel, ConfigDict, ValidationError

from videopath.core.choices import StopReason
from videopath.core.errors import InputError
from videopath.core.files import sha256_text
from videopath.core.jsonl import JsonLines
from videopath.dataset.instructions.prompts import templates_sha256

if TYPE_CHECKING:
    from videopath.media.clip import Clip
    from videopath.model.inference.engine import Engine, Session

_log = logging.getLogger(__name__)

Purpose = Literal["write", "repair", "rate", "describe", "diagnose"]


class Reply(BaseModel):
    """One question with its reply, as it is kept."""

    model_config = ConfigDict(extra="ignore", frozen=True)

    key: str
    """Hash of the model, the frames and the question."""
    purpose: Purpose
    clip: str
    model: str
    model_sha256: str
    templates_sha256: str
    frames_sha256: str
    prompt: str
    reply: str
    stopped: StopReason
    seconds: float
    notes: tuple[str, ...] = ()
    at: str


class Replies:
    """The replies of one recording, with the engine that gives those that are not there yet."""

    def __init__(self, file: Path, engine: Engine) -> None:
        """Read what was answered before.

        Args:
            file: The file of replies.
            engine: The model.

        Raises:
            InputError: The file cannot be read.
        """
        self.engine = engine
        self._lines = JsonLines(file, synced=True)
        self._kept = {reply.key: reply for reply in read_replies(file)}
        self.requests = 0
        """Questions that the model was asked, those that were answered before not counted."""

    def ask(self, film: Film, prompt: str, purpose: Purpose, **settings: Any) -> Reply:
        """Return the reply to a question about a clip; the model is asked only if there is none yet.

        Args:
            film: The clip before the model.
            prompt: The question.
            purpose: What the question is for.
            **settings: How the answer is generated, such as ``max_new_tokens``.

        Raises:
            InputError: The question is too long for the model, or the clip cannot be read.
            EngineError: The model fails.
        """
        info = self.engine.info
        named = [f"{name}={value}" for name, value in sorted(settings.items())]
        key = sha256_text("\n".join((info.name, info.weights_sha256, film.frames_sha256, *named, prompt)))
        if key in self._kept:
            return self._kept[key]
        started = time.monotonic()
        session = film.session
        answer = session.generate(prompt, **settings)
        self.requests += 1
        reply = Reply(
            key=key,
            purpose=purpose,
            clip=film.name,
            model=info.name,
            model_sha256=info.weights_sha256,
            templates_sha256=templates_sha256(),
            frames_sha256=film.frames_sha256,
            prompt=prompt,
            reply=answer.text.encode(errors="replace").decode(),
            stopped=answer.stopped,
            seconds=round(time.monotonic() - started, 3),
            notes=tuple(session.notes),
            at=datetime.now(UTC).isoformat(timespec="seconds"),
        )
        self._lines.append(reply.model_dump_json())
        self._kept[key] = reply
        return reply


@dataclass
class Film:
    """A refined clip before a model. It is read and encoded only if a question needs it."""

    engine: Engine
    file: Path
    name: str
    frames: int
    sha256: str
    """Of the clip's file."""

    @property
    def frames_sha256(self) -> str:
        """What identifies the frames that the model sees."""
        return sha256_text(f"{self.sha256} {self.frames}")

    @cached_property
    def clip(self) -> Clip:
        """The frames that the model sees."""
        from videopath.media.clip import open_clip

        return open_clip(self.file, self.frames)

    @cached_property
    def session(self) -> Session:
        """The clip before the model."""
        return self.engine.open(self.clip)

    def close(self) -> None:
        """Free the session, if there is one."""
        if "session" in self.__dict__:
            self.session.close()

    def closing(self) -> closing[Film]:
        """Return a context that closes the film at its end."""
        return closing(self)


def read_replies(file: Path) -> list[Reply]:
    """Return the replies of a file; a line that is no reply is left out, so that its question is asked again.

    Raises:
        InputError: The file cannot be read.
    """
    try:
        lines = JsonLines(file).read()
    except OSError as error:
        raise InputError(f"{file} cannot be read: {error.strerror or error}.") from error
    replies = []
    for number, line in enumerate(lines, start=1):
        try:
            replies.append(Reply.model_validate_json(line))
        except ValidationError:
            _log.warning("Line %d of %s is no reply: its question is asked again.", number, file)
    return replies
