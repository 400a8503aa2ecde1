"""Check the rights of a batch of versions against the contracts in the ledger and what the files say themselves."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

import polars as pl

from classifiers.embedded_rights import EmbeddedRights
from ledger.canonical import canonical_json
from ledger.grants import present_grants
from ledger.screen import ClearanceRecord
from policies.calendars import later
from policies.channels import Channel, UseAction
from policies.clearance import ReasonCode
from policies.document import Collection, IntendedUse, PolicyDocument, collection_for
from policies.grant import Grant
from policies.grants import grants_frame
from policies.rights import QUERY_SCHEMA, check_rights, worst_use
from tasks.resources import Resources

_FORBIDDEN = frozenset({str(ReasonCode.PROHIBITED), str(ReasonCode.PROHIBITED_BY_FILE)})


@dataclass(frozen=True, slots=True)
class RightsSubject:
    """A version whose rights are asked about, and what its file says of them."""

    version_id: int
    key: str
    collection: str
    kind: str
    embedded: EmbeddedRights
    people_detected: bool | None = None


@dataclass(frozen=True, slots=True)
class Clearance:
    """The worst status over a version's intended uses, its reason codes, and the record to keep."""

    status: str
    codes: tuple[str, ...]
    digest: str
    record: ClearanceRecord


def load_grants(resources: Resources) -> pl.DataFrame:
    """The grants that are in force in the ledger, as the rights check takes them."""
    with resources.ledger.reading() as connection:
        bodies = present_grants(connection)
    return grants_frame(Grant.model_validate_json(body) for body in bodies)


def check_clearances(
    subjects: Sequence[RightsSubject], policy: PolicyDocument, grants: pl.DataFrame, now: datetime
) -> dict[int, Clearance]:
    """Decide how each version stands over all the intended uses of its collection, by version id."""
    if not subjects:
        return {}
    uses = {one.version_id: collection_of(policy, one.collection, one.key).use for one in subjects}
    queries = [_query(one, use, now) for one in subjects for use in uses[one.version_id]]
    frame = pl.DataFrame(queries, schema=QUERY_SCHEMA)
    checked = check_rights(frame, grants, now, expiring_within=_window(policy, now))
    return {
        row["version_id"]: _clearance(row, _intent(uses[row["version_id"]]))
        for row in worst_use(checked).iter_rows(named=True)
    }


def collection_of(policy: PolicyDocument, name: str, key: str) -> Collection:
    """The collection of that name; if this policy has none (the version came under an earlier one), that of the key."""
    named = next((one for one in policy.collections if one.name == name), None)
    return named or collection_for(policy, key)


def machine_processing_forbidden(
    subjects: Sequence[RightsSubject], grants: pl.DataFrame, now: datetime
) -> frozenset[int]:
    """Version ids that a contract or the file itself forbids to be read by a model.

    Silence does not forbid it: looking at an asset in order to route it is no use of it.
    """
    if not subjects:
        return frozenset()
    use = IntendedUse(action=UseAction.AI_INFER, channel=Channel.INTERNAL, territory=("WORLD",))
    frame = pl.DataFrame([_query(one, use, now) for one in subjects], schema=QUERY_SCHEMA)
    checked = check_rights(frame, grants, now)
    return frozenset(
        row["version_id"]
        for row in checked.select("version_id", "reasons").iter_rows(named=True)
        if any(reason["code"] in _FORBIDDEN for reason in row["reasons"])
    )


def _query(one: RightsSubject, use: IntendedUse, now: datetime) -> dict[str, Any]:
    embedded = one.embedded
    return {
        "version_id": one.version_id,
        "key": one.key,
        "collection": one.collection,
        "kind": one.kind,
        "action": str(use.action),
        "channel": str(use.channel),
        "territories": list(use.territory),
        "licensee": use.licensee,
        "from_at": now,
        "until_at": later(now, use.lasting) if use.lasting else None,
        "embedded_status": str(embedded.status),
        "embedded_prohibits": list(embedded.prohibits),
        "embedded_conflicts": list(embedded.conflicts),
        "expires_at": embedded.expires_at,
        "model_release": embedded.model_release,
        "property_release": embedded.property_release,
        "people_detected": one.people_detected,
        "credit_line": embedded.credit_line,
    }


def _window(policy: PolicyDocument, now: datetime) -> timedelta:
    return later(now, policy.rights.expiring_within) - now


def _intent(uses: Sequence[IntendedUse]) -> str:
    plain: list[Mapping[str, Any]] = [
        {
            "action": str(use.action),
            "channel": str(use.channel),
            "territory": list(use.territory),
            "licensee": use.licensee,
            "lasting": str(use.lasting) if use.lasting else None,
        }
        for use in uses
    ]
    return canonical_json(plain).decode()


def _clearance(row: Mapping[str, Any], intent: str) -> Clearance:
    record = ClearanceRecord(
        version_id=row["version_id"],
        intent=intent,
        status=row["status"],
        reasons=json.dumps(row["reasons"], ensure_ascii=False),
        deciding=json.dumps(row["deciding"], ensure_ascii=False),
        digest=row["digest"],
        next_change_at=row["next_change_at"],
    )
    codes = tuple(sorted({reason["code"] for reason in row["reasons"]}))
    return Clearance(row["status"], codes, row["digest"], record)
