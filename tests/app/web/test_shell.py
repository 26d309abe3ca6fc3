"""The shell around the pages: each can be reached, the banner stands on it, and problems are told in words."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from itertools import combinations
from pathlib import Path
from typing import Any

import pytest

from videopath.app.figures.palette import DARK, LIGHT, Palette
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


_BLIND = {  # Machado, Oliveira and Fernandes 2009, severity 1: linear RGB as it is seen
    "no red": ((0.152286, 1.052583, -0.204868), (0.114503, 0.786281, 0.099216), (-0.003882, -0.048116, 1.051998)),
    "no green": ((0.367322, 0.860646, -0.227968), (0.280085, 0.672501, 0.047413), (-0.01182, 0.04294, 0.968881)),
    "no blue": ((1.255528, -0.076749, -0.178779), (-0.078411, 0.930809, 0.147602), (0.004733, 0.691367, 0.3039)),
    "all": ((1, 0, 0), (0, 1, 0), (0, 0, 1)),
}  # fmt: skip


@pytest.mark.parametrize(("palette", "mode"), [(LIGHT, "light"), (DARK, "dark")])
def test_the_colours_of_four_systems_stay_apart(palette: Palette, mode: str) -> None:
    for colour in palette.series:
        assert _contrast(colour, THEME[f"theme.{mode}.backgroundColor"]) >= 3
    for seen in _BLIND.values():
        places = [_lab(colour, seen) for colour in palette.series]
        nearest = min(math.dist(one, other) for one, other in combinations(places, 2))
        assert nearest >= 20  # CIE76; 2.3 is a difference that is just noticed


def _lab(colour: str, seen: Sequence[Sequence[float]]) -> tuple[float, float, float]:
    """Return the place of a colour in CIELAB, as it is seen."""
    rgb = [min(max(sum(a * b for a, b in zip(row, _linear(colour), strict=True)), 0.0), 1.0) for row in seen]
    to_xyz = (
        (0.4339, 0.3762, 0.1899),
        (0.2127, 0.7152, 0.0721),
        (0.0178, 0.1095, 0.8727),
    )  # white is 1, 1, 1
    x, y, z = (
        part ** (1 / 3) if part > 0.008856 else 7.787 * part + 16 / 116
        for part in (sum(a * b for a, b in zip(row, rgb, strict=True)) for row in to_xyz)
    )
    return 116 * y - 16, 500 * (x - y), 200 * (y - z)


def _contrast(one: str, other: str) -> float:
    """Of WCAG 2, between 1 and 21."""
    light, dark = sorted((_luminance(one), _luminance(other)), reverse=True)
    return (light + 0.05) / (dark + 0.05)


def _luminance(colour: str) -> float:
    linear = _linear(colour)
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


def _linear(colour: str) -> list[float]:
    parts = [int(colour[at : at + 2], 16) / 255 for at in (1, 3, 5)]
    return [part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4 for part in parts]
