"""The words of a document, as many as classification needs; never the whole of what a file might unpack to."""

from __future__ import annotations

import codecs
import re
import zipfile
from collections.abc import Iterator
from typing import TYPE_CHECKING, BinaryIO, Final

from lxml import etree  # type: ignore[import-untyped]  # ships no types

from classifiers.clean_text import clean
from classifiers.errors import ContentBroken, ContentTooLarge
from classifiers.signatures import DOCM, DOCX, OPENDOCUMENT, PPTM, PPTX, XLSM, XLSX

if TYPE_CHECKING:
    import pypdfium2  # type: ignore[import-untyped]  # ships no types

TEXT_CHARS_MAX: Final = 20_000
PAGES_READ_MAX: Final = 50
PLAIN_BYTES_MAX: Final = 256 * 1024
UNPACKED_BYTES_MAX: Final = 512 * 1024 * 1024
UNPACKED_RATIO_MAX: Final = 20  # an archive may unpack to more only if it is that large already (films in slides)
_PART_BYTES_MAX: Final = 64 * 1024 * 1024
_CHUNK_BYTES: Final = 65_536
_SHARED_STRINGS_MAX: Final = 50_000

_W: Final = "{http://schemas.openxmlformats.org/wordprocessingml/2006/main}"
_A: Final = "{http://schemas.openxmlformats.org/drawingml/2006/main}"
_S: Final = "{http://schemas.openxmlformats.org/spreadsheetml/2006/main}"
_ODF_TEXT: Final = "{urn:oasis:names:tc:opendocument:xmlns:text:1.0}"
_BOMS: Final = (
    (codecs.BOM_UTF8, "utf-8"), (codecs.BOM_UTF32_LE, "utf-32-le"), (codecs.BOM_UTF32_BE, "utf-32-be"),
    (codecs.BOM_UTF16_LE, "utf-16-le"), (codecs.BOM_UTF16_BE, "utf-16-be"),
)  # fmt: skip


def read_plain_text(file: BinaryIO) -> str:
    """Give the start of a text file, decoded by its mark, as UTF-8, or else as the Western encoding that takes all."""
    file.seek(0)
    head = file.read(PLAIN_BYTES_MAX)
    for mark, encoding in _BOMS:
        if head.startswith(mark):
            return clean(head[len(mark) :].decode(encoding, "replace"), TEXT_CHARS_MAX)
    try:
        text = codecs.getincrementaldecoder("utf-8")().decode(head)  # a character cut off at the end is no error
    except UnicodeDecodeError:
        text = head.decode("cp1252", "replace")
    return clean(text, TEXT_CHARS_MAX)


def read_html_text(file: BinaryIO) -> str:
    """Give the words that a reader of an HTML page sees, scripts and styles left out."""
    file.seek(0)
    parser = etree.HTMLParser(no_network=True, huge_tree=False, remove_comments=True, remove_pis=True)
    try:
        root = etree.fromstring(file.read(8 * PLAIN_BYTES_MAX), parser)
    except etree.XMLSyntaxError as problem:
        raise ContentBroken(f"HTML cannot be parsed ({problem})") from problem
    if root is None:
        return ""
    etree.strip_elements(root, "script", "style", "template", with_tail=False)
    return clean("\n".join(_bounded(piece for piece in root.itertext() if piece.strip())), TEXT_CHARS_MAX)


def read_pdf_text(document: pypdfium2.PdfDocument) -> str:
    """Give the text of the first pages of an opened PDF; raises pypdfium2.PdfiumError for a damaged page."""
    pages = (document[number] for number in range(min(len(document), PAGES_READ_MAX)))
    return clean("\n\n".join(_bounded(page.get_textpage().get_text_range() for page in pages)), TEXT_CHARS_MAX)


def read_office_text(file: BinaryIO, media_type: str) -> tuple[str, int | None]:
    """Give the text of an office document, and how many pages it has where its parts tell (slides).

    Raises ContentTooLarge where it would unpack to too much, and ContentBroken where it does not follow its format.
    """
    try:
        file.seek(0)
        with zipfile.ZipFile(file) as archive:
            _check_unpacked_size(archive)
            slides = _numbered(archive, r"ppt/slides/slide(\d+)\.xml") if media_type in (PPTX, PPTM) else []
            pieces = _pieces_of(archive, media_type, slides)
            return clean("".join(_bounded(pieces)), TEXT_CHARS_MAX), len(slides) or None
    except (zipfile.BadZipFile, etree.XMLSyntaxError, KeyError, RuntimeError, NotImplementedError, EOFError) as problem:
        raise ContentBroken(f"no {media_type} can be read from these bytes ({problem})") from problem


def _check_unpacked_size(archive: zipfile.ZipFile) -> None:
    members = archive.infolist()
    unpacked_bytes = sum(member.file_size for member in members)
    packed_bytes = sum(member.compress_size for member in members)
    allowed_bytes = max(UNPACKED_BYTES_MAX, UNPACKED_RATIO_MAX * packed_bytes)
    if unpacked_bytes > allowed_bytes:
        raise ContentTooLarge(f"{packed_bytes} bytes unpack to {unpacked_bytes}, at most {allowed_bytes} are allowed")


def _numbered(archive: zipfile.ZipFile, pattern: str) -> list[str]:
    found = ((re.fullmatch(pattern, name), name) for name in archive.namelist())
    return [name for _, name in sorted((int(match[1]), name) for match, name in found if match)]


def _pieces_of(archive: zipfile.ZipFile, media_type: str, slides: list[str]) -> Iterator[str]:
    if media_type in (DOCX, DOCM):
        yield from _words(archive, "word/document.xml", text=_W + "t", ends={_W + "p": "\n", _W + "tab": "\t"})
    elif media_type in (PPTX, PPTM):
        for slide in slides:
            yield from _words(archive, slide, text=_A + "t", ends={_A + "p": "\n"})
    elif media_type in (XLSX, XLSM):
        yield from _cells(archive)
    elif media_type in OPENDOCUMENT:
        for element in _elements(archive, "content.xml", (_ODF_TEXT + "p", _ODF_TEXT + "h")):
            yield "".join(element.itertext()) + "\n"


def _words(archive: zipfile.ZipFile, part: str, text: str, ends: dict[str, str]) -> Iterator[str]:
    for element in _elements(archive, part, (text, *ends)):
        yield (element.text or "") if element.tag == text else ends[element.tag]


def _cells(archive: zipfile.ZipFile) -> Iterator[str]:
    shared: list[str] = []
    if "xl/sharedStrings.xml" in archive.namelist():
        for item in _elements(archive, "xl/sharedStrings.xml", (_S + "si",)):
            shared.append("".join(item.itertext())[:1000])
            if len(shared) == _SHARED_STRINGS_MAX:
                break
    for sheet in _numbered(archive, r"xl/worksheets/sheet(\d+)\.xml"):
        for element in _elements(archive, sheet, (_S + "row", _S + "c")):
            if element.tag == _S + "row":
                yield "\n"
            elif said := _cell_text(element, shared):
                yield said + "\t"


def _cell_text(cell: etree._Element, shared: list[str]) -> str:
    value = cell.findtext(_S + "v")
    if cell.get("t") == "s" and value and value.isdecimal():
        return shared[int(value)] if int(value) < len(shared) else ""
    return value or "".join(cell.itertext(_S + "t"))


def _elements(archive: zipfile.ZipFile, part: str, tags: tuple[str, ...]) -> Iterator[etree._Element]:
    """Give elements as they end and drop each afterwards; a part is read in pieces, no further than it is wanted."""
    parser = etree.XMLPullParser(
        events=("end",), tag=tags, resolve_entities=False, no_network=True, load_dtd=False, huge_tree=False
    )
    with archive.open(part) as stream:
        read_bytes = 0
        while chunk := stream.read(_CHUNK_BYTES):
            read_bytes += len(chunk)
            if read_bytes > _PART_BYTES_MAX:
                return
            parser.feed(chunk)
            for _, element in parser.read_events():
                yield element
                element.clear(keep_tail=False)
    parser.close()


def _bounded(pieces: Iterator[str]) -> Iterator[str]:
    chars = 0
    for piece in pieces:
        yield piece
        chars += len(piece)
        if chars > 2 * TEXT_CHARS_MAX:  # cleaning drops some of it
            return
