"""Rights metadata inside files: IPTC IIM and XMP segments for JPEG, an XMP chunk for PNG, a packet for PDF.

Written by hand and not by a library, so that a sample can also say what no tool would write: two contradicting forms.
Sources: IPTC IIM 4.2; ISO 16684 (XMP); IPTC Photo Metadata Standard 2024; PLUS LDF 2.0.1.
"""

from __future__ import annotations

import struct
import zlib
from dataclasses import dataclass, replace
from datetime import date
from xml.sax.saxutils import escape, quoteattr

_PLUS_VOCABULARY = "http://ns.useplus.org/ldf/vocab/"
_NAMESPACES = {
    "dc": "http://purl.org/dc/elements/1.1/",
    "photoshop": "http://ns.adobe.com/photoshop/1.0/",
    "plus": "http://ns.useplus.org/ldf/xmp/1.0/",
    "rdf": "http://www.w3.org/1999/02/22-rdf-syntax-ns#",
    "xmpRights": "http://ns.adobe.com/xap/1.0/rights/",
}


@dataclass(frozen=True, slots=True)
class Rights:
    """What a file says about its own rights; releases and data mining are PLUS codes. `None` is left out."""

    creator: str | None = None
    credit_line: str | None = None
    copyright_notice: str | None = None
    usage_terms: str | None = None
    web_statement: str | None = None
    title: str | None = None
    model_release: str | None = None
    property_release: str | None = None
    data_mining: str | None = None
    expires_on: date | None = None
    other_credit_line: str | None = None
    """A credit line for IIM that contradicts the one in XMP."""

    def titled(self, title: str) -> Rights:
        """Give the same rights for another picture."""
        return replace(self, title=title)


def _alternative(tag: str, text: str) -> str:
    return f'<{tag}><rdf:Alt><rdf:li xml:lang="x-default">{escape(text)}</rdf:li></rdf:Alt></{tag}>'


def xmp_packet(rights: Rights) -> bytes:
    """Give the rights as an XMP packet in UTF-8."""
    attributes = {
        "photoshop:Credit": rights.credit_line,
        "xmpRights:WebStatement": rights.web_statement,
        "xmpRights:Marked": "True" if rights.copyright_notice else None,
        "plus:ModelReleaseStatus": rights.model_release and _PLUS_VOCABULARY + rights.model_release,
        "plus:PropertyReleaseStatus": rights.property_release and _PLUS_VOCABULARY + rights.property_release,
        "plus:DataMining": rights.data_mining and _PLUS_VOCABULARY + rights.data_mining,
        "plus:LicenseEndDate": rights.expires_on and rights.expires_on.isoformat(),
    }
    elements = [
        _alternative(tag, text)
        for tag, text in (
            ("dc:title", rights.title),
            ("dc:rights", rights.copyright_notice),
            ("xmpRights:UsageTerms", rights.usage_terms),
        )
        if text
    ]
    if rights.creator:
        elements.append(f"<dc:creator><rdf:Seq><rdf:li>{escape(rights.creator)}</rdf:li></rdf:Seq></dc:creator>")
    spaces = " ".join(f'xmlns:{name}="{uri}"' for name, uri in _NAMESPACES.items())
    said = " ".join(f"{name}={quoteattr(value)}" for name, value in attributes.items() if value)
    return (
        '<?xpacket begin="\ufeff" id="W5M0MpCehiHzreSzNTczkc9d"?>\n'
        f'<x:xmpmeta xmlns:x="adobe:ns:meta/"><rdf:RDF {spaces}>\n'
        f'<rdf:Description rdf:about="" {said}>\n{"".join(elements)}\n</rdf:Description>\n'
        '</rdf:RDF></x:xmpmeta>\n<?xpacket end="w"?>'
    ).encode()


def iim_records(rights: Rights) -> bytes:
    """Give the rights as IPTC IIM records in UTF-8; IIM knows neither usage terms nor releases."""
    fields = [
        (5, rights.title, 64),
        (37, rights.expires_on and f"{rights.expires_on:%Y%m%d}", 8),
        (80, rights.creator, 32),
        (110, rights.other_credit_line or rights.credit_line, 32),
        (116, rights.copyright_notice, 128),
    ]
    records = _dataset(1, 90, b"\x1b%G") + _dataset(2, 0, b"\x00\x04")
    return records + b"".join(_dataset(2, number, text.encode()[:limit]) for number, text, limit in fields if text)


def _dataset(record: int, number: int, value: bytes) -> bytes:
    return struct.pack(">BBBH", 0x1C, record, number, len(value)) + value


def into_jpeg(picture: bytes, rights: Rights) -> bytes:
    """Put XMP (APP1) and IIM (APP13) into a JPEG, after its APP0."""
    iim = iim_records(rights)
    resource = b"8BIM" + struct.pack(">HxxI", 0x0404, len(iim)) + iim + b"\0" * (len(iim) % 2)
    segments = _segment(0xE1, b"http://ns.adobe.com/xap/1.0/\0" + xmp_packet(rights)) + _segment(
        0xED, b"Photoshop 3.0\0" + resource
    )
    after_app0 = 4 + struct.unpack_from(">H", picture, 4)[0] if picture[2:4] == b"\xff\xe0" else 2
    return picture[:after_app0] + segments + picture[after_app0:]


def without_metadata(picture: bytes) -> bytes:
    """Take EXIF, XMP (APP1) and IIM (APP13) out of a JPEG; pixels and colour profile stay as they are."""
    kept, at = [picture[:2]], 2
    while picture[at + 1] != 0xDA:  # start of scan: the pixels begin
        end = at + 2 + int.from_bytes(picture[at + 2 : at + 4], "big")
        if picture[at + 1] not in (0xE1, 0xED):
            kept.append(picture[at:end])
        at = end
    return b"".join([*kept, picture[at:]])


def _segment(marker: int, payload: bytes) -> bytes:
    return struct.pack(">BBH", 0xFF, marker, len(payload) + 2) + payload


def into_png(picture: bytes, rights: Rights) -> bytes:
    """Put XMP into a PNG, as an iTXt chunk after its header."""
    body = b"iTXt" + b"XML:com.adobe.xmp\0\0\0\0\0" + xmp_packet(rights)
    chunk = struct.pack(">I", len(body) - 4) + body + struct.pack(">I", zlib.crc32(body))
    after_header = 8 + 25
    return picture[:after_header] + chunk + picture[after_header:]
