"""The about page: version, what doctor says, the model's card, licences."""

from __future__ import annotations

from collections.abc import Callable
from importlib import metadata
from pathlib import Path
from typing import Any

import pytest

from videopath.app.web.components.shared.licences import own_licence, used_packages
from videopath.model.card import card_facts, card_text

_ROOT = Path(__file__).resolve().parents[3]


@pytest.fixture(autouse=True)
def _forget() -> Any:
    yield
    import streamlit as st

    st.cache_data.clear()


def _cells(test: Any) -> str:
    return "\n".join(str(frame.value.to_dict()) for frame in test.table).replace("\\", "")


def test_version_and_the_bundled_models_card(app: Callable[..., Any]) -> None:
    test = app("about").run()
    assert not test.exception
    assert metadata.version("videopath-agent") in test.text[0].value
    assert "colon adenocarcinoma" in _cells(test)
    assert any("Fifteen diagnoses" in markdown.value for markdown in test.markdown)


@pytest.mark.slow
def test_what_doctor_says(app: Callable[..., Any]) -> None:
    test = app("about").run()
    test.button_group(key="about_part").set_value("This machine").run()
    assert not test.exception
    assert test.success[0].value == "Everything is here."
    assert "starter knowledge" in _cells(test)


def test_what_is_missing_is_said(app: Callable[..., Any], monkeypatch: pytest.MonkeyPatch) -> None:
    from videopath.app.cli import installation

    missing = [installation.Check("nano weights", False, "damaged: x", "Install again.")]
    monkeypatch.setattr(installation, "_CHECKS", (lambda: missing,))
    test = app("about").run()
    test.button_group(key="about_part").set_value("This machine").run()
    assert not test.exception
    assert "nano weights" in test.error[0].value
    assert "MISSING" in _cells(test)


def test_licences(app: Callable[..., Any]) -> None:
    test = app("about").run()
    test.button_group(key="about_part").set_value("Licences").run()
    assert not test.exception
    assert "streamlit" in _cells(test)
    assert "Apache License" in own_licence()
    packages = {package.name: package.licence for package in used_packages()}
    assert packages["streamlit"] == "Apache-2.0"
    assert "pytest" not in packages
    assert all(packages.values())


def test_another_models_card_stays_inert(
    app: Callable[..., Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "README.md").write_text("# Mine\n![x](http://a.example/x.png)")
    (tmp_path / "videopath.json").write_text('{"name": "<b>mine</b>", "labels": {"colon": ["**a**"]}}')
    monkeypatch.setenv("VIDEOPATH_MODEL", str(tmp_path))
    test = app("about").run()
    assert not test.exception
    assert not any("http" in markdown.value for markdown in test.markdown)
    assert any("![x]" in text.value for text in test.text)
    assert r"\<b\>" in test.header[0].value


def test_a_model_without_a_card(
    app: Callable[..., Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("VIDEOPATH_MODEL", str(tmp_path))
    test = app("about").run()
    assert not test.exception
    assert "no model card" in test.info[0].value
    (tmp_path / "videopath.json").write_text("{")
    test = app("about").run()
    assert not test.exception
    assert test.error


def test_cards_of_checkpoints(tmp_path: Path) -> None:
    assert card_text("nano") == (_ROOT / "MODEL_CARD.md").read_text(encoding="utf-8")
    assert card_facts("nano").name == "VideoPath-nano"
    assert card_text(tmp_path) is None
    (tmp_path / "README.md").write_text("hub")
    assert card_text(tmp_path) == "hub"
    (tmp_path / "MODEL_CARD.md").write_text("own")
    assert card_text(tmp_path) == "own"
