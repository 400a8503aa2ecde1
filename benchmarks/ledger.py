"""What the ledger's promises cost: rules, chain and growth against the same rows and bytes without them.

`python -m benchmarks.ledger [--count 200000] [--events 2000000] [--databases sqlite,postgresql]` measures in one run,
on each database in a scratch folder of its own:

- *recorded*: `ledger.submit` of so many versions with their events, triggers and chain, thousands a transaction;
- *plain inserts*: the very same rows, by the driver's own bulk insert in transactions of the same size, into the same
  tables with their keys and indexes, but without triggers and without a chain;
- *growth*: the time an event costs in a ledger of 1 % of `--events`, and in one of all of them (on PostgreSQL a fifth);
- *chain checked*: half of those events hashed and linked, against hashing the same bytes alone, nothing read, which is
  what the aim is about, and against reading and hashing them; then with every column compared with the hashed body, as
  `signoff audit verify` does, and the peak memory of the process that does it.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, cast

import sqlalchemy as sa

from benchmarks.report import PeakMemory, Ratio, print_report
from ledger import tables
from ledger.engine import Ledger
from ledger.policy_store import activate_policy, store_policy
from ledger.schema import upgrade_ledger
from ledger.submit import Arrival, Custody, submit
from ledger.transaction import Draft, Origin
from ledger.verify import PAGE, verify_chain

AT = datetime(2026, 3, 2, 8, tzinfo=UTC)
TRANSACTION = 5_000  # versions
TOLD = 4  # further events of each version where a ledger is filled: most events tell and move nothing
WRITTEN = {  # in the order of recording
    "assets": "asset_id",
    "versions": "version_id",
    "custody": "custody_id",
    "events": "seq",
    "sightings": "version_id",
}
AIMS = {"sqlite": 0.4, "postgresql": 0.25}
MIB = 2**20
ROUNDS = 3
GROWTH_AIMS = {"sqlite": 1.2, "postgresql": None}
POSTGRESQL_PART = 5  # one event in so many of the growth is measured on PostgreSQL, which takes longer


@dataclass(frozen=True, slots=True)
class Measured:
    """One way of doing `count` things on a database."""

    database: str
    name: str
    count: int
    seconds: float

    @property
    def each_us(self) -> float:
        """Microseconds a thing."""
        return self.seconds / self.count * 1e6

    @property
    def row(self) -> list[object]:
        """As the report prints it."""
        return [self.database, self.name, self.count, self.seconds, self.count / self.seconds, self.each_us]


def arrival(number: int) -> Arrival:
    """An object of the source whose bytes lie in custody."""
    sha256 = hashlib.sha256(b"%d" % number).hexdigest()
    key = f"collections/{number % 97:02d}/{number:08d}.jpg"
    custody = Custody("copied", "signoff-workspace", f"masters/{sha256[:2]}/{sha256}", None, sha256[:32])
    return Arrival("intake", key, sha256[:32], 48_000 + number % 9_973, AT, sha256, "spring", "agency", custody)


def open_ledger(url: str) -> tuple[Ledger, str]:
    """A new ledger with an active policy."""
    ledger = Ledger(url)
    upgrade_ledger(ledger)
    with ledger.writing(Origin("operator:benchmark", AT)) as tx:
        policy = store_policy(tx, "benchmark", "name: benchmark\n", [])
        activate_policy(tx, policy, "operator:benchmark")
    return ledger, policy


def record(ledger: Ledger, policy: str, first: int, count: int, told: int = 0) -> float:
    """Submit versions and tell so many further events of each; seconds, without making the arrivals."""
    spent = 0.0
    for start in range(first, first + count, TRANSACTION):
        arrivals = [arrival(number) for number in range(start, min(start + TRANSACTION, first + count))]
        began = time.perf_counter()
        with ledger.writing(Origin("system:ingest_assets", AT, "0e5f3c1a-5a35-4d57-9f0e-64c0b8f2a9d1")) as tx:
            submissions = submit(tx, arrivals, policy)
            tx.append(
                Draft("tell", version_id=one.version_id, round=1, policy_sha256=policy, details={"number": number})
                for one in submissions
                for number in range(told)
            )
        spent += time.perf_counter() - began
    return spent


def rows_of(ledger: Ledger) -> dict[str, list[tuple[Any, ...]]]:
    """Every row that recording wrote, as the driver takes it."""
    with ledger.reading() as connection:
        return {
            name: [tuple(row) for row in connection.execute(sa.text(f"SELECT * FROM {name} ORDER BY {key}"))]
            for name, key in WRITTEN.items()
        }


def without_rules(ledger: Ledger) -> None:
    """Take every trigger out of a ledger."""
    with ledger.migrating() as connection:
        if ledger.is_sqlite:
            names = connection.scalars(sa.text("SELECT name FROM sqlite_master WHERE type = 'trigger'")).all()
            for name in names:
                connection.exec_driver_sql(f"DROP TRIGGER {name}")
        else:
            for table in tables.metadata.tables:
                connection.exec_driver_sql(f"ALTER TABLE {table} DISABLE TRIGGER USER")


def insert_plainly(ledger: Ledger, rows: dict[str, list[tuple[Any, ...]]]) -> float:
    """Insert the rows by the driver's own bulk insert, as many versions a transaction as `record` takes; seconds."""
    mark = "?" if ledger.is_sqlite else "%s"
    sql = {name: f"INSERT INTO {name} VALUES ({', '.join([mark] * len(many[0]))})" for name, many in rows.items()}
    began = time.perf_counter()
    for start in range(0, len(rows["versions"]), TRANSACTION):
        with ledger.migrating() as connection:
            cursor: Any = connection.connection.cursor()
            for name, many in rows.items():
                cursor.executemany(sql[name], many[start : start + TRANSACTION])
    return time.perf_counter() - began


def measure_recording(database: str, urls: Iterator[str], count: int) -> tuple[list[Measured], Ratio]:
    """Versions with their events, against their plain rows."""
    record(*open_ledger(next(urls)), 0, min(count, TRANSACTION))  # imports, compiled statements, a warm server
    ledger, policy = open_ledger(next(urls))
    recorded = Measured(database, "recorded", count, record(ledger, policy, 0, count))
    rows = rows_of(ledger)
    rows["events"] = rows["events"][-count:]  # without those of the policy
    ledger.close()
    plain_ledger, _ = open_ledger(next(urls))
    without_rules(plain_ledger)
    plain = Measured(database, "plain inserts", count, insert_plainly(plain_ledger, rows))
    plain_ledger.close()
    ratio = Ratio(f"recorded_{database}_vs_plain_inserts", plain.seconds / recorded.seconds, AIMS[database])
    return [recorded, plain], ratio


def measure_growth(database: str, url: str, events: int, aim: float | None) -> tuple[list[Measured], Ratio]:
    """An event of a ledger that holds `events`, against one of a ledger that holds a hundredth; the best of three."""
    ledger, policy = open_ledger(url)
    each = 1 + TOLD
    versions, part = events // each, max(1, events // 100 // each)
    record(ledger, policy, 0, part, TOLD)
    small = min(record(ledger, policy, (1 + number) * part, part, TOLD) for number in range(ROUNDS))
    record(ledger, policy, (1 + ROUNDS) * part, max(0, versions - (1 + ROUNDS) * part), TOLD)
    last = max(versions, (1 + ROUNDS) * part)
    large = min(record(ledger, policy, last + number * part, part, TOLD) for number in range(ROUNDS))
    ledger.close()
    early = Measured(database, f"event at {part * each:,}", part * each, small)
    late = Measured(database, f"event at {versions * each:,}", part * each, large)
    return [early, late], Ratio(f"growth_{database}", late.each_us / early.each_us, aim, "lower")


def measure_checking(database: str, url: str, events: int) -> tuple[list[Measured], list[Ratio]]:
    """Checking the last `events` of a chain, each way in a process of its own, against hashing their bytes alone."""
    hashed, linked, compared = (in_a_process(url, events, what) for what in ("hash", "chain", "columns"))
    count = int(hashed["events"])
    measured = [
        Measured(database, "hashed in memory", count, hashed["hashing_s"]),
        Measured(database, "read and hashed", count, hashed["seconds"]),
        Measured(database, "chain checked", count, linked["seconds"]),
        Measured(database, "chain and columns", count, compared["seconds"]),
    ]
    memory, read, chain, columns = (one.seconds for one in measured)
    stated = database != "sqlite"
    return measured, [
        Ratio(f"chain_{database}_vs_hashing_alone", memory / chain, None if stated else 0.5),
        Ratio(f"chain_{database}_vs_reading_and_hashing", read / chain, None),
        Ratio(f"chain_and_columns_{database}_vs_reading_and_hashing", read / columns, None),
        Ratio(f"verify_{database}_peak_mib", compared["peak_bytes"] / MIB, 200, "lower"),
    ]


def in_a_process(url: str, events: int, what: str) -> dict[str, float]:
    """Run `check` alone in a process, and read what it measured."""
    command = [sys.executable, "-m", "benchmarks.ledger", "--check", what, "--url", url, "--events", str(events)]
    printed = subprocess.run(command, check=True, capture_output=True, text=True).stdout
    return dict(json.loads(printed.splitlines()[-1]))


def check(url: str, events: int, what: str) -> dict[str, float]:
    """Check the last `events` of a chain (`chain`, or with its `columns`), or only `hash` its bytes."""
    ledger = Ledger(url)
    with ledger.reading() as connection:
        last = connection.scalar(sa.text("SELECT MAX(seq) FROM events"))
        first = max(1, last - events)
        before = (first, connection.scalar(sa.text("SELECT hash FROM events WHERE seq = :seq"), {"seq": first}))
        with PeakMemory(0.05) as peak:  # the system's own peak counts the process that started this one as well
            began = time.perf_counter()
            hashing_s = hash_bytes(connection, first) if what == "hash" else 0.0
            if what != "hash":
                found = verify_chain(connection, after=before, columns=what == "columns")
                assert (found.damage, found.events) == (None, last), found
            seconds = time.perf_counter() - began
    return {"events": last - first, "seconds": seconds, "hashing_s": hashing_s, "peak_bytes": peak.bytes}


def hash_bytes(connection: sa.Connection, after: int) -> float:
    """Read the bodies in their order and hash them, nothing else; seconds of the hashing, without the reading."""
    mark = "?" if connection.dialect.name == "sqlite" else "%s"
    sql = f"SELECT seq, body FROM events WHERE seq > {mark} ORDER BY seq LIMIT {PAGE}"
    spent = 0.0
    while rows := cast("Any", connection.exec_driver_sql(sql, (after,))).cursor.fetchall():
        after, bodies = rows[-1][0], [body.encode() for _, body in rows]
        began = time.perf_counter()
        for body in bodies:
            hashlib.sha256(body).hexdigest()
        spent += time.perf_counter() - began
    return spent


@contextmanager
def addresses(database: str, folder: Path) -> Iterator[Iterator[str]]:
    """Addresses of new databases, one after the other."""
    if database == "sqlite":
        yield (f"sqlite:///{folder / f'{number}.db'}" for number in range(99))
        return
    from tests.postgresql_server import running_postgresql

    with running_postgresql() as server:
        admin = sa.create_engine(server, isolation_level="AUTOCOMMIT")

        def make() -> Iterator[str]:
            for number in range(99):
                with admin.connect() as connection:
                    connection.exec_driver_sql(f"CREATE DATABASE measured_{number}")
                yield server.set(database=f"measured_{number}").render_as_string(hide_password=False)

        yield make()
        admin.dispose()


def main(arguments: Sequence[str] | None = None) -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--count", type=int, default=200_000, help="submitted versions that are recorded")
    parser.add_argument("--events", type=int, default=2_000_000, help="events of the ledger that has grown")
    parser.add_argument("--databases", default="sqlite,postgresql")
    parser.add_argument("--check", choices=("hash", "chain", "columns"), help=argparse.SUPPRESS)
    parser.add_argument("--url", help=argparse.SUPPRESS)
    options = parser.parse_args(arguments)
    if options.check:
        print(json.dumps(check(options.url, options.events, options.check)))
        return
    measured: list[Measured] = []
    ratios: list[Ratio] = []
    for database in options.databases.split(","):
        events = options.events // (1 if database == "sqlite" else POSTGRESQL_PART)
        with tempfile.TemporaryDirectory(prefix="signoff-ledger-") as folder, addresses(database, Path(folder)) as urls:
            found, ratio = measure_recording(database, urls, options.count)
            grown = next(urls)
            growth, grows = measure_growth(database, grown, events, GROWTH_AIMS[database])
            checking, checks = measure_checking(database, grown, events // 2)
        measured += [*found, *growth, *checking]
        ratios += [ratio, grows, *checks]
    columns = ["database", "what", "count", "seconds", "a second", "µs each"]
    print_report("ledger", columns, [one.row for one in measured], ratios)


if __name__ == "__main__":
    main()
