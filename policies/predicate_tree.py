"""The tree of a predicate: a closed set of frozen nodes, three-valued like SQL.

Whoever interprets a predicate (polars, Python, a solver) handles exactly the nodes of `Node`, and is told by mypy when
one is missed. BETWEEN, NOT IN, `= TRUE` and comparisons with the literal on the left are no nodes of their own: the
grammar turns them into these, with the same truth for every row, unknown included.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from enum import StrEnum
from typing import Union

Literal = str | int | float
"""What a fact is compared with. Of the fact's own type: text, a whole number, or a finite number."""


class Operator(StrEnum):
    """How a fact is compared with a literal; text knows only the first two."""

    EQ = "="
    NE = "<>"
    LT = "<"
    LE = "<="
    GT = ">"
    GE = ">="

    @property
    def mirrored(self) -> Operator:
        """The operator that says the same with both sides swapped.

        >>> Operator.LE.mirrored
        <Operator.GE: '>='>
        """
        return _MIRRORED.get(self, self)


_MIRRORED = {
    Operator.LT: Operator.GT,
    Operator.LE: Operator.GE,
    Operator.GT: Operator.LT,
    Operator.GE: Operator.LE,
}


@dataclass(frozen=True, slots=True)
class Comparison:
    """`fact operator value`; unknown if the fact is."""

    fact: str
    operator: Operator
    value: Literal


@dataclass(frozen=True, slots=True)
class Membership:
    """The fact is one of `values`, of which there is at least one; unknown if the fact is."""

    fact: str
    values: tuple[Literal, ...]


@dataclass(frozen=True, slots=True)
class Pattern:
    """The whole text matches `pattern`: `%` is any text, `_` one character, all else itself, case included."""

    fact: str
    pattern: str


@dataclass(frozen=True, slots=True)
class Missing:
    """The fact is not known. Never unknown itself."""

    fact: str


@dataclass(frozen=True, slots=True)
class Contains:
    """The list has `value` among its elements; unknown if the list is."""

    fact: str
    value: str


@dataclass(frozen=True, slots=True)
class Truth:
    """The yes-or-no fact is yes; unknown if the fact is."""

    fact: str


@dataclass(frozen=True, slots=True)
class Not:
    """The opposite; unknown stays unknown."""

    operand: Node


@dataclass(frozen=True, slots=True)
class Every:
    """AND: false if any operand is false, else unknown if any is unknown. At least two operands, none an `Every`."""

    operands: tuple[Node, ...]


@dataclass(frozen=True, slots=True)
class Some:
    """OR: true if any operand is true, else unknown if any is unknown. At least two operands, none a `Some`."""

    operands: tuple[Node, ...]


Node = Union[Comparison, Membership, Pattern, Missing, Contains, Truth, Not, Every, Some]  # noqa: UP007 - named above


def facts_in(node: Node) -> Iterator[str]:
    """Names of the facts below `node`, as often as they stand there."""
    if isinstance(node, Every | Some):
        for operand in node.operands:
            yield from facts_in(operand)
    elif isinstance(node, Not):
        yield from facts_in(node.operand)
    else:
        yield node.fact


def conjuncts(node: Node) -> tuple[Node, ...]:
    """What must each hold for `node` to hold: the operands of an AND, else `node` alone."""
    return node.operands if isinstance(node, Every) else (node,)


def written(node: Node) -> str:
    """`node` as the author of a policy could have written it.

    >>> written(Every((Truth("type_mismatch"), Not(Missing("risk")))))
    '(type_mismatch AND NOT risk IS NULL)'
    """
    match node:
        case Every(operands):
            return f"({' AND '.join(map(written, operands))})"
        case Some(operands):
            return f"({' OR '.join(map(written, operands))})"
        case Not(operand):
            return f"NOT {written(operand)}"
        case Comparison(fact, how, value):
            return f"{fact} {how} {value!r}"
        case Membership(fact, values):
            return f"{fact} IN ({', '.join(map(repr, values))})"
        case Pattern(fact, pattern):
            return f"{fact} LIKE {pattern!r}"
        case Missing(fact):
            return f"{fact} IS NULL"
        case Contains(fact, value):
            return f"array_contains({fact}, {value!r})"
        case Truth(fact):
            return fact
