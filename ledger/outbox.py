"""The outbox as its sender sees it: what waits, who has it in hand, what was sent or given up, what is tried anew."""

from __future__ import annotations

import json
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

import sqlalchemy as sa

from ledger import tables
from ledger.errors import UnknownName
from ledger.transaction import Draft, Transaction, among

_AT_ONCE: Final = 50_000


@dataclass(frozen=True, slots=True)
class Notice:
    """A notice, the person it is for, and how what it is about stands now.

    `review_waits`: its review is open; `flow_run_id`: the run in which that is answered now. `key` is its version's.
    """

    notice_id: int
    person_id: int
    handle: str
    email: str | None
    has_left: bool
    kind: str
    occasion: str
    body: Mapping[str, Any]
    created_at: datetime
    state: str
    attempts: int
    last_error: str | None
    next_attempt_at: datetime | None
    claimed_until: datetime | None
    message: str | None
    channel: str | None
    closed_at: datetime | None
    review_id: int | None
    version_id: int | None
    review_waits: bool
    stage: str | None
    policy_sha256: str | None
    due_at: datetime | None
    flow_run_id: str | None
    key: str | None


def load_notices(
    connection: sa.Connection,
    *,
    states: Collection[str] = ("waiting",),
    handle: str | None = None,
    newest: int | None = None,
) -> list[Notice]:
    """Notices in these states (all states, if none is named), of one person if a handle is given, oldest first.

    `newest`: no more than the last so many; without it the first 50,000.
    """
    notices, people = tables.notices, tables.people
    query = _query().order_by(notices.c.notice_id.desc() if newest else notices.c.notice_id).limit(newest or _AT_ONCE)
    if states:
        query = query.where(notices.c.state.in_(sorted(states)))
    if handle is not None:
        query = query.where(people.c.handle == handle)
    found = [_notice(row) for row in connection.execute(query)]
    return found[::-1] if newest else found


def load_notice(connection: sa.Connection, notice_id: int) -> Notice:
    """One notice. Raises `UnknownName` when there is none with this number."""
    row = connection.execute(_query().where(tables.notices.c.notice_id == notice_id)).one_or_none()
    if row is None:
        raise UnknownName(f"there is no notice {notice_id}; `signoff notices list` shows those there are")
    return _notice(row)


def groups_of_people(connection: sa.Connection) -> dict[int, frozenset[str]]:
    """Person → groups that they are in now."""
    memberships = tables.memberships
    found: dict[int, set[str]] = {}
    for row in connection.execute(sa.select(memberships).where(memberships.c.removed_at.is_(None))):
        found.setdefault(row.person_id, set()).add(row.group_name)
    return {person: frozenset(groups) for person, groups in found.items()}


def addressee(connection: sa.Connection, handle: str) -> tuple[int, str | None]:
    """(id, address) of somebody in the roster. Raises `UnknownName`."""
    people = tables.people
    row = connection.execute(
        sa.select(people).where(people.c.handle == handle, people.c.left_at.is_(None))
    ).one_or_none()
    if row is None:
        raise UnknownName(f"nobody in the roster has the handle {handle!r}; `signoff people list` shows who is there")
    return row.person_id, row.email


def name_of(connection: sa.Connection, person_id: int) -> str | None:
    """What somebody is called, at this moment; None once they were forgotten."""
    people = tables.people
    return connection.scalar(sa.select(people.c.name).where(people.c.person_id == person_id))


def claim_notices(tx: Transaction, notice_ids: Sequence[int], message: str, until: datetime) -> bool:
    """Take notices in hand, to send them as this message; False if another sender has one of them, or had.

    Nobody else takes them before `until`. Each attempt counts from here on, whether its end is ever heard of or not.
    """
    notices = tables.notices
    these = sa.and_(
        among(tx.connection, notices.c.notice_id, notice_ids),
        notices.c.state == "waiting",
        sa.or_(notices.c.claimed_until.is_(None), notices.c.claimed_until <= tx.origin.at),
    )
    if tx.connection.scalar(sa.select(sa.func.count()).select_from(notices).where(these)) != len(notice_ids):
        return False
    tx.connection.execute(
        notices.update().where(these).values(message=message, claimed_until=until, attempts=notices.c.attempts + 1)
    )
    return True


def mark_sent(tx: Transaction, notice_ids: Sequence[int], message: str, channel: str) -> None:
    """Close notices that went out in this message; those closed meanwhile (a person was forgotten) stay as they are.

    `channel` is the kind of channel, such as `mailto`; no address.
    """
    ids = _held(tx, notice_ids, message)
    notices = tables.notices
    tx.connection.execute(
        notices.update()
        .where(among(tx.connection, notices.c.notice_id, ids))
        .values(state="sent", closed_at=tx.origin.at, channel=channel, claimed_until=None, last_error=None)
    )
    details = {"message": message, "channel": channel, "notices": ids}
    tx.append([Draft("send_notices", details=details)] if ids else [])


def mark_failed(
    tx: Transaction, next_attempts: Mapping[int, datetime], message: str, error: str, *, perhaps_sent: bool
) -> None:
    """Note that this message did not go out, and when each of its notices is tried again.

    `perhaps_sent`: nobody knows; then they are tried again as the same message, so that a receiver can tell.
    """
    notices = tables.notices
    for notice_id in _held(tx, list(next_attempts), message):
        tx.connection.execute(
            notices.update()
            .where(notices.c.notice_id == notice_id)
            .values(
                next_attempt_at=next_attempts[notice_id],
                last_error=error,
                claimed_until=None,
                message=message if perhaps_sent else None,
            )
        )


def give_up_notices(tx: Transaction, reasons: Mapping[int, str]) -> None:
    """Close notices that nobody will be sent, each with its reason; those that are closed stay as they are."""
    notices = tables.notices
    for reason in sorted(set(reasons.values())):
        ids = [notice_id for notice_id, why in reasons.items() if why == reason]
        these = sa.and_(among(tx.connection, notices.c.notice_id, ids), notices.c.state == "waiting")
        present = sorted(tx.connection.scalars(sa.select(notices.c.notice_id).where(these)))
        tx.connection.execute(
            notices.update()
            .where(these)
            .values(state="given_up", closed_at=tx.origin.at, last_error=reason, claimed_until=None)
        )
        tx.append([Draft("give_up_notices", reason=reason, details={"notices": present})] if present else [])


def retry_notice(tx: Transaction, notice_id: int) -> int:
    """Have a notice tried at once; one that was given up is written anew. Returns the number of the one that waits.

    Raises `UnknownName` when there is none with this number, or when there is nothing to try.
    """
    notice, notices = load_notice(tx.connection, notice_id), tables.notices
    if notice.state == "waiting":
        tx.connection.execute(notices.update().where(notices.c.notice_id == notice_id).values(next_attempt_at=None))
        return notice_id
    occasion = f"{notice.occasion} again {notice_id}"
    known = sa.select(notices.c.notice_id).where(
        notices.c.person_id == notice.person_id, notices.c.occasion == occasion
    )
    if notice.state == "sent" or notice.has_left or tx.connection.scalar(known) is not None:
        why = {"sent": "was sent"}.get(notice.state, "is for somebody who left")
        raise UnknownName(f"notice {notice_id} {why if notice.state == 'sent' or notice.has_left else 'waits anew'}")
    row = tx.connection.execute(sa.select(notices).where(notices.c.notice_id == notice_id)).one()
    (new_id,) = tx.number(notices)
    kept = ("person_id", "kind", "review_id", "version_id", "body")
    fresh = {"notice_id": new_id, "occasion": occasion, "created_at": tx.origin.at, "state": "waiting"}
    tx.insert(notices, [{**fresh, **{name: row._mapping[name] for name in kept}}])
    tx.append([Draft("retry_notice", details={"notice": notice_id, "anew": new_id})])
    return new_id


def _held(tx: Transaction, notice_ids: Sequence[int], message: str) -> list[int]:
    """Those of these that wait still, in this message."""
    notices = tables.notices
    query = sa.select(notices.c.notice_id).where(
        among(tx.connection, notices.c.notice_id, notice_ids),
        notices.c.state == "waiting",
        notices.c.message == message,
    )
    return sorted(tx.connection.scalars(query))


def _query() -> sa.Select[Any]:
    n, people, reviews, parkings = tables.notices, tables.people, tables.reviews, tables.parkings
    versions, assets = tables.versions, tables.assets
    return (
        sa.select(
            n,
            people.c.handle,
            people.c.email,
            people.c.left_at,
            reviews.c.closed_at.label("review_closed_at"),
            reviews.c.stage,
            reviews.c.policy_sha256,
            reviews.c.due_at,
            parkings.c.flow_run_id,
            assets.c.key,
        )
        .join(people, people.c.person_id == n.c.person_id)
        .outerjoin(reviews, reviews.c.review_id == n.c.review_id)
        .outerjoin(parkings, sa.and_(parkings.c.review_id == n.c.review_id, parkings.c.status == "parked"))
        .outerjoin(versions, versions.c.version_id == n.c.version_id)
        .outerjoin(assets, assets.c.asset_id == versions.c.asset_id)
    )


def _notice(row: Any) -> Notice:
    return Notice(
        notice_id=row.notice_id,
        person_id=row.person_id,
        handle=row.handle,
        email=row.email,
        has_left=row.left_at is not None,
        kind=row.kind,
        occasion=row.occasion,
        body=json.loads(row.body),
        created_at=row.created_at,
        state=row.state,
        attempts=row.attempts,
        last_error=row.last_error,
        next_attempt_at=row.next_attempt_at,
        claimed_until=row.claimed_until,
        message=row.message,
        channel=row.channel,
        closed_at=row.closed_at,
        review_id=row.review_id,
        version_id=row.version_id,
        review_waits=row.review_id is not None and row.review_closed_at is None,
        stage=row.stage,
        policy_sha256=row.policy_sha256,
        due_at=row.due_at,
        flow_run_id=row.flow_run_id,
        key=row.key,
    )
