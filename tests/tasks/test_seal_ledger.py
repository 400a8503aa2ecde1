"""Sealing into a real store: what is written, what a lock keeps, what a kill leaves, what a verification finds."""

from __future__ import annotations

import json
import random
import shutil
import sqlite3
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest
from botocore.exceptions import ClientError

from cli.stack.seal_key import ready_seal_key
from ledger.schema import upgrade_ledger
from ledger.seal import Seal, SignedSeal, new_key, public_text, read_seal, sign_seal
from ledger.transaction import Draft
from ledger.verify import Damage
from tasks.errors import (
    LedgerNotAsSealed,
    NoPinnedKey,
    SealKeyExposed,
    SealKeyGiven,
    SealKeyMissing,
    SealKeyUnknown,
    SealsLost,
    SealsUnlocked,
    StorageRefused,
)
from tasks.resources import Resources
from tasks.seal_keys import (
    KEY_FILE,
    SealKeyExchanging,
    SealKeyUnannounced,
    exchange_seal_key,
    hold_exchange,
    make_seal_key,
    pinned_keys,
    read_seal_keys,
)
from tasks.seal_ledger import Sealed, exchange_key, replace_lost_key, seal_ledger
from tasks.seal_store import SealStore
from tasks.settings import Settings, load_settings
from tasks.verify_ledger import AuditReport, verify_ledger
from tests.running_stack import RunningStack

pytestmark = pytest.mark.stack

ACTOR = "system:seal_ledger"
MONDAY = datetime(2026, 3, 2, 9, tzinfo=UTC)


@dataclass
class SealedLedger:
    """A SQLite ledger with a key and a prefix of its own in a bucket with object lock."""

    home: Path
    resources: Resources

    @property
    def settings(self) -> Settings:
        """Its settings."""
        return self.resources.settings

    @property
    def store(self) -> SealStore:
        """Where its seals go."""
        return SealStore(self.resources.storage, self.settings)

    @property
    def client(self) -> Any:
        """The object store."""
        return self.resources.storage.client

    def tell(self, count: int) -> None:
        """Let something happen, so many times."""
        with self.resources.ledger.writing(self.resources.origin("system:test")) as tx:
            tx.append([Draft(action="tell", details={"nonce": str(uuid4())}) for _ in range(count)])

    def seal(self) -> Sealed:
        """Run the sweep once."""
        return seal_ledger(self.resources, ACTOR)

    def verify(self, *pinned: str, **options: Any) -> AuditReport:
        """Verify, relying on these keys or on the home's own."""
        return verify_ledger(self.resources, pinned or pinned_keys(self.settings)[0], **options)

    def recorded(self) -> list[tuple[int, int]]:
        """(number, event) of the seals in the ledger's own table."""
        return [(row[0], row[1]) for row in self.ask("SELECT seal_id, seq FROM seals ORDER BY 1")]

    def ask(self, statement: str) -> list[tuple[Any, ...]]:
        """Answer of the ledger's database."""
        with self.resources.ledger.reading() as connection:
            return [tuple(row) for row in connection.exec_driver_sql(statement)]

    def sql(self, *statements: str) -> None:
        """What somebody who owns the file can do: every trigger is out of the way, for good."""
        self.resources.ledger.close()
        with closing(sqlite3.connect(self.home / "ledger.db")) as raw:
            for (name,) in raw.execute("SELECT name FROM sqlite_master WHERE type = 'trigger'").fetchall():
                raw.execute(f"DROP TRIGGER {name}")
            for statement in statements:
                raw.execute(statement)
            raw.commit()

    def keep(self) -> Path:
        """A copy of the ledger as it is."""
        self.resources.ledger.close()  # the last connection brings the write-ahead log into the file
        return Path(shutil.copy(self.home / "ledger.db", self.home / "copy.db"))

    def bring_back(self, copy: Path) -> None:
        """Make the ledger what it was, triggers and all."""
        self.resources.ledger.close()
        shutil.copy(copy, self.home / "ledger.db")

    def versions(self) -> list[tuple[str, str]]:
        """(key, version) of everything under its prefix."""
        listed = self.client.list_object_versions(Bucket=self.store.bucket, Prefix=self.settings.audit.prefix)
        return [(one["Key"], one["VersionId"]) for one in listed.get("Versions", [])]


@pytest.fixture(scope="module")
def bucket(stack: RunningStack) -> str:
    """A bucket with object lock, for this module."""
    name = f"locked-{uuid4().hex[:8]}"
    stack.client(stack.settings.s3.service).create_bucket(Bucket=name, ObjectLockEnabledForBucket=True)
    return name


@pytest.fixture(scope="module")
def template(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A migrated, empty ledger to copy."""
    home = tmp_path_factory.mktemp("template")
    resources = Resources(load_settings(overrides={"home": home}))
    upgrade_ledger(resources.ledger)
    resources.close()
    return home / "ledger.db"


@pytest.fixture
def place(stack: RunningStack, bucket: str, template: Path, tmp_path: Path) -> Iterator[SealedLedger]:
    """A ledger in which nothing has happened, with a key."""
    shutil.copy(template, tmp_path / "ledger.db")
    make_seal_key(tmp_path)
    made = SealedLedger(tmp_path, Resources(load_settings(overrides=_settings(stack, tmp_path, bucket))))
    yield made
    made.resources.close()


def _settings(stack: RunningStack, home: Path, bucket: str, **audit: Any) -> dict[str, Any]:
    s3 = stack.settings.s3
    assert s3.service is not None
    keys = {"access_key": s3.service.access_key, "secret_key": s3.service.secret_key.get_secret_value()}
    chosen = {"bucket": bucket, "prefix": f"seals-{uuid4().hex[:8]}/", "lock": "GOVERNANCE", "keep_days": 1}
    return {"home": home, "clock": "2026-03-02T09:00:00Z", "audit": chosen | audit} | {
        "s3": {"endpoint": s3.endpoint, "service": keys}
    }


def test_a_seal_is_written_signed_locked_and_recorded(place: SealedLedger) -> None:
    """It names the last event and its hash; the lock holds against the service itself; the sweep then rests."""
    assert place.seal() == Sealed(None, False, 0, 0)
    place.tell(7)
    done = place.seal()
    assert (done.is_new, done.events, done.caught_up) == (True, 7, 0)
    ((key, version),) = place.versions()
    assert key == place.store.key(1)
    data = place.client.get_object(Bucket=place.store.bucket, Key=key)["Body"].read()
    read = read_seal(data)
    assert isinstance(read, SignedSeal)
    ((digest,),) = place.ask("SELECT hash FROM events WHERE seq = 7")
    assert (read.seal.number, read.seal.seq, read.seal.hash, read.seal.sealed_at) == (1, 7, digest, MONDAY)
    assert read.seal.public_key == read_seal_keys(place.settings).public_key
    lock = place.client.get_object_retention(Bucket=place.store.bucket, Key=key, VersionId=version)["Retention"]
    assert lock["Mode"] == "GOVERNANCE"
    assert lock["RetainUntilDate"] > datetime.now(UTC) + timedelta(hours=23)
    with pytest.raises(ClientError, match="Access Denied"):
        place.client.delete_object(Bucket=place.store.bucket, Key=key, VersionId=version)
    assert place.recorded() == [(1, 7)]
    assert place.seal() == Sealed(read.seal, False, 0, 0)
    place.tell(2)
    assert place.seal().events == 2
    assert place.recorded() == [(1, 7), (2, 9)]
    report = place.verify()
    assert (report.is_sound, report.events, report.seals and report.seals.unsealed) == (True, 9, 0)


def test_a_run_that_was_killed_is_gone_on_with(place: SealedLedger, monkeypatch: pytest.MonkeyPatch) -> None:
    """Killed before the put: nothing. Killed after it: the next run records the seal that lies there, and no second."""
    place.tell(3)

    def die(*_: object, **__: object) -> None:
        raise KeyboardInterrupt

    for module, name, written in (("seal_ledger", "sign_seal", 0), ("seal_ledger", "record_seal", 1)):
        with monkeypatch.context() as patched:
            patched.setattr(f"tasks.{module}.{name}", die)
            with pytest.raises(KeyboardInterrupt):
                place.seal()
        assert (len(place.versions()), place.recorded()) == (written, [])
    done = place.seal()
    assert (done.is_new, done.caught_up, place.recorded(), len(place.versions())) == (False, 1, [(1, 3)], 1)
    assert place.verify().is_sound


def test_sealers_at_the_same_time_make_one_seal(place: SealedLedger) -> None:
    """Whoever comes second finds the number taken, records what lies there, and has nothing left to seal."""
    for number in range(1, 4):
        place.tell(2)
        places = [Resources(place.settings) for _ in range(3)]
        with ThreadPoolExecutor(3) as sealers:
            done = list(sealers.map(lambda one: seal_ledger(one, ACTOR), places))
        for one in places:
            one.close()
        assert sum(one.is_new for one in done) == 1
        assert len(place.versions()) == len(place.recorded()) == number
    assert place.verify().is_sound


def test_the_record_of_seals_can_be_made_anew(place: SealedLedger) -> None:
    """A ledger that was restored from an older copy takes over what the store has, if it still fits."""
    for _ in range(4):
        place.tell(2)
        place.seal()
    place.sql("DELETE FROM seals WHERE seal_id > 1")
    assert (place.seal().caught_up, place.recorded()) == (3, [(1, 2), (2, 4), (3, 6), (4, 8)])
    place.sql("DELETE FROM seals")
    assert place.seal().caught_up == 4


def test_seals_begin_anew_in_another_place(stack: RunningStack, place: SealedLedger, bucket: str) -> None:
    """After the restore of an older copy the seals tell of events that are gone: another prefix is the way on."""
    place.tell(3)
    place.seal()
    copy = place.keep()
    place.tell(2)
    place.seal()
    place.bring_back(copy)
    with pytest.raises(LedgerNotAsSealed, match=r"event 5, which seal 2 names, is not there.*another audit\.prefix"):
        place.seal()
    found = place.verify()
    assert (found.damage and found.damage.reason) == "cut off: event 5 was sealed"
    values = _settings(stack, place.home, bucket)
    moved = SealedLedger(place.home, Resources(load_settings(overrides=values)))
    done = moved.seal()
    assert (done.is_new, done.seal and (done.seal.number, done.seal.seq)) == (True, (1, 4))
    assert moved.seal().is_new is False
    moved.tell(1)
    assert moved.seal().is_new
    assert moved.recorded() == [(1, 3), (2, 4), (3, 5)]
    assert moved.ask("SELECT seq FROM events WHERE action = 'move_seals'") == [(4,)]
    report = moved.verify()
    assert (report.is_sound, report.seals and report.seals.count) == (True, 2)
    event = f"event 4 ({ACTOR}, 2026-03-02 09:00 UTC): seals are put into {moved.store} from then on, where they begin"
    lacks = f"{place.store}: 1 seals (2) speak of events up to 5 that the ledger does not have"
    assert report.notes == [f"{event} anew", f"{lacks}; event 4 says that seals moved on"]
    # whoever owns the file takes the record of the old place out: the event still names it
    moved.sql("DELETE FROM seals WHERE seal_id = 1", "DELETE FROM seals WHERE bucket <> 'x'")
    assert moved.verify().notes == report.notes
    assert verify_ledger(moved.resources, None).notes == [f"{event} anew"]
    assert moved.verify(columns=False).notes == report.notes
    moved.resources.close()


def test_a_cut_tail_is_not_hidden_by_another_place(stack: RunningStack, place: SealedLedger, bucket: str) -> None:
    """An older copy and another `audit.prefix`, and no event that says so: what the old place tells of is missing."""
    place.tell(3)
    place.seal()
    copy = place.keep()
    place.tell(2)
    place.seal()
    place.bring_back(copy)
    moved = SealedLedger(place.home, Resources(load_settings(overrides=_settings(stack, place.home, bucket))))
    said = f"{place.store}: 1 seals (2) speak of events up to 5 that the ledger does not have, and no event says that"
    report = moved.verify()
    assert report.damage == Damage(4, f"cut off: event 5 was sealed in {place.store}")
    assert report.seals is not None
    assert (report.is_sound, report.seals.problems) == (False, [f"{said} seals moved on from there"])
    moved.tell(4)
    report = moved.verify()
    assert report.damage == Damage(
        5, f"rewritten: it is not the event that was sealed in {place.store}; the change is in events 4 to 5"
    )
    assert (report.events, report.head) == (4, moved.ask("SELECT hash FROM events WHERE seq = 4")[0][0])
    moved.resources.close()


def test_seals_that_moved_without_a_loss(stack: RunningStack, place: SealedLedger, bucket: str) -> None:
    """Everything that the old place tells is there; an event cut off afterwards is missed from the old place too."""
    place.tell(3)
    place.seal()
    moved = SealedLedger(place.home, Resources(load_settings(overrides=_settings(stack, place.home, bucket))))
    moved.tell(1)
    moved.seal()
    report = moved.verify()
    assert (report.is_sound, report.notes[1:]) == (
        True, [f"{place.store} has 1 seals, none of an event that the ledger lacks"],
    )  # fmt: skip
    back = place.verify()
    assert (back.is_sound, back.notes) == (
        True, [report.notes[0], f"{moved.store} has 1 seals, none of an event that the ledger lacks"],
    )  # fmt: skip
    moved.sql(
        "DELETE FROM events WHERE seq = 5",
        "UPDATE chain_head SET seq = 4, hash = (SELECT hash FROM events WHERE seq = 4)",
    )
    assert place.verify().damage == Damage(5, f"cut off: event 5 was sealed in {moved.store}")
    moved.resources.close()


def test_sealing_stops_where_the_trail_was_changed(place: SealedLedger) -> None:
    """Neither a cut off, nor a changed, nor a broken trail gets another seal; nor does one whose seals are gone."""
    place.tell(5)
    place.seal()
    place.tell(3)
    copy = place.keep()
    for damage, said in (
        ("UPDATE events SET hash = 'ff' WHERE seq = 5", "event 5, which seal 1 names, is another one"),
        ("UPDATE events SET actor = 'person:1' WHERE seq = 7", r"event 7 does not hold \(changed: column actor"),
        ("DELETE FROM events WHERE seq >= 5", "event 5, which seal 1 names, is not there"),
    ):
        place.sql(damage)
        with pytest.raises(LedgerNotAsSealed, match=said):
            place.seal()
        place.bring_back(copy)
    assert place.seal().events == 3
    key, version = place.versions()[-1]
    bypass = {"Bucket": place.store.bucket, "BypassGovernanceRetention": True}
    for key, version in place.versions():
        place.client.delete_object(Key=key, VersionId=version, **bypass)
    place.tell(1)
    with pytest.raises(SealsLost, match="seal 2 is recorded in the ledger, but not to be found in s3://locked-"):
        place.seal()
    report = place.verify()
    assert report.seals is not None
    assert report.seals.problems == ["the ledger recorded 2 seals, of which the store has 0 that can be relied on"]
    assert not report.is_sound


def test_what_strangers_put_there_is_in_nobodys_way(place: SealedLedger) -> None:
    """Who may write to the bucket can neither hide a seal nor take the next number away."""
    place.tell(3)
    place.seal()
    put = place.client.put_object
    put(Bucket=place.store.bucket, Key=place.store.key(1), Body=b"laid over it")
    place.client.delete_object(Bucket=place.store.bucket, Key=place.store.key(1))
    put(Bucket=place.store.bucket, Key=place.store.key(2), Body=b"x" * 100_000)
    put(Bucket=place.store.bucket, Key=f"{place.settings.audit.prefix}README", Body=b"hello")
    assert place.verify().seals is not None
    place.tell(1)
    assert place.seal().is_new
    report = place.verify()
    assert (report.is_sound, report.seals and report.seals.count) == (True, 2)


def test_of_two_sealers_over_a_strangers_object_one_is_told(place: SealedLedger) -> None:
    """Both have seen the same object in the way: the first seal takes its place, the second does not lie over it."""
    place.tell(1)
    place.client.put_object(Bucket=place.store.bucket, Key=place.store.key(1), Body=b"a stranger's")
    (stranger,) = place.store.read()
    key = read_seal_keys(place.settings).current
    one = Seal(
        1, 1, "0" * 64, MONDAY, "0" * 64, public_text(key), None, place.store.bucket, place.store.prefix, "1" * 64
    )
    other = replace(one, hash="2" * 64)
    now = datetime.now(UTC)
    assert place.store.put(sign_seal(one, key), now, over=stranger.etag)
    assert place.store.put(sign_seal(other, key), now, over=stranger.etag) is None
    assert place.store.put(sign_seal(other, key), now) is None
    found = [read_seal(stored.data) for stored in place.store.read()]
    assert found[1:] == [sign_seal(one, key)]


def test_a_copy_from_before_an_exchange_is_not_believed(stack: RunningStack, place: SealedLedger, bucket: str) -> None:
    """Put back, and sealed elsewhere: the trail tells that another key signs by now, or that its key was given up."""
    place.tell(3)
    place.seal()
    old = read_seal_keys(place.settings).public_key
    copy = place.keep()
    place.tell(1)
    new = exchange_key(place.resources, "operator:anna")
    place.bring_back(copy)
    moved = SealedLedger(place.home, Resources(load_settings(overrides=_settings(stack, place.home, bucket))))
    assert moved.seal().is_new
    told = [json.loads(body)["details"] for (body,) in moved.ask("SELECT body FROM events WHERE seq > 3 ORDER BY seq")]
    assert told == [{"place": str(moved.store), "before": [str(place.store)]}, {"public_key": new, "before": old}]
    report = moved.verify()
    assert (report.damage, "seals (2 to 3) speak of events" in report.notes[-1]) == (None, True), report
    moved.resources.close()
    place.bring_back(copy)  # and now neither key of then is here
    for name in (KEY_FILE, "seal-key.previous"):
        (place.home / name).unlink()
    make_seal_key(place.home)
    third = SealedLedger(place.home, Resources(load_settings(overrides=_settings(stack, place.home, bucket))))
    with pytest.raises(SealKeyUnknown):
        third.seal()
    assert replace_lost_key(third.resources, "operator:anna").is_new
    assert third.ask("SELECT action FROM events WHERE seq > 3 ORDER BY seq") == [("move_seals",), ("replace_seal_key",)]
    third.resources.close()


def test_tampering_anywhere_is_found(place: SealedLedger) -> None:
    """At random places: columns, bodies, order, gaps, and tails cut off with the head, which only seals reveal."""
    dice = random.Random(20260302)  # noqa: S311 (damage that can be repeated, not a secret)
    for _ in range(4):
        place.tell(25)
        place.seal()
    place.tell(20)
    copy = place.keep()
    assert place.verify().is_sound
    for _ in range(25):
        seq = dice.randrange(2, 121)
        kind, first, statements = dice.choice(
            [
                ("changed", seq, [f"UPDATE events SET actor = 'person:9' WHERE seq = {seq}"]),
                ("changed", seq, [f"UPDATE events SET body = replace(body, 'tell', 'sell') WHERE seq = {seq}"]),
                ("missing" if seq < 120 else "cut off", seq, [f"DELETE FROM events WHERE seq = {seq}"]),
                (
                    "changed",
                    seq - 1,
                    [
                        f"UPDATE events SET seq = -1 WHERE seq = {seq}",
                        f"UPDATE events SET seq = {seq} WHERE seq = {seq - 1}",
                        f"UPDATE events SET seq = {seq - 1} WHERE seq = -1",
                    ],
                ),
                ("cut off", seq, [f"DELETE FROM events WHERE seq >= {seq}"]),
            ]
        )
        place.sql(*statements)
        found = place.verify()
        assert found.damage is not None, (kind, seq)
        assert (found.damage.seq, found.events) == (first, first - 1), (kind, seq, found)
        # with its order changed an event has another number in its body: a hash that does not lead on
        assert found.damage.kind in (kind, "not linked"), (kind, seq, found)
        place.bring_back(copy)
    for _ in range(6):  # the head goes back too: sound in itself, told by seals only, unless the tail was unsealed
        seq = dice.randrange(2, 121)
        place.sql(
            f"DELETE FROM events WHERE seq >= {seq}",
            f"UPDATE chain_head SET seq = {seq - 1}, hash = (SELECT hash FROM events WHERE seq = {seq - 1})",
        )
        blind = verify_ledger(place.resources, None)
        assert (blind.damage, blind.seals) == (None, None)
        found = place.verify()
        if seq > 100:
            assert found.is_sound
        else:
            assert (found.damage and found.damage.seq) == seq
            assert found.damage is not None
            assert found.damage.reason == "cut off: event 100 was sealed"
        place.bring_back(copy)
    report = place.verify()
    assert report.seals is not None
    assert (report.seals.unsealed, report.seals.unsealed_since, report.mismatches) == (20, MONDAY, [])


def test_an_exchanged_key_is_announced_by_the_one_before(place: SealedLedger) -> None:
    """The old key's last seal names the new one, an event tells of it; whoever pinned the old key needs nothing new."""
    place.tell(3)
    place.seal()
    old = read_seal_keys(place.settings).public_key
    new = exchange_key(place.resources, "operator:anna")
    place.tell(2)
    assert place.seal().is_new
    seals = [read_seal(one.data) for one in place.store.read()]
    told = [(one.seal.seq, one.seal.public_key, one.seal.next_key) for one in seals if isinstance(one, SignedSeal)]
    assert told == [(3, old, None), (4, old, new), (6, new, None)]
    ((actor, body),) = place.ask("SELECT actor, body FROM events WHERE action = 'announce_seal_key'")
    assert (actor, json.loads(body)["details"]) == ("operator:anna", {"before": old, "public_key": new})
    for pinned in (old, new):
        report = place.verify(pinned)
        assert (report.is_sound, report.seals and report.seals.signers) == (True, [old, new])
    stranger = public_text(new_key())
    report = place.verify(stranger)
    assert report.seals is not None
    assert report.seals.problems[0] == f"no seal was signed with a pinned key; signed was with {old}, {new}"
    # killed between the exchange of the files and the announcement: the next sweep announces
    last = exchange_seal_key(place.settings, new)
    assert place.seal().is_new
    assert place.seal().is_new is False
    place.tell(1)
    newest = place.seal().seal
    assert newest is not None
    assert newest.public_key == last
    assert place.verify(old).is_sound


def test_a_key_is_exchanged_by_one_at_a_time(place: SealedLedger) -> None:
    """Who comes while another exchanges is refused, as is an exchange in front of the announcement: no key is lost."""
    place.tell(1)
    newest = place.seal().seal
    assert newest is not None
    old = newest.key_after
    with hold_exchange(place.settings), pytest.raises(SealKeyExchanging, match="by another command; nothing was chang"):
        exchange_key(place.resources, ACTOR)
    coming = exchange_seal_key(place.settings, old)
    with pytest.raises(SealKeyUnannounced, match=f"key {coming} was announced by no seal yet"):
        exchange_seal_key(place.settings, old)
    assert read_seal_keys(place.settings).public_keys == [coming, old]
    places = [Resources(place.settings) for _ in range(4)]

    def exchange(one: Resources) -> bool:
        try:
            exchange_key(one, ACTOR)
        except SealKeyExchanging:
            return False
        return True

    with ThreadPoolExecutor(4) as several:
        assert any(list(several.map(exchange, places)))
    for one in places:
        one.close()
    place.tell(1)
    newest = place.seal().seal
    assert newest is not None
    assert newest.public_key == read_seal_keys(place.settings).public_key
    assert place.verify(old).is_sound


def test_keys_of_the_settings(stack: RunningStack, place: SealedLedger, bucket: str) -> None:
    """A key from the environment signs, and is exchanged there, with the one before it beside it."""
    prefix = place.settings.audit.prefix
    place.tell(2)

    def given(**audit: str) -> SealedLedger:
        values = _settings(stack, place.home, bucket, prefix=prefix, **audit)
        return SealedLedger(place.home, Resources(load_settings(overrides=values)))

    first, second = "01" * 32, "02" * 32
    assert given(key=first).seal().is_new
    with pytest.raises(SealKeyGiven, match=r"set audit\.previous_key to the present key"):
        exchange_key(given(key=first).resources, ACTOR)
    assert given(key=first).seal().is_new is False
    with pytest.raises(SealKeyUnknown):
        given(key=second).seal()
    assert given(key=second, previous_key=first).seal().is_new
    place.tell(1)
    assert given(key=second).seal().is_new
    origin = read_seal_keys(given(key=second).settings)
    assert place.verify(origin.public_key).is_sound


def test_a_lost_key_is_replaced_and_pinned_anew(place: SealedLedger) -> None:
    """Sealing stops and says so; it goes on by a decision that the trail tells of, and the pin must be renewed."""
    place.tell(2)
    place.seal()
    old = read_seal_keys(place.settings).public_key
    (place.home / "seal-key").unlink()
    with pytest.raises(SealKeyMissing, match="`signoff up` makes it on first use"):
        place.seal()
    make_seal_key(place.home)
    place.tell(1)
    with pytest.raises(SealKeyUnknown, match="`signoff audit key --replace-lost` goes on with the one at hand"):
        place.seal()
    done = replace_lost_key(place.resources, "operator:anna")
    assert (done.is_new, place.seal().is_new) == (True, False)
    new = read_seal_keys(place.settings).public_key
    assert place.ask("SELECT COUNT(*) FROM events WHERE action = 'replace_seal_key'") == [(1,)]
    report = place.verify(old)
    assert report.seals is not None
    assert report.seals.problems[0].startswith(f"seal 2: its key {new} was announced by no seal before it")
    report = place.verify(old, new)
    event = f"key {new} signs from then on; key {old} was lost and announced nothing"
    assert (report.is_sound, report.notes) == (True, [f"event 4 (operator:anna, 2026-03-02 09:00 UTC): {event}"])


def test_the_key_file_is_its_owners(place: SealedLedger, tmp_path: Path) -> None:
    """Mode 0600, never written over, refused when others can read it; without any key there is nothing to rely on."""
    path = place.home / "seal-key"
    before = path.read_bytes()
    assert (path.stat().st_mode & 0o777, make_seal_key(place.home), path.read_bytes()) == (0o600, False, before)
    path.chmod(0o644)
    with pytest.raises(SealKeyExposed, match="chmod 600"):
        place.seal()
    path.unlink()
    with pytest.raises(NoPinnedKey, match="--no-seals"):
        pinned_keys(place.settings)
    assert pinned_keys(place.settings, ["AB" * 32]) == (["ab" * 32], "command line")
    assert sorted(one.name for one in place.home.iterdir()) == ["ledger.db"]


def test_up_makes_the_key_once_and_never_in_the_place_of_a_lost_one(stack: RunningStack, place: SealedLedger) -> None:
    """The stack's own key is there since its start; where seals were signed with a key that is gone, `up` says so."""
    assert (stack.home / KEY_FILE).stat().st_mode & 0o777 == 0o600
    said: list[str] = []
    ready_seal_key(place.settings, said.append)
    assert said == []
    key = place.home / KEY_FILE
    key.rename(place.home / "elsewhere")
    ready_seal_key(place.settings, said.append)
    assert said == ["made the key that seals the audit trail; `signoff audit key` prints its public part"]
    (place.home / "elsewhere").replace(key)
    place.tell(1)
    place.seal()
    key.unlink()
    ready_seal_key(place.settings, said.append)
    assert said[1].startswith(f"{key} is gone, and 1 seals were signed with it: put it back.")
    assert not key.exists()


def test_a_verification_of_hostile_rows_does_not_stumble(place: SealedLedger) -> None:
    """Whatever bytes somebody puts into any column: the damage is named, and the rest is told."""
    place.tell(5)
    place.seal()
    place.tell(5)
    copy = place.keep()
    for column in ("at", "actor", "body", "hash"):
        for value in ("CAST(x'ff00fe' AS TEXT)", "'nonsense'", "9e300"):
            place.sql(f"UPDATE OR IGNORE events SET {column} = {value} WHERE seq = 6")
            found = place.verify()
            assert found.damage is not None
            assert (found.damage.seq, found.seals and found.seals.unsealed_since) == (6, None)
            place.verify(columns=False)
            place.bring_back(copy)


def test_buckets_that_cannot_serve(stack: RunningStack, place: SealedLedger) -> None:
    """Without an object lock nothing is sealed; a missing bucket is named."""
    name = f"open-{uuid4().hex[:8]}"
    place.client.create_bucket(Bucket=name)
    place.tell(1)
    for bucket, error in ((name, SealsUnlocked), ("no-such-bucket", StorageRefused)):
        values = _settings(stack, place.home, bucket)
        with pytest.raises(error, match=bucket):
            SealedLedger(place.home, Resources(load_settings(overrides=values))).seal()
    place.client.delete_bucket(Bucket=name)
