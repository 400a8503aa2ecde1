"""The file that analysts open: swapped in whole, never half, never blocked, and built anew when it must be."""

from __future__ import annotations

import fcntl
import pickle
import struct
import subprocess
import sys
import textwrap
from collections.abc import Iterator
from pathlib import Path

import duckdb
import pytest
import sqlalchemy as sa

from analytics import schema
from analytics.errors import EventsMissing, LedgerNotUnderstood, RefreshRunning, WarehouseMissing
from analytics.warehouse import answer_query, content_hash
from ledger import tables
from ledger.errors import LedgerSchemaMismatch
from tasks.refresh_metrics import MetricsRefreshed, refresh_metrics
from tests.analytics.scripted_ledger import ScriptedLedger, hour


@pytest.fixture
def ledger(tmp_path: Path) -> Iterator[ScriptedLedger]:
    """A ledger with one version in review."""
    made = ScriptedLedger.at(tmp_path)
    made.born(1)
    made.walk(1, (0, "submit", "submitted"), (1, "open_gates", "in_review"))
    yield made
    made.close()


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """Where the warehouse is to be, in a folder that does not exist yet."""
    return tmp_path / "analytics" / "analytics.duckdb"


def leftovers(path: Path) -> list[str]:
    """What lies beside the warehouse and its lock."""
    return sorted(one.name for one in path.parent.iterdir() if one.name not in (path.name, f"{path.name}.lock"))


def test_a_refresh_continues_where_the_last_one_stopped(ledger: ScriptedLedger, path: Path) -> None:
    """First built from nothing, then continued, then nothing new."""
    first = refresh_metrics(ledger.url, path, hour(2))
    assert first == MetricsRefreshed(2, 2, "there was no warehouse yet", ())
    ledger.walk(1, (3, "approve", "approved"))
    assert refresh_metrics(ledger.url, path, hour(4)) == MetricsRefreshed(3, 1, None, ())
    assert refresh_metrics(ledger.url, path, hour(5)) == MetricsRefreshed(3, 0, None, ())
    assert answer_query(path, "SELECT state, round(oldest_age_s) FROM wip() JOIN open_stays ON true")[1] == [
        ("approved", 7200.0)
    ]
    assert leftovers(path) == []


def test_an_empty_ledger_makes_an_empty_warehouse(tmp_path: Path, path: Path) -> None:
    """No event yet: every question has an answer without rows."""
    empty = ScriptedLedger.at(tmp_path, "empty")
    assert refresh_metrics(empty.url, path, hour(0)).watermark_seq == 0
    assert answer_query(path, "FROM lead_time()")[1] == []
    assert answer_query(path, "FROM throughput()")[1] == []
    empty.close()


def test_rows_that_changed_without_an_event_are_found(ledger: ScriptedLedger, path: Path) -> None:
    """A deadline set when a review is parked, and a check that wrote no event, reach the warehouse all the same."""
    ledger.gate(1, 1, "brand", opened_at=1)
    refresh_metrics(ledger.url, path, hour(2))
    ledger.change("gates", {"gate_id": 1}, due_at=hour(30))
    ledger.screening(1, "portrait")
    intent = {"intent": "{}", "status": "restricted", "deciding": "[]", "digest": "d"}
    reasons = '[{"code": "no_release", "text": "…"}, {"code": "duty", "text": "…"}]'
    ledger.add("clearances", clearance_id=1, version_id=1, **intent, reasons=reasons, checked_at=hour(2))
    found = refresh_metrics(ledger.url, path, hour(3))
    assert found == MetricsRefreshed(2, 0, None, ("clearances", "screenings", "gates", "versions"))
    assert answer_query(path, "SELECT due_at FROM gates")[1] == [(hour(30).replace(tzinfo=None),)]
    assert answer_query(path, "SELECT label, clearance FROM versions")[1] == [("portrait", "cleared")]
    assert answer_query(path, "SELECT status, reasons FROM clearances")[1] == [("restricted", ["no_release", "duty"])]


def test_decisions_know_their_stage(ledger: ScriptedLedger, path: Path) -> None:
    """A decision stands beside the stage and the version of its gate, and people are numbers."""
    ledger.gate(1, 1, "brand", opened_at=1)
    given = {"verdict": "approve", "counted": True, "signature": "none", "sha256": "x", "basis": "b"}
    ledger.add("decisions", decision_id=1, gate_id=1, person_id=2, on_behalf_of=3, **given, decided_at=hour(2))
    ledger.event(hour(2), "decide", 1, actor="person:2")
    refresh_metrics(ledger.url, path, hour(3))
    columns = "decision_id, version_id, stage, person_id, on_behalf_of, verdict, counted"
    assert answer_query(path, f"SELECT {columns} FROM decisions")[1] == [(1, 1, "brand", 2, 3, "approve", True)]


def test_another_ledger_is_noticed(ledger: ScriptedLedger, path: Path, tmp_path: Path) -> None:
    """A warehouse of another chain is no base, however many events that one had."""
    refresh_metrics(ledger.url, path, hour(2))
    other = ScriptedLedger.at(tmp_path, "other")
    other.born(7)
    other.walk(7, (0, "submit", "submitted"), (1, "quarantine", "quarantined"), (2, "reject", "rejected"))
    done = refresh_metrics(other.url, path, hour(3))
    assert done == MetricsRefreshed(3, 3, "the warehouse came from another ledger", ())
    assert answer_query(path, "SELECT version_id, outcome FROM versions")[1] == [(7, "rejected")]
    other.close()


def test_a_broken_file_is_built_anew(ledger: ScriptedLedger, path: Path) -> None:
    """What is derived needs no repair."""
    refresh_metrics(ledger.url, path, hour(2))
    expected = content_hash(path)
    path.chmod(0o644)
    path.write_bytes(b"no database at all" * 1000)
    assert str(refresh_metrics(ledger.url, path, hour(2)).rebuilt_because).startswith("the old file could not be read")
    assert content_hash(path) == expected


def test_a_file_of_other_tables_is_built_anew(
    ledger: ScriptedLedger, path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A new version of Signoff with other tables does not mix old rows with new ones."""
    refresh_metrics(ledger.url, path, hour(2))
    monkeypatch.setattr("analytics.build.schema_digest", lambda: "another")
    assert refresh_metrics(ledger.url, path, hour(2)).rebuilt_because == "the tables of the warehouse have changed"


def test_a_file_that_somebody_wrote_into_is_built_anew(ledger: ScriptedLedger, path: Path) -> None:
    """A write-ahead log beside the file means foreign changes; it is not carried over to the new file."""
    refresh_metrics(ledger.url, path, hour(2))
    Path(f"{path}.wal").write_bytes(b"left by somebody")
    done = refresh_metrics(ledger.url, path, hour(2))
    assert done.rebuilt_because == "somebody wrote into the published file"
    assert answer_query(path, "SELECT count(*) FROM events")[1] == [(2,)]
    assert leftovers(path) == []


def test_a_missing_event_stops_the_refresh(ledger: ScriptedLedger, path: Path) -> None:
    """A gap in the numbers is said, and the published file stays as it was."""
    refresh_metrics(ledger.url, path, hour(2))
    before = content_hash(path)
    ledger.walk(1, (3, "approve", "approved"), (4, "publish", "published"))
    with ledger.engine.begin() as connection:
        connection.execute(tables.events.delete().where(tables.events.c.seq == 3))
    with pytest.raises(EventsMissing, match="1 events arrived, expected 2: numbers 3 to 4") as caught:
        refresh_metrics(ledger.url, path, hour(5))
    assert pickle.loads(pickle.dumps(caught.value)).found == 1  # noqa: S301 (our own bytes)
    assert content_hash(path) == before
    assert leftovers(path) == []


def test_an_unknown_word_stops_the_refresh(ledger: ScriptedLedger, path: Path) -> None:
    """A state that this version does not know is not dropped silently."""
    ledger.walk(1, (3, "levitate", "levitating"))
    with pytest.raises(LedgerNotUnderstood, match="levitating"):
        refresh_metrics(ledger.url, path, hour(5))
    assert not path.exists()


def test_a_value_of_another_type_is_named_for_what_it_is(ledger: ScriptedLedger, path: Path) -> None:
    """SQLite lets text into a column of numbers: the ledger's own error comes through, not a wrapper of it."""
    with ledger.engine.begin() as connection:
        connection.execute(sa.text("UPDATE events SET round = 'first' WHERE seq = 2"))
    with pytest.raises(LedgerSchemaMismatch, match="holds a value of another type"):
        refresh_metrics(ledger.url, path, hour(5))
    assert not path.exists()


def test_two_refreshes_at_once(ledger: ScriptedLedger, path: Path) -> None:
    """The second one is told so; a lock that its owner let go of is no obstacle."""
    path.parent.mkdir()
    with Path(f"{path}.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        with pytest.raises(RefreshRunning):
            refresh_metrics(ledger.url, path, hour(2))
    assert refresh_metrics(ledger.url, path, hour(2)).events_added == 2


def test_what_a_killed_refresh_left_is_swept_away(ledger: ScriptedLedger, path: Path) -> None:
    """Half a file and its log lie beside the warehouse: neither is read, neither stays."""
    path.parent.mkdir()
    for name in (".next", ".next.wal"):
        Path(f"{path}{name}").write_bytes(b"half")
    refresh_metrics(ledger.url, path, hour(2))
    assert leftovers(path) == []


def test_no_warehouse_yet(path: Path) -> None:
    """The message names the command that makes one."""
    with pytest.raises(WarehouseMissing, match="signoff metrics refresh"):
        answer_query(path, "FROM wip()")


def test_the_file_is_in_the_format_of_duckdb_1(ledger: ScriptedLedger, path: Path) -> None:
    """Storage version 64 stands in the header: every DuckDB from 1.0 on reads it. Nobody may write into it."""
    refresh_metrics(ledger.url, path, hour(2))
    refresh_metrics(ledger.url, path, hour(3))
    header = path.read_bytes()[:20]
    assert (header[8:12], struct.unpack("<Q", header[12:20])) == (b"DUCK", (64,))
    assert path.stat().st_mode & 0o777 == 0o444


@pytest.mark.parametrize(
    ("enum", "table", "constraint"),
    [("gate_outcome", "gates", "outcome"), ("decision_verdict", "decisions", "verdict")],
)
def test_words_agree_with_the_ledger(enum: str, table: str, constraint: str) -> None:
    """The closed sets of words are those that the ledger's own constraints allow."""
    checks = {str(one.name): str(one.sqltext) for one in _checks(table)}
    said = next(text for name, text in checks.items() if name.endswith(constraint))
    assert all(f"'{word}'" in said for word in schema.ENUMS[enum])
    assert said.count("'") == 2 * len(schema.ENUMS[enum])


def _checks(table: str) -> list[sa.CheckConstraint]:
    return [one for one in tables.metadata.tables[table].constraints if isinstance(one, sa.CheckConstraint)]


READER = """
    import sys, duckdb
    held = duckdb.connect(sys.argv[1], read_only=True)
    question = "SELECT count(*), (SELECT watermark_seq FROM refresh) FROM events"
    print(held.execute(question).fetchall(), flush=True)
    for line in sys.stdin:
        print(held.execute(question).fetchall(), flush=True)
"""

WATCHER = """
    import subprocess, sys, duckdb
    # one process an opening would be slow: DuckDB gives a path that is not open any more afresh
    seen, torn = set(), 0
    print("ready", flush=True)
    while True:
        with duckdb.connect(sys.argv[1], read_only=True) as connection:
            events, seq, stays, versions, states = connection.execute('''
                SELECT (SELECT count(*) FROM events), (SELECT watermark_seq FROM refresh),
                    (SELECT count(*) FROM stays) + (SELECT count(*) FROM open_stays),
                    (SELECT count(*) FROM versions),
                    (SELECT sum(versions) FROM lead_time())''').fetchall()[0]
        torn += not (events == seq == stays and versions == states)
        seen.add(seq)
        if seq == int(sys.argv[2]):
            break
    print(torn, sorted(seen)[0], sorted(seen)[-1], len(seen) > 1, flush=True)
"""


def start(script: str, *arguments: object) -> subprocess.Popen[str]:
    """Run a script in another process, with pipes to talk to it."""
    command = [sys.executable, "-c", textwrap.dedent(script), *(str(one) for one in arguments)]
    return subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)


def test_a_reader_in_another_process_keeps_its_snapshot(ledger: ScriptedLedger, path: Path) -> None:
    """It blocks no refresh, sees nothing of it, and whoever opens the path afterwards sees all of it."""
    refresh_metrics(ledger.url, path, hour(2))
    with start(READER, path) as reader:
        assert reader.stdin is not None
        assert reader.stdout is not None
        try:
            assert reader.stdout.readline() == "[(2, 2)]\n"
            ledger.walk(1, (3, "approve", "approved"))
            assert refresh_metrics(ledger.url, path, hour(4)).events_added == 1
            reader.stdin.write("again\n")
            reader.stdin.flush()
            assert reader.stdout.readline() == "[(2, 2)]\n"
        finally:
            reader.stdin.close()
    assert answer_query(path, "SELECT count(*) FROM events")[1] == [(3,)]


def test_nobody_ever_sees_half_of_a_refresh(ledger: ScriptedLedger, path: Path) -> None:
    """A process that opens the file over and over while it is refreshed finds every time a whole one."""
    refresh_metrics(ledger.url, path, hour(2))
    with start(WATCHER, path, 2 + 3 * 8) as watcher:
        assert watcher.stdout is not None
        assert watcher.stdout.readline() == "ready\n"
        for round_number in range(8):
            version_id = round_number + 2
            ledger.born(version_id)
            ledger.walk(
                version_id, (3, "submit", "submitted"), (4, "open_gates", "in_review"), (5, "reject", "rejected")
            )
            refresh_metrics(ledger.url, path, hour(6))
        assert watcher.stdout.readline() == "0 2 26 True\n"


def test_this_process_sees_the_new_file_too(ledger: ScriptedLedger, path: Path) -> None:
    """A worker that looked at the warehouse before a refresh looks at the new one after it."""
    refresh_metrics(ledger.url, path, hour(2))
    assert answer_query(path, "SELECT count(*) FROM events")[1] == [(2,)]
    ledger.walk(1, (3, "approve", "approved"))
    refresh_metrics(ledger.url, path, hour(4))
    assert answer_query(path, "SELECT count(*) FROM events")[1] == [(3,)]


def test_a_path_with_a_quote(ledger: ScriptedLedger, tmp_path: Path) -> None:
    """Names are quoted, not trusted."""
    odd = tmp_path / "o'clock; DROP" / "analytics.duckdb"
    refresh_metrics(ledger.url, odd, hour(2))
    assert answer_query(odd, "SELECT count(*) FROM events")[1] == [(2,)]
    with duckdb.connect(str(odd), read_only=True) as connection:
        assert connection.execute("SELECT watermark_seq FROM refresh").fetchall() == [(2,)]
    assert leftovers(odd) == []
