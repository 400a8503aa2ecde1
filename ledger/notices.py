"""The outbox: what people are to be told, written in the transaction that does what they are told of."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

import sqlalchemy as sa

from ledger import tables
from ledger.canonical import canonical_json
from ledger.transaction import Transaction


def write_notices(
    tx: Transaction,
    kind: str,
    occasion: str,
    people: Iterable[int],
    body: Mapping[str, Any],
    *,
    review_id: int | None = None,
    version_id: int | None = None,
) -> None:
    """Put one notice for each of these people into the outbox, about a review or about a version.

    `occasion` names what happened, once for all time: the same notice twice to one person is refused by the database.
    `body` is what a message can be made of; no names or addresses of people belong in it.
    """
    told = sorted(set(people))
    tx.insert(
        tables.notices,
        [
            {
                "notice_id": notice_id,
                "person_id": person_id,
                "kind": kind,
                "occasion": occasion,
                "review_id": review_id,
                "version_id": version_id,
                "body": canonical_json(dict(body)).decode(),
                "created_at": tx.origin.at,
                "state": "waiting",
            }
            for notice_id, person_id in zip(tx.number(tables.notices, len(told)), told, strict=True)
        ],
    )


def waiting_notices(connection: sa.Connection) -> list[Any]:
    """Rows of the notices that nobody has been sent yet, oldest first."""
    notices = tables.notices
    query = sa.select(notices).where(notices.c.state == "waiting").order_by(notices.c.notice_id)
    return list(connection.execute(query))
