"""Import the contracts table from object storage into the ledger, as a whole or not at all."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass

from ledger.canonical import canonical_json
from ledger.grants import GrantChange, import_grants, last_import_etag
from policies.grants import parse_grants
from tasks.errors import ObjectMissing
from tasks.resources import Resources


@dataclass(frozen=True, slots=True)
class ContractsRead:
    """What an import found: the source, and what changed (None: nothing new, or no contracts table there)."""

    source: str
    change: GrantChange | None


def import_contracts(resources: Resources, actor: str, flow_run_id: str | None = None) -> ContractsRead:
    """Bring the ledger's grants to what the contracts table says, if it changed since the last import.

    Without a table there are no contracts: by default deny, nothing is cleared. Raises `GrantsInvalid` with every
    problem of the file; the grants of the last good import then stay in force.
    """
    bucket, key = resources.settings.s3.buckets.workspace, resources.settings.contracts
    source = f"s3://{bucket}/{key}"
    etag = resources.storage.etag_of(bucket, key)
    with resources.ledger.reading() as connection:
        known = last_import_etag(connection, source)
    if etag is None or etag == known:
        return ContractsRead(source, None)
    try:
        data = resources.storage.read(bucket, key)
    except ObjectMissing:
        return ContractsRead(source, None)
    grants = parse_grants(data, key)
    latest = {one.id: one for one in sorted(grants, key=lambda one: one.revision)}
    bodies = {name: canonical_json(one.model_dump(mode="json")).decode() for name, one in latest.items()}
    with resources.ledger.writing(resources.origin(actor, flow_run_id)) as tx:
        change = import_grants(tx, source, etag, hashlib.sha256(data).hexdigest(), bodies)
    return ContractsRead(source, change)
