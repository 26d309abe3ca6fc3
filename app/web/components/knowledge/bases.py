"""Knowledge bases that are opened once and shared by the pages."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import streamlit as st

if TYPE_CHECKING:
    from videopath.knowledge import KnowledgeBase


def open_base(folder: Path | None) -> KnowledgeBase:
    """Return the knowledge base of a folder; it is opened again if somebody changed it.

    Args:
        folder: The folder; None: the bundled starter.

    Raises:
        KnowledgeError: If the folder is not a knowledge base.
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
