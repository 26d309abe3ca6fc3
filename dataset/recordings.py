"""The recordings of a folder: every video in it and below it, and which of them cannot be used."""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from videopath.core.errors import InputError
from videopath.core.privacy.paths import screened_path
from videopath.dataset.records import PassedOver, Recording
from videopath.media.clip import open_source

_SUFFIXES = {
    ".mp4", ".m4v", ".mov", ".mkv", ".webm", ".avi", ".wmv", ".asf", ".mpg", ".mpeg", ".ts", ".m2ts", ".mts", ".3gp",
    ".3g2", ".flv", ".f4v", ".vob", ".ogv", ".mxf", ".gif",
}  # fmt: skip
"""Files that claim to be videos: one that cannot be read is named instead of left out silently."""
SUBTITLE_SUFFIXES = {".srt", ".vtt"}
LEAST_FRAMES = 16
"""A recording with fewer frames is no recording of a lecture or a slide."""


@dataclass(frozen=True)
class FoundRecordings:
    """What a folder holds."""

    usable: list[tuple[Path, Recording]]
    """The file, and what is known of it, in the order of their paths."""
    passed_over: list[PassedOver]


def find_recordings(folder: Path, leave_out: Path) -> FoundRecordings:
    """Find the recordings in a folder and all folders below it. Links to folders are not followed.

    Args:
        folder: Where to search, or a single recording.
        leave_out: The folder of the set, which may lie inside ``folder``.

    Raises:
        InputError: There is no such folder, or it has no video at all.
    """
    if not folder.exists():
        raise InputError(f"There is no folder {folder}: give the folder of the recordings.")
    files = [folder] if folder.is_file() else list(_videos(folder, leave_out.resolve()))
    root = folder.parent if folder.is_file() else folder
    usable: dict[str, tuple[Path, Recording]] = {}
    passed_over = []
    for file in files:
        name = str(screened_path(file.relative_to(root)))
        try:
            recording = _recording(file, name)
            if recording.id in usable:
                raise InputError(f"It is the same file as {usable[recording.id][1].path}.")
            usable[recording.id] = file, recording
        except InputError as error:
            passed_over.append(PassedOver(path=name, reason=str(error)))
    if not files:
        raise InputError(f"{folder} has no video ({', '.join(sorted(_SUFFIXES))}).")
    return FoundRecordings(list(usable.values()), passed_over)


def words_beside(video: Path) -> list[Path]:
    """Return the subtitle files beside a video: those with its name, with or without a language ("case.en.srt")."""
    return sorted(
        file
        for file in video.parent.iterdir()
        if file.suffix.lower() in SUBTITLE_SUFFIXES
        and (file.stem == video.stem or file.stem.startswith(f"{video.stem}."))
    )


def _videos(folder: Path, leave_out: Path) -> Iterator[Path]:
    for parent, folders, names in os.walk(folder):
        here = Path(parent)
        folders[:] = sorted(
            name for name in folders if not name.startswith(".") and (here / name).resolve() != leave_out
        )
        for name in sorted(names):
            if not name.startswith(".") and Path(name).suffix.lower() in _SUFFIXES:
                yield here / name


def _recording(file: Path, name: str) -> Recording:
    source = open_source(file)
    if source.kind != "video":
        raise InputError("It is a picture, not a video.")
    frames = len(source.seconds)
    if frames < LEAST_FRAMES:
        raise InputError(f"It has only {frames} frames; at least {LEAST_FRAMES} are needed.")
    sha256 = source.sha256()
    return Recording(
        id=sha256[:16],
        path=name,
        sha256=sha256,
        seconds=round(float(source.duration), 3),
        width=source.width,
        height=source.height,
        fps=round(float(source.fps), 3),
        notes=source.notes,
    )
