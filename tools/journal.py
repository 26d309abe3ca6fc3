"""The journal of a case: every finished model call is on disk before its answer is used.

It has one JSON line for each call, ``{"key": …, "call": …, "answer": …}``. When a killed process starts again, it reads
the answers from the journal and does not ask the model again. A replay uses the same file.
"""

from __future__ import annotations

import json
from contextlib import suppress
from pathlib import Path
from typing import Any

from videopath.core.errors import InputError
from videopath.core.files import sha256_text
from videopath.core.jsonl import JsonLines

JOURNAL_NAME = "calls.jsonl"


class Journal:
    """The finished model calls of a case by key. Several threads of one process may use it."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._file = JsonLines(path, private=True, synced=True)
        self._answers = self._read()

    @staticmethod
    def key(call: dict[str, Any]) -> str:
        """Return the key of a call: the SHA-256 of everything that its answer depends on."""
        return sha256_text(json.dumps(call, sort_keys=True, ensure_ascii=False))

    def find(self, call: dict[str, Any]) -> Any | None:
        """Return the answer of a finished call, or ``None``."""
        return self._answers.get(self.key(call))

    def add(self, call: dict[str, Any], answer: Any) -> None:
        """Write a finished call and wait until it is on disk."""
        key = self.key(call)
        line = json.dumps({"key": key, "call": call, "answer": answer}, ensure_ascii=False)
        self._file.append(line)
        self._answers[key] = answer

    def __len__(self) -> int:
        return len(self._answers)

    def _read(self) -> dict[str, Any]:
        """Read the answers of earlier processes. A damaged line is skipped, and only its call is made again."""
        try:
            lines = self._file.read()
        except OSError as error:
            raise InputError(f"{self.path} cannot be read: {error.strerror or error}.") from error
        answers: dict[str, Any] = {}
        for line in lines:
            with suppress(ValueError, KeyError, TypeError, RecursionError):
                entry = json.loads(line)
                answers[entry["key"]] = entry["answer"]
        return answers
