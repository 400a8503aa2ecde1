"""XMP (ISO 16684), read with a parser that expands and fetches nothing: the rights properties of IPTC and PLUS."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, time
from typing import Any, Final

from lxml import etree  # type: ignore[import-untyped]  # ships no types

PACKET_BYTES_MAX: Final = 4 * 1024 * 1024
_RDF: Final = "{http://www.w3.org/1999/02/22-rdf-syntax-ns#}"
_DC: Final = "{http://purl.org/dc/elements/1.1/}"
_PHOTOSHOP: Final = "{http://ns.adobe.com/photoshop/1.0/}"
_RIGHTS: Final = "{http://ns.adobe.com/xap/1.0/rights/}"
_PLUS: Final = "{http://ns.useplus.org/ldf/xmp/1.0/}"
_PRISM: Final = "{http://prismstandard.org/namespaces/basic/2.0/}"
_LANG: Final = "{http://www.w3.org/XML/1998/namespace}lang"
_FIELDS: Final = {
    _DC + "creator": "creator",
    _DC + "rights": "copyright_notice",
    _PHOTOSHOP + "Credit": "credit_line",
    _RIGHTS + "UsageTerms": "usage_terms",
    _RIGHTS + "WebStatement": "web_statement",
    _PLUS + "ModelReleaseStatus": "model_release",
    _PLUS + "PropertyReleaseStatus": "property_release",
    _PLUS + "DataMining": "data_mining",
    _PLUS + "LicenseEndDate": "expires_at",
    _PRISM + "expirationDate": "expires_at",
}
_CODES: Final = {
    "model_release": frozenset({"MR-NON", "MR-NAP", "MR-UMR", "MR-LMR"}),
    "property_release": frozenset({"PR-NON", "PR-NAP", "PR-UPR", "PR-LPR"}),
}
_TRAINING: Final = ("ai_train",)
_MINING: Final = ("ai_train", "data_mine")
DATA_MINING: Final = {  # PLUS vocabulary: what each code forbids
    "DMI-UNSPECIFIED": (),
    "DMI-ALLOWED": (),
    "DMI-PROHIBITED-AIMLTRAINING": _TRAINING,
    "DMI-PROHIBITED-GENAIMLTRAINING": _TRAINING,
    "DMI-PROHIBITED-EXCEPTSEARCHENGINEINDEXING": _MINING,
    "DMI-PROHIBITED": _MINING,
    "DMI-PROHIBITED-SEECONSTRAINT": _MINING,  # the constraint may allow some of it, but only a person can tell
    "DMI-PROHIBITED-SEEEMBEDDEDRIGHTSEXPR": _MINING,
    "DMI-PROHIBITED-SEELINKEDRIGHTSEXPR": _MINING,
}
_DATE: Final = re.compile(r"\d{4}-\d{2}-\d{2}")


@dataclass(slots=True)
class XmpRights:
    """The rights fields of one packet, and the names of those whose value was not understood."""

    fields: dict[str, str | datetime] = field(default_factory=dict)
    prohibits: tuple[str, ...] = ()
    unknown: list[str] = field(default_factory=list)


def read_xmp(packet: bytes) -> XmpRights:
    """Give the rights that an XMP packet states; raises ValueError where it cannot be parsed completely."""
    if len(packet) > PACKET_BYTES_MAX:
        raise ValueError(f"XMP packet of {len(packet)} bytes, at most {PACKET_BYTES_MAX} are read")
    return read_rdf(parse_safely(packet))


def parse_safely(document: bytes) -> etree._Element:
    """Parse XML, expanding and fetching nothing; raises ValueError, also where entities are declared."""
    parser = etree.XMLParser(resolve_entities=False, no_network=True, load_dtd=False, huge_tree=False)
    try:
        root = etree.fromstring(_without_padding(document), parser)
    except etree.XMLSyntaxError as problem:
        raise ValueError(f"XML cannot be parsed ({problem})") from problem
    declared = root.getroottree().docinfo.internalDTD
    if declared is not None and next(declared.iterentities(), None) is not None:
        raise ValueError("XML declares entities, which are not expanded here: its values would be incomplete")
    return root


def read_rdf(root: etree._Element) -> XmpRights:
    """Give the rights that the RDF under an XML element states; raises ValueError where there is no RDF."""
    rdf = root if root.tag == _RDF + "RDF" else next(root.iter(_RDF + "RDF"), None)
    if rdf is None:
        raise ValueError("XML without rdf:RDF is no XMP")
    found = XmpRights()
    for name, value in _properties(rdf):
        _take(found, name, value)
    return found


def _without_padding(document: bytes) -> bytes:
    if b"<\0" in document[:8] or b"\0<\0" in document[:8]:
        return document  # UTF-16 and UTF-32: their NUL bytes belong to characters
    start = document.find(b"<")
    return document[max(start, 0) : document.rfind(b">") + 1]


def _properties(rdf: etree._Element) -> Iterator[tuple[str, str | None]]:
    for description in rdf.iterchildren("*"):
        for name, attribute in description.attrib.items():
            if name in _FIELDS:
                yield str(name), str(attribute)
        for element in description.iterchildren(*_FIELDS):
            yield str(element.tag), _value_of(element)


def _value_of(element: etree._Element) -> str | None:
    if resource := element.get(_RDF + "resource"):
        return str(resource)
    items = element.findall(f"{_RDF}Alt/{_RDF}li")
    if items:
        default = next((item for item in items if item.get(_LANG) == "x-default"), items[0])
        return _text_of(default)
    listed = element.findall(f"{_RDF}Seq/{_RDF}li") or element.findall(f"{_RDF}Bag/{_RDF}li")
    if listed:
        texts = [_text_of(item) for item in listed]
        return None if None in texts else "; ".join(text for text in texts if text)
    if len(element) == 1 and element[0].tag in {_RDF + "Alt", _RDF + "Seq", _RDF + "Bag"} and not len(element[0]):
        return ""
    return _text_of(element)


def _text_of(element: etree._Element) -> str | None:
    """Give the text of a simple value, with or without qualifiers; None for a structure, which no field here has."""
    if not len(element):
        return element.text or ""
    qualified = element.findall(f"{_RDF}Description/{_RDF}value") + element.findall(f"{_RDF}value")
    return (qualified[0].text or "") if len(qualified) == 1 and not len(qualified[0]) else None


def _take(found: XmpRights, name: str, value: str | None) -> None:
    field_name = _FIELDS[name]
    if value is None:
        found.unknown.append(field_name)
        return
    value = value.strip()
    if not value:
        return
    if field_name == "expires_at":
        _take_end(found, value)
        return
    if field_name in ("model_release", "property_release", "data_mining"):
        value = value.rstrip("/").rpartition("/")[2].upper()  # stored as the address of a vocabulary term
        known: Any = _CODES.get(field_name, DATA_MINING)
        if value not in known:
            found.unknown.append(field_name)
    if field_name == "data_mining":
        found.prohibits = tuple(sorted({*found.prohibits, *DATA_MINING.get(value, _MINING)}))
    found.fields.setdefault(field_name, value)


def _take_end(found: XmpRights, value: str) -> None:
    try:
        end = read_end(value)
    except ValueError:
        found.unknown.append("expires_at")
        return
    earlier = found.fields.get("expires_at")
    found.fields["expires_at"] = min(end, earlier) if isinstance(earlier, datetime) else end


def read_end(value: str) -> datetime:
    """Give the last instant that an ISO date or time means, UTC: a date alone ends with its day; raises ValueError.

    >>> read_end("2027-03-31").isoformat(), read_end("2027-03-31T10:00:00+02:00").isoformat()
    ('2027-03-31T23:59:59.999999+00:00', '2027-03-31T08:00:00+00:00')
    """
    if _DATE.fullmatch(value):
        return datetime.combine(date.fromisoformat(value), time.max, UTC)
    instant = datetime.fromisoformat(value)
    return (instant if instant.tzinfo else instant.replace(tzinfo=UTC)).astimezone(UTC)
