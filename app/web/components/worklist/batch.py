"""Many files at once: each becomes a queued case, with a common name and one line of progress."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import streamlit as st

from videopath.agent import CaseRequest
from videopath.agent.cases.library import new_case_id
from videopath.agent.cases.team.people import LONGEST_NAME, checked_name, enter_batch
from videopath.agent.cases.team.worklist import Worklist
from videopath.app.cli.errors import os_sentence
from videopath.app.web.components.new_case.video_choice import IMAGE_SUFFIXES, VIDEO_SUFFIXES
from videopath.app.web.components.shared.inert import inert
from videopath.app.web.runtime.services import Services, owner
from videopath.app.web.runtime.uploads import discard_upload, save_upload
from videopath.app.web.runtime.worker import Submission
from videopath.core.clock import minute, now
from videopath.core.errors import InputError, VideoPathError
from videopath.core.folders import visitor_path
from videopath.core.pathology.sites import SITES

if TYPE_CHECKING:
    from streamlit.runtime.uploaded_file_manager import UploadedFile

LIMIT = 200
"""Files of one batch: each waiting case holds a lock in this process."""
_OPEN = ("queued", "running")
_DRAWN = 4  # batches with a line of progress
_PROBLEMS = "batch_problems"  # in the session: the files that did not become cases
_FORM = "batch_form"  # in the session: how many batches were started, so that the next form is empty


def batch_form(shared: Services) -> None:
    """Draw the button that opens the form for many files."""
    number = st.session_state.get(_FORM, 0)
    with st.popover("Many files", key="many_files", icon=":material/playlist_add:"):
        st.markdown("Each file becomes a case of its own, with the settings of this server.")
        uploaded = st.file_uploader(
            "Upload videos or images",
            type=[*VIDEO_SUFFIXES, *IMAGE_SUFFIXES],
            accept_multiple_files=True,
            key=f"batch_upload_{number}",
        )
        folder = st.text_input(
            "Or a folder on the server",
            key=f"batch_folder_{number}",
            placeholder="/data/slides",
            help="All videos and images in it, but not in its folders.",
        )
        site = st.selectbox(
            "Site of all files", list(SITES), index=None, placeholder="not given", key=f"batch_site_{number}"
        )
        name = st.text_input(
            "Name of the batch",
            value=f"Batch of {minute(now())}",
            max_chars=LONGEST_NAME,
            key=f"batch_name_{number}",
        )
        if st.button("Start", key="start_batch", type="primary", icon=":material/play_arrow:"):
            _start(shared, uploaded, folder.strip().strip("\"'"), site, name)


def batch_problems() -> None:
    """Show the files of the last batch that did not become cases."""
    problems = st.session_state.pop(_PROBLEMS, None)
    if problems:
        st.warning(f"{len(problems)} of the files did not become cases:", icon=":material/warning:")
        st.text("\n".join(problems[:20]))


def batch_progress(worklist: Worklist) -> None:
    """Draw a line of progress for each batch that is not finished."""
    for name, counts in sorted(worklist.batches().items())[-_DRAWN:]:
        with st.container(horizontal=True, vertical_alignment="center", key=f"batch_{name}"):
            st.progress(_share(counts), text=inert(progress_in_words(name, counts)))
            st.button(
                "Show its cases",
                key=f"show_batch_{name}",
                type="tertiary",
                on_click=_search,
                args=(name,),
            )


def progress_in_words(name: str, counts: Mapping[str, int]) -> str:
    """Return how far a batch is, from its numbers of cases by status."""
    total, waiting = sum(counts.values()), sum(counts.get(status, 0) for status in _OPEN)
    parts = [f"{total - waiting} of {total} finished"]
    parts += [
        f"{counts[status]} {status}" for status in ("failed", "waiting for review") if counts.get(status)
    ]
    return f"{name}: {', '.join(parts)}"


def _share(counts: Mapping[str, int]) -> float:
    total = sum(counts.values())
    return 1 - sum(counts.get(status, 0) for status in _OPEN) / total if total else 1.0


def _search(name: str) -> None:
    st.session_state["search"] = name


def _start(
    shared: Services, uploaded: Sequence[UploadedFile], folder: str, site: str | None, name: str
) -> None:
    try:
        name = checked_name(name) or f"Batch of {minute(now())}"
        paths = _files_in(shared, folder) if folder else []
    except VideoPathError as error:
        st.error(inert(str(error)), icon=":material/error:")
        return
    count = len(uploaded) + len(paths)
    if not 0 < count <= LIMIT:
        wrong = "Choose files, or give a folder with videos or images." if not count else (
            f"These are {count} files; a batch has at most {LIMIT}. `videopath diagnose` takes a list of any length."
        )  # fmt: skip
        st.error(inert(wrong), icon=":material/error:")
        return
    problems, bar = [], st.progress(0.0, text="Queueing")
    for number, problem in enumerate(_submitted(shared, uploaded, paths, site, name), 1):
        bar.progress(number / count, text=f"Queueing {number} of {count}")
        problems += [problem] if problem else []
    st.session_state[_PROBLEMS] = problems
    st.session_state[_FORM] = st.session_state.get(_FORM, 0) + 1
    st.rerun()


def _files_in(shared: Services, folder: str) -> list[Path]:
    """Return the videos and images in a folder, A to Z. Raises ``InputError`` if visitors may not read it."""
    path = visitor_path(folder, shared.settings)
    if not path.is_dir():
        raise InputError(f"There is no folder {folder}.")
    suffixes = {f".{suffix}" for suffix in (*VIDEO_SUFFIXES, *IMAGE_SUFFIXES)}
    return sorted(file for file in path.iterdir() if file.suffix.lower() in suffixes and file.is_file())


def _submitted(
    shared: Services, uploaded: Sequence[UploadedFile], paths: Sequence[Path], site: str | None, name: str
) -> Iterator[str]:
    """Queue the files one by one; yield why one was left out, or an empty text."""
    files: list[UploadedFile | Path] = [*uploaded, *paths]
    for file in files:
        case_id, saved = new_case_id(), None
        try:
            if isinstance(file, Path):
                video = file
            else:
                video = saved = save_upload(file.name, file, shared.library.folder(case_id) / "upload")
            shared.worker.submit(_submission(shared, video, case_id, site))
            enter_batch(shared.library, [case_id], name)
        except (VideoPathError, OSError) as error:
            if saved is not None:
                discard_upload(saved)
            yield f"{file.name}: {os_sentence(error) if isinstance(error, OSError) else error}"
        else:
            yield ""


def _submission(shared: Services, video: Path, case_id: str, site: str | None) -> Submission:
    """Return a case with the settings of the server."""
    own = shared.settings
    return Submission(
        CaseRequest(video, None, site, case_id=case_id, writing=own.writing),
        owner(),
        own.model,
        own.knowledge,
        own.review,
        own.frames,
        own.accept_uncalibrated,
    )
