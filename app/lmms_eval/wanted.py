"""What the harness asks for, in the terms of a session: how an answer is decoded, and the file that a question is about."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

from PIL import Image

from videopath.core.errors import InputError

_LONGEST = 1024  # tokens where a task names no limit, as in the published protocol
_OWN_DEFAULT = "\n\n"  # the harness adds it to tasks without a stop: it would end answers after a paragraph


@dataclass(frozen=True)
class Decoding:
    """How an answer is decoded and where it ends."""

    max_new_tokens: int = _LONGEST
    temperature: float = 0.0
    """0 is greedy."""
    top_p: float = 1.0
    until: tuple[str, ...] = ()
    """Texts that end the answer; they are no part of it."""

    @classmethod
    def of(cls, wanted: Mapping[str, Any]) -> Self:
        """From a task's ``generation_kwargs``; what a session does not know is left aside.

        As in transformers, the temperature counts only where ``do_sample`` is not off. Raises ``InputError`` for a beam search.
        """
        if (wanted.get("num_beams") or 1) > 1:
            raise InputError(
                f"VideoPath decodes without beams: run the task with --gen_kwargs num_beams=1, not {wanted['num_beams']}."
            )
        temperature = wanted.get("temperature")
        sampled = wanted.get("do_sample")
        if sampled is None:
            sampled = bool(temperature)
        until = wanted.get("until") or ()
        return cls(
            max_new_tokens=int(wanted.get("max_new_tokens") or _LONGEST),
            temperature=float(1.0 if temperature is None else temperature) if sampled else 0.0,
            top_p=float(wanted.get("top_p") or 1.0) if sampled else 1.0,
            until=tuple(
                stop
                for stop in ([until] if isinstance(until, str) else until)
                if stop and stop != _OWN_DEFAULT
            ),
        )

    def cut(self, text: str) -> str:
        """The text before the first of ``until``."""
        for stop in self.until:
            text = text.partition(stop)[0]
        return text.strip()


@contextmanager
def shown_file(visuals: Sequence[Any] | None, task: str) -> Iterator[Path]:
    """The video or image of a question as a file; a picture in memory becomes one for as long as it is needed.

    Raises ``InputError`` where the question is about nothing, or about several things at once.
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
