"""The HTML report of an evaluation on a test set: one file that needs no network, no script and nothing beside it.

Plots are drawings (SVG) with their numbers in tables behind them. Its own policy forbids scripts and every request, and allows
the one style sheet that it holds; names and texts are escaped.
"""

from __future__ import annotations

import base64
import hashlib
from pathlib import Path
from typing import TYPE_CHECKING

from videopath.app.figures.palette import DARK, LIGHT, NAMED, Palette
from videopath.app.figures.sections import Figure, moment, sections
from videopath.app.figures.tables import Measured
from videopath.core.files import write_text
from videopath.core.installing import require

if TYPE_CHECKING:
    from videopath.evaluation.testsets.summary import SetReport

REPORT = "report.html"

_HERE = Path(__file__).parent
_WIDTH = 350  # pixels of a plot: a narrow screen's
_BESIDE = 6  # columns of a table beside a plot, at most; a broader one stands below
_FONT = "Helvetica, Arial, sans-serif"


def check_html() -> None:
    """Raises ``InputError`` where the package that draws is missing."""
    require("vl_convert", "vl-convert-python", "benchmark", "The HTML report")


def write_html_report(report: SetReport, path: Path) -> None:
    """Write the report, whole or not at all. Raises ``InputError`` where the package that draws is missing."""
    write_text(path, html_report(report))


def html_report(report: SetReport) -> str:
    """The report as an HTML document."""
    from jinja2 import Environment, FileSystemLoader, StrictUndefined
    from markupsafe import Markup

    check_html()
    style = _style()
    pages = Environment(
        loader=FileSystemLoader(_HERE),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    pages.tests["broad"] = lambda table: len(table.head) > _BESIDE
    pages.tests["measured"] = lambda cell: isinstance(cell, Measured)
    return pages.get_template("report.html.jinja").render(
        report=report,
        created=moment(report.created),
        sections=sections(report),
        drawing=lambda figure: Markup(svg(figure)),
        style=Markup(style),
        style_hash=base64.b64encode(hashlib.sha256(style.encode()).digest()).decode(),
    )


def svg(figure: Figure) -> str:
    """A plot as a drawing whose colours are names of the style sheet."""
    import io

    grid = {"gridColor": "var(--line)", "domainColor": "var(--soft)", "tickColor": "var(--soft)"}
    chart = figure.draw(NAMED).properties(width=_WIDTH, autosize={"type": "fit", "contains": "padding"})
    chart = (
        chart.configure(font=_FONT, background="transparent", padding=2, aria=False)
        .configure_view(stroke=None)
        .configure_axis(
            labelColor=NAMED.soft, titleColor=NAMED.soft, titleFontWeight="normal", **grid
        )
        .configure_legend(labelColor=NAMED.text)
    )  # fmt: skip
    drawn = io.StringIO()
    chart.save(drawn, format="svg")
    return drawn.getvalue()


def _style() -> str:
    """The style sheet with the palettes' colours, as the document holds it."""
    sheet = (_HERE / "report.css").read_text(encoding="utf-8")
    return sheet.replace("/* light */", _colours(LIGHT)).replace("/* dark */", _colours(DARK))


def _colours(palette: Palette) -> str:
    return " ".join(
        f"--{name}: {getattr(palette, name)};" for name in ("text", "soft", "accent", "second", "third")
    )
