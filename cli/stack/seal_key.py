"""The signing key's part in `signoff up`: made on first use, never in the place of one that was lost."""

from __future__ import annotations

from collections.abc import Callable

from tasks.settings import Settings


def ready_seal_key(settings: Settings, report: Callable[[str], None]) -> None:
    """Make the key that seals the audit trail, unless there is one. Nothing is imported when there is.

    Where seals are recorded already, the key was lost or moved: making another one is for somebody to decide.
    """
    if settings.audit.key is not None or (settings.home / "seal-key").exists():
        return
    from ledger.seal_records import count_recorded
    from tasks.resources import Resources
    from tasks.seal_keys import make_seal_key

    resources = Resources(settings)
    try:
        with resources.ledger.reading() as connection:
            sealed = count_recorded(connection)
    finally:
        resources.close()
    if sealed:
        report(
            f"{settings.home / 'seal-key'} is gone, and {sealed} seals were signed with it: put it back. If it is "
            "lost, `signoff audit key --replace-lost` goes on with another one"
        )
    elif make_seal_key(settings.home):
        report("made the key that seals the audit trail; `signoff audit key` prints its public part")
