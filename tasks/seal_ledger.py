"""Seal the audit trail: sign where it leads to, put that away under object lock, and record it.

Every step finds out from the store what was done before it. Killed after the signing, nothing has happened; killed
after the put, the next run finds the seal in the store, records it and goes on; run twice, the second finds no news.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Final

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from ledger.seal import BEFORE_THE_FIRST, Seal, SignedSeal, StoredSeal, public_text, read_seal, sign_seal
from ledger.seal_chain import check_seals
from ledger.seal_records import (
    ANNOUNCED,
    REPLACED,
    RecordedSeal,
    last_recorded,
    newest_recorded,
    record_seal,
    tell_key,
    tell_place,
)
from ledger.verify import hash_at, last_event, verify_chain
from tasks.errors import LedgerNotAsSealed, SealKeyUnknown, SealsLost, StorageAway
from tasks.resources import Resources
from tasks.seal_keys import SealKeys, exchange_seal_key, has_seal_key, hold_exchange, make_seal_key, read_seal_keys
from tasks.seal_places import recorded_places
from tasks.seal_store import SealStore

_ATTEMPTS: Final = 3


@dataclass(frozen=True, slots=True)
class Sealed:
    """What a run did: the newest seal (None: nothing has happened yet), whether it is new, how many were recorded late.

    `events` are the events that the new seal covers beyond the one before it.
    """

    seal: Seal | None
    is_new: bool
    events: int
    caught_up: int


def seal_ledger(
    resources: Resources, actor: str, flow_run_id: str | None = None, *, replace_lost: bool = False
) -> Sealed:
    """Seal what has happened since the last seal, if anything has.

    The events in between are verified first: what does not hold is not sealed. With `replace_lost` the present key goes
    on even though nobody announced it. Raises `SealKeyMissing`, `SealKeyExposed`, `SealKeyUnknown`, `SealsUnlocked`,
    `SealsLost`, `LedgerNotAsSealed`, `StorageRefused`; `StorageAway` and the ledger's transient errors.
    """
    store, keys = SealStore(resources.storage, resources.settings), read_seal_keys(resources.settings)
    for _ in range(_ATTEMPTS):
        last, caught_up, over = _catch_up(resources, store, keys, actor, flow_run_id)
        signer, next_key = _signer(keys, last, replace_lost)
        if last and (next_key or (replace_lost and last.key_after != keys.public_key)):
            with resources.ledger.writing(resources.origin(actor, flow_run_id)) as tx:
                action = ANNOUNCED if next_key else REPLACED
                tell_key(tx, action, public_key=keys.public_key, before=last.key_after, after_seq=last.seq)
        if last is None:
            _tell_move(resources, store, keys, actor, flow_run_id, replace_lost=replace_lost)
        seq, head = _verified_head(resources, store, last)
        since = last.seq if last else 0
        if seq == since:
            return Sealed(last, False, 0, caught_up)
        previous = last.digest if last else BEFORE_THE_FIRST
        number = last.number + 1 if last else 1
        now, signs = resources.clock.now(), public_text(signer)
        ledger_id = (last.ledger if last else None) or _first_hash(resources)
        seal = Seal(number, seq, head, now, previous, signs, next_key, store.bucket, store.prefix, ledger_id)
        signed = sign_seal(seal, signer)
        # the lock runs by the store's clock, whatever the workflow's clock says
        version = store.put(signed, datetime.now(UTC), over=over)
        if version is not None:
            with resources.ledger.writing(resources.origin(actor, flow_run_id)) as tx:
                record_seal(tx, signed, store.bucket, store.key(number), version or None)
            return Sealed(seal, True, seq - since, caught_up)
    raise StorageAway(f"others put seals into {store} at the same time, {_ATTEMPTS} times in a row; try again later")


def exchange_key(resources: Resources, actor: str) -> str:
    """Let another key sign from now on: the present one announces it in its last seal. Returns the new public key.

    An exchange that was begun before is finished first; two at the same time are refused. Raises what `seal_ledger`,
    `hold_exchange` and `exchange_seal_key` raise.
    """
    with hold_exchange(resources.settings):
        newest = seal_ledger(resources, actor).seal
        coming = exchange_seal_key(resources.settings, newest.key_after if newest else None)
        seal_ledger(resources, actor)
    return coming


def replace_lost_key(resources: Resources, actor: str) -> Sealed:
    """Go on with the key at hand (a new one where there is none), though the one before announced nothing.

    The event says so, and whoever verifies must pin the new public key too. Raises what `seal_ledger` raises.
    """
    if not has_seal_key(resources.settings):
        make_seal_key(resources.settings.home)
    return seal_ledger(resources, actor, replace_lost=True)


def _catch_up(
    resources: Resources, store: SealStore, keys: SealKeys, actor: str, flow_run_id: str | None
) -> tuple[Seal | None, int, str | None]:
    """The newest seal in the store, how many the ledger had not recorded, the ETag of a stranger's object behind it."""
    with resources.ledger.reading() as connection:
        known = last_recorded(connection, store.bucket, store.prefix)
    stored = list(store.read(after=max(known.number - 1, 0)))
    before = _recorded_seal(stored, known, store) if known.number else None
    news = [one for one in stored if one.number > known.number]
    chain = check_seals(news, keys.public_keys, before)
    last = chain.last or before
    late = _stored_as(chain.seals, news)
    if late:
        _check_events(resources, chain.seals, store)
        with resources.ledger.writing(resources.origin(actor, flow_run_id)) as tx:
            for signed, one in late:
                record_seal(tx, signed, store.bucket, one.key, one.object_version)
    following = last.number + 1 if last else 1
    return last, len(late), next((one.etag for one in news if one.number == following and one.etag), None)


def _tell_move(
    resources: Resources, store: SealStore, keys: SealKeys, actor: str, flow_run_id: str | None, *, replace_lost: bool
) -> None:
    """Seals begin in another place, as after the restore of an older copy: the trail tells of it, and so is longer.

    It tells of another key as well. One that is not here, and that nobody gave up for lost, is not passed over: a copy
    from before the keys were exchanged may be a copy from before much else. Raises `SealKeyUnknown`.
    """
    with resources.ledger.reading() as connection:
        before = newest_recorded(connection)
    if before is None:
        return
    if before.key_after not in keys.public_keys and not replace_lost:
        raise SealKeyUnknown(before.key_after, keys.public_keys)
    with resources.ledger.writing(resources.origin(actor, flow_run_id)) as tx:
        tell_place(tx, place=str(store), before=[str(one) for one in recorded_places(tx.connection, store)])
        if before.key_after != keys.public_key:
            action = ANNOUNCED if before.key_after in keys.public_keys else REPLACED
            tell_key(tx, action, public_key=keys.public_key, before=before.key_after, after_seq=before.seq)


def _recorded_seal(stored: Sequence[StoredSeal], known: RecordedSeal, store: SealStore) -> Seal:
    for one in stored:
        read = read_seal(one.data)
        if isinstance(read, SignedSeal) and one.number == known.number and read.seal.body.decode() == known.body:
            return read.seal
    raise SealsLost(known.number, str(store))


def _stored_as(seals: Sequence[Seal], stored: Sequence[StoredSeal]) -> list[tuple[SignedSeal, StoredSeal]]:
    """Each seal with its signature and the object that holds it, the oldest one if there are several."""
    if not seals:
        return []
    found: dict[str, tuple[SignedSeal, StoredSeal]] = {}
    for one in stored:
        read = read_seal(one.data)
        if isinstance(read, SignedSeal):
            found.setdefault(read.seal.digest, (read, one))
    return [found[seal.digest] for seal in seals]


def _signer(keys: SealKeys, last: Seal | None, replace_lost: bool) -> tuple[Ed25519PrivateKey, str | None]:
    """The key that signs the next seal, and the one that it announces."""
    if last is None or last.key_after == keys.public_key or replace_lost:
        return keys.current, None
    if keys.previous is not None and last.key_after == public_text(keys.previous):
        return keys.previous, keys.public_key
    raise SealKeyUnknown(last.key_after, keys.public_keys)


def _check_events(resources: Resources, seals: Sequence[Seal], store: SealStore) -> None:
    with resources.ledger.reading() as connection:
        for seal in seals:
            found = hash_at(connection, seal.seq)
            if found != seal.hash:
                what = "is not there" if found is None else "is another one"
                raise LedgerNotAsSealed(f"event {seal.seq}, which seal {seal.number} names, {what}", str(store))


def _first_hash(resources: Resources) -> str | None:
    """What names this ledger among others: the hash of its first event."""
    with resources.ledger.reading() as connection:
        return hash_at(connection, 1)


def _verified_head(resources: Resources, store: SealStore, last: Seal | None) -> tuple[int, str]:
    """Number and hash of the last event, once everything behind the last seal holds."""
    if last is not None:
        _check_events(resources, [last], store)
    with resources.ledger.reading() as connection:
        if last is not None and last_event(connection) == last.seq:
            return last.seq, last.hash
        after = (last.seq, last.hash) if last else (0, BEFORE_THE_FIRST)
        found = verify_chain(connection, after=after)
    if found.damage:
        raise LedgerNotAsSealed(f"event {found.damage.seq} does not hold ({found.damage.reason})", str(store))
    return found.events, found.head
