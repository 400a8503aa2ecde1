"""A ledger that a test writes row by row: real tables, no verbs, so that any history can be told."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import sqlalchemy as sa

from ledger import tables

START = datetime(2026, 3, 2, tzinfo=UTC)
"""A Monday; the histories of these tests count hours from here."""


def hour(hours: float) -> datetime:
    """The instant so many hours after the start."""
    return START + timedelta(hours=hours)


class ScriptedLedger:
    """Rows of a ledger at `url`, with the sequence and the hashes that the real one would give."""

    def __init__(self, url: str) -> None:
        """Create the tables in an empty database."""
        self.url = url
        self.engine = sa.create_engine(url)
        if url.startswith("sqlite"):
            sa.event.listen(self.engine, "connect", lambda raw, _: raw.execute("PRAGMA synchronous=OFF"))
        tables.metadata.create_all(self.engine)
        self.seq = 0
        self.hash = ""
        self.states: dict[int, str] = {}
        self.events: list[dict[str, Any]] = []
        with self.engine.begin() as connection:
            row = {"sha256": "p1", "name": "p", "body": "{}", "stored_at": START}
            connection.execute(tables.policies.insert(), row)
            people = [{"person_id": n, "handle": f"h{n}", "joined_at": START} for n in (1, 2, 3)]
            connection.execute(tables.people.insert(), people)

    @classmethod
    def at(cls, folder: Path, name: str = "ledger") -> ScriptedLedger:
        """A SQLite ledger in `folder`."""
        return cls(f"sqlite:///{folder / name}.db")

    def add(self, table: str, **values: Any) -> None:
        """Insert one row."""
        with self.engine.begin() as connection:
            connection.execute(tables.metadata.tables[table].insert(), values)

    def change(self, table: str, key: Mapping[str, Any], **values: Any) -> None:
        """Update the row with this key."""
        found = tables.metadata.tables[table]
        with self.engine.begin() as connection:
            where = [found.c[name] == value for name, value in key.items()]
            connection.execute(found.update().where(*where).values(**values))

    def born(
        self, version_id: int, *, collection: str = "spring", number: int = 1, asset_id: int | None = None
    ) -> None:
        """Add a version, and its asset if that is new; its `submit` event is yet to come."""
        asset_id = asset_id or version_id
        if number == 1:
            self.add("assets", asset_id=asset_id, bucket="intake", key=f"spring/{asset_id}.jpg", created_at=START)
        self.add(
            "versions",
            version_id=version_id,
            asset_id=asset_id,
            number=number,
            sha256=f"{version_id:064x}",
            size_bytes=version_id * 100,
            collection=collection,
            submitter=None,
            policy_sha256="p1",
        )

    def event(
        self,
        at: datetime,
        action: str,
        version_id: int | None = None,
        to_state: str | None = None,
        *,
        from_state: str | None = None,
        round_number: int | None = 1,
        actor: str = "system:test",
    ) -> None:
        """Append an event, and move the version as the ledger's trigger does."""
        self.seq += 1
        self.hash = hashlib.sha256(f"{self.hash}{self.seq}{at}{action}{version_id}{to_state}".encode()).hexdigest()
        if to_state is not None and version_id is not None and from_state is None:
            from_state = self.states.get(version_id, "")
        row = {
            "seq": self.seq,
            "at": at,
            "actor": actor,
            "action": action,
            "version_id": version_id,
            "from_state": from_state,
            "to_state": to_state,
            "round": round_number,
            "body": "{}",
            "hash": self.hash,
        }
        self.add("events", **row)
        self.events.append(row)
        if to_state is not None and version_id is not None:
            self.states[version_id] = to_state
            moved = {"state": to_state, "state_seq": self.seq, "state_since": at, "round": round_number}
            self.change("versions", {"version_id": version_id}, **moved)

    def walk(self, version_id: int, *steps: tuple[float, str, str], round_number: int = 1) -> None:
        """Append events of one version: (hours after the start, action, to_state)."""
        for hours, action, to_state in steps:
            self.event(hour(hours), action, version_id, to_state, round_number=round_number)

    def gate(self, gate_id: int, version_id: int, stage: str, **values: Any) -> None:
        """Add a gate; instants are given in hours after the start."""
        instants = {name: None if values.get(name) is None else hour(values.pop(name)) for name in _GATE_INSTANTS}
        row = {"round": 1, "step": 0, "quorum": 1, "four_eyes": True, "signature": "none", **values}
        self.add("gates", gate_id=gate_id, version_id=version_id, stage=stage, **row, **instants)

    def screening(self, version_id: int, label: str | None, round_number: int = 1, clearance: str = "cleared") -> None:
        """Add what a screening saw."""
        self.add(
            "screenings",
            version_id=version_id,
            round=round_number,
            policy_sha256="p1",
            kind="image",
            label=label,
            score=None if label is None else 0.75,
            clearance=clearance,
            facts="{}",
            route="{}",
            screened_at=START,
        )

    def close(self) -> None:
        """Return the connections."""
        self.engine.dispose()


_GATE_INSTANTS = ("opened_at", "due_at", "closed_at")
