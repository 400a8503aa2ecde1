"""Doubt a backup before it is put back: what the signing keys and the present ledger know that it does not."""

from __future__ import annotations

from ledger.engine import Ledger
from ledger.schema import plan_upgrade
from ledger.seal import Seal
from ledger.seal_records import newest_recorded
from ledger.verify import hash_at
from tasks.seal_keys import has_seal_key, read_seal_keys
from tasks.settings import Settings


def doubt_backup(settings: Settings, backup: Ledger, target: Ledger) -> list[str]:
    """Reasons to think that more has happened than this backup holds, sound as it is in itself; none: nothing known.

    It is older than an exchange of the signing key, or than seals that the ledger in its place has recorded. What lies
    in the store of seals is not asked: `audit verify` does that once the backup is back. Raises what
    `tasks.seal_keys.read_seal_keys` raises.
    """
    doubts = []
    last = _newest(backup)
    if last and has_seal_key(settings):
        keys = read_seal_keys(settings)
        if last.key_after != keys.public_key:
            doubts.append(
                f"its last seal (event {last.seq}) lets key {last.key_after} sign the next one, and here signs "
                f"{keys.public_key}: the backup is from before the signing key was exchanged"
            )
    replaced = _newest(target)
    if replaced:
        with backup.reading() as connection:
            known = hash_at(connection, replaced.seq)
        if known != replaced.hash:
            what = "lacks that event" if known is None else "has another event there"
            doubts.append(f"the ledger in its place was sealed up to event {replaced.seq}, and the backup {what}")
    return doubts


def _newest(ledger: Ledger) -> Seal | None:
    """The newest seal that a ledger has recorded; none, where none was, or no ledger is."""
    if plan_upgrade(ledger).before in (None, "0001"):  # seals have a table since 0002
        return None
    with ledger.reading() as connection:
        return newest_recorded(connection)
