"""`signoff ledger` and `signoff people`: what they print and change, and what they refuse, on a ledger of their own."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from typer.testing import CliRunner, Result

from cli.main import app
from ledger import schema, transaction
from ledger.engine import Ledger
from ledger.errors import BackupUnusable, FileInTheWay, LedgerInUse, LedgerSchemaMismatch, StillInRoster, UnknownName
from ledger.schema import plan_upgrade, upgrade_ledger
from ledger.seal import Seal, new_key, public_text, sign_seal
from ledger.seal_records import record_seal
from ledger.verify import verify_chain
from tasks.seal_keys import make_seal_key
from tests.cli.test_json_contract import offences
from tests.ledger.approval_world import ApprovalWorld
from tests.ledger.raw_sql import RawSql, asleep

WORDS = "The horizon hangs."


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty home folder, with a roster file beside it that nobody has filled yet."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("SIGNOFF_HOME", str(tmp_path / "home"))
    (tmp_path / "home").mkdir()
    return tmp_path / "home"


@pytest.fixture
def world(home: Path) -> ApprovalWorld:
    """A ledger in which lea has turned something down."""
    ledger = Ledger(f"sqlite:///{home / 'ledger.db'}")
    upgrade_ledger(ledger)
    made = ApprovalWorld(ledger)
    version_id = made.in_review()
    made.vote(made.review_of(version_id), "lea", "reject", WORDS)
    return made


def run(*arguments: str | Path, answer: str | None = None) -> Result:
    """What a command does; its own errors pass through, as `main` shows them."""
    return CliRunner().invoke(app, [str(one) for one in arguments], input=answer, catch_exceptions=False)


def read(*arguments: str | Path) -> Any:
    """The document that a command prints."""
    result = run(*arguments, "--json")
    assert result.exit_code == 0, result.output
    return json.loads(result.stdout)


def test_a_new_ledger_is_made_by_an_upgrade(home: Path) -> None:
    """The dry run makes no file; the upgrade does; then there is nothing to do."""
    planned = read("ledger", "upgrade", "--dry-run")
    assert offences("ledger upgrade", planned) == []
    assert [one for step in planned["steps"] for one in offences("ledger upgrade/steps", step)] == []
    assert (planned["before"], planned["upgraded"], list(home.iterdir())) == (None, False, [])
    assert "was upgraded from nothing to" in run("ledger", "upgrade").stdout
    said = run("ledger", "upgrade")
    assert (said.exit_code, said.stdout) == (0, f"The ledger is at schema {planned['after']} already.\n")


def test_an_older_ledger_keeps_what_it_holds(home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """From the first release: the steps are named before, the chain holds after."""
    folder = tmp_path / "first-release"
    shutil.copytree(schema._MIGRATIONS, folder)
    for later in (folder / "versions").glob("*.py"):
        if not later.name.startswith("0001_"):
            later.unlink()
    ledger = Ledger(f"sqlite:///{home / 'ledger.db'}")
    with monkeypatch.context() as patched:
        patched.setattr(schema, "_MIGRATIONS", folder)
        patched.setattr(transaction, "_ROWS_A_STATEMENT", (1,))
        upgrade_ledger(ledger)
        ApprovalWorld(ledger).published()
    assert read("ledger", "upgrade", "--dry-run")["steps"][0]["schema"] == "0002"
    assert plan_upgrade(ledger).before == "0001"
    assert read("ledger", "upgrade")["before"] == "0001"
    with ledger.reading() as connection:
        found = verify_chain(connection)
    assert (found.damage, found.events > 20, plan_upgrade(ledger).steps) == (None, True, ())


def test_a_newer_ledger_is_refused(world: ApprovalWorld) -> None:
    """By the upgrade, its dry run, and a backup."""
    with RawSql(world.ledger.url) as raw:
        raw.execute("UPDATE alembic_version SET version_num = '9999'")
    for command in (["upgrade"], ["upgrade", "--dry-run"], ["backup", "x"], ["restore", "x"]):
        with pytest.raises((LedgerSchemaMismatch, BackupUnusable), match=r"at schema 9999|is no SQLite file"):
            run("ledger", *command)


def test_a_backup_is_restored(world: ApprovalWorld, home: Path, tmp_path: Path) -> None:
    """Told first, asked for, done; a ledger that holds something is replaced only when told to."""
    file = tmp_path / "ledger.backup"
    made = read("ledger", "backup", file)
    assert offences("ledger backup", made) == []
    with pytest.raises(FileInTheWay):
        run("ledger", "backup", file)
    with pytest.raises(LedgerInUse):
        run("ledger", "restore", file, "--yes")
    world.ledger.close()
    (home / "ledger.db").unlink()
    assert "Would put" in run("ledger", "restore", file, "--dry-run").stdout
    assert run("ledger", "restore", file, answer="n\n").exit_code == 1
    assert not (home / "ledger.db").exists()
    done = read("ledger", "restore", file, "--yes")
    assert offences("ledger restore", done) == []
    assert (done["restored"], done["head"], done["events"]) == (True, made["head"], made["events"])
    again = read("ledger", "restore", file, "--yes", "--replace")
    assert again["replaced_events"] == made["events"]


def seal(world: ApprovalWorld, number: int, key: Ed25519PrivateKey) -> Seal:
    """Record a seal of the last event, as if it lay in a store."""
    with world.ledger.reading() as connection:
        found = verify_chain(connection)
    told = Seal(number, found.events, found.head, world.now, "0" * 64, public_text(key), None, "b", "", "0" * 64)
    with world.writing("system:seal_ledger") as tx:
        record_seal(tx, sign_seal(told, key), "b", f"{number:012d}.json", None)
    return told


def test_a_backup_from_before_is_doubted(world: ApprovalWorld, home: Path, tmp_path: Path) -> None:
    """It verifies, but another key signs by now, and the ledger in its place has sealed more: both is said first."""
    file, key = tmp_path / "ledger.backup", new_key()
    first = seal(world, 1, key)
    read("ledger", "backup", file)
    assert read("ledger", "restore", file, "--dry-run", "--replace")["doubts"] == []
    make_seal_key(home)
    present = read("audit", "key")["public_key"]
    exchanged = (
        f"its last seal (event {first.seq}) lets key {first.public_key} sign the next one, and here signs {present}: "
        "the backup is from before the signing key was exchanged"
    )
    assert read("ledger", "restore", file, "--dry-run", "--replace")["doubts"] == [exchanged]
    world.submitted("spring/later.jpg", "later")
    later = seal(world, 2, key)
    lacking = f"the ledger in its place was sealed up to event {later.seq}, and the backup lacks that event"
    said = run("ledger", "restore", file, "--replace", answer="n\n")
    assert (said.exit_code, said.stderr.splitlines()[:2]) == (1, [f"note: {exchanged}", f"note: {lacking}"])
    with world.ledger.reading() as connection:
        assert verify_chain(connection).head == later.hash, "nothing was put back"


def test_a_false_head_hides_nothing_from_a_restore(world: ApprovalWorld, tmp_path: Path) -> None:
    """A ledger whose head says that nothing happened is in use all the same, and what goes is counted."""
    file = tmp_path / "ledger.backup"
    made = read("ledger", "backup", file)
    with RawSql(world.ledger.url) as raw:
        asleep(raw).execute("UPDATE chain_head SET seq = 0")
    with pytest.raises(LedgerInUse):
        run("ledger", "restore", file, "--dry-run")
    planned = read("ledger", "restore", file, "--dry-run", "--replace")
    assert planned["replaced_events"] == made["events"]


def test_somebody_is_forgotten(world: ApprovalWorld, home: Path) -> None:
    """Told first, asked for, done; what shows names shows a forgotten person."""
    lea = world.person("lea")
    planned = read("people", "forget", "lea", "--dry-run")
    assert offences("people forget", planned) == []
    assert planned == {
        "person_id": lea, "erased": False, "comments": 1, "notices": 0, "decisions": 1, "groups": ["brand", "legal"],
    }  # fmt: skip
    assert run("people", "forget", "lea", answer="n\n").exit_code == 1
    assert read("people", "list")[0]["handle"] == "lea" or "lea" in str(read("people", "list"))
    done = run("people", "forget", "lea", answer="y\n")
    assert done.exit_code == 0
    assert "was erased; 1 decisions stay" in done.stdout
    listed = read("people", "list")
    assert [one for row in listed for one in offences("people list", row)] == []
    assert "lea" not in {row["handle"] for row in listed}
    shown = run("show", "spring/a.jpg").stdout
    assert f"forgotten person {lea}" in shown
    assert WORDS not in shown
    with pytest.raises(UnknownName):
        run("people", "forget", "lea", "--yes")


def test_who_stands_in_the_roster_file_is_not_forgotten(
    world: ApprovalWorld, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The next import would bring the name back."""
    roster = tmp_path / "roster.yaml"
    roster.write_text("people: [{handle: lea, name: Lea}]\ngroups: {brand: [lea]}\n")
    monkeypatch.setenv("SIGNOFF_ROSTER", str(roster))
    with pytest.raises(StillInRoster, match=r"names lea; nothing was erased"):
        run("people", "forget", "lea", "--yes")
    assert world.person("lea")
