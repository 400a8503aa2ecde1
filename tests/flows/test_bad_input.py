"""What bad input and a dead store get: a reason in words, nothing lost, and the next run goes on."""

from __future__ import annotations

from typing import Any

import psutil
import pytest

import flows.ingest_assets
from cli.stack.components import Part
from cli.stack.supervisor import Supervisor
from ledger.grants import present_grants
from policies.errors import GrantsInvalid
from tasks.errors import StorageAway
from tasks.list_intake import IntakePlan, list_intake
from tasks.resources import Resources
from tests.flows.library_watch import LibraryWatch
from tests.flows.pictures import broken_picture, picture
from tests.workplace import CLEARED, Workplace

pytestmark = pytest.mark.stack

WORDS = "Plain words, long enough to be taken for text by anybody who looks."
ODD_KEYS = (
    "notes/with space.txt",
    "notes/ends with a space .txt",
    "notes/Grüße aus 東京 🎈.txt",
    "notes/composed-\u00e9.txt",
    "notes/composed-e\u0301.txt",
    "notes/turned-\u202etxt.txt",
    "notes/100%.txt",
    "notes/%41%2F.txt",
    "notes/a#b.txt",
    "notes/a?b=c&d=e+f.txt",
    "notes/quotes'\"`.txt",
    "notes/[a]{b}(c)<d>|^~*;,@!$.txt",
    "notes/two\nlines.txt",
    "notes/bell\x07tab\t.txt",
    "notes/.hidden",
    "notes/" + "/".join("long" * 30 for _ in range(8)) + ".txt",
)


def test_odd_keys_reach_the_library_unchanged(workplace: Workplace) -> None:
    """Spaces, Unicode, control characters, percent, hash, question mark, a thousand bytes: each arrives as it was."""
    sha256s = {key: workplace.put(key, f"{WORDS} It was put as {key!r}.") for key in ODD_KEYS}
    workplace.ingest()
    workplace.decide_all()  # those that the second look picked
    assert workplace.library() == sha256s
    workplace.ingest()
    assert workplace.versions() == {(key, 1): "published" for key in ODD_KEYS}
    shown = workplace.say("ls").out
    assert "\x07" not in shown
    assert "bell\\x07tab" in shown


def test_broken_and_lying_files_are_quarantined_with_the_reason(workplace: Workplace) -> None:
    """A truncated JPEG, a picture that calls itself a document and a page that calls itself a picture."""
    workplace.put("text/fine.txt", WORDS)
    workplace.put("text/broken.jpg", broken_picture())
    workplace.put("text/lying.pdf", picture("PNG"))
    workplace.put("text/page.jpg", "<!DOCTYPE html><html><body><script>alert(1)</script><p>Hello</p></body></html>")
    workplace.ingest()
    assert workplace.states() == {
        "text/broken.jpg": "quarantined",
        "text/fine.txt": "in_review",
        "text/lying.pdf": "quarantined",
        "text/page.jpg": "quarantined",
    }
    why = {
        key: next(one["reason"] for one in workplace.story(key)["events"] if one["action"] == "quarantine")
        for key in workplace.states()
        if key != "text/fine.txt"
    }
    assert why.pop("text/broken.jpg").startswith("inspection_failed: broken: image file is truncated")
    assert why == {
        "text/lying.pdf": "quarantine_when: the content is image/png, the name says application/pdf",
        "text/page.jpg": "quarantine_when: the content is text/html, the name says image/jpeg",
    }
    assert workplace.library() == {}


def test_an_object_that_vanishes_while_it_is_read_costs_nothing(
    workplace: Workplace, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Deleted between listing and reading: the others go on, the run ends well, and the next one does not miss it."""
    workplace.put("text/gone.txt", WORDS)
    workplace.put("text/stays.txt", f"{WORDS} These stay.")

    def list_and_lose(resources: Resources) -> IntakePlan:
        plan = list_intake(resources)
        workplace.client.delete_object(Bucket=workplace.buckets.intake, Key="text/gone.txt")
        return plan

    monkeypatch.setattr(flows.ingest_assets, "list_intake", list_and_lose)
    workplace.ingest()
    workplace.ingest()
    assert workplace.states() == {"text/stays.txt": "in_review"}
    workplace.put("text/gone.txt", WORDS)
    monkeypatch.undo()
    workplace.ingest()
    assert workplace.states() == {"text/gone.txt": "in_review", "text/stays.txt": "in_review"}


def test_an_object_that_changes_while_it_is_read_is_taken_as_it_is_now(
    workplace: Workplace, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Replaced between listing and reading: one version, with the new bytes, and the next run finds nothing to do."""
    workplace.put("notes/moving.txt", WORDS)

    def list_and_replace(resources: Resources) -> IntakePlan:
        plan = list_intake(resources)
        replaced.append(workplace.put("notes/moving.txt", f"{WORDS} Other words."))
        return plan

    replaced: list[str] = []
    monkeypatch.setattr(flows.ingest_assets, "list_intake", list_and_replace)
    workplace.ingest()
    monkeypatch.undo()
    workplace.ingest()
    assert workplace.versions() == {("notes/moving.txt", 1): "published"}
    assert workplace.library() == {"notes/moving.txt": replaced[0]}


def test_a_contracts_table_with_an_error_is_refused_as_a_whole(workplace: Workplace) -> None:
    """The run says file, line and column; the grants of the last good table stay; a corrected one is taken."""
    workplace.put("notes/one.txt", WORDS)
    workplace.ingest()
    before = _grants(workplace)
    good = ",".join(("C-NEW", "permit", "secret", "publish", "any", "WORLD"))
    bad = ",".join(("C-BAD", "permit", "notes", "publish", "any", "Atlantis"))
    workplace.put_contracts_file(f"id,effect,collection,actions,channels,territories\n{good}\n{bad}\n".encode())
    workplace.put("notes/two.txt", f"{WORDS} Second.")
    with pytest.raises(GrantsInvalid, match=r"contracts/grants\.csv:3: territories: found 'ATLANTIS'"):
        workplace.ingest()
    assert _grants(workplace) == before
    workplace.put_contracts(*CLEARED)
    workplace.ingest()
    assert workplace.states() == {"notes/one.txt": "published", "notes/two.txt": "published"}


def test_a_store_that_dies_fails_the_run_and_the_next_goes_on(
    workplace: Workplace, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Killed after the listing: the run fails and says what could not be reached; once it is back, nothing is lost."""
    sha256 = workplace.put("notes/one.txt", WORDS)
    store = Supervisor(workplace.stack.home).running_pid(Part.OBJECT_STORE)

    def list_and_kill(resources: Resources) -> IntakePlan:
        plan = list_intake(resources)
        psutil.Process(store).kill()
        psutil.wait_procs([psutil.Process(store)] if psutil.pid_exists(store or 0) else [], timeout=10)
        return plan

    monkeypatch.setattr(flows.ingest_assets, "list_intake", list_and_kill)
    monkeypatch.setattr("flows.steps.RETRY_DELAYS_S", [0])
    monkeypatch.setattr("flows.shard_runner.screen_shard.retries", 0)
    try:
        with pytest.raises(Exception, match="reading s3://intake-") as failed:
            workplace.ingest()
        assert "failed" in str(failed.value)
        monkeypatch.setattr(flows.ingest_assets, "list_intake", list_intake)
        with pytest.raises(StorageAway, match="looking at s3://workspace-"):
            workplace.ingest()
    finally:
        workplace.stack.start()
    with LibraryWatch(workplace):
        workplace.ingest()
    assert workplace.library() == {"notes/one.txt": sha256}


def _grants(workplace: Workplace) -> list[Any]:
    with workplace.resources.ledger.reading() as connection:
        return sorted(present_grants(connection))
