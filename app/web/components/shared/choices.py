"""What there is to choose from: models and knowledge bases."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from videopath.app.web.runtime.services import Services

STARTER = "bundled starter"
_MANIFEST = "manifest.json"  # of every knowledge base


def models(shared: Services, used: Iterable[str] = ()) -> list[str]:
    """The settings' model, nano, and those that cases were begun with."""
    return list(dict.fromkeys([shared.settings.model, "nano", *used]))


def knowledge_bases(shared: Services) -> dict[str, Path | None]:
    """Name → folder: the settings' own first if there is one, the starter (no folder), those of the home folder."""
    own = shared.settings.knowledge
    found: dict[str, Path | None] = {str(own): own} if own else {}
    found[STARTER] = None
    for manifest in sorted((shared.home / "knowledge").glob(f"*/{_MANIFEST}")):
        found[manifest.parent.name] = manifest.parent
    return found


def knowledge_name(folder: str | Path | None) -> str:
    """What a knowledge base is called on the pages."""
    return Path(folder).name if folder else STARTER
