"""Predicates: conditions over the facts of a version, for one row or for a whole batch, with the same answer.

A predicate is three-valued: true, false, or unknown where a fact it needs is NULL (NaN counts as NULL). What unknown
means is decided where it is used, always for the safe side: it counts as true in what restricts and as false in what
grants.
"""

from __future__ import annotations

import math
import operator
import re
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass
from functools import cached_property, lru_cache
from typing import Any, Final

import polars as pl

from policies.errors import FactsInvalid
from policies.facts import FACTS, Use
from policies.predicate_grammar import Reading
from policies.predicate_tree import (
    Comparison,
    Contains,
    Every,
    Membership,
    Missing,
    Node,
    Not,
    Operator,
    Pattern,
    Some,
    Truth,
    facts_in,
)

_COMPARE: Final[Mapping[Operator, Callable[[Any, Any], Any]]] = {
    Operator.EQ: operator.eq,
    Operator.NE: operator.ne,
    Operator.LT: operator.lt,
    Operator.LE: operator.le,
    Operator.GT: operator.gt,
    Operator.GE: operator.ge,
}


@dataclass(frozen=True)
class Predicate:
    """A condition that has been read and type-checked: its text and its tree."""

    text: str
    root: Node

    @cached_property
    def names(self) -> frozenset[str]:
        """Names of the facts it asks about."""
        return frozenset(facts_in(self.root))


def parse_predicate(
    text: str,
    *,
    labels: Collection[str] | None = None,
    collections: Collection[str] | None = None,
    use: Use = Use.EVERYWHERE,
) -> Predicate:
    """The predicate in `text`; raises `PredicateError` with the place of what is wrong.

    `labels` and `collections` are those of the policy: a predicate that names another is refused. Without them, any
    name goes. `use` is `Use.ARCHIVE` where `state` and `age` are known.

    >>> parse_predicate("risk <= 0.02").root
    Comparison(fact='risk', operator=<Operator.LE: '<='>, value=0.02)
    """
    known = (("label", labels), ("second_label", labels), ("collection", collections))
    return _read(text, use, tuple((fact, tuple(values)) for fact, values in known if values is not None))


@lru_cache(maxsize=512)
def _read(text: str, use: Use, values: tuple[tuple[str, tuple[str, ...]], ...]) -> Predicate:
    return Predicate(text, Reading(text, use, dict(values)).tree())


def compile_polars(predicate: Predicate, *, unknown: bool) -> pl.Expr:
    """The predicate over a frame of facts, as a Boolean column without NULLs: unknown becomes `unknown`.

    >>> frame = pl.DataFrame({"risk": [0.01, 0.5, None]})
    >>> frame.select(holds=compile_polars(parse_predicate("risk <= 0.02"), unknown=False))["holds"].to_list()
    [True, False, False]
    """
    return three_valued(predicate).fill_null(unknown)


def three_valued(predicate: Predicate) -> pl.Expr:
    """The predicate over a frame of facts, as a Boolean column in which NULL says unknown."""
    return _expression(predicate.root)


def evaluate(predicate: Predicate, row: Mapping[str, object]) -> bool | None:
    """The predicate over one row of facts: true, false, or None for unknown.

    Raises `FactsInvalid` if the row lacks a fact that the predicate names.

    >>> print(evaluate(parse_predicate("risk <= 0.02"), {"risk": None}))
    None
    """
    missing = predicate.names - row.keys()
    if missing:
        raise FactsInvalid(f"the row lacks {', '.join(sorted(missing))}, which {predicate.text!r} asks about")
    return _truth(predicate.root, row)


def _column(fact: str) -> pl.Expr:
    column = pl.col(fact)
    return column.fill_nan(None) if FACTS[fact].dtype.is_float() else column


def _expression(node: Node) -> pl.Expr:
    match node:
        case Comparison(fact, how, value):
            compared: pl.Expr = _COMPARE[how](_column(fact), pl.lit(value, FACTS[fact].dtype))
            return compared
        case Membership(fact, values):
            return _column(fact).is_in(pl.Series(list(values), dtype=FACTS[fact].dtype).implode())
        case Pattern(fact, pattern):
            return _like(pl.col(fact), pattern)
        case Missing(fact):
            return _column(fact).is_null()
        case Contains(fact, value):
            return pl.col(fact).list.contains(pl.lit(value))
        case Truth(fact):
            return pl.col(fact)
        case Not(operand):
            return ~_expression(operand)
        case Every(operands):
            return pl.all_horizontal([_expression(operand) for operand in operands])
        case Some(operands):
            return pl.any_horizontal([_expression(operand) for operand in operands])


def _like(column: pl.Expr, pattern: str) -> pl.Expr:
    """LIKE without a regular expression where it is a prefix, as most are."""
    prefix = pattern.removesuffix("%")
    if not set(prefix) & {"%", "_"}:
        return column.str.starts_with(prefix) if pattern.endswith("%") else column == pl.lit(pattern)
    return column.str.contains(f"(?s)^{_pattern_regex(pattern)}$")


def _pattern_regex(pattern: str) -> str:
    return "".join({"%": ".*", "_": "."}.get(character, re.escape(character)) for character in pattern)


def _truth(node: Node, row: Mapping[str, Any]) -> bool | None:
    match node:
        case Not(operand):
            truth = _truth(operand, row)
            return None if truth is None else not truth
        case Every(operands):
            truths = [_truth(operand, row) for operand in operands]
            return False if False in truths else None if None in truths else True
        case Some(operands):
            truths = [_truth(operand, row) for operand in operands]
            return True if True in truths else None if None in truths else False
        case _:
            value = row[node.fact]
            known = value is not None and not (isinstance(value, float) and math.isnan(value))
            if isinstance(node, Missing):
                return not known
            return atom_holds(node, value) if known else None


def atom_holds(node: Comparison | Membership | Pattern | Contains | Truth, value: Any) -> bool:
    """Whether a node that asks about one known fact holds for its `value`."""
    match node:
        case Comparison(_, how, literal):
            return bool(_COMPARE[how](value, literal))
        case Membership(_, values):
            return value in values
        case Pattern(_, pattern):
            return re.fullmatch(_pattern_regex(pattern), value, re.DOTALL) is not None
        case Contains(_, element):
            return element in value
        case Truth():
            return bool(value)
