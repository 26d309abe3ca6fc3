"""Pictures of similar cases beside the case's own, each as large a part of its source, with writing filled."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import streamlit as st

from videopath.app.web.components.shared.view import CaseView
from videopath.app.web.runtime.services import Services
from videopath.core.choices import WritingRule
from videopath.core.errors import InputError, KnowledgeError
from videopath.core.folders import visitor_path
from videopath.core.privacy.paths import find_path
from videopath.media.clip import cropped
from videopath.media.crop import Crop
from videopath.media.masks import Masks

if TYPE_CHECKING:
    from videopath.knowledge import InstructionRecord, KnowledgeBase

_GREY = 128
_SIDE = 512  # pixels of the source along each side of a picture, unless the case's own frame is smaller


@dataclass(frozen=True)
class Moment:
    """A frame of a file that is at hand."""

    path: Path
    seconds: float
    writing: WritingRule
    crop: Crop | None = None
    masks: Masks | None = None

    def read(self) -> np.ndarray | None:
        """Return the frame, uint8 [H,W,3], with writing filled; None if it cannot be read."""
        try:
            return _read(
                str(self.path),
                self.path.stat().st_mtime,
                self.seconds,
                self.writing,
                self.crop and (*self.crop,),
                self.masks,
            )
        except (InputError, OSError):
            return None


def records_of(base: KnowledgeBase, ids: Sequence[str]) -> dict[str, InstructionRecord]:
    """Return the records of a base by id; those that it no longer has are left out."""
    records = {}
    for record_id in ids:
        try:
            records[record_id] = base.get(record_id)
        except KnowledgeError:
            continue
    return records


def moment_of_case(view: CaseView) -> Moment | None:
    """Return the middle of the frames that the case looked at; None if its video is not at hand."""
    facts = next((step.detail.get("facts") for step in view.steps if step.name == "intake"), None)
    path = find_path(view.entry.video)
    if not facts or not path.exists():
        return None
    seconds = facts["seconds"][len(facts["seconds"]) // 2] if facts["seconds"] else 0.0
    return Moment(path, seconds, view.writing, view.crop, view.masks)


def moment_of_record(
    record: InstructionRecord, folder: Path, shared: Services, writing: WritingRule
) -> Moment | None:
    """Return the middle of a record's first clip; None if its file is not at hand.

    Args:
        record: The record; a path within its media is looked for in the base's folder, in ``media`` below it, and in the
            folders whose media were encoded for the base.
        folder: The folder of the base.
        shared: The services, for the folders that visitors may open.
        writing: The rule for burned-in writing if the record has none.
    """
    for media in record.media[:1]:
        own = Path(media.path)
        places = [own] if own.is_absolute() else [root / own for root in _roots(folder)]
        for place in places:
            try:
                path = visitor_path(place, shared.settings)
            except InputError:
                continue
            if path.exists():
                start = media.start or 0.0
                middle = start if media.end is None else (start + media.end) / 2
                return Moment(path, middle, media.writing or writing, media.crop, media.masks)
    return None


def _roots(folder: Path) -> Sequence[Path]:
    from videopath.knowledge.storage.manifest import read_manifest

    return [folder, folder / "media", *(Path(root) for root in read_manifest(folder).media_folders)]


def side_of(own: np.ndarray | None) -> int:
    """Return how many pixels of its source each picture shows along a side."""
    return _SIDE if own is None else min(_SIDE, *own.shape[:2])


def middle_square(picture: np.ndarray, side: int) -> np.ndarray:
    """Return the middle of a picture, uint8 [side,side,3]; grey where the picture ends before.

    So the pictures of several sources have one scale: a pixel of each is as large on the screen.
    """
    square = np.full((side, side, 3), _GREY, np.uint8)
    height, width = picture.shape[:2]
    top, left = max(0, (height - side) // 2), max(0, (width - side) // 2)
    part = picture[top : top + side, left : left + side]
    down, right = (side - part.shape[0]) // 2, (side - part.shape[1]) // 2
    square[down : down + part.shape[0], right : right + part.shape[1]] = part
    return square


@st.cache_data(max_entries=64, show_spinner=False)
def _read(
    video: str,
    changed: float,
    seconds: float,
    writing: WritingRule,
    crop: Crop | None,
    masks: Masks | None,
) -> np.ndarray:
    """A frame; ``changed`` is the file's time of change, so that a new file is read again."""
    from videopath.app.web.runtime.playable import frame_at

    frame = frame_at(Path(video), seconds, writing=writing, masks=masks)
    return cropped(frame[None], crop)[0] if crop else frame
