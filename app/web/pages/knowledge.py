"""The page Knowledge: search a knowledge base, look through its records, add, edit and remove records."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import streamlit as st

from videopath.app.web.components.knowledge.bases import open_base
from videopath.app.web.components.knowledge.frame_search import SeenFrame, frame_search
from videopath.app.web.components.knowledge.measure import measure_of
from videopath.app.web.components.knowledge.record_card import record_card
from videopath.app.web.components.knowledge.record_edit import edit_dialog
from videopath.app.web.components.knowledge.record_form import record_form
from videopath.app.web.components.knowledge.record_list import record_list
from videopath.app.web.components.knowledge.record_removal import removal_dialog
from videopath.app.web.components.shared.choices import knowledge_bases, knowledge_name
from videopath.app.web.components.shared.inert import inert
from videopath.app.web.components.shared.tables import table
from videopath.app.web.components.shared.words import explained
from videopath.app.web.runtime.services import Services, services
from videopath.core.errors import InputError, KnowledgeError
from videopath.core.folders import visitor_path
from videopath.core.pathology.sites import SITES
from videopath.tools.context import ranks_in_words

if TYPE_CHECKING:
    from videopath.knowledge import Hit, KnowledgeBase

TABS = ("Search by text", "Search by a frame", "All records", "How good it is", "Add a record")
_TABS = "knowledge_tabs"  # in the session: the open tab


def show() -> None:
    """Draw the choice of a knowledge base, and the tabs to search and change it."""
    shared = services()
    st.title("Knowledge", help=explained("knowledge base"))
    try:
        folder = _selected_folder(shared)
        base = open_base(folder)
    except (InputError, KnowledgeError, OSError) as error:
        st.error("This knowledge base cannot be opened.", icon=":material/error:")
        st.text(str(error))
        return
    fixed = folder is None
    removal_dialog(base)
    edit_dialog(base)
    _named_record(base)
    _info(base, fixed)
    by_text, by_frame, everything, measured, own = st.tabs(TABS, key=_TABS, on_change="rerun")
    with by_text:
        _search(base)
    with by_frame:
        frame = frame_search(shared, pictures=base.image_encoder is not None)
        if frame:
            _by_frame(base, frame)
    with everything:
        record_list(base, pictures=bool(everything.open))
    with measured:
        if measured.open:
            measure_of(base)
    with own:
        record_form(shared, base, fixed=fixed)


def _named_record(base: KnowledgeBase) -> None:
    """Draw the record that the address names, as a link of a case does."""
    record_id = st.query_params.get("record")
    if not record_id:
        return
    try:
        record_card(base, base.get(record_id), "named")
    except KnowledgeError:
        st.info(inert(f"This knowledge base has no record {record_id}."), icon=":material/info:")


def _selected_folder(shared: Services) -> Path | None:
    bases = knowledge_bases(shared)
    named = next((name for name, folder in bases.items() if str(folder) == st.query_params.get("base")), None)
    if named is not None and "knowledge_base" not in st.session_state:
        st.session_state["knowledge_base"] = named
    name = st.selectbox(
        "Knowledge base",
        list(bases),
        format_func=lambda name: knowledge_name(bases.get(name, name)),
        key="knowledge_base",
        accept_new_options=True,
        help="A name from the list, or type the folder of a knowledge base.",
    )
    if name is None:
        return None
    return bases[name] if name in bases else visitor_path(name, shared.settings)


def _info(base: KnowledgeBase, fixed: bool) -> None:
    info = base.info()
    with st.container(horizontal=True, key="knowledge_info"):
        for label, value in (
            ("records", info.records),
            ("sources", info.sources),
            ("with a diagnosis", info.diagnosed),
            ("diagnoses", len(info.diagnoses)),
            ("sites", len(info.sites)),
        ):
            st.metric(label, f"{value:,}", border=True, width=140)
    with st.expander("Contents, embedder and index"):
        counts = [
            ("sites", _counted(info.sites)),
            ("licences", _counted(info.licences)),
            ("version", f"{info.version}, data {info.data_sha256[:12]}"),
            ("embedder", f"{info.embedder.name}, {info.embedder.sha256[:12]}"),
            (
                "pictures",
                f"{info.image_encoder.name}, {info.image_encoder.sha256[:12]}"
                if info.image_encoder
                else "none",
            ),
            *((f"{view} vectors", "; ".join(parts)) for view, parts in info.index.items()),
            ("index", info.index_sha256[:12]),
            ("folder", "part of VideoPath" if fixed else info.folder),
        ]
        table(("", "this knowledge base"), counts)


def _counted(counts: dict[str, int]) -> str:
    return ", ".join(f"{name} {count}" for name, count in sorted(counts.items(), key=lambda item: -item[1]))


def _search(base: KnowledgeBase) -> None:
    with st.form("text_search", border=False):
        query = st.text_area(
            "What the pictures show",
            key="query",
            height=90,
            placeholder="Crowded, angulated glands with dark nuclei",
        )
        left, right = st.columns([2, 1], vertical_alignment="bottom")
        site = left.selectbox("Site", list(SITES), index=None, placeholder="every site", key="query_site")
        number = right.number_input("Number of records", 1, 50, 5, key="query_number")
        st.form_submit_button("Search", key="search_text", type="primary", icon=":material/search:")
    if query.strip():
        with st.spinner("Searching"):
            hits = base.search(query, number, site)
        _hits(base, hits, "text")


def _by_frame(base: KnowledgeBase, frame: SeenFrame) -> None:
    """The records that are similar to a frame; by the picture if the base has pictures of the same tower."""
    from videopath.knowledge import Query

    mark = base.image_encoder
    image = frame.vectors[mark.views] if mark is not None and mark.sha256 == frame.tower_sha256 else None
    if mark is not None and image is None:
        reason = f"The pictures of this base were encoded by {mark.name}, the frame by the vision tower of the model"
        st.warning(
            inert(f"{reason}: they cannot be compared. Search by the description."), icon=":material/image:"
        )
    words = frame.description or ""
    if words.strip() or image is not None:
        _hits(base, base.find(Query(words, image=image), 5).hits, "frame")
    elif frame.description is None:
        st.info("The frame has no description: search again.", icon=":material/search_off:")


def _hits(base: KnowledgeBase, hits: Sequence[Hit], page_part: str) -> None:
    if not hits:
        st.info("This knowledge base has no record of this site.", icon=":material/search_off:")
    if hits:
        st.caption(f"{len(hits)} records, the most similar first", help=explained("similarity", "rank"))
    for hit in hits:
        record_card(base, hit.record, page_part, score=hit.score, ranks=ranks_in_words(hit.ranks))
