"""Videos on a store: what their content is, and local copies of them while their case is worked on."""

from __future__ import annotations

import uuid
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from videopath.agent.many.journal import BatchFolder, FileState
from videopath.agent.many.remote.scratch import Scratch, batch_scratch
from videopath.core.errors import CaseError, InputError
from videopath.core.files import sha256_file, sha256_text
from videopath.core.remote import RemotePath, is_address, place
from videopath.core.remote.store import RemoteState, download, remote_entries, remote_sha256, remote_state

if TYPE_CHECKING:
    from videopath.agent.cases.library import CaseLibrary
    from videopath.agent.many.work import Task

_LIST_AFTER = 8  # files of one folder that are asked for singly, before the whole folder is listed


class StoreStates:
    """What stores say of files; many files of one folder are asked for by one list."""

    def __init__(self) -> None:
        self._asked: Counter[RemotePath] = Counter()
        self._lists: dict[RemotePath, dict[str, RemoteState]] = {}

    def state(self, one: RemotePath) -> RemoteState:
        """Return the state of a file; raises ``InputError`` if there is none."""
        folder = one.parent
        self._asked[folder] += 1
        if self._asked[folder] == _LIST_AFTER:
            self._lists[folder] = remote_entries(folder)
        listed = self._lists.get(folder, {}).get(one.name)
        return listed if listed is not None and not listed.folder else remote_state(one)


def known_remote(one: RemotePath, folder: BatchFolder | None) -> FileState | None:
    """Return a remote file's hash if it is remembered and the store says that the file has not changed."""
    known = None if folder is None else folder.file(one)
    if known is None or folder is None:
        return None
    state = _with_files(one, folder.states.state(one))
    return known if (known.size, known.changed) == (state.size, state.version) else None


def remote_file_state(one: RemotePath, folder: BatchFolder | None) -> FileState:
    """Return a remote file's hash, of its content; a file that has not changed by its store is not read again.

    Raises:
        InputError: There is no such file, or it may not be read.
        RemoteError: The store cannot be reached.
    """
    known = known_remote(one, folder)
    if known is not None:
        return known
    state = _with_files(one, remote_state(one))
    return FileState(
        key=sha256_text(str(one)),
        size=state.size,
        changed=-1 if state.version is None else state.version,
        sha256=_folder_sha256(one) if state.folder else remote_sha256(one),
        path=one.shown,
    )


def _with_files(one: RemotePath, state: RemoteState) -> RemoteState:
    """Return the state of a folder with the sizes and versions of its files."""
    if not state.folder:
        return state
    files = {name: file for name, file in sorted(remote_entries(one).items()) if not file.folder}
    known = all(file.version is not None for file in files.values())
    texts = "\n".join(f"{name} {file.version}" for name, file in files.items())
    return replace(
        state,
        size=sum(file.size for file in files.values()),
        version=int(sha256_text(texts)[:15], 16) if known else None,
    )


def _folder_sha256(one: RemotePath) -> str:
    from videopath.media.clip import open_source

    with batch_scratch().folder(f"frames-{uuid.uuid4().hex[:12]}") as scratch:
        return open_source(_copied(one, scratch)).sha256()


def _copied(one: RemotePath, folder: Path) -> Path:
    """Copy a file, or the images of a folder, into a folder; return the copy."""
    from videopath.media.image.source import IMAGE_SUFFIXES

    target = folder / one.local_name
    if not remote_state(one).folder:
        download(one, target)
        return target
    names = [
        n for n in remote_entries(one) if n[:1] != "." and RemotePath("", n).suffix.lower() in IMAGE_SUFFIXES
    ]
    if not names:
        raise InputError(f"The folder {one.shown} holds no images.")
    target.mkdir(exist_ok=True)
    for name in names:
        download(one / name, target / (one / name).local_name)
    return target


def case_scratch(library: CaseLibrary) -> Scratch:
    """Return the folder for the copies of a library's cases. The copy of a case that waits for a person is kept."""
    from videopath.agent.cases.library import REVIEW_STATUS
    from videopath.agent.many.work import status_of

    return Scratch(
        library.home / "cache" / "videos", keep=lambda name: status_of(library, name) == REVIEW_STATUS
    )


@contextmanager
def local_copy(library: CaseLibrary, task: Task) -> Iterator[Task]:
    """Yield the task with a video of this computer: a copy of a remote one, which is deleted when the case has ended.

    The copy of a case has the same path at every start, so that a stopped case is continued.

    Raises:
        InputError: There is no such file, or it may not be read.
        RemoteError: The store cannot be reached.
        CaseError: The file was changed while the batch ran.
    """
    from videopath.agent.cases.library import FINISHED, REVIEW_STATUS
    from videopath.agent.many.work import status_of

    video = str(task.request["video"])
    if not is_address(video) or status_of(library, task.case_id) in (*FINISHED, REVIEW_STATUS):
        yield task
        return
    source = place(video)
    if isinstance(source, Path):
        yield replace(task, request={**task.request, "video": str(source)})
        return
    with case_scratch(library).folder(task.case_id) as folder:
        copy = folder / source.local_name
        if not (copy.is_file() and sha256_file(copy) == task.hashes["video_sha256"]):
            copy = _copied(source, folder)
            if copy.is_file() and sha256_file(copy) != task.hashes["video_sha256"]:
                raise CaseError("The file was changed while the batch ran: start the batch again.")
        yield replace(task, request={**task.request, "video": str(copy)})
