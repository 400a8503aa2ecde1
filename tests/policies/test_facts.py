"""The declared facts are complete, and a frame that does not keep to them is refused."""

from __future__ import annotations

import polars as pl
import pytest

from policies.errors import FactsInvalid
from policies.facts import ARCHIVE_FACTS_SCHEMA, CLEARANCES, FACTS, FACTS_SCHEMA, KINDS, check_facts
from policies.lifecycle import State


def test_enumerated_facts_have_their_values() -> None:
    """What is limited to a few values says which."""
    assert {name: fact.values for name, fact in FACTS.items() if fact.values is not None} == {
        "kind": KINDS,
        "clearance": CLEARANCES,
        "state": tuple(State),
    }


def test_state_is_known_to_archive_rules_only() -> None:
    """A version that is being screened has no state yet that a predicate could ask for."""
    assert list(ARCHIVE_FACTS_SCHEMA)[-2:] == ["state", "age"]
    assert list(FACTS_SCHEMA) == list(ARCHIVE_FACTS_SCHEMA)[:-2]


def test_untyped_nulls_get_the_declared_type() -> None:
    """A column in which nothing is known yet may come without a type; further columns are dropped."""
    facts = pl.DataFrame({"risk": [None], "label": ["x"], "more": [1]})
    checked = check_facts(facts, {name: FACTS_SCHEMA[name] for name in ("label", "risk")})
    assert checked.schema == pl.Schema({"label": pl.String(), "risk": pl.Float64()})


def test_wrong_type_is_named() -> None:
    """Another type than the declared one is refused with both."""
    with pytest.raises(FactsInvalid, match="fact risk has type String, declared is Float64"):
        check_facts(pl.DataFrame({"risk": ["0.1"]}), {"risk": FACTS_SCHEMA["risk"]})
