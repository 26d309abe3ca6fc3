"""Under which licences VideoPath and the packages that it uses stand, as their own metadata say."""

from __future__ import annotations

import re
from dataclasses import dataclass
from importlib import metadata

DISTRIBUTION = "videopath-agent"

_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]*")
_PREFIX = "License :: "
_LONGEST = 120  # of a licence's name; longer is the whole licence


@dataclass(frozen=True)
class Package:
    """A package that VideoPath needs."""

    name: str
    version: str
    licence: str


def own_version() -> str:
    """Of VideoPath."""
    return metadata.version(DISTRIBUTION)


def own_licence() -> str:
    """The whole text of VideoPath's licence; its name where the text is not at hand."""
    kept = metadata.distribution(DISTRIBUTION)
    for path in kept.files or ():
        if path.name == "LICENSE":
            return path.read_text(encoding="utf-8")
    return kept.metadata["License-Expression"]


def used_packages() -> list[Package]:
    """What VideoPath needs directly and is installed here, by name."""
    required = metadata.requires(DISTRIBUTION) or []
    names = {match[0] for text in required if "extra ==" not in text and (match := _NAME.match(text))}
    return [package for name in sorted(names, key=str.lower) if (package := _package(name))]


def _package(name: str) -> Package | None:
    try:
        facts = metadata.metadata(name)
    except metadata.PackageNotFoundError:  # for another system
        return None
    return Package(name, facts["Version"], _licence(facts))


def _licence(facts: metadata.PackageMetadata) -> str:
    names = [name for name in ("License-Expression", "License") if name in facts]
    stated = facts[names[0]] if names else ""
    if stated.strip() and len(stated) <= _LONGEST:
        return " ".join(stated.split())
    classified = [c for c in facts.get_all("Classifier") or [] if c.startswith(_PREFIX)]
    return ", ".join(c.rpartition(" :: ")[2] for c in classified) or "see its own documentation"
