"""Grants in the ledger: what the contracts table said, revision by revision."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

import sqlalchemy as sa

from ledger import tables
from ledger.transaction import Draft, Transaction


@dataclass(frozen=True, slots=True)
class GrantChange:
    """What an import of grants changed, by grant id."""

    added: tuple[str, ...]
    changed: tuple[str, ...]
    retired: tuple[str, ...]


def last_import_etag(connection: sa.Connection, source: str) -> str | None:
    """ETag of the contracts object that was imported last from `source`, or None."""
    imports = tables.grant_imports
    query = sa.select(imports.c.etag).where(imports.c.source == source)
    return connection.scalar(query.order_by(imports.c.import_id.desc()).limit(1))


def import_grants(tx: Transaction, source: str, etag: str, sha256: str, grants: Mapping[str, str]) -> GrantChange:
    """Make the present grants of `source` exactly `grants` (id → JSON body).

    A changed grant gets a new revision; one that is missing is retired; history stays.
    """
    table = tables.grants
    latest: dict[str, tuple[int, int, str, bool]] = {}
    query = sa.select(table).where(table.c.source == source).order_by(table.c.revision)
    for row in tx.connection.execute(query):
        latest[row.grant_id] = (row.grant_key, row.revision, row.body, row.retired_at is None)
    present = {grant_id: one for grant_id, one in latest.items() if one[3]}
    changed = sorted(
        grant_id for grant_id, body in grants.items() if grant_id in present and present[grant_id][2] != body
    )
    added = sorted(grants.keys() - present.keys())
    retired = sorted(present.keys() - grants.keys())
    for grant_id in (*changed, *retired):
        tx.connection.execute(
            table.update().where(table.c.grant_key == present[grant_id][0]).values(retired_at=tx.origin.at)
        )
    fresh = (*added, *changed)
    tx.insert(
        table,
        [
            {
                "grant_key": key,
                "source": source,
                "grant_id": grant_id,
                "revision": latest[grant_id][1] + 1 if grant_id in latest else 1,
                "body": grants[grant_id],
                "evidence_sha256": sha256,
                "imported_at": tx.origin.at,
            }
            for key, grant_id in zip(tx.number(table, len(fresh)), fresh, strict=True)
        ],
    )
    (import_id,) = tx.number(tables.grant_imports)
    tx.insert(
        tables.grant_imports,
        [
            {
                "import_id": import_id,
                "source": source,
                "etag": etag,
                "sha256": sha256,
                "grants": len(grants),
                "imported_at": tx.origin.at,
            }
        ],
    )
    change = GrantChange(tuple(added), tuple(changed), tuple(retired))
    tx.append(
        [
            Draft(
                "import_grants",
                details={
                    "source": source,
                    "sha256": sha256,
                    "added": list(added),
                    "changed": list(changed),
                    "retired": list(retired),
                    "grants": grants_sha256(grants.items()),
                },
            )
        ]
    )
    return change


def grants_sha256(grants: Iterable[tuple[str, str]]) -> str:
    """A digest of (id, JSON body) of all grants of a source, in whatever order they come.

    >>> grants_sha256([("a", "{}"), ("b", "[]")]) == grants_sha256([("b", "[]"), ("a", "{}")])
    True
    """
    digest = hashlib.sha256()
    for grant_id, body in sorted(grants):
        digest.update(hashlib.sha256(grant_id.encode()).digest() + hashlib.sha256(body.encode()).digest())
    return digest.hexdigest()


def present_grants(connection: sa.Connection) -> list[str]:
    """JSON bodies of every grant that is not retired, in a fixed order."""
    table = tables.grants
    query = sa.select(table.c.body).where(table.c.retired_at.is_(None)).order_by(table.c.source, table.c.grant_id)
    return list(connection.scalars(query))
