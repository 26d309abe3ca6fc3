"""The shell around the pages: each can be reached, the banner stands on it, and problems are told in words."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from videopath.app.web.components.shared.inert import inert
from videopath.app.web.components.shared.style import BUTTON_TEXT, THEME
from videopath.core.notice import RESEARCH_USE

_ROOT = Path(__file__).resolve().parents[3]


def _main() -> Any:
    from streamlit.testing.v1 import AppTest

    return AppTest.from_file(str(_ROOT / "app" / "web" / "main.py"), default_timeout=60)


def test_the_first_page_carries_the_banner() -> None:
    shown = _main().run()
    assert not shown.exception
    assert shown.title[0].value == "New case"
    assert [warning.value for warning in shown.warning] == [RESEARCH_USE]


def test_unusable_settings_are_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("VIDEOPATH_FRAMES", "many")
    shown = _main().run()
    assert not shown.exception
    assert shown.error
    assert "VIDEOPATH_FRAMES" in shown.text[0].value


@pytest.mark.parametrize(
    "module",
    ["new_case", "case", "worklist", "compare", "knowledge", "datasets", "benchmarks", "about"],
)
def test_every_page_shows_an_empty_library(app: Callable[..., Any], module: str) -> None:
    shown = app(module).run()
    assert not shown.exception
    assert shown.title


def test_inert_escapes_what_streamlit_reads() -> None:
    shown = inert("<script>x</script> *a* :red[b] $c$\n# d [e](http://f.example) :smile: g@h.example")
    assert "\n" not in shown
    for mark in "<>*[]()#$":
        assert all(shown[at - 1] == "\\" for at, letter in enumerate(shown) if letter == mark)
    assert ":smile:" not in shown.replace("\\", "")
    assert "http://" not in shown.replace("\\", "")
    for sign in ("->", "<-", "<->", "--", ">=", "<="):  # Streamlit would draw arrows and dashes
        assert sign not in inert(sign).replace("\\", "")


def test_inert_changes_no_plain_text() -> None:
    assert inert("Crowded glands, 12 mitoses per field") == "Crowded glands, 12 mitoses per field"


@pytest.mark.parametrize("mode", ["light", "dark"])
@pytest.mark.parametrize("ground", ["backgroundColor", "secondaryBackgroundColor"])
def test_colours_can_be_read(mode: str, ground: str) -> None:
    behind = THEME[f"theme.{mode}.{ground}"]
    for name in ("textColor", "linkColor", "primaryColor"):
        assert _contrast(THEME[f"theme.{mode}.{name}"], behind) >= 4.5
    accent = THEME[f"theme.{mode}.primaryColor"]
    assert _contrast(accent, BUTTON_TEXT[mode]) >= 4.5
    assert _contrast(accent, "#FFFFFF") >= 3  # the marks of ticked boxes and of switches


def _contrast(one: str, other: str) -> float:
    """Of WCAG 2, between 1 and 21."""
    light, dark = sorted((_luminance(one), _luminance(other)), reverse=True)
    return (light + 0.05) / (dark + 0.05)


def _luminance(colour: str) -> float:
    parts = [int(colour[at : at + 2], 16) / 255 for at in (1, 3, 5)]
    linear = [part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4 for part in parts]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]
