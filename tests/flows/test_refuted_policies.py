"""Counter-examples of the proof, replayed: with such a policy, ledger and flows do what the story says."""

from __future__ import annotations

import pytest
import yaml

from ledger.policy_store import activate_policy, store_policy
from ledger.roster import RosterPerson, import_roster
from policies.claims import Claim, CounterExample
from policies.document import load_policy
from policies.policy_proof import prove_text
from tests.running_stack import SAMPLES
from tests.workplace import Workplace, reviewers_of

pytestmark = pytest.mark.stack

ALL_NOTES = "collection = 'notes' AND clearance = 'cleared'"


def blind(workplace: Workplace) -> str:
    """The workplace's policy with a rule that approves whatever lies among the notes."""
    text = (workplace.config.parent / "policy.yaml").read_text(encoding="utf-8")
    assert text.count("size <= '1 GiB' AND ") == 1
    return text.replace("size <= '1 GiB' AND ", "")


def story_of(claim: Claim, policy: str, roster: str) -> CounterExample:
    """The shortest counter-example of the one claim that does not hold."""
    broken = [one for one in prove_text(policy, "policy.yaml", roster, "roster.yaml") if not one.proved]
    assert [one.claim for one in broken] == [claim]
    return broken[0].counterexamples[0]


def test_a_blind_rule_publishes_whatever_comes(workplace: Workplace) -> None:
    """The story: any other bytes would be approved in its place. So they are, and nobody was asked about either."""
    policy = blind(workplace)
    story = story_of(Claim.APPROVAL, policy, (SAMPLES / "roster.yaml").read_text(encoding="utf-8"))
    assert "would hold for any other bytes in its place" in story.steps[1]
    rules = [rule.name for rule in load_policy(policy, "policy.yaml").approval.automatic]
    with workplace.resources.ledger.writing(workplace.resources.origin("system:test")) as tx:
        activate_policy(tx, store_policy(tx, "whole-way", policy, rules), "person:1", "person:2")
    folder = story.row["key"].removesuffix("x")
    contents = {f"{folder}{number}.txt": f"The words of text {number}, long enough to be text." for number in range(2)}
    digests = {key: workplace.put(key, text) for key, text in contents.items()}
    workplace.ingest()
    assert workplace.library() == digests
    assert workplace.rows("SELECT count(*) FROM gates") == [(0,)]
    assert workplace.rows("SELECT count(*) FROM decisions") == [(0,)]


def test_a_stage_of_one_waits_for_that_one(workplace: Workplace) -> None:
    """The story: only one may approve, and they are away. So the review that the flow parks offers nobody else."""
    roster = yaml.safe_load((SAMPLES / "roster.yaml").read_text(encoding="utf-8"))
    roster["groups"]["editors"] = ["jonas"]
    policy = (workplace.config.parent / "policy.yaml").read_text(encoding="utf-8")
    results = {one.claim: one for one in prove_text(policy, "policy.yaml", yaml.safe_dump(roster), "roster.yaml")}
    stories = [one for one in results[Claim.PEOPLE].counterexamples if one.subject.startswith("stage editor")]
    assert stories[0].steps[-2:] == ("jonas is away.", "0 of 1 approvals can be had: the gate cannot pass.")
    people = [RosterPerson(one["handle"], one["name"]) for one in roster["people"]]
    with workplace.resources.ledger.writing(workplace.resources.origin("system:test")) as tx:
        import_roster(tx, people, roster["groups"])
    workplace.put("text/one.txt", "Plain words, long enough to be taken for text.")
    workplace.ingest()
    (review,) = workplace.reviews()
    assert review["stage"] == "editor"
    assert [one.split(" · ")[0] for one in reviewers_of(workplace.form(review))] == ["jonas"]
