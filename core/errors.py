"""The errors of VideoPath.

    VideoPathError
    ├── InputError       unreadable, empty, not a video, unknown site, wrong argument
    ├── ModelError       missing, partial or mismatching weights
    ├── KnowledgeError   corrupt or foreign index, unreadable records
    ├── EngineError      the model failed while running; ``retryable`` says whether trying again can help
    └── CaseError        unknown case, stale decision

Errors that a user can mend are ``ValueError`` as well: servers show the message of a ``ValueError`` and hide others.

A message is one sentence or two: what was got, what is allowed, what to do. The command line prints the message
and leaves with ``exit_code``.
"""

import re

_LONGEST = 1000  # characters of a message
_LONGEST_WORD = 400
_SHORTENED = 120  # of what is too long, at its beginning and at its end


class VideoPathError(Exception):
    """Base of all errors that VideoPath raises on purpose."""

    exit_code = 1

    def __str__(self) -> str:
        """The message in one line of readable length: what it quotes, a file's name say, may be anything."""
        line = " ".join(super().__str__().splitlines())
        line = re.sub(rf"\S{{{_LONGEST_WORD + 1},}}", lambda word: _shortened(word[0], _SHORTENED), line)
        return _shortened(line, _LONGEST // 2 - 1) if len(line) > _LONGEST else line


def _shortened(text: str, each: int) -> str:
    """Its beginning and its end."""
    return f"{text[:each]}…{text[-each:]}"


class InputError(VideoPathError, ValueError):
    """The user's input cannot be used."""

    exit_code = 2


class ModelError(VideoPathError, ValueError):
    """A checkpoint is missing, partial, corrupt or does not fit."""


class KnowledgeError(VideoPathError, ValueError):
    """A knowledge base is missing, corrupt or was built with another embedder."""


class EngineError(VideoPathError):
    """The engine failed while answering."""

    def __init__(self, message: str, *, retryable: bool = False) -> None:
        super().__init__(message)
        self.retryable = retryable


class CaseError(VideoPathError, ValueError):
    """A case is unknown, or a decision no longer fits its state."""
