"""The roster in the ledger: people and groups, imported from a file, every change of it audited."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import sqlalchemy as sa

from ledger import tables
from ledger.errors import UnknownName
from ledger.transaction import Draft, Transaction


@dataclass(frozen=True, slots=True)
class RosterPerson:
    """A person of the roster file."""

    handle: str
    name: str
    email: str | None = None


@dataclass(frozen=True, slots=True)
class RosterChange:
    """What an import changed."""

    joined: tuple[str, ...]
    left: tuple[str, ...]
    added: tuple[tuple[str, str], ...]
    """(group, handle)"""
    removed: tuple[tuple[str, str], ...]

    @property
    def is_empty(self) -> bool:
        """Whether the ledger said all of it already."""
        return not (self.joined or self.left or self.added or self.removed)


def import_roster(tx: Transaction, people: Sequence[RosterPerson], groups: Mapping[str, Sequence[str]]) -> RosterChange:
    """Make the ledger's roster what the file says. Who is missing from it has left: they can no longer decide.

    People are never deleted; somebody who comes back under the same handle is the same person. Each change is one
    event, by person id and group name. Raises `UnknownName` when a group names somebody whom `people` does not.
    """
    handles = {one.handle for one in people}
    for group, named in groups.items():
        strangers = sorted(set(named) - handles)
        if strangers:
            raise UnknownName(
                f"group {group} names {', '.join(strangers)}, whom the roster does not; add them or take them out"
            )
    known = {row.handle: row for row in tx.connection.execute(sa.select(tables.people))}
    joined = _join(tx, people, known)
    left = _leave(tx, {one.handle for one in people}, known)
    ids = {row.handle: row.person_id for row in tx.connection.execute(sa.select(tables.people))}
    added, removed = _regroup(tx, ids, {(group, handle) for group, handles in groups.items() for handle in handles})
    tx.append(
        [
            *(Draft("join_roster", details={"person": ids[handle]}) for handle in joined),
            *(Draft("leave_roster", details={"person": ids[handle]}) for handle in left),
            *(Draft("join_group", details={"person": ids[handle], "group": group}) for group, handle in added),
            *(Draft("leave_group", details={"person": ids[handle], "group": group}) for group, handle in removed),
        ]
    )
    return RosterChange(tuple(joined), tuple(left), tuple(added), tuple(removed))


def person_id_of(connection: sa.Connection, handle: str) -> int | None:
    """The id of a present person, or None."""
    people = tables.people
    return connection.scalar(sa.select(people.c.person_id).where(people.c.handle == handle, people.c.left_at.is_(None)))


def present_people(connection: sa.Connection) -> list[dict[str, Any]]:
    """Everybody of the roster: person_id, handle, name, groups (sorted)."""
    people, memberships = tables.people, tables.memberships
    groups: dict[int, list[str]] = {}
    query = sa.select(memberships).where(memberships.c.removed_at.is_(None)).order_by(memberships.c.group_name)
    for row in connection.execute(query):
        groups.setdefault(row.person_id, []).append(row.group_name)
    rows = connection.execute(sa.select(people).where(people.c.left_at.is_(None)).order_by(people.c.handle))
    return [
        {"person_id": row.person_id, "handle": row.handle, "name": row.name, "groups": groups.get(row.person_id, [])}
        for row in rows
    ]


def present_delegations(connection: sa.Connection, now: datetime) -> list[dict[str, Any]]:
    """Delegations that run or are still to come: principal and delegate by handle, from when until when."""
    delegations, people = tables.delegations, tables.people
    principal, delegate = people.alias(), people.alias()
    query = (
        sa.select(principal.c.handle, delegate.c.handle.label("to"), delegations.c.starts_at, delegations.c.ends_at)
        .join(principal, principal.c.person_id == delegations.c.principal_id)
        .join(delegate, delegate.c.person_id == delegations.c.delegate_id)
        .where(principal.c.left_at.is_(None), delegate.c.left_at.is_(None))
        .where(delegations.c.revoked_at.is_(None), delegations.c.ends_at > now)
        .order_by(delegations.c.delegation_id)
    )
    return [
        {"principal": row.handle, "delegate": row.to, "from": row.starts_at, "until": row.ends_at}
        for row in connection.execute(query)
    ]


def _join(tx: Transaction, wanted: Sequence[RosterPerson], known: Mapping[str, Any]) -> list[str]:
    people = tables.people
    fresh = [one for one in wanted if one.handle not in known]
    tx.insert(
        people,
        [
            {
                "person_id": person_id,
                "handle": one.handle,
                "name": one.name,
                "email": one.email,
                "joined_at": tx.origin.at,
            }
            for person_id, one in zip(tx.number(people, len(fresh)), fresh, strict=True)
        ],
    )
    joined = [one.handle for one in fresh]
    for one in wanted:
        row = known.get(one.handle)
        if row is None:
            continue
        if row.left_at is not None:
            joined.append(one.handle)
        if (row.name, row.email, row.left_at) != (one.name, one.email, None):
            tx.connection.execute(
                people.update()
                .where(people.c.person_id == row.person_id)
                .values(name=one.name, email=one.email, left_at=None)
            )
    return joined


def _leave(tx: Transaction, wanted: set[str], known: Mapping[str, Any]) -> list[str]:
    people = tables.people
    left = [handle for handle, row in known.items() if row.left_at is None and handle not in wanted]
    for handle in left:
        tx.connection.execute(
            people.update().where(people.c.person_id == known[handle].person_id).values(left_at=tx.origin.at)
        )
    return left


def _regroup(
    tx: Transaction, ids: Mapping[str, int], wanted: set[tuple[str, str]]
) -> tuple[list[tuple[str, str]], list[tuple[str, str]]]:
    memberships = tables.memberships
    handles = {person_id: handle for handle, person_id in ids.items()}
    present = {
        (row.group_name, handles[row.person_id]): row.membership_id
        for row in tx.connection.execute(sa.select(memberships).where(memberships.c.removed_at.is_(None)))
    }
    added = sorted(wanted - present.keys())
    removed = sorted(present.keys() - wanted)
    tx.insert(
        memberships,
        [
            {"membership_id": key, "group_name": group, "person_id": ids[handle], "added_at": tx.origin.at}
            for key, (group, handle) in zip(tx.number(memberships, len(added)), added, strict=True)
        ],
    )
    if removed:
        ended_at = max(tx.origin.at, _last_event_at(tx) or tx.origin.at)  # a clock that jumps back ends nothing earlier
        ids_removed = [present[pair] for pair in removed]
        tx.connection.execute(
            memberships.update().where(memberships.c.membership_id.in_(ids_removed)).values(removed_at=ended_at)
        )
    return added, removed


def _last_event_at(tx: Transaction) -> datetime | None:
    events = tables.events
    return tx.connection.scalar(sa.select(events.c.at).order_by(events.c.seq.desc()).limit(1))
