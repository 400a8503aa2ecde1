"""Every planted fault is found under its claim with a story that the engine confirms; sound policies are proved."""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime, timedelta
from functools import cache
from typing import Any

import polars as pl
import pytest
from hypothesis import Phase, given, settings
from hypothesis import strategies as st

from policies.approval_claims import unapproved_path
from policies.archive import ArchiveRule, due_for_archive
from policies.claims import Claim, CounterExample
from policies.document import ArchiveRule as ArchiveRuleOfPolicy
from policies.document import PolicyDocument, load_policy, read_policy
from policies.errors import PolicyInvalid, RosterInvalid
from policies.example_version import example_facts
from policies.facts import ARCHIVE_FACTS_SCHEMA, CLEARANCES, FACTS_SCHEMA, KINDS, Use
from policies.lifecycle import TRANSITIONS, Action, State, Transition
from policies.policy_proof import prove_policy, prove_text, refuted
from policies.predicates import compile_polars, evaluate
from policies.roster import RosterDocument, load_roster
from policies.routing import route_versions
from policies.rule_checks import CLASSIFIER_FACTS, read_predicate
from tests.policies.policy_catalogue import DEFECTS, ROSTER, SOUND, VARIATIONS, Change

NOW = datetime(2030, 1, 1, tzinfo=UTC)


@pytest.mark.parametrize("fault", DEFECTS, ids=lambda fault: fault.name)
def test_planted_faults_are_found(fault: Change) -> None:
    """One fault breaks one claim, and its story says what would happen."""
    policy, roster = fault.texts
    broken = refuted(prove_text(policy, "policy.yaml", roster, "roster.yaml"))
    assert [str(one.claim) for one in broken] == [fault.claim]
    (story, *_) = broken[0].counterexamples
    assert fault.story in " ".join(story.steps)
    assert story.line > 1
    document, _ = read_policy(policy, "policy.yaml")
    if story.row and document is not None:
        _confirm(document, broken[0].claim, story)
        if "state" not in story.row:  # what a story tells is enough to have the same version again
            assert {**example_facts(document, story.facts), "key": None} == {**story.row, "key": None}


@pytest.mark.parametrize("sound", VARIATIONS, ids=lambda sound: sound.name)
def test_sound_policies_are_proved(sound: Change) -> None:
    """Nothing is said against a policy that is in order, and every claim was asked."""
    policy, roster = sound.texts
    results = prove_text(policy, "policy.yaml", roster, "roster.yaml")
    assert [one.counterexamples for one in results if not one.proved] == []
    assert [one.claim for one in results] == list(Claim)
    load_policy(policy, "policy.yaml")
    load_roster(roster, "roster.yaml")


def test_without_a_roster_nothing_is_said_of_people() -> None:
    """Who is in the groups is not known: the claim is neither proved nor refuted."""
    results = {one.claim: one for one in prove_text(SOUND, "policy.yaml")}
    assert (results[Claim.PEOPLE].proved, results[Claim.PEOPLE].because) == (
        None,
        "no roster was given: who is in the groups is not known",
    )
    assert all(one.proved for one in results.values() if one.claim is not Claim.PEOPLE)


def test_mistakes_in_writing_answer_no_claim() -> None:
    """A misspelt field, an unknown handle and an unreadable predicate are refused as such."""
    for text in (SOUND.replace("max_size", "max_sise"), SOUND.replace("kind = 'image'", "kind = 'picture'"), "name: ["):
        with pytest.raises(PolicyInvalid):
            prove_text(text, "policy.yaml", ROSTER)
    with pytest.raises(RosterInvalid):
        prove_text(SOUND, "policy.yaml", ROSTER.replace("[fay, gus]", "[fay, guss]"), "roster.yaml")


def test_the_lifecycle_has_no_way_around_approval() -> None:
    """Not even by way of the archive; and a way that somebody opens is found."""
    assert unapproved_path(TRANSITIONS) is None
    opened = (*TRANSITIONS, Transition("quarantined", Action.PUBLISH, State.PUBLISHED, "none"))
    assert unapproved_path(opened) == ("submitted", "quarantined", "published")


# --- stories, replayed in the engine ----------------------------------------------------------------------------------


def _confirm(policy: PolicyDocument, claim: Claim, story: CounterExample) -> None:
    """The version of a story meets with the engine what the story says."""
    if claim is Claim.ARCHIVE:
        _confirm_archiving(policy, story)
        return
    if "state" in story.row:
        return  # overtaken archive rules are held against the engine further below
    rule = story.subject.removeprefix("the automatic rule “").removesuffix("”")
    if claim is Claim.ROUTE:
        whens = [stage.when for stage in policy.approval.stages if stage.when]
        assert all(evaluate(read_predicate(policy, when), story.row) is False for when in whens)
        return
    (route,) = route_versions(pl.DataFrame([story.row], schema=FACTS_SCHEMA), policy).to_dicts()
    if claim in (Claim.APPROVAL, Claim.AUTOMATIC) and "automatic rule" in story.subject:
        assert route["rule"] == rule
    elif claim is Claim.AUTOMATIC:
        assert (route["outcome"], story.row["clearance"] in policy.rights.block) == ("review", False)
    elif claim is Claim.PEOPLE:
        stage = story.subject.removeprefix("stage ").split(" in ")[0]
        assert stage in [gate["stage"] for gate in route["gates"]]
    elif story.subject.startswith("stage "):
        when = next(s.when for s in policy.approval.stages if s.name == story.subject.removeprefix("stage "))
        assert evaluate(read_predicate(policy, str(when)), story.row) is None
    else:
        when = next(one.when for one in policy.approval.automatic if one.name == rule)
        assert evaluate(read_predicate(policy, when), story.row) is True
        assert route["rule"] != rule


def _confirm_archiving(policy: PolicyDocument, story: CounterExample) -> None:
    """Both rules want the version at some time, and only one of them gets it."""
    named = [one for one in _archive_rules(policy) if f"“{one.name}”" in story.subject]
    row = {**story.row, "state_since": NOW - timedelta(days=40_000), "age": 40_000.0}
    schema = {**ARCHIVE_FACTS_SCHEMA, "state_since": pl.Datetime("us", "UTC")}
    frame = pl.DataFrame([row], schema=schema)
    wanting = [one for one in named if not due_for_archive(frame, [one], NOW).is_empty()]
    if len({one.event for one in named}) == 1:
        assert wanting == named
        assert len(due_for_archive(frame, named, NOW)) == 1
    else:
        (destroys,) = [one for one in named if one.action is Action.DISPOSE]
        kept = frame.with_columns(retain_until_at=pl.lit(NOW + timedelta(days=1), dtype=pl.Datetime("us", "UTC")))
        assert wanting == [destroys]
        assert due_for_archive(kept, named, NOW).is_empty()


def _archive_rules(policy: PolicyDocument) -> list[ArchiveRule]:
    return [
        ArchiveRule(
            one.name,
            compile_polars(read_predicate(policy, one.when, Use.ARCHIVE), unknown=False),
            State(one.after.event),
            one.after.days,
            Action(one.action),
            one.storage_class,
            one.retain,
        )
        for one in policy.archive
    ]


# --- generated policies against the engine on every version of a small world ------------------------------------------

_WORLD: dict[str, tuple[Any, ...]] = {
    "kind": KINDS,
    "clearance": CLEARANCES,
    "label": (None, "product", "other", "portrait"),
    "risk": (None, 0.0, 0.02, 0.3, 0.5, 0.8),
    "duplicate_of_published": (False, True),
    "size": (0, 1000, 3000, 5000, 6000),
}
_ATOMS = (
    *(f"kind = '{kind}'" for kind in KINDS[:3]),
    "kind <> 'image'",
    *(f"clearance = '{status}'" for status in ("cleared", "unknown", "conflict")),
    "clearance IN ('cleared', 'expiring')",
    "label = 'product'",
    "label IN ('product', 'other')",
    "label IS NULL",
    "risk <= 0.02",
    "risk > 0.5",
    "risk BETWEEN 0.02 AND 0.5",
    "risk IS NOT NULL",
    "duplicate_of_published",
    "size < 1000",
    "size >= 5000",
    "size <= 5000",
)
_CONDITIONS = st.recursive(
    st.sampled_from(_ATOMS),
    lambda inner: (
        st.tuples(inner, st.sampled_from(["AND", "OR"]), inner).map(lambda p: f"({' '.join(p)})")
        | inner.map("NOT ({})".format)
    ),
    max_leaves=4,
)
_BLOCKS = st.sampled_from([["conflict", "expired"], ["conflict", "expired", "unknown"], list(CLEARANCES[:5])])


@cache
def _small_world() -> pl.DataFrame:
    """Every version that the atoms above can tell apart."""
    plain = example_facts(load_policy(SOUND, "policy.yaml"), {})
    rows = (dict(zip(_WORLD, values, strict=True)) for values in itertools.product(*_WORLD.values()))
    numbered = ({**plain, **row, "version_id": number} for number, row in enumerate(rows))
    return pl.DataFrame(list(numbered), schema=FACTS_SCHEMA)


@settings(max_examples=40, deadline=None, phases=[Phase.explicit, Phase.reuse, Phase.generate])
@given(
    st.tuples(_CONDITIONS, _CONDITIONS),
    st.tuples(_CONDITIONS, _CONDITIONS, _CONDITIONS),
    st.none() | _CONDITIONS,
    _BLOCKS,
)
def test_generated_policies_agree_with_the_engine(
    whens: Sequence[str], rules: Sequence[str], quarantine: str | None, block: list[str]
) -> None:
    """What is proved is so for every version of a small world, and what is refuted is not."""
    policy = _generated(whens, rules, quarantine, block)
    found = {one.claim: {story.field for story in one.counterexamples} for one in prove_policy(policy, None)}
    expected = dict(_by_brute_force(policy, _small_world()))
    assert {claim: found[claim] for claim in expected} == expected


def _generated(
    whens: Sequence[str], rules: Sequence[str], quarantine: str | None, block: Sequence[str]
) -> PolicyDocument:
    policy = load_policy(SOUND, "policy.yaml")
    brand, legal, editor = policy.approval.stages
    approval = policy.approval.model_copy(
        update={
            "stages": (
                brand.model_copy(update={"when": whens[0]}),
                legal.model_copy(update={"when": whens[1]}),
                editor,
            ),
            "automatic": tuple(
                policy.approval.automatic[1].model_copy(update={"name": f"rule {number}", "when": rule})
                for number, rule in enumerate(rules)
            ),
        }
    )
    return policy.model_copy(
        update={
            "approval": approval,
            "screening": policy.screening.model_copy(update={"quarantine_when": quarantine}),
            "rights": policy.rights.model_copy(update={"block": tuple(block)}),
        }
    )


def _by_brute_force(policy: PolicyDocument, world: pl.DataFrame) -> Iterator[tuple[Claim, set[str]]]:
    """Claim → fields at fault, by asking the engine about every version there is."""
    routes = route_versions(world, policy)
    let_in = routes["outcome"] != "quarantine"
    held = world.select(
        **{
            one.name: compile_polars(read_predicate(policy, one.when), unknown=False)
            for one in policy.approval.automatic
        },
        **{
            stage.name: compile_polars(read_predicate(policy, stage.when), unknown=False)
            for stage in policy.approval.stages
            if stage.when
        },
    )
    blocked = world["clearance"].is_in(list(policy.rights.block))
    firing = let_in & ~blocked
    taken = set(routes.filter(let_in)["rule"].drop_nulls())
    everything_is_quarantined = not let_in.any()
    idle = {f"approval.stages[{place}].when" for place, name in enumerate(("brand", "legal")) if not held[name].any()}
    wrong: set[str] = set()
    blind: set[str] = set()
    unbounded = world["risk"].is_null() | (world["risk"] > 0.5)
    for place, rule in enumerate(policy.approval.automatic):
        holds, field = held[rule.name], f"approval.automatic[{place}].when"
        never_free = not (holds & ~blocked).any()
        if rule.name not in taken and (never_free or not everything_is_quarantined):
            idle.add(field)
        not_good = ~world["clearance"].is_in(["cleared", "expiring"])
        names = read_predicate(policy, rule.when).names
        trusting = (holds & firing & unbounded) & _differs(world, holds) if names & CLASSIFIER_FACTS else holds & False
        if trusting.any() or (holds & firing & not_good).any():
            wrong.add(field)
        by_clearance = world.select("clearance", held=holds, let_in=let_in).filter("let_in")
        sure = by_clearance.group_by("clearance").agg(pl.col("held").all()).filter("held")["clearance"]
        if not sure.filter(~sure.is_in(list(policy.rights.block))).is_empty():
            blind.add(field)
    yield Claim.ROUTE, {"screening.quarantine_when"} if everything_is_quarantined else set()
    yield Claim.AUTOMATIC, wrong
    yield Claim.APPROVAL, blind
    if policy.screening.quarantine_when is not None:
        when = compile_polars(read_predicate(policy, policy.screening.quarantine_when), unknown=False)
        accepted = world["kind"].is_in(list(policy.screening.accept))
        if not (world.select(when=when)["when"] & accepted).any():
            idle.add("screening.quarantine_when")
    yield Claim.RULES, idle


def _differs(world: pl.DataFrame, holds: pl.Series) -> pl.Series:
    """Whether another label, all else equal, would have been answered otherwise."""
    others = [name for name in _WORLD if name != "label"]
    return (
        world.select(others)
        .with_columns(holds=holds)
        .select(found=pl.col("holds").n_unique().over(others) > 1)["found"]
    )


# --- generated rosters against every absence --------------------------------------------------------------------------

_HANDLES = ("ada", "ben", "cem", "dia", "eli")
_GROUPS = ("brand", "leads", "legal", "editors", "operations", "agency")
_MEMBERS = st.sets(st.sampled_from(_HANDLES), min_size=1, max_size=4).map(sorted)


@settings(max_examples=40, deadline=None)
@given(
    st.fixed_dictionaries(dict.fromkeys(_GROUPS, _MEMBERS)),
    st.none() | st.tuples(st.sampled_from(_HANDLES), st.sampled_from(_HANDLES)).filter(lambda pair: pair[0] != pair[1]),
)
def test_generated_rosters_agree_with_every_absence(
    groups: dict[str, list[str]], delegation: tuple[str, str] | None
) -> None:
    """A stage has enough people exactly if it does when each person in turn is away."""
    policy = load_policy(SOUND, "policy.yaml")
    roster = _roster(groups, delegation)
    (result,) = prove_policy(policy, roster, [Claim.PEOPLE])
    found = {one.field for one in result.counterexamples if one.field.startswith("approval")}
    assert found == {
        f"approval.stages[{place}].quorum"
        for place in range(len(policy.approval.stages))
        if _falls_short(policy, place, groups, delegation)
    }


def _roster(groups: dict[str, list[str]], delegation: tuple[str, str] | None) -> RosterDocument:
    people = [{"handle": handle, "name": handle} for handle in _HANDLES]
    delegations = []
    if delegation:
        principal, delegate = delegation
        times = {"from": NOW, "until": NOW + timedelta(days=1)}
        delegations = [{"principal": principal, "delegate": delegate, **times}]
    return RosterDocument.model_validate({"people": people, "groups": groups, "delegations": delegations})


def _falls_short(
    policy: PolicyDocument, place: int, groups: dict[str, list[str]], delegation: tuple[str, str] | None
) -> bool:
    stage = policy.approval.stages[place]
    for collection in policy.collections:
        submitters = set(groups[collection.submitter]) if collection.submitter else set()
        quorum = stage.quorum if collection.submitter else max(2, stage.quorum)
        asked = set(groups[stage.reviewers]) - submitters
        if len(asked) < quorum:
            asked |= set(groups[collection.owner]) - submitters
        for rung in stage.deadline.escalate:
            asked |= set(groups[rung.to]) - submitters
        for handed in {None, delegation}:
            for away in (None, *_HANDLES):
                gone = {away, handed[0] if handed else None}
                acting = {person for person in asked if person not in gone}
                if handed and handed[0] in asked and handed[1] not in gone | submitters:
                    acting.add(handed[1])
                if len(acting) < quorum:
                    return True
    return False


# --- generated archive rules against a store that is swept every night ------------------------------------------------

_ARCHIVE_WHENS = ("kind = 'image'", "kind <> 'image'", "size > 2000", "kind = 'text' AND size > 2000", "size >= 0")
_DAYS = (0, 5, 10, 25)
_NIGHTS = sorted({days + kept for days in (*_DAYS, 50) for kept in (0, 7, 21)})
"""Nights at which anything can become due; nothing changes in the others."""
_RETAINS = st.none() | st.sampled_from(["1 week", "3 weeks"])


@st.composite
def _archive_rule(draw: st.DrawFn) -> dict[str, Any]:
    action = draw(st.sampled_from(["archive", "dispose"]))
    event = draw(st.sampled_from(["rejected", "archived"] if action == "dispose" else ["rejected"]))
    rule = {
        "when": draw(st.sampled_from(_ARCHIVE_WHENS)),
        "after": {"event": event, "days": draw(st.sampled_from(_DAYS))},
        "action": action,
    }
    return rule | ({"retain": draw(_RETAINS)} if action == "archive" else {})


@settings(max_examples=40, deadline=None, phases=[Phase.explicit, Phase.reuse, Phase.generate])
@given(st.lists(_archive_rule(), min_size=1, max_size=3))
def test_generated_archive_rules_agree_with_nightly_sweeps(rules: list[dict[str, Any]]) -> None:
    """A rule is idle exactly if it does nothing in many nights; rules that contradict each other meet one version."""
    policy = load_policy(SOUND, "policy.yaml").model_copy(
        update={
            "archive": tuple(
                ArchiveRuleOfPolicy.model_validate({"name": f"rule {place}", **rule})
                for place, rule in enumerate(rules)
            )
        }
    )
    found = {one.claim: one.counterexamples for one in prove_policy(policy, None, [Claim.RULES, Claim.ARCHIVE])}
    acted, wanted = _swept(policy)
    idle = {f"archive[{place}].when" for place in range(len(rules)) if f"rule {place}" not in acted}
    claimed = {one.field for one in found[Claim.RULES]}
    assert claimed <= idle
    if not any(rule.get("retain") for rule in rules):
        assert claimed == idle
    together = {
        frozenset((one.name, other.name))
        for one, other in itertools.combinations(policy.archive, 2)
        if {one.action, other.action} == {"archive", "dispose"} and one.after.event == other.after.event
        if wanted[one.name] & wanted[other.name]
    }
    told = {
        frozenset(one.subject.removeprefix("the archive rules “").removesuffix("”").split("” and “"))
        for one in found[Claim.ARCHIVE]
        if policy.archive[int(one.field.split("[")[1][0])].after.event == "rejected"
    }
    assert told == together


def _swept(policy: PolicyDocument) -> tuple[set[str], dict[str, set[int]]]:
    """Rules that did something to one of a few versions in many nights, and the versions that each would ever want."""
    plain = example_facts(policy, {})
    versions = [
        {**plain, "version_id": number, "kind": kind, "size": size, "state": state, "state_since": NOW}
        for number, (kind, size, state) in enumerate(
            itertools.product(("image", "text", "video"), (1000, 3000), ("rejected", "archived"))
        )
    ]
    rules = _archive_rules(policy)
    schema = {**FACTS_SCHEMA, "state": pl.String(), "state_since": pl.Datetime("us", "UTC")}
    late = NOW + timedelta(days=400)
    everything = pl.DataFrame(versions, schema=schema)
    wanted = {rule.name: set(due_for_archive(everything, [rule], late)["version_id"]) for rule in rules}
    acted: set[str] = set()
    for night in _NIGHTS:
        frame = pl.DataFrame(versions, schema=schema)
        at = NOW + timedelta(days=night, hours=1)
        for row in due_for_archive(frame, rules, at).iter_rows(named=True):
            acted.add(row["rule"])
            version = next(one for one in versions if one["version_id"] == row["version_id"])
            version.update(state="disposed" if row["action"] == "dispose" else "put away", state_since=at)
    return acted, wanted
