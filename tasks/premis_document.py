"""The audit trail as PREMIS 3 XML: versions as objects, their events, who acted, and what their rights were.

After the PREMIS Data Dictionary 3.0 of the Library of Congress; the order of elements is that of its schema.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Iterator, Mapping
from datetime import datetime
from typing import IO, Any, Final

from lxml import etree  # type: ignore[import-untyped]  # ships no types

NAMESPACE: Final = "http://www.loc.gov/premis/v3"
_XSI: Final = "http://www.w3.org/2001/XMLSchema-instance"
_NAMES: Final = {None: NAMESPACE, "xsi": _XSI}
_VERSION: Final = "signoff version"
_EVENT: Final = "signoff event"
_AGENT: Final = "signoff actor"
_NO_XML: Final = re.compile("[^\t\n\r\u0020-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")
"""What XML 1.0 cannot hold, not even escaped."""

Parts = Iterable["tuple[str, str | Parts]"]
"""Elements by name, each with its text or its own elements."""


def write_premis(
    file: IO[bytes],
    versions: Iterable[Mapping[str, Any]],
    events: Iterable[Mapping[str, Any]],
    clearances: Iterable[Mapping[str, Any]],
) -> None:
    """Write the document as it streams by: one object a version, then the events, the agents and the rights.

    The rows are those of `ledger.audit_log`. PREMIS wants at least one object.
    """
    agents: dict[str, str | None] = {}
    with etree.xmlfile(file, encoding="utf-8") as xml:
        xml.write_declaration()
        with xml.element(f"{{{NAMESPACE}}}premis", {"version": "3.0"}, nsmap=_NAMES):
            for version in versions:
                xml.write(_element("object", _object(version), {f"{{{_XSI}}}type": "file"}), b"\n")
            for event in events:
                agents[event["actor"]] = event["handle"]
                xml.write(_element("event", _event(event)), b"\n")
            for actor, handle in sorted(agents.items()):
                xml.write(_element("agent", _agent(actor, handle)), b"\n")
            for clearance in clearances:
                xml.write(_element("rights", [("rightsStatement", _rights(clearance))]), b"\n")


def _object(version: Mapping[str, Any]) -> Iterator[tuple[str, str | Parts]]:
    yield "objectIdentifier", _identifier("object", _VERSION, version["version_id"])
    yield (
        "objectCharacteristics",
        [
            ("compositionLevel", "0"),
            ("fixity", [("messageDigestAlgorithm", "SHA-256"), ("messageDigest", version["sha256"])]),
            ("size", str(version["size_bytes"])),
            ("format", [("formatDesignation", [("formatName", version["media_type"] or "unknown")])]),
        ],
    )
    yield "originalName", f"s3://{version['bucket']}/{version['key']}"
    if version["place_key"] is not None:
        place = f"s3://{version['place_bucket']}/{version['place_key']}"
        yield "storage", [("contentLocation", [("contentLocationType", "S3"), ("contentLocationValue", place)])]


def _event(event: Mapping[str, Any]) -> Iterator[tuple[str, str | Parts]]:
    yield "eventIdentifier", _identifier("event", _EVENT, event["seq"])
    yield "eventType", event["action"]
    yield "eventDateTime", _instant(event["at"])
    for name in ("reason", "rule", "policy_sha256", "flow_run_id"):
        if event[name] is not None:
            yield "eventDetailInformation", [("eventDetail", f"{name}: {event[name]}")]
    yield "eventDetailInformation", [("eventDetail", f"hash: {event['hash']}")]
    if event["to_state"] is not None:
        yield "eventOutcomeInformation", [("eventOutcome", event["to_state"])]
    yield "linkingAgentIdentifier", _identifier("linkingAgent", _AGENT, event["actor"])
    if event["version_id"] is not None:
        yield "linkingObjectIdentifier", _identifier("linkingObject", _VERSION, event["version_id"])


def _agent(actor: str, handle: str | None) -> Iterator[tuple[str, str | Parts]]:
    kind = actor.partition(":")[0]
    yield "agentIdentifier", _identifier("agent", _AGENT, actor)
    yield "agentName", handle or actor.partition(":")[2] or actor
    yield "agentType", "software" if kind == "system" else "person"


def _rights(clearance: Mapping[str, Any]) -> Iterator[tuple[str, str | Parts]]:
    yield "rightsStatementIdentifier", _identifier("rightsStatement", "signoff clearance", clearance["clearance_id"])
    yield "rightsBasis", "other"
    notes = [f"{one['code']}: {one['text']}" for one in json.loads(clearance["reasons"])]
    said = [f"status: {clearance['status']}", f"checked at: {_instant(clearance['checked_at'])}", *notes]
    yield (
        "otherRightsInformation",
        [("otherRightsBasis", "rights clearance"), *(("otherRightsNote", note) for note in said)],
    )
    yield "linkingObjectIdentifier", _identifier("linkingObject", _VERSION, clearance["version_id"])


def _identifier(what: str, kind: str, value: object) -> list[tuple[str, str | Parts]]:
    return [(f"{what}IdentifierType", kind), (f"{what}IdentifierValue", str(value))]


def _element(name: str, parts: str | Parts, attributes: Mapping[str, str] | None = None) -> etree._Element:
    made = etree.Element(f"{{{NAMESPACE}}}{name}", attributes or {}, nsmap=_NAMES)
    _fill(made, parts)
    return made


def _fill(parent: etree._Element, parts: str | Parts) -> None:
    if isinstance(parts, str):
        parent.text = _NO_XML.sub(lambda found: f"\\x{ord(found[0]):02x}", parts)
        return
    for name, inner in parts:
        _fill(etree.SubElement(parent, f"{{{NAMESPACE}}}{name}"), inner)


def _instant(at: datetime) -> str:
    return at.isoformat().replace("+00:00", "Z")
