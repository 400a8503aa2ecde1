"""Every version that a policy could ever meet, as a space that a solver searches.

A version is one variable a fact, and for a fact that may be NULL a second one that says whether it is known. Numbers
are numbers, within the range that the schema declares. Text that is limited to some values is one of them; free text
is one of the classes of `policies.text_classes`, so that equality and LIKE are exact and nothing is lost. Key,
collection and submitter go together as `policies.document.collection_for` has it.

A predicate becomes two conditions: when it is true, and when it is false. Where neither holds, it is unknown.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from fractions import Fraction
from typing import TYPE_CHECKING, Any, Final

import polars as pl
import z3

from policies.example_version import ordinary_facts
from policies.facts import FACTS, Fact, Use
from policies.lifecycle import State
from policies.plain_numbers import plain_number
from policies.predicate_tree import Comparison, Contains, Every, Membership, Missing, Node, Not, Pattern, Some, Truth
from policies.predicates import Predicate, atom_holds
from policies.text_classes import Shape, literal_shape, pattern_shape, prefix_shape, sample_texts

if TYPE_CHECKING:
    from policies.document import PolicyDocument

Condition = Any
"""A Boolean of the solver."""

_ASKED: Final = tuple(fact for fact in FACTS.values() if fact.use is not Use.NOWHERE)
_COMPARE: Final[Mapping[str, Callable[[Any, Any], Condition]]] = {
    "=": lambda a, b: a == b,
    "<>": lambda a, b: a != b,
    "<": lambda a, b: a < b,
    "<=": lambda a, b: a <= b,
    ">": lambda a, b: a > b,
    ">=": lambda a, b: a >= b,
}
_LARGEST: Final = 2**63 - 1
_CODES: Final = pl.List(pl.String())


class VersionSpace:
    """The space for one policy and the predicates that are asked about its versions."""

    def __init__(self, policy: PolicyDocument, predicates: Iterable[Predicate]) -> None:
        """Raises `PolicyTooWide` if the predicates tell too many texts apart."""
        self.policy = policy
        self.ordinary = {**ordinary_facts(policy), "state": str(State.SUBMITTED), "age": 0.0}
        self.atoms: dict[str, list[Any]] = {}
        for predicate in predicates:
            for atom in _atoms(predicate.root):
                self.atoms.setdefault(atom.fact, []).append(atom)
        self.texts = {fact.name: self._texts(fact) for fact in _ASKED if fact.dtype == pl.String()}

    def version(self, mark: str = "") -> Version:
        """A version whose facts are free; `mark` tells several apart."""
        return Version(self, mark)

    def codes(self, fact: str) -> tuple[str, ...]:
        """Elements of a list that anything asks about."""
        return tuple(dict.fromkeys(atom.value for atom in self.atoms.get(fact, ()) if isinstance(atom, Contains)))

    def _texts(self, fact: Fact) -> tuple[str, ...]:
        if fact.values is not None:
            return tuple(map(str, fact.values))
        if fact.name in ("label", "second_label"):
            return tuple(self.policy.classification.labels)
        if fact.name == "collection":
            return tuple(one.name for one in self.policy.collections)
        if fact.name == "submitter":
            return tuple(dict.fromkeys(one.submitter for one in self.policy.collections if one.submitter))
        shapes = list(_shapes(self.atoms.get(fact.name, ())))
        if fact.name == "key":
            shapes += [prefix_shape(one.prefix) for one in self.policy.collections]
            samples = sample_texts(shapes, self.ordinary["key"])
            placed = tuple(one for one in samples if self.collection_of(one) is not None)
            return placed or samples
        return sample_texts(shapes, self.ordinary[fact.name])

    def collection_of(self, key: str) -> str | None:
        """Name of the collection that `key` falls into; None where the policy has none for it."""
        fitting = [one for one in self.policy.collections if key.startswith(one.prefix)]
        return max(fitting, key=lambda one: len(one.prefix)).name if fitting else None


class Version:
    """One version of a space: a variable for each fact."""

    def __init__(self, space: VersionSpace, mark: str) -> None:
        self.space = space
        self._values: dict[str, Any] = {}
        self._known: dict[str, Condition] = {}
        self._truths: dict[Node, tuple[Condition, Condition]] = {}
        for fact in _ASKED:
            name = f"{fact.name}{mark}"
            self._values[fact.name] = _variable(fact, name, space)
            self._known[fact.name] = z3.Bool(f"{name}?") if fact.nullable else z3.BoolVal(True)

    def is_true(self, predicate: Predicate) -> Condition:
        """That `predicate` holds."""
        return self._truth(predicate.root)[0]

    def is_false(self, predicate: Predicate) -> Condition:
        """That `predicate` does not hold, and not for want of knowledge."""
        return self._truth(predicate.root)[1]

    def may_be_true(self, predicate: Predicate) -> Condition:
        """That `predicate` holds, or cannot be known: how what restricts is read."""
        return z3.Not(self.is_false(predicate))

    def known(self, fact: str) -> Condition:
        """That `fact` is not NULL."""
        return self._known[fact]

    def value(self, fact: str) -> Any:
        """The variable of a number or a yes-or-no fact."""
        return self._values[fact]

    def is_one_of(self, fact: str, values: Iterable[str]) -> Condition:
        """That a fact which is text, and known, is one of `values`."""
        wanted = set(values)
        places = [place for place, text in enumerate(self.space.texts[fact]) if text in wanted]
        return z3.And(self._known[fact], z3.Or([self._values[fact] == place for place in places]))

    def same(self, other: Version, facts: Iterable[str]) -> Condition:
        """That both versions agree in `facts`."""
        parts = []
        for name in facts:
            parts.append(self._known[name] == other._known[name])
            mine, others = self._values[name], other._values[name]
            pairs = [(mine[code], others[code]) for code in mine] if isinstance(mine, dict) else [(mine, others)]
            parts += [one == another for one, another in pairs]
        return z3.And(parts)

    def axioms(self) -> Condition:
        """What holds of every version there can be."""
        return z3.And([*(self._in_range(fact) for fact in _ASKED), *self._placed()])

    def variables(self, facts: Iterable[str]) -> list[Any]:
        """The solver's variables for `facts`, to quantify over."""
        found: list[Any] = []
        for name in facts:
            value = self._values[name]
            found += list(value.values()) if isinstance(value, dict) else [value]
            if FACTS[name].nullable:
                found.append(self._known[name])
        return found

    def in_range(self, facts: Iterable[str]) -> Condition:
        """What holds of `facts` each on its own."""
        return z3.And([self._in_range(FACTS[name]) for name in facts])

    def is_ordinary(self, fact: str) -> Condition:
        """That a fact is as in an ordinary version, or as near to it as the space allows."""
        ordinary, value = self.space.ordinary[fact], self._values[fact]
        if ordinary is None:
            return z3.Not(self._known[fact])
        if isinstance(value, dict):
            return z3.Not(z3.Or(list(value.values())))
        if FACTS[fact].dtype == pl.String():
            texts = self.space.texts[fact]
            return value == (texts.index(ordinary) if ordinary in texts else 0)
        return value == (ordinary if not isinstance(ordinary, float) else _exact(ordinary))

    def row(self, model: Any) -> dict[str, Any]:
        """The facts of the version in a solver's model: one that `policies.routing` can route."""
        found = {"version_id": 1, "sha256": self.space.ordinary["sha256"]}
        for fact in _ASKED:
            known = z3.is_true(model.eval(self._known[fact.name], model_completion=True))
            found[fact.name] = self._read(model, fact) if known else None
        return found

    def _read(self, model: Any, fact: Fact) -> Any:
        value = self._values[fact.name]
        if isinstance(value, dict):
            return [code for code, within in value.items() if z3.is_true(model.eval(within, model_completion=True))]
        found = model.eval(value, model_completion=True)
        if fact.dtype == pl.Boolean():
            return z3.is_true(found)
        if fact.dtype == pl.String():
            return self.space.texts[fact.name][found.as_long()]
        literals = [one for atom in self.space.atoms.get(fact.name, ()) for one in _literals(atom)]
        exact = Fraction(found.as_fraction()) if fact.dtype.is_float() else Fraction(found.as_long())
        return plain_number(exact, literals, self.space.ordinary[fact.name], fact)

    def _truth(self, node: Node) -> tuple[Condition, Condition]:
        if node not in self._truths:
            self._truths[node] = self._made(node)
        return self._truths[node]

    def _made(self, node: Node) -> tuple[Condition, Condition]:
        match node:
            case Not(operand):
                yes, no = self._truth(operand)
                return no, yes
            case Every(operands):
                truths = [self._truth(one) for one in operands]
                return z3.And([yes for yes, _ in truths]), z3.Or([no for _, no in truths])
            case Some(operands):
                truths = [self._truth(one) for one in operands]
                return z3.Or([yes for yes, _ in truths]), z3.And([no for _, no in truths])
            case Missing(fact):
                return z3.Not(self._known[fact]), self._known[fact]
        holds = self._holds(node)
        return z3.And(self._known[node.fact], holds), z3.And(self._known[node.fact], z3.Not(holds))

    def _holds(self, node: Comparison | Membership | Pattern | Contains | Truth) -> Condition:
        """That a node which asks about one fact holds for its value."""
        value = self._values[node.fact]
        if FACTS[node.fact].dtype == pl.String():
            texts = self.space.texts[node.fact]
            return z3.Or([value == place for place, text in enumerate(texts) if atom_holds(node, text)])
        match node:
            case Comparison(_, how, literal):
                return _COMPARE[how](value, _exact(literal))
            case Membership(_, literals):
                return z3.Or([value == _exact(literal) for literal in literals])
            case Contains(_, code):
                return value[code]
        return value

    def _in_range(self, fact: Fact) -> Condition:
        value = self._values[fact.name]
        if isinstance(value, dict) or fact.dtype == pl.Boolean():
            return z3.BoolVal(True)
        if fact.dtype == pl.String():
            texts = self.space.texts[fact.name]
            within = z3.And(value >= 0, value < max(len(texts), 1))
            return within if texts else z3.And(within, z3.Not(self._known[fact.name]))
        low, high = fact.range or (0, None)
        bounds = [value >= _exact(low)]
        if high is not None:
            bounds.append(value <= _exact(high))
        elif not fact.dtype.is_float():
            bounds.append(value <= _LARGEST)
        return z3.And(bounds)

    def _placed(self) -> Iterator[Condition]:
        """Key, collection and submitter go together."""
        space, key = self.space, self._values["key"]
        for place, sample in enumerate(space.texts["key"]):
            collection = space.collection_of(sample)
            if collection is not None:
                yield z3.Implies(key == place, self.is_one_of("collection", [collection]))
        for one in space.policy.collections:
            submits = z3.Not(self._known["submitter"])
            if one.submitter is not None:
                submits = self.is_one_of("submitter", [one.submitter])
            yield z3.Implies(self.is_one_of("collection", [one.name]), submits)


def _variable(fact: Fact, name: str, space: VersionSpace) -> Any:
    if fact.dtype == _CODES:
        return {code: z3.Bool(f"{name}:{code}") for code in space.codes(fact.name)}
    if fact.dtype == pl.Boolean():
        return z3.Bool(name)
    return z3.Real(name) if fact.dtype.is_float() else z3.Int(name)


def _atoms(node: Node) -> Iterator[Any]:
    if isinstance(node, Every | Some):
        for operand in node.operands:
            yield from _atoms(operand)
    elif isinstance(node, Not):
        yield from _atoms(node.operand)
    else:
        yield node


def _literals(atom: Any) -> tuple[Any, ...]:
    if isinstance(atom, Comparison):
        return (atom.value,)
    return atom.values if isinstance(atom, Membership) else ()


def _shapes(atoms: Iterable[Any]) -> Iterator[Shape]:
    for atom in atoms:
        if isinstance(atom, Pattern):
            yield pattern_shape(atom.pattern)
        for literal in _literals(atom):
            yield literal_shape(literal)


def _exact(number: Any) -> Any:
    """A number as the solver has it: the very value of the double that the engine compares with."""
    if isinstance(number, int):
        return z3.IntVal(number)
    exact = Fraction(number)
    return z3.RealVal(f"{exact.numerator}/{exact.denominator}")
