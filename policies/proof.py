"""The question that a proof asks a solver: is there a version like this, and what is the plainest one?"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from functools import cached_property
from typing import TYPE_CHECKING, Any, Final

import z3

from policies.claims import CounterExample
from policies.document import PolicyDocument, Stage
from policies.errors import ProofUndecided
from policies.facts import ARCHIVE_FACTS_SCHEMA, FACTS_SCHEMA
from policies.predicates import Predicate
from policies.rule_checks import predicates_of, read_predicate
from policies.version_space import Condition, Version, VersionSpace
from policies.yaml_source import Path, field_name

if TYPE_CHECKING:
    from policies.roster import RosterDocument

_PATIENCE_MS: Final = 30_000
"""How long the solver may think about one question; thousandths of that are usual."""

_IDENTITY: Final = frozenset({"version_id", "sha256"})


class Proof:
    """One policy, the predicates it consists of, and a solver that knows every version it can meet."""

    def __init__(self, policy: PolicyDocument, roster: RosterDocument | None) -> None:
        """Raises `PolicyTooWide` if the policy tells too many texts apart, `PredicateError` for an unread predicate."""
        self.policy = policy
        self.roster = roster
        self._predicates = {text: read_predicate(policy, text, use) for _, text, use in predicates_of(policy)}
        self.space = VersionSpace(policy, self._predicates.values())
        self.version = self.space.version()
        self.other = self.space.version("'")
        self._solver = z3.Solver()
        self._solver.set("timeout", _PATIENCE_MS)
        self._solver.add(self.version.axioms())
        self._model: Any = None

    def predicate(self, text: str) -> Predicate:
        """A predicate of the policy, read."""
        return self._predicates[text]

    def possible(self, *conditions: Condition) -> bool:
        """Whether there is a version of which all `conditions` hold."""
        return bool(self._check(conditions) == z3.sat)

    def plainest(
        self, *conditions: Condition, archive: bool = False
    ) -> tuple[Mapping[str, Any], Mapping[str, Any]] | None:
        """The facts in which a version of which `conditions` hold differs from an ordinary one, and all of its facts.

        None if there is no such version. As few facts as can be are other than ordinary: no smaller set would do.
        """
        wanted = list(conditions)
        if self._check(wanted) != z3.sat:
            return None
        schema = ARCHIVE_FACTS_SCHEMA if archive else FACTS_SCHEMA
        for fact in (name for name in reversed(schema) if name not in _IDENTITY):
            ordinary = self.version.is_ordinary(fact)
            if self._check([*wanted, ordinary]) == z3.sat:
                wanted.append(ordinary)
        self._check(wanted)
        row = self.version.row(self._model)
        row = {name: row[name] for name in schema}
        base, hidden = self.space.ordinary, _IDENTITY | {"submitter"}  # it follows from the collection
        if "key" not in self.space.atoms:
            hidden |= {"key"}
        return {name: value for name, value in row.items() if value != base[name] and name not in hidden}, row

    def needed(self, conditions: Sequence[Condition], given: Iterable[Condition] = ()) -> list[int]:
        """Places of the few `conditions` that already cannot all hold, whatever `given` says as well."""
        needed = list(range(len(conditions)))
        for place in range(len(conditions)):
            without = [conditions[one] for one in needed if one != place]
            if self._check([*given, *without]) != z3.sat:
                needed.remove(place)
        return needed

    def example(self, subject: str, path: Path, steps: Iterable[str], facts: Any = None) -> CounterExample:
        """A counter-example at `path` of the policy file; `facts` is what `plainest` found."""
        told, row = facts or ({}, {})
        return CounterExample(
            subject, field_name(path), self.policy.source.line_of(path), tuple(steps), dict(told), dict(row)
        )

    # --- what the engine does, as conditions -------------------------------------------------------------------------

    @cached_property
    def found_by_inspection(self) -> Condition:
        """That the version is quarantined whatever `quarantine_when` says."""
        screening, version = self.policy.screening, self.version
        return z3.Or(
            version.value("inspection_failed"),
            z3.Not(version.is_one_of("kind", screening.accept)),
            version.value("size") > screening.max_size,
        )

    @cached_property
    def found(self) -> Condition:
        """That screening puts the version aside."""
        text = self.policy.screening.quarantine_when
        return (
            self.found_by_inspection
            if text is None
            else z3.Or(self.found_by_inspection, self.version.may_be_true(self.predicate(text)))
        )

    @cached_property
    def blocked(self) -> Condition:
        """That clearance keeps the version from being published."""
        return self.version.is_one_of("clearance", self.policy.rights.block)

    def approves(self, position: int, version: Version | None = None) -> Condition:
        """That the automatic rule at `position` holds."""
        return (version or self.version).is_true(self.predicate(self.policy.approval.automatic[position].when))

    @cached_property
    def automatic(self) -> Condition:
        """That some rule approves, and nothing speaks against it."""
        rules = range(len(self.policy.approval.automatic))
        return z3.And(z3.Not(self.found), z3.Not(self.blocked), z3.Or([self.approves(one) for one in rules]))

    def opens(self, stage: Stage) -> Condition:
        """That a version which goes to review needs an approval of `stage`."""
        asked = self._taken(stage)
        if stage.default:
            others = [one for one in self.policy.approval.stages if one.when is not None and not one.default]
            asked = z3.And(asked, z3.Not(z3.Or([self._taken(one) for one in others])))
        return z3.Or(asked, self.blocked) if stage.name == self.policy.rights.gate else asked

    def _taken(self, stage: Stage) -> Condition:
        return z3.BoolVal(True) if stage.when is None else self.version.may_be_true(self.predicate(stage.when))

    def _check(self, conditions: Iterable[Condition]) -> Any:
        self._solver.push()
        try:
            self._solver.add(*conditions)
            answer = self._solver.check()
            if answer == z3.unknown:
                raise ProofUndecided(self._solver.reason_unknown())
            if answer == z3.sat:
                self._model = self._solver.model()
            return answer
        finally:
            self._solver.pop()


def in_order(examples: Iterable[CounterExample]) -> tuple[CounterExample, ...]:
    """Counter-examples, the shortest first."""
    return tuple(sorted(examples, key=lambda one: one.length))
