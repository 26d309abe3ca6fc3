"""The errors of VideoPath.

    VideoPathError
    ├── InputError       a wrong argument, or an input that is unreadable, empty, not a video, of an unknown site
    │   └── NotTissueError   neither histology nor cytology
    ├── ModelError       weights are missing, partial or do not fit
    ├── KnowledgeError   an index is corrupt or from another embedder, records cannot be read
    ├── EngineError      the model failed while it ran; ``retryable`` says whether another try can help
    └── CaseError        unknown case, stale decision

Errors that a user can correct are ``ValueError`` as well: servers show the message of a ``ValueError`` and hide others.

A message has one or two sentences: what was got, what is allowed, what to do. The command line prints the message and
exits with ``exit_code``.
"""

import re

_MAX_MESSAGE = 1000  # characters
_MAX_WORD = 400
_KEPT = 120  # characters that are kept at the beginning and at the end of a long word


class VideoPathError(Exception):
    """Base of all errors that VideoPath raises on purpose."""

    exit_code = 1

    def __str__(self) -> str:
        """Return the message as one line of readable length; a message may quote texts of any length, such as file names."""
        line = " ".join(super().__str__().splitlines())
        line = re.sub(rf"\S{{{_MAX_WORD + 1},}}", lambda word: _shortened(word[0], _KEPT), line)
        return _shortened(line, _MAX_MESSAGE // 2 - 1) if len(line) > _MAX_MESSAGE else line


def _shortened(text: str, each: int) -> str:
    return f"{text[:each]}…{text[-each:]}"


class InputError(VideoPathError, ValueError):
    """The user's input cannot be used."""

    exit_code = 2


class NotTissueError(InputError):
    """The quality gate rejects the pictures: they are not histology or cytology."""


class ModelError(VideoPathError, ValueError):
    """A checkpoint is missing, partial or corrupt, or it does not fit."""


class KnowledgeError(VideoPathError, ValueError):
    """A knowledge base is missing or corrupt, or it was built with another embedder."""


class EngineError(VideoPathError):
    """The engine failed while it answered."""

    def __init__(self, message: str, *, retryable: bool = False) -> None:
        super().__init__(message)
        self.retryable = retryable
        """Whether another try can help, for example with more free memory."""


class CaseError(VideoPathError, ValueError):
    """A case is unknown, or a decision no longer fits its state."""
