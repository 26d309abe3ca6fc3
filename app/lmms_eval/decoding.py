"""The harness's settings and pictures in the terms of a session: how to decode an answer, and the file to open."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

from PIL import Image

from videopath.core.errors import InputError

_MAX_NEW_TOKENS = 1024  # if a task names no limit, as in the published protocol
_HARNESS_DEFAULT = (
    "\n\n"  # the harness adds it to tasks without a stop; it would end answers after a paragraph
)


@dataclass(frozen=True)
class Decoding:
    """How an answer is decoded and where it ends."""

    max_new_tokens: int = _MAX_NEW_TOKENS
    temperature: float = 0.0
    """0 is greedy."""
    top_p: float = 1.0
    until: tuple[str, ...] = ()
    """Texts that end the answer; they are not part of it."""

    @classmethod
    def of(cls, settings: Mapping[str, Any]) -> Self:
        """Read a task's ``generation_kwargs``; settings that a session does not know are ignored.

        As in transformers, the temperature counts only if ``do_sample`` is not off.

        Raises:
            InputError: For a beam search.
        """
        if (settings.get("num_beams") or 1) > 1:
            raise InputError(
                f"VideoPath decodes without beams: run the task with --gen_kwargs num_beams=1, not {settings['num_beams']}."
            )
        temperature = settings.get("temperature")
        sampled = settings.get("do_sample")
        if sampled is None:
            sampled = bool(temperature)
        until = settings.get("until") or ()
        return cls(
            max_new_tokens=int(settings.get("max_new_tokens") or _MAX_NEW_TOKENS),
            temperature=float(1.0 if temperature is None else temperature) if sampled else 0.0,
            top_p=float(settings.get("top_p") or 1.0) if sampled else 1.0,
            until=tuple(
                stop
                for stop in ([until] if isinstance(until, str) else until)
                if stop and stop != _HARNESS_DEFAULT
            ),
        )

    def cut(self, text: str) -> str:
        """Return the text before the first stop text, without spaces around it."""
        for stop in self.until:
            text = text.partition(stop)[0]
        return text.strip()


@contextmanager
def visual_file(visuals: Sequence[Any] | None, task: str) -> Iterator[Path]:
    """Yield the path of a question's video or image; a picture in memory is written to a temporary file.

    Args:
        visuals: What the task shows for the question.
        task: Name of the task, for the message.

    Raises:
        InputError: If the question shows nothing, or several videos or images.
    """
    match visuals:
        case [str() | Path() as path]:
            yield Path(path)
        case [Image.Image() as picture]:
            with tempfile.TemporaryDirectory() as folder:
                path = Path(folder) / "picture.png"
                picture.convert("RGB").save(path)
                yield path
        case _:
            kinds = ", ".join(type(visual).__name__ for visual in visuals or ()) or "nothing"
            raise InputError(
                f"VideoPath is asked about one video or one image at a time, but the task {task} shows {kinds}."
            )
