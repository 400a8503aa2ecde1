"""The schema: migrated once, whole or not at all, the same as the tables say, and never downwards."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import sqlalchemy as sa
from alembic.autogenerate import compare_metadata
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory

from ledger import schema, tables, transaction
from ledger.engine import Ledger
from ledger.errors import LedgerSchemaMismatch
from ledger.schema import check_ledger, upgrade_ledger
from ledger.verify import verify_chain
from ledger.verify_records import verify_records
from policies.lifecycle import TRANSITIONS
from tests.ledger.approval_world import ApprovalWorld
from tests.ledger.conftest import create_database
from tests.ledger.other_processes import run_together, upgrade_together
from tests.ledger.raw_sql import REFUSED, RawSql, asleep

HEAD = ScriptDirectory(str(schema._MIGRATIONS)).get_current_head()
LATER = "9998"
UNCOMPARED = "ignore:.*expression-based index"  # SQLAlchemy reads none back from SQLite; its use is tested instead


@pytest.fixture(params=["sqlite", "postgresql"])
def empty(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Ledger]:
    """A database without any table."""
    if request.param == "sqlite":
        made = Ledger(f"sqlite:///{tmp_path / 'new.db'}")
    else:
        server: sa.URL = request.getfixturevalue("postgresql_server")
        name = f"empty_{request.node.name.replace('[', '_').replace(']', '')}"[:60]
        create_database(server, name, "template1")
        made = Ledger(server.set(database=name).render_as_string(hide_password=False))
    yield made
    made.close()


def test_an_empty_database_is_upgraded_once(empty: Ledger) -> None:
    """From nothing to the head; then there is nothing to do; before, opening it says what to do."""
    with pytest.raises(LedgerSchemaMismatch, match="the ledger is at schema none"):
        check_ledger(empty)
    assert upgrade_ledger(empty) == (None, HEAD)
    assert upgrade_ledger(empty) == (HEAD, HEAD)
    check_ledger(empty)


@pytest.mark.filterwarnings(UNCOMPARED)
def test_migrations_make_what_the_tables_say(ledger: Ledger) -> None:
    """The frozen migrations, all of them, give the tables, columns, indexes and keys that the code works with."""
    with ledger.reading() as connection:
        context = MigrationContext.configure(connection, opts={"compare_type": False})
        assert compare_metadata(context, tables.metadata) == []
        made = {table: _columns(connection, table) for table in sorted(tables.metadata.tables)}
    assert made == {name: _declared(table) for name, table in sorted(tables.metadata.tables.items())}


def _columns(connection: sa.Connection, table: str) -> dict[str, tuple[str, bool]]:
    found = sa.inspect(connection).get_columns(table)
    return {one["name"]: (_kind(one["type"]), bool(one["nullable"])) for one in found}


def _declared(table: sa.Table) -> dict[str, tuple[str, bool]]:
    return {one.name: (_kind(one.type), bool(one.nullable)) for one in table.columns}


def _kind(type_: sa.types.TypeEngine[object]) -> str:
    kinds = {"Boolean": sa.Boolean, "Integer": (sa.Integer, tables.Instant), "Text": sa.String, "Float": sa.Float}
    return next(name for name, kind in kinds.items() if isinstance(type_, kind))


@pytest.mark.filterwarnings(UNCOMPARED)
def test_constraints_have_the_same_names(ledger: Ledger, tmp_path: Path) -> None:
    """Checks and keys of the migrated database are those of the declared tables: a later migration can name them."""
    declared = sa.create_engine(f"sqlite:///{tmp_path / 'declared.db'}")
    tables.metadata.create_all(declared)
    with ledger.reading() as connection, declared.connect() as other:
        for table in tables.metadata.tables:
            for ask in ("get_check_constraints", "get_unique_constraints", "get_foreign_keys"):
                names = [
                    sorted(str(one["name"]) for one in getattr(sa.inspect(where), ask)(table))
                    for where in (connection, other)
                ]
                assert names[0] == names[1], (table, ask)
    declared.dispose()


def test_the_lifecycle_in_the_database_is_the_one_in_the_code(ledger: Ledger) -> None:
    """Every step of the policies' lifecycle, and no other."""
    with ledger.reading() as connection:
        rows = connection.execute(sa.text("SELECT from_state, action, to_state FROM lifecycle")).all()
    assert {tuple(row) for row in rows} == {(t.from_state, str(t.action), str(t.to_state)) for t in TRANSITIONS}


def test_a_newer_database_is_refused(ledger: Ledger, raw: RawSql) -> None:
    """It is neither upgraded nor used, and nothing is changed."""
    raw.execute("UPDATE alembic_version SET version_num = '9999'")
    try:
        with pytest.raises(LedgerSchemaMismatch, match=r"at schema 9999, which this version .* Use the newer Signoff"):
            upgrade_ledger(ledger)
        with pytest.raises(LedgerSchemaMismatch, match="the ledger is at schema 9999"):
            check_ledger(ledger)
        assert raw.execute("SELECT version_num FROM alembic_version") == [("9999",)]
    finally:
        raw.execute(f"UPDATE alembic_version SET version_num = '{HEAD}'")


def test_a_ledger_of_the_first_release_is_upgraded_with_what_it_holds(
    empty: Ledger, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Every record of a ledger at 0001 is there afterwards, its chain holds, and the new rules are in force."""
    folder = tmp_path / "first-release"
    shutil.copytree(schema._MIGRATIONS, folder)
    for later in (folder / "versions").glob("*.py"):
        if not later.name.startswith("0001_"):
            later.unlink()
    with monkeypatch.context() as patched:
        patched.setattr(schema, "_MIGRATIONS", folder)
        assert upgrade_ledger(empty) == (None, "0001")
        patched.setattr(transaction, "_ROWS_A_STATEMENT", (1,))  # the first release sent one row a statement
        world = ApprovalWorld(empty)
        world.published("spring/a.jpg", "one")
        world.archived("spring/b.jpg", "two")
    with RawSql(empty.url) as raw:
        with empty.reading() as connection:
            columns = {table: list(_columns(connection, table)) for table in _tables_of(empty)}
        before = {table: _records(raw, table, columns[table]) for table in columns}
        assert upgrade_ledger(empty) == ("0001", HEAD)
        assert {table: _records(raw, table, columns[table]) for table in columns} == before
        with empty.reading() as connection:
            assert verify_chain(connection).damage is None
            assert verify_records(connection) == []
        assert raw.attempt(lambda: raw.insert("seals", **SEAL)).startswith("signoff: rule 1: a seal follows")


def test_notices_of_an_older_release_are_kept(empty: Ledger, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A ledger at 0008 with a notice that waits and one that was closed: both are there, and the newer rules hold."""
    folder = tmp_path / "eighth-release"
    shutil.copytree(schema._MIGRATIONS, folder)
    for later in (folder / "versions").glob("*.py"):
        if later.name[:4] > "0008":
            later.unlink()
    with monkeypatch.context() as patched:
        patched.setattr(schema, "_MIGRATIONS", folder)
        assert upgrade_ledger(empty) == (None, "0008")
        ApprovalWorld(empty).submitted("spring/a.jpg", "one")
    row = {"person_id": 1, "kind": "remind", "version_id": 1, "body": "{}", "created_at": 1, "state": "waiting"}
    with RawSql(empty.url) as raw:
        raw.insert("notices", notice_id=1, occasion="a", **row)
        raw.insert("notices", notice_id=2, occasion="b", **row)
        raw.execute("UPDATE notices SET state = 'given_up', closed_at = 2, last_error = 'gone' WHERE notice_id = 2")
        assert upgrade_ledger(empty) == ("0008", HEAD)
        columns = (
            "notice_id, person_id, kind, occasion, version_id, body, state, attempts, last_error, closed_at, message"
        )
        assert sorted(raw.execute(f"SELECT {columns} FROM notices")) == [
            (1, 1, "remind", "a", 1, "{}", "waiting", 0, None, None, None),
            (2, 1, "remind", "b", 1, "{}", "given_up", 0, "gone", 2, None),
        ]
        about_nothing = {**row, "version_id": None, "kind": "policy_broken"}
        raw.insert("notices", notice_id=3, occasion="c", **about_nothing)
        with pytest.raises(REFUSED, match="ck_notices_kind"):
            raw.insert("notices", notice_id=4, occasion="d", **{**row, "kind": "other"})
        with pytest.raises(REFUSED, match="a notice is written once"):
            raw.execute("DELETE FROM notices")


def test_a_ledger_of_before_waivers_and_reopening_is_kept(
    empty: Ledger, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """At 0008, with one held and rejected and one approved though rights block: both stand, the second as a waiver."""
    folder = tmp_path / "eighth-release"
    shutil.copytree(schema._MIGRATIONS, folder)
    for later in (folder / "versions").glob("*.py"):
        if later.name[:4] > "0008":
            later.unlink()
    with monkeypatch.context() as patched:
        patched.setattr(schema, "_MIGRATIONS", folder)
        assert upgrade_ledger(empty) == (None, "0008")
        world = ApprovalWorld(empty)
        version_id = world.submitted("spring/a.jpg", "one")
    seq = "(SELECT state_seq FROM versions WHERE version_id = 1)"
    route = '{"blocked": {"clearance": "unknown", "result": true, "gate": "legal"}}'
    found = '[{"code": "no_licence", "text": ""}, {"code": "licence_ending", "text": ""}]'
    with RawSql(empty.url) as raw:
        triggers = "SELECT sql FROM sqlite_master WHERE type = 'trigger'"
        guards = [sql for (sql,) in raw.execute(triggers)] if raw.is_sqlite else []
        alone = asleep(raw)
        policy = world.policy
        alone.execute(f"INSERT INTO reviews VALUES (1, 'quarantine', 'quarantine', 'spring', '{policy}', 1, 2, 3)")
        alone.execute(f"INSERT INTO review_versions VALUES (1, 1, 1, {seq}, 'owners', 'rejected', 3)")
        alone.execute("INSERT INTO notes VALUES (1, 's', 'why', NULL)")
        alone.execute("INSERT INTO held_decisions VALUES (1, 1, 1, 5, 'reject', TRUE, 'none', 'x', 'b', 1, 3)")
        alone.execute(f"INSERT INTO clearances VALUES (1, 1, '{{}}', 'unknown', '{found}', '[]', 'd', NULL, 1)")
        alone.execute(
            "INSERT INTO screenings VALUES "
            f"(1, 1, '{policy}', 'image', NULL, NULL, 'unknown', NULL, 1, '{{}}', '{route}', 1)"
        )
        for number, stage in ((1, "legal"), (2, "brand")):
            gate = f"({number}, 1, 1, '{stage}', 0, 1, TRUE, 'none', 1, NULL, 'passed', 2)"
            alone.execute(f"INSERT INTO gates VALUES {gate}")
            said = f"({number}, {number}, 4, 4, 'approve', TRUE, 'none', 'x', 'b', NULL, 2)"
            alone.execute(f"INSERT INTO decisions VALUES {said}")
        for guard in guards:
            alone.execute(guard)
    assert version_id == 1
    assert upgrade_ledger(empty) == ("0008", HEAD)
    with RawSql(empty.url) as raw:
        assert raw.execute("SELECT decision_id, codes FROM waivers") == [(1, '["no_licence"]')]
        assert raw.execute("SELECT outcome, closed_at FROM review_versions") == [("rejected", 3)]
        assert raw.execute("SELECT verdict, note_id FROM held_decisions") == [("reject", 1)]
        once = raw.attempt(lambda: raw.execute("UPDATE review_versions SET outcome = 'reopened'"))
        assert once == "signoff: rule 4: what waits is decided once"
        assert raw.attempt(lambda: raw.execute("DELETE FROM held_decisions")) == "signoff: rule 4: a decision is final"


def test_policies_of_before_sign_their_quarantine_as_they_say(
    empty: Ledger, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A ledger at 0017: what its policies say of the signature is what the database holds from now on."""
    folder = tmp_path / "seventeenth-release"
    shutil.copytree(schema._MIGRATIONS, folder)
    for later in (folder / "versions").glob("*.py"):
        if later.name[:4] > "0017":
            later.unlink()
    with monkeypatch.context() as patched:
        patched.setattr(schema, "_MIGRATIONS", folder)
        assert upgrade_ledger(empty) == (None, "0017")
    bodies = ["screening: {quarantine: {owner: a, signature: totp}}", "screening: {quarantine: {owner: a}}", "x", "}"]
    with RawSql(empty.url) as raw:
        for number, body in enumerate(bodies):
            raw.insert("policies", sha256=str(number), name="p", body=body, stored_at=1)
        raw.insert("policy_activations", activation_id=1, policy_sha256="0", activated_at=1, activated_by="a")
        assert upgrade_ledger(empty) == ("0017", HEAD)
        assert raw.execute("SELECT policy_sha256, place FROM policy_signatures") == [("0", "quarantine")]


SEAL = {
    "seal_id": 1, "seq": 1, "hash": "ff" * 32, "sealed_at": 1, "public_key": "k", "body": "{}", "signature": "s",
    "bucket": "archive", "key": "seals/1",
}  # fmt: skip


def _tables_of(ledger: Ledger) -> list[str]:
    with ledger.reading() as connection:
        return sorted(set(sa.inspect(connection).get_table_names()) - {"alembic_version"})


def _records(raw: RawSql, table: str, columns: list[str]) -> list[tuple[object, ...]]:
    return sorted(raw.execute(f"SELECT {', '.join(columns)} FROM {table}"), key=str)


@pytest.fixture
def with_a_later_migration(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[str], None]:
    """Puts a later migration behind the present ones, in a copy of their folder."""
    folder = tmp_path / "migrations"
    shutil.copytree(schema._MIGRATIONS, folder)

    def put(body: str) -> None:
        (folder / "versions" / f"{LATER}_later.py").write_text(
            '"""Later."""\nimport sqlalchemy as sa\nfrom alembic import op\n\n'
            f'revision = "{LATER}"\ndown_revision = "{HEAD}"\n\n\ndef upgrade():\n    {body}\n'
        )
        monkeypatch.setattr(schema, "_MIGRATIONS", folder)

    return put


def test_a_later_migration_follows(empty: Ledger, with_a_later_migration: Callable[[str], None]) -> None:
    """A ledger at the head gets the next one; a new one gets all; the older program refuses it then."""
    assert upgrade_ledger(empty) == (None, HEAD)
    with_a_later_migration("op.add_column('holds', sa.Column('remark', sa.Text()))")
    assert upgrade_ledger(empty) == (HEAD, LATER)
    with empty.reading() as connection:
        assert "remark" in _columns(connection, "holds")


def test_a_migration_that_fails_leaves_nothing(empty: Ledger, with_a_later_migration: Callable[[str], None]) -> None:
    """Half a migration is none: neither its tables nor its number remain, and the next start may try again."""
    with_a_later_migration("op.create_table('half', sa.Column('x', sa.Text())); raise ZeroDivisionError")
    with pytest.raises(ZeroDivisionError):
        upgrade_ledger(empty)
    with empty.reading() as connection:
        assert sa.inspect(connection).get_table_names() == []
    with_a_later_migration("op.create_table('half', sa.Column('x', sa.Text()))")
    assert upgrade_ledger(empty) == (None, LATER)


def test_two_starts_at_once(empty: Ledger) -> None:
    """Three processes upgrade the same empty database: one does it, the others wait and find it done."""
    url = empty.url.render_as_string(hide_password=False)
    told = run_together(upgrade_together, [(url,)] * 3)
    assert sorted(told, key=str) == [(HEAD, HEAD), (HEAD, HEAD), (None, HEAD)]


@pytest.mark.parametrize("ledger", ["sqlite"], indirect=True)
def test_the_file_refuses_without_our_settings(ledger: Ledger, raw: RawSql) -> None:
    """A plain connection has foreign keys off; the triggers of the file hold all the same."""
    assert raw.execute("PRAGMA foreign_keys") == [(0,)]
    with pytest.raises(REFUSED, match="signoff: rule 1"):
        raw.execute("DELETE FROM chain_head")
    assert ledger.is_sqlite
