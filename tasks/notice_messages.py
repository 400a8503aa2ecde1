"""Which messages the outbox makes: what goes together, to whom by which channel, what has become pointless."""

from __future__ import annotations

import hashlib
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Final

from ledger.outbox import Notice, groups_of_people, name_of
from ledger.review_items import QUARANTINE
from policies.errors import PolicyInvalid
from policies.notice_text import MessageText, Told, message_text, stand_in_text
from tasks.receipts import receipt_text
from tasks.resources import Resources
from tasks.settings import NoticeSettings

_PERSONAL: Final = frozenset({"receipt", "security", "delegated"})
"""Kinds that are nobody else's business: never told in a room."""
_WHILE_IT_WAITS: Final = frozenset({"opened", "remind", "escalate"})

Route = tuple[tuple[str, str | None], ...]
"""(channel, address of a person or None) by which a message may go; the first that takes it has it."""


@dataclass(frozen=True, slots=True)
class Message:
    """What goes out together: where to, and what. `again`: the id of an attempt that was never reported on."""

    route: Route
    notices: tuple[Notice, ...]
    again: str | None = None

    @property
    def message_id(self) -> str:
        """Names the message by what is in it, so that it is the same when it is tried again."""
        named = "|".join(f"{one.notice_id} {one.created_at.isoformat()}" for one in self.notices)
        return self.again or f"signoff-{hashlib.sha256(named.encode()).hexdigest()[:32]}"


def plan_messages(resources: Resources, notices: Sequence[Notice]) -> tuple[list[Message], list[Notice]]:
    """Which messages are due now, and the notices that no channel reaches.

    A message that somebody had in hand and never reported on is due again as it was. Of the rest, what is due takes
    along what waits for company and was not tried before.
    """
    settings, now = resources.settings.notices, resources.clock.now()
    free = [
        one
        for one in notices
        if (one.claimed_until is None or one.claimed_until <= now) and not why_pointless(one, settings, now)
    ]
    routes = _routes_of(resources, free)
    unreachable = [one for one in free if not routes[one.notice_id]]
    again: dict[str, list[Notice]] = {}
    together: dict[Route, list[Notice]] = {}
    for one in free:
        if one.message is not None:
            again.setdefault(one.message, []).append(one)
        elif routes[one.notice_id]:
            together.setdefault(routes[one.notice_id], []).append(one)
    messages = [
        Message(routes[group[0].notice_id], tuple(group), message)
        for message, group in again.items()
        if routes[group[0].notice_id] and all(_is_due(one, settings, now) for one in group)
    ]
    for route, group in together.items():
        if any(_is_due(one, settings, now) for one in group):
            taken = [one for one in group if _is_due(one, settings, now) or one.attempts == 0]
            messages.append(Message(route, tuple(taken)))
    return messages, unreachable


def compose(resources: Resources, message: Message, *, chat: bool, limit: int) -> MessageText:
    """The text of a message: what several people of a room are told is said once."""
    told = {(one.kind, one.occasion): _told(resources, one) for one in message.notices}
    return message_text(list(told.values()), resources.clock.now(), chat=chat, limit=limit)


def _told(resources: Resources, notice: Notice) -> Told:
    body = notice.body
    if notice.kind == "receipt" and "first" in body:
        body = {"text": receipt_text(resources, notice.person_id, body, notice.review_id)}
    if notice.kind == "delegated" and "principal" in body:
        body = {"text": _stand_in(resources, body)}
    link = body.get("link")
    if notice.review_waits and notice.flow_run_id and resources.settings.prefect.api_url:
        link = resources.prefect.run_url(notice.flow_run_id)
    due = body.get("due_at")
    due_at = notice.due_at if notice.review_waits else datetime.fromisoformat(due) if due else None
    shown = link if isinstance(link, str) and link.startswith(("http://", "https://")) else None
    return Told(notice.kind, body, due_at, notice.review_id, notice.key, shown)


def _stand_in(resources: Resources, body: Mapping[str, Any]) -> str:
    with resources.ledger.reading() as connection:
        principal = name_of(connection, int(body["principal"]))
    starts_at = datetime.fromisoformat(body["from"]) if body.get("from") else None
    return stand_in_text(principal, starts_at, datetime.fromisoformat(body["until"]))


def why_pointless(notice: Notice, settings: NoticeSettings, now: datetime) -> str | None:
    """Why nobody needs to be told this any more, or can be; None while it waits its turn."""
    if notice.claimed_until is not None and notice.claimed_until > now:
        return None
    if notice.has_left:
        return "the person has left"
    if notice.kind in _WHILE_IT_WAITS and notice.review_id is not None and not notice.review_waits:
        return "its review was decided before"
    if notice.attempts >= settings.attempts:
        attempts = "1 attempt" if notice.attempts == 1 else f"{notice.attempts} attempts"
        return f"{attempts} failed: {notice.last_error or 'nobody knows how'}"
    if now - notice.created_at > timedelta(days=settings.keep_days):
        return f"no channel reached the person within {settings.keep_days} days"
    return None


def _is_due(notice: Notice, settings: NoticeSettings, now: datetime) -> bool:
    if notice.next_attempt_at is not None:
        return notice.next_attempt_at <= now
    return notice.attempts > 0 or notice.created_at + settings.hold(notice.kind) <= now


def every_route(settings: NoticeSettings, handle: str, email: str | None, groups: Collection[str]) -> Route:
    """Each channel by which a person may be told of something, in the order in which they are looked for."""
    own = [(name, None) for name in settings.people.get(handle, ())]
    rooms = [(name, None) for group, names in settings.groups.items() if group in groups for name in names]
    mail = [(settings.mail, email)] if settings.mail and email and not own else []
    return tuple(dict.fromkeys([*own, *([] if own else rooms), *mail]))


def _routes_of(resources: Resources, notices: Sequence[Notice]) -> dict[int, Route]:
    """Notice → its route: the person's own channels, else their group's room, else their address in the roster."""
    settings = resources.settings.notices
    groups: Mapping[int, frozenset[str]] = {}
    if settings.groups and notices:
        with resources.ledger.reading() as connection:
            groups = groups_of_people(connection)
    return {one.notice_id: _route(resources, one, groups.get(one.person_id, frozenset())) for one in notices}


def _route(resources: Resources, notice: Notice, groups: frozenset[str]) -> Route:
    settings = resources.settings.notices
    if own := settings.people.get(notice.handle):
        return tuple((name, None) for name in own)
    if notice.kind not in _PERSONAL and (room := _room(resources, notice, groups)):
        return tuple((name, None) for name in settings.groups[room])
    return ((settings.mail, notice.email),) if settings.mail and notice.email else ()


def _room(resources: Resources, notice: Notice, groups: frozenset[str]) -> str | None:
    """The group in whose room a notice belongs: the one it names, else the one its stage asks, else one of theirs."""
    rooms = [group for group in resources.settings.notices.groups if group in groups]
    asked = notice.body.get("group") or (_asked(resources, notice) if len(rooms) > 1 else None)
    return str(asked) if asked in rooms else next(iter(rooms), None)


def _asked(resources: Resources, notice: Notice) -> str | None:
    if notice.policy_sha256 is None:
        return None
    try:
        policy = resources.policy(notice.policy_sha256)
    except PolicyInvalid:
        return None
    if notice.stage == QUARANTINE:
        return policy.screening.quarantine.owner
    return next((stage.reviewers for stage in policy.approval.stages if stage.name == notice.stage), None)
