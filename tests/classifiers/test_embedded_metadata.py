"""Rights that files carry: what is read, what contradicts itself, what is there but cannot be understood."""

from __future__ import annotations

import io
import json
import os
import shutil
import struct
import subprocess
from datetime import UTC, datetime
from pathlib import Path

import pikepdf
import pytest
from PIL import Image

from classifiers.embedded_metadata import read_image_rights, read_pdf_rights
from classifiers.embedded_rights import EmbeddedRights, EmbeddedStatus
from classifiers.iim_record import read_iim

NAMESPACES = (
    'xmlns:rdf="http://www.w3.org/1999/02/22-rdf-syntax-ns#" xmlns:dc="http://purl.org/dc/elements/1.1/" '
    'xmlns:photoshop="http://ns.adobe.com/photoshop/1.0/" xmlns:xmpRights="http://ns.adobe.com/xap/1.0/rights/" '
    'xmlns:plus="http://ns.useplus.org/ldf/xmp/1.0/"'
)
VOCABULARY = "http://ns.useplus.org/ldf/vocab/"


def xmp(inner: str = "", **attributes: str) -> bytes:
    """An XMP packet with these attributes (`prefix_name`) and elements."""
    spelled = " ".join(f'{name.replace("_", ":", 1)}="{value}"' for name, value in attributes.items())
    return (
        '<?xpacket begin="\ufeff" id="W5M0MpCehiHzreSzNTczkc9d"?><x:xmpmeta xmlns:x="adobe:ns:meta/"><rdf:RDF '
        f'{NAMESPACES}><rdf:Description rdf:about="" {spelled}>{inner}</rdf:Description></rdf:RDF></x:xmpmeta>'
        '<?xpacket end="w"?>'
    ).encode()


def alternative(tag: str, *texts: tuple[str, str]) -> str:
    items = "".join(f'<rdf:li xml:lang="{language}">{text}</rdf:li>' for language, text in texts)
    return f"<{tag}><rdf:Alt>{items}</rdf:Alt></{tag}>"


def iim(*datasets: tuple[int, bytes], utf8: bool = True) -> bytes:
    """IIM records: datasets of record 2, said to be UTF-8 or not."""
    marked = [(1, 90, b"\x1b%G")] if utf8 else []
    return b"".join(
        struct.pack(">BBBH", 0x1C, record, number, len(value)) + value
        for record, number, value in marked + [(2, number, value) for number, value in datasets]
    )


def resources(records: bytes) -> bytes:
    """A Photoshop resource block that holds IIM records."""
    return b"8BIM\x04\x04\0\0" + struct.pack(">I", len(records)) + records + b"\0" * (len(records) % 2)


def jpeg(*segments: tuple[int, bytes]) -> bytes:
    """A JPEG with these application segments."""
    target = io.BytesIO()
    Image.new("RGB", (8, 8), "navy").save(target, "JPEG")
    plain = target.getvalue()
    inserted = b"".join(struct.pack(">BBH", 0xFF, 0xE0 + n, len(data) + 2) + data for n, data in segments)
    return plain[:2] + inserted + plain[2:]


def xmp_segment(packet: bytes) -> tuple[int, bytes]:
    return 1, b"http://ns.adobe.com/xap/1.0/\0" + packet


def iim_segment(records: bytes) -> tuple[int, bytes]:
    return 13, b"Photoshop 3.0\0" + resources(records)


def rights_of(content: bytes) -> EmbeddedRights:
    with Image.open(io.BytesIO(content)) as image:
        return read_image_rights(image)


def test_nothing_embedded_is_none() -> None:
    """A picture without metadata, and one whose XMP says nothing of rights, carries no rights."""
    assert rights_of(jpeg()) == EmbeddedRights()
    assert rights_of(jpeg(xmp_segment(xmp()))) == EmbeddedRights()


def test_every_field_of_xmp_is_read() -> None:
    """Attributes, language alternatives, sequences and vocabulary terms come out as fields."""
    packet = xmp(
        alternative("dc:rights", ("de", "© Rechte"), ("x-default", "© 2026 Ana Sousa"))
        + "<dc:creator><rdf:Seq><rdf:li>Ana Sousa</rdf:li><rdf:li>Li Wei</rdf:li></rdf:Seq></dc:creator>"
        + alternative("xmpRights:UsageTerms", ("x-default", "Editorial use only"))
        + f'<plus:DataMining rdf:resource="{VOCABULARY}DMI-PROHIBITED"/>',
        photoshop_Credit="Studio Nord",
        xmpRights_WebStatement="https://example.org/licence",
        plus_ModelReleaseStatus=VOCABULARY + "MR-UMR",
        plus_PropertyReleaseStatus="PR-NON",
        plus_LicenseEndDate="2027-03-31",
    )
    assert rights_of(jpeg(xmp_segment(packet))) == EmbeddedRights(
        status=EmbeddedStatus.READ,
        creator="Ana Sousa; Li Wei",
        credit_line="Studio Nord",
        copyright_notice="© 2026 Ana Sousa",
        usage_terms="Editorial use only",
        web_statement="https://example.org/licence",
        model_release="MR-UMR",
        property_release="PR-NON",
        expires_at=datetime(2027, 3, 31, 23, 59, 59, 999999, UTC),
        data_mining="DMI-PROHIBITED",
        prohibits=("ai_train", "data_mine"),
    )


@pytest.mark.parametrize(
    ("code", "prohibits", "unread"),
    [
        ("DMI-ALLOWED", (), ()),
        ("DMI-PROHIBITED-GENAIMLTRAINING", ("ai_train",), ()),
        ("DMI-PROHIBITED-SEECONSTRAINT", ("ai_train", "data_mine"), ()),
        ("DMI-SOMETHING-NEW", ("ai_train", "data_mine"), ("xmp:data_mining",)),
    ],
)
def test_data_mining_codes_forbid_what_they_say(code: str, prohibits: tuple[str, ...], unread: tuple[str, ...]) -> None:
    """Each PLUS code forbids its actions; a code that is not known forbids all and is named as not understood."""
    found = rights_of(jpeg(xmp_segment(xmp(plus_DataMining=VOCABULARY + code))))
    assert (found.data_mining, found.prohibits, found.unread) == (code, prohibits, unread)


def test_iim_is_read_in_its_own_encoding() -> None:
    """IIM that says UTF-8 is read so, IIM that says nothing as what it can be; the end of a licence with its zone."""
    said = iim((80, "Zoë".encode()), (110, b"Nord"), (37, b"20270331"), (38, b"120000+0200"))
    assert read_iim(said) == {
        "creator": "Zoë",
        "credit_line": "Nord",
        "expires_at": datetime(2027, 3, 31, 10, 0, tzinfo=UTC),
    }
    assert read_iim(iim((116, "© Zoë".encode("cp1252")), utf8=False)) == {"copyright_notice": "© Zoë"}


def test_xmp_and_iim_that_contradict_each_other_conflict() -> None:
    """The fields on which they differ are named, XMP's value is given; what only one says is no conflict."""
    packet = xmp(
        alternative("dc:rights", ("x-default", "© 2026 Ana Sousa")) + "<dc:creator>Ana Sousa</dc:creator>",
        photoshop_Credit="Studio Nord",
    )
    records = iim((110, b"Agence Sud"), (116, "© 2026  ANA SOUSA".encode()))
    assert rights_of(jpeg(xmp_segment(packet), iim_segment(records))) == EmbeddedRights(
        status=EmbeddedStatus.READ,
        creator="Ana Sousa",
        credit_line="Studio Nord",
        copyright_notice="© 2026 Ana Sousa",
        conflicts=("credit_line",),
    )


def test_what_iim_had_to_cut_short_is_no_conflict() -> None:
    """IIM keeps 32 bytes of a credit line: the same line, cut there, contradicts nothing."""
    line = "Studio Nord for the European Broadcasting Union"
    found = rights_of(jpeg(xmp_segment(xmp(photoshop_Credit=line)), iim_segment(iim((110, line[:32].encode())))))
    assert (found.credit_line, found.conflicts) == (line, ())


def test_exif_speaks_where_the_others_are_silent() -> None:
    """Artist and copyright of EXIF are read, UTF-8 in its ASCII too, and never contradict what was said on purpose."""
    exif = Image.Exif()
    exif[0x8298] = "?? EXIF"
    exif[0x013B] = "Camera Owner"
    block = (1, exif.tobytes().replace(b"?? EXIF", "© EXIF".encode()))
    found = rights_of(jpeg(block, xmp_segment(xmp("<dc:creator>Ana Sousa</dc:creator>"))))
    assert (found.creator, found.copyright_notice, found.conflicts) == ("Ana Sousa", "© EXIF", ())


BILLION_LAUGHS = (
    '<!DOCTYPE x [<!ENTITY a "ha">'
    + "".join(f'<!ENTITY {b} "{f"&{a};" * 10}">' for a, b in zip("abcdefghi", "bcdefghij", strict=True))
    + "]>"
).encode()


@pytest.mark.parametrize(
    ("segment", "unread"),
    [
        (xmp_segment(BILLION_LAUGHS + xmp("<dc:creator>&j;</dc:creator>")), "xmp"),
        (xmp_segment(b"<x:xmpmeta xmlns:x='adobe:ns:meta/'><rdf:RDF"), "xmp"),
        (xmp_segment(b""), "xmp"),
        (xmp_segment(xmp("<dc:creator><rdf:Description><dc:x/></rdf:Description></dc:creator>")), "xmp:creator"),
        (xmp_segment(xmp(plus_LicenseEndDate="next spring")), "xmp:expires_at"),
        (xmp_segment(xmp(plus_ModelReleaseStatus="MR-MAYBE")), "xmp:model_release"),
        (iim_segment(iim((110, b"Studio Nord"))[:-4]), "iptc"),
        (iim_segment(iim((37, b"20271399"))), "iptc"),
        ((13, b"Photoshop 3.0\x008BIM\x04\x04\0\0\0\0\xff\xff"), "iptc"),
        ((1, b"Exif\0\0II*\0\xff\xff\0\0"), "exif"),
        ((1, b"Exif\0\0nonsense"), "exif"),
        ((11, b"JP\0\1\0\0\0\1\0\0\0\x20jumb\0\0\0\x18jumdc2pa"), "c2pa"),
    ],
)
def test_what_is_there_but_not_understood_is_unparsed(segment: tuple[int, bytes], unread: str) -> None:
    """Hostile, damaged or unknown metadata is never taken for the absence of metadata."""
    found = rights_of(jpeg(segment))
    assert (found.status, found.unread) == (EmbeddedStatus.UNPARSED, (unread,))


def test_utf16_and_padded_packets_are_read() -> None:
    """Packets in UTF-16, and those with NUL bytes around them, are read all the same."""
    packet = xmp(photoshop_Credit="Stúdio")
    for spelled in (
        packet.decode().encode("utf-16"),
        packet.decode().lstrip("\ufeff").encode("utf-16-le"),
        b"\0" + packet + b"\0\0",
    ):
        assert rights_of(jpeg(xmp_segment(spelled))).credit_line == "Stúdio"


def test_extended_xmp_is_put_together() -> None:
    """A packet that was spread over segments, in any order, is read; one with a missing piece is unparsed."""
    packet = xmp(photoshop_Credit="Studio Nord")
    head = b"http://ns.adobe.com/xmp/extension/\0" + b"A" * 32
    pieces = [
        (1, head + struct.pack(">II", len(packet), at) + packet[at : at + 200]) for at in range(0, len(packet), 200)
    ]
    main = xmp_segment(xmp())
    assert rights_of(jpeg(main, *reversed(pieces))).credit_line == "Studio Nord"
    assert rights_of(jpeg(main, *pieces[1:])).unread == ("xmp",)


@pytest.mark.parametrize("form", ["PNG", "WEBP", "TIFF", "AVIF"])
def test_other_picture_formats_carry_xmp(form: str) -> None:
    """XMP is found where each format keeps it."""
    target = io.BytesIO()
    picture = Image.new("RGB", (16, 16))
    packet = xmp(photoshop_Credit="Studio Nord")
    if form == "PNG":
        from PIL.PngImagePlugin import PngInfo

        text = PngInfo()
        text.add_itxt("XML:com.adobe.xmp", packet.decode())
        picture.save(target, form, pnginfo=text)
    elif form == "TIFF":
        picture.save(target, form, tiffinfo={700: packet, 33723: iim((110, b"Agence Sud")), 33432: "(c) Ana"})
    else:
        picture.save(target, form, xmp=packet)
    found = rights_of(target.getvalue())
    assert found.credit_line == "Studio Nord"
    assert (found.copyright_notice, found.conflicts) == (
        ("(c) Ana", ("credit_line",)) if form == "TIFF" else (None, ())
    )


def pdf(packet: bytes | None, author: str | None = None) -> io.BytesIO:
    target = io.BytesIO()
    with pikepdf.new() as document:
        document.add_blank_page()
        if packet is not None:
            document.Root.Metadata = pikepdf.Stream(document, packet)
        if author is not None:
            document.docinfo["/Author"] = author
        document.save(target, fix_metadata_version=False)  # the metadata is written as it is, hostile or not
    return target


def test_pdf_metadata_is_read() -> None:
    """XMP of a PDF is read, its author where XMP names none, and XMP that cannot be parsed is unparsed, not absent."""
    assert read_pdf_rights(pdf(None)) == EmbeddedRights()
    found = read_pdf_rights(pdf(xmp(alternative("dc:rights", ("x-default", "© Nord"))), author="Ana"))
    assert (found.status, found.creator, found.copyright_notice) == (EmbeddedStatus.READ, "Ana", "© Nord")
    assert read_pdf_rights(pdf(BILLION_LAUGHS + xmp())).status == EmbeddedStatus.UNPARSED


@pytest.fixture(scope="module")
def exiftool() -> str:
    """ExifTool as an independent reader and writer; CI must have it."""
    found = shutil.which("exiftool")
    if found is None:
        reason = "ExifTool is not installed: install the package libimage-exiftool-perl (exiftool elsewhere)"
        if os.environ.get("CI") == "true":
            pytest.fail(reason)
        pytest.skip(reason)
    return found


@pytest.mark.parametrize("form", ["JPEG", "PNG", "TIFF", "WEBP", "PDF"])
def test_exiftool_agrees(exiftool: str, tmp_path: Path, form: str) -> None:
    """What ExifTool writes and reads back is what is read here, field by field."""
    path = tmp_path / f"picture.{form.lower()}"
    if form == "PDF":
        path.write_bytes(pdf(None).getvalue())
    else:
        Image.new("RGB", (32, 24), "teal").save(path, form)
    said = {
        "XMP-dc:Creator": "Zoë Ōta", "XMP-dc:Rights": "© 2026 Zoë", "XMP-photoshop:Credit": "Studio Nord",
        "XMP-xmpRights:UsageTerms": "Editorial & press", "XMP-xmpRights:WebStatement": "https://example.org/l",
        "XMP-plus:ModelReleaseStatus#": "MR-LMR", "XMP-plus:PropertyReleaseStatus#": "PR-NAP",
    }  # fmt: skip
    if form in ("JPEG", "TIFF"):
        said |= {"IPTC:Credit": "Agence Sud", "IPTC:CopyrightNotice": "© 2026 Zoë", "IPTC:CodedCharacterSet": "UTF8"}
    run = [exiftool, "-q", "-overwrite_original", *(f"-{tag}={value}" for tag, value in said.items()), str(path)]
    subprocess.run(run, check=True, capture_output=True, timeout=60)
    read = [exiftool, "-json", "-G1", "-n", "-charset", "iptc=UTF8", "-XMP:all", "-IPTC:all", str(path)]
    theirs = json.loads(subprocess.run(read, check=True, capture_output=True, timeout=60).stdout)[0]
    content = path.read_bytes()
    ours = read_pdf_rights(io.BytesIO(content)) if form == "PDF" else rights_of(content)
    assert {
        "creator": ours.creator, "copyright_notice": ours.copyright_notice, "credit_line": ours.credit_line,
        "usage_terms": ours.usage_terms, "web_statement": ours.web_statement, "model_release": ours.model_release,
        "property_release": ours.property_release, "conflict": "credit_line" in ours.conflicts,
    } == {
        "creator": theirs["XMP-dc:Creator"], "copyright_notice": theirs["XMP-dc:Rights"],
        "credit_line": theirs["XMP-photoshop:Credit"], "usage_terms": theirs["XMP-xmpRights:UsageTerms"],
        "web_statement": theirs["XMP-xmpRights:WebStatement"],
        "model_release": theirs["XMP-plus:ModelReleaseStatus"].rpartition("/")[2],
        "property_release": theirs["XMP-plus:PropertyReleaseStatus"].rpartition("/")[2],
        "conflict": theirs.get("IPTC:Credit", "Studio Nord") != "Studio Nord",
    }  # fmt: skip
