"""Where files keep rights metadata, and what they say when their parts are put together (IPTC/MWG: XMP, IIM, EXIF)."""

from __future__ import annotations

import struct
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import TYPE_CHECKING, Any, BinaryIO, Final

from classifiers.clean_text import clean
from classifiers.embedded_rights import EmbeddedRights, EmbeddedStatus
from classifiers.iim_record import LENGTHS_MAX, iim_of_resources, read_iim
from classifiers.xmp_packet import PACKET_BYTES_MAX, XmpRights, read_rdf, read_xmp

if TYPE_CHECKING:
    from PIL import Image
    from PIL.TiffImagePlugin import ImageFileDirectory_v2

FIELD_CHARS_MAX: Final = 2_000
_XMP_HEADER: Final = b"http://ns.adobe.com/xap/1.0/\0"
_EXTENSION_HEADER: Final = b"http://ns.adobe.com/xmp/extension/\0"
_RESOURCES_HEADER: Final = b"Photoshop 3.0\0"
_TIFF_XMP, _TIFF_IIM, _TIFF_RESOURCES, _TIFF_ARTIST, _TIFF_COPYRIGHT = 700, 33723, 34377, 315, 33432
_EXIF_FIELDS: Final = {_TIFF_ARTIST: "creator", _TIFF_COPYRIGHT: "copyright_notice"}


@dataclass(slots=True)
class _Blocks:
    """The raw metadata of one file, before any of it is understood."""

    xmp: list[bytes] = field(default_factory=list)
    iim: bytes = b""
    exif: bytes = b""
    plain: dict[str, str] = field(default_factory=dict)  # fields that the container itself has
    unread: set[str] = field(default_factory=set)


def read_image_rights(image: Image.Image) -> EmbeddedRights:
    """Say what rights an opened picture carries; whatever is there but not understood makes it `unparsed`."""
    blocks = _Blocks()
    if segments := getattr(image, "applist", None):
        _take_jpeg_segments(blocks, segments)
    elif (tags := getattr(image, "tag_v2", None)) is not None:
        _take_tiff_tags(blocks, tags)
    else:
        _take_chunks(blocks, image)
    return _combine(blocks)


def read_pdf_rights(file: BinaryIO) -> EmbeddedRights:
    """Say what rights a PDF carries in its XMP and its document information."""
    import pikepdf

    blocks = _Blocks()
    file.seek(0)
    try:
        with pikepdf.open(file) as pdf:
            if (author := pdf.docinfo.get("/Author")) is not None:
                blocks.plain["creator"] = str(author)
            if (metadata := pdf.Root.get("/Metadata")) is not None:
                blocks.xmp.append(metadata.read_bytes())
    except (pikepdf.PdfError, ValueError, TypeError, AttributeError, OverflowError):
        blocks.unread.add("pdf")  # a page may still show what its metadata no longer says
    return _combine(blocks)


def read_markup_rights(root: Any) -> EmbeddedRights:
    """Say what rights an SVG carries, given its parsed root: RDF may stand in its metadata element."""
    try:
        return _combine(_Blocks(), read_rdf(root))
    except ValueError:
        return EmbeddedRights()


def read_tagged_rights(tags: Mapping[str, str]) -> EmbeddedRights:
    """Say what rights the tags of a sound or video container state (`artist`, `copyright`)."""
    lowered = {name.lower(): value for name, value in tags.items()}
    named = {"creator": lowered.get("artist"), "copyright_notice": lowered.get("copyright")}
    return _combine(_Blocks(plain={name: value for name, value in named.items() if value}))


def _take_jpeg_segments(blocks: _Blocks, segments: list[tuple[str, bytes]]) -> None:
    resources = b""
    extension: dict[int, bytes] = {}
    extension_bytes = 0
    for name, data in segments:
        if name == "APP1" and data.startswith(_XMP_HEADER):
            blocks.xmp.append(data[len(_XMP_HEADER) :])
        elif name == "APP1" and data.startswith(_EXTENSION_HEADER) and len(data) >= 75:
            extension_bytes, offset = struct.unpack_from(">II", data, 67)
            extension[offset] = data[75:]
        elif name == "APP1" and data.startswith(b"Exif\0"):
            blocks.exif += data[6:]
        elif name == "APP13" and data.startswith(_RESOURCES_HEADER):
            resources += data[len(_RESOURCES_HEADER) :]
        elif name == "APP11" and data.startswith(b"JP") and b"c2pa" in data[:512]:
            blocks.unread.add("c2pa")
    _take_resources(blocks, resources)
    if extension:
        whole = b"".join(extension[offset] for offset in sorted(extension))
        if len(whole) == extension_bytes <= PACKET_BYTES_MAX:
            blocks.xmp.append(whole)
        else:
            blocks.unread.add("xmp")


def _take_resources(blocks: _Blocks, resources: bytes) -> None:
    try:
        blocks.iim += iim_of_resources(resources)
    except ValueError:
        blocks.unread.add("iptc")


def _take_tiff_tags(blocks: _Blocks, tags: ImageFileDirectory_v2) -> None:
    stored: Mapping[int, bytes] = tags._tagdata  # as they lie in the file: IIM said to be words would lose all but one
    if (packet := stored.get(_TIFF_XMP)) is not None:
        blocks.xmp.append(packet)
    if (records := stored.get(_TIFF_IIM)) is not None:
        blocks.iim += records
    elif (resources := stored.get(_TIFF_RESOURCES)) is not None:
        _take_resources(blocks, resources)
    for tag, name in _EXIF_FIELDS.items():
        if value := tags.get(tag):
            blocks.plain[name] = _respell(str(value))


def _take_chunks(blocks: _Blocks, image: Image.Image) -> None:
    info = image.info
    packet = info.get("xmp") or info.get("XML:com.adobe.xmp")
    if packet:
        blocks.xmp.append(packet if isinstance(packet, bytes) else str(packet).encode())
    exif = info.get("exif")
    if isinstance(exif, bytes):
        blocks.exif = exif.removeprefix(b"Exif\0\0")
    for name in ("Raw profile type iptc", "Raw profile type 8bim"):
        if name in info:
            _take_resources(blocks, _hex_profile(str(info[name])))
    if any(chunk[0] == b"caBX" for chunk in getattr(image, "private_chunks", [])):
        blocks.unread.add("c2pa")


def _hex_profile(profile: str) -> bytes:
    """Give the bytes of a profile that a PNG text chunk spells in hexadecimal after two header lines."""
    try:
        return bytes.fromhex("".join(profile.split()[2:]))
    except ValueError:
        return b"\xff"  # not a resource block either: it is found to be unreadable where blocks are read


def _combine(blocks: _Blocks, xmp: XmpRights | None = None) -> EmbeddedRights:
    unread = set(blocks.unread)
    packets = [xmp] if xmp else []
    for packet in blocks.xmp:
        try:
            packets.append(read_xmp(packet))
        except ValueError:
            unread.add("xmp")
    by_xmp: dict[str, str | datetime] = {}
    prohibits: set[str] = set()
    for read in packets:
        by_xmp = {**read.fields, **by_xmp}
        prohibits.update(read.prohibits)
        unread.update(f"xmp:{name}" for name in read.unknown)
    by_iim = _read_or_note(read_iim, blocks.iim, "iptc", unread)
    by_exif = _read_or_note(read_exif, blocks.exif, "exif", unread)
    fields: dict[str, Any] = {
        name: clean(value, FIELD_CHARS_MAX) if isinstance(value, str) else value
        for name, value in {**blocks.plain, **by_exif, **by_iim, **by_xmp}.items()
    }
    fields = {name: value for name, value in fields.items() if value}
    conflicts = tuple(
        sorted(name for name in by_xmp.keys() & by_iim.keys() if _differ(name, by_xmp[name], by_iim[name]))
    )
    status = EmbeddedStatus.UNPARSED if unread else EmbeddedStatus.READ if fields else EmbeddedStatus.NONE
    return EmbeddedRights(
        status, prohibits=tuple(sorted(prohibits)), conflicts=conflicts, unread=tuple(sorted(unread)), **fields
    )


def _read_or_note(read: Any, block: bytes, name: str, unread: set[str]) -> dict[str, Any]:
    try:
        return dict(read(block)) if block else {}
    except ValueError:
        unread.add(name)
        return {}


def read_exif(block: bytes) -> Iterator[tuple[str, str]]:
    """Give (field, text) for artist and copyright of the first EXIF directory; raises ValueError if it is damaged."""
    try:
        order = {b"II": "<", b"MM": ">"}[block[:2]]
        (start,) = struct.unpack_from(order + "I", block, 4)
        (entries,) = struct.unpack_from(order + "H", block, start)
        for at in range(start + 2, start + 2 + 12 * entries, 12):
            tag, form, count, offset = struct.unpack_from(order + "HHII", block, at)
            if tag not in _EXIF_FIELDS or form != 2:
                continue
            offset = at + 8 if count <= 4 else offset
            if offset + count > len(block):
                raise ValueError(f"EXIF tag {tag:#06x} points outside of its block")
            texts = block[offset : offset + count].decode("latin-1").split("\0")  # copyright: photographer, editor
            if said := "; ".join(text.strip() for text in texts if text.strip()):
                yield _EXIF_FIELDS[tag], _respell(said)
    except (KeyError, struct.error) as problem:
        raise ValueError(f"EXIF is damaged ({problem})") from problem


def _respell(text: str) -> str:
    """Read text again as UTF-8, which writers put into fields that the standard keeps for ASCII."""
    try:
        return text.encode("latin-1").decode("utf-8")
    except (UnicodeEncodeError, UnicodeDecodeError):
        return text


def _differ(name: str, xmp: str | datetime, iim: str | datetime) -> bool:
    """Say whether XMP and IIM contradict each other; a value that IIM had to cut short is none."""
    if isinstance(xmp, datetime) or isinstance(iim, datetime):
        return xmp != iim
    long, short = (" ".join(text.casefold().replace(",", ";").split()) for text in (xmp, iim))
    cut = len(iim.encode()) >= LENGTHS_MAX[name] - 3  # a cut falls between characters, up to 3 bytes early
    return not (long.startswith(short) if cut else long == short)
