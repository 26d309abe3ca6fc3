"""What can be done with the ticked cases at once. Nothing is signed here: each case is signed on its own page."""

from __future__ import annotations

import tempfile
import zipfile
from collections.abc import Sequence
from pathlib import Path

import streamlit as st

from videopath.agent.cases.team.people import LONGEST_NAME, assign
from videopath.agent.cases.team.worklist import Worklist
from videopath.app.web.components.shared.inert import inert
from videopath.app.web.components.shared.links import go, open_case
from videopath.app.web.components.shared.status import RESUMABLE
from videopath.app.web.components.worklist.deletion import ask_to_delete
from videopath.app.web.components.worklist.filters import WorklistRow
from videopath.app.web.runtime.people import person, signer
from videopath.app.web.runtime.services import Services, owner
from videopath.core.errors import CaseError, VideoPathError

_PROBLEM = "worklist_problem"  # in the session: why the last action failed
_DONE = "worklist_done"  # in the session: what it did
_NOBODY = "nobody"
_LEFT_OUT = "left-out.txt"
_MANY = 100  # cases of one export


def actions(shared: Services, worklist: Worklist, rows: Sequence[WorklistRow]) -> None:
    """Draw the buttons for the ticked cases."""
    problem, done = st.session_state.pop(_PROBLEM, ""), st.session_state.pop(_DONE, "")
    if problem:
        st.error(inert(problem), icon=":material/error:")
    if done:
        st.toast(inert(done))
    with st.container(horizontal=True, vertical_alignment="center", key="actions", gap="small"):
        if not rows:
            st.caption("Open a case, or tick several to assign, export, compare or delete them.")
            return
        case_ids = [row.entry.case_id for row in rows]
        st.markdown(f"**{len(rows)}** ticked")
        if len(rows) == 1 and st.button("Open", key="open_selected", icon=":material/open_in_new:"):
            open_case(case_ids[0])
        _comparison(rows)
        resumable = [row.entry.case_id for row in rows if row.status in RESUMABLE]
        if resumable:
            st.button(
                "Resume",
                key="resume_selected",
                icon=":material/play_arrow:",
                on_click=_resume,
                args=(shared, resumable),
            )
        _assignment(shared, worklist, case_ids)
        st.download_button(
            "Export",
            lambda: bundles(shared, case_ids),
            file_name="cases.zip",
            mime="application/zip",
            key="export_selected",
            icon=":material/download:",
            help="One zip with a bundle for each case.",
            on_click="ignore",
        )
        st.button(
            "Delete",
            key="delete_selected",
            icon=":material/delete:",
            type="tertiary",
            on_click=ask_to_delete,
            args=(case_ids,),
        )


def _comparison(rows: Sequence[WorklistRow]) -> None:
    """One case is compared with another one that is chosen there, two with each other."""
    if len(rows) > 2 or not all(row.entry.diagnosis for row in rows):
        return
    label = "Compare" if len(rows) == 2 else "Compare with…"
    if st.button(label, key="compare_selected", icon=":material/compare_arrows:"):
        go("compare", **dict(zip("ab", (row.entry.case_id for row in rows), strict=False)))


def _assignment(shared: Services, worklist: Worklist, case_ids: Sequence[str]) -> None:
    with st.popover("Assign", key="assign_selected", icon=":material/person_add:"):
        me = person()
        names = [name for name in dict.fromkeys([me, *worklist.people(), _NOBODY]) if name]
        to = st.selectbox(
            "In charge",
            names,
            key="assign_to",
            accept_new_options=True,
            help="Choose a name, or type one.",
        )
        typed = me or st.text_input("Your name", key="assign_by", max_chars=LONGEST_NAME)
        st.button(
            f"Assign {len(case_ids)} case{'s' if len(case_ids) > 1 else ''}",
            key="confirm_assign",
            type="primary",
            on_click=_assign,
            args=(shared, case_ids, to or "", typed),
        )


def _assign(shared: Services, case_ids: Sequence[str], to: str, typed: str) -> None:
    try:
        changed = assign(shared.library, case_ids, "" if to == _NOBODY else to, signer(typed))
    except VideoPathError as error:
        st.session_state[_PROBLEM] = str(error)
        return
    st.session_state[_DONE] = f"{changed} case{'' if changed == 1 else 's'} assigned to {to}."


def _resume(shared: Services, case_ids: Sequence[str]) -> None:
    problems = []
    for case_id in case_ids:
        try:
            shared.worker.resume(case_id, owner())
        except VideoPathError as error:
            problems.append(str(error))
    if problems:
        st.session_state[_PROBLEM] = " ".join(problems)


def bundles(shared: Services, case_ids: Sequence[str]) -> bytes:
    """Return one zip with the bundle of each case; a list names the cases that have no report, with the reason."""
    problems = [f"{case_id}: more than {_MANY} cases" for case_id in case_ids[_MANY:]]
    with tempfile.TemporaryDirectory() as folder:
        whole = Path(folder) / "cases.zip"
        with zipfile.ZipFile(whole, "w", zipfile.ZIP_STORED) as archive:
            for case_id in case_ids[:_MANY]:
                try:
                    path = shared.library.export(case_id, Path(folder) / f"{case_id}.zip")
                except (CaseError, OSError) as error:
                    problems.append(f"{case_id}: {error}")
                    continue
                archive.write(path, path.name)
                path.unlink()
            if problems:
                archive.writestr(_LEFT_OUT, "\n".join(problems) + "\n")
        return whole.read_bytes()
