"""Hooks of the documentation site (mkdocs.yml).

The files at the repository's root that readers need become pages. Links are written as they work in the repository; in
the site, a link to such a file leads to its page, and a link to any other file becomes plain text. A line
``[public names of videopath.agent]`` becomes the reference of all names in the ``__all__`` of that package.
"""

from __future__ import annotations

import ast
import posixpath
import re
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from mkdocs.config.defaults import MkDocsConfig
    from mkdocs.structure.files import Files
    from mkdocs.structure.pages import Page

PAGES = {
    "MODEL_CARD.md": "model-card.md",
    "SECURITY.md": "security.md",
    "CHANGELOG.md": "changelog.md",
    "CONTRIBUTING.md": "contributing.md",
}
"""File at the root → its page."""

_MOVED = {
    "README.md": "docs/index.md",
    "LICENSE": "docs/reference/licences.md",
    "app/lmms_eval/README.md": "docs/how-to/lmms-eval.md",
}
"""File of the repository → the page that says the same, from the root."""

_LINK = re.compile(r"(?<!!)\[(?P<text>[^\[\]]*(?:\[[^\]]*\][^\[\]]*)*)\]\((?P<target>[^)\s]+)\)")
_NAMES = re.compile(r"^\[public names of (videopath\.[a-z_.]+)\]$", re.MULTILINE)
_FENCE = re.compile(r"(^```.*?^```[^\n]*$)", re.MULTILINE | re.DOTALL)


def on_files(files: Files, config: MkDocsConfig) -> Files:
    """Add the pages that are files at the root."""
    from mkdocs.structure.files import File

    root = Path(config.config_file_path).parent
    for name, page in PAGES.items():
        if (root / name).is_file():
            text = (root / name).read_text(encoding="utf-8")
            files.append(File.generated(config, page, content=text))
    return files


def on_page_markdown(markdown: str, page: Page, config: MkDocsConfig, files: Files) -> str:
    """Rewrite the links of a page that lead to files of the repository, and name what the reference shows."""
    root = Path(config.config_file_path).parent
    markdown = _NAMES.sub(lambda found: _reference(root, found[1]), markdown)
    pages = {file.src_uri for file in files}
    parts = _FENCE.split(markdown)
    return "".join(
        part if part.startswith("```") else relinked(part, page.file.src_uri, pages) for part in parts
    )


def public_names(root: Path, package: str) -> list[str]:
    """Read the ``__all__`` of a package, without importing it.

    Args:
        root: The repository.
        package: Import name, such as ``videopath.agent``.
    """
    text = (root / "src" / package.replace(".", "/") / "__init__.py").read_text(encoding="utf-8")
    for node in ast.parse(text).body:
        if isinstance(node, ast.Assign) and getattr(node.targets[0], "id", "") == "__all__":
            return sorted(ast.literal_eval(node.value), key=str.lower)
    raise ValueError(f"{package} has no __all__")


def _reference(root: Path, package: str) -> str:
    return "\n\n".join(f"::: {package}.{name}" for name in public_names(root, package))


def relinked(text: str, page: str, pages: set[str]) -> str:
    """Rewrite the links of a text for the site.

    Args:
        text: Markdown without fenced blocks.
        page: Path of the page in the site, such as ``how-to/train.md``.
        pages: Paths of all files of the site.
    """
    of_root = {site: root for root, site in PAGES.items()}
    source = of_root.get(page, f"docs/{page}")  # where the text lies in the repository

    def changed(link: re.Match[str]) -> str:
        target, mark, anchor = link["target"].partition("#")
        if not target or "://" in target or target.startswith("mailto:"):
            return link[0]
        path = posixpath.normpath(posixpath.join(posixpath.dirname(source), target))
        path = _MOVED.get(path, path)
        wanted = PAGES.get(path, path.removeprefix("docs/"))
        if path in PAGES or (path.startswith("docs/") and wanted in pages):
            relative = posixpath.relpath(wanted, posixpath.dirname(page) or ".")
            return f"[{link['text']}]({relative}{mark}{anchor})"
        if path.startswith("docs/"):
            return link[0]  # mkdocs says what is wrong with it
        return link["text"]

    return _LINK.sub(changed, text)


def on_env(env: Any, config: MkDocsConfig, files: Files) -> Any:
    """Keep the site from asking any other machine for a file, whatever a theme's new version adds."""
    if config.theme["font"] is not False or config.extra.get("analytics"):
        raise ValueError("mkdocs.yml: the site uses no web fonts and no analytics")
    return env
