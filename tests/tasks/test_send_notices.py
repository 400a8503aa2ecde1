"""Notices go out once, together, by real mail and webhooks; what does not go out is tried again, then given up."""

from __future__ import annotations

import json
import logging
import shutil
import threading
from collections.abc import Iterator, Mapping
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from ledger.engine import Ledger
from ledger.notices import write_notices
from ledger.outbox import Notice, load_notices
from ledger.roster import RosterPerson, import_roster
from ledger.schema import upgrade_ledger
from tasks.resources import Resources
from tasks.send_notices import CLAIMED_FOR, NoticesSent, send_notices
from tasks.settings import load_settings
from tests.ledger.approval_world import PEOPLE, START, ApprovalWorld
from tests.mail_server import MailServer, Webhook, mail_server, webhook

ACTOR = "system:send_notices"
MINUTE = timedelta(minutes=1)
NOON = START + timedelta(hours=4)


class Office:
    """A ledger with people, and sweeps of the sender at any time with any channels."""

    def __init__(self, home: Path, template: Path) -> None:
        shutil.copy(template, home / "ledger.db")
        self.home, self.world = home, ApprovalWorld(Ledger(f"sqlite:///{home}/ledger.db"), furnish=False)
        self.number = 0

    def resources(self, at: datetime, **notices: Any) -> Resources:
        """Everything that a sweep works with."""
        overrides = {"home": self.home, "clock": at.isoformat(), "notices": notices}
        return Resources(load_settings(overrides=overrides | {"prefect.api_url": "http://127.0.0.1:1/api"}))

    def sweep(self, at: datetime, **notices: Any) -> NoticesSent:
        """Send what is due."""
        return send_notices(self.resources(at, **notices), ACTOR)

    def write(
        self, kind: str, *people: str, at: datetime = NOON, body: Mapping[str, Any] | None = None, **about: int
    ) -> None:
        """Put a notice for each of these people into the outbox."""
        self.world.now = at - timedelta(seconds=1)
        self.number += 1
        with self.world.writing() as tx:
            ids = [PEOPLE.index(one) + 1 for one in people]
            write_notices(tx, kind, f"occasion {self.number}", ids, body or {"text": f"words {self.number}"}, **about)

    def notices(self, state: str = "") -> list[Notice]:
        """What is in the outbox."""
        with self.world.ledger.reading() as connection:
            return load_notices(connection, states=[state] if state else [])

    def states(self) -> list[tuple[str, str, int]]:
        """(handle, state, attempts) of every notice."""
        return [(one.handle, one.state, one.attempts) for one in self.notices()]


@pytest.fixture(scope="module")
def template(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A ledger with people, to copy."""
    path = tmp_path_factory.mktemp("template") / "ledger.db"
    ledger = Ledger(f"sqlite:///{path}")
    upgrade_ledger(ledger)
    ApprovalWorld(ledger)
    ledger.close()
    return path


@pytest.fixture
def office(tmp_path: Path, template: Path, monkeypatch: pytest.MonkeyPatch) -> Office:
    """An office whose settings come from the test alone."""
    monkeypatch.chdir(tmp_path)
    return Office(tmp_path, template)


@pytest.fixture
def box() -> Iterator[MailServer]:
    """A mail server."""
    with mail_server() as running:
        yield running


@pytest.fixture
def hook() -> Iterator[Webhook]:
    """A webhook."""
    with webhook() as running:
        yield running


def test_what_waits_for_a_person_is_one_letter_ordered_by_urgency(office: Office, box: MailServer) -> None:
    """At the address of the roster, the overdue first, each with the link to its run; then nothing is left to send."""
    version_id = office.world.in_review("spring/a.jpg", "one")
    ((review_id,),) = office.world.ask("SELECT review_id FROM review_gates")
    ((run,),) = office.world.ask("SELECT flow_run_id FROM parkings")
    spring = {"stage": "brand", "collection": "spring", "assets": 1, "keys": ["spring/a.jpg"]}
    office.write("finally", "lea", body={**spring, "outcome": "reject"}, version_id=version_id)
    office.write("opened", "lea", body=spring, review_id=review_id)
    office.write("security", "lea", body={"text": "A new authenticator was enrolled for you."})
    setting: dict[str, Any] = {"channels": {"post": box.address()}, "mail": "post"}
    done = office.sweep(NOON + 16 * MINUTE, **setting)
    assert (done.messages, done.sent, done.failed, done.given_up, done.unreachable) == (1, 3, 0, 0, 0)
    (letter,) = box.letters
    assert letter.recipients == ["lea@example.org"]
    assert str(letter.message["Subject"]) == "Signoff: 1 to act on now, 1 waiting for you, 1 to know"
    assert letter.message.get_content_type() == "text/plain"
    assert letter.text.splitlines() == [
        "To act on now",
        "- A new authenticator was enrolled for you.",
        "",
        "Waiting for you",
        f"- Review {review_id} waits: 1 asset of spring at stage brand, due 2026-03-04 08:00 UTC (spring/a.jpg)",
        f"  http://127.0.0.1:1/v2/runs/flow-run/{run}",
        "",
        "To know",
        "- spring/a.jpg was not decided in time and has ended: 1 asset of spring at stage brand, reject (spring/a.jpg)",
    ]
    assert office.states() == [("lea", "sent", 1)] * 3
    assert {one.channel for one in office.notices()} == {"mailto"}
    assert {one.message for one in office.notices()} == {letter.message["X-Signoff-Message"]}
    office.sweep(NOON + timedelta(days=1), **setting)
    assert len(box.letters) == 1


def test_some_wait_for_company_and_some_go_at_once(office: Office, box: MailServer) -> None:
    """News of a decision waits a quarter of an hour, or for something that goes at once; the settings say how long."""
    setting: dict[str, Any] = {"channels": {"post": box.address()}, "mail": "post"}
    office.write("decided", "lea")
    office.write("decided", "ben")
    assert office.sweep(NOON + 14 * MINUTE, **setting).messages == 0
    assert office.sweep(NOON + 14 * MINUTE, **setting, hold_minutes={"decided": 20}).messages == 0
    office.write("receipt", "lea", at=NOON + 10 * MINUTE)
    assert office.sweep(NOON + 14 * MINUTE, **setting).sent == 2
    assert office.sweep(NOON + 15 * MINUTE, **setting).sent == 1
    assert [letter.recipients for letter in box.letters] == [["lea@example.org"], ["ben@example.org"]]


def test_a_room_is_told_once_and_what_is_personal_never_there(office: Office, box: MailServer, hook: Webhook) -> None:
    """Own channels come before the group's room, the room before the roster's address; a receipt is for one alone."""
    setting: dict[str, Any] = {
        "channels": {"room": hook.address(), "post": box.address(), "own": hook.address("own")},
        "groups": {"brand": ["room"]},
        "people": {"mia": ["own"]},
        "mail": "post",
    }
    office.write("remind", "lea", "ben", "mia", "kim")
    office.write("receipt", "ben", body={"text": "You approved 2 assets. Not you? Say so."})
    done = office.sweep(NOON + MINUTE, **setting)
    assert (done.messages, done.sent) == (4, 5)
    bodies = sorted(body["message"] for _, body in hook.calls)
    assert bodies == ["Waiting for you\n- words 1"] * 2
    assert sorted((letter.recipients[0], letter.text.splitlines()[1]) for letter in box.letters) == [
        ("ben@example.org", "- You approved 2 assets. Not you? Say so."),
        ("kim@example.org", "- words 1"),
    ]


def test_who_stands_in_is_told_for_whom(office: Office, box: MailServer) -> None:
    """The name is looked up when the message is made, and stands in no notice."""
    times = {"from": "2026-03-09T08:00:00+00:00", "until": "2026-03-13T08:00:00+00:00"}
    office.write("delegated", "lea", body={"principal": office.world.person("kim"), **times})
    office.write("delegated", "lea", body={"principal": office.world.person("kim"), "until": times["until"]})
    office.sweep(NOON + MINUTE, channels={"post": box.address()}, mail="post")
    assert box.letters[0].text.splitlines() == [
        "To know",
        "- You stand in for Kim from 2026-03-09 08:00 UTC until 2026-03-13 08:00 UTC: their reviews come to you too.",
        "- You stand in no more for Kim, since 2026-03-13 08:00 UTC.",
    ]


def test_the_room_of_the_group_that_is_asked(office: Office, hook: Webhook) -> None:
    """Somebody in two groups with rooms is told in the one that the notice names."""
    setting: dict[str, Any] = {
        "channels": {"one": hook.address("brand"), "two": hook.address("legal")},
        "groups": {"brand": ["one"], "legal": ["two"]},
    }
    office.write("remind", "lea", body={"text": "for legal", "group": "legal"})
    office.write("remind", "lea", body={"text": "for brand", "group": "brand"})
    office.sweep(NOON + MINUTE, **setting)
    assert sorted(body["message"].splitlines()[1] for _, body in hook.calls) == ["- for brand", "- for legal"]


def test_a_failure_is_tried_again_later_and_given_up_in_the_end(office: Office, box: MailServer) -> None:
    """After 2, 4, 8 minutes and so on, never sooner; what is told of the failure names nobody and nowhere."""
    setting: dict[str, Any] = {"channels": {"post": box.address()}, "mail": "post", "attempts": 3}
    box.refuse = True
    office.write("remind", "lea")
    now, tried = NOON, []
    for _ in range(30):
        now += MINUTE
        if office.sweep(now, **setting).failed:
            tried.append((now - NOON) // MINUTE)
    assert tried == [1, 3, 7]
    (notice,) = office.notices()
    assert (notice.state, notice.attempts) == ("given_up", 3)
    assert notice.last_error == "3 attempts failed: it refused: status 550"
    box.refuse = False
    assert office.sweep(now + timedelta(days=1), **setting).sent == 0


def test_a_failing_channel_keeps_nobody_else_waiting(office: Office, box: MailServer, hook: Webhook) -> None:
    """One channel is dead, another one silent: all others are told at once; a person's next channel is used."""
    box.hold = threading.Event()
    setting: dict[str, Any] = {
        "channels": {"slow": box.address(), "dead": "json://127.0.0.1:9/x", "well": hook.address()},
        "people": {"lea": ["slow"], "ben": ["dead"], "mia": ["well"], "kim": ["dead", "well"]},
        "timeout_s": 0.5,
    }
    office.write("remind", "lea", "ben", "mia", "kim")
    done = office.sweep(NOON + MINUTE, **setting)
    assert (done.sent, done.failed) == (2, 2)
    assert office.states() == [("lea", "waiting", 1), ("ben", "waiting", 1), ("mia", "sent", 1), ("kim", "sent", 1)]
    errors = {one.handle: one.last_error for one in office.notices("waiting")}
    assert errors == {"lea": "it did not answer in time", "ben": "it could not be reached, or refused"}


def test_a_channel_that_does_not_answer_is_left_alone(
    office: Office, box: MailServer, hook: Webhook, monkeypatch: pytest.MonkeyPatch
) -> None:
    """After three messages without an answer the others wait, untried; a refusal is an answer; a sweep ends in time."""
    dead: dict[str, Any] = {"channels": {"dead": "mailto://127.0.0.1:9?from=a@example.org"}, "mail": "dead"}
    office.write("remind", *PEOPLE)
    assert office.sweep(NOON + MINUTE, **dead).failed == 3
    assert [attempts for _, _, attempts in office.states()] == [1, 1, 1, 0, 0, 0]
    box.refuse = True
    refused = office.sweep(NOON + 10 * MINUTE, channels={"post": box.address()}, mail="post")
    assert (refused.failed, box.letters) == (len(PEOPLE), [])
    box.refuse, box.hold = False, threading.Event()
    monkeypatch.setattr("tasks.send_notices._SWEEP_S", 0.5)
    setting: dict[str, Any] = {
        "channels": {"slow": box.address(), "well": hook.address()},
        "people": {"lea": ["slow"], "ben": ["well"]},
        "timeout_s": 30,
    }
    assert office.sweep(NOON + 60 * MINUTE, **setting).sent == 1
    (lea,) = [one for one in office.notices("waiting") if one.handle == "lea"]
    assert lea.claimed_until == NOON + 60 * MINUTE + CLAIMED_FOR


def test_what_was_perhaps_sent_is_sent_again_under_the_same_id(office: Office, box: MailServer) -> None:
    """A mail whose acknowledgement was lost, and a sender that died: the receiver can tell that it is the same."""
    setting: dict[str, Any] = {"channels": {"post": box.address()}, "mail": "post", "timeout_s": 0.5}
    box.hold = threading.Event()
    office.write("remind", "lea")
    office.sweep(NOON + MINUTE, **setting)
    box.hold.set()
    office.write("remind", "lea", at=NOON + 2 * MINUTE)
    office.sweep(NOON + 5 * MINUTE, **setting)
    ids = [letter.message["X-Signoff-Message"] for letter in box.letters]
    assert (len(ids), len(set(ids))) == (3, 2)
    assert [ids.count(one) for one in dict.fromkeys(ids)] == [2, 1]
    assert office.states() == [("lea", "sent", 2), ("lea", "sent", 1)]


def test_a_sender_that_died_is_followed_by_another_one(
    office: Office, hook: Webhook, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Killed between sending and marking: while its claim lasts nobody sends; then it is sent again as it was."""
    setting: dict[str, Any] = {"channels": {"room": hook.address()}, "groups": {"brand": ["room"]}}
    office.write("remind", "lea", "ben")

    def die(*_: Any, **__: Any) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as killed:
        killed.setattr("tasks.send_notices.mark_sent", die)
        killed.setattr(threading, "excepthook", lambda _: None)
        office.sweep(NOON + MINUTE, **setting)
    assert office.sweep(NOON + MINUTE + CLAIMED_FOR / 2, **setting).messages == 0
    assert office.sweep(NOON + MINUTE + CLAIMED_FOR, **setting).sent == 2
    keys = [headers["Idempotency-Key"] for headers, _ in hook.calls]
    assert (len(keys), len(set(keys))) == (2, 1)
    assert {body["id"] for _, body in hook.calls} == set(keys)


def test_two_senders_at_once_send_nothing_twice(office: Office, hook: Webhook) -> None:
    """Four sweeps side by side over twenty people: each is told once."""
    setting: dict[str, Any] = {
        "channels": {f"to-{one}": hook.address(one) for one in PEOPLE},
        "people": {one: [f"to-{one}"] for one in PEOPLE},
    }
    for _ in range(4):
        office.write("remind", *PEOPLE)
    errors: list[BaseException] = []

    def sweep() -> None:
        try:
            office.sweep(NOON + MINUTE, **setting)
        except BaseException as error:  # noqa: BLE001 (asserted below)
            errors.append(error)

    sweeps = [threading.Thread(target=sweep) for _ in range(4)]
    for one in sweeps:
        one.start()
    for one in sweeps:
        one.join()
    assert errors == []
    assert len(hook.calls) == len(PEOPLE)
    assert {state for _, state, _ in office.states()} == {"sent"}


def test_nobody_is_told_what_is_over_or_after_they_left(office: Office, box: MailServer) -> None:
    """A reminder of a review that was decided meanwhile, and whatever is for somebody who left, are given up."""
    office.world.published("spring/a.jpg", "one")
    ((review_id,),) = office.world.ask("SELECT review_id FROM reviews")
    office.write("remind", "lea", review_id=review_id)
    office.write("decided", "lea", review_id=review_id)
    office.write("decided", "kim", at=NOON + MINUTE)
    with office.world.writing() as tx:
        import_roster(tx, [RosterPerson(one, one.title()) for one in PEOPLE if one != "kim"], {})
    office.sweep(NOON + timedelta(hours=1), channels={"post": box.address()}, mail="post")
    told = [(one.handle, one.state, one.last_error) for one in office.notices()]
    assert told == [
        ("lea", "given_up", "its review was decided before"),
        ("lea", "waiting", None),
        ("kim", "given_up", "the person has left"),
    ]


def test_without_a_channel_notices_wait_and_age_out(office: Office) -> None:
    """Nothing is sent without channels; what nobody could be told within the days that are set is given up."""
    office.write("remind", "lea", "ben")
    assert office.sweep(NOON + timedelta(days=13)).unreachable == 2
    assert office.states() == [("lea", "waiting", 0), ("ben", "waiting", 0)]
    assert office.sweep(NOON + timedelta(days=15)).given_up == 2
    assert {one.last_error for one in office.notices()} == {"no channel reached the person within 14 days"}
    assert office.world.ask("SELECT count(*) FROM events WHERE action = 'give_up_notices'") == [(1,)]


def test_addresses_stay_secret(
    office: Office, hook: Webhook, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whether by variable, file or in the settings: no address, name or host in ledger, chain, log, error or result."""
    (office.home / "room").write_text(f"{hook.address('file/s3cr3t')}\n", encoding="utf-8")
    monkeypatch.setenv("ROOM_ADDRESS", hook.address("env/s3cr3t"))
    setting: dict[str, Any] = {
        "channels": {
            "lea-private": "env:ROOM_ADDRESS",
            "file": f"file:{office.home / 'room'}",
            "gone": "env:NO_SUCH",
            "plain": "mailto://user:s3cr3t@127.0.0.1:9?from=a@s3cr3t.example",
        },
        "people": {"lea": ["lea-private"], "ben": ["file"], "mia": ["gone"], "kim": ["plain"]},
    }
    office.write("remind", "lea", "ben", "mia", "kim")
    with caplog.at_level(logging.DEBUG):
        done = office.sweep(NOON + MINUTE, **setting)
        hook.status = 500
        office.write("remind", "lea", at=NOON + 2 * MINUTE)
        again = office.sweep(NOON + 3 * MINUTE, **setting)
    assert (done.sent, done.failed, again.failed) == (2, 2, 3)
    assert again.troubles >= {"channel 'lea-private': it refused: status 500"}
    assert "channel 'gone': the environment variable NO_SUCH is not set where flows run" in done.troubles
    kept = json.dumps([office.world.ask(f"SELECT * FROM {table}") for table in ("notices", "events")], default=str)
    said = kept + caplog.text + repr(done) + repr(again)
    assert [word for word in ("s3cr3t", "127.0.0.1", "lea-private") if word in kept] == []
    assert [word for word in ("s3cr3t", "hook") if word in said] == []
    logged = [record for record in caplog.records if record.name.startswith(("apprise", "urllib3", "requests"))]
    assert logged == []


def test_hostile_names_inject_nothing(office: Office, box: MailServer, hook: Webhook) -> None:
    """Line breaks, headers, links and mentions in a key stay one line of harmless words."""
    key = (
        "a\r\nBcc: all@example.org\r\n\r\n<script>x</script> <!channel> @everyone http://evil.example [x](http://evil)"
    )
    version_id = office.world.in_review("spring/a.jpg", "one")
    body = {"collection": "spring", "assets": 1, "keys": [key]}
    office.write("finally", "lea", body=body, version_id=version_id)
    office.sweep(NOON + timedelta(hours=1), channels={"post": box.address()}, mail="post")
    (letter,) = box.letters
    assert letter.recipients == ["lea@example.org"]
    assert letter.message["Bcc"] is None
    assert [line[:1] for line in letter.text.splitlines()] == ["T", "-"]
    assert "http://" not in letter.text
    assert "@everyone" not in letter.text
