"""A policy file is read whole or refused whole, and every fault says where it stands and what is allowed."""

from __future__ import annotations

import pickle

import pytest

from policies.document import PolicyDocument, collection_for, load_policy, policy_sha256
from policies.errors import PolicyInvalid
from policies.quantities import Duration, Unit


def _problems(text: str) -> list[tuple[int, str, str, str | None]]:
    with pytest.raises(PolicyInvalid) as caught:
        load_policy(text, "policy.yaml")
    assert {problem.file for problem in caught.value.problems} == {"policy.yaml"}
    return [(problem.line, problem.field, problem.value, problem.nearest) for problem in caught.value.problems]


def test_sample_policy_is_read(policy: PolicyDocument) -> None:
    """Every section of a policy arrives with its values in the units that the code works in."""
    assert policy.name == "creative-signoff"
    assert policy.screening.max_size == 2 * 1024**3
    assert policy.collections[0].use[0].territory == ("DE", "AT", "NO")
    brand = policy.approval.stages[0]
    assert brand.deadline.within == Duration(2, Unit.DAY)
    assert brand.deadline.remind == (0.5, 0.9)
    assert [(rung.to, str(rung.within)) for rung in brand.deadline.escalate] == [("brand-leads", "1 day")]
    assert brand.deadline.outcome == "reject"
    assert policy.default_stage.name == "editor"
    assert [rule.second_look for rule in policy.approval.automatic] == [0.05, 0.01]
    assert policy.approval.changes_requested.outcome == "reject"
    assert policy.archive[1].retain == Duration(7, Unit.YEAR)


def test_longest_prefix_wins(policy: PolicyDocument) -> None:
    """A key belongs to the collection with the longest prefix; the rest falls to the one without."""
    assert collection_for(policy, "campaigns/spring/a.jpg").name == "spring-campaign"
    assert collection_for(policy, "campaigns/sprint.jpg").name == "everything-else"
    assert collection_for(policy, "").name == "everything-else"


def test_sha256_is_that_of_the_text() -> None:
    """A policy is pinned by its very text, comments included."""
    assert policy_sha256("") == "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"
    assert policy_sha256("# ä") != policy_sha256("# a")


SHAPE_FAULTS = [
    ("quorum: 1,", "qorum: 1,", (17, "approval.stages[0].qorum", "the unknown field 'qorum'", "quorum")),
    ("quorum: 1,", "quorum: 0,", (17, "approval.stages[0].quorum", "0", None)),
    ("quorum: 1,", "quorum: true,", (17, "approval.stages[0].quorum", "True", None)),
    ("finally: request_changes", "finally: approve", (22, "approval.stages[2].deadline.finally", "'approve'", None)),
    ("finally: request_changes", "finally: rejekt", (22, "approval.stages[2].deadline.finally", "'rejekt'", "reject")),
    ("second_look: 5%", "second_look: 5", (25, "approval.automatic[0].second_look", "5", None)),
    ("max_size: 2 GiB", "max_size: 2 gigs", (9, "screening.max_size", "'2 gigs'", None)),
    ("within: 3 days", "within: 3 months", (20, "approval.stages[1].deadline.within", "'3 months'", None)),
    ("within: 3 days", "within: 0 days", (20, "approval.stages[1].deadline.within", "'0 days'", None)),
    ("name: creative-signoff\n", "", (1, "name", "nothing", None)),
    ("accept: [image,", "accept: [imgae,", (8, "screening.accept[0]", "'imgae'", "image")),
    ("action: publish", "action: publsh", (5, "collections[0].use[0].action", "'publsh'", "publish")),
    ('hours: "09:00-17:30"', 'hours: "9-17"', (2, "calendar.hours", "'9-17'", None)),
    ("block: [conflict,", "block: [cleared,", (30, "rights.block[0]", "'cleared'", "embargoed")),
    ("name: legal", "name: Legal Team", (19, "approval.stages[1].name", "'Legal Team'", None)),
]


@pytest.mark.parametrize(("old", "new", "problem"), SHAPE_FAULTS)
def test_wrong_shapes_are_refused(
    policy_text: str, old: str, new: str, problem: tuple[int, str, str, str | None]
) -> None:
    """A wrong field or value is reported with line, field, value and the nearest right word."""
    assert old in policy_text
    assert _problems(policy_text.replace(old, new, 1)) == [problem]


SENSE_FAULTS = [
    (
        'prefix: ""',
        "prefix: other/",
        (3, "collections", "no collection with the prefix ''", None),
    ),
    ("channel: web", "channel: wbe", (5, "collections[0].use[0].channel", "'wbe'", "web")),
    ("[DE, AT, NO]", "[DE, AT, UK]", (5, "collections[0].use[0].territory[2]", "'UK'", "GB")),
    (
        "default: true",
        "when: \"kind = 'text'\"",
        (16, "approval.stages", "no stage with `default: true`", None),
    ),
    ("when: \"kind = 'image'\"", "default: true", (21, "approval.stages[2].default", "a second default stage", None)),
    (
        "when: \"kind = 'image'\", reviewers",
        "reviewers",
        (17, "approval.stages[0]", "neither `when` nor `default`", None),
    ),
    (
        "default: true",
        "default: true, when: type_mismatch",
        (21, "approval.stages[2].when", "a condition on the default stage", None),
    ),
    ("after: [brand]", "after: [brnad]", (20, "approval.stages[1].after[0]", "the unknown stage 'brnad'", "brand")),
    ("after: [brand]", "after: [legal]", (20, "approval.stages[1].after", "'legal' waiting for itself", None)),
    (
        "remind: [50%, 90%]",
        "remind: [90%, 50%]",
        (18, "approval.stages[0].deadline.remind[1]", "0.5 of the time", None),
    ),
    (
        "deadline: {within: 2 days, finally: reject}",
        "deadline: {within: 2 days, finally: request_changes}",
        (11, "screening.quarantine.deadline.finally", "'request_changes'", "reject"),
    ),
    ("gate: legal", "gate: lega", (30, "rights.gate", "the unknown stage 'lega'", "legal")),
    ("block: [conflict, ", "block: [", (30, "rights.block", "a list without conflict", None)),
    (
        "second_look: 5%",
        "second_look: 0.5%",
        (25, "approval.automatic[0].second_look", "0.5000%", None),
    ),
    (
        "'product photo' AND risk <= 0.02 AND",
        "'product photo' AND",
        (24, "approval.automatic[0].when", "a rule that looks at label without a bound on risk", None),
    ),
    (
        "'product photo' AND risk <= 0.02 AND",
        "'product photo' OR risk <= 0.02 AND",
        (24, "approval.automatic[0].when", "a rule that looks at label without a bound on risk", None),
    ),
    (
        "risk <= 0.02",
        "risk <= 0.9",
        (24, "approval.automatic[0].when", "a rule that looks at label and lets a risk of 0.9 through", None),
    ),
    (
        "duplicate_of_published AND",
        "unsafe_score < 0.1 AND",
        (26, "approval.automatic[1].when", "a rule that looks at unsafe_score without a bound on risk", None),
    ),
    (
        "type_mismatch OR unsafe_score",
        "type_mismatch OR unsafe_scor",
        (
            10,
            "screening.quarantine_when",
            "the unknown fact 'unsafe_scor' at character 18 of 'type_mismatch OR unsafe_scor >= 0.8'",
            "unsafe_score",
        ),
    ),
    (
        "('contract', 'portrait')",
        "('contrat', 'portrait')",
        (
            19,
            "approval.stages[1].when",
            "'contrat' as label at character 37 of \"clearance <> 'cleared' OR label IN ('contrat', 'portrait')\"",
            "contract",
        ),
    ),
    (
        "state = 'rejected'",
        "state = 'rejcted'",
        (33, "archive[0].when", "'rejcted' as state at character 9 of \"state = 'rejcted'\"", "rejected"),
    ),
    (
        "event: rejected",
        "event: quarantined",
        (33, "archive[0].after.event", "'quarantined' before the action 'dispose'", None),
    ),
    (
        "days: 30}, action: dispose",
        "days: 30}, action: dispose, retain: 1 year",
        (33, "archive[0].retain", "retain with dispose", None),
    ),
]


@pytest.mark.parametrize(("old", "new", "problem"), SENSE_FAULTS)
def test_policies_without_sense_are_refused(
    policy_text: str, old: str, new: str, problem: tuple[int, str, str, str | None]
) -> None:
    """A policy that could let something through, wait for ever or never fire is refused, with the place."""
    assert old in policy_text
    assert _problems(policy_text.replace(old, new, 1)) == [problem]


def test_names_stand_once(policy_text: str) -> None:
    """Two collections with one prefix, or two stages with one name, would leave open which is meant."""
    text = policy_text.replace('prefix: ""', "prefix: campaigns/spring/").replace(
        "name: old rejects", "name: cold masters"
    )
    assert [problem[:3] for problem in _problems(text)] == [
        (3, "collections", "no collection with the prefix ''"),
        (6, "collections[1].prefix", "'campaigns/spring/' a second time"),
        (34, "archive[1].name", "'cold masters' a second time"),
    ]


@pytest.mark.parametrize("signature", ["signature: totp, ", ""])
def test_signatures_that_nobody_can_check_are_refused(policy_text: str, signature: str) -> None:
    """A stage that asks for a code, by name or by default, is refused where an installation cannot check codes."""
    text = policy_text.replace("quorum: 1, signature: none,", f"quorum: 1, {signature}", 1)
    with pytest.raises(PolicyInvalid) as raised:
        load_policy(text, "policy.yaml", signatures=("none",))
    (problem,) = raised.value.problems
    assert (problem.line, problem.field) == (17, "approval.stages[0].signature")
    assert problem.value.startswith("'totp'")
    assert load_policy(text, "policy.yaml").approval.stages[0].signature == "totp"


def test_the_quarantine_is_signed_where_the_policy_says_so(policy_text: str) -> None:
    """Not by default: a policy that an earlier release stored means what it meant."""
    assert load_policy(policy_text, "policy.yaml").screening.quarantine.signature == "none"
    signed = policy_text.replace("quarantine: {", "quarantine: {signature: totp, ", 1)
    assert load_policy(signed, "policy.yaml").screening.quarantine.signature == "totp"


def test_all_faults_are_told_at_once(policy_text: str) -> None:
    """Whoever writes a policy sees all that is wrong with it, in the order of the file."""
    text = policy_text.replace("2 GiB", "2 gigs").replace("DE}", "XX}", 1).replace("quorum: 1", "quorum: one")
    assert [line for line, *_ in _problems(text)] == [2, 9, 17]


def test_message_and_pickling(policy_text: str) -> None:
    """The message names file, line, field, value, what is allowed and the nearest word, also in another process."""
    with pytest.raises(PolicyInvalid) as caught:
        load_policy(policy_text.replace("channel: web", "channel: wbe", 1), "policy.yaml")
    assert str(caught.value) == (
        "policy.yaml:5: collections[0].use[0].channel: found 'wbe'; allowed: any, online, offline, web, social, email, "
        "app, print, outdoor, broadcast, retail, events, editorial, internal; did you mean 'web'?"
    )
    assert pickle.loads(pickle.dumps(caught.value)).problems == caught.value.problems  # noqa: S301 - our own bytes


def test_schema_for_editors_is_complete() -> None:
    """The exported JSON Schema knows the fields as they are written, with patterns for quantities."""
    schema = PolicyDocument.model_json_schema(by_alias=True)
    deadline = schema["$defs"]["Deadline"]
    assert list(deadline["properties"]) == ["within", "remind", "escalate", "finally"]
    assert deadline["properties"]["within"]["pattern"].startswith("^([1-9]")
    assert schema["additionalProperties"] is False
