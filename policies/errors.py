"""Errors of the policies package. All are permanent: the same input fails the same way, so nothing here is retried."""

from __future__ import annotations

from dataclasses import dataclass


class PolicyError(Exception):
    """Base of everything that can be wrong with a policy, a roster, a grants file or a predicate."""


class FactsInvalid(PolicyError):
    """A frame of facts does not keep to the declared schema: a fault of what built it, not of a policy."""


class QuantityInvalid(PolicyError):
    """A size, duration or percentage cannot be read."""


class PolicyTooWide(PolicyError):
    """A policy asks more about one thing than a proof can go through."""

    def __init__(self, what: str) -> None:
        super().__init__(f"the policy cannot be proved: too many {what}; say the same with fewer")
        self.what = what

    def __reduce__(self) -> tuple[type[PolicyTooWide], tuple[str]]:
        """Survive pickling."""
        return (type(self), (self.what,))


class ProofUndecided(PolicyError):
    """The solver gave up on a question: nothing is proved, and nothing refuted."""


class PredicateError(PolicyError):
    """A predicate is outside the grammar or compares what cannot be compared.

    `position` counts characters from 0 in `text`; `found` is what stands there, `allowed` what could, `hint` what to
    do about it, `nearest` the allowed word that was probably meant.
    """

    def __init__(
        self,
        text: str,
        position: int,
        found: str,
        allowed: str,
        hint: str | None = None,
        nearest: str | None = None,
    ) -> None:
        super().__init__(text, position, found, allowed, hint, nearest)
        self.text = text
        self.position = position
        self.found = found
        self.allowed = allowed
        self.hint = hint
        self.nearest = nearest

    def __str__(self) -> str:
        """One line: what was found where, what is allowed, what to do."""
        said = f"found {self.found} at character {self.position + 1} of {self.text[:200]!r}; allowed: {self.allowed}"
        said += f"; {self.hint}" if self.hint else ""
        return f"{said}; did you mean {self.nearest!r}?" if self.nearest else said


@dataclass(frozen=True, slots=True)
class Problem:
    """One thing wrong in a file: where it stands, what was found, what is allowed, the nearest right word."""

    file: str
    line: int
    field: str
    value: str
    allowed: str
    nearest: str | None = None

    def __str__(self) -> str:
        """`file:line: field: found …; allowed: …; did you mean …?`."""
        said = f"{self.file}:{self.line}: {self.field}: found {self.value}; allowed: {self.allowed}"
        return f"{said}; did you mean {self.nearest!r}?" if self.nearest else said


class DocumentInvalid(PolicyError):
    """A file is refused as a whole; `problems` lists everything wrong with it, in the order of its lines."""

    def __init__(self, problems: tuple[Problem, ...]) -> None:
        super().__init__(problems)
        self.problems = problems

    def __str__(self) -> str:
        """One line a problem."""
        return "\n".join(str(problem) for problem in self.problems)


class PolicyInvalid(DocumentInvalid):
    """A policy file is refused."""


class RosterInvalid(DocumentInvalid):
    """A roster file is refused."""


class GrantsInvalid(DocumentInvalid):
    """A contracts table is refused."""


class QueriesInvalid(PolicyError):
    """A frame of rights queries does not keep to the declared schema: a fault of what built it, not of a contract."""


class ArchiveInputInvalid(PolicyError):
    """An archive rule or a frame of versions does not keep to what `due_for_archive` takes: a fault of the caller."""
