"""`signoff policy` proves, shows and activates without the stack, and prints what docs/json.md promises."""

from __future__ import annotations

import json
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import polars as pl
import pytest
import sqlalchemy as sa

from ledger.policy_store import activate_policy, store_policy
from ledger.schema import upgrade_ledger
from ledger.screen import record_screenings
from ledger.verify_records import verify_records
from policies.document import load_policy, policy_sha256
from policies.example_version import example_facts
from policies.facts import FACTS_SCHEMA
from policies.routing import route_versions
from tasks import activate_policy as activating
from tasks.activate_policy import activate_file
from tasks.check_policy import recheck_policy
from tasks.resources import Resources
from tasks.settings import load_settings
from tests.cli.test_json_contract import offences
from tests.ledger.approval_world import BRAND, ApprovalWorld
from tests.policies.policy_catalogue import ROSTER, SOUND
from tests.running_stack import Said, say

EXAMPLE = "examples:\n  - {name: one, facts: {kind: text}, expect: {outcome: automatic}}\n"
SHADOWED = SOUND.replace("duplicate_of_published AND", "label = 'product' AND risk <= 0.01 AND")


@dataclass(frozen=True)
class Desk:
    """A folder with a policy, a roster and the settings that name them; its ledger is empty at first."""

    folder: Path

    @property
    def config(self) -> Path:
        """The settings file."""
        return self.folder / "signoff.toml"

    def write(self, name: str, text: str) -> str:
        """Write a file; returns its path."""
        path = self.folder / name
        path.write_text(text, encoding="utf-8")
        return str(path)

    def say(self, *arguments: str) -> Said:
        """Run `signoff policy`."""
        return say(self.config, "policy", *arguments)

    def resources(self) -> Resources:
        """Its ledger."""
        return Resources(load_settings(self.config))

    def events(self, action: str) -> list[tuple[str, dict[str, Any]]]:
        """Actor and details of every event of an action."""
        resources = self.resources()
        world = ApprovalWorld(resources.ledger, furnish=False)
        rows = world.ask("SELECT actor, body FROM events WHERE action = ? ORDER BY seq", action)
        resources.close()
        return [(actor, json.loads(body).get("details", {})) for actor, body in rows]


@pytest.fixture
def desk(tmp_path: Path) -> Desk:
    """A desk with the sound policy and roster of the catalogue."""
    made = Desk(tmp_path)
    policy, roster = made.write("policy.yaml", SOUND), made.write("roster.yaml", ROSTER)
    settings = f'home = "{tmp_path}"\npolicy = "{policy}"\nroster = "{roster}"\n'
    made.write("signoff.toml", f'{settings}[database]\nurl = "sqlite:///{tmp_path}/ledger.db"\n')
    return made


def test_a_sound_policy_is_proved(desk: Desk) -> None:
    """Nine claims, each with its sentence; exit code 0."""
    said = desk.say("check")
    assert (said.code, said.err) == (0, "")
    assert said.out.count("proved ") == 9
    results = json.loads(desk.say("check", "--json").out)
    assert [one for result in results for one in offences("policy check", result)] == []
    assert [one["proved"] for one in results] == [True] * 9


def test_a_refuted_claim_is_told(desk: Desk) -> None:
    """The story in lines for people, in keys for programs; exit code 1."""
    file = desk.write("other.yaml", SHADOWED)
    said = desk.say("check", file)
    assert said.code == 1
    assert "refuted  No rule is without effect" in said.out
    assert "2. “products” comes first, and approves this one as every other such version." in said.out
    printed = desk.say("check", file, "--json")
    (rules,) = [one for one in json.loads(printed.out) if one["proved"] is False]
    assert printed.code == 1
    assert offences("policy check", rules) + offences("policy check/counterexample", rules["counterexample"]) == []
    assert rules["counterexample"]["facts"] == {"label": "product", "risk": 0.0}
    assert rules["counterexample"]["field"] == "approval.automatic[1].when"


def test_without_a_file_the_policy_of_the_ledger_is_meant(desk: Desk) -> None:
    """Where the settings name no policy, the active one and the people of the ledger are asked about."""
    resources = desk.resources()
    upgrade_ledger(resources.ledger)
    resources.close()
    policy, roster = str(desk.folder / "policy.yaml"), str(desk.folder / "roster.yaml")
    assert desk.say("activate", policy, "--roster", roster, "--as", "ada").code == 0
    desk.write("signoff.toml", f'home = "{desk.folder}"\n[database]\nurl = "sqlite:///{desk.folder}/ledger.db"\n')
    assert desk.say("check").out.count("proved ") == 9
    assert desk.say("graph", "--format", "mermaid").out.startswith("flowchart")
    desk.write("signoff.toml", f'home = "{desk.folder}/elsewhere"\n')
    said = desk.say("check")
    assert said.code == 2
    assert "the ledger has none; name one" in " ".join(said.err.replace("│", " ").split())


def test_what_cannot_be_read_is_refused(desk: Desk) -> None:
    """A mistake in writing answers no claim: exit code 2, and the message says where."""
    said = desk.say("check", desk.write("other.yaml", SOUND.replace("max_size", "max_sise")), "--json")
    assert (said.code, said.out) == (2, "")
    assert "did you mean 'max_size'?" in said.err
    assert desk.say("check", str(desk.folder / "absent.yaml")).code == 2


def test_schema_and_facts(desk: Desk) -> None:
    """Editors get every section; the list of facts is what docs/json.md says."""
    schema = json.loads(desk.say("schema").out)
    assert {"approval", "archive", "examples", "screening"} <= schema["properties"].keys()
    assert schema["$defs"]["Deadline"]["properties"]["finally"]["enum"] == ["reject", "request_changes"]
    rows = json.loads(desk.say("facts", "--json").out)
    assert [one for row in rows for one in offences("policy facts", row)] == []
    assert {row["name"] for row in rows} >= {"kind", "risk", "age"}
    assert "bound on the error of the label" in desk.say("facts").out


def test_examples_are_tried(desk: Desk) -> None:
    """An example that differs is exit code 1, and says how."""
    file = desk.write("other.yaml", SOUND + EXAMPLE)
    said = desk.say("test", file)
    assert said.code == 1
    assert "outcome: expected automatic, found review" in said.out
    (row,) = json.loads(desk.say("test", file, "--json").out)
    assert offences("policy test", row) == []
    assert desk.say("test").out == "0 of 0 examples are as expected.\n"


def test_the_picture_is_printed(desk: Desk) -> None:
    """SVG unless Mermaid is asked for."""
    assert desk.say("graph").out.startswith("<svg ")
    assert desk.say("graph", "--format", "mermaid").out.startswith("flowchart LR\n")


def test_the_first_policy_is_activated_alone_and_the_next_by_two(desk: Desk) -> None:
    """A proposal waits for another person; whoever proposed cannot confirm; each step is in the audit trail."""
    first = desk.say("activate", str(desk.folder / "policy.yaml"), "--as", "ann", "--json")
    assert (first.code, first.err) == (0, "")
    assert offences("policy activate", json.loads(first.out)) == []
    assert json.loads(first.out)["status"] == "activated"
    changed = desk.write("next.yaml", SOUND.replace("max_size: 2 GiB", "max_size: 3 GiB"))
    statuses = [
        json.loads(desk.say("activate", changed, "--as", handle, "--json").out)["status"]
        for handle in ("ada", "ada", "ben", "ben")
    ]
    assert statuses == ["proposed", "proposed", "activated", "active"]
    assert [actor for actor, _ in desk.events("propose_policy")] == ["person:1"]
    assert desk.events("activate_policy") == [
        ("operator:ann", {"by": "operator:ann", "seconded_by": None, "before": None}),
        ("person:2", {"by": "person:1", "seconded_by": "person:2", "before": policy_sha256(SOUND)}),
    ]
    resources = desk.resources()
    with resources.ledger.reading() as connection:
        assert verify_records(connection) == []
    resources.close()
    again = json.loads(desk.say("activate", str(desk.folder / "policy.yaml"), "--as", "ben", "--json").out)
    assert again["status"] == "proposed", "a proposal ends with the next activation"


def test_who_has_left_is_not_one_of_the_two(desk: Desk) -> None:
    """What they proposed counts for nothing: whoever comes next proposes anew, and another person has to confirm."""
    assert desk.say("activate", str(desk.folder / "policy.yaml"), "--as", "ann").code == 0
    changed = desk.write("next.yaml", SOUND.replace("max_size: 2 GiB", "max_size: 3 GiB"))
    assert json.loads(desk.say("activate", changed, "--as", "ada", "--json").out)["status"] == "proposed"
    resources = desk.resources()
    with resources.ledger.writing(resources.origin("operator:ann")) as tx:
        tx.connection.execute(sa.text("UPDATE people SET left_at = joined_at WHERE handle = 'ada'"))
    resources.close()
    assert json.loads(desk.say("activate", changed, "--as", "ben", "--json").out)["status"] == "proposed"
    assert len(desk.events("activate_policy")) == 1
    assert [actor for actor, _ in desk.events("propose_policy")] == ["person:1", "person:2"]


def test_what_became_active_meanwhile_is_not_proposed(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    """Two others activate it while it is proved: it is active, and no proposal of it is left behind."""
    assert desk.say("activate", str(desk.folder / "policy.yaml"), "--as", "ann").code == 0
    changed = desk.write("next.yaml", SOUND.replace("max_size: 2 GiB", "max_size: 3 GiB"))
    resources, prove = desk.resources(), activating._require_proof

    def prove_while_others_act(*documents: Any) -> None:
        prove(*documents)
        with resources.ledger.writing(resources.origin("person:2")) as tx:
            sha256 = store_policy(tx, "creative-signoff", Path(changed).read_text(encoding="utf-8"), [])
            activate_policy(tx, sha256, "person:1", "person:2")

    with monkeypatch.context() as patched:
        patched.setattr(activating, "_require_proof", prove_while_others_act)
        assert activate_file(resources, Path(changed), None, "ada").status == "active"
    resources.close()
    assert desk.events("propose_policy") == []


def test_a_refuted_policy_is_not_activated(desk: Desk) -> None:
    """Neither first nor later, and nothing of it is stored; nor does a stranger activate one."""
    other = desk.write("other.yaml", SHADOWED)
    said = desk.say("activate", other, "--as", "ann")
    assert said.code == 1
    assert "approval.automatic[1].when: A version arrives for which it holds" in said.err
    assert desk.events("store_policy") == []
    assert desk.say("activate", str(desk.folder / "policy.yaml"), "--as", "ann").code == 0
    assert desk.say("activate", other, "--as", "ada").code == 1
    assert desk.events("propose_policy") == []
    changed = desk.write("next.yaml", SOUND.replace("max_size: 2 GiB", "max_size: 3 GiB"))
    assert "'nobody' is nobody in the roster" in desk.say("activate", changed, "--as", "nobody").err


def test_a_roster_that_breaks_the_policy_is_recorded(desk: Desk) -> None:
    """When people leave, the active policy is proved again; what broke becomes an event, and its owners are told."""
    assert desk.say("activate", str(desk.folder / "policy.yaml"), "--as", "ann").code == 0
    resources = desk.resources()
    found = recheck_policy(resources, "operator:up")
    assert found is not None
    assert found.refuted == ()
    world = ApprovalWorld(resources.ledger, furnish=False)
    with world.writing() as tx:
        tx.connection.exec_driver_sql("UPDATE memberships SET removed_at = added_at WHERE group_name = 'editors'")
    recheck_policy(resources, "operator:up")
    resources.close()
    ((actor, details),) = desk.events("policy_check_failed")
    assert (actor, details["refuted"]) == ("operator:up", ["people"])
    assert "has no such group" in details["stories"][0]
    told = world.ask("SELECT handle, kind, body FROM notices JOIN people USING (person_id) ORDER BY handle")
    assert [(handle, kind) for handle, kind, _ in told] == [
        (handle, "policy_broken") for handle in ("dia", "eli", "fay", "gus")
    ]
    assert json.loads(told[0][2])["text"] == (
        "With the people there are now, the policy catalogue does not keep what it did: Whatever waits has enough "
        "people who may decide, even if any one of them is away. `signoff policy check` says why."
    )


def test_a_routing_is_explained_as_it_was_recorded(desk: Desk) -> None:
    """Which predicate said what, with the values it saw; for a version that was never routed, an error."""
    assert desk.say("activate", str(desk.folder / "policy.yaml"), "--as", "ann").code == 0
    policy = load_policy(SOUND, "policy.yaml")
    facts = example_facts(policy, {"kind": "image", "label": "other"})
    (route,) = route_versions(pl.DataFrame([facts], schema=FACTS_SCHEMA), policy).to_dicts()
    resources = desk.resources()
    world = ApprovalWorld(resources.ledger, furnish=False)
    world.policy = resources.active_policy().sha256
    submission = world.submit()
    assert desk.say("explain", "spring/a.jpg").code == 1
    screened = replace(
        world.screened(submission, "review", [BRAND]), explanation=route["explanation"], facts=facts, verdict_key=None
    )
    with world.writing("system:ingest_assets") as tx:
        record_screenings(tx, [screened], {})
    resources.close()
    said = desk.say("explain", "spring/a.jpg")
    assert (said.code, said.err) == (0, "")
    assert "  stages brand: true\n      kind = 'image'\n      saw: kind is 'image'\n" in said.out.replace(
        "stage ", "stages "
    )
    explained = json.loads(desk.say("explain", "spring/a.jpg", "--json").out)
    assert offences("policy explain", explained) == []
    assert (explained["outcome"], explained["stages"]) == ("review", ["brand"])
    assert explained["explanation"]["stages"]["legal"]["result"] is False
