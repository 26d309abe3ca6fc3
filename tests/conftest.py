"""Fixtures that all tests share."""

from __future__ import annotations

from pathlib import Path

import pytest

_SHARED = Path(__file__).resolve().parents[2] / "shared"


@pytest.fixture(scope="session")
def shared() -> Path:
    """The contributors' material beside the checkout (golden files, real histology)."""
    if not (_SHARED / "golden").is_dir():
        pytest.skip("the contributors' material (../shared) is not beside this checkout")
    return _SHARED


@pytest.fixture(autouse=True)
def own_home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """No test touches the user's own case library."""
    home = tmp_path / "home"
    monkeypatch.setenv("VIDEOPATH_HOME", str(home))
    return home


@pytest.fixture(scope="session")
def nano_engine():  # noqa: ANN201 - importing the type would import torch at collection
    """The bundled model, loaded once."""
    from videopath.model import load_engine

    return load_engine("nano")
