"""Verifying who people are to the ledger: who is there, in which groups, who stands in for whom, and who can sign."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime
from typing import Any, Final

import sqlalchemy as sa

from ledger import tables
from ledger.tables import to_micros
from ledger.told_events import Mismatch, details_of, plain, streamed

_ROSTER: Final = ("join_roster", "leave_roster", "join_group", "leave_group", "forget_person")
_PARTS: Final = ("delegate", "undelegate", "forget_person")
_SECRETS: Final = ("begin_enrolment", "confirm_enrolment", "end_enrolment")


def people_mismatches(connection: sa.Connection) -> Iterator[Mismatch]:
    """People, groups, delegations, authenticators and used codes that the events do not tell, or tell otherwise."""
    yield from _roster(connection)
    yield from _delegations(connection)
    yield from _secrets(connection)
    yield from _used_codes(connection)


def _roster(connection: sa.Connection) -> Iterator[Mismatch]:
    """Who is there, and each membership: begun by one event, ended by the next one."""
    people, memberships = tables.people, tables.memberships
    present: dict[Any, bool] = {}
    told: dict[tuple[Any, Any], list[bool]] = {}
    begun: dict[tuple[Any, Any], list[int]] = {}
    for row in _told(connection, _ROSTER):
        details = details_of(row.body)
        person, pair = details.get("person"), (details.get("person"), details.get("group"))
        if row.action == "join_group":
            told.setdefault(pair, []).append(False)
            begun.setdefault(pair, []).append(row.at)
        elif row.action == "leave_group" and told.get(pair):
            told[pair][-1] = True
        elif row.action in ("join_roster", "leave_roster"):
            present[person] = row.action == "join_roster"
    recorded = sa.select(people.c.person_id, people.c.left_at.is_(None)).order_by(people.c.person_id)
    for person, is_there in connection.execute(recorded):
        if present.pop(person, None) != bool(is_there):
            yield Mismatch("people", str(person), "that this person is there, or has left, is not what the events tell")
    for person in present:
        yield Mismatch("people", str(person), "an event tells of a person who is not recorded")
    query = sa.select(
        memberships.c.membership_id,
        memberships.c.person_id,
        memberships.c.group_name,
        plain(memberships.c.added_at),
        memberships.c.removed_at.is_not(None),
    )
    for key, person, group, added, is_over in connection.execute(query.order_by(memberships.c.membership_id)):
        pair = (person, group)
        expected = (begun[pair].pop(0), told[pair].pop(0)) if begun.get(pair) else None
        if expected != (added, bool(is_over)):
            yield Mismatch("memberships", str(key), "no event tells that it began and ended like this")
    for (person, group), left in begun.items():
        if left:
            yield Mismatch("memberships", f"{person} {group}", "an event tells a membership that is not recorded")


def _delegations(connection: sa.Connection) -> Iterator[Mismatch]:
    table = tables.delegations
    told: dict[Any, tuple[Any, ...]] = {}
    over, forgotten = set(), set()
    for row in _told(connection, _PARTS):
        details = details_of(row.body)
        if row.action == "delegate":
            told[details.get("delegation")] = (
                details.get("principal"), details.get("delegate"),
                _instant(details.get("from")), _instant(details.get("until")),
            )  # fmt: skip
        elif row.action == "undelegate":
            over.add(details.get("delegation"))
        else:
            forgotten.add(details.get("person"))
    query = sa.select(
        table.c.delegation_id,
        table.c.principal_id,
        table.c.delegate_id,
        plain(table.c.starts_at),
        plain(table.c.ends_at),
        table.c.revoked_at.is_not(None),
    )
    for number, *terms, is_over in connection.execute(query.order_by(table.c.delegation_id)):
        ends = number in over or not forgotten.isdisjoint(terms[:2])
        if told.pop(number, None) != tuple(terms) or bool(is_over) != ends:
            yield Mismatch("delegations", str(number), "no event tells that it was handed over, or ended, like this")
    for number in told:
        yield Mismatch("delegations", str(number), "an event tells a delegation that is not recorded")


def _secrets(connection: sa.Connection) -> Iterator[Mismatch]:
    """Whose each authenticator is, whether it was confirmed and has ended; without a code it may just be dropped."""
    secrets = tables.signing_secrets
    told: dict[Any, tuple[Any, str]] = {}
    for row in _told(connection, _SECRETS):
        details = details_of(row.body)
        state = {"begin_enrolment": "pending", "confirm_enrolment": "active"}.get(row.action, "ended")
        told[details.get("secret")] = (details.get("person"), state)
    query = sa.select(secrets.c.secret_id, secrets.c.person_id, secrets.c.state, secrets.c.ended_for)
    for row in connection.execute(query.order_by(secrets.c.secret_id)):
        person, state = told.pop(row.secret_id, (None, ""))
        dropped = state == "pending" and (row.state, row.ended_for) == ("ended", "dropped")
        if person != row.person_id or (state != row.state and not dropped):
            yield Mismatch("signing_secrets", str(row.secret_id), "it is not this person's, or stands otherwise")
    for number in told:
        yield Mismatch("signing_secrets", str(number), "an event tells of an authenticator that is not recorded")


def _used_codes(connection: sa.Connection) -> Iterator[Mismatch]:
    """Each code that an event of a person's answer tells was used up for that review."""
    events, used = tables.events, tables.used_codes
    rows = connection.execute(sa.select(used.c.person_id, used.c.step, used.c.review_id))
    codes = {tuple(row) for row in rows}
    signed = events.c.body.contains('"signed_step":', autoescape=True) & events.c.actor.like("person:%")
    query = sa.select(events.c.seq, events.c.actor, events.c.body).where(signed).order_by(events.c.seq)
    for row in streamed(connection, query):
        details = details_of(row.body)
        person = row.actor.partition(":")[2]
        code = (int(person) if person.isdecimal() else None, details.get("signed_step"), details.get("review"))
        if "review" in details and code not in codes:
            yield Mismatch("used_codes", str(row.seq), "the code that this event tells was not used up for its review")


def _told(connection: sa.Connection, actions: tuple[str, ...]) -> Iterator[Any]:
    events = tables.events
    query = sa.select(events.c.action, plain(events.c.at).label("at"), events.c.body)
    return streamed(connection, query.where(events.c.action.in_(actions)).order_by(events.c.seq))


def _instant(text: Any) -> int | None:
    try:
        return to_micros(datetime.fromisoformat(text))
    except (ValueError, TypeError):
        return None
