"""The pages of a report as PDF: fonts, colours, the frame of each page, paragraphs and tables.

DejaVu Sans (``core/fonts/``: Latin, Greek, Cyrillic, Hebrew, Arabic letters and more) is embedded in the document; Chinese,
Japanese and Korean use fonts that PDF readers have. Every character can be copied from the document.
"""

from __future__ import annotations

import io
import itertools
from collections.abc import Callable, Sequence
from importlib.resources import files
from typing import Any
from xml.sax.saxutils import escape

from reportlab.lib.colors import HexColor
from reportlab.lib.pagesizes import A4
from reportlab.lib.styles import ParagraphStyle
from reportlab.lib.units import mm
from reportlab.pdfbase import pdfmetrics
from reportlab.pdfbase.cidfonts import UnicodeCIDFont
from reportlab.pdfbase.ttfonts import TTFont
from reportlab.pdfgen.canvas import Canvas
from reportlab.platypus import BaseDocTemplate, CondPageBreak, Flowable, Frame, PageTemplate, Paragraph, Table

INK, SOFT, ACCENT = HexColor("#17202A"), HexColor("#5B6B73"), HexColor("#0B6E74")
WASH, LINE, WARNING = HexColor("#F1F6F6"), HexColor("#C9D4D6"), HexColor("#8A5A00")
WARNING_WASH = HexColor("#FFF4DC")
MARGIN = 18 * mm
WIDTH = A4[0] - 2 * MARGIN
REGULAR, BOLD = "VideoPathSans", "VideoPathSans-Bold"
_HEAD, _FOOT = 20 * mm, 23 * mm
_ASIAN = (  # (first, last) code points → a font that PDF readers have
    ((0x1100, 0x11FF), "HYGothic-Medium"),
    ((0x3130, 0x318F), "HYGothic-Medium"),
    ((0xAC00, 0xD7AF), "HYGothic-Medium"),
    ((0x3040, 0x30FF), "HeiseiKakuGo-W5"),
    ((0x2E80, 0x303F), "STSong-Light"),
    ((0x3400, 0x4DBF), "STSong-Light"),
    ((0x4E00, 0x9FFF), "STSong-Light"),
    ((0xF900, 0xFAFF), "STSong-Light"),
    ((0xFF00, 0xFFEF), "STSong-Light"),
)


def _style(name: str, size: float, font: str = REGULAR, **more: Any) -> ParagraphStyle:
    settings = {"fontName": font, "fontSize": size, "leading": size * 1.38, "textColor": INK, **more}
    return ParagraphStyle(name, **settings)


TITLE = _style("title", 19, BOLD)
HEADING = _style("heading", 11.5, BOLD, textColor=ACCENT, spaceBefore=11, spaceAfter=4)
DIAGNOSIS = _style("diagnosis", 15, BOLD, spaceAfter=2)
BODY = _style("body", 9.2)
LABEL = _style("label", 8.2, BOLD, textColor=SOFT)
CELL = _style("cell", 8.2)
SMALL = _style("small", 7.2, textColor=SOFT)
HASHES = _style("hashes", 6.8, wordWrap="CJK")  # breaks within long words


def register_fonts() -> None:
    """Register the fonts with ReportLab, once per process; further calls do nothing."""
    if REGULAR in pdfmetrics.getRegisteredFontNames():
        return
    for name, file in ((BOLD, "DejaVuSans-Bold.ttf"), (REGULAR, "DejaVuSans.ttf")):
        data = files("videopath.core").joinpath("fonts", file).read_bytes()
        pdfmetrics.registerFont(TTFont(name, io.BytesIO(data)))
    for name in dict.fromkeys(name for _, name in _ASIAN):
        pdfmetrics.registerFont(UnicodeCIDFont(name))
    pdfmetrics.registerFontFamily(REGULAR, normal=REGULAR, bold=BOLD, italic=REGULAR, boldItalic=BOLD)


def text(content: str, style: ParagraphStyle = BODY) -> Paragraph:
    """Return a paragraph of plain text: markup is shown as text, line breaks are kept."""
    return Paragraph("<br/>".join(map(as_markup, content.splitlines())) or "–", style)


def heading(title: str) -> list[Flowable]:
    """Return the title of a section; it never stands alone at the foot of a page."""
    return [CondPageBreak(38 * mm), Paragraph(as_markup(title), HEADING)]


def labelled(label: str, content: str, style: ParagraphStyle = BODY) -> Paragraph:
    """Return a text after its label in bold."""
    return Paragraph(f"<b>{as_markup(label)}</b>  {as_markup(content)}", style)


def as_markup(content: str) -> str:
    """Return plain text as ReportLab's markup: escaped, without unprintable characters, each script in its font."""
    printable = "".join(
        c if c.isprintable() else " " if c.isspace() else "\N{REPLACEMENT CHARACTER}" for c in content
    )
    runs = itertools.groupby(printable, _asian_font)
    return "".join(
        f'<font name="{font}">{escape("".join(run))}</font>' if font else escape("".join(run))
        for font, run in runs
    )


def _asian_font(character: str) -> str:
    code = ord(character)
    return next((font for (first, last), font in _ASIAN if first <= code <= last), "")


def grid(
    head: Sequence[str],
    rows: Sequence[Sequence[str | Flowable]],
    shares: Sequence[float],
    style: ParagraphStyle = CELL,
) -> Table:
    """Return a table over the whole width of the page; its head is repeated on every page.

    Args:
        head: The titles of the columns; no head if all are empty.
        rows: The cells, plain texts or flowables.
        shares: The relative widths of the columns.
        style: The style of the texts.
    """
    cells: list[list[Any]] = [[Paragraph(as_markup(name), LABEL) for name in head]] if any(head) else []
    cells += [[text(cell, style) if isinstance(cell, str) else cell for cell in row] for row in rows]
    table = Table(
        cells,
        [WIDTH * share / sum(shares) for share in shares],
        repeatRows=1 if any(head) else 0,
        splitInRow=1,
    )
    table.setStyle(
        [
            ("VALIGN", (0, 0), (-1, -1), "TOP"),
            ("LEFTPADDING", (0, 0), (-1, -1), 3),
            ("RIGHTPADDING", (0, 0), (-1, -1), 5),
            ("TOPPADDING", (0, 0), (-1, -1), 2.5),
            ("BOTTOMPADDING", (0, 0), (-1, -1), 3),
            ("LINEBELOW", (0, 0), (-1, -1), 0.4, LINE),
            *([("BACKGROUND", (0, 0), (-1, 0), WASH)] if any(head) else []),
        ]
    )
    return table


class Bar(Flowable):
    """A number in [0, 1] as a bar; its value stands beside it as text."""

    def __init__(self, share: float, width: float, height: float = 7) -> None:
        super().__init__()
        self.share, self.width, self.height = share, width, height

    def draw(self) -> None:
        """Draw the frame and its filled part."""
        canvas = self.canv
        canvas.setLineWidth(0.5)
        canvas.setStrokeColor(SOFT)
        canvas.setFillColor(ACCENT)
        canvas.rect(0, 0, self.width * min(max(self.share, 0.0), 1.0), self.height, stroke=0, fill=1)
        canvas.rect(0, 0, self.width, self.height, stroke=1, fill=0)


def document(parts: Sequence[Flowable], title: str, head: str, banner: str) -> bytes:
    """Return the PDF document of these parts. The same parts give the same bytes.

    Args:
        parts: The content, in order.
        title: The title in the document's properties.
        head: A line at the top of every page.
        banner: A warning at the foot of every page, beside the page number.
    """
    buffer = io.BytesIO()
    template = BaseDocTemplate(
        buffer, pagesize=A4, title=title, author="VideoPath", subject=banner, invariant=1
    )
    height = A4[1] - _HEAD - _FOOT
    frame = Frame(MARGIN, _FOOT, WIDTH, height, leftPadding=0, rightPadding=0, topPadding=0, bottomPadding=0)
    template.addPageTemplates(PageTemplate(frames=[frame]))
    template.build(list(parts), canvasmaker=_canvas_class(head, banner))
    return buffer.getvalue()


def _canvas_class(head: str, banner: str) -> Callable[..., Canvas]:
    """Return a canvas class that draws the frame of each page when the number of pages is known."""
    warning = Paragraph(f"<b>{as_markup(banner)}</b>", _style("banner", 7.6, textColor=WARNING))
    line = Paragraph(as_markup(head), _style("head", 7.6, textColor=SOFT))

    class FramedCanvas(Canvas):
        def __init__(self, *arguments: Any, **settings: Any) -> None:
            super().__init__(*arguments, **settings)
            self._pages: list[dict[str, Any]] = []

        def showPage(self) -> None:  # noqa: N802 - ReportLab's name
            self._pages.append(dict(self.__dict__))
            self._startPage()

        def save(self) -> None:
            for number, page in enumerate(self._pages, 1):
                self.__dict__.update(page)
                self._frame(number, len(self._pages))
                super().showPage()
            super().save()

        def _frame(self, number: int, count: int) -> None:
            self.saveState()
            _, height = line.wrap(WIDTH, 20 * mm)
            line.drawOn(self, MARGIN, A4[1] - 12 * mm - height / 2)
            self.setStrokeColor(LINE)
            self.line(MARGIN, A4[1] - 15.5 * mm, A4[0] - MARGIN, A4[1] - 15.5 * mm)
            _, height = warning.wrap(WIDTH - 30 * mm, _FOOT)
            self.setFillColor(WARNING_WASH)
            self.rect(MARGIN, 10 * mm, WIDTH, height + 8, stroke=0, fill=1)
            warning.drawOn(self, MARGIN + 6, 10 * mm + 4)
            self.setFillColor(SOFT)
            self.setFont(REGULAR, 7.6)
            self.drawRightString(
                A4[0] - MARGIN - 6, 10 * mm + 4 + height / 2 - 3, f"page {number} of {count}"
            )
            self.restoreState()

    return FramedCanvas
