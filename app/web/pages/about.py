"""The page About: version, model card, check of the installation, licences."""

from __future__ import annotations

import re
from collections.abc import Callable

import streamlit as st

from videopath.app.web.components.shared.inert import inert
from videopath.app.web.components.shared.licences import own_licence, own_version, used_packages
from videopath.app.web.components.shared.tables import table
from videopath.app.web.runtime.services import services
from videopath.core.errors import ModelError

_HUB = "https://huggingface.co/"
_COMMENT = re.compile(r"<!--.*?-->\n?", re.DOTALL)
_HEADING = re.compile(r"^(#+) ", re.MULTILINE)
_WIDE_TABLES = "<style>.st-key-model_card table { display: block; overflow-x: auto; }</style>"
_MINUTES = 10  # for which the result of the check is kept


def show() -> None:
    """Draw the version and the chosen part."""
    st.title("About")
    st.text(
        f"VideoPath {own_version()}: step-by-step, checkable diagnosis of pathology videos by a LangGraph agent around "
        "VideoPath-LLaVA."
    )
    part = st.segmented_control(
        "Part", list(_PARTS), default=next(iter(_PARTS)), key="about_part", label_visibility="collapsed",
        required=True,
    )  # fmt: skip
    _PARTS[part]()


def _model() -> None:
    """The facts that the checkpoint states, and its model card."""
    from videopath.model.card import card_facts, card_text
    from videopath.model.checkpoints.hub import licence_of

    name = services().settings.model
    try:
        facts, text = card_facts(name), card_text(name)
    except ModelError as error:
        st.error("The model's card cannot be read.", icon=":material/error:")
        st.text(str(error))
        return
    st.header(inert(facts.name or name), anchor=False)
    rows = [
        ("licence", facts.licence or licence_of(name) or "not stated"),
        ("frames per clip", str(facts.frames or "32, the original's")),
        ("trained on", facts.trained_on or "not stated"),
        *((f"diagnoses, {site}", ", ".join(labels)) for site, labels in facts.labels.items()),
    ]
    with st.expander("Facts from the checkpoint", expanded=text is None):
        table(("", "these weights"), rows)
    if text is not None:
        st.html(_WIDE_TABLES)
        with st.container(border=True, key="model_card"):
            if name == "nano":
                st.markdown(_as_part_of_the_page(text))
            else:
                st.text(text)  # a stranger's card: without Markdown
        return
    st.info("These weights have no model card.", icon=":material/description:")
    if licence_of(name):
        st.link_button("Page on Hugging Face", _HUB + name, icon=":material/open_in_new:")


def _as_part_of_the_page(card: str) -> str:
    """The card without title and comments, with headings smaller than the page's own."""
    body = _COMMENT.sub("", card).split("\n", 1)[1] if card.startswith("# ") else _COMMENT.sub("", card)
    return _HEADING.sub(r"#\1 ", body)


def _machine() -> None:
    """The results of ``videopath doctor``."""
    with st.container(horizontal=True, vertical_alignment="center"):
        st.caption("These are the results of `videopath doctor`.", width="stretch")
        if st.button("Check again", key="look_again", icon=":material/refresh:"):
            _checks.clear()
    checks = _checks()
    missing = [name for name, ok, _, _ in checks if not ok]
    if missing:
        st.error(inert(f"Something is missing: {', '.join(missing)}."), icon=":material/error:")
    else:
        st.success("Everything is here.", icon=":material/check_circle:")
    table(
        ("", "what", "found", "what to do"),
        (("ok" if ok else "MISSING", name, result, advice) for name, ok, result, advice in checks),
    )


@st.cache_data(ttl=60 * _MINUTES, show_spinner="Checking; this takes a few seconds")
def _checks() -> list[tuple[str, bool, str, str]]:
    from videopath.app.cli.installation import check_installation

    return [(check.name, check.ok, check.found, check.advice) for check in check_installation()]


def _licences() -> None:
    """The licences of VideoPath and of the packages that it uses."""
    st.markdown(
        "VideoPath's code is under the **Apache License 2.0**. The weights of VideoPath-nano and their training data "
        "have their own licences: see the model card."
    )
    with st.expander("Text of the licence"):
        st.text(own_licence())
    st.header("Packages that VideoPath uses", anchor=False)
    table(("package", "version", "licence"), ((p.name, p.version, p.licence) for p in used_packages()))


_PARTS: dict[str, Callable[[], None]] = {
    "Model card": _model,
    "This machine": _machine,
    "Licences": _licences,
}
