"""Routes are total, fail closed, and are the same as a slow reading of the rules, row by row, would give."""

from __future__ import annotations

import itertools
import json
from typing import Any

import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from policies.document import AutomaticRule, Classification, Collection, PolicyDocument, Stage, load_policy
from policies.errors import FactsInvalid
from policies.facts import CLEARANCES, FACTS_SCHEMA
from policies.policy_checks import stages_before
from policies.predicates import evaluate
from policies.routing import OVERRIDES_SCHEMA, ROUTES_SCHEMA, gates_of, route_versions, second_look_due
from policies.rule_checks import read_predicate

_PLAIN: dict[str, Any] = {
    **dict.fromkeys(FACTS_SCHEMA),
    "sha256": "aa",
    "key": "campaigns/spring/a.jpg",
    "collection": "spring-campaign",
    "submitter": "agency-x",
    "version": 1,
    "kind": "image",
    "media_type": "image/jpeg",
    "type_mismatch": False,
    "size": 1000,
    "inspection_failed": False,
    "label": "other",
    "score": 0.9,
    "unsafe_score": 0.0,
    "clearance": "cleared",
    "clearance_reasons": [],
    "duplicate_of_published": False,
}
_PRODUCT = {"label": "product photo", "risk": 0.01}


def _facts(*rows: dict[str, Any]) -> pl.DataFrame:
    numbered = [{**_PLAIN, **row, "version_id": number} for number, row in enumerate(rows, start=1)]
    return pl.DataFrame(numbered, schema=FACTS_SCHEMA)


def _gate(stage: str, step: int, quorum: int, reviewers: str) -> dict[str, Any]:
    return {"stage": stage, "step": step, "quorum": quorum, "reviewers": reviewers, "signature": "none"}


BRAND = _gate("brand", 0, 1, "brand")
EDITOR = _gate("editor", 0, 1, "editors")


@pytest.mark.parametrize(
    ("row", "outcome", "rule", "gates"),
    [
        ({}, "review", None, [BRAND]),
        ({"kind": "text"}, "review", None, [EDITOR]),
        ({"kind": "text", "submitter": None}, "review", None, [{**EDITOR, "quorum": 2}]),
        ({"kind": "text", "label": None}, "review", None, [_gate("legal", 0, 2, "legal")]),
        ({"label": "portrait"}, "review", None, [BRAND, _gate("legal", 1, 2, "legal")]),
        ({"clearance": "expiring"}, "review", None, [BRAND, _gate("legal", 1, 2, "legal")]),
        ({**_PRODUCT, "clearance": "unknown"}, "review", None, [BRAND, _gate("legal", 1, 2, "legal")]),
        (_PRODUCT, "automatic", "routine product shots", []),
        ({**_PRODUCT, "risk": 0.03}, "review", None, [BRAND]),
        ({**_PRODUCT, "risk": None}, "review", None, [BRAND]),
        ({**_PRODUCT, "risk": float("nan")}, "review", None, [BRAND]),
        ({"duplicate_of_published": True}, "automatic", "byte copies of published assets", []),
        (
            {"duplicate_of_published": True, "clearance": "expired"},
            "review",
            None,
            [BRAND, _gate("legal", 1, 2, "legal")],
        ),
        ({**_PRODUCT, "type_mismatch": True}, "quarantine", "quarantine_when", []),
        ({"unsafe_score": None}, "quarantine", "quarantine_when", []),
        ({"inspection_failed": True, "size": 2**40}, "quarantine", "inspection_failed", []),
        ({"size": 2**31}, "review", None, [BRAND]),
        ({"size": 2**31 + 1}, "quarantine", "too_large", []),
        ({"kind": "other"}, "quarantine", "kind_not_accepted", []),
    ],
)
def test_routes_of_the_sample_policy(
    policy: PolicyDocument, row: dict[str, Any], outcome: str, rule: str | None, gates: list[dict[str, Any]]
) -> None:
    """What happens to a version is what a person would read out of the policy."""
    (route,) = route_versions(_facts(row), policy).drop("explanation").to_dicts()
    assert route == {"version_id": 1, "outcome": outcome, "rule": rule, "second_look": False, "gates": gates}


def test_no_rows_make_no_routes(policy: PolicyDocument) -> None:
    """An empty batch has the schema of any other."""
    routes = route_versions(_facts().head(0), policy)
    assert routes.schema == pl.Schema(ROUTES_SCHEMA)
    assert routes.is_empty()


def test_explanation_shows_text_result_and_facts(policy: PolicyDocument) -> None:
    """Every predicate is explained by its text, its three-valued result and the values it saw."""
    (route,) = route_versions(_facts({"label": None, "kind": "text"}), policy).to_dicts()
    explained = json.loads(route["explanation"])
    assert explained["findings"] == []
    assert explained["blocked"] == {"clearance": "cleared", "result": False, "gate": "legal"}
    assert explained["stages"]["legal"] == {
        "text": "clearance <> 'cleared' OR label IN ('contract', 'portrait')",
        "result": None,
        "saw": {"clearance": "cleared", "label": None},
    }
    assert explained["automatic"]["routine product shots"]["result"] is None
    assert explained["quarantine_when"]["saw"] == {"type_mismatch": False, "unsafe_score": 0.0}


def test_release_overrides_what_it_names(policy: PolicyDocument) -> None:
    """A released version is routed past the findings that were overridden, held by others, and seen by people."""
    facts = _facts({**_PRODUCT, "type_mismatch": True}, {"type_mismatch": True, "size": 2**40}, _PRODUCT)
    lifted = pl.DataFrame(
        {"version_id": [1, 2, 3], "finding": ["quarantine_when", "too_large", "too_large"]}, schema=OVERRIDES_SCHEMA
    )
    routes = route_versions(facts, policy, lifted)
    assert routes.select("outcome", "rule").rows() == [
        ("review", None),
        ("quarantine", "quarantine_when"),
        ("automatic", "routine product shots"),
    ]
    explained = json.loads(routes["explanation"][0])
    assert (explained["findings"], explained["overridden"]) == (["quarantine_when"], ["quarantine_when"])


def test_second_looks_are_a_reproducible_share(policy: PolicyDocument) -> None:
    """About 5 % of what a rule approves goes to people, the same versions each time, with the gates of the policy."""
    facts = _facts(*({**_PRODUCT, "key": f"campaigns/spring/{number}.jpg"} for number in range(2000)))
    routes = route_versions(facts, policy)
    assert routes.equals(route_versions(facts, policy))
    looked_at = routes.filter("second_look")
    assert 60 < len(looked_at) < 140
    assert looked_at.select("outcome", "rule").unique().rows() == [("review", "routine product shots")]
    assert looked_at["gates"].to_list() == [[BRAND]] * len(looked_at)
    assert routes.filter(~pl.col("second_look"))["outcome"].unique().to_list() == ["automatic"]


def test_rights_gate_does_not_stand_in_for_the_default_stage(policy_text: str) -> None:
    """Who answers for rights has not looked at the content: both gates open, side by side."""
    text = policy_text.replace("clearance <> 'cleared' OR label IN", "label IN")
    routes = route_versions(_facts({"kind": "text", "clearance": "unknown"}), load_policy(text, "policy.yaml"))
    assert routes["gates"].to_list() == [[_gate("legal", 0, 2, "legal"), EDITOR]]


def test_facts_that_break_the_schema_are_refused(policy: PolicyDocument) -> None:
    """A frame of facts with a missing column, a wrong type, a strange value or an impossible NULL is not routed."""
    facts = _facts({})
    for broken, message in [
        (facts.drop("risk"), "lacks risk"),
        (facts.with_columns(size=pl.lit("big")), "fact size has type String, declared is Int64"),
        (facts.with_columns(clearance=pl.lit("clear")), "fact clearance is 'clear'; allowed are conflict"),
        (facts.with_columns(kind=pl.lit(None, pl.String)), "fact kind is NULL in 1 rows"),
    ]:
        with pytest.raises(FactsInvalid, match=message):
            route_versions(broken, policy)


def test_order_goes_through_stages_that_do_not_open(policy: PolicyDocument) -> None:
    """c after b after a: without b, c still waits for a."""
    template = policy.approval.stages[0]
    stages = (
        template.model_copy(update={"name": "c", "after": ("b",)}),
        template.model_copy(update={"name": "b", "after": ("a",)}),
        template.model_copy(update={"name": "a"}),
    )
    ordered = policy.model_copy(update={"approval": policy.approval.model_copy(update={"stages": stages})})
    assert [(gate["stage"], gate["step"]) for gate in gates_of(ordered, {"a", "c"}, strict=False)] == [
        ("a", 0),
        ("c", 1),
    ]
    assert [(gate["stage"], gate["step"]) for gate in gates_of(ordered, {"b", "c"}, strict=False)] == [
        ("b", 0),
        ("c", 1),
    ]


# --- against a slow oracle --------------------------------------------------------------------------------------------

_STAGE_NAMES = ("one", "two", "three")


def _random_policy(policy: PolicyDocument, draw: Any, texts: st.SearchStrategy[str]) -> PolicyDocument:
    """The sample policy with random stages, rules and quarantine; what only `load_policy` checks is not checked."""
    template = policy.approval.stages[0]
    stages: list[Stage] = [
        template.model_copy(
            update={
                "name": name,
                "when": draw(texts),
                "quorum": draw(st.integers(1, 3)),
                "after": tuple(draw(st.sets(st.sampled_from(_STAGE_NAMES[:position])))) if position else (),
            }
        )
        for position, name in enumerate(_STAGE_NAMES)
    ]
    stages.append(template.model_copy(update={"name": "rest", "when": None, "default": True}))
    rules = tuple(
        AutomaticRule.model_construct(
            name=f"rule {number}", when=draw(texts), second_look=draw(st.sampled_from([0.0, 0.5]))
        )
        for number in range(2)
    )
    words = (
        "a",
        "b",
        "image",
        "text",
        "campaigns/spring/x.jpg",
        "campaigns/y",
        "it's",
        "50%",
        "line\nbreak",
        "Ä_ß",
        "",
    )
    approval = {"stages": tuple(draw(st.permutations(stages))), "automatic": rules, "four_eyes": draw(st.booleans())}
    blocking = draw(st.lists(st.sampled_from(CLEARANCES[:-1]), min_size=1, unique=True))
    return policy.model_copy(
        update={
            "approval": policy.approval.model_copy(update=approval),
            "screening": policy.screening.model_copy(update={"quarantine_when": draw(st.none() | texts)}),
            "classification": Classification.model_construct(labels=dict.fromkeys(words, "")),
            "collections": tuple(Collection.model_construct(name=word) for word in words),
            "rights": policy.rights.model_copy(
                update={"gate": draw(st.sampled_from([*_STAGE_NAMES, "rest"])), "block": tuple(blocking)}
            ),
        }
    )


def _slow_route(policy: PolicyDocument, row: dict[str, Any]) -> tuple[str, str | None, bool, set[str]]:
    """Outcome, rule, second look and opened stages of one version, by reading the rules one after the other."""
    screening, rights = policy.screening, policy.rights
    when = screening.quarantine_when
    findings = {
        "inspection_failed": row["inspection_failed"],
        "kind_not_accepted": row["kind"] not in screening.accept,
        "too_large": row["size"] > screening.max_size,
        "quarantine_when": when is not None and evaluate(read_predicate(policy, when), row) is not False,
    }
    blocked = row["clearance"] in rights.block
    for finding, holds in findings.items():
        if holds:
            return "quarantine", finding, False, set()
    rule = next((r for r in policy.approval.automatic if evaluate(read_predicate(policy, r.when), row) is True), None)
    look = False
    if rule is not None and not blocked:
        look = second_look_due(policy.name, rule.name, row["key"], row["sha256"], rule.second_look)
        if not look:
            return "automatic", rule.name, False, set()
    opened = {
        stage.name
        for stage in policy.approval.stages
        if stage.when is not None and evaluate(read_predicate(policy, stage.when), row) is not False
    } or {"rest"}
    return "review", rule.name if look and rule else None, look, opened | ({rights.gate} if blocked else set())


@settings(deadline=None, max_examples=50)
@given(data=st.data())
def test_routing_is_total_and_as_written(
    policy: PolicyDocument,
    predicate_texts: st.SearchStrategy[str],
    fact_rows: st.SearchStrategy[list[dict[str, Any]]],
    data: st.DataObject,
) -> None:
    """For random policies and versions: one outcome each, gates where people decide, and what the slow reading says."""
    tried, rows = _random_policy(policy, data.draw, predicate_texts), data.draw(fact_rows)
    routes = route_versions(pl.DataFrame(rows, schema=FACTS_SCHEMA), tried)
    assert routes.schema == pl.Schema(ROUTES_SCHEMA)
    assert routes["version_id"].to_list() == [row["version_id"] for row in rows]
    quorums = {stage.name: stage.quorum for stage in tried.approval.stages}
    for row, route in zip(rows, routes.to_dicts(), strict=True):
        opened = {gate["stage"]: gate["step"] for gate in route["gates"]}
        assert (route["outcome"], route["rule"], route["second_look"], set(opened)) == _slow_route(tried, row)
        assert (route["outcome"] == "review") == bool(opened)
        assert not (route["outcome"] == "automatic" and row["clearance"] in tried.rights.block)
        strict = tried.approval.four_eyes and row["submitter"] is None
        assert all(gate["quorum"] == max(quorums[gate["stage"]], 2 if strict else 1) for gate in route["gates"])
        assert sorted(set(opened.values())) == list(range(len(set(opened.values()))))
        for first, second in itertools.permutations(opened, 2):
            if first in stages_before(tried, second):
                assert opened[first] < opened[second]
        assert json.loads(route["explanation"])["blocked"]["clearance"] == row["clearance"]
