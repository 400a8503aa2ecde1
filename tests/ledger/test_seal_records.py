"""The ledger's own record of seals and of exchanged keys, on both databases."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import UTC, datetime

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from ledger.engine import Ledger
from ledger.errors import RuleBroken
from ledger.seal import BEFORE_THE_FIRST, Seal, SignedSeal, public_text, sign_seal
from ledger.seal_records import (
    RecordedSeal,
    ToldChange,
    count_recorded,
    hashes_at,
    last_recorded,
    record_seal,
    recorded_keys,
    tell_key,
    tell_place,
    told_changes,
)
from ledger.transaction import Origin
from ledger.verify import hash_at, last_event, told_at, verify_chain
from tests.ledger.approval_world import ApprovalWorld

KEY = Ed25519PrivateKey.from_private_bytes(b"k" * 32)
NOW = datetime(2027, 1, 1, tzinfo=UTC)
ORIGIN = Origin("system:seal_ledger", NOW)


def sealed(ledger: Ledger, seq: int, before: SignedSeal | None = None) -> SignedSeal:
    """A seal of an event, following another one."""
    with ledger.reading() as connection:
        digest = hash_at(connection, seq) or "ff" * 32
    number, previous = (before.seal.number + 1, before.seal.digest) if before else (1, BEFORE_THE_FIRST)
    return sign_seal(Seal(number, seq, digest, NOW, previous, public_text(KEY)), KEY)


def recorded(ledger: Ledger) -> RecordedSeal:
    """The newest one."""
    with ledger.reading() as connection:
        return last_recorded(connection, "archive", "seals/")


def put(ledger: Ledger, signed: SignedSeal) -> bool:
    """Record one."""
    with ledger.writing(ORIGIN) as tx:
        return record_seal(tx, signed, "archive", f"seals/{signed.seal.number}", None)


def test_seals_are_recorded_once_and_in_order(world: ApprovalWorld) -> None:
    """Recording the same one again changes nothing; one that names another event, or an old one, is refused."""
    ledger = world.ledger
    world.published("spring/a.jpg", "one")
    assert recorded(ledger) == RecordedSeal()
    first = sealed(ledger, 2)
    assert (put(ledger, first), put(ledger, first)) == (True, False)
    assert recorded(ledger) == RecordedSeal(1, 2, first.seal.body.decode())
    second = sealed(ledger, 4, first)
    wrong = [
        replace(second, seal=replace(second.seal, hash="ff" * 32)),
        replace(second, seal=replace(second.seal, seq=2)),
    ]
    for one in wrong:
        with pytest.raises(RuleBroken, match="rule 1: a seal follows the one before"):
            put(ledger, one)
    assert put(ledger, second)
    assert recorded(ledger).number == 2
    with ledger.reading() as connection:
        assert last_recorded(connection, "archive", "seals_") == RecordedSeal()
        places = ((None, ""), ("archive", "seals/"), ("archive", "s%"), ("other", "seals/"))
        assert [count_recorded(connection, *one) for one in places] == [2, 2, 0, 0]


def test_another_key_is_told_of_once(world: ApprovalWorld) -> None:
    """One event a key, found again by the run that goes on after a kill."""
    ledger = world.ledger
    with ledger.reading() as connection:
        before = last_event(connection)
    for public_key, expected in (("b" * 64, True), ("b" * 64, False), ("c" * 64, True)):
        with ledger.writing(ORIGIN) as tx:
            said = tell_key(tx, "announce_seal_key", public_key=public_key, before="a" * 64, after_seq=before)
        assert said is expected
    with ledger.reading() as connection:
        assert last_event(connection) == before + 2
        assert verify_chain(connection).damage is None
        assert told_at(connection, before + 1) == NOW
        assert told_at(connection, before + 3) is None
        body = connection.exec_driver_sql(f"SELECT body FROM events WHERE seq = {before + 1}").scalar_one()
    assert json.loads(body)["details"] == {"before": "a" * 64, "public_key": "b" * 64}


def test_changes_of_place_and_key_are_read_back(world: ApprovalWorld) -> None:
    """From columns or from hashed bodies alone, up to an event; what has no such action is left out."""
    ledger = world.ledger
    world.published("spring/a.jpg", "move_seals")
    put(ledger, sealed(ledger, 2))
    with ledger.writing(ORIGIN) as tx:
        assert tell_place(tx, place="s3://b/", before=["s3://a/"])
        assert not tell_place(tx, place="s3://b/", before=["s3://a/"])
        assert tell_key(tx, "replace_seal_key", public_key="b" * 64, before="a" * 64, after_seq=2)
    with ledger.reading() as connection:
        last = last_event(connection)
        moved = ToldChange(last - 1, NOW, ORIGIN.actor, "move_seals", {"place": "s3://b/", "before": ["s3://a/"]})
        replaced = ToldChange(last, NOW, ORIGIN.actor, "replace_seal_key", {"before": "a" * 64, "public_key": "b" * 64})
        for columns in (True, False):
            assert told_changes(connection, columns=columns) == [moved, replaced]
            assert told_changes(connection, last - 1, columns=columns) == [moved]
        assert recorded_keys(connection) == [("archive", "seals/1")]
        assert hashes_at(connection, [2, last, last + 1]) == {one: hash_at(connection, one) for one in (2, last)}
