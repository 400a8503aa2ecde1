"""Verify the audit trail: the chain itself, what was sealed of it elsewhere, and the records that hang on it."""

from __future__ import annotations

from collections.abc import Callable, Collection
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import TYPE_CHECKING

from ledger.seal import BEFORE_THE_FIRST, Seal
from ledger.seal_chain import SealChain, check_seals
from ledger.seal_records import count_recorded, told_changes
from ledger.told_events import Mismatch
from ledger.verify import Damage, Verification, hash_at, last_event, told_at, verify_chain
from ledger.verify_records import verify_records
from tasks.resources import Resources
from tasks.seal_places import OtherPlace, compare_places, read_other_places, tell_changes
from tasks.seal_store import SealStore

if TYPE_CHECKING:
    from sqlalchemy import Connection


@dataclass(frozen=True, slots=True)
class SealReport:
    """What the seals in the store say: the newest reliable one, how many, who signed, what is wrong with others.

    `unsealed` events stand behind the newest seal, the first of them since `unsealed_since`.
    """

    last: Seal | None
    count: int
    signers: list[str]
    problems: list[str]
    unsealed: int
    unsealed_since: datetime | None


@dataclass(frozen=True, slots=True)
class AuditReport:
    """What was found. `events` hold, from the first on; `seals` is None when the store was not asked.

    `mismatches` are records that the events do not bear out; None: they were not compared.
    `notes` tell of seals that moved, and of keys that were replaced, as events say: nothing wrong, but worth a look.
    """

    events: int
    head: str
    damage: Damage | None
    seals: SealReport | None
    mismatches: list[Mismatch] | None = field(default=None)
    notes: list[str] = field(default_factory=list)

    @property
    def is_sound(self) -> bool:
        """Whether nothing was found."""
        return not (self.damage or self.mismatches or (self.seals and self.seals.problems))


def verify_ledger(
    resources: Resources,
    pinned: Collection[str] | None,
    *,
    columns: bool = True,
    progress: Callable[[int, int], None] = lambda _done, _total: None,
) -> AuditReport:
    """Verify everything against one snapshot of the ledger; nothing is written.

    `pinned` are the public keys that seals must lead back to; None: the store is not asked, and then a tail that was
    cut off together with the head of the chain cannot be found. Without `columns`, only hashes and links are checked.
    `progress` is told how many events were looked at, and of how many. Raises `StorageAway`, `StorageRefused`.
    """
    # seals first: none of them can then name an event that is younger than the snapshot
    chain = None if pinned is None else _fetch_seals(resources, pinned)
    store = SealStore(resources.storage, resources.settings) if chain else None
    others: list[OtherPlace] = []
    if chain and store:
        relied_on = {*(pinned or ()), *chain.signers, *([chain.last.key_after] if chain.last else [])}
        others = read_other_places(resources, store, relied_on, columns=columns)
    with resources.ledger.reading() as connection:
        total = last_event(connection)
        sealed = chain.sealed if chain else None
        found = verify_chain(connection, sealed=sealed, columns=columns, progress=lambda done: progress(done, total))
        changes = told_changes(connection, found.events, columns=columns)
        elsewhere = compare_places(connection, others, changes, found.events, whole=found.damage is None)
        found = _damaged(connection, found, elsewhere.damage)
        mismatches = verify_records(connection) if columns and not found.damage else None
        recorded = count_recorded(connection, store.bucket, store.prefix) if store else 0
        after = chain.last.seq if chain and chain.last else 0
        since = told_at(connection, after + 1) if found.events > after else None
    seals = None
    if chain is not None and pinned is not None:
        if recorded > len(chain.seals):  # sealed meanwhile, or taken away
            recorded -= len(_fetch_seals(resources, pinned).seals) - len(chain.seals)
        problems = [*chain.problems, *_surplus(recorded, len(chain.seals)), *elsewhere.problems]
        unsealed = max(found.events - after, 0)
        seals = SealReport(chain.last, len(chain.seals), chain.signers, problems, unsealed, since)
    notes = [*tell_changes(changes), *elsewhere.notes]
    return AuditReport(found.events, found.head, found.damage, seals, mismatches, notes)


def _damaged(connection: Connection, found: Verification, elsewhere: Damage | None) -> Verification:
    """What holds once the seals of other places are taken into account."""
    if found.damage or elsewhere is None:
        return found
    if elsewhere.seq > found.events:
        return replace(found, damage=elsewhere)
    head = hash_at(connection, elsewhere.seq - 1) or BEFORE_THE_FIRST
    return Verification(elsewhere.seq - 1, head, elsewhere)


def _fetch_seals(resources: Resources, pinned: Collection[str]) -> SealChain:
    return check_seals(SealStore(resources.storage, resources.settings).read(), pinned)


def _surplus(recorded: int, reliable: int) -> list[str]:
    """The ledger's own record of its seals is not relied on; but what it has and the store has not, was taken there."""
    if recorded <= reliable:
        return []
    return [f"the ledger recorded {recorded} seals, of which the store has {reliable} that can be relied on"]
