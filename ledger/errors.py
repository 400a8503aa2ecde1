"""Errors of the ledger. Transient ones may be retried; the others say what must change first."""

from __future__ import annotations

from collections.abc import Sequence


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
