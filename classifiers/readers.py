"""Which reader looks into which type, and in which order it finds what."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any, BinaryIO, Final

from classifiers.errors import ContentBroken, ContentEmpty, ContentEncrypted, ContentRefused, ContentTooLarge
from classifiers.media_types import EMPTY, Kind
from classifiers.signatures import DOCM, DOCX, OPENDOCUMENT, PPTM, PPTX, XLSM, XLSX

Findings = Iterator[Mapping[str, Any]]

SVG_BYTES_MAX: Final = 16 * 1024 * 1024
_OFFICE: Final = frozenset({DOCX, PPTX, XLSX, DOCM, PPTM, XLSM, *OPENDOCUMENT})
_LENGTH: Final = re.compile(r"\s*(\d{1,7}(?:\.\d+)?)(?:px)?\s*")


def read(file: BinaryIO, media_type: str, kind: Kind) -> Findings:
    """Give the findings of one open file as fields of an Inspection, step by step, each kept if a later one fails.

    Types without a reader give nothing, pictures and recordings without one are ContentUnsupported. Raises
    ContentError, and whatever a library raises on bytes that it did not expect.
    """
    if media_type == EMPTY:
        raise ContentEmpty("the file has no bytes; submit it again")
    if media_type == "image/svg+xml":
        yield from _read_svg(file)
    elif kind is Kind.IMAGE:
        yield from _read_image(file, media_type)
    elif media_type == "application/pdf":
        yield from _read_pdf(file)
    elif media_type in _OFFICE:
        yield from _read_office(file, media_type)
    elif kind in (Kind.VIDEO, Kind.AUDIO):
        from classifiers.recordings import read_recording

        yield from read_recording(file, media_type)
    elif kind is Kind.TEXT:
        from classifiers.document_text import read_html_text, read_plain_text

        yield {"text": read_html_text(file) if media_type == "text/html" else read_plain_text(file)}


def _read_image(file: BinaryIO, media_type: str) -> Findings:
    from classifiers.embedded_metadata import read_image_rights
    from classifiers.thumbnails import encode, open_image, perceptual_hash, shrink, size_as_shown

    with open_image(file, media_type) as image:
        width, height = size_as_shown(image)
        yield {"width": width, "height": height, "embedded": read_image_rights(image)}
        if media_type == "image/tiff":
            yield {"pages": getattr(image, "n_frames", 1)}
        small = shrink(image)
        yield {"thumbnail": encode(small), "perceptual_hash": perceptual_hash(small)}


def _read_svg(file: BinaryIO) -> Findings:
    from classifiers.embedded_metadata import read_markup_rights
    from classifiers.xmp_packet import parse_safely

    file.seek(0)
    document = file.read(SVG_BYTES_MAX + 1)
    if len(document) > SVG_BYTES_MAX:
        raise ContentTooLarge(f"an SVG of more than {SVG_BYTES_MAX} bytes")
    try:
        root = parse_safely(document)
    except ValueError as problem:
        raise ContentRefused(str(problem)) if "entities" in str(problem) else ContentBroken(str(problem)) from problem
    width, height = (_LENGTH.fullmatch(root.get(side, "")) for side in ("width", "height"))
    if width and height:
        yield {"width": round(float(width[1])), "height": round(float(height[1]))}
    yield {"embedded": read_markup_rights(root)}


def _read_pdf(file: BinaryIO) -> Findings:
    import pypdfium2  # type: ignore[import-untyped]  # ships no types

    from classifiers.document_text import read_pdf_text
    from classifiers.embedded_metadata import read_pdf_rights
    from classifiers.thumbnails import encode, page_picture

    file.seek(0)
    try:
        with pypdfium2.PdfDocument(file) as document:
            if not len(document):
                raise ContentBroken("the PDF has no pages")
            yield {"pages": len(document), "embedded": read_pdf_rights(file)}
            yield {"text": read_pdf_text(document)}
            yield {"thumbnail": encode(page_picture(document))}
    except pypdfium2.PdfiumError as problem:
        if "password" in str(problem).lower():
            raise ContentEncrypted("the PDF needs a password; submit it without one") from problem
        raise ContentBroken(f"the PDF cannot be read ({problem})") from problem


def _read_office(file: BinaryIO, media_type: str) -> Findings:
    from classifiers.document_text import read_office_text

    text, pages = read_office_text(file, media_type)
    yield {"text": text, "pages": pages}
