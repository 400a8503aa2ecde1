"""The rights check against a slow one in plain Python, on random grants and uses, boundaries included."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from random import Random
from typing import Any

import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from policies.channels import CHANNELS
from policies.clearance import STATUS_OF, ClearanceStatus, ReasonCode
from policies.grants import Effect, Grant, Release, Source, grants_frame
from policies.rights import check_rights
from policies.rights_questions import OPTIONAL, QUERY_SCHEMA
from policies.territories import TERRITORIES

NOW = datetime(2026, 12, 1, 9, tzinfo=UTC)
TICK = timedelta(microseconds=1)
WITHIN = timedelta(days=3)
PAST, FUTURE = datetime(1, 1, 1, tzinfo=UTC), datetime(9999, 12, 31, tzinfo=UTC)
Query = dict[str, Any]
Cell = tuple[str, str]


class Reference:
    """One query, answered one cell, one grant and one stretch of time after the other."""

    def __init__(self, query: Query, grants: list[Grant], now: datetime, uses: list[tuple[str, str]] | None) -> None:
        self.query, self.now, self.uses = query, now, uses
        newest = {
            (g.source, g.id): max(h.revision for h in grants if (h.source, h.id) == (g.source, g.id)) for g in grants
        }
        self.grants = [g for g in grants if g.revision == newest[g.source, g.id]]
        self.start = max(query["from_at"] or now, now)
        self.stop = max(query["until_at"] or self.start + TICK, self.start + TICK)
        self.found: set[tuple[ReasonCode, str | None]] = set()

    def answer(self) -> tuple[str, set[str], list[str], datetime | None]:
        """Status, reason codes told, deciding grants, next change."""
        self._look_at_codes()
        self._look_at_file()
        for cell in self._cells():
            self._look_at(cell)
        worst = min((STATUS_OF[code].rank for code, _ in self.found), default=ClearanceStatus.CLEARED.rank)
        status = list(ClearanceStatus)[worst]
        blocked = worst < ClearanceStatus.EXPIRING.rank
        told = {str(code) for code, _ in self.found if not (blocked and code is ReasonCode.LICENSED)}
        deciding = {grant for code, grant in self.found if STATUS_OF[code] is status and grant is not None}
        return str(status), told, sorted(deciding), self._next_change()

    def _look_at_codes(self) -> None:
        words = [self.query["channel"] in CHANNELS, *(code in TERRITORIES for code in self.query["territories"])]
        if not all(words) or not self.query["territories"]:
            self.found.add((ReasonCode.UNKNOWN_CODE, None))
        for name, prefix in (("model_release", "MR-"), ("property_release", "PR-")):
            claim = self.query[name]
            if claim is not None and claim.rsplit("/", 1)[-1] not in {prefix + e for e in self._endings(prefix)}:
                self.found.add((ReasonCode.UNKNOWN_CODE, None))

    @staticmethod
    def _endings(prefix: str) -> tuple[str, ...]:
        return ("NON", "NAP", "UMR", "LMR") if prefix == "MR-" else ("NON", "NAP", "UPR", "LPR")

    def _look_at_file(self) -> None:
        query, expires = self.query, self.query["expires_at"]
        if query["embedded_conflicts"]:
            self.found.add((ReasonCode.METADATA_CONFLICT, None))
        if query["action"] in query["embedded_prohibits"]:
            self.found.add((ReasonCode.PROHIBITED_BY_FILE, None))
        if "strange" in query["embedded_prohibits"]:
            self.found.add((ReasonCode.UNKNOWN_CODE, None))
        if query["embedded_status"] == "unparsed":
            self.found.add((ReasonCode.METADATA_UNPARSED, None))
        if expires is not None and expires < self.stop:
            self.found.add((ReasonCode.FILE_EXPIRED, None))
        elif expires is not None and expires - self.now <= WITHIN:
            self.found.add((ReasonCode.FILE_EXPIRING, None))

    def _cells(self) -> Iterator[Cell]:
        channels = CHANNELS.get(self.query["channel"], ())
        countries = {c for code in self.query["territories"] for c in TERRITORIES.get(code, ())}
        return ((str(channel), country) for channel in channels for country in sorted(countries))

    def _speaks(self, grant: Grant, cell: Cell) -> bool:
        channel, country = cell
        named = grant.asset == self.query["key"] if grant.asset else grant.collection == self.query["collection"]
        where = any(country in TERRITORIES[t] for t in grant.territories)
        where = where and not any(country in TERRITORIES[t] for t in grant.excluded_territories)
        on = any(channel in CHANNELS[c] for c in grant.channels)
        return (
            named and where and on and self.query["action"] in grant.actions and (self._ours(grant) or grant.exclusive)
        )

    def _ours(self, grant: Grant) -> bool:
        return grant.licensee is None or grant.licensee == self.query["licensee"]

    @staticmethod
    def _term(grant: Grant) -> tuple[datetime, datetime]:
        return max(grant.start_at or PAST, grant.embargo_at or PAST), grant.end_at or FUTURE

    def _shared(self, *grants: Grant) -> bool:
        """Whether all grants hold at one instant of the use."""
        begins, ends = zip(*(self._term(grant) for grant in grants), strict=True)
        return max(*begins, self.start) < min(*ends, self.stop)

    def _look_at(self, cell: Cell) -> None:
        speaking = [grant for grant in self.grants if self._speaks(grant, cell)]
        ours = [grant for grant in speaking if self._ours(grant)]
        permits = [grant for grant in ours if grant.effect is Effect.PERMIT]
        against = [grant for grant in ours if grant.effect is Effect.PROHIBIT and self._shared(grant)]
        for grant in speaking:
            if not self._ours(grant) and self._shared(grant):
                self.found.add((ReasonCode.EXCLUSIVITY_CLASH, grant.id))
        for grant in permits:
            if grant.embargo_at is not None and grant.embargo_at > self.start:
                self.found.add((ReasonCode.UNDER_EMBARGO, grant.id))
        for grant in against:
            self.found.add((ReasonCode.PROHIBITED, grant.id))
            for permit in permits:
                if self._rank(permit) == self._rank(grant) and self._shared(permit, grant):
                    self.found |= {(ReasonCode.CONTRADICTORY_GRANTS, g.id) for g in (permit, grant)}
        clearing = [grant for grant in permits if self._rank(grant)]
        self._look_for_licence(clearing)
        self._look_for_releases(cell, clearing)

    @staticmethod
    def _rank(grant: Grant) -> bool:
        return grant.source in (Source.CONTRACT, Source.MANUAL)

    def _holes(self, permits: list[Grant]) -> list[datetime]:
        """Beginnings of the stretches of the use that no permit covers."""
        edges = {self.start} | {edge for p in permits for edge in self._term(p) if self.start < edge < self.stop}
        return [e for e in sorted(edges) if not any(self._term(p)[0] <= e < self._term(p)[1] for p in permits)]

    def _look_for_licence(self, permits: list[Grant]) -> None:
        usable = [permit for permit in permits if not self._unmet(permit)]
        if not self._holes(usable):
            self._tell_cover(usable)
            return
        for permit in permits:
            if self._shared(permit):
                self.found |= {(code, permit.id) for code in self._unmet(permit)}
        for hole in self._holes(permits):
            later = [self._term(p)[0] for p in permits if self._term(p)[0] > hole]
            if later:
                for permit in permits:
                    if self._term(permit)[0] == min(later) and not self._embargoed(permit):
                        self.found.add((ReasonCode.NOT_STARTED, permit.id))
            elif permits:
                end = max(self._term(p)[1] for p in permits)
                code = ReasonCode.LICENCE_ENDED if end <= self.now else ReasonCode.ENDS_TOO_EARLY
                self.found |= {(code, p.id) for p in permits if self._term(p)[1] == end}
            else:
                self.found.add((ReasonCode.NO_LICENCE, None))

    @staticmethod
    def _embargoed(grant: Grant) -> bool:
        return grant.embargo_at is not None and grant.embargo_at > (grant.start_at or PAST)

    def _unmet(self, permit: Grant) -> set[ReasonCode]:
        unmet = set()
        carried = " ".join((self.query["credit_line"] or "").split()).lower()
        if permit.credit_line is not None and " ".join(permit.credit_line.split()).lower() not in carried:
            unmet.add(ReasonCode.CREDIT_LINE_MISSING)
        if permit.max_uses is not None and self.uses is None:
            unmet.add(ReasonCode.USES_NOT_COUNTED)
        elif permit.max_uses is not None:
            others = [key for grant, key in self.uses or () if grant == permit.id and key != self.query["key"]]
            if len(others) >= permit.max_uses:
                unmet.add(ReasonCode.USES_EXHAUSTED)
        return unmet

    def _tell_cover(self, usable: list[Grant]) -> None:
        self.found |= {(ReasonCode.LICENSED, permit.id) for permit in usable if self._shared(permit)}
        until = self.start
        while True:
            further = max(
                (self._term(p)[1] for p in usable if self._term(p)[0] <= until < self._term(p)[1]), default=until
            )
            if further == until:
                break
            until = further
        if until != FUTURE and until - self.now <= WITHIN:
            self.found |= {(ReasonCode.LICENCE_ENDING, p.id) for p in usable if p.end_at == until}

    def _look_for_releases(self, cell: Cell, clearing: list[Grant]) -> None:
        if cell[0] in ("internal", "editorial") or self.query["action"] not in ("publish", "distribute", "derive"):
            return
        seen = (
            (Release.MODEL, "people_detected", "model_release", "MR-LMR", ReasonCode.MODEL_RELEASE_MISSING),
            (Release.PROPERTY, "property_detected", "property_release", "PR-LPR", ReasonCode.PROPERTY_RELEASE_MISSING),
        )
        for release, detected, claim, limited, code in seen:
            shown = self.query[detected] or (self.query[claim] or "").endswith(limited)
            if shown and self._holes([grant for grant in clearing if release in grant.releases]):
                self.found.add((code, None))

    def _next_change(self) -> datetime | None:
        moments = {self.query["expires_at"], self.query["expires_at"] and self.query["expires_at"] - WITHIN}
        for grant in {g.id + g.source: g for c in self._cells() for g in self.grants if self._speaks(g, c)}.values():
            moments |= {grant.start_at, grant.end_at, grant.embargo_at}
            if grant.end_at and grant.effect is Effect.PERMIT and self._ours(grant) and self._rank(grant):
                moments.add(grant.end_at - WITHIN)
        return min((moment for moment in moments if moment is not None and moment > self.now), default=None)


CODES = ("DE", "AT", "CH", "DACH")


@dataclass(frozen=True)
class World:
    """A few grants of one collection, uses that are asked for, and uses that are counted."""

    grants: list[Grant]
    queries: list[Query]
    uses: list[tuple[str, str]]


def some_world(draw: Random, name: str = "c") -> World:
    """A random world: two assets of collection `name`, times and their neighbours a few days around now."""
    grants = [_some_grant(draw, name, revision) for revision in range(1, draw.randint(0, 6) + 1)]
    queries = [_some_query(draw, name) for _ in range(draw.randint(1, 4))]
    uses = [(f"{name}-L{draw.randint(1, 3)}", name + draw.choice("abz")) for _ in range(draw.randint(0, 4))]
    return World(grants, queries, uses)


def _some_instant(draw: Random) -> datetime:
    return NOW + timedelta(days=draw.choice((-6, -3, -1, 0, 0, 1, 2, 3, 3, 6))) + draw.choice((0, 0, 0, -1, 1)) * TICK


def _maybe_instant(draw: Random) -> datetime | None:
    return draw.choice((None, _some_instant(draw)))


def _some_grant(draw: Random, name: str, revision: int) -> Grant:
    """Any grant; ids come back in other revisions and sources."""
    moments = {_some_instant(draw), _some_instant(draw), _some_instant(draw), NOW - 9 * TICK, NOW + timedelta(days=9)}
    begin, embargo, end = sorted(draw.sample(sorted(moments), 3))
    common = {
        "id": f"{name}-L{draw.randint(1, 5)}",
        "revision": revision,
        "source": draw.choice([Source.CONTRACT] * 6 + [Source.MANUAL, Source.EMBEDDED]),
        **draw.choice(({"collection": name}, {"collection": name}, {"asset": name + "a"}, {"asset": name + "b"})),
        "actions": draw.choice(("publish", "publish;derive", "publish;ai_train", "ai_train")),
        "channels": draw.choice(("web", "any", "any", "online", "print;internal")),
        "territories": draw.choice((*CODES, "WORLD", "WORLD", "DACH", "DACH", "AT;DE;FR")),
        "excluded_territories": draw.choice(("", "", "FR", "US")),
        "start": draw.choice((None, begin)),
        "end": draw.choice((None, end, end)),
        "licensee": draw.choice((None,) * 7 + ("acme", "zenith")),
    }
    if draw.randint(0, 4) == 0:
        return Grant(effect="prohibit", **common)
    return Grant(
        effect="permit",
        embargo=draw.choice((None, None, embargo)),
        exclusive=common["licensee"] is not None and draw.choice((False, True)),
        credit_line=draw.choice((None, None, None, "Foto:  A")),
        max_uses=draw.choice((None, None, None, 1, 2)),
        releases=draw.choice(("", "model", "model;property")),
        **common,
    )


SILENT = {
    "embedded_status": "none",
    "embedded_prohibits": [],
    "embedded_conflicts": [],
    **dict.fromkeys(("expires_at", "model_release", "property_release", "people_detected", "property_detected")),
}
"""A file that says nothing of itself."""


def _some_query(draw: Random, name: str) -> Query:
    """Any use; every other one is of a file that says nothing, so that grants alone decide."""
    query = {
        "version_id": draw.randint(1, 9),
        "key": name + draw.choice("ab"),
        "collection": name,
        "kind": "image",
        "action": draw.choice(("publish", "publish", "publish", "ai_train")),
        "channel": draw.choice(("web",) * 6 + ("online", "internal", "wbe")),
        "territories": [draw.choice((*CODES * 2, "DE", "AT", "UK")) for _ in range(draw.choice((0, 1, 1, 1, 2, 2)))],
        "licensee": draw.choice((None, None, "acme")),
        "from_at": _maybe_instant(draw),
        "until_at": _maybe_instant(draw),
        "embedded_status": draw.choice(("none", "read", "read", "read", "unparsed")),
        "embedded_prohibits": draw.choice(([], [], [], [], ["publish"], ["ai_train", "strange"])),
        "embedded_conflicts": draw.choice(([], [], [], [], ["creator"])),
        "expires_at": draw.choice((None, None, _some_instant(draw))),
        "model_release": draw.choice((None, None, "MR-UMR", "http://ns.useplus.org/ldf/vocab/MR-LMR", "MR-X")),
        "property_release": draw.choice((None, None, None, "PR-NON", "PR-LPR")),
        "people_detected": draw.choice((None, None, False, True)),
        "property_detected": draw.choice((None, None, None, True)),
        "credit_line": draw.choice((None, "foto: a / agency", "x")),
    }
    return query | draw.choice(({}, SILENT))


WORLDS = st.randoms(use_true_random=False).map(some_world)


def frame_of(queries: list[Query]) -> pl.DataFrame:
    """The queries with their declared types."""
    return pl.DataFrame(queries, schema={**QUERY_SCHEMA, **OPTIONAL})


def uses_of(uses: list[tuple[str, str]] | None) -> pl.DataFrame | None:
    """Counted uses as a frame."""
    schema = {"grant_id": pl.String, "key": pl.String}
    return None if uses is None else pl.DataFrame(uses, schema=schema, orient="row")


def clearances(queries: list[Query], grants: list[Grant], now: datetime, uses: Any = None) -> list[dict[str, Any]]:
    """What the rights check says."""
    checked = check_rights(frame_of(queries), grants_frame(grants), now, expiring_within=WITHIN, uses=uses_of(uses))
    return checked.to_dicts()


def told(row: dict[str, Any]) -> tuple[str, set[str], list[str], datetime | None]:
    """Of an answer what the reference gives, too."""
    return row["status"], {reason["code"] for reason in row["reasons"]}, row["deciding"], row["next_change_at"]


@settings(max_examples=25, deadline=None)
@given(world=WORLDS)
def test_agrees_with_the_reference(world: World) -> None:
    """Status, reason codes, deciding grants and the next change are those of the plain implementation."""
    for uses in (None, world.uses):
        found = [told(row) for row in clearances(world.queries, world.grants, NOW, uses)]
        assert found == [Reference(query, world.grants, NOW, uses).answer() for query in world.queries]


@pytest.fixture(scope="module")
def many_worlds() -> list[World]:
    """Worlds that are checked in one batch, as each names its own collection, assets and grants."""
    draw = Random(20261201)  # noqa: S311 (a seeded generator of examples is no cryptography)
    return [some_world(draw, f"c{number:04}") for number in range(1000)]


def _batch(worlds: list[World]) -> tuple[list[Query], list[Grant], list[tuple[str, str]]]:
    return (
        [query for world in worlds for query in world.queries],
        [grant for world in worlds for grant in world.grants],
        [use for world in worlds for use in world.uses],
    )


@pytest.mark.parametrize("counted", [True, False])
def test_a_large_batch_agrees_with_the_reference(many_worlds: list[World], counted: bool) -> None:
    """Thousands of uses in one batch are answered as each alone, and every status and reason occurs among them."""
    queries, grants, uses = _batch(many_worlds)
    found = [told(row) for row in clearances(queries, grants, NOW, uses if counted else None)]
    expected = [
        Reference(query, world.grants, NOW, world.uses if counted else None).answer()
        for world in many_worlds
        for query in world.queries
    ]
    wrong = [row for row in zip(queries, found, expected, strict=True) if row[1] != row[2]]
    assert wrong == []
    assert {row[0] for row in found} == set(ClearanceStatus)
    missing = ReasonCode.USES_NOT_COUNTED if counted else ReasonCode.USES_EXHAUSTED
    assert {code for row in found for code in row[1]} == set(ReasonCode) - {missing}


def test_nothing_changes_before_the_next_change(many_worlds: list[World]) -> None:
    """Until `next_change_at` time alone changes neither status nor deciding grants, and it never changes a digest."""
    queries, grants, _ = _batch(many_worlds)
    present = clearances(queries, grants, NOW)
    moments = sorted({row["next_change_at"] for row in present if row["next_change_at"]} | {NOW + timedelta(days=99)})
    for moment in [*moments[::8], moments[-1]]:
        later = clearances(queries, grants, moment - TICK)
        for before, after in zip(present, later, strict=True):
            assert after["digest"] == before["digest"]
            if before["next_change_at"] is None or moment <= before["next_change_at"]:
                assert (after["status"], after["deciding"]) == (before["status"], before["deciding"])


def test_what_is_embedded_never_clears(many_worlds: list[World]) -> None:
    """A file that speaks of its rights never stands better than the same file saying nothing."""
    queries, grants, _ = _batch(many_worlds)
    seen = ("people_detected", "property_detected")
    silenced = [query | SILENT | {name: query[name] for name in seen} for query in queries]
    outside = [grant for grant in grants if grant.source is not Source.EMBEDDED]
    spoken, unspoken = (
        [ClearanceStatus(row["status"]).rank for row in clearances(asked, grants, NOW)] for asked in (queries, silenced)
    )
    alone = [ClearanceStatus(row["status"]).rank for row in clearances(queries, outside, NOW)]
    assert all(loud <= quiet for loud, quiet in zip(spoken, unspoken, strict=True))
    assert all(whole <= less for whole, less in zip(spoken, alone, strict=True))


@settings(max_examples=10, deadline=None)
@given(world=WORLDS, seed=st.randoms(use_true_random=False))
def test_order_and_company_do_not_matter(world: World, seed: Random) -> None:
    """A query's answer does not depend on what else is in the batch, nor on the order of grants."""
    shuffled = list(world.grants)
    seed.shuffle(shuffled)
    alone = [clearances([query], shuffled, NOW)[0] for query in world.queries]
    assert clearances(world.queries, world.grants, NOW) == alone


def test_a_prohibition_for_all_leaves_nothing_cleared(many_worlds: list[World]) -> None:
    """Whatever is permitted, a prohibition of the same use blocks it."""
    queries, grants, _ = _batch(many_worlds)
    common = {"effect": "prohibit", "actions": "publish;ai_train", "channels": "any", "territories": "WORLD"}
    stops = [Grant(id=f"P-{name}", collection=name, **common) for name in {query["collection"] for query in queries}]
    for query, row in zip(queries, clearances(queries, [*grants, *stops], NOW), strict=True):
        known = query["channel"] in CHANNELS and any(code in TERRITORIES for code in query["territories"])
        assert not known or ClearanceStatus(row["status"]).rank <= ClearanceStatus.RESTRICTED.rank
