"""One refresh of the warehouse, in a copy that nobody else sees: append what happened, replace what changed."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final

import duckdb
import pyarrow as pa  # type: ignore[import-untyped]

from analytics.errors import EventsMissing, LedgerNotUnderstood
from analytics.macros import macro_statements
from analytics.schema import STORAGE_VERSION, Mirror, length_between, schema_digest, table_statements

BUCKET_BITS: Final = 12
LOW_BITS: Final = (1 << 40) - 1
"""How checksums are taken: rows a bucket, and the bits that are added up. The ledger's reader does the same."""

_EVENTS: Final = """
    INSERT INTO events
    SELECT seq, "at", actor, action, version_id, nullif(from_state, ''), to_state, round, rule, reason, flow_run_id
    FROM arriving"""

_MOVES: Final = """
    CREATE OR REPLACE TEMP TABLE moves AS
    WITH entries AS (
        SELECT version_id, to_state AS state, round, seq, happened_at, action, from_state
        FROM events WHERE seq > $after AND to_state IS NOT NULL AND version_id IS NOT NULL
    ), standing AS (
        SELECT version_id, state, round, entered_seq, entered_at, entered_by, from_state
        FROM open_stays WHERE version_id IN (SELECT version_id FROM entries)
    )
    SELECT *, lead(seq) OVER later AS left_seq, lead(happened_at) OVER later AS left_at,
        lead(action) OVER later AS left_by, lead(state) OVER later AS next_state
    FROM (FROM standing UNION ALL FROM entries)
            AS known (version_id, state, round, seq, happened_at, action, from_state)
    WINDOW later AS (PARTITION BY version_id ORDER BY seq)"""

_STAYS: Final = (
    "DELETE FROM open_stays WHERE version_id IN (SELECT version_id FROM moves)",
    f"""INSERT INTO stays
       SELECT version_id, state, round, seq, happened_at, action, from_state, left_seq, left_at, left_by, next_state,
           {length_between("happened_at", "left_at")}
       FROM moves WHERE left_seq IS NOT NULL ORDER BY seq""",  # noqa: S608 (own text)
    """INSERT INTO open_stays SELECT version_id, state, round, seq, happened_at, action, from_state
       FROM moves WHERE left_seq IS NULL ORDER BY seq""",
)


@dataclass(frozen=True, slots=True)
class Watermark:
    """Up to which event of which chain the warehouse knows the ledger; 0 and an empty hash before the first."""

    seq: int
    hash: str


class WarehouseBuild:
    """A warehouse in the making, at `aside`; the file there is continued if it fits, and made anew otherwise."""

    def __init__(self, aside: Path, now: datetime, rebuilt_because: str | None) -> None:
        """Continue the copy at `aside`, or start from nothing where `rebuilt_because` says why."""
        self._aside = aside
        self._now = now
        self._connection = duckdb.connect(":memory:", config={"temp_directory": f"{aside}.tmp"})
        self.rebuilt_because = rebuilt_because
        self.events_added = 0
        self.watermark = Watermark(0, "")
        if rebuilt_because is None:
            self._continue()
        else:
            self._begin()

    def start_over(self, because: str) -> None:
        """Throw away what the copy held and build from nothing; `because` says why."""
        self._connection.execute("ROLLBACK")
        self._drop_file()
        self.rebuilt_because, self.events_added, self.watermark = because, 0, Watermark(0, "")
        self._begin()

    def append_events(self, rows: pa.RecordBatchReader, head: Watermark) -> None:
        """Add the events after the present watermark, up to `head`, and carry the stays of their versions on.

        `rows` has the columns `EVENT_COLUMNS`. Raises `EventsMissing` unless it is every event in between.
        """
        after = self.watermark
        with self._arriving(rows):
            self._run(_EVENTS)
        found, last = self._row("SELECT count(*), coalesce(max(seq), $after) FROM events WHERE seq > $after", after.seq)
        if (found, last) != (head.seq - after.seq, head.seq):
            raise EventsMissing(after.seq, head.seq, found)
        self._run(_MOVES, after=after.seq)
        for statement in _STAYS:
            self._run(statement)
        self.watermark = head
        self.events_added += found

    def put_rows(self, mirror: Mirror, rows: pa.RecordBatchReader, buckets: Collection[int] | None = None) -> None:
        """Store rows of a mirrored table in place of those with the same key; with `buckets`, of all in those."""
        with self._arriving(rows):
            self._run("CREATE OR REPLACE TEMP TABLE incoming AS FROM arriving")
        keys = ", ".join(mirror.key)
        replaced = f"({keys}) IN (SELECT ({keys}) FROM incoming)"  # noqa: S608 (own names, here and below)
        if buckets is not None:
            replaced = f"{mirror.key[0]} >> {BUCKET_BITS} IN ({', '.join(str(int(one)) for one in buckets)})"
        self._run(f"DELETE FROM {mirror.table} WHERE {replaced}")  # noqa: S608
        self._run(f"INSERT INTO {mirror.table} SELECT {mirror.select} FROM {mirror.source}")  # noqa: S608

    def checksums(self, mirror: Mirror) -> dict[int, tuple[int, ...]]:
        """Of each bucket of a mirrored table: how many rows, then values and the sum of their low bits a column."""
        kinds = dict(self._connection.execute(_COLUMN_TYPES, [mirror.table]).fetchall())
        parts = ["count(*)"]
        for name in mirror.checked:
            number = f"epoch_us({name})" if kinds[name] == "TIMESTAMP" else name
            parts += [f"count({name})", f"coalesce(sum({number} & {LOW_BITS}), 0)"]
        query = f"SELECT {mirror.key[0]} >> {BUCKET_BITS}, {', '.join(parts)} FROM {mirror.table} GROUP BY 1"  # noqa: S608
        return {row[0]: tuple(int(value) for value in row[1:]) for row in self._connection.execute(query).fetchall()}

    def finish(self) -> None:
        """Write the watermark, the views and the macros, and close the file so that it can be swapped in."""
        self._run("DELETE FROM refresh")
        row = [schema_digest(), self.watermark.seq, self.watermark.hash, self._now.astimezone(UTC).replace(tzinfo=None)]
        self._connection.execute(
            "INSERT INTO refresh VALUES (?, ?, ?, ?, ?, ?)", [*row, self.rebuilt_because, self.events_added]
        )
        for statement in macro_statements():
            self._run(statement)
        self._run("COMMIT")
        self._connection.execute("USE memory")
        self._connection.execute("CHECKPOINT building")
        self._connection.execute("DETACH building")
        self.close()

    def close(self) -> None:
        """Let go of the file, whatever state it is in."""
        self._connection.close()

    def _continue(self) -> None:
        try:
            self._attach()
            digest, seq, chain_hash = self._row("SELECT schema_digest, watermark_seq, watermark_hash FROM refresh")
        except duckdb.Error as error:
            self.rebuilt_because = f"the old file could not be read: {str(error).splitlines()[0]}"
        else:
            if digest == schema_digest():
                self.watermark = Watermark(int(seq), str(chain_hash))
                return
            self.rebuilt_because = "the tables of the warehouse have changed"
        self._drop_file()
        self._begin()

    def _begin(self) -> None:
        self._attach()
        for statement in table_statements():
            self._run(statement)

    def _attach(self) -> None:
        quoted = str(self._aside).replace("'", "''")
        self._connection.execute(f"ATTACH '{quoted}' AS building (STORAGE_VERSION '{STORAGE_VERSION}')")
        self._connection.execute("USE building")
        self._connection.execute("BEGIN")

    def _drop_file(self) -> None:
        self._connection.close()
        for leftover in (self._aside, Path(f"{self._aside}.wal")):
            leftover.unlink(missing_ok=True)
        self._connection = duckdb.connect(":memory:", config={"temp_directory": f"{self._aside}.tmp"})

    @contextmanager
    def _arriving(self, rows: pa.RecordBatchReader) -> Iterator[None]:
        self._connection.register("arriving", _without_zone(rows))
        yield
        self._connection.unregister("arriving")  # after an error the whole connection is given up

    def _row(self, query: str, after: int | None = None) -> Sequence[Any]:
        rows = self._connection.execute(query, {} if after is None else {"after": after}).fetchall()
        if len(rows) != 1:
            raise duckdb.InvalidInputException(f"expected one row, found {len(rows)}: {query}")
        return tuple(rows[0])

    def _run(self, statement: str, **parameters: int) -> None:
        try:
            self._connection.execute(statement, parameters)
        except duckdb.ConversionException as error:
            raise LedgerNotUnderstood(f"The ledger holds a value that the warehouse does not know: {error}") from error


_COLUMN_TYPES: Final = """SELECT column_name, data_type FROM duckdb_columns()
    WHERE database_name = 'building' AND table_name = ?"""


def _without_zone(rows: pa.RecordBatchReader) -> pa.RecordBatchReader:
    """The same rows with their UTC instants as plain TIMESTAMP: a zoned one is ten times slower to cut into days."""
    plain = [
        pa.field(field.name, pa.timestamp("us")) if pa.types.is_timestamp(field.type) else field
        for field in rows.schema
    ]
    return rows.cast(pa.schema(plain))
