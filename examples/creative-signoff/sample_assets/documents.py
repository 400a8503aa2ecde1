"""Documents with real text: PDF, Word, PowerPoint, Excel. Dates inside are fixed, so that bytes repeat."""

from __future__ import annotations

import re
import textwrap
import zipfile
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from io import BytesIO
from typing import Any

import docx
import openpyxl  # type: ignore[import-untyped]  # ships no types
import pikepdf
import pptx
from pptx.util import Inches, Pt

from sample_assets.embedded_metadata import Rights, xmp_packet

MADE_AT = datetime(2026, 2, 2, 9, 30, tzinfo=UTC)
_PAGE_WIDTH, _PAGE_HEIGHT, _MARGIN = 595, 842, 64
_REGULAR, _BOLD = "/F1", "/F2"


@dataclass(frozen=True, slots=True)
class Picture:
    """A JPEG on a PDF page: its bytes and size in pixels, and how wide it is set, in points."""

    jpeg: bytes
    width: int
    height: int
    set_width: float = 467.0


Block = str | Picture
"""A part of a PDF: a picture, or text; `# ` starts a title, `## ` a heading, `---` a new page."""


class _Pages:
    """Sets blocks on A4 pages from top to bottom."""

    def __init__(self, pdf: pikepdf.Pdf) -> None:
        self.pdf = pdf
        fonts = (("Helvetica", _REGULAR), ("Helvetica-Bold", _BOLD))
        made = {
            key: pikepdf.Dictionary(
                Type=pikepdf.Name.Font,
                Subtype=pikepdf.Name.Type1,
                BaseFont=pikepdf.Name("/" + name),
                Encoding=pikepdf.Name.WinAnsiEncoding,
            )
            for name, key in fonts
        }
        self.fonts = pikepdf.Dictionary({key: pdf.make_indirect(font) for key, font in made.items()})
        self.content: list[bytes] = []
        self.pictures = pikepdf.Dictionary()
        self.y = float(_PAGE_HEIGHT - _MARGIN)

    def text(self, words: str, size: float, face: str = _REGULAR, leading: float = 1.42) -> None:
        """Set a paragraph, broken at the width that Helvetica takes on average."""
        columns = int((_PAGE_WIDTH - 2 * _MARGIN) / (size * (0.50 if face == _REGULAR else 0.55)))
        for line in textwrap.wrap(words, columns) or [""]:
            if self.y < _MARGIN + size:
                self.end_page()
            self.y -= size * leading
            shown = line.encode("cp1252", "replace").replace(b"\\", b"\\\\").replace(b"(", b"\\(").replace(b")", b"\\)")
            self.content.append(b"BT %s %g Tf %d %.1f Td (%s) Tj ET" % (face.encode(), size, _MARGIN, self.y, shown))
        self.y -= size * 0.55

    def picture(self, picture: Picture) -> None:
        """Place a picture below what stands there."""
        height = picture.set_width * picture.height / picture.width
        if self.y - height < _MARGIN:
            self.end_page()
        self.y -= height + 10
        name = f"/Im{len(self.pictures)}"
        self.pictures[name] = self.pdf.make_stream(
            picture.jpeg,
            Type=pikepdf.Name.XObject,
            Subtype=pikepdf.Name.Image,
            Width=picture.width,
            Height=picture.height,
            ColorSpace=pikepdf.Name.DeviceRGB,
            BitsPerComponent=8,
            Filter=pikepdf.Name.DCTDecode,
        )
        self.content.append(
            b"q %.1f 0 0 %.1f %d %.1f cm %s Do Q" % (picture.set_width, height, _MARGIN, self.y, name.encode())
        )
        self.y -= 12

    def end_page(self) -> None:
        """Finish this page and go on at the top of the next one."""
        page = self.pdf.add_blank_page(page_size=(_PAGE_WIDTH, _PAGE_HEIGHT))
        page.obj.Resources = pikepdf.Dictionary(Font=self.fonts, XObject=self.pictures)
        page.obj.Contents = self.pdf.make_stream(b"\n".join(self.content))
        self.content, self.pictures, self.y = [], pikepdf.Dictionary(), float(_PAGE_HEIGHT - _MARGIN)


def pdf(title: str, blocks: Sequence[Block], rights: Rights | None = None) -> bytes:
    """Write a PDF with document information, and with XMP if `rights` are given."""
    document = pikepdf.Pdf.new()
    pages = _Pages(document)
    for block in blocks:
        if isinstance(block, Picture):
            pages.picture(block)
        elif block == "---":
            pages.end_page()
        elif block.startswith("## "):
            pages.text(block[3:], 13, _BOLD)
        elif block.startswith("# "):
            pages.text(block[2:], 23, _BOLD, 1.25)
        else:
            pages.text(block, 10.5)
    pages.end_page()
    made = f"D:{MADE_AT:%Y%m%d%H%M%S}Z"
    info = {"/Title": title, "/Producer": "nordlicht office", "/CreationDate": made}
    if rights and rights.creator:
        info["/Author"] = rights.creator
    for name, value in info.items():
        document.docinfo[name] = pikepdf.String(value)
    if rights:
        packet = document.make_stream(
            xmp_packet(rights.titled(title)), Type=pikepdf.Name.Metadata, Subtype=pikepdf.Name.XML
        )
        document.Root.Metadata = packet
    out = BytesIO()
    document.save(out, deterministic_id=True)
    return out.getvalue()


def word(title: str, author: str, blocks: Sequence[str]) -> bytes:
    """Write a Word document; `## ` starts a heading, `- ` a list item."""
    document = docx.Document()
    _stamp(document.core_properties, title, author)
    document.add_heading(title, 0)
    for block in blocks:
        if block.startswith("## "):
            document.add_heading(block[3:], 1)
        elif block.startswith("- "):
            document.add_paragraph(block[2:], style="List Bullet")
        else:
            document.add_paragraph(block)
    out = BytesIO()
    document.save(out)
    return _repacked(out.getvalue())


def slides(title: str, author: str, pages: Sequence[tuple[str, Sequence[str], bytes | None]]) -> bytes:
    """Write a slide deck: for each slide its title, its lines, and a picture (JPEG) to the right."""
    deck = pptx.Presentation()
    _stamp(deck.core_properties, title, author)
    for heading, lines, picture in pages:
        slide = deck.slides.add_slide(deck.slide_layouts[1])
        slide.shapes.title.text = heading
        body = slide.placeholders[1]
        body.width = Inches(4.6 if picture else 9)
        body.text_frame.text = lines[0]
        for line in lines[1:]:
            body.text_frame.add_paragraph().text = line
        for paragraph in body.text_frame.paragraphs:
            paragraph.font.size = Pt(22)
        if picture:
            slide.shapes.add_picture(BytesIO(picture), Inches(5.3), Inches(1.9), width=Inches(4.2))
    out = BytesIO()
    deck.save(out)
    return _repacked(out.getvalue())


def sheet(title: str, author: str, rows: Sequence[Sequence[str | float]]) -> bytes:
    """Write a workbook with one table; the first row is its head."""
    book = openpyxl.Workbook()
    page = book.active
    page.title = title[:31]
    for row in rows:
        page.append(list(row))
    for column, width in zip("ABCDEF", (14, 38, 18, 14, 14, 14), strict=True):
        page.column_dimensions[column].width = width
    for cell in page[1]:
        cell.font = openpyxl.styles.Font(bold=True)
    book.properties.title, book.properties.creator, book.properties.created = (
        title,
        author,
        MADE_AT.replace(tzinfo=None),
    )
    out = BytesIO()
    book.save(out)
    return _repacked(out.getvalue())


def _stamp(properties: Any, title: str, author: str) -> None:
    properties.title, properties.author, properties.last_modified_by = title, author, author
    properties.created = properties.modified = MADE_AT.replace(tzinfo=None)


def _repacked(package: bytes) -> bytes:
    """Give an office package without the time of its making, neither in the archive nor in its properties."""
    out = BytesIO()
    with zipfile.ZipFile(BytesIO(package)) as old, zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as new:
        for name in old.namelist():
            body = old.read(name)
            if name == "docProps/core.xml":
                stamp = f"{MADE_AT:%Y-%m-%dT%H:%M:%SZ}".encode()
                body = re.sub(rb"(<dcterms:modified[^>]*>)[^<]*", rb"\g<1>" + stamp, body)
            new.writestr(zipfile.ZipInfo(name, (2026, 2, 2, 9, 30, 0)), body, zipfile.ZIP_DEFLATED)
    return out.getvalue()
