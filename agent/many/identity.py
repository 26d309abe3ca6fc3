"""What a result depends on, as hashes: the file, the model, the knowledge and the settings.

Two rows with one identity are one case. What is done under an identity is not done again.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from videopath.agent.many.journal import BatchFolder, FileState
from videopath.agent.many.manifest import Row
from videopath.core.errors import InputError
from videopath.core.files import sha256_file, sha256_text
from videopath.core.privacy.paths import screened_path
from videopath.core.remote import Place, RemotePath

if TYPE_CHECKING:
    from videopath.agent.agent import DiagnosticAgent

_NAMED = ("model", "base", "second_opinion", "knowledge", "device", *Row.__dataclass_fields__)
"""Settings that name what a hash stands for, or that each row brings itself. The device does not change an answer."""


@dataclass(frozen=True)
class System:
    """What all cases of a batch have in common: model, knowledge and settings."""

    model: str
    device: str
    weights_sha256: str
    knowledge_sha256: str
    settings: str
    """JSON of everything else that an answer depends on: settings, cards, number formats, prompts."""


@dataclass(frozen=True)
class Identity:
    """The hashes of a row."""

    video_sha256: str
    weights_sha256: str
    knowledge_sha256: str
    settings_sha256: str

    @property
    def sha256(self) -> str:
        """The identity as one hash."""
        return sha256_text(
            "\n".join((self.video_sha256, self.weights_sha256, self.knowledge_sha256, self.settings_sha256))
        )

    @property
    def case_id(self) -> str:
        """The id of the case: the same at every start, so that a stopped case is continued."""
        return f"batch-{self.sha256[:24]}"

    def hashes(self) -> dict[str, str]:
        """Return the hashes by the names of the result's columns."""
        return {
            "video_sha256": self.video_sha256,
            "weights_sha256": self.weights_sha256,
            "knowledge_sha256": self.knowledge_sha256,
            "settings_sha256": self.settings_sha256,
        }


def system_of(agent: DiagnosticAgent) -> System:
    """Load the agent's models and its knowledge base, and return what they are."""
    pools = agent.pools
    infos = [pool.info for pool in pools]
    knowledge = agent.knowledge_hashes()
    settings = agent.settings.model_dump(mode="json")
    models = [
        {
            "card": info.card.model_dump(mode="json"),
            "dtype": info.dtype,
            "scoring": info.scoring,
            "prompts": pool.prompts.sha256,
        }
        for pool, info in zip(pools, infos, strict=True)
    ]
    rest = {name: value for name, value in settings.items() if name not in _NAMED}
    weights = [info.weights_sha256 for info in infos]
    return System(
        model=infos[0].name,
        device=infos[0].device,
        weights_sha256=weights[0] if len(weights) == 1 else sha256_text("\n".join(weights)),
        knowledge_sha256=sha256_text(json.dumps(knowledge, sort_keys=True)),
        settings=json.dumps({"settings": rest, "models": models}, sort_keys=True),
    )


def identity_of(row: Row, video_sha256: str, system: System) -> Identity:
    """Return the identity of a row whose file has a hash."""
    asked = json.dumps(row.request(), sort_keys=True, ensure_ascii=False)
    return Identity(
        video_sha256,
        system.weights_sha256,
        system.knowledge_sha256,
        sha256_text(f"{system.settings}\n{asked}"),
    )


def file_state(path: Place, folder: BatchFolder | None) -> FileState:
    """Return a file's hash; a file of known size and time of change is not read again.

    Args:
        path: A video, an image or a folder of frames, on this computer or a store.
        folder: The folder of the batch, which remembers hashes.

    Raises:
        InputError: There is no such file, or it cannot be read.
        RemoteError: The store of a remote file cannot be reached.
    """
    if isinstance(path, RemotePath):
        from videopath.agent.many.remote.videos import remote_file_state

        return remote_file_state(path, folder)
    try:
        known = known_file(path, folder)
        if known is not None:
            return known
        size, changed = _size_and_change(path)
        sha256 = _folder_hash(path) if path.is_dir() else sha256_file(path)
    except OSError as error:
        raise InputError(
            f"There is no file or folder {screened_path(path)}."
            if isinstance(error, FileNotFoundError | NotADirectoryError)
            else f"{screened_path(path)} cannot be read: {error.strerror or error}."
        ) from error
    return FileState(
        key=sha256_text(str(path)),
        size=size,
        changed=changed,
        sha256=sha256,
        path=str(screened_path(path)),
    )


def known_file(path: Place, folder: BatchFolder | None) -> FileState | None:
    """Return a file's hash if it is remembered and the file has not changed.

    Raises ``OSError`` or ``InputError`` if there is no file.
    """
    if isinstance(path, RemotePath):
        from videopath.agent.many.remote.videos import known_remote

        return known_remote(path, folder)
    known = folder.file(path) if folder is not None else None
    return known if known is not None and (known.size, known.changed) == _size_and_change(path) else None


def _size_and_change(path: Path) -> tuple[int, int]:
    state = path.stat()
    if not path.is_dir():
        if not path.is_file():  # opening a pipe would block
            raise InputError(f"{screened_path(path)} is neither a file nor a folder.")
        return state.st_size, state.st_mtime_ns
    states = [state, *(entry.stat() for entry in path.iterdir() if entry.is_file())]
    return sum(one.st_size for one in states[1:]), max(one.st_mtime_ns for one in states)


def _folder_hash(path: Path) -> str:
    from videopath.media.clip import open_source

    return open_source(path).sha256()


def request_of(row: Row, case_id: str) -> dict[str, Any]:
    """Return the arguments of the row's ``CaseRequest``."""
    return {"video": str(row.path), "case_id": case_id, **row.request()}
