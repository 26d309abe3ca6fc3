"""Fixtures of the knowledge tests."""

from __future__ import annotations

import importlib.util
from pathlib import Path
from types import ModuleType

import pytest

WORDS = Path(__file__).with_name("words.py")


@pytest.fixture(scope="session")
def words() -> ModuleType:
    """The module ``words.py``: ``WordEncoder``, ``some_records``; its path is ``words.__file__``."""
    spec = importlib.util.spec_from_file_location("videopath_test_words", WORDS)
    assert spec
    assert spec.loader
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture(scope="session")
def minilm():  # noqa: ANN201 - importing the type would be early
    """The default embedder, loaded once."""
    from videopath.knowledge import Embedder

    return Embedder()


@pytest.fixture(scope="session")
def wsi_bench(shared: Path) -> Path:
    """3,218 real conversations."""
    return shared / "data" / "text" / "wsi_bench_conversations.json"
