"""A predicate says the same to the solver as to the engine: true, false or unknown, for every version there can be."""

from __future__ import annotations

from typing import Any

import pytest
import z3
from hypothesis import Phase, given, settings
from hypothesis import strategies as st

from policies.document import PolicyDocument, collection_for, load_policy
from policies.facts import FACTS_SCHEMA
from policies.predicates import Predicate, evaluate, parse_predicate
from policies.version_space import Version, VersionSpace
from tests.policies.policy_catalogue import SOUND

LABELS = ("a", "b", "image", "text", "campaigns/spring/x.jpg", "campaigns/y", "it's", "50%", "line\nbreak", "Ä_ß", "")


def _policy() -> PolicyDocument:
    """The catalogue's policy with whatever labels the generated predicates name."""
    policy = load_policy(SOUND, "policy.yaml")
    labels = policy.classification.model_copy(update={"labels": dict.fromkeys(LABELS, "x")})
    return policy.model_copy(update={"classification": labels})


POLICY = _policy()


def _conditions(version: Version, predicate: Predicate) -> dict[bool | None, Any]:
    yes, no = version.is_true(predicate), version.is_false(predicate)
    return {True: yes, False: no, None: z3.Not(z3.Or(yes, no))}


@pytest.fixture(scope="session")
def placed_rows(fact_rows: st.SearchStrategy[list[dict[str, Any]]]) -> st.SearchStrategy[list[dict[str, Any]]]:
    """Rows of facts in which key, collection and submitter go together, as they do in a ledger."""

    def placed(row: dict[str, Any]) -> dict[str, Any]:
        collection = collection_for(POLICY, row["key"])
        return {**row, "collection": collection.name, "submitter": collection.submitter}

    return fact_rows.map(lambda rows: [placed(row) for row in rows])


@settings(max_examples=120, deadline=None, phases=[Phase.explicit, Phase.reuse, Phase.generate])
@given(st.data())
def test_the_solver_reads_predicates_as_the_engine_does(
    predicate_texts: st.SearchStrategy[str], placed_rows: st.SearchStrategy[list[dict[str, Any]]], data: st.DataObject
) -> None:
    """Each answer that the solver finds possible is given by the engine for the version it names; the engine gives no
    other."""
    predicate = parse_predicate(data.draw(predicate_texts))
    version = VersionSpace(POLICY, [predicate]).version()
    possible = set()
    for answer, condition in _conditions(version, predicate).items():
        solver = z3.Solver()
        solver.add(version.axioms(), condition)
        if solver.check() == z3.sat:
            possible.add(answer)
            row = version.row(solver.model())
            assert evaluate(predicate, row) is answer
            assert collection_for(POLICY, row["key"]).name == row["collection"]
            assert FACTS_SCHEMA.keys() <= row.keys()
    assert {evaluate(predicate, row) for row in data.draw(placed_rows)} <= possible


@pytest.mark.parametrize(
    ("text", "answers"),
    [
        ("score > 0.5 AND score < 0.5", {False, None}),
        ("score >= 0.5 OR score < 0.5", {True, None}),
        ("score BETWEEN 0 AND 1", {True, None}),
        ("size >= 0", {True}),
        ("key LIKE 'spring/%' AND collection = 'rest'", {False}),
        ("collection = 'rest' AND submitter IS NOT NULL", {False}),
        ("collection = 'spring' AND submitter = 'agency'", {True, False}),
        ("key LIKE '%a' AND key LIKE '%b'", {False}),
        ("key LIKE 'a_' AND key LIKE '_b' AND key <> 'ab'", {False}),
        ("media_type LIKE 'image/%' OR NOT media_type LIKE 'image/%'", {True}),
        ("language = 'de' OR language <> 'de'", {True, None}),
        ("array_contains(clearance_reasons, 'x') AND array_contains(clearance_reasons, 'y')", {True, False}),
    ],
)
def test_what_can_be_and_what_cannot(text: str, answers: set[bool | None]) -> None:
    """Ranges, patterns, and what goes together are known exactly."""
    predicate = parse_predicate(text)
    version = VersionSpace(POLICY, [predicate]).version()
    found = set()
    for answer, condition in _conditions(version, predicate).items():
        solver = z3.Solver()
        solver.add(version.axioms(), condition)
        if solver.check() == z3.sat:
            found.add(answer)
    assert found == answers
