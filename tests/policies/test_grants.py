"""Contracts tables: what is read, and that a bad one is refused as a whole with everything that is wrong."""

from __future__ import annotations

import io
import pickle
from datetime import UTC, date, datetime
from typing import Any

import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from policies.errors import DocumentInvalid, GrantsInvalid, Problem
from policies.grant import WHEN_ALLOWED
from policies.grants import GRANTS_SCHEMA, Effect, Grant, Release, Source, grants_frame, parse_grants
from policies.territories import ALLOWED

HEADER = "id,effect,collection,actions,channels,territories"
TERMS: dict[str, Any] = {
    "id": "L-1",
    "effect": "permit",
    "collection": "spring",
    "actions": "publish",
    "channels": "web",
    "territories": "DE",
}


def problems(table: str | bytes) -> list[Problem]:
    """Everything wrong with a table."""
    with pytest.raises(GrantsInvalid) as refused:
        parse_grants(table if isinstance(table, bytes) else table.encode(), "contracts.csv")
    return list(refused.value.problems)


def problem(line: int, field: str, value: str, allowed: str, nearest: str | None = None) -> Problem:
    """A problem of the table in these tests."""
    return Problem("contracts.csv", line, field, value, allowed, nearest)


def test_csv_row_becomes_a_grant() -> None:
    """Every column is read; blanks, case and the mark of a spreadsheet do not matter."""
    table = (
        "\ufeffid,revision,effect,asset,collection,actions,channels,territories,excluded_territories,timezone,start,end,"
        "embargo,licensee,exclusive,credit_line,releases,max_uses,evidence_sha256\r\n"
        f"L-204,3,permit, spring/a.jpg ,,publish; Distribute,Online,eu ; ch,AT,Europe/Berlin,2026-01-01,2027-03-12,"
        f'2026-02-01T06:00,acme,yes,"Foto: A. Berg, Agentur",model;property,5,{"ab" * 32}\r\n'
    )
    assert parse_grants(table.encode(), "contracts.csv") == [
        Grant(
            id="L-204",
            revision=3,
            source=Source.CONTRACT,
            effect=Effect.PERMIT,
            asset="spring/a.jpg",
            actions=("distribute", "publish"),
            channels=("online",),
            territories=("CH", "EU"),
            excluded_territories=("AT",),
            timezone="Europe/Berlin",
            start=date(2026, 1, 1),
            end=date(2027, 3, 12),
            embargo=datetime(2026, 2, 1, 6, 0),  # noqa: DTZ001 (as it stands in the source, in its zone)
            licensee="acme",
            exclusive=True,
            credit_line="Foto: A. Berg, Agentur",
            releases=(Release.MODEL, Release.PROPERTY),
            max_uses=5,
            evidence_sha256="ab" * 32,
        )
    ]


def test_parquet_says_the_same_as_csv() -> None:
    """Lists, dates and instants of Parquet are the words, dates and instants of CSV; empty is not given."""
    rows = {
        **{name: ["L-1", "L-2"] for name in ("id",)},
        "effect": ["permit", "prohibit"],
        "collection": ["spring", None],
        "asset": [None, "a.jpg"],
        "actions": [["publish", "derive"], ["publish"]],
        "channels": [["web"], ["any"]],
        "territories": [["DE", "AT"], ["WORLD"]],
        "start": [date(2026, 1, 1), None],
        "embargo": [datetime(2026, 1, 2, tzinfo=UTC), None],
        "max_uses": [3, None],
    }
    data = io.BytesIO()
    pl.DataFrame(rows).write_parquet(data)
    table = (
        "id,effect,collection,asset,actions,channels,territories,start,embargo,max_uses\n"
        "L-1,permit,spring,,publish;derive,web,DE;AT,2026-01-01,2026-01-02T00:00+00:00,3\n"
        "L-2,prohibit,,a.jpg,publish,any,WORLD,,,\n"
    )
    assert parse_grants(data.getvalue(), "c.parquet") == parse_grants(table.encode(), "c.csv")


def test_source_is_the_callers() -> None:
    """Who imports says where grants come from; a table cannot."""
    row = f"{HEADER}\nL-1,permit,spring,publish,web,DE\n"
    assert [grant.source for grant in parse_grants(row.encode(), "people.csv", Source.MANUAL)] == [Source.MANUAL]
    assert problems(f"{HEADER},source\nL-1,permit,spring,publish,web,DE,manual\n")[0].field == "source"


def test_header_alone_is_an_empty_table() -> None:
    """A table without rows has no grants, which is not wrong."""
    assert parse_grants(HEADER.encode(), "contracts.csv") == []


def test_every_problem_is_listed_with_its_line() -> None:
    """One bad cell refuses the file, and nobody has to try twice to learn of the next one."""
    table = (
        f"{HEADER},end,max_uses\n"
        "L-1,permit,spring,publish,web,DE,,\n"
        "\n"
        'L-2,permti,spring,"publish;\npubish",web,UK,12.3.2027,0\n'
        "L-1,permit,spring,publish,web,DE,,\n"
        "L-3,permit\n"
        ",permit,,publish,,DE,,\n"
    )
    actions = "publish, distribute, derive, archive, ai_infer, ai_train, data_mine"
    assert problems(table) == [
        problem(4, "effect", "'permti'", "permit, prohibit", "permit"),
        problem(4, "actions", "'pubish'", actions, "publish"),
        problem(4, "territories", "'UK'", ALLOWED, "GB"),
        problem(4, "end", "'12.3.2027'", WHEN_ALLOWED),
        problem(4, "max_uses", "'0'", "Input should be greater than or equal to 1"),
        problem(6, "id", "'L-1' revision 1, which line 2 has already", "each id once in each revision"),
        problem(7, "row", "2 cells", "8, as in the header"),
        problem(8, "id", "nothing", "a value; this cell must be filled"),
        problem(8, "collection", "neither an asset nor a collection", "exactly one of the two"),
        problem(8, "channels", "nothing", "a value; this cell must be filled"),
    ]


@pytest.mark.parametrize(
    ("table", "line", "field", "value"),
    [
        (b"", 1, "file", "nothing"),
        (b"\n \n", 1, "file", "nothing"),
        (b"id,effect\nL\xfc,permit\n", 2, "file", "the byte 0xfc"),
        (b'id,effect\n\n"L-1,permit\n', 3, "row", "unexpected end of data"),
        (b"PAR1 and nothing else", 1, "file", None),
        (b"id,id,effect,actions,channels,territories\n", 1, "id", "the column twice"),
        (b"id,effect,actions,channels\n", 1, "territories", "no such column"),
        (b"id,efect,effect,actions,channels,territories\n", 1, "efect", "the unknown column 'efect'"),
        (b"id,,effect,actions,channels,territories\n", 1, "header", "the unknown column ''"),
    ],
)
def test_files_that_are_no_table(table: bytes, line: int, field: str, value: str | None) -> None:
    """What is no table at all, or has the wrong columns, is refused before its rows are read."""
    (found,) = problems(table)
    assert (found.file, found.line, found.field) == ("contracts.csv", line, field)
    assert value is None or found.value == value


@pytest.mark.parametrize(
    ("terms", "field", "allowed"),
    [
        ({"asset": "a.jpg"}, "collection", "exactly one of the two"),
        ({"collection": None}, "collection", "exactly one of the two"),
        ({"start": "2026-01-02", "end": "2026-01-01"}, "end", "a time after the start"),
        ({"end": "2026-01-01", "embargo": "2026-01-02"}, "embargo", "a time before the end"),
        ({"exclusive": True}, "exclusive", "a licensee, to whom the right belongs alone"),
        ({"effect": "prohibit", "max_uses": 1}, "max_uses", "nothing: a prohibition has none"),
        ({"effect": "prohibit", "embargo": "2026-01-01"}, "embargo", "nothing: a prohibition has none"),
        ({"effect": "prohibit", "credit_line": "x"}, "credit_line", "nothing: a prohibition has none"),
        ({"effect": "prohibit", "releases": "model"}, "releases", "nothing: a prohibition has none"),
        ({"excluded_territories": "DACH"}, "excluded_territories", "exclusions that leave at least one country"),
        ({"timezone": "Europe/Brelin"}, "timezone", "an IANA time zone such as Europe/Berlin"),
        ({"timezone": "../etc/passwd"}, "timezone", "an IANA time zone such as Europe/Berlin"),
        ({"end": "9999-12-31"}, "end", "from 1900 to 2999; empty means no limit"),
        ({"channels": "web;wbe"}, "channels", "any, online, offline, web"),
        ({"territories": ";"}, "territories", "at least 1 item"),
        ({"releases": "people"}, "releases", "model, property"),
        ({"revision": 0}, "revision", "greater than or equal to 1"),
        ({"evidence_sha256": "abc"}, "evidence_sha256", "match pattern"),
        ({"notes": "x"}, "notes", "Extra inputs are not permitted"),
    ],
)
def test_terms_that_make_no_sense(terms: dict[str, Any], field: str, allowed: str) -> None:
    """A grant that contradicts itself is refused at the field that does it."""
    with pytest.raises(ValidationError) as refused:
        Grant.model_validate({**TERMS, **terms})
    assert [error["loc"][0] for error in refused.value.errors()] == [field]
    assert allowed in refused.value.errors()[0]["msg"]


@pytest.mark.parametrize(
    ("zone", "day", "start_at", "end_at"),
    [
        ("UTC", "2027-03-12", "2027-03-12T00:00", "2027-03-13T00:00"),
        ("Europe/Berlin", "2027-03-12", "2027-03-11T23:00", "2027-03-12T23:00"),
        ("Europe/Berlin", "2027-03-28", "2027-03-27T23:00", "2027-03-28T22:00"),  # 23 hours: summer time begins
        ("Europe/Berlin", "2027-10-31", "2027-10-30T22:00", "2027-10-31T23:00"),  # 25 hours: it ends
        ("Pacific/Auckland", "2027-01-01", "2026-12-31T11:00", "2027-01-01T11:00"),
        ("America/Santiago", "2024-09-08", "2024-09-08T04:00", "2024-09-09T03:00"),  # a day without a midnight
    ],
)
def test_a_day_is_a_day_of_the_source(zone: str, day: str, start_at: str, end_at: str) -> None:
    """A date-only start is the beginning of that day where the contract lives, a date-only end the end of it."""
    grant = Grant.model_validate({**TERMS, "timezone": zone, "start": day, "end": day, "embargo": day})
    instants = [datetime.fromisoformat(text).replace(tzinfo=UTC) for text in (start_at, end_at, start_at)]
    assert [grant.start_at, grant.end_at, grant.embargo_at] == instants


def test_an_instant_is_that_instant() -> None:
    """A time with an offset stands for itself; without one it is a time of the source's zone."""
    terms = {**TERMS, "timezone": "Europe/Berlin", "start": "2027-03-12T18:00", "end": "2027-03-12T18:00-05:00"}
    grant = Grant.model_validate(terms)
    assert grant.start_at == datetime(2027, 3, 12, 17, tzinfo=UTC)
    assert grant.end_at == datetime(2027, 3, 12, 23, tzinfo=UTC)
    assert Grant.model_validate(TERMS).end_at is None


TIMES = st.datetimes(
    datetime(1950, 1, 1),  # noqa: DTZ001 (bounds are naive)
    datetime(2500, 1, 1),  # noqa: DTZ001
    timezones=st.none() | st.just(UTC),
)
WHENS = st.none() | st.dates(date(1950, 1, 1), date(2500, 1, 1)) | TIMES


@given(
    start=WHENS, embargo=WHENS, zone=st.sampled_from(["UTC", "Europe/Berlin", "America/Sao_Paulo", "Asia/Kathmandu"])
)
def test_grants_survive_json(start: Any, embargo: Any, zone: str) -> None:
    """What the ledger keeps of a grant is the grant, with the same digest."""
    grant = Grant.model_validate({**TERMS, "timezone": zone, "start": start, "embargo": embargo})
    again = Grant.model_validate_json(grant.model_dump_json())
    assert (again, again.sha256()) == (grant, grant.sha256())
    assert (again.start_at, again.embargo_at) == (grant.start_at, grant.embargo_at)


def test_digest_knows_every_term() -> None:
    """Any other term gives another digest."""
    terms = {
        "id": "L-2",
        "revision": 2,
        "source": "manual",
        "collection": "autumn",
        "actions": "derive",
        "channels": "print",
        "territories": "AT",
        "timezone": "Europe/Berlin",
        "start": "2026-01-01",
        "end": "2026-01-01",
        "embargo": "2026-01-01",
        "licensee": "acme",
        "credit_line": "x",
        "releases": "model",
        "max_uses": 1,
        "evidence_sha256": "ab" * 32,
        "effect": "prohibit",
    }
    digests = {Grant.model_validate({**TERMS, name: value}).sha256() for name, value in terms.items()}
    assert len(digests | {Grant.model_validate(TERMS).sha256()}) == len(terms) + 1


def test_frame_has_one_row_a_grant_that_counts() -> None:
    """The frame spells out channels, countries, instants and words; lower revisions are gone, sources apart."""
    old = Grant.model_validate({**TERMS, "territories": "FR"})
    new = Grant.model_validate(
        {
            **TERMS,
            "revision": 2,
            "channels": "online",
            "territories": "DACH",
            "excluded_territories": "CH",
            "timezone": "Europe/Berlin",
            "start": "2026-01-01",
            "end": "2027-03-12T12:00",
            "releases": "model",
        }
    )
    manual = Grant.model_validate({**TERMS, "source": "manual", "effect": "prohibit"})
    frame = grants_frame([new, old, manual])
    assert frame.schema == GRANTS_SCHEMA
    first, second = frame.to_dicts()
    assert first == {
        "grant_id": "L-1",
        "source": "contract",
        "effect": "permit",
        "asset": None,
        "collection": "spring",
        "actions": ["publish"],
        "channels": ["app", "email", "social", "web"],
        "countries": "AT DE",
        "licensee": None,
        "exclusive": False,
        "credit_line": None,
        "releases": ["model"],
        "max_uses": None,
        "start_at": datetime(2025, 12, 31, 23, tzinfo=UTC),
        "end_at": datetime(2027, 3, 12, 11, tzinfo=UTC),
        "embargo_at": None,
        "start_text": "1 January 2026",
        "end_text": "12 March 2027 at 12:00 (Europe/Berlin)",
        "embargo_text": None,
        "sha256": new.sha256(),
    }
    assert (second["source"], second["effect"], second["countries"]) == ("manual", "prohibit", "DE")
    assert grants_frame([]).equals(pl.DataFrame(schema=GRANTS_SCHEMA))


def test_refusal_reads_line_by_line_and_survives_pickling() -> None:
    """The message of a refusal is its problems, one a line, also after a trip between processes."""
    with pytest.raises(DocumentInvalid) as refused:
        parse_grants(f"{HEADER}\nL-1,permti,spring,publish,web,DE\n".encode(), "contracts.csv")
    said = "contracts.csv:2: effect: found 'permti'; allowed: permit, prohibit; did you mean 'permit'?"
    assert str(refused.value) == said
    assert str(pickle.loads(pickle.dumps(refused.value))) == said  # noqa: S301 (our own bytes)
