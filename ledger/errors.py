"""Errors of the ledger. Transient ones may be retried; the others say what must change first."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path


class LedgerError(Exception):
    """Base of everything the ledger refuses or cannot do."""


class LedgerBusy(LedgerError):
    """Another writer held the ledger for too long: transient, the next run goes on where this one stopped."""


class LedgerUnreachable(LedgerError):
    """The ledger's database did not answer: transient, a later try may succeed."""


class StaleVersion(LedgerError):
    """The version is no longer in the state, round or bytes that the caller acted on."""

    def __init__(self, version_ids: Sequence[int], expected: str) -> None:
        """`version_ids` are those that moved meanwhile; `expected` is what the caller had seen."""
        self.version_ids = tuple(version_ids)
        self.expected = expected
        listed = ", ".join(str(one) for one in self.version_ids[:10])
        named = f"version {listed}: " if listed else ""
        super().__init__(f"{named}expected {expected}, found another. Read the versions again and decide anew.")

    def __reduce__(self) -> tuple[type[StaleVersion], tuple[tuple[int, ...], str]]:
        """Survive the way from a task's process to the flow's."""
        return (type(self), (self.version_ids, self.expected))


class RuleBroken(LedgerError):
    """The database itself refused a statement; the message names the rule."""


class UnknownName(LedgerError):
    """No asset, person, group, review or policy of that name is in the ledger."""


class LedgerSchemaMismatch(LedgerError):
    """The database is older or newer than this version of Signoff understands."""


class SealKeyUnreadable(LedgerError):
    """What should be the signing key of the seals is none."""

    def __init__(self, where: str) -> None:
        """`where` it was read."""
        super().__init__(
            f"the signing key of the seals in {where} cannot be read; allowed is an Ed25519 key as PEM (PKCS 8, no "
            "password), or its 32 bytes as 64 hexadecimal digits. Put the right one there"
        )
        self.where = where

    def __reduce__(self) -> tuple[type[SealKeyUnreadable], tuple[str]]:
        """Survive the way from a task's process to the flow's."""
        return (type(self), (self.where,))


class FileInTheWay(LedgerError):
    """Something exists where a backup should be written."""

    def __init__(self, path: Path) -> None:
        """`path` of what exists."""
        super().__init__(f"{path} exists and is not overwritten; name another file, or move it away")
        self.path = path

    def __reduce__(self) -> tuple[type[FileInTheWay], tuple[Path]]:
        """Survive the way from one process to another."""
        return (type(self), (self.path,))


class BackupUnusable(LedgerError):
    """A file is no backup of a ledger, or what it holds does not verify."""

    def __init__(self, path: Path, problem: str) -> None:
        """`path` of the file, and what is wrong with it."""
        super().__init__(f"{path} cannot be used as a backup: {problem}; nothing was changed. Take another one")
        self.path, self.problem = path, problem

    def __reduce__(self) -> tuple[type[BackupUnusable], tuple[Path, str]]:
        """Survive the way from one process to another."""
        return (type(self), (self.path, self.problem))


class LedgerInUse(LedgerError):
    """A ledger that should be restored into holds records already."""

    def __init__(self, events: int, versions: int) -> None:
        """How many events and versions it holds."""
        super().__init__(
            f"the ledger holds {events} events and {versions} versions already; nothing was changed. Restore into an "
            "empty database, or say --replace, which takes all of it out first (back it up before)"
        )
        self.events, self.versions = events, versions

    def __reduce__(self) -> tuple[type[LedgerInUse], tuple[int, int]]:
        """Survive the way from one process to another."""
        return (type(self), (self.events, self.versions))


class StillCounted(LedgerError):
    """A decision of somebody who should be forgotten counts at a gate that is open still."""

    def __init__(self, handle: str, reviews: Sequence[int]) -> None:
        """`handle` of the person, and the reviews with such gates."""
        named = ", ".join(str(one) for one in reviews)
        super().__init__(
            f"a decision of {handle} counts in review {named}, which is not over; nothing was erased, as somebody who "
            "came back under the same handle could decide there a second time. Have the others decide it first "
            f"(`signoff reviews`), or wait for its deadline, then forget {handle}"
        )
        self.handle, self.reviews = handle, tuple(reviews)

    def __reduce__(self) -> tuple[type[StillCounted], tuple[str, tuple[int, ...]]]:
        """Survive the way from one process to another."""
        return (type(self), (self.handle, self.reviews))


class StillInRoster(LedgerError):
    """The roster file names somebody who should be forgotten."""

    def __init__(self, handle: str, roster: Path) -> None:
        """`handle` of the person, and the file."""
        super().__init__(
            f"{roster} names {handle}; nothing was erased, as the next import would bring the name back. Take "
            f"{handle} out of its people, groups and delegations first"
        )
        self.handle, self.roster = handle, roster

    def __reduce__(self) -> tuple[type[StillInRoster], tuple[str, Path]]:
        """Survive the way from one process to another."""
        return (type(self), (self.handle, self.roster))


class DelegationRefused(LedgerError):
    """A part cannot be handed over like this, or there is nothing to take back. The message says why and what to do."""
