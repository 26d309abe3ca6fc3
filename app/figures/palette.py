"""Colours of plots: for the page's two themes and for the HTML report, whose style sheet defines them."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Palette:
    """Colours with enough contrast to their background: 4.5:1 for text, 3:1 for marks (WCAG AA)."""

    text: str
    soft: str
    accent: str
    second: str
    third: str

    @property
    def series(self) -> tuple[str, str, str]:
        """Colours of compared series, in order. Their marks differ in shape, too."""
        return self.accent, self.second, self.third


LIGHT = Palette(text="#17202A", soft="#5B6B73", accent="#0B6E74", second="#B4501B", third="#6A4BA3")
DARK = Palette(text="#E6EDEE", soft="#9FB0B5", accent="#5CC8CE", second="#F2A766", third="#BBA4F0")
NAMED = Palette(
    text="var(--text)",
    soft="var(--soft)",
    accent="var(--accent)",
    second="var(--second)",
    third="var(--third)",
)
"""Variables of a style sheet, so that one drawing fits a light and a dark background."""
