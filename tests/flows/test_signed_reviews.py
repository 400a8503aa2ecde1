"""A stage that wants a signature is decided by the code of the moment in which its run was resumed, and by no other."""

from __future__ import annotations

import json
import sqlite3
from contextlib import closing
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from ledger.enrolment import Enrolling, begin_enrolment, confirm_enrolment
from ledger.outbox import load_notices
from ledger.roster import person_id_of
from policies.one_time_code import code_at, step_at
from tasks.identity_keys import ensure_key_ring
from tasks.notice_messages import Message, compose
from tasks.park_reviews import park_reviews
from tasks.park_run import DESCRIPTION, resume_run
from tasks.record_answer import ACTOR, record_answer
from tasks.resources import open_resources
from tests.cli.test_json_contract import CONTRACT
from tests.workplace import MakeWorkplace, Workplace, reviewers_of

pytestmark = pytest.mark.stack

KEY, OTHER = "text/slogan.txt", "text/other.txt"
MONTH = timedelta(days=31)


@pytest.fixture
def workplace(make_workplace: MakeWorkplace) -> Workplace:
    """A workplace whose editors sign, each asset a review of its own."""
    return make_workplace(review_size=1, signature="totp")


def enrol(workplace: Workplace, handle: str) -> str:
    """Enrol somebody a month ago; returns the secret."""
    ring, ledger = ensure_key_ring(workplace.resources.settings), workplace.resources.ledger
    with ledger.writing(workplace.resources.origin("operator:people")) as tx:
        person = person_id_of(tx.connection, handle)
        assert person is not None
        begun = begin_enrolment(tx, ring, person, None, tx.origin.at)
        assert isinstance(begun, Enrolling)
        before = tx.origin.at - MONTH
        confirm_enrolment(tx, ring, person, code_at(begun.secret, step_at(before)), before)
    return begun.secret


def resume(workplace: Workplace, row: dict[str, Any], handle: str, code: str | None) -> bool:
    """Answer a review in Prefect as somebody, with a code; returns whether Prefect took the form."""
    (choice,) = (one for one in reviewers_of(workplace.form(row)) if one.startswith(f"{handle} "))
    answer = {"decision": "approve", "reviewer": choice} | ({} if code is None else {"code": code})
    return resume_run(workplace.stack.api, row["flow_run_id"], answer).accepted


def now() -> datetime:
    """What time it is for the server of Prefect."""
    return datetime.now(UTC)


def test_wrong_then_too_soon_then_right(workplace: Workplace) -> None:
    """Each refusal is parked again with its reason on top and audited; the code of the moment publishes."""
    workplace.put(KEY, "The words of this slogan are plain and waiting.")
    workplace.ingest()
    (row,) = workplace.reviews()
    form = workplace.form(row)
    assert form["properties"]["code"]["title"] == "Code from your authenticator app"
    assert not resume(workplace, row, "lea", None)
    assert not resume(workplace, row, "lea", "12345")

    assert resume(workplace, row, "lea", "123456")
    workplace.go_on(row["flow_run_id"])
    secret = enrol(workplace, "lea")
    at = now()
    near = {code_at(secret, step_at(at) + step) for step in range(-45, 46)}
    wrong = next(code for number in range(731_900, 732_000) if (code := str(number)) not in near)
    row = answered_again(workplace, "has no authenticator yet")
    assert resume(workplace, row, "lea", wrong)
    workplace.go_on(row["flow_run_id"])
    row = answered_again(workplace, "That code is not right. The next code is looked at from")
    assert resume(workplace, row, "lea", code_at(secret, step_at(now())))
    workplace.go_on(row["flow_run_id"])
    row = answered_again(workplace, "After a wrong code the next one is looked at from")
    assert workplace.states() == {KEY: "in_review"}

    assert resume(workplace, row, "lea", code_at(secret, step_at(now() + timedelta(minutes=5))))
    workplace.go_on(row["flow_run_id"], CLOCK="+5m")
    assert workplace.states() == {KEY: "published"}
    (told,) = workplace.story(KEY)["decisions"]
    assert (told["by"], told["signature"]) == ("lea", "totp")
    refused = workplace.rows("SELECT reason FROM events WHERE action = 'refuse_answer' ORDER BY seq")
    assert [reason for (reason,) in refused] == [
        "not signed: not enrolled",
        "not signed: wrong code",
        "not signed: too soon after a wrong code",
    ]
    kept = str(workplace.rows("SELECT body FROM events") + workplace.rows("SELECT reason FROM parkings"))
    assert wrong not in kept
    assert secret not in kept


def answered_again(workplace: Workplace, why: str) -> dict[str, Any]:
    """The one review that waits, with this reason on top of its form."""
    (row,) = workplace.reviews()
    shown = workplace.stack.api.read_input(row["flow_run_id"], DESCRIPTION) or ""
    assert "Here again:" in shown
    assert why in shown.replace("\\\\", "")
    return row


def test_the_time_of_the_resume_counts(workplace: Workplace) -> None:
    """A worker that comes ten minutes late takes the code of then; one put into the form later is refused."""
    workplace.put(KEY, "The words of this slogan are plain and waiting.")
    workplace.ingest()
    secret = enrol(workplace, "lea")
    (row,) = workplace.reviews()
    assert resume(workplace, row, "lea", code_at(secret, step_at(now())))
    read_late(workplace, row, minutes=10)  # and the code is of ten minutes after that
    assert workplace.states() == {KEY: "in_review"}
    row = answered_again(workplace, "That code came about 10 min too early")
    ten_minutes_ago = now() - timedelta(minutes=10)
    assert resume(workplace, row, "lea", code_at(secret, step_at(ten_minutes_ago)))
    read_late(workplace, row, minutes=10, CLOCK="+1h")  # what was right then is wrong an hour later
    row = answered_again(workplace, "That code is not right")
    assert resume(workplace, row, "lea", code_at(secret, step_at(ten_minutes_ago + timedelta(hours=2))))
    read_late(workplace, row, minutes=10, CLOCK="+2h")
    assert set(workplace.states().values()) == {"approved"}


def read_late(workplace: Workplace, row: dict[str, Any], *, minutes: int, **variables: str) -> None:
    """Read the answer of a run as if it had been given so long ago, and park what is asked again."""
    was_resumed_earlier(workplace, row["flow_run_id"], minutes=minutes)
    with workplace.at_work(**variables):
        record_answer(open_resources(), row["flow_run_id"])
        park_reviews(open_resources(), ACTOR)


def was_resumed_earlier(workplace: Workplace, flow_run_id: str, *, minutes: int) -> None:
    """Make a run look as if everything in it had happened earlier: the worker comes late."""
    database = workplace.stack.home / "prefect" / "prefect.db"
    with closing(sqlite3.connect(database, timeout=30)) as connection, connection:
        for table, column in (("flow_run_state", "timestamp"), ("flow_run_input", "created")):
            changed = connection.execute(
                f"UPDATE {table} SET {column} = strftime('%Y-%m-%d %H:%M:%f', {column}, ?) || '000' "
                "WHERE flow_run_id = ?",
                (f"-{minutes} minutes", flow_run_id),
            )
            assert changed.rowcount > 1


def test_a_used_code(workplace: Workplace) -> None:
    """The same code on two forms: the first one has it, the other is told from when on the next is good."""
    workplace.put(KEY, "The words of this slogan are plain and waiting.")
    workplace.put(OTHER, "Other words of another slogan are waiting.")
    workplace.ingest()
    secret = enrol(workplace, "lea")
    one, two = workplace.reviews()
    code = code_at(secret, step_at(now()))
    for row in (one, two):
        assert resume(workplace, row, "lea", code)
    for row in (one, two):
        workplace.go_on(row["flow_run_id"])
    assert sorted(workplace.states().values()) == ["in_review", "published"]
    answered_again(workplace, "each is good once: take the next one, from")
    assert workplace.rows("SELECT reason FROM events WHERE action = 'refuse_answer'") == [("not signed: used code",)]


def test_this_was_not_me(workplace: Workplace) -> None:
    """Decided from a terminal with a code; its receipt has a token, which withdraws what it published, once."""
    sha256 = workplace.put(KEY, "The words of this slogan are plain and waiting.")
    workplace.ingest()
    secret = enrol(workplace, "lea")
    (row,) = workplace.reviews()
    said = ("decide", str(row["review"]), "approve", "--as", "lea", "--no-wait")
    assert workplace.say(*said).code == 2
    assert workplace.say(*said, "--code", "12345").code == 2
    assert workplace.say(*said, "--code", code_at(secret, step_at(now()))).code == 0
    workplace.go_on(row["flow_run_id"])
    assert workplace.library() == {KEY: sha256}

    with workplace.resources.ledger.reading() as connection:
        (receipt,) = (one for one in load_notices(connection, handle="lea") if one.kind == "receipt")
    assert "token" not in str(receipt.body)
    told = compose(workplace.resources, Message((("mail", None),), (receipt,)), chat=False, limit=5_000).body
    assert f"You decided in review {row['review']} (editor): approve 1 (text/slogan.txt)." in told
    token = told.rpartition("signoff people disown ")[2].strip()
    assert workplace.say("people", "disown", token[:-1]).code == 1
    done = json.loads(workplace.say("people", "disown", token, "--json").out)
    assert done == {
        "decisions": 1, "withdrawn": 1, "asked_again": 0, "reopened": 0, "doubted": 0, "held_again": 0, "unchanged": 0,
        "authenticator_ended": True,
    }  # fmt: skip
    assert done.keys() == CONTRACT["people disown"].keys()
    told = "SELECT handle FROM notices JOIN people USING (person_id) WHERE occasion LIKE 'disowned %' ORDER BY handle"
    assert {handle for (handle,) in workplace.rows(told)} >= {"jonas", "mei"}, "who own the quarantine"
    workplace.sweep()
    assert workplace.library() == {}
    assert workplace.states() == {KEY: "withdrawn"}
    assert "were disowned before" in workplace.say("people", "disown", token).out
    assert "two other people recover it first" in workplace.say("people", "enrol", "lea").err
