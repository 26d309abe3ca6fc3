"""The licences of VideoPath and of the packages that it uses, from their metadata."""

from __future__ import annotations

import re
from dataclasses import dataclass
from importlib import metadata

DISTRIBUTION = "videopath-agent"

_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]*")
_PREFIX = "License :: "
_MAX_NAME = 120  # characters; a longer text is a whole licence, not its name


@dataclass(frozen=True)
class Package:
    """A package that VideoPath needs."""

    name: str
    version: str
    licence: str


def own_version() -> str:
    """Return the version of VideoPath."""
    return metadata.version(DISTRIBUTION)


def own_licence() -> str:
    """Return the text of VideoPath's licence, or its name if the text is not installed."""
    distribution = metadata.distribution(DISTRIBUTION)
    for path in distribution.files or ():
        if path.name == "LICENSE":
            return path.read_text(encoding="utf-8")
    return distribution.metadata["License-Expression"]


def used_packages() -> list[Package]:
    """Return the installed packages that VideoPath depends on directly, sorted by name."""
    required = metadata.requires(DISTRIBUTION) or []
    names = {match[0] for text in required if "extra ==" not in text and (match := _NAME.match(text))}
    return [package for name in sorted(names, key=str.lower) if (package := _package(name))]


def _package(name: str) -> Package | None:
    try:
        facts = metadata.metadata(name)
    except metadata.PackageNotFoundError:  # needed only on another system
        return None
    return Package(name, facts["Version"], _licence(facts))


def _licence(facts: metadata.PackageMetadata) -> str:
    names = [name for name in ("License-Expression", "License") if name in facts]
    stated = facts[names[0]] if names else ""
    if stated.strip() and len(stated) <= _MAX_NAME:
        return " ".join(stated.split())
    classified = [c for c in facts.get_all("Classifier") or [] if c.startswith(_PREFIX)]
    return ", ".join(c.rpartition(" :: ")[2] for c in classified) or "see its own documentation"
