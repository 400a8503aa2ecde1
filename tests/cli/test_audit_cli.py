"""`signoff audit`: what is printed of a ledger, what is found in it, what is taken away; with and without a store."""

from __future__ import annotations

import hashlib
import json
import os
import sqlite3
from collections.abc import Mapping
from contextlib import closing
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from lxml import etree  # type: ignore[import-untyped]  # ships no types

from ledger.engine import Ledger
from ledger.schema import upgrade_ledger
from ledger.seal import key_from_text, public_text
from ledger.seal_records import REPLACED, tell_key, tell_place
from ledger.transaction import Origin
from tasks.seal_keys import make_seal_key
from tests.cli.test_json_contract import CONTRACT, fits
from tests.ledger.approval_world import ApprovalWorld
from tests.running_stack import Said, say

if TYPE_CHECKING:
    from tests.workplace import Workplace

ROOT = Path(__file__).parents[2]
XSD = "SIGNOFF_TEST_PREMIS_XSD"
"""Names the schema `premis-v3-0.xsd` of the Library of Congress, which is not part of this repository."""
PREMIS = "{http://www.loc.gov/premis/v3}"
KEY = "5b" * 32


@pytest.fixture(scope="module")
def told(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The settings file of a ledger with a published, a rejected and an oddly named asset, a week and more old."""
    home = tmp_path_factory.mktemp("audit")
    ledger = Ledger(f"sqlite:///{home / 'state' / 'ledger.db'}")
    (home / "state").mkdir()
    upgrade_ledger(ledger)
    world = ApprovalWorld(ledger)
    world.published("spring/a.jpg", "one")
    world.turned_down("spring/b.jpg", "two", "reject")
    world.submitted("spring/\x01odd & <name>.jpg", "three")
    ledger.close()
    config = home / "signoff.toml"
    config.write_text('home = "state"\nclock = "2026-03-10T00:00:00Z"\n', encoding="utf-8")
    return config


def read(config: Path, *arguments: str) -> Any:
    """The document that a command prints; it goes well and says nothing else."""
    said = say(config, "audit", *arguments, "--json")
    assert (said.code, said.err) == (0, ""), said
    return json.loads(said.out)


def offences(table: str, found: Mapping[str, Any]) -> list[str]:
    """Where an object is not what docs/json.md says."""
    promised = CONTRACT[table]
    wrong = sorted(found.keys() ^ promised.keys())
    return wrong + [f"{key}: {found[key]!r}" for key in found.keys() & promised if not fits(found[key], promised[key])]


def test_the_log_tells_who_did_what(told: Path) -> None:
    """Every event as documented, people by handle and name, system actors as they are; the newest ones by default."""
    rows = read(told, "log", "--limit", "1000")
    assert [row["seq"] for row in rows] == list(range(1, len(rows) + 1))
    assert [one for row in rows for one in offences("audit log", row)] == []
    decided = [row for row in rows if row["action"] == "decide"]
    assert {(row["actor"], row["handle"], row["name"]) for row in decided} == {("person:1", "lea", "Lea")}
    assert read(told, "log", "--limit", "3") == rows[-3:]
    printed = say(told, "audit", "log", "--limit", "1000").out
    assert "Lea" in printed
    assert "system:test" in printed
    assert "\\x01odd & <name>.jpg" in printed


@pytest.mark.parametrize(
    ("arguments", "kept"),
    [
        (("--actor", "lea"), lambda row: row["handle"] == "lea"),
        (("--actor", "Lea"), lambda row: row["handle"] == "lea"),
        (("--actor", "person"), lambda row: row["actor"].startswith("person:")),
        (("--actor", "system:test"), lambda row: row["actor"] == "system:test"),
        (("--actor", "lea", "--actor", "operator"), lambda row: row["actor"] in ("person:1", "operator:ada")),
        (("--action", "decide", "--action", "reject"), lambda row: row["action"] in ("decide", "reject")),
        (("--key", "spring/b.jpg"), lambda row: row["key"] == "spring/b.jpg"),
        (("--since", "2026-03-02T08:00:06"), lambda row: row["at"] >= "2026-03-02T08:00:06"),
        (("--until", "2026-03-02T09:00:06+01:00"), lambda row: row["at"] < "2026-03-02T08:00:06"),
        (("--until", "2026-03-02"), lambda _: True),
        (("--since", "9d"), lambda _: True),
        (("--since", "2 days"), lambda _: False),
        (("--until", "2026-03-01"), lambda _: False),
    ],
)
def test_the_log_is_narrowed_down(told: Path, arguments: tuple[str, ...], kept: Any) -> None:
    """By actor, action, asset and time; all conditions hold together."""
    rows = read(told, "log", "--limit", "1000")
    found = read(told, "log", "--limit", "1000", *arguments)
    assert found == [row for row in rows if kept(row)]


@pytest.mark.parametrize(
    ("arguments", "code", "message"),
    [
        (("log", "--actor", "nobody"), 1, "nobody is called 'nobody'; allowed are a handle or a name of the roster"),
        (("log", "--key", "no/such"), 1, "no asset has the key 'no/such'"),
        (("log", "--since", "yesterdayish"), 2, "is no moment"),
        (("log", "--until", "9999-12-31"), 2, "is outside the years of the calendar"),
        (("verify", "--key", "abc"), 2, "is no public key"),
        (("key", "--rotate", "--replace-lost"), 2, "choose one of them"),
        (("key",), 1, "there is no key to seal the audit trail with"),
        (("verify",), 1, "no public key is known to check the seals with"),
        (("export", "--output", "/no/such/folder/file"), 1, "the audit trail was not written to /no/such/folder/file"),
        (("export", "--output", "x", "--format", "xml"), 2, "xml"),
    ],
)
def test_what_is_said_when_it_cannot_be_done(told: Path, arguments: tuple[str, ...], code: int, message: str) -> None:
    """What was found, what is allowed, what to do; exit codes as everywhere."""
    said = say(told, "audit", *arguments)
    assert (said.code, said.out) == (code, "")
    assert message in " ".join(said.err.replace("│", " ").split())


def test_a_sound_ledger_without_a_store(told: Path) -> None:
    """`--no-seals` says what it cannot find; `--no-columns` compares no records."""
    found = read(told, "verify", "--no-seals")
    assert offences("audit verify", found) == []
    assert (found["sound"], found["damage"], found["mismatches"], found["seals"]) == (True, None, [], None)
    said = say(told, "audit", "verify", "--no-seals", "--no-columns")
    assert (said.code, said.err) == (0, "")
    assert said.out.splitlines()[0] == f"{found['events']:,} events hold, up to hash {found['head']}"
    assert "Seals were not looked at: a tail that was cut off" in said.out
    assert "Records were not compared" in said.out


@pytest.fixture
def damaged(told: Path, tmp_path: Path) -> Path:
    """A copy of that ledger, to be meddled with."""
    (tmp_path / "state").mkdir()
    with closing(sqlite3.connect(told.parent / "state" / "ledger.db")) as source:
        source.execute(f"VACUUM INTO '{tmp_path / 'state' / 'ledger.db'}'")
    (tmp_path / "signoff.toml").write_text(told.read_text(encoding="utf-8"), encoding="utf-8")
    return tmp_path / "signoff.toml"


def meddle(config: Path, sql: str) -> None:
    """Change the file as its owner can."""
    with closing(sqlite3.connect(config.parent / "state" / "ledger.db")) as raw:
        for (name,) in raw.execute("SELECT name FROM sqlite_master WHERE type = 'trigger'").fetchall():
            raw.execute(f"DROP TRIGGER {name}")
        raw.execute(sql)
        raw.commit()


def verify(config: Path, *arguments: str) -> tuple[Said, dict[str, Any]]:
    """What a damaged ledger is told to be, in words and as a document."""
    words, document = (say(config, "audit", "verify", *arguments, *more) for more in ((), ("--json",)))
    assert (words.code, document.code) == (1, 1)
    return words, json.loads(document.out)


def test_damage_is_named_with_exit_code_1(damaged: Path) -> None:
    """The first event that does not hold and why, what to do next; records are not compared then."""
    meddle(damaged, "UPDATE events SET actor = 'person:2' WHERE seq = 9")
    words, found = verify(damaged, "--no-seals")
    assert (found["sound"], found["events"], found["mismatches"]) == (False, 8, None)
    assert (found["damage"]["event"], found["damage"]["kind"]) == (9, "changed")
    assert "event 9 does not hold: changed: column actor says 'person:2'" in words.out
    assert "Compare with a backup that verifies" in words.out
    assert read(damaged, "verify", "--no-seals", "--no-columns")["sound"], "columns are what --no-columns leaves out"


def test_records_that_the_events_do_not_bear_out(damaged: Path) -> None:
    """The chain holds, a record beside it does not."""
    meddle(damaged, "UPDATE versions SET state = 'approved' WHERE version_id = 2")
    words, found = verify(damaged, "--no-seals")
    assert (found["damage"], len(found["mismatches"])) == (None, 1)
    assert offences("audit verify/mismatches", found["mismatches"][0]) == []
    assert "versions 2: its state, round or policy is not what its last event says" in words.out


def test_moves_and_replaced_keys_are_never_passed_over(damaged: Path) -> None:
    """Events that say so are notes beside a sound report, in words and beside the document."""
    ledger = Ledger(f"sqlite:///{damaged.parent / 'state' / 'ledger.db'}")
    with ledger.writing(Origin("operator:anna", datetime(2026, 3, 9, 8, tzinfo=UTC))) as tx:
        tell_place(tx, place="s3://archive/anew/", before=["s3://archive/seals/"])
        tell_key(tx, REPLACED, public_key="b" * 64, before="a" * 64, after_seq=0)
    ledger.close()
    for more in ((), ("--json",), ("--no-columns",)):
        said = say(damaged, "audit", "verify", "--no-seals", *more)
        assert said.code == 0
        moved, replaced = (line for line in said.err.splitlines() if line.startswith("note: "))
        assert "(operator:anna, 2026-03-09 08:00 UTC): seals are put into s3://archive/anew/ from then on" in moved
        assert f"key {'b' * 64} signs from then on; key {'a' * 64} was lost and announced nothing" in replaced


def test_the_public_key_is_printed(damaged: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """That of the file, or of the environment; never the signing key itself."""
    make_seal_key(damaged.parent / "state")
    found = read(damaged, "key")
    assert offences("audit key", found) == []
    assert found["origin"] == str(damaged.parent / "state" / "seal-key")
    assert say(damaged, "audit", "key").out == f"{found['public_key']}\n"
    monkeypatch.setenv("SIGNOFF_AUDIT__KEY", KEY)
    assert read(damaged, "key") == {
        "public_key": public_text(key_from_text(KEY, "here")), "origin": "SIGNOFF_AUDIT__KEY",
    }  # fmt: skip
    assert KEY not in say(damaged, "config", "--json").out
    monkeypatch.setenv("SIGNOFF_AUDIT__KEY", KEY[1:])
    said = say(damaged, "audit", "key")
    assert (said.code, KEY[1:] in said.err) == (1, False)


def test_the_trail_as_lines(told: Path, tmp_path: Path) -> None:
    """Each event with its hashed bytes: whoever has the file can follow the chain without Signoff."""
    path = tmp_path / "trail.jsonl"
    done = read(told, "export", "--output", str(path))
    assert offences("audit export", done) == []
    data = path.read_bytes()
    assert (done["size_bytes"], done["sha256"]) == (len(data), hashlib.sha256(data).hexdigest())
    events = [json.loads(line) for line in data.splitlines()]
    assert [one["seq"] for one in events] == list(range(1, done["events"] + 1))
    previous = "0" * 64
    for event in events:
        assert json.loads(event["body"])["prev"] == previous
        previous = hashlib.sha256(event["body"].encode()).hexdigest()
        assert event["hash"] == previous
    assert events[-1]["key"] == "spring/\x01odd & <name>.jpg"
    assert {path.name for path in tmp_path.iterdir()} == {"trail.jsonl"}


def test_an_export_that_fails_leaves_the_old_file(damaged: Path) -> None:
    """Whole or not at all; nothing half is left beside it."""
    path = damaged.parent / "trail.jsonl"
    path.write_text("the old one", encoding="utf-8")
    with closing(sqlite3.connect(damaged.parent / "state" / "ledger.db")) as raw:
        raw.execute("ALTER TABLE events RENAME TO gone")
    said = say(damaged, "audit", "export", "--output", str(path))
    assert (said.code, path.read_text(encoding="utf-8")) == (1, "the old one")
    assert {one.name for one in damaged.parent.iterdir()} == {"state", "signoff.toml", "trail.jsonl"}


@pytest.fixture(scope="module")
def premis(told: Path, tmp_path_factory: pytest.TempPathFactory) -> Any:
    """The exported document."""
    path = tmp_path_factory.mktemp("premis") / "trail.xml"
    read(told, "export", "--format", "premis", "--output", str(path))
    return etree.parse(path)


def test_the_trail_as_premis(told: Path, premis: Any) -> None:
    """Objects are versions, events point to them and to agents, and every pointer leads somewhere."""
    root = premis.getroot()
    assert root[0].tag.removeprefix(PREMIS) == "object"
    values = {
        name: [node.text for node in root.iter(f"{PREMIS}{name}IdentifierValue")]
        for name in ("object", "event", "agent", "linkingAgent", "linkingObject", "rightsStatement")
    }
    rows = read(told, "log", "--limit", "1000")
    assert values["object"] == ["1", "2", "3"]
    assert values["event"] == [str(row["seq"]) for row in rows]
    assert values["linkingAgent"] == [row["actor"] for row in rows]
    assert sorted(set(values["linkingAgent"])) == values["agent"]
    assert set(values["linkingObject"]) <= set(values["object"])
    first = root.find(f"{PREMIS}object")
    shown = [(node.tag.removeprefix(PREMIS), node.text) for node in first.iter() if node.text and node.text.strip()]
    assert shown == [
        ("objectIdentifierType", "signoff version"),
        ("objectIdentifierValue", "1"),
        ("compositionLevel", "0"),
        ("messageDigestAlgorithm", "SHA-256"),
        ("messageDigest", hashlib.sha256(b"one").hexdigest()),
        ("size", "3"),
        ("formatName", "image/jpeg"),
        ("originalName", "s3://intake/spring/a.jpg"),
        ("contentLocationType", "S3"),
        ("contentLocationValue", shown[-1][1]),
    ]
    agents = {
        agent.findtext(f"{PREMIS}agentIdentifier/{PREMIS}agentIdentifierValue"): (
            agent.findtext(f"{PREMIS}agentName"),
            agent.findtext(f"{PREMIS}agentType"),
        )
        for agent in root.iter(f"{PREMIS}agent")
    }
    assert agents["person:1"] == ("lea", "person"), "a handle, never a name"
    assert agents["system:test"] == ("test", "software")
    assert root.findall(f"{PREMIS}object")[2].findtext(f"{PREMIS}originalName") == (
        "s3://intake/spring/\\x01odd & <name>.jpg"
    )


def test_the_premis_document_is_valid(premis: Any) -> None:
    """Against the schema of the Library of Congress, where somebody put it."""
    if XSD not in os.environ:
        pytest.skip(f"the schema is not part of this repository; {XSD} names a copy of premis-v3-0.xsd")
    schema = etree.XMLSchema(etree.parse(os.environ[XSD]))
    assert schema.validate(premis), schema.error_log


def test_premis_needs_an_object(tmp_path: Path) -> None:
    """A ledger without a version has nothing that PREMIS could describe; no file is left."""
    ledger = Ledger(f"sqlite:///{tmp_path / 'ledger.db'}")
    upgrade_ledger(ledger)
    ledger.close()
    config = tmp_path / "signoff.toml"
    config.write_text('home = "."\n', encoding="utf-8")
    said = say(config, "audit", "export", "--format", "premis", "--output", str(tmp_path / "trail.xml"))
    assert said.code == 1
    assert "no version was submitted yet; take --format jsonl" in said.err
    assert not (tmp_path / "trail.xml").exists()
    assert read(config, "export", "--output", str(tmp_path / "trail.jsonl"))["events"] == 0


@pytest.mark.stack
def test_the_whole_way_of_a_seal(make_workplace: Any) -> None:
    """Ingested, sealed by the flow, verified by the command; a tail cut off afterwards is named."""
    from flows.seal_ledger import seal_ledger

    workplace: Workplace = make_workplace()
    home = workplace.config.parent / "state"
    make_seal_key(home)
    workplace.put("text/a.txt", "The first words of a text that is looked at.")
    workplace.ingest()
    locked = {"AUDIT__LOCK": "GOVERNANCE", "AUDIT__KEEP_DAYS": "1"}
    workplace.run(seal_ledger, **locked)
    workplace.run(seal_ledger, **locked)
    found = read(workplace.config, "verify")
    assert offences("audit verify", found) == []
    assert (found["sound"], found["seals"], found["unsealed"]) == (True, 1, 0)
    assert (found["sealed_event"], found["pinned"]) == (found["events"], found["signers"])
    words = workplace.say("audit", "verify")
    assert words.code == 0
    assert (
        f"1 seals lead back to the key of {home / 'seal-key'}; the last one is of event {found['events']}" in words.out
    )
    workplace.resources.ledger.close()
    meddle(workplace.config, f"DELETE FROM events WHERE seq = {found['events']}")
    last = found["events"] - 1
    meddle(workplace.config, f"UPDATE chain_head SET seq = {last}, hash = (SELECT hash FROM events WHERE seq = {last})")
    _, cut = verify(workplace.config)
    assert cut["damage"] == {
        "event": found["events"],
        "kind": "cut off",
        "reason": f"cut off: event {found['events']} was sealed",
    }
    versions = workplace.client.list_object_versions(Bucket=workplace.buckets.archive)["Versions"]
    for one in versions:
        workplace.client.delete_object(
            Bucket=workplace.buckets.archive, Key=one["Key"], VersionId=one["VersionId"], BypassGovernanceRetention=True
        )
