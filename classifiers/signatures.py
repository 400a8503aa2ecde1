"""What a file is, by bytes that only one type has: magic numbers, container brands, archive members, markup roots."""

from __future__ import annotations

import re
import zipfile
from typing import BinaryIO, Final

from classifiers.errors import ContentBroken, ContentTooLarge

ARCHIVE_ENTRIES_MAX: Final = 20_000

_OPENXML = "application/vnd.openxmlformats-officedocument."
_OPENDOCUMENT = "application/vnd.oasis.opendocument."
DOCX: Final = _OPENXML + "wordprocessingml.document"
PPTX: Final = _OPENXML + "presentationml.presentation"
XLSX: Final = _OPENXML + "spreadsheetml.sheet"
DOCM: Final = "application/vnd.ms-word.document.macroenabled.12"
PPTM: Final = "application/vnd.ms-powerpoint.presentation.macroenabled.12"
XLSM: Final = "application/vnd.ms-excel.sheet.macroenabled.12"
ODT: Final = _OPENDOCUMENT + "text"
ODP: Final = _OPENDOCUMENT + "presentation"
ODS: Final = _OPENDOCUMENT + "spreadsheet"
OPENDOCUMENT: Final = frozenset({ODT, ODP, ODS})
_DECLARED: Final = OPENDOCUMENT | {_OPENDOCUMENT + "graphics", "application/epub+zip"}

_SIGNATURES: Final = (  # bytes at the start that only one type has
    (b"\xff\xd8\xff", "image/jpeg"),
    (b"\x89PNG\r\n\x1a\n", "image/png"),
    (b"GIF87a", "image/gif"),
    (b"GIF89a", "image/gif"),
    (b"II*\0", "image/tiff"),
    (b"MM\0*", "image/tiff"),
    (b"II+\0", "image/tiff"),
    (b"MM\0+", "image/tiff"),
    (b"8BPS\0\x01", "image/vnd.adobe.photoshop"),
    (b"\0\0\0\x0cjP  \r\n\x87\n", "image/jp2"),
    (b"\xffO\xffQ", "image/jp2"),
    (b"\0\0\0\x0cJXL \r\n\x87\n", "image/jxl"),
    (b"%PDF-", "application/pdf"),
    (b"{\\rtf", "application/rtf"),
    (b"ID3", "audio/mpeg"),
    (b"fLaC", "audio/flac"),
    (b"FLV\x01", "video/x-flv"),
    (b"\0\0\x01\xba", "video/mpeg"),
    (b"\x1f\x8b\x08", "application/gzip"),
    (b"7z\xbc\xaf\x27\x1c", "application/x-7z-compressed"),
    (b"Rar!\x1a\x07", "application/vnd.rar"),
    (b"\x7fELF", "application/x-executable"),
)
_RIFF: Final = {b"WEBP": "image/webp", b"WAVE": "audio/wav", b"AVI ": "video/x-msvideo"}
_BRANDS: Final = {  # ISO base media files say in their first box what they are
    b"avif": "image/avif", b"avis": "image/avif",
    b"heic": "image/heic", b"heix": "image/heic", b"heim": "image/heic", b"hevc": "image/heic", b"mif1": "image/heif",
    b"msf1": "image/heif", b"crx ": "image/x-canon-cr3", b"qt  ": "video/quicktime",
    b"M4A ": "audio/mp4", b"M4B ": "audio/mp4", b"3gp4": "video/3gpp", b"3gp5": "video/3gpp", b"3gp6": "video/3gpp",
}  # fmt: skip
ALWAYS_SIGNED: Final = frozenset(  # types that are nothing without their signature: a model's guess at one is wrong
    {media_type for _, media_type in _SIGNATURES} | {*_RIFF.values(), *_BRANDS.values()}
) - {"application/pdf", "audio/mpeg", "video/mpeg", "video/quicktime"}
# atomic groups: hostile text must not make it backtrack
_PROLOGUE: Final = rb"(?:\xef\xbb\xbf)?\s*+(?>(?><\?.*?\?>|<!--.*?-->)\s*+)*+"
_MARKUP: Final = re.compile(_PROLOGUE + rb"<(?:!doctype\s+)?(?:\w+:)?(\w+)", re.DOTALL | re.IGNORECASE)
_HTML_ROOTS: Final = frozenset({b"html", b"head", b"body", b"script", b"iframe", b"meta"})


def type_by_signature(head: bytes, file: BinaryIO) -> str | None:
    """Say what a file certainly is, from its first bytes and, for archives, its list of members; None where unsure.

    Raises ContentBroken for an archive that cannot be listed and ContentTooLarge for one with too many entries.
    """
    for signature, media_type in _SIGNATURES:
        if head.startswith(signature):
            return media_type
    if head[:4] in (b"RIFF", b"RF64"):
        return _RIFF.get(head[8:12])
    if head[4:8] == b"ftyp":
        return _by_brand(head)
    if head.startswith(b"\x1aE\xdf\xa3"):
        return "video/webm" if b"webm" in head[:64] else "video/x-matroska"
    if head.startswith(b"OggS"):
        return "video/ogg" if b"theora" in head[:256] else "audio/ogg"
    if head.startswith(b"BM") and head[6:10] == b"\0\0\0\0":
        return "image/bmp"
    if head[:2] == b"PK" and head[2:4] in (b"\x03\x04", b"\x05\x06"):
        return _inside_zip(file)
    return _by_markup(head)


def _by_brand(head: bytes) -> str:
    brand = head[8:12]
    if brand in (b"mif1", b"msf1"):  # a general brand: the compatible ones after it say which codec
        listed = head[16 : int.from_bytes(head[:4], "big")]
        return next((_BRANDS[b] for b in (b"avif", b"heic", b"heix") if b in listed), _BRANDS[brand])
    return _BRANDS.get(brand, "video/mp4")


def _by_markup(head: bytes) -> str | None:
    start = _MARKUP.match(head[:4096])
    root = start[1].lower() if start else b""
    return "image/svg+xml" if root == b"svg" else "text/html" if root in _HTML_ROOTS else None


def _inside_zip(file: BinaryIO) -> str:
    file.seek(0)
    try:
        with zipfile.ZipFile(file) as archive:
            names = set(archive.namelist())
            if len(names) > ARCHIVE_ENTRIES_MAX:
                raise ContentTooLarge(f"{len(names)} entries in one archive, at most {ARCHIVE_ENTRIES_MAX} are allowed")
            if "mimetype" in names:
                with archive.open("mimetype") as declared:
                    said = declared.read(100).decode("ascii", "replace").strip()
                return said if said in _DECLARED else "application/zip"
    except (zipfile.BadZipFile, NotImplementedError, RuntimeError, OSError, EOFError, ValueError) as problem:
        raise ContentBroken(f"archive cannot be listed ({problem})") from problem
    if "[Content_Types].xml" not in names:
        return "application/java-archive" if "META-INF/MANIFEST.MF" in names else "application/zip"
    macros = any(name.endswith("vbaProject.bin") for name in names)
    for folder, plain, active in (("word/", DOCX, DOCM), ("ppt/", PPTX, PPTM), ("xl/", XLSX, XLSM)):
        if any(name.startswith(folder) for name in names):
            return active if macros else plain
    return "application/zip"
