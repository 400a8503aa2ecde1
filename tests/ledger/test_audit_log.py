"""Reading the trail on both databases: newest or all, narrowed down, in pages that miss and repeat nothing."""

from __future__ import annotations

import pytest

from ledger import audit_log
from ledger.audit_log import (
    EventFilter,
    find_actor,
    last_events,
    stream_clearances,
    stream_events,
    stream_versions,
)
from ledger.errors import UnknownName
from tests.ledger.approval_world import ApprovalWorld, sha256_of


@pytest.mark.parametrize("page", [1, 2, 7, 1_000])
def test_pages_miss_and_repeat_nothing(world: ApprovalWorld, page: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whatever the size of a page, every event, version and clearance comes once, in order."""
    world.published("spring/a.jpg", "one")
    world.archived("spring/b.jpg", "two")
    world.superseded("spring/c.jpg")
    monkeypatch.setattr(audit_log, "PAGE", page)
    with world.ledger.reading() as connection:
        events = list(stream_events(connection))
        versions = list(stream_versions(connection))
        clearances = list(stream_clearances(connection))
        assert last_events(connection, EventFilter(), 1_000) == events
    assert [row["seq"] for row in events] == [seq for (seq,) in world.ask("SELECT seq FROM events ORDER BY seq")]
    assert [(row["version_id"], row["key"], row["number"]) for row in versions] == [
        (1, "spring/a.jpg", 1), (2, "spring/b.jpg", 1), (3, "spring/c.jpg", 1), (4, "spring/c.jpg", 2),
    ]  # fmt: skip
    assert versions[0]["sha256"] == sha256_of("one")
    assert (versions[0]["media_type"], versions[0]["place_bucket"]) == ("image/jpeg", "workspace")
    newest = world.ask("SELECT version_id, MAX(clearance_id) FROM clearances GROUP BY version_id ORDER BY version_id")
    assert [(row["version_id"], row["clearance_id"]) for row in clearances] == newest


def test_filters_hold_together(world: ApprovalWorld) -> None:
    """Actor and action and key and time; a kind of actor is a prefix and no pattern."""
    world.published("spring/a.jpg", "one")
    world.turned_down("spring/b.jpg", "two", "reject")

    def found(**wanted: object) -> list[tuple[str, str, str | None]]:
        with world.ledger.reading() as connection:
            rows = stream_events(connection, EventFilter(**wanted))  # type: ignore[arg-type]
            return [(row["actor"], row["action"], row["key"]) for row in rows]

    assert found(actors=("person:",), key="spring/b.jpg") == [("person:1", "decide", "spring/b.jpg")]
    assert found(actors=("operator:",), actions=("decide",)) == []
    assert found(actors=("person%:",)) == []
    everything = found()
    with world.ledger.reading() as connection:
        at = last_events(connection, EventFilter(), 5)[0]["at"]
    assert found(since=at) == everything[len(found(until=at)) :]
    with world.ledger.reading() as connection, pytest.raises(UnknownName, match="no asset has the key 'x'"):
        last_events(connection, EventFilter(key="x"), 1)


def test_actors_are_found_by_what_people_call_them(world: ApprovalWorld) -> None:
    """Handle, name, kind, or as the trail has them; nobody is guessed."""
    with world.ledger.reading() as connection:
        names = ("lea", "Lea", "system", "person:4", "system:ingest_assets", "operator:ada")
        assert [find_actor(connection, one) for one in names] == [
            "person:1", "person:1", "system:", "person:4", "system:ingest_assets", "operator:ada",
        ]  # fmt: skip
        with pytest.raises(UnknownName, match="nobody is called 'le'"):
            find_actor(connection, "le")
