"""Predicates say the same for one row, for a batch in polars, and as SQL in DuckDB; unknown included."""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import Any

import duckdb
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from policies.errors import FactsInvalid
from policies.facts import FACTS_SCHEMA, Use
from policies.predicate_tree import (
    Comparison,
    Contains,
    Every,
    Membership,
    Missing,
    Not,
    Operator,
    Pattern,
    Some,
    Truth,
)
from policies.predicates import compile_polars, evaluate, parse_predicate, three_valued


@pytest.mark.parametrize(
    ("text", "root"),
    [
        ("risk <= 0.02", Comparison("risk", Operator.LE, 0.02)),
        ("0.02 > risk", Comparison("risk", Operator.LT, 0.02)),
        ("score = 1", Comparison("score", Operator.EQ, 1.0)),
        ("size > '2 GiB'", Comparison("size", Operator.GT, 2147483648)),
        ("duration < '1.5 min'", Comparison("duration", Operator.LT, 90.0)),
        ("kind != 'image'", Comparison("kind", Operator.NE, "image")),
        ("label IN ('x', 'y', 'x')", Membership("label", ("x", "y"))),
        ("label NOT IN ('x')", Not(Membership("label", ("x",)))),
        ("key LIKE 'a/%'", Pattern("key", "a/%")),
        ("key NOT LIKE 'a/%'", Not(Pattern("key", "a/%"))),
        ("label IS NULL", Missing("label")),
        ("label IS NOT NULL", Not(Missing("label"))),
        ("array_contains(clearance_reasons, 'x')", Contains("clearance_reasons", "x")),
        ("type_mismatch", Truth("type_mismatch")),
        ("type_mismatch = FALSE", Not(Truth("type_mismatch"))),
        ("TRUE <> type_mismatch", Not(Truth("type_mismatch"))),
        (
            "width BETWEEN 1 AND 9",
            Every((Comparison("width", Operator.GE, 1), Comparison("width", Operator.LE, 9))),
        ),
        (
            "type_mismatch AND (kind = 'text' AND label IS NULL) OR pages = -1",
            Some(
                (
                    Every((Truth("type_mismatch"), Comparison("kind", Operator.EQ, "text"), Missing("label"))),
                    Comparison("pages", Operator.EQ, -1),
                )
            ),
        ),
    ],
)
def test_text_becomes_tree(text: str, root: object) -> None:
    """Every form of the grammar becomes its node, and what is the same becomes the same node."""
    assert parse_predicate(text).root == root


def test_names_are_the_facts_asked_about() -> None:
    """A predicate knows which facts it asks about, once each."""
    predicate = parse_predicate("NOT (label = 'x' OR label = 'y') AND risk <= 0.1 AND size > 3")
    assert predicate.names == {"label", "risk", "size"}


@pytest.fixture(scope="module")
def database() -> Iterator[duckdb.DuckDBPyConnection]:
    """An independent judge of what SQL means."""
    with duckdb.connect() as connection:
        yield connection


@settings(deadline=None, max_examples=200)
@given(data=st.data())
def test_three_interpreters_agree(
    predicate_texts: st.SearchStrategy[str],
    fact_rows: st.SearchStrategy[list[dict[str, Any]]],
    database: duckdb.DuckDBPyConnection,
    data: st.DataObject,
) -> None:
    """For random predicates and rows with NULLs, evaluate(), polars and DuckDB give the same three-valued answer."""
    text, rows = data.draw(predicate_texts), data.draw(fact_rows)
    predicate = parse_predicate(text)
    facts = pl.DataFrame(rows, schema=FACTS_SCHEMA)
    expected = [evaluate(predicate, row) for row in rows]
    assert facts.select(holds=three_valued(predicate))["holds"].to_list() == expected
    database.register("facts", facts.to_arrow())
    assert [truth for (truth,) in database.execute(f"SELECT ({text}) FROM facts").fetchall()] == expected
    for unknown in (True, False):
        answers = facts.select(holds=compile_polars(predicate, unknown=unknown))["holds"].to_list()
        assert answers == [unknown if truth is None else truth for truth in expected]


@pytest.mark.parametrize("text", ["risk <= 0.5", "risk > 0.5", "risk = 0.5", "risk IN (0.5)", "NOT risk < 0.5"])
def test_nan_is_unknown(text: str) -> None:
    """A score that is no number decides nothing, neither in a batch nor in a row."""
    predicate = parse_predicate(text)
    assert evaluate(predicate, {"risk": math.nan}) is None
    assert pl.DataFrame({"risk": [math.nan]}).select(three_valued(predicate)).item() is None


def test_nan_is_missing() -> None:
    """IS NULL holds for a score that is no number."""
    predicate = parse_predicate("risk IS NULL")
    assert evaluate(predicate, {"risk": math.nan}) is True
    assert pl.DataFrame({"risk": [math.nan]}).select(three_valued(predicate)).item() is True


def test_null_list_is_unknown() -> None:
    """A list of reasons that is not known contains nothing and lacks nothing."""
    predicate = parse_predicate("array_contains(clearance_reasons, 'x')")
    frame = pl.DataFrame({"clearance_reasons": [None, [], ["x"]]}, schema={"clearance_reasons": pl.List(pl.String)})
    assert frame.select(three_valued(predicate)).to_series().to_list() == [None, False, True]


def test_row_without_the_fact_is_refused() -> None:
    """A row that lacks a fact is a fault of its maker and does not count as unknown."""
    with pytest.raises(FactsInvalid, match=r"the row lacks risk, which 'risk <= 0\.02' asks about"):
        evaluate(parse_predicate("risk <= 0.02"), {"label": "x"})


def test_archive_predicates_know_state_and_age() -> None:
    """Where a version has a state, predicates may ask for it."""
    predicate = parse_predicate("state = 'rejected' AND age >= 30", use=Use.ARCHIVE)
    assert evaluate(predicate, {"state": "rejected", "age": 31.0}) is True
