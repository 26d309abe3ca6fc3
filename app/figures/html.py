"""HTML reports, of an evaluation on a test set and others: one file without network access, scripts or other files.

Plots are SVG drawings, with their numbers in tables behind them. The report's own policy forbids scripts and all requests, and allows
only its own style sheet. Names and texts are escaped.
"""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

from videopath.app.figures.palette import DARK, LIGHT, NAMED, Palette
from videopath.app.figures.sections import Figure, Section, moment, sections
from videopath.app.figures.tables import Measured
from videopath.core.files import write_text
from videopath.core.installing import require

if TYPE_CHECKING:
    from videopath.evaluation.testsets.summary import SetReport

REPORT = "report.html"

_HERE = Path(__file__).parent
_WIDTH = 350  # pixels, width of a plot on a narrow screen
_BESIDE = 6  # columns; a wider table stands below its plot
_FONT = "Helvetica, Arial, sans-serif"


def check_html() -> None:
    """Raise ``InputError`` if the package that draws the plots is missing."""
    require("vl_convert", "vl-convert-python", "benchmark", "The HTML report")


def write_html_report(report: SetReport, path: Path) -> None:
    """Write the report atomically.

    Raises:
        InputError: The package that draws the plots is missing.
    """
    write_text(path, html_report(report))


def html_report(report: SetReport) -> str:
    """Return the report as an HTML document."""
    check_html()
    return render_page(
        "report.html.jinja",
        report.notice,
        sections(report),
        report=report,
        created=moment(report.created),
    )


def render_page(template: str, notice: str, page_sections: Sequence[Section], **values: Any) -> str:
    """Return a page as one HTML document.

    Args:
        template: A template that extends ``page.html.jinja``.
        notice: The research notice.
        page_sections: The sections with their plots and tables.
        values: Further values of the template.
    """
    from jinja2 import Environment, FileSystemLoader, StrictUndefined
    from markupsafe import Markup

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
    return pages.get_template(template).render(
        **values,
        notice=notice,
        sections=page_sections,
        drawing=lambda figure: Markup(svg(figure)),
        style=Markup(style),
        style_hash=base64.b64encode(hashlib.sha256(style.encode()).digest()).decode(),
    )


def svg(figure: Figure) -> str:
    """Return a plot as SVG whose colours are variables of the style sheet."""
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
    buffer = io.StringIO()
    chart.save(buffer, format="svg")
    return buffer.getvalue()


def _style() -> str:
    """Return the style sheet with the palettes' colours."""
    sheet = (_HERE / "report.css").read_text(encoding="utf-8")
    return sheet.replace("/* light */", _colours(LIGHT)).replace("/* dark */", _colours(DARK))


def _colours(palette: Palette) -> str:
    return " ".join(f"--{name}: {value};" for name, value in asdict(palette).items())
