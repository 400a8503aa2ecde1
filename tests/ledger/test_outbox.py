"""The outbox on both databases: claimed by one sender at a time, closed once, tried anew under a new number."""

from __future__ import annotations

import json
from datetime import datetime, timedelta
from typing import Any

import pytest

from ledger.errors import UnknownName
from ledger.notices import write_notices
from ledger.outbox import (
    Notice,
    addressee,
    claim_notices,
    give_up_notices,
    groups_of_people,
    load_notice,
    load_notices,
    mark_failed,
    mark_sent,
    retry_notice,
)
from ledger.verify import verify_chain
from tests.ledger.approval_world import ApprovalWorld

HOUR = timedelta(hours=1)


def tell(world: ApprovalWorld, *people: str, occasion: str = "first") -> list[int]:
    """Notices for these people; their numbers."""
    with world.writing() as tx:
        write_notices(tx, "decided", occasion, [world.person(one) for one in people], {"text": "words"})
    return [one.notice_id for one in notices(world) if one.occasion == occasion]


def notices(world: ApprovalWorld, *states: str, **options: Any) -> list[Notice]:
    """What the outbox holds."""
    with world.ledger.reading() as connection:
        return load_notices(connection, states=states, **options)


def claim(world: ApprovalWorld, ids: list[int], message: str, until: datetime | None = None) -> bool:
    """Take notices in hand for an hour."""
    with world.writing() as tx:
        return claim_notices(tx, ids, message, until or tx.origin.at + HOUR)


def test_one_sender_has_a_notice(world: ApprovalWorld) -> None:
    """While a claim lasts nobody else gets any of it; afterwards, and after a failure, the next one does."""
    one, two = tell(world, "lea", "kim")
    assert claim(world, [one, two], "m1")
    assert not claim(world, [two], "m2")
    world.now += 2 * HOUR
    assert claim(world, [two], "m2")
    assert [(each.message, each.attempts) for each in notices(world)] == [("m1", 1), ("m2", 2)]
    with world.writing() as tx:
        mark_sent(tx, [one, two], "m1", "mailto")
    assert [each.state for each in notices(world)] == ["sent", "waiting"], "m1 does not speak for what m2 has"
    with world.writing() as tx:
        mark_failed(tx, {two: tx.origin.at + HOUR}, "m2", "it refused", perhaps_sent=False)
    (waiting,) = notices(world, "waiting")
    assert (waiting.message, waiting.claimed_until, waiting.last_error) == (None, None, "it refused")
    assert waiting.next_attempt_at == world.now + HOUR
    assert claim(world, [two], "m3")
    with world.writing() as tx:
        mark_failed(tx, {two: tx.origin.at}, "m3", "silence", perhaps_sent=True)
    assert [each.message for each in notices(world, "waiting")] == ["m3"]


def test_what_is_closed_stays_and_is_told(world: ApprovalWorld) -> None:
    """Sent and given up are events with numbers alone; neither happens again."""
    one, two, three = tell(world, "lea", "kim", "ole")
    assert claim(world, [one], "m1")
    with world.writing() as tx:
        mark_sent(tx, [one], "m1", "mailto")
        mark_sent(tx, [one], "m1", "slack")
        give_up_notices(tx, {one: "gone", two: "gone", three: "left"})
        give_up_notices(tx, {two: "again"})
    assert not claim(world, [one], "m2")
    closed = [(each.state, each.channel, each.last_error) for each in notices(world)]
    assert closed == [("sent", "mailto", None), ("given_up", None, "gone"), ("given_up", None, "left")]
    told = world.ask("SELECT action, reason, body FROM events WHERE action LIKE '%notices' ORDER BY seq")
    assert [(action, reason, json.loads(body)["details"]) for action, reason, body in told] == [
        ("send_notices", None, {"message": "m1", "channel": "mailto", "notices": [one]}),
        ("give_up_notices", "gone", {"notices": [two]}),
        ("give_up_notices", "left", {"notices": [three]}),
    ]
    with world.ledger.reading() as connection:
        assert verify_chain(connection).damage is None


def test_a_notice_is_tried_anew(world: ApprovalWorld) -> None:
    """What waits is due at once; what was given up is written again, once; what was sent is not."""
    one, two = tell(world, "lea", "kim")
    assert claim(world, [one, two], "m1")
    with world.writing() as tx:
        mark_failed(tx, {one: tx.origin.at + HOUR, two: tx.origin.at + HOUR}, "m1", "no", perhaps_sent=False)
        assert retry_notice(tx, one) == one
        give_up_notices(tx, {two: "enough"})
        three = retry_notice(tx, two)
    assert load(world, one).next_attempt_at is None
    anew = load(world, three)
    assert (anew.handle, anew.kind, anew.body, anew.state, anew.attempts) == (
        "kim",
        "decided",
        {"text": "words"},
        "waiting",
        0,
    )
    for number, said in ((two, f"notice {two} waits anew"), (77, "there is no notice 77")):
        with pytest.raises(UnknownName, match=said), world.writing() as tx:
            retry_notice(tx, number)
    assert claim(world, [three], "m2")
    with world.writing() as tx:
        mark_sent(tx, [three], "m2", "json")
    with pytest.raises(UnknownName, match=f"notice {three} was sent"), world.writing() as tx:
        retry_notice(tx, three)


def load(world: ApprovalWorld, number: int) -> Notice:
    """One notice."""
    with world.ledger.reading() as connection:
        return load_notice(connection, number)


def test_who_is_told_and_where(world: ApprovalWorld) -> None:
    """By state, by person, the newest; the address of somebody in the roster, and their groups."""
    tell(world, "lea", "kim")
    tell(world, "lea", occasion="second")
    assert [(each.handle, each.occasion) for each in notices(world, newest=2)] == [("kim", "first"), ("lea", "second")]
    assert [each.occasion for each in notices(world, "waiting", handle="lea")] == ["first", "second"]
    assert notices(world, "sent") == []
    with world.ledger.reading() as connection:
        assert addressee(connection, "lea") == (world.person("lea"), "lea@example.org")
        assert groups_of_people(connection)[world.person("lea")] == {"brand", "legal"}
        with pytest.raises(UnknownName, match="nobody in the roster has the handle 'zoe'"):
            addressee(connection, "zoe")
