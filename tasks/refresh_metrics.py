"""Bring the analysts' warehouse up to what the ledger holds: read what is new in one snapshot, hand it over, swap."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any, Final

from prefect import task
from prefect.logging import get_run_logger

from analytics.build import WarehouseBuild, Watermark
from analytics.errors import RefreshRunning
from analytics.schema import EVENT_COLUMNS, MIRRORS, Mirror
from analytics.warehouse import build_aside
from ledger.bulk_read import LedgerSnapshot, LedgerUnreachable, open_snapshot
from ledger.errors import LedgerBusy

_TRANSIENT: Final = (LedgerUnreachable, LedgerBusy, RefreshRunning)


@dataclass(frozen=True, slots=True)
class MetricsRefreshed:
    """What one refresh did.

    `watermark_seq` is the last event that the warehouse now knows. `rebuilt_because` says why it was built from
    nothing, None if it was continued. `caught_up` names tables of which rows had changed without an event for their
    version, which were therefore read whole.
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
        caught_up: list[str] = []
        for mirror in MIRRORS:
            whole = since == 0 or (mirror.table == "versions" and "screenings" in caught_up)
            if not _mirror_rows(ledger, build, mirror, since=0 if whole else since):
                caught_up.append(mirror.table)
    return MetricsRefreshed(head.seq, build.events_added, build.rebuilt_because, tuple(caught_up))


def _check_base(build: WarehouseBuild, ledger: LedgerSnapshot) -> None:
    """Build from nothing unless the warehouse's last event is the very one that the ledger has under its number."""
    known = build.watermark
    if ledger.hash_at(known.seq) != known.hash:
        build.start_over("the warehouse came from another ledger")


def _mirror_rows(ledger: LedgerSnapshot, build: WarehouseBuild, mirror: Mirror, since: int) -> bool:
    """Store the rows of versions with events after `since`; False if that left a difference, and all were read."""
    build.put_rows(mirror, ledger.stream(mirror.table, columns=mirror.columns, after_seq=since), all_rows=since == 0)
    if since == 0 or build.checksum(mirror) == ledger.checksum(mirror.table, mirror.checked):
        return True
    build.put_rows(mirror, ledger.stream(mirror.table, columns=mirror.columns), all_rows=True)
    return False


def _is_transient(_task: Any, _run: Any, state: Any) -> bool:
    return isinstance(state.result(raise_on_failure=False), _TRANSIENT)


@task(name="refresh_metrics", retries=3, retry_delay_seconds=[2, 10, 30], retry_condition_fn=_is_transient)
def refresh_metrics_task(ledger_url: str, warehouse_path: Path, now: datetime) -> MetricsRefreshed:
    """Refresh the warehouse as `refresh_metrics` does, again where a later try may succeed."""
    refreshed = refresh_metrics(ledger_url, warehouse_path, now)
    if refreshed.caught_up:
        get_run_logger().warning("changed without an event, read whole: %s", ", ".join(refreshed.caught_up))
    return refreshed
