"""A roster file is read whole or refused whole, and it is compared with the groups that a policy names."""

from __future__ import annotations

import pytest

from policies.document import PolicyDocument, load_policy
from policies.errors import RosterInvalid
from policies.roster import RosterDocument, groups_named, load_roster, undefined_groups, unreachable_quorums


def test_sample_roster_is_read(roster: RosterDocument) -> None:
    """People, groups and delegations arrive as they are written."""
    assert [person.handle for person in roster.people] == ["lea", "tom", "mia", "zoe"]
    assert roster.people[2].email is None
    assert roster.groups["brand"] == ("lea", "tom")
    assert roster.delegations[0].starts_at.isoformat() == "2026-12-01T00:00:00+01:00"


@pytest.mark.parametrize(
    ("old", "new", "problem"),
    [
        ("handle: tom", "handle: lea", (3, "people[1].handle", "'lea'", None)),
        ("legal: [mia, tom]", "legal: [mia, tmo]", (9, "groups.legal[1]", "the unknown handle 'tmo'", "tom")),
        ("legal: [mia, tom]", "legal: [mia, mia]", (9, "groups.legal[1]", "the handle 'mia' a second time", None)),
        ("legal: [mia, tom]", "legal: []", (9, "groups.legal", "an empty list", None)),
        ("legal: [mia, tom]", "Legal: [mia, tom]", (9, "groups.Legal", "'Legal'", None)),
        ("lea@example.org", "lea", (2, "people[0].email", "'lea'", None)),
        ("delegate: mia", "delegate: mai", (14, "delegations[0].delegate", "the unknown handle 'mai'", "mia")),
        ("until: 2026-12-15", "until: 2026-11-15", (14, "delegations[0].until", "2026-11-15T00:00:00+01:00", None)),
        ("from: 2026-12-01", "from: 0001-01-01", (14, "delegations[0].from", "0001-01-01T00:00:00+01:00", None)),
        ("T00:00:00+01:00, until", "T00:00:00, until", (14, "delegations[0].from", "'2026-12-01T00:00:00'", None)),
    ],
)
def test_wrong_rosters_are_refused(
    roster_text: str, old: str, new: str, problem: tuple[int, str, str, str | None]
) -> None:
    """Each fault is reported with line, field, value and the nearest right word."""
    assert old in roster_text
    with pytest.raises(RosterInvalid) as caught:
        load_roster(roster_text.replace(old, new, 1), "roster.yaml")
    found = [(p.line, p.field, p.value, p.nearest) for p in caught.value.problems]
    assert problem in found


def _delegated(roster_text: str, *rows: str) -> str:
    return roster_text[: roster_text.index("delegations:")] + "delegations:\n" + "".join(f"  - {{{r}}}\n" for r in rows)


def test_circles_of_delegation_are_refused(roster_text: str) -> None:
    """A part that comes back to its owner while all hand-overs run at once belongs to nobody."""
    text = _delegated(
        roster_text,
        "principal: lea, delegate: mia, from: 2026-12-01T00:00:00Z, until: 2026-12-10T00:00:00Z",
        "principal: mia, delegate: tom, from: 2026-12-05T00:00:00Z, until: 2026-12-12T00:00:00Z",
        "principal: tom, delegate: lea, from: 2026-12-09T00:00:00Z, until: 2026-12-20T00:00:00Z",
    )
    with pytest.raises(RosterInvalid) as caught:
        load_roster(text, "roster.yaml")
    assert [problem.line for problem in caught.value.problems] == [14, 15, 16]


def test_delegations_in_turn_are_no_circle(roster_text: str) -> None:
    """Two people may stand in for each other one after the other."""
    text = _delegated(
        roster_text,
        "principal: lea, delegate: mia, from: 2026-12-01T00:00:00Z, until: 2026-12-10T00:00:00Z",
        "principal: mia, delegate: lea, from: 2026-12-10T00:00:00Z, until: 2026-12-20T00:00:00Z",
    )
    assert len(load_roster(text, "roster.yaml").delegations) == 2


def test_groups_that_the_policy_names(policy: PolicyDocument) -> None:
    """Every group is found: owners, submitters, reviewers, those whom deadlines escalate to."""
    assert sorted({group for _, group in groups_named(policy)}) == [
        "agency-x",
        "brand",
        "brand-leads",
        "editors",
        "legal",
        "operations",
    ]


def test_policy_and_roster_that_fit(policy: PolicyDocument, roster: RosterDocument) -> None:
    """A policy whose groups all exist and are large enough has no problem."""
    assert undefined_groups(policy, roster) == []
    assert unreachable_quorums(policy, roster) == []


def test_groups_that_nobody_is_in_are_named(policy_text: str, roster: RosterDocument) -> None:
    """A group that the roster does not have is reported where the policy names it."""
    policy = load_policy(policy_text.replace("to: brand-leads", "to: brand-lead"), "policy.yaml")
    (problem,) = undefined_groups(policy, roster)
    assert str(problem) == (
        "policy.yaml:18: approval.stages[0].deadline.escalate[0].to: found the group 'brand-lead'; allowed: a group of "
        "the roster: agency-x, brand, brand-leads, editors, legal, operations; did you mean 'brand-leads'?"
    )


def test_quorums_that_nobody_can_reach_are_named(policy_text: str, roster: RosterDocument) -> None:
    """A quorum larger than reviewers and owners together is reported where the policy asks for it."""
    policy = load_policy(policy_text.replace("quorum: 2", "quorum: 3"), "policy.yaml")
    assert [str(problem) for problem in unreachable_quorums(policy, roster)] == [
        "policy.yaml:20: approval.stages[1].quorum: found a quorum of 3 in the collection spring-campaign; "
        "allowed: at most 2: so many people are in legal and brand-leads"
    ]


def test_four_eyes_count_in_quorums(policy_text: str, roster: RosterDocument) -> None:
    """Who submits does not decide, and without a known submitter two must agree."""
    inside = load_policy(policy_text.replace("submitter: agency-x", "submitter: legal"), "policy.yaml")
    assert [problem.allowed for problem in unreachable_quorums(inside, roster)] == [
        "at most 0: so many people are in legal and brand-leads without those of legal, who submit"
    ]
    alone = roster.model_copy(update={"groups": {**roster.groups, "editors": ("tom",)}})
    assert [problem.value for problem in unreachable_quorums(load_policy(policy_text, "policy.yaml"), alone)] == [
        "a quorum of 2 in the collection everything-else"
    ]
    without = load_policy(policy_text.replace("four_eyes: true", "four_eyes: false"), "policy.yaml")
    assert unreachable_quorums(without, alone) == []
