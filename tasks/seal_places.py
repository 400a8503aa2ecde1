"""The other places where seals of this ledger lie: what they tell of events that the ledger has, or lacks."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

from ledger.seal import Seal
from ledger.seal_chain import check_seals
from ledger.seal_records import MOVED, REPLACED, ToldChange, hashes_at, recorded_keys, told_changes
from ledger.verify import Damage
from tasks.errors import StorageRefused
from tasks.resources import Resources
from tasks.seal_store import SealStore, prefix_of

if TYPE_CHECKING:
    from sqlalchemy import Connection

_PLACE: Final = re.compile(r"s3://([^/]+)/(.*)", re.DOTALL)


@dataclass(frozen=True, slots=True)
class OtherPlace:
    """What lies in a place that is not the present one. `recorded` seals there are known to the ledger."""

    name: str
    recorded: int
    seals: Sequence[Seal]
    problems: Sequence[str]


@dataclass
class Findings:
    """What other places tell: notes where an event says that seals moved on, problems and the first damage else."""

    notes: list[str] = field(default_factory=list)
    problems: list[str] = field(default_factory=list)
    damage: Damage | None = None


def recorded_places(connection: Connection, store: SealStore) -> dict[SealStore, int]:
    """Where the ledger's record says that seals lie, the present place apart, and how many in each."""
    found = Counter((bucket, prefix_of(key)) for bucket, key in recorded_keys(connection) or ())
    return {
        store.elsewhere(bucket, prefix): count
        for (bucket, prefix), count in sorted(found.items(), key=str)
        if prefix is not None and (bucket, prefix) != (store.bucket, store.prefix)
    }


def read_other_places(
    resources: Resources, store: SealStore, pinned: Collection[str], *, columns: bool
) -> list[OtherPlace]:
    """Read the seals of every other place that the record of seals, or an event, names.

    Relied on is what leads back to a key in `pinned`, or to one that the trail tells of. Raises `StorageAway`.
    """
    with resources.ledger.reading() as connection:
        places = {str(one): (one, count) for one, count in recorded_places(connection, store).items()}
    with resources.ledger.reading() as connection:
        changes = told_changes(connection, columns=columns)
    for name in _named(changes):
        if (told := _PLACE.fullmatch(name)) and name != str(store):
            places.setdefault(name, (store.elsewhere(told.group(1), told.group(2)), 0))
    keys = {*pinned, *(str(one.details.get(name)) for one in changes for name in ("before", "public_key"))}
    return [_read_place(one, count, keys) for one, count in places.values()]


def tell_changes(changes: Iterable[ToldChange]) -> list[str]:
    """A note for every event that says that seals moved, or that a key took the place of one that was lost."""
    notes = []
    for one in changes:
        by = f"event {one.seq} ({one.actor}, {one.at:%Y-%m-%d %H:%M} UTC)"
        if one.action == MOVED:
            notes.append(f"{by}: seals are put into {one.details.get('place')} from then on, where they begin anew")
        elif one.action == REPLACED:
            before, key = one.details.get("before"), one.details.get("public_key")
            notes.append(f"{by}: key {key} signs from then on; key {before} was lost and announced nothing")
    return notes


def compare_places(
    connection: Connection, others: Iterable[OtherPlace], changes: Sequence[ToldChange], events: int, *, whole: bool
) -> Findings:
    """Compare what other places tell with the ledger, of which `events` hold; `whole`: no more are there.

    An event that says that seals moved on, behind the last event that such a place and the ledger have in common,
    makes a note of what the ledger lacks. Without it, and where they have nothing in common, it is damage.
    """
    found = Findings()
    lost: list[tuple[int, str, int]] = []
    for other in others:
        seals = [seal for seal in other.seals if whole or seal.seq <= events]
        hashes = hashes_at(connection, [seal.seq for seal in seals if seal.seq <= events])
        lacking = [seal for seal in seals if hashes.get(seal.seq) != seal.hash]
        common = max((seal.seq for seal in seals if hashes.get(seal.seq) == seal.hash), default=0)
        moved = next((one for one in changes if _leaves(one, other) and one.seq > common), None)
        into = found.notes if moved else found.problems
        into.extend(f"{other.name}: {problem}" for problem in other.problems)
        if other.recorded > len(other.seals):
            into.append(
                f"the ledger recorded {other.recorded} seals in {other.name}, which has {len(other.seals)} that can be "
                "relied on"
            )
        if not lacking:
            found.notes.append(f"{other.name} has {len(other.seals)} seals, none of an event that the ledger lacks")
        elif moved and common:
            found.notes.append(f"{_say_lacking(other, lacking)}; event {moved.seq} says that seals moved on")
        else:
            found.problems.append(f"{_say_lacking(other, lacking)}, and no event says that seals moved on from there")
            lost.extend((seal.seq, other.name, common) for seal in lacking)
    if lost:
        found.damage = _damage(*min(lost), events)
    return found


def _damage(seq: int, place: str, common: int, events: int) -> Damage:
    if seq > events:
        return Damage(events + 1, f"cut off: event {seq} was sealed in {place}")
    since = f"; the change is in events {common + 1} to {seq}" if common + 1 < seq else ""
    return Damage(seq, f"rewritten: it is not the event that was sealed in {place}{since}")


def _say_lacking(other: OtherPlace, lacking: Sequence[Seal]) -> str:
    numbers = sorted({lacking[0].number, lacking[-1].number})
    last = max(seal.seq for seal in lacking)
    return (
        f"{other.name}: {len(lacking)} seals ({' to '.join(map(str, numbers))}) speak of events up to {last} that the "
        "ledger does not have"
    )


def _leaves(change: ToldChange, other: OtherPlace) -> bool:
    return change.action == MOVED and change.details.get("place") != other.name


def _named(changes: Iterable[ToldChange]) -> Iterator[str]:
    for one in changes:
        if one.action == MOVED:
            before = one.details.get("before", [])
            yield from (str(name) for name in (one.details.get("place"), *(before if isinstance(before, list) else ())))


def _read_place(place: SealStore, recorded: int, keys: Collection[str]) -> OtherPlace:
    try:
        chain = check_seals(place.read(), keys)
    except StorageRefused as error:
        return OtherPlace(str(place), recorded, (), (str(error),))
    return OtherPlace(str(place), recorded, chain.seals, chain.problems)
