"""One asset that cannot be read stops no other: refused objects, lost bytes, what is too large, renamed collections."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from ledger.reader import refusals
from policies.document import load_policy
from policies.grants import grants_frame
from tasks.check_rights import RightsSubject, check_clearances
from tasks.errors import SpoolFull, StorageRefused
from tasks.inspect_contents import unread_rights
from tasks.resources import Resources
from tasks.screen_shard import screen
from tasks.storage import Storage
from tests.workplace import MakeWorkplace, Workplace, policy_text

WORDS = "Plain words, long enough to be taken for text."


@pytest.mark.stack
def test_an_object_that_the_store_refuses_is_noted_and_tried_again(
    workplace: Workplace, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The others go on; the reason is audited once; when the store gives it, it is taken up."""
    for key in ("text/locked.txt", "text/open.txt"):
        workplace.put(key, f"{WORDS} {key}")
    real = Storage.fetch

    def fetch(storage: Storage, place: Any, target: Path | None = None) -> Any:
        if place.key == "text/locked.txt":
            raise StorageRefused("this object lies in a vault")
        return real(storage, place, target)

    with monkeypatch.context() as patched:
        patched.setattr(Storage, "fetch", fetch)
        workplace.ingest()
        workplace.ingest()
    assert workplace.states() == {"text/open.txt": "in_review"}
    with workplace.resources.ledger.reading() as connection:
        (refused,) = refusals(connection, workplace.buckets.intake)
    assert (refused["key"], refused["reason"]) == ("text/locked.txt", "this object lies in a vault")
    assert workplace.rows("SELECT count(*) FROM events WHERE action = 'refuse_object'") == [(1,)]
    workplace.ingest()
    assert workplace.states() == {"text/locked.txt": "in_review", "text/open.txt": "in_review"}


@pytest.mark.stack
def test_bytes_that_were_lost_before_screening_quarantine_one_version(
    workplace: Workplace, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Submitted, then the source deleted the pinned version: quarantined with the reason, the others go on."""
    for key in ("text/gone.txt", "text/here.txt"):
        workplace.put(key, f"{WORDS} {key}")
    with monkeypatch.context() as patched:
        patched.setattr("tasks.screen_shard.inspect_contents", _crash)
        patched.setattr("flows.shard_runner.screen_shard", _screen_once)
        with pytest.raises(_Crashed):
            workplace.ingest()
    (custody,) = workplace.story("text/gone.txt")["custody"]
    workplace.client.delete_object(Bucket=custody["bucket"], Key=custody["key"], VersionId=custody["object_version"])
    workplace.ingest()
    assert workplace.states() == {"text/gone.txt": "quarantined", "text/here.txt": "in_review"}
    events = workplace.story("text/gone.txt")["events"]
    reason = next(one["reason"] for one in events if one["action"] == "quarantine")
    assert reason.startswith("inspection_failed: its bytes are lost: s3://")


@pytest.mark.stack
def test_what_is_larger_than_the_policy_accepts_is_not_kept_on_this_machine(
    make_workplace: MakeWorkplace, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It is hashed and taken into custody, and quarantined without a look inside."""
    workplace = make_workplace(versioned=False)
    sha256 = workplace.put("text/large.txt", WORDS)
    kept: list[Path | None] = []
    real = Storage.fetch

    def fetch(storage: Storage, place: Any, target: Path | None = None) -> Any:
        kept.append(target)
        return real(storage, place, target)

    small = Resources.active_policy(workplace.resources)
    document = small.document.model_copy(
        update={"screening": small.document.screening.model_copy(update={"max_size": 10})}
    )
    monkeypatch.setattr(Resources, "active_policy", lambda _: replace(small, document=document))
    monkeypatch.setattr(Resources, "policy", lambda *_: document)
    monkeypatch.setattr(Storage, "fetch", fetch)
    workplace.ingest()
    assert workplace.states() == {"text/large.txt": "quarantined"}
    assert set(kept) == {None}
    assert list(workplace.objects(workplace.buckets.workspace)) == [
        workplace.resources.settings.contracts,
        f"masters/{sha256}",
    ]


def test_a_version_of_a_collection_that_the_policy_no_longer_has_goes_by_its_key() -> None:
    """Reopened under a policy that renamed its collection: its rights are asked for the collection of its key."""
    policy = load_policy(policy_text(), "policy.yaml")
    subject = RightsSubject(1, "notes/a.txt", "renamed", "text", unread_rights())
    found = check_clearances([subject], policy, grants_frame([]), datetime(2026, 3, 2, tzinfo=UTC))
    assert found[1].status == "unknown"


def test_a_full_disk_is_said_and_transient(tmp_path: Path) -> None:
    """The device that is always full stands for the disk of the spool."""
    from tasks.storage import _drain

    with pytest.raises(SpoolFull, match="TMPDIR"):
        _drain(iter([b"x" * 100_000]), Path("/dev/full"))


class _Crashed(Exception):
    """Stands for the end of the process."""


def _crash(*_arguments: Any) -> Any:
    raise _Crashed


def _screen_once(shard: Any, flow_run_id: str, **_options: Any) -> Any:
    from tasks.resources import open_resources

    return screen(open_resources(), shard, flow_run_id)
