"""Errors of the analytics package: what a retry may cure, and what it never will."""

from __future__ import annotations


class AnalyticsError(Exception):
    """Base of everything that the warehouse refuses or cannot do."""


class RefreshRunning(AnalyticsError):
    """Another process is refreshing this warehouse: transient, the lock ends with that process."""


class WarehouseMissing(AnalyticsError):
    """There is no warehouse yet; one refresh makes it."""


class EventsMissing(AnalyticsError):
    """The events that were handed over have a gap: either the read was not consistent, or the audit trail is broken."""

    def __init__(self, after_seq: int, head_seq: int, found: int) -> None:
        """`found` events arrived where numbers `after_seq` + 1 to `head_seq` were promised."""
        super().__init__(
            f"{found} events arrived, expected {head_seq - after_seq}: numbers {after_seq + 1} to {head_seq}, without "
            f"a gap. The warehouse stays as it was; run `signoff audit verify` to find what is missing."
        )
        self.after_seq, self.head_seq, self.found = after_seq, head_seq, found

    def __reduce__(self) -> tuple[type[EventsMissing], tuple[int, int, int]]:
        """Survive the way from a task's process to the flow's."""
        return (type(self), (self.after_seq, self.head_seq, self.found))


class LedgerNotUnderstood(AnalyticsError):
    """The ledger holds a value that this version of the warehouse has no place for."""


class QueryRefused(AnalyticsError):
    """A question that the warehouse cannot answer; the message says why."""
