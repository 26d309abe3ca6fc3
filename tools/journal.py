"""The journal of a case: every finished model call, on disk before its answer is used.

One JSON line per call, ``{"key": …, "call": …, "answer": …}``, synchronised. A process that was killed reads the
answers back instead of asking again; the same file is the raw material of a replay.
"""

from __future__ import annotations

import json
import os
import threading
from pathlib import Path
from typing import Any

from videopath.core.files import sha256_text

JOURNAL_NAME = "calls.jsonl"


class Journal:
    """Finished model calls by key. Safe to use from several threads of one process."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._lock = threading.Lock()
        self._answers = self._read()

    @staticmethod
    def key(call: dict[str, Any]) -> str:
        """The key of a call: SHA-256 of everything that its answer depends on."""
        return sha256_text(json.dumps(call, sort_keys=True, ensure_ascii=False))

    def find(self, call: dict[str, Any]) -> Any | None:
        """The answer of a finished call, or none."""
        return self._answers.get(self.key(call))

    def add(self, call: dict[str, Any], answer: Any) -> None:
        """Write a finished call and wait until it is on disk."""
        key = self.key(call)
        line = json.dumps({"key": key, "call": call, "answer": answer}, ensure_ascii=False) + "\n"
        with self._lock:
            self.path.parent.mkdir(parents=True, exist_ok=True)
            with self.path.open("ab") as stream:
                stream.write(line.encode())
                stream.flush()
                os.fsync(stream.fileno())
            self._answers[key] = answer

    def __len__(self) -> int:
        return len(self._answers)

    def _read(self) -> dict[str, Any]:
        """What earlier processes finished; a line that a kill left torn is cut off."""
        if not self.path.exists():
            return {}
        data = self.path.read_bytes()
        whole = data[: data.rfind(b"\n") + 1]
        if len(whole) < len(data):
            os.truncate(self.path, len(whole))
        entries = [json.loads(line) for line in whole.splitlines()]
        return {entry["key"]: entry["answer"] for entry in entries}
