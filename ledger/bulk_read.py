"""Bulk reads of the ledger as Arrow, many rows at a time, from one consistent snapshot, for SQLite and PostgreSQL.

Readers get Arrow record batches, never rows: through ADBC they cost no Python object a cell. What is read together
belongs together: a `LedgerSnapshot` sees the ledger as it stood at its first read, whatever is written meanwhile.
Instants arrive as UTC timestamps in microseconds, booleans as booleans, on both databases alike.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any, Final, TypeAlias

import pyarrow as pa  # type: ignore[import-untyped]
import sqlalchemy as sa
from adbc_driver_manager import dbapi
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.engine import URL, Dialect, make_url

from ledger.bulk_connection import connect_in_bulk, in_our_words
from ledger.engine import close_idle_connections
from ledger.errors import LedgerError, LedgerSchemaMismatch
from ledger.tables import Instant, metadata

BATCH_ROWS: Final = 65_536
"""Rows a record batch on SQLite; PostgreSQL's driver cuts by size."""

BUCKET_BITS: Final = 12
"""Rows whose first key agrees but for its last 12 bits form a bucket: 4,096 of them, summed up together."""

LOW_BITS: Final = (1 << 40) - 1
"""Mask of the bits that a checksum adds up: 40, so that the sum of a bucket stays far below 2^63."""

SqlQuery: TypeAlias = "sa.Select[Any] | sa.CompoundSelect[Any]"

_events = metadata.tables["events"]
_versions = metadata.tables["versions"]
_gates = metadata.tables["gates"]


@dataclass(frozen=True, slots=True)
class ChainPoint:
    """One place in the audit chain: an event's number and its hash; 0 and an empty hash before the first event."""

    seq: int
    hash: str


def schema_of(table: str, columns: Sequence[str] | None = None) -> pa.Schema:
    """Arrow schema in which `table` is read; `columns` picks and orders some of them, None takes all.

    >>> schema_of("decisions", ["decision_id", "counted", "decided_at"])
    decision_id: int64 not null
    counted: bool not null
    decided_at: timestamp[us, tz=UTC] not null
    """
    return pa.schema(
        [pa.field(column.name, _arrow_type(column.type), bool(column.nullable)) for column in _columns(table, columns)]
    )


@contextmanager
def open_snapshot(url: str, *, batch_rows: int = BATCH_ROWS) -> Iterator[LedgerSnapshot]:
    """Open one consistent, read-only view of the ledger at the SQLAlchemy address `url`.

    Writers are never blocked. On SQLite no other thread of this process may use the ledger meanwhile, for the reason
    that `close_idle_connections` gives; other processes may. Raises `LedgerUnreachable` when the database does not
    answer (transient) and `LedgerSchemaMismatch` when there is no ledger at `url`.
    """
    address = make_url(url)
    with _alone_in_this_process(address), _connected(address) as connection:
        if address.get_backend_name() == "postgresql":
            with in_our_words(address), connection.cursor() as cursor:  # first of all: it then holds for every read
                cursor.execute("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ READ ONLY")
        snapshot = LedgerSnapshot(connection, address, batch_rows)
        try:
            yield snapshot
        except Exception as error:
            if snapshot.failure is None or error is snapshot.failure:
                raise
            raise snapshot.failure from error  # a consumer of the stream wrapped what really went wrong


@contextmanager
def _connected(address: URL) -> Iterator[dbapi.Connection]:
    with in_our_words(address):
        connection = connect_in_bulk(address)
    with closing(connection):
        yield connection


@contextmanager
def _alone_in_this_process(address: URL) -> Iterator[None]:
    on_sqlite = address.get_backend_name() == "sqlite"
    if on_sqlite:
        close_idle_connections()
    try:
        yield
    finally:
        if on_sqlite:
            close_idle_connections()


class LedgerSnapshot:
    """The ledger as it stood at one moment. Made by `open_snapshot`; streams must be used up before it is left."""

    def __init__(self, connection: dbapi.Connection, address: URL, batch_rows: int) -> None:
        """Read through `connection`, which nobody else uses."""
        self._connection = connection
        self._address = address
        self._on_sqlite = address.get_backend_name() == "sqlite"
        self._dialect: Dialect = sqlite.dialect() if self._on_sqlite else postgresql.dialect(paramstyle="named")  # type: ignore[no-untyped-call]
        self._batch_rows = batch_rows
        self.failure: LedgerError | None = None

    def head(self) -> ChainPoint:
        """The last event of the chain."""
        newest = sa.select(_events.c.seq, _events.c.hash).order_by(_events.c.seq.desc()).limit(1)
        row = self._first_row(newest)
        return ChainPoint(0, "") if row is None else ChainPoint(int(row[0]), str(row[1]))

    def hash_at(self, seq: int) -> str | None:
        """Hash of event `seq`; empty for 0 (before the first event), None if there is no such event."""
        if seq == 0:
            return ""
        row = self._first_row(sa.select(_events.c.hash).where(_events.c.seq == seq))
        return None if row is None else str(row[0])

    def stream(
        self,
        table: str,
        *,
        columns: Sequence[str] | None = None,
        after_seq: int = 0,
        buckets: Collection[int] | None = None,
    ) -> pa.RecordBatchReader:
        """Rows of `table` in batches with the schema of `schema_of(table, columns)`, in no promised order.

        With `after_seq` above 0: the events after it, and of any other table the rows that belong to a version which
        such an event names. With `buckets`: the rows of those buckets of `checksums`. Otherwise every row. Memory holds
        one batch at a time.
        """
        query = sa.select(*_columns(table, columns))
        if after_seq > 0:
            query = query.where(_touched_since(table, after_seq))
        if buckets is not None:
            query = query.where(_bucket(table).in_([sa.literal_column(str(int(one))) for one in sorted(buckets)]))
        schema = schema_of(table, columns)
        return pa.RecordBatchReader.from_batches(schema, self._batches(query, schema))

    def read(self, table: str, *, columns: Sequence[str] | None = None, after_seq: int = 0) -> pa.Table:
        """The same rows as `stream`, as one table in memory."""
        return self.stream(table, columns=columns, after_seq=after_seq).read_all()

    def checksums(self, table: str, columns: Sequence[str]) -> dict[int, tuple[int, ...]]:
        """Numbers of each bucket of `table` that change when its rows do: rows, then values and their sum a column.

        A bucket is the first key column without its low `BUCKET_BITS`. `columns` are integers or instants; the sum is
        over `LOW_BITS` of each value. Compared with those of a copy, they show where the copy has missed a change (all
        but two values that swapped places within a bucket).
        """
        bucket = _bucket(table)
        parts: list[sa.ColumnElement[Any]] = [sa.func.count()]
        for column in _columns(table, columns):
            low_bits = sa.type_coerce(column, sa.BigInteger).op("&")(sa.literal_column(str(LOW_BITS)))
            parts += [sa.func.count(column), sa.cast(sa.func.coalesce(sa.func.sum(low_bits), 0), sa.BigInteger)]
        query = sa.select(bucket, *parts).group_by(bucket)
        with in_our_words(self._address), self._connection.cursor() as cursor:
            cursor.execute(self._sql(query))
            return {int(row[0]): tuple(int(value) for value in row[1:]) for row in cursor.fetchall()}

    def _first_row(self, query: SqlQuery) -> tuple[Any, ...] | None:
        with in_our_words(self._address), self._connection.cursor() as cursor:
            cursor.execute(self._sql(query))
            row = cursor.fetchone()
            return None if row is None else tuple(row)

    def _batches(self, query: SqlQuery, schema: pa.Schema) -> Iterator[pa.RecordBatch]:
        try:
            yield from self._fetched(query, schema)
        except LedgerError as error:
            self.failure = error
            raise

    def _fetched(self, query: SqlQuery, schema: pa.Schema) -> Iterator[pa.RecordBatch]:
        with in_our_words(self._address), self._connection.cursor() as cursor:
            if self._on_sqlite:
                cursor.adbc_statement.set_options(**{"adbc.sqlite.query.batch_rows": str(self._batch_rows)})
                query = _led_by_types(query, schema)
            cursor.execute(self._sql(query))
            skip = 1 if self._on_sqlite else 0
            for batch in cursor.fetch_record_batch():
                rows = batch.slice(skip)
                skip = 0
                if rows.num_rows:
                    cast = [column.cast(field.type) for column, field in zip(rows.columns, schema, strict=True)]
                    yield pa.RecordBatch.from_arrays(cast, schema=schema)

    def _sql(self, query: SqlQuery) -> str:
        return str(query.compile(dialect=self._dialect, compile_kwargs={"literal_binds": True}))


def _led_by_types(query: SqlQuery, schema: pa.Schema) -> SqlQuery:
    """Put a row of typed values first: SQLite's driver types a column by what its first batch holds, NULLs included."""
    sample = {pa.float64(): "0.0", pa.string(): "''"}
    row: list[sa.Label[Any]] = [sa.literal_column(sample.get(field.type, "0")).label(field.name) for field in schema]
    return sa.union_all(sa.select(*row), query)


def _bucket(table: str) -> sa.ColumnElement[Any]:
    key = next(iter(metadata.tables[table].primary_key.columns))
    if not isinstance(key.type, sa.Integer):
        raise LedgerSchemaMismatch(f"Table {table} has the key {key.name}, which is no integer: it has no buckets.")
    return key.op(">>")(sa.literal_column(str(BUCKET_BITS)))


def _touched_since(table: str, seq: int) -> sa.ColumnElement[bool]:
    after = _events.c.seq > seq
    if table == "events":
        return after
    versions = sa.select(_events.c.version_id).where(after, _events.c.version_id.is_not(None))
    columns = metadata.tables[table].c
    if "version_id" in columns:
        return columns.version_id.in_(versions)
    link = _LINKS.get(table)
    if link is None:
        raise LedgerSchemaMismatch(
            f"Rows of {table!r} belong to no version, so they cannot be read by event number; read all of them, or one "
            f"of: events, every table with a version_id, {', '.join(sorted(_LINKS))}."
        )
    return columns[link.name].in_(sa.select(link).where(link.table.c.version_id.in_(versions)))


_LINKS: Final[Mapping[str, sa.Column[Any]]] = MappingProxyType(
    {
        "assets": _versions.c.asset_id,
        "decisions": _gates.c.gate_id,
        "gate_eligible": _gates.c.gate_id,
        "inspections": _versions.c.sha256,
        "verdicts": _versions.c.sha256,
    }
)
"""Tables without a version_id: through which column of which table a row is one of a version's."""


def _columns(table: str, names: Sequence[str] | None) -> list[sa.Column[Any]]:
    found = metadata.tables.get(table)
    if found is None:
        raise LedgerSchemaMismatch(f"The ledger has no table {table!r}; it has {', '.join(sorted(metadata.tables))}.")
    unknown = [name for name in names or () if name not in found.c]
    if unknown:
        raise LedgerSchemaMismatch(f"Table {table} has no column {unknown[0]!r}; it has {', '.join(found.c.keys())}.")
    return [found.c[name] for name in names] if names is not None else list(found.c)


def _arrow_type(declared: sa.types.TypeEngine[Any]) -> pa.DataType:
    if isinstance(declared, Instant):
        return pa.timestamp("us", tz="UTC")
    if isinstance(declared, sa.Boolean):
        return pa.bool_()
    if isinstance(declared, sa.Integer):
        return pa.int64()
    if isinstance(declared, sa.Float):
        return pa.float64()
    if isinstance(declared, sa.Text):
        return pa.string()
    raise LedgerSchemaMismatch(f"No Arrow type is declared for columns of type {declared!r}; add it to bulk_read.")
