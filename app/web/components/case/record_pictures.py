"""Pictures of similar cases beside the case's own, each as large a part of its source, with writing filled."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
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

if TYPE_CHECKING:
    from videopath.knowledge import InstructionRecord, KnowledgeBase

_LARGEST = 512  # pixels of the source along each side of a picture
_SMALLEST = 64  # a smaller source would make all other parts too small: it is shown whole instead


def records_of(base: KnowledgeBase, ids: Sequence[str]) -> dict[str, InstructionRecord]:
    """Return the records of a base by id; those that it no longer has are left out."""
    records = {}
    for record_id in ids:
        try:
            records[record_id] = base.get(record_id)
        except KnowledgeError:
            continue
    return records


def own_picture(view: CaseView) -> np.ndarray | None:
    """Return the middle frame of what the case looked at, uint8 [H,W,3]; None if the video is not at hand."""
    facts = next((step.detail.get("facts") for step in view.steps if step.name == "intake"), None)
    if not facts:
        return None
    seconds = facts["seconds"][len(facts["seconds"]) // 2] if facts["seconds"] else 0.0
    return _frame(view.entry.video, seconds, view.writing, view.crop)


def record_picture(
    record: InstructionRecord, folder: Path, shared: Services, writing: WritingRule
) -> np.ndarray | None:
    """Return the middle frame of a record's first clip, uint8 [H,W,3]; None if its file is not at hand.

    Args:
        record: The record; a path within its media is looked for in the base's folder and in ``media`` below it.
        folder: The folder of the base.
        shared: The services, for the folders that visitors may open.
        writing: The rule for burned-in writing if the record has none.
    """
    for media in record.media[:1]:
        own = Path(media.path)
        places = [own] if own.is_absolute() else [folder / own, folder / "media" / own]
        for place in places:
            try:
                path = visitor_path(place, shared.settings)
            except InputError:
                continue
            if path.exists():
                start = media.start or 0.0
                middle = start if media.end is None else (start + media.end) / 2
                return _frame(str(path), middle, media.writing or writing, media.crop)
    return None


def at_one_scale(pictures: Mapping[str, np.ndarray]) -> tuple[dict[str, np.ndarray], int]:
    """Return the middle square of each picture with as many pixels of its source, and that number.

    Args:
        pictures: Name → uint8 [H,W,3].
    """
    sides = [min(picture.shape[:2]) for picture in pictures.values()]
    side = min([_LARGEST, *(one for one in sides if one >= _SMALLEST)])
    return {name: _middle(picture, side) for name, picture in pictures.items()}, side


def _middle(picture: np.ndarray, side: int) -> np.ndarray:
    height, width = picture.shape[:2]
    top, left = max(0, (height - side) // 2), max(0, (width - side) // 2)
    return np.ascontiguousarray(picture[top : top + side, left : left + side])


def _frame(video: str, seconds: float, writing: WritingRule, crop: Crop | None) -> np.ndarray | None:
    path = find_path(video)
    if not path.exists():
        return None
    try:
        return _read(str(path), path.stat().st_mtime, seconds, writing, crop and (*crop,))
    except InputError:
        return None


@st.cache_data(max_entries=64, show_spinner=False)
def _read(video: str, changed: float, seconds: float, writing: WritingRule, crop: Crop | None) -> np.ndarray:
    """A frame; ``changed`` is the file's time of change, so that a new file is read again."""
    from videopath.app.web.runtime.playable import frame_at

    frame = frame_at(Path(video), seconds, writing=writing)
    return cropped(frame[None], crop)[0] if crop else frame
