"""Bring the analysts' warehouse up to what the ledger holds: read what is new in one snapshot, hand it over, swap."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any, Final

from prefect import task

from analytics.build import WarehouseBuild, Watermark
from analytics.errors import RefreshRunning
from analytics.schema import EVENT_COLUMNS, MIRRORS, Mirror
from analytics.warehouse import build_aside
from ledger.bulk_read import LedgerSnapshot, open_snapshot
from ledger.errors import LedgerBusy, LedgerUnreachable

_TRANSIENT: Final = (LedgerUnreachable, LedgerBusy, RefreshRunning)


@dataclass(frozen=True, slots=True)
class MetricsRefreshed:
    """What one refresh did.

    `watermark_seq` is the last event that the warehouse now knows. `rebuilt_because` says why it was built from
    nothing, None if it was continued. `caught_up` names tables of which rows had changed without an event that names
    their version; they were found by comparing sums.
    """

    watermark_seq: int
    events_added: int
    rebuilt_because: str | None
    caught_up: tuple[str, ...]


def refresh_metrics(ledger_url: str, warehouse_path: Path, now: datetime) -> MetricsRefreshed:
    """Refresh the warehouse at `warehouse_path` from the ledger at the SQLAlchemy address `ledger_url`.

    `now` (aware) is the moment up to which open items are measured. Readers are never blocked and see the old file or
    the new one. Raises `LedgerUnreachable`, `LedgerBusy` and `RefreshRunning` (transient), `LedgerSchemaMismatch`,
    `EventsMissing`, `LedgerNotUnderstood`; the warehouse then stays as it was.
    """
    with build_aside(warehouse_path, now) as build, open_snapshot(ledger_url) as ledger:
        _check_base(build, ledger)
        since, head = build.watermark.seq, ledger.head()
        events = ledger.stream("events", columns=EVENT_COLUMNS, after_seq=since)
        build.append_events(events, Watermark(head.seq, head.hash))
        caught_up: dict[str, frozenset[int]] = {}
        for mirror in MIRRORS:
            touched = ledger.stream(mirror.table, columns=mirror.columns, after_seq=since)
            build.put_rows(mirror, touched)
            # what a version was screened as stands in its own row too
            follows = caught_up.get("screenings", frozenset()) if mirror.table == "versions" else frozenset()
            caught_up[mirror.table] = _catch_up(ledger, build, mirror, follows)
    behind = tuple(table for table, buckets in caught_up.items() if buckets)
    return MetricsRefreshed(head.seq, build.events_added, build.rebuilt_because, behind)


def _check_base(build: WarehouseBuild, ledger: LedgerSnapshot) -> None:
    """Build from nothing unless the warehouse's last event is the very one that the ledger has under its number."""
    known = build.watermark
    if ledger.hash_at(known.seq) != known.hash:
        build.start_over("the warehouse came from another ledger")


def _catch_up(ledger: LedgerSnapshot, build: WarehouseBuild, mirror: Mirror, too: frozenset[int]) -> frozenset[int]:
    """Read again every bucket of rows that differs from the ledger's, and those of `too`; returns which.

    A row may change under an event that names no version (a review is parked: its gates get their deadlines), or under
    none. Comparing sums finds those without reading the rows.
    """
    ours, theirs = build.checksums(mirror), ledger.checksums(mirror.table, mirror.checked)
    differing = too.union(bucket for bucket in ours.keys() | theirs.keys() if ours.get(bucket) != theirs.get(bucket))
    if differing:
        rows = ledger.stream(mirror.table, columns=mirror.columns, buckets=differing)
        build.put_rows(mirror, rows, differing)
    return differing


def _is_transient(_task: Any, _run: Any, state: Any) -> bool:
    return isinstance(state.result(raise_on_failure=False), _TRANSIENT)


@task(name="refresh_metrics", retries=3, retry_delay_seconds=[2, 10, 30], retry_condition_fn=_is_transient)
def refresh_metrics_task(ledger_url: str, warehouse_path: Path, now: datetime) -> MetricsRefreshed:
    """Refresh the warehouse as `refresh_metrics` does, again where a later try may succeed."""
    return refresh_metrics(ledger_url, warehouse_path, now)
