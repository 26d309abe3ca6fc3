"""Colours of plots: for the page's two themes and for the HTML report, whose style sheet defines them."""

from __future__ import annotations

from dataclasses import dataclass, fields


@dataclass(frozen=True)
class Palette:
    """Colours with enough contrast to their background: 4.5:1 for text, 3:1 for marks (WCAG AA).

    The four series stay apart for people who see no red, no green or no blue.
    """

    text: str
    soft: str
    accent: str
    second: str
    third: str
    fourth: str

    @property
    def series(self) -> tuple[str, str, str, str]:
        """Colours of compared series, in order: agent, model, cases, colour. Their marks differ in shape, too."""
        return self.accent, self.second, self.third, self.fourth


LIGHT = Palette(
    text="#17202A",
    soft="#5B6B73",
    accent="#0B6E74",
    second="#B4501B",
    third="#6A4BA3",
    fourth="#662222",
)
DARK = Palette(
    text="#E6EDEE",
    soft="#9FB0B5",
    accent="#5CC8CE",
    second="#F2A766",
    third="#A98BF0",
    fourth="#F5E663",
)
NAMED = Palette(**{field.name: f"var(--{field.name})" for field in fields(Palette)})
"""Variables of a style sheet, so that one drawing fits a light and a dark background."""
