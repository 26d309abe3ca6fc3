"""What a person has marked in the viewer and not decided with yet; it is kept in the case's folder, for each person."""

from __future__ import annotations

import math
from pathlib import Path

import streamlit as st
from pydantic import TypeAdapter, ValidationError

from videopath.agent import CaseReport
from videopath.agent.cases.records import Annotation
from videopath.app.web.components.viewer.messages import Drawn
from videopath.app.web.runtime.people import person
from videopath.app.web.runtime.services import services
from videopath.core.files import private_folder, sha256_text, write_text
from videopath.core.privacy.personal import screened_text

FOLDER = "marks"
"""The folder within a case's folder."""
_SEGMENT = "segment_from_viewer"  # in the session: the segment that the review form takes over
_MARKS = TypeAdapter(list[Drawn])


def drafts(case_id: str) -> list[Drawn]:
    """Return the marks of a case that are not part of a decision yet: of this session, or those this person has kept.

    Marks that were drawn before the person gave a name become theirs. Without a name they last as long as the session.
    """
    name = person()
    drawn: tuple[str, list[Drawn]] | None = st.session_state.get(_key(case_id))
    if drawn is not None and drawn[0] == name:
        return list(drawn[1])
    if drawn is not None and not drawn[0] and drawn[1]:
        keep_drafts(case_id, [*_read(case_id, name), *drawn[1]])
    else:
        st.session_state[_key(case_id)] = (name, _read(case_id, name))
    return list(st.session_state[_key(case_id)][1])


def annotations_of(report: CaseReport, author: str) -> list[Annotation]:
    """Return the marks of a case as annotations of a decision, with the lengths of lines and the areas of boxes."""
    return [_annotation(mark, report, author) for mark in drafts(report.case_id)]


def _annotation(mark: Drawn, report: CaseReport, author: str) -> Annotation:
    length = area = None
    if mark.shape != "point" and report.video is not None:
        left, top, right, bottom = mark.place
        across, down = (right - left) * report.video.width, (bottom - top) * report.video.height
        if mark.shape == "line":
            length = math.hypot(across, down)
        else:
            area = abs(across * down)
    scale = report.settings.um_per_pixel
    return Annotation(
        **mark.model_dump(),
        author=author,
        pixels=length,
        micrometres=None if scale is None or length is None else length * scale,
        square_pixels=area,
        square_micrometres=None if scale is None or area is None else area * scale**2,
    )


def shown(report: CaseReport) -> list[Drawn]:
    """Return the marks of all decisions on a case, as the viewer draws them."""
    return [
        Drawn(**mark.model_dump(include=set(Drawn.model_fields)))
        for decision in report.review
        for mark in decision.annotations
    ]


def keep_drafts(case_id: str, marks: list[Drawn]) -> None:
    """Keep the marks of a case until a decision takes them, in the case's folder if the person has a name.

    A person's data in a note is masked, as in any text that is stored.

    Args:
        case_id: The case.
        marks: The marks; none forgets them.
    """
    name = person()
    marks = [mark.model_copy(update={"note": screened_text(mark.note).text}) for mark in marks]
    st.session_state[_key(case_id)] = (name, marks)
    if not name:
        return
    file = _file(case_id, name)
    if marks:
        private_folder(file.parent)
        write_text(file, _MARKS.dump_json(marks).decode(), private=True)
    else:
        file.unlink(missing_ok=True)


def chosen_segment(case_id: str) -> tuple[float, float] | None:
    """Return the segment that was chosen in the viewer since the last call; the review form takes it over."""
    chosen: tuple[float, float] | None = st.session_state.pop(f"{_SEGMENT}:{case_id}", None)
    return chosen


def choose_segment(case_id: str, start: float, end: float) -> None:
    """Let the review form take over a segment, in seconds."""
    st.session_state[f"{_SEGMENT}:{case_id}"] = (start, end)


def _read(case_id: str, name: str) -> list[Drawn]:
    """The marks that a person has kept; none if there are none, or if the file was damaged from outside."""
    file = _file(case_id, name)
    if not name or not file.is_file():
        return []
    try:
        return _MARKS.validate_json(file.read_bytes())
    except ValidationError:
        return []


def _file(case_id: str, name: str) -> Path:
    return services().library.folder(case_id) / FOLDER / f"{sha256_text(name)[:24]}.json"


def _key(case_id: str) -> str:
    return f"annotations:{case_id}"
