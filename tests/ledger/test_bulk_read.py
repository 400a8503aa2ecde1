"""Bulk reads: the same Arrow from both databases, streamed, typed as declared, and all of one moment."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
import sqlalchemy as sa

from ledger import bulk_read, tables
from ledger.bulk_read import ChainPoint, open_snapshot, schema_of
from ledger.errors import LedgerSchemaMismatch, LedgerUnreachable
from tests.ledger.conftest import create_database

AT = datetime(2026, 3, 2, 9, 30, 0, 123456, tzinfo=UTC)


@pytest.fixture(scope="module")
def postgresql(postgresql_server: sa.URL) -> sa.URL:
    """A PostgreSQL database of this module's own."""
    create_database(postgresql_server, "signoff_bulk_read", "template1")
    return postgresql_server.set(database="signoff_bulk_read")


@pytest.fixture(params=["sqlite", "postgresql"])
def engine(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[sa.Engine]:
    """An empty ledger, on either database."""
    if request.param == "sqlite":
        made = sa.create_engine(f"sqlite:///{tmp_path / 'ledger.db'}")
        sa.event.listen(made, "connect", lambda raw, _: raw.execute("PRAGMA journal_mode=WAL"))
    else:
        made = sa.create_engine(request.getfixturevalue("postgresql"))
        tables.metadata.drop_all(made)
    tables.metadata.create_all(made)
    yield made
    made.dispose()


def address(engine: sa.Engine) -> str:
    """The URL as settings would hold it."""
    return engine.url.render_as_string(hide_password=False)


def insert(engine: sa.Engine, table: str, *rows: dict[str, Any]) -> None:
    """Insert rows that have the same columns."""
    with engine.begin() as connection:
        connection.execute(tables.metadata.tables[table].insert(), list(rows))


def event(seq: int, version_id: int | None = None, **more: Any) -> dict[str, Any]:
    """One event."""
    row = {"seq": seq, "at": AT, "actor": "system:test", "action": "tell", "version_id": version_id, "body": "{}"}
    return row | {"hash": f"h{seq}", "rule": None} | more


def write_versions(engine: sa.Engine, *version_ids: int) -> None:
    """Add versions, each with its asset, one gate and one decision."""
    insert(engine, "policies", {"sha256": "p", "name": "p", "body": "{}", "stored_at": AT})
    insert(engine, "people", {"person_id": 1, "handle": "lea", "joined_at": AT})
    for one in version_ids:
        insert(engine, "assets", {"asset_id": one, "bucket": "intake", "key": f"k{one}", "created_at": AT})
        identity = {"version_id": one, "asset_id": one, "number": 1, "sha256": f"s{one}", "size_bytes": 2**40}
        insert(engine, "versions", identity | {"collection": "spring", "policy_sha256": "p"})
        terms = {"round": 1, "stage": "brand", "step": 0, "quorum": 1, "four_eyes": one % 2 == 0, "signature": "none"}
        insert(engine, "gates", {"gate_id": one * 10, "version_id": one, "opened_at": AT, **terms})
        given = {"gate_id": one * 10, "person_id": 1, "on_behalf_of": 1, "verdict": "approve", "counted": True}
        rest = {"signature": "none", "sha256": "x", "basis": "b", "decided_at": AT}
        insert(engine, "decisions", {"decision_id": one * 100, **given, **rest})


def test_rows_arrive_as_declared(engine: sa.Engine) -> None:
    """Instants are UTC timestamps to the microsecond, booleans are booleans, on both databases."""
    write_versions(engine, 1, 2)
    columns = ["gate_id", "four_eyes", "opened_at", "due_at", "stage"]
    with open_snapshot(address(engine)) as ledger:
        found = ledger.read("gates", columns=columns)
    assert found.schema == pa.schema(
        [
            pa.field("gate_id", pa.int64(), nullable=False),
            pa.field("four_eyes", pa.bool_(), nullable=False),
            pa.field("opened_at", pa.timestamp("us", tz="UTC")),
            pa.field("due_at", pa.timestamp("us", tz="UTC")),
            pa.field("stage", pa.string(), nullable=False),
        ]
    )
    assert found.sort_by("gate_id").to_pylist() == [
        {"gate_id": 10, "four_eyes": False, "opened_at": AT, "due_at": None, "stage": "brand"},
        {"gate_id": 20, "four_eyes": True, "opened_at": AT, "due_at": None, "stage": "brand"},
    ]


def test_every_table_can_be_read_while_it_is_empty(engine: sa.Engine) -> None:
    """An empty table has its schema all the same."""
    with open_snapshot(address(engine)) as ledger:
        found = {table: ledger.read(table) for table in tables.metadata.tables}
    assert {table: rows.schema for table, rows in found.items()} == {table: schema_of(table) for table in found}
    assert {rows.num_rows for rows in found.values()} == {0}


def test_a_column_may_begin_with_many_nulls(engine: sa.Engine) -> None:
    """Text and numbers that come only after whole batches of NULLs arrive, with bounded batches."""
    insert(engine, "events", *(event(seq, rule="late" if seq == 1_000 else None) for seq in range(1, 1_001)))
    with open_snapshot(address(engine), batch_rows=64) as ledger:
        batches = list(ledger.stream("events", columns=["seq", "rule"]))
    found = pa.Table.from_batches(batches).sort_by("seq")
    assert found.column("seq").to_pylist() == list(range(1, 1_001))
    assert found.column("rule").to_pylist() == [None] * 999 + ["late"]
    if engine.dialect.name == "sqlite":
        assert max(batch.num_rows for batch in batches) <= 64


def test_reads_after_an_event(engine: sa.Engine) -> None:
    """The events after it, and of other tables what belongs to the versions that they name."""
    write_versions(engine, 1, 2, 3)
    insert(engine, "events", event(1, 1), event(2, 2), event(3), event(4, 3))
    wanted = {"events": "seq", "versions": "version_id", "assets": "asset_id", "gates": "gate_id"}
    wanted["decisions"] = "decision_id"
    with open_snapshot(address(engine)) as ledger:
        found = {
            table: sorted(ledger.read(table, columns=[key], after_seq=1).column(key).to_pylist())
            for table, key in wanted.items()
        }
        assert ledger.head() == ChainPoint(4, "h4")
        assert [ledger.hash_at(seq) for seq in (0, 2, 5)] == ["", "h2", None]
        with pytest.raises(LedgerSchemaMismatch, match="'people' belong to no version"):
            ledger.read("people", after_seq=1)
    assert found == {
        "events": [2, 3, 4],
        "versions": [2, 3],
        "assets": [2, 3],
        "gates": [20, 30],
        "decisions": [200, 300],
    }


def test_an_empty_chain_has_a_head(engine: sa.Engine) -> None:
    """Before the first event there is number 0."""
    with open_snapshot(address(engine)) as ledger:
        assert ledger.head() == ChainPoint(0, "")


def test_everything_is_of_one_moment(engine: sa.Engine) -> None:
    """What is committed after the first read is not seen, in any table, and the writer did not wait."""
    write_versions(engine, 1)
    insert(engine, "events", event(1, 1))
    with open_snapshot(address(engine)) as ledger:
        assert ledger.head().seq == 1
        insert(engine, "events", event(2, 1))
        insert(engine, "assets", {"asset_id": 9, "bucket": "intake", "key": "new", "created_at": AT})
        assert ledger.read("events", columns=["seq"]).column("seq").to_pylist() == [1]
        assert ledger.read("assets", columns=["asset_id"]).num_rows == 1
    with open_snapshot(address(engine)) as ledger:
        assert ledger.head().seq == 2


def test_checksums_point_at_the_bucket_that_changed(engine: sa.Engine) -> None:
    """A changed instant changes the numbers of its own bucket only, and that bucket can be read alone."""
    far = 3 << bulk_read.BUCKET_BITS
    write_versions(engine, 1, far)
    checked = ["gate_id", "opened_at", "due_at"]
    with open_snapshot(address(engine)) as ledger:
        before = ledger.checksums("gates", checked)
    gates = tables.gates
    with engine.begin() as connection:
        due = gates.update().where(gates.c.version_id == far).values(due_at=AT + timedelta(hours=1))
        connection.execute(due)
    with open_snapshot(address(engine)) as ledger:
        after = ledger.checksums("gates", checked)
        changed = [bucket for bucket in after if before[bucket] != after[bucket]]
        found = ledger.stream("gates", columns=["gate_id"], buckets=changed).read_all()
    micros = (AT - datetime(1970, 1, 1, tzinfo=UTC)) // timedelta(microseconds=1)
    assert before[0] == (1, 1, 10, 1, micros & bulk_read.LOW_BITS, 0, 0)
    assert changed == [30]
    assert found.to_pylist() == [{"gate_id": far * 10}]


@pytest.mark.parametrize(
    ("table", "columns", "said"),
    [
        ("gate", None, "no table 'gate'; it has assets, "),
        ("gates", ["gate_id", "colour"], "no column 'colour'; it has gate_id, version_id, "),
    ],
)
def test_unknown_names_are_refused(engine: sa.Engine, table: str, columns: list[str] | None, said: str) -> None:
    """The message lists what there is."""
    with open_snapshot(address(engine)) as ledger, pytest.raises(LedgerSchemaMismatch, match=said):
        ledger.read(table, columns=columns)


def test_tables_without_a_numeric_key_have_no_buckets(engine: sa.Engine) -> None:
    """Policies are named by hash: nothing to sum up."""
    with open_snapshot(address(engine)) as ledger, pytest.raises(LedgerSchemaMismatch, match="is no integer"):
        ledger.checksums("policies", ["stored_at"])


def test_a_database_without_a_ledger_is_refused(engine: sa.Engine) -> None:
    """The message names the command that creates the tables; the password is not in it."""
    tables.metadata.drop_all(engine)
    with open_snapshot(address(engine)) as ledger, pytest.raises(LedgerSchemaMismatch, match="signoff up"):
        ledger.head()


def test_a_missing_file_is_not_created(tmp_path: Path) -> None:
    """Reading never makes an empty ledger by mistake."""
    path = tmp_path / "none.db"
    with pytest.raises(LedgerSchemaMismatch, match="There is no ledger at"), open_snapshot(f"sqlite:///{path}"):
        pass
    assert not path.exists()


def test_a_server_that_is_away_is_transient() -> None:
    """The error says where, without the password, and is of the kind that is retried."""
    url = "postgresql+psycopg://signoff:s3cret@127.0.0.1:1/ledger"
    with pytest.raises(LedgerUnreachable, match=r"signoff:\*\*\*@127.0.0.1:1/ledger") as caught, open_snapshot(url):
        pass
    assert "s3cret" not in str(caught.value)


def test_another_database_is_refused() -> None:
    """Only the two that the ledger is written for."""
    with pytest.raises(LedgerSchemaMismatch, match="allowed are sqlite and postgresql"), open_snapshot("mysql://h/d"):
        pass
