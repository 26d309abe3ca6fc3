"""The front door: what contributors and citers read agrees with the project."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path

import pytest
import yaml

_ROOT = Path(__file__).resolve().parents[1]
_PAGES = ("README.md", "CONTRIBUTING.md", "SECURITY.md", "CHANGELOG.md", "docs/architecture.md")


def test_the_citation_names_this_version() -> None:
    citation = yaml.safe_load((_ROOT / "CITATION.cff").read_text(encoding="utf-8"))
    project = tomllib.loads((_ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    assert citation["version"] == project["version"]
    assert citation["license"] == project["license"]


@pytest.mark.parametrize("page", _PAGES)
def test_paths_that_a_page_names_exist(page: str) -> None:
    text = (_ROOT / page).read_text(encoding="utf-8")
    rooms = "|".join(path.name for path in (_ROOT / "src/videopath").iterdir() if path.is_symlink())
    named = re.findall(rf"`((?:{rooms}|tests|docs|examples|benchmarks)/[\w./-]*)`", text)
    assert [path for path in named if not (_ROOT / path).exists()] == []


def test_the_glossary_is_in_alphabetical_order() -> None:
    text = (_ROOT / "docs/glossary.md").read_text(encoding="utf-8")
    terms = re.findall(r"^### (.+)", text, re.MULTILINE)
    assert len(terms) > 50
    assert terms == sorted(terms, key=lambda term: term.casefold().replace("-", ""))
