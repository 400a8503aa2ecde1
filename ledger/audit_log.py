"""Reading the audit trail: who did what, when, to which asset; newest first found, or all of it in pages."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

import sqlalchemy as sa

from ledger import tables
from ledger.errors import UnknownName

PAGE: Final = 2_000
_KINDS: Final = ("system", "operator", "person")
_FIELDS: Final = (*(str(column.name) for column in tables.events.columns), "bucket", "key", "version")


@dataclass(frozen=True, slots=True)
class EventFilter:
    """Which events are meant. `actors` are exact, or `system:` and the like for all of a kind; `until` is exclusive."""

    actors: tuple[str, ...] = ()
    actions: tuple[str, ...] = ()
    since: datetime | None = None
    until: datetime | None = None
    key: str | None = None


def find_actor(connection: sa.Connection, text: str) -> str:
    """The actor that somebody means: `system:FLOW` and the like as it is, a kind, or a person's handle or name.

    Raises `UnknownName` when nobody is called so, or several are.
    """
    if ":" in text:
        return text
    if text in _KINDS:
        return f"{text}:"
    people = tables.people
    named = sa.select(people.c.person_id).where(sa.or_(people.c.handle == text, people.c.name == text))
    found = list(connection.scalars(named))
    if len(found) != 1:
        what = f"{len(found)} people are" if found else "nobody is"
        raise UnknownName(
            f"{what} called {text!r}; allowed are a handle or a name of the roster, person:ID, system:FLOW, "
            f"operator:NAME, or one of {', '.join(_KINDS)} for all of that kind"
        )
    return f"person:{found[0]}"


def last_events(connection: sa.Connection, wanted: EventFilter, limit: int) -> list[dict[str, Any]]:
    """The newest `limit` events that are meant, oldest first. Raises `UnknownName` for a key that no asset has."""
    query = _query(connection, wanted).order_by(tables.events.c.seq.desc()).limit(limit)
    people = people_by_actor(connection)
    return [_told(row, people) for row in reversed(connection.execute(query).all())]


def stream_events(connection: sa.Connection, wanted: EventFilter | None = None) -> Iterator[dict[str, Any]]:
    """Every event that is meant, oldest first, in bounded memory."""
    wanted = wanted or EventFilter()
    people, after = people_by_actor(connection), 0
    query = _query(connection, wanted).order_by(tables.events.c.seq).limit(PAGE)
    while rows := connection.execute(query.where(tables.events.c.seq > after)).all():
        yield from (_told(row, people) for row in rows)
        after = rows[-1].seq


def people_by_actor(connection: sa.Connection) -> dict[str, tuple[str, str | None]]:
    """(handle, name) of every person, by actor; the name is None once the person is forgotten."""
    people = tables.people
    rows = connection.execute(sa.select(people.c.person_id, people.c.handle, people.c.name))
    return {f"person:{row.person_id}": (row.handle, row.name) for row in rows}


def stream_versions(connection: sa.Connection) -> Iterator[Mapping[str, Any]]:
    """Every submitted version, oldest first: its identity, media type, and where its bytes are now.

    version_id, bucket, key, number, sha256, size_bytes, state, media_type (None: never inspected), place_bucket and
    place_key (None: its bytes are in custody no more).
    """
    versions, assets, inspections, custody = tables.versions, tables.assets, tables.inspections, tables.custody
    newest = (
        sa.select(inspections.c.media_type)
        .where(inspections.c.sha256 == versions.c.sha256)
        .order_by(inspections.c.inspected_at.desc())
        .limit(1)
        .scalar_subquery()
    )
    places = custody.alias()
    present = (
        sa.select(sa.func.max(places.c.custody_id))
        .where(places.c.version_id == versions.c.version_id, places.c.released_at.is_(None))
        .scalar_subquery()
    )
    query = (
        sa.select(
            versions.c.version_id, assets.c.bucket, assets.c.key, versions.c.number, versions.c.sha256,
            versions.c.size_bytes, versions.c.state, newest.label("media_type"),
            custody.c.bucket.label("place_bucket"), custody.c.key.label("place_key"),
        )
        .join(assets, assets.c.asset_id == versions.c.asset_id)
        .outerjoin(custody, custody.c.custody_id == present)
        .where(versions.c.state.is_not(None))
        .order_by(versions.c.version_id)
        .limit(PAGE)
    )  # fmt: skip
    return _pages(connection, query, versions.c.version_id)


def stream_clearances(connection: sa.Connection) -> Iterator[Mapping[str, Any]]:
    """The last rights check of every version: version_id, clearance_id, status, reasons (JSON), checked_at."""
    clearances = tables.clearances
    later = clearances.alias()
    newest = sa.select(sa.func.max(later.c.clearance_id)).where(later.c.version_id == clearances.c.version_id)
    query = (
        sa.select(
            clearances.c.version_id, clearances.c.clearance_id, clearances.c.status, clearances.c.reasons,
            clearances.c.checked_at,
        )
        .where(clearances.c.clearance_id == newest.scalar_subquery())
        .order_by(clearances.c.version_id)
        .limit(PAGE)
    )  # fmt: skip
    return _pages(connection, query, clearances.c.version_id)


def _pages(connection: sa.Connection, query: sa.Select[Any], number: sa.Column[Any]) -> Iterator[Mapping[str, Any]]:
    after = 0
    while rows := connection.execute(query.where(number > after)).all():
        yield from (dict(row._mapping) for row in rows)
        after = rows[-1]._mapping[number.name]


def _query(connection: sa.Connection, wanted: EventFilter) -> sa.Select[Any]:
    events, versions, assets = tables.events, tables.versions, tables.assets
    query = (
        sa.select(events, assets.c.bucket, assets.c.key, versions.c.number.label("version"))
        .outerjoin(versions, versions.c.version_id == events.c.version_id)
        .outerjoin(assets, assets.c.asset_id == versions.c.asset_id)
    )
    if wanted.actors:
        kinds = [events.c.actor.startswith(one, autoescape=True) for one in wanted.actors if one.endswith(":")]
        query = query.where(sa.or_(events.c.actor.in_(wanted.actors), *kinds))
    if wanted.actions:
        query = query.where(events.c.action.in_(wanted.actions))
    if wanted.since is not None:
        query = query.where(events.c.at >= wanted.since)
    if wanted.until is not None:
        query = query.where(events.c.at < wanted.until)
    if wanted.key is not None:
        query = query.where(events.c.version_id.in_(_versions_of(connection, wanted.key)))
    return query


def _versions_of(connection: sa.Connection, key: str) -> list[int]:
    versions, assets = tables.versions, tables.assets
    query = sa.select(versions.c.version_id).join(assets, assets.c.asset_id == versions.c.asset_id)
    found = list(connection.scalars(query.where(assets.c.key == key)))
    if not found:
        raise UnknownName(f"no asset has the key {key!r}; `signoff ls --keys PREFIX` lists those that there are")
    return found


def _told(row: Any, people: Mapping[str, tuple[str, str | None]]) -> dict[str, Any]:
    handle, name = people.get(row.actor, (None, None))
    return {**dict(zip(_FIELDS, row, strict=True)), "handle": handle, "name": name}
