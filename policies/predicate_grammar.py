"""From the text of a predicate to its tree: SQL as sqlglot reads it, less all that is not in the grammar.

The grammar is closed: a node of sqlglot that is not handled here is refused, whatever it may mean. Types are checked
against the declared facts on the way, so that a tree that comes out can be evaluated on every row of facts.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass
from typing import Any, Final, NoReturn

import polars as pl
import sqlglot
from sqlglot import exp
from sqlglot.errors import ParseError, SqlglotError

from policies.errors import PredicateError, QuantityInvalid
from policies.facts import FACTS, Fact, Use
from policies.predicate_tree import (
    Comparison,
    Contains,
    Every,
    Literal,
    Membership,
    Missing,
    Node,
    Not,
    Operator,
    Pattern,
    Some,
    Truth,
)
from policies.quantities import parse_seconds, parse_size
from policies.validation import nearest_word

_GRAMMAR: Final = (
    "comparisons of a fact with a literal, IN, BETWEEN, LIKE, IS NULL, array_contains, AND, OR, NOT and parentheses"
)
_MAX_DEPTH: Final = 32
_MAX_NODES: Final = 500
_MAX_WILDCARDS: Final = 8
_INT64: Final = 2**63
_CODES: Final = pl.List(pl.String())

_OPERATORS: Final[Mapping[type[exp.Expr], Operator]] = {
    exp.EQ: Operator.EQ,
    exp.NEQ: Operator.NE,
    exp.LT: Operator.LT,
    exp.LTE: Operator.LE,
    exp.GT: Operator.GT,
    exp.GTE: Operator.GE,
}
_UNITS: Final = frozenset(("B", "kB", "KB", "MB", "GB", "TB", "KiB", "MiB", "GiB", "TiB", "s", "min", "h"))
_QUANTITIES: Final[Mapping[str, Callable[[str], float]]] = {"bytes": parse_size, "s": parse_seconds}


@dataclass(frozen=True, slots=True)
class Reading:
    """One text being read: which facts it may name, and the values of facts that a policy limits further."""

    text: str
    use: Use
    values: Mapping[str, Collection[str]]

    def tree(self) -> Node:
        """The tree of the text; raises `PredicateError` for the first thing in it that is not allowed."""
        root = self._parsed()
        nodes = 0
        for node in root.walk():
            nodes += 1
            if node.comments:
                self._refuse(node, "a comment", "the predicate alone", "write comments into the YAML")
        if nodes > _MAX_NODES:
            self._refuse(root, f"a predicate of {nodes} parts", f"at most {_MAX_NODES}", "split the rule")
        return self._node(root, 0)

    def _parsed(self) -> exp.Expr:
        try:
            return sqlglot.parse_one(self.text, into=exp.Condition)
        except ParseError as error:
            details = error.errors[0] if error.errors else {}
            mark = str(details.get("highlight") or "")
            lines = self.text.split("\n")
            line = int(details.get("line") or 1) - 1
            column = int(details.get("col") or 0) - len(mark)
            position = sum(len(before) + 1 for before in lines[:line]) + max(column, 0)
            found = repr(mark) if mark else "nothing that can be read"
            hint = "quantities stand in quotes: '2 GiB'" if mark in _UNITS else None
            self._refuse_at(min(position, len(self.text)), found, _GRAMMAR, hint)
        except SqlglotError:
            self._refuse_at(max(self.text.rfind("'"), 0), "text without an end", "text between two single quotes")
        except RecursionError:
            self._refuse_at(0, "too many parts inside each other", f"at most {_MAX_DEPTH} levels", "split the rule")

    def _node(self, node: exp.Expr, depth: int) -> Node:
        if depth > _MAX_DEPTH:
            self._refuse(node, "too many parts inside each other", f"at most {_MAX_DEPTH} levels", "split the rule")
        if isinstance(node, exp.Paren):
            return self._node(node.this, depth + 1)
        if isinstance(node, exp.And | exp.Or):
            return self._connected(node, depth)
        if isinstance(node, exp.Not):
            return Not(self._node(node.this, depth + 1))
        if type(node) in _OPERATORS:
            return self._comparison(node, _OPERATORS[type(node)])
        if isinstance(node, exp.Column):
            return self._truth(node)
        reader = _READERS.get(type(node))
        if reader is None:
            self._refuse(node, self._excerpt(node), _GRAMMAR, _hint_for(node))
        return reader(self, node)

    def _connected(self, node: exp.Expr, depth: int) -> Node:
        kind = Every if isinstance(node, exp.And) else Some
        operands: list[Node] = []
        for part in node.flatten(unnest=True):
            operand = self._node(part, depth + 1)
            operands.extend(operand.operands if isinstance(operand, kind) else (operand,))
        return kind(tuple(operands))

    def _truth(self, node: exp.Expr) -> Node:
        fact = self._fact(node)
        if fact.dtype != pl.Boolean():
            self._refuse(node, f"the fact {fact.name} alone", f"a comparison, as {fact.name} is not yes or no")
        return Truth(fact.name)

    def _comparison(self, node: exp.Expr, operator: Operator) -> Node:
        self._only(node, "this", "expression")
        left, right = node.this, node.expression
        if isinstance(right, exp.Column) and not isinstance(left, exp.Column):
            left, right, operator = right, left, operator.mirrored
        fact = self._fact(left)
        if fact.dtype == pl.Boolean():
            return self._boolean_comparison(fact, operator, right)
        if operator not in (Operator.EQ, Operator.NE) and not fact.dtype.is_numeric():
            self._refuse(node, f"{fact.name} {operator}", f"=, <>, IN or LIKE, as {fact.name} has no order")
        return Comparison(fact.name, operator, self._literal(fact, right))

    def _boolean_comparison(self, fact: Fact, operator: Operator, right: exp.Expr) -> Node:
        if not isinstance(right, exp.Boolean) or operator not in (Operator.EQ, Operator.NE):
            self._refuse(right, self._excerpt(right), f"{fact.name}, or NOT {fact.name}: it is yes or no")
        holds = bool(right.this) == (operator is Operator.EQ)
        return Truth(fact.name) if holds else Not(Truth(fact.name))

    def _membership(self, node: exp.Expr) -> Node:
        fact = self._fact(node.this)
        listed = node.args.get("expressions")
        self._only(node, "this", "expressions")
        if not listed:
            self._refuse(node, self._excerpt(node), "a list of literals after IN")
        return Membership(fact.name, tuple(dict.fromkeys(self._literal(fact, item) for item in listed)))

    def _between(self, node: exp.Expr) -> Node:
        self._only(node, "this", "low", "high")
        fact = self._fact(node.this)
        if not fact.dtype.is_numeric():
            self._refuse(node, f"BETWEEN on {fact.name}", "BETWEEN on numbers only")
        low, high = self._literal(fact, node.args["low"]), self._literal(fact, node.args["high"])
        return Every((Comparison(fact.name, Operator.GE, low), Comparison(fact.name, Operator.LE, high)))

    def _pattern(self, node: exp.Expr) -> Node:
        self._only(node, "this", "expression", "negate")
        fact = self._fact(node.this)
        pattern = node.expression
        if fact.dtype != pl.String() or fact.values is not None:
            self._refuse(node, f"LIKE on {fact.name}", "LIKE on free text; use = or IN here")
        if not isinstance(pattern, exp.Literal) or not pattern.is_string:
            self._refuse(pattern, self._excerpt(pattern), "a pattern in single quotes")
        if pattern.this.count("%") > _MAX_WILDCARDS:
            self._refuse(pattern, self._excerpt(pattern), f"a pattern with at most {_MAX_WILDCARDS} times %")
        matches = Pattern(fact.name, pattern.this)
        return Not(matches) if node.args.get("negate") else matches

    def _missing(self, node: exp.Expr) -> Node:
        self._only(node, "this", "expression")
        fact = self._fact(node.this)
        if not isinstance(node.expression, exp.Null):
            self._refuse(node, self._excerpt(node), "IS NULL or IS NOT NULL", f"write {fact.name} or NOT {fact.name}")
        if not fact.nullable:
            self._refuse(node, f"{fact.name} IS NULL", f"other questions: {fact.name} is always known")
        return Missing(fact.name)

    def _contains(self, node: exp.Expr) -> Node:
        self._only(node, "this", "expression")
        fact = self._fact(node.this)
        if fact.dtype != _CODES:
            lists = ", ".join(name for name, other in FACTS.items() if other.dtype == _CODES)
            self._refuse(node, f"array_contains on {fact.name}", f"array_contains on a list: {lists}")
        return Contains(fact.name, self._text(fact, node.expression))

    def _fact(self, node: exp.Expr) -> Fact:
        if not isinstance(node, exp.Column):
            self._refuse(node, self._excerpt(node), "the name of a fact", "a fact is compared with a literal")
        name, identifier = node.name, node.this
        usable = [known for known, fact in FACTS.items() if fact.use in (Use.EVERYWHERE, self.use)]
        if not isinstance(identifier, exp.Identifier) or len([arg for arg in node.args.values() if arg]) > 1:
            self._refuse(node, self._excerpt(node), "the plain name of a fact")
        if identifier.quoted:
            self._refuse(node, f'"{name}"', "text in single quotes, or the plain name of a fact")
        if name not in usable:
            known = FACTS.get(name)
            hint = None if known is None else f"{name} is known, but not here: {known.description}"
            self._refuse(node, f"the unknown fact {name!r}", ", ".join(usable), hint, nearest_word(name, usable))
        return FACTS[name]

    def _literal(self, fact: Fact, node: exp.Expr) -> Literal:
        if fact.dtype.is_numeric():
            return self._number(fact, node)
        if fact.dtype == pl.String():
            return self._text(fact, node)
        return self._refuse(
            node, f"a comparison of {fact.name}", "array_contains for lists, the fact alone for yes-or-no"
        )

    def _text(self, fact: Fact, node: exp.Expr) -> str:
        if not isinstance(node, exp.Literal) or not node.is_string:
            self._refuse(node, self._excerpt(node), f"text in single quotes, as {fact.name} is text")
        value: str = node.this
        allowed = fact.values if fact.values is not None else self.values.get(fact.name)
        if allowed is not None and value not in allowed:
            listed = ", ".join(allowed) or "none: the policy declares no such values"
            self._refuse(node, f"{value!r} as {fact.name}", listed, None, nearest_word(value, allowed))
        return value

    def _number(self, fact: Fact, node: exp.Expr) -> int | float:
        sign, digits = (-1, node.this) if isinstance(node, exp.Neg) else (1, node)
        if not isinstance(digits, exp.Literal):
            self._refuse(node, self._excerpt(node), f"a number, as {fact.name} is one")
        value = self._quantity(fact, digits) if digits.is_string else self._parsed_number(digits)
        value *= sign
        if fact.range is not None and not fact.range[0] <= value <= fact.range[1]:
            self._refuse(node, f"{value} as {fact.name}", f"a number from {fact.range[0]:g} to {fact.range[1]:g}")
        if fact.dtype.is_float():
            return float(value)
        if value != int(value) or abs(value) >= _INT64:
            self._refuse(node, f"{value} as {fact.name}", f"a whole number of 64 bits, as {fact.name} is one")
        return int(value)

    def _parsed_number(self, node: exp.Expr) -> int | float:
        try:
            value = float(node.this)
            whole = int(node.this) if node.this.isdecimal() else value
        except ValueError:
            self._refuse(node, repr(node.this), "a number")
        if not math.isfinite(value):
            self._refuse(node, repr(node.this), "a finite number")
        return whole

    def _quantity(self, fact: Fact, node: exp.Expr) -> int | float:
        parse = _QUANTITIES.get(fact.unit or "")
        if parse is None:
            self._refuse(node, repr(node.this), f"a plain number, as {fact.name} is one")
        try:
            return parse(node.this)
        except QuantityInvalid as refusal:
            self._refuse(node, repr(node.this), str(refusal))

    def _only(self, node: exp.Expr, *expected: str) -> None:
        """Refuse modifiers of an operator that the grammar does not have."""
        if any(value for name, value in node.args.items() if name not in expected):
            self._refuse(node, self._excerpt(node), _GRAMMAR)

    def _excerpt(self, node: exp.Expr) -> str:
        return repr(node.sql()[:60])

    def _refuse(
        self, node: exp.Expr, found: str, allowed: str, hint: str | None = None, nearest: str | None = None
    ) -> NoReturn:
        raise PredicateError(self.text, _start_of(node), found, allowed, hint, nearest)

    def _refuse_at(self, position: int, found: str, allowed: str, hint: str | None = None) -> NoReturn:
        raise PredicateError(self.text, position, found, allowed, hint)


_READERS: Final[Mapping[type[exp.Expr], Callable[[Reading, Any], Node]]] = {
    exp.In: Reading._membership,
    exp.Between: Reading._between,
    exp.Like: Reading._pattern,
    exp.Is: Reading._missing,
    exp.ArrayContains: Reading._contains,
}


def _start_of(node: exp.Expr) -> int:
    """Where `node` begins; what sqlglot gives no place, such as TRUE and NULL, begins where what is around it does."""
    starts: list[int] = [part.meta["start"] for part in node.walk() if "start" in part.meta]
    if starts or node.parent is None:
        return min(starts, default=0)
    return _start_of(node.parent)


def _hint_for(node: exp.Expr) -> str | None:
    if isinstance(node, exp.Literal | exp.Boolean | exp.Null):
        return "a condition asks about a fact"
    if isinstance(node, exp.ILike):
        return "LIKE tells small and capital letters apart"
    return None
