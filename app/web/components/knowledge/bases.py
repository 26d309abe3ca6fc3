"""Knowledge bases, opened once and kept while they are used."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import streamlit as st

if TYPE_CHECKING:
    from videopath.knowledge import KnowledgeBase


def open_base(folder: Path | None) -> KnowledgeBase:
    """The knowledge base of a folder, none: the bundled starter. Raises ``KnowledgeError`` where there is none.

    Opened anew when somebody else changed it.
    """
    from videopath.knowledge import STARTER_FOLDER
    from videopath.knowledge.storage.manifest import MANIFEST

    manifest = (folder or STARTER_FOLDER) / MANIFEST
    stamp = manifest.stat().st_mtime_ns if manifest.is_file() else 0
    return _opened(None if folder is None else str(folder), stamp)


@st.cache_resource(max_entries=3, show_spinner="Opening the knowledge base")
def _opened(folder: str | None, stamp: int) -> KnowledgeBase:
    from videopath.knowledge import KnowledgeBase

    return KnowledgeBase.starter() if folder is None else KnowledgeBase.open(folder)
