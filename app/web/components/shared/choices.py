"""The models and knowledge bases that the pages offer."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from videopath.app.web.runtime.services import Services

STARTER = "bundled starter"
_MANIFEST = "manifest.json"  # of every knowledge base


def models(shared: Services, used: Iterable[str] = ()) -> list[str]:
    """Return the names of the settings' model, nano, and the models that cases ``used``."""
    return list(dict.fromkeys([shared.settings.model, "nano", *used]))


def knowledge_bases(shared: Services) -> dict[str, Path | None]:
    """Return name → folder: the settings' base, the starter (None), and the bases of the home folder."""
    own = shared.settings.knowledge
    folders: dict[str, Path | None] = {str(own): own} if own else {}
    folders[STARTER] = None
    for manifest in sorted((shared.home / "knowledge").glob(f"*/{_MANIFEST}")):
        folders[manifest.parent.name] = manifest.parent
    return folders


def knowledge_name(folder: str | Path | None) -> str:
    """Return the name of a knowledge base on the pages; None is the starter."""
    return Path(folder).name if folder else STARTER
