"""What other processes do to a ledger at the same time: small functions that import the ledger and nothing else."""

from __future__ import annotations

import hashlib
import multiprocessing
import random
import time
from collections.abc import Callable, Sequence
from datetime import UTC, datetime, timedelta
from multiprocessing.synchronize import Barrier
from typing import Any, Protocol

from ledger.effects import Carried, complete_publications, load_open_effects
from ledger.engine import Ledger
from ledger.errors import LedgerBusy, StaleVersion
from ledger.gates import GateTerms
from ledger.ladder import Terms, fire_due
from ledger.reader import unscreened
from ledger.schema import upgrade_ledger
from ledger.screen import ClearanceRecord, Screened, record_clearances, record_screenings
from ledger.submit import Arrival, Custody, submit
from ledger.transaction import Origin
from ledger.waits import waiting_gates, waiting_versions
from policies.calendars import Calendar
from policies.deadlines import Rung, RungKind

GATE = GateTerms("brand", 0, 1, True, "none", "brand", "owners")
_DAY = timedelta(hours=8)
LADDER = (
    Rung(0, RungKind.REMIND, _DAY),
    Rung(1, RungKind.ESCALATE, 2 * _DAY, to="owners"),
    Rung(2, RungKind.FINALLY, 3 * _DAY, outcome="reject"),
)


class Results(Protocol):
    """Where a process tells what came of it."""

    def put(self, told: Any) -> None:
        """Tell."""


def run_together(act: Callable[..., None], arguments: Sequence[tuple[Any, ...]]) -> list[Any]:
    """Run `act(*arguments, barrier, results)` in a process each, all at once; returns what they told, in any order."""
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload([__name__])  # the imports are paid for once
    barrier, results = context.Barrier(len(arguments)), context.SimpleQueue()
    workers = [context.Process(target=act, args=(*one, barrier, results)) for one in arguments]
    for worker in workers:
        worker.start()
    told = [results.get() for _ in workers]
    for worker in workers:
        worker.join()
    return told


def upgrade_together(url: str, barrier: Barrier, results: Results) -> None:
    """Wait for the others, upgrade, tell what happened."""
    _tell(results, url, lambda ledger: (barrier.wait(), upgrade_ledger(ledger))[1])


def publish_together(url: str, version_id: int, barrier: Barrier, results: Results) -> None:
    """Read the open effect of a version, wait for the others, complete it."""

    def publish(ledger: Ledger) -> str:
        with ledger.reading() as connection:
            (effect,) = load_open_effects(connection, version_ids=[version_id])
        barrier.wait()
        with ledger.writing(Origin("system:race", datetime.now(UTC))) as tx:
            complete_publications(tx, [Carried(effect)])
        return "published"

    _tell(results, url, publish)


def screen_together(url: str, policy: str, barrier: Barrier, results: Results) -> None:
    """Read what waits for screening, wait for the others, put all of it into review."""

    def screen(ledger: Ledger) -> str:
        with ledger.reading() as connection:
            waiting = unscreened(connection)
        barrier.wait()
        with ledger.writing(Origin("system:race", datetime.now(UTC))) as tx:
            record_screenings(tx, [_reviewed(one.version_id, one.round, policy) for one in waiting], {})
        return f"screened {len(waiting)}"

    _tell(results, url, screen)


def submit_together(url: str, policy: str, barrier: Barrier, results: Results) -> None:
    """Wait for the others, submit the same objects."""

    def put(ledger: Ledger) -> str:
        barrier.wait()
        with ledger.writing(Origin("system:race", datetime.now(UTC))) as tx:
            submissions = submit(tx, [_arrival(f"race/{number}.jpg", "same") for number in range(5)], policy)
        return ",".join(sorted({one.outcome for one in submissions}))

    _tell(results, url, put)


def fire_together(url: str, at: datetime, barrier: Barrier, results: Results) -> None:
    """Wait for the others, fire every rung that is due at this instant; tell how many fired."""

    def fire(ledger: Ledger) -> int:
        terms = Terms(Calendar(timezone="Europe/Berlin", hours="09:00-17:00"), LADDER)
        barrier.wait()
        with ledger.writing(Origin("system:enforce_deadlines", at)) as tx:
            waits = waiting_gates(tx.connection) + waiting_versions(tx.connection)
            return len(fire_due(tx, waits, lambda _: terms))

    _tell(results, url, fire)


def write_for_a_while(url: str, policy: str, number: int, seconds: float, barrier: Barrier, results: Results) -> None:
    """Submit, screen and publish, with other writers at it too; tell how many of each were done, and the errors."""
    dice = random.Random(number)  # noqa: S311 (a repeatable load)
    done = {"submitted": 0, "screened": 0, "published": 0, "stale": 0, "busy": 0}

    def write(ledger: Ledger) -> dict[str, int]:
        barrier.wait()
        until = time.monotonic() + seconds
        while time.monotonic() < until:
            step = dice.choice((_submit_some, _screen_some, _publish_some))
            try:
                name, count = step(ledger, policy, dice)
                done[name] += count
            except StaleVersion:
                done["stale"] += 1
            except LedgerBusy:
                done["busy"] += 1
        return done

    _tell(results, url, write)


def _submit_some(ledger: Ledger, policy: str, dice: random.Random) -> tuple[str, int]:
    arrivals = [
        _arrival(f"load/{dice.randrange(40)}.jpg", str(dice.randrange(10**9))) for _ in range(dice.randrange(1, 6))
    ]
    with ledger.writing(Origin("system:load", datetime.now(UTC))) as tx:
        submissions = submit(tx, arrivals, policy)
    return "submitted", sum(one.outcome == "new" for one in submissions)


def _screen_some(ledger: Ledger, policy: str, dice: random.Random) -> tuple[str, int]:
    with ledger.reading() as connection:
        waiting = unscreened(connection)[:8]
    screened = [
        _automatic(one.version_id, one.round, policy)
        if dice.random() < 0.7
        else _reviewed(one.version_id, one.round, policy)
        for one in waiting
    ]
    with ledger.writing(Origin("system:load", datetime.now(UTC))) as tx:
        clearances = [ClearanceRecord(one.version_id, "{}", "cleared", "[]", "[]", "d", None) for one in waiting]
        record_screenings(tx, screened, record_clearances(tx, clearances))
    return "screened", len(waiting)


def _publish_some(ledger: Ledger, policy: str, dice: random.Random) -> tuple[str, int]:
    with ledger.reading() as connection:
        effects = load_open_effects(connection, ["publish"])[: dice.randrange(1, 6)]
    with ledger.writing(Origin("system:load", datetime.now(UTC))) as tx:
        complete_publications(tx, [Carried(one) for one in effects])
    return "published", len(effects)


def _tell(results: Results, url: str, act: Callable[[Ledger], Any]) -> None:
    ledger = Ledger(url)
    try:
        results.put(act(ledger))
    except StaleVersion as error:
        results.put(f"stale {error.version_ids}")
    except Exception as error:  # noqa: BLE001 (told to the test, which fails on it)
        results.put(repr(error))
    finally:
        ledger.close()


def _arrival(key: str, content: str) -> Arrival:
    sha256 = hashlib.sha256(content.encode()).hexdigest()
    custody = Custody("copied", "workspace", f"masters/{sha256}", None, "etag")
    return Arrival("intake", key, content, len(content), datetime.now(UTC), sha256, "spring", "agency", custody)


def _reviewed(version_id: int, round_number: int, policy: str) -> Screened:
    return Screened(version_id, round_number, policy, "image", "cleared", {}, "{}", "review", gates=(GATE,))


def _automatic(version_id: int, round_number: int, policy: str) -> Screened:
    return Screened(version_id, round_number, policy, "image", "cleared", {}, "{}", "automatic", rule="routine")


def sign_together(url: str, person_id: int, code: str, at: datetime, barrier: Barrier, results: Results) -> None:
    """Wait for the others, give the same code, tell what came of it."""
    from ledger.signatures import Signed, sign
    from tests.ledger.signing_people import RING

    def give(ledger: Ledger) -> str:
        barrier.wait()
        with ledger.writing(Origin("system:race", at)) as tx:
            found = sign(tx, RING, person_id, code, at, "policy")
        return "signed" if isinstance(found, Signed) else str(found.flaw)

    _tell(results, url, give)
