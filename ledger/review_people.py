"""Who may decide in a review, and for whom, read from the ledger."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import sqlalchemy as sa

from ledger import tables
from ledger.asked_people import asked_pairs
from ledger.review_items import ReviewedItem
from ledger.transaction import batches


@dataclass(frozen=True, slots=True)
class EligiblePerson:
    """Somebody who may decide in a review, and for whom."""

    person_id: int
    handle: str
    name: str
    on_behalf_of: int
    on_behalf_name: str
    has_decided: bool


def people_of_versions(
    connection: sa.Connection, review_ids: Sequence[int], now: datetime | None
) -> dict[int, tuple[EligiblePerson, ...]]:
    """By review of versions, who may decide there, each with whom they stand for; any one of them decides."""
    pairs = asked_pairs(connection, review_ids, now)
    names = _names(connection, {person for ones in pairs.values() for pair in ones for person in pair})
    return {one: _people_of({one: set(pairs.get(one, ()))}, names, set()) for one in review_ids}


def people_of_gates(
    connection: sa.Connection, items: Mapping[int, Sequence[ReviewedItem]]
) -> dict[int, tuple[EligiblePerson, ...]]:
    """By review, people eligible at any of its open gates, each with whom they stand for.

    `has_decided` if at all of them. Where no gate is open any more, it is those of all gates.
    """
    asked = {
        review_id: [item.gate_id for item in ones if item.is_open] or [item.gate_id for item in ones]
        for review_id, ones in items.items()
    }
    gate_ids = [gate_id for ones in asked.values() for gate_id in ones]
    decisions = tables.decisions
    pairs = eligible_pairs(connection, gate_ids)
    names = _names(connection, {person_id for gate in pairs.values() for pair in gate for person_id in pair})
    decided: set[tuple[int, int]] = set()
    for batch in batches(gate_ids):
        ask = sa.select(decisions).where(decisions.c.gate_id.in_(batch), decisions.c.counted)
        for row in connection.execute(ask):
            decided.update(((row.gate_id, row.person_id), (row.gate_id, row.on_behalf_of)))
    return {
        review_id: _people_of({one: pairs[one] for one in ones if one in pairs}, names, decided)
        for review_id, ones in asked.items()
    }


def _names(connection: sa.Connection, person_ids: Iterable[int]) -> dict[int, Any]:
    people, found = tables.people, dict[int, Any]()
    for batch in batches(person_ids):
        query = sa.select(people).where(people.c.person_id.in_(batch))
        found.update({row.person_id: row for row in connection.execute(query)})
    return found


def _people_of(
    pairs: Mapping[int, set[tuple[int, int]]], names: Mapping[int, Any], decided: set[tuple[int, int]]
) -> tuple[EligiblePerson, ...]:
    """Each with whom they stand for; one person acts once in a gate, and one principal counts once."""
    everyone = {pair for gate in pairs.values() for pair in gate}
    return tuple(
        EligiblePerson(
            person_id=person_id,
            handle=names[person_id].handle,
            name=names[person_id].name or names[person_id].handle,
            on_behalf_of=principal_id,
            on_behalf_name=names[principal_id].name or names[principal_id].handle,
            has_decided=all(
                (gate_id, person_id) in decided or (gate_id, principal_id) in decided
                for gate_id, gate in pairs.items()
                if (person_id, principal_id) in gate
            ),
        )
        for person_id, principal_id in sorted(everyone, key=lambda pair: (names[pair[0]].handle, pair))
    )


def eligible_pairs(connection: sa.Connection, gate_ids: Iterable[int]) -> dict[int, set[tuple[int, int]]]:
    """(person, on behalf of) pairs that may decide at each gate: eligibility not revoked, both still in the roster."""
    eligible, people, principal = tables.gate_eligible, tables.people, tables.people.alias("principal")
    found: dict[int, set[tuple[int, int]]] = {}
    for batch in batches(gate_ids):
        query = (
            sa.select(eligible)
            .join(people, people.c.person_id == eligible.c.person_id)
            .join(principal, principal.c.person_id == eligible.c.on_behalf_of)
            .where(
                eligible.c.gate_id.in_(batch),
                eligible.c.revoked_at.is_(None),
                people.c.left_at.is_(None),
                principal.c.left_at.is_(None),
            )
        )
        for row in connection.execute(query):
            found.setdefault(row.gate_id, set()).add((row.person_id, row.on_behalf_of))
    return found
