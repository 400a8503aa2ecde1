"""The rights check by hand: rules of the house, one case each, and what a reviewer reads."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import polars as pl
import pytest

from policies.clearance import STATUS_OF, WAIVABLE, ClearanceStatus, ReasonCode
from policies.errors import QueriesInvalid
from policies.facts import CLEARANCES
from policies.grants import Grant, grants_frame
from policies.rights import CLEARANCE_SCHEMA, QUERY_SCHEMA, check_rights, waivable, worst_use
from policies.rights_questions import OPTIONAL

NOW = datetime(2026, 12, 1, 9, tzinfo=UTC)
TICK = timedelta(microseconds=1)
BERLIN = {"timezone": "Europe/Berlin"}
PEOPLE = {"people_detected": True}


def permit(name: str = "L-204", **terms: Any) -> Grant:
    """A licence for web use of the spring collection in Germany and Austria."""
    common = {"effect": "permit", "actions": "publish", "channels": "web", "territories": "DE;AT"}
    where = {} if "asset" in terms else {"collection": "spring"}
    return Grant.model_validate({"id": name, **common, **where, **terms})


def prohibit(name: str = "P-9", **terms: Any) -> Grant:
    """A prohibition of the same use."""
    return permit(name, **{"effect": "prohibit", **terms})


def use(**facts: Any) -> dict[str, Any]:
    """Publishing a picture of the spring collection on the web in Germany and Austria, at this moment."""
    return {
        "version_id": 1,
        "key": "spring/a.jpg",
        "collection": "spring",
        "kind": "image",
        "action": "publish",
        "channel": "web",
        "territories": ["DE", "AT"],
        "embedded_status": "none",
        **facts,
    }


def queries(*uses: dict[str, Any]) -> pl.DataFrame:
    """Uses as the frame that `check_rights` takes."""
    return pl.DataFrame(list(uses), schema={**QUERY_SCHEMA, **OPTIONAL})


def answer(facts: dict[str, Any], *grants: Grant, now: datetime = NOW, **options: Any) -> dict[str, Any]:
    """The clearance of one use."""
    return check_rights(queries(use(**facts)), grants_frame(grants), now, **options).to_dicts()[0]


def at(text: str) -> datetime:
    """An instant in UTC."""
    return datetime.fromisoformat(text).replace(tzinfo=UTC)


LICENSED = ("licensed", "Licence L-204 covers web use in AT, DE without an end")

CASES: list[tuple[str, dict[str, Any], list[Grant], str, list[tuple[str, str]], list[str]]] = [
    ("no grant at all", {}, [], "unknown", [("no_licence", "No licence covers web use in AT, DE")], []),
    ("a permit for the use", {}, [permit()], "cleared", [LICENSED], ["L-204"]),
    (
        "one country is missing",
        {"territories": ["DACH"]},
        [permit()],
        "unknown",
        [("no_licence", "No licence covers web use in CH")],
        [],
    ),
    (
        "an exclusion beats an inclusion",
        {},
        [permit(territories="EU", excluded_territories="AT")],
        "unknown",
        [("no_licence", "No licence covers web use in AT")],
        [],
    ),
    (
        "two licences together",
        {},
        [permit("L-1", territories="DE"), permit("L-2", territories="AT", end="2027-03-12", **BERLIN)],
        "cleared",
        [
            ("licensed", "Licence L-1 covers web use in DE without an end"),
            ("licensed", "Licence L-2 covers web use in AT until 12 March 2027"),
        ],
        ["L-1", "L-2"],
    ),
    (
        "another channel",
        {"channel": "print"},
        [permit()],
        "unknown",
        [("no_licence", "No licence covers print use in AT, DE")],
        [],
    ),
    (
        "a group of channels needs all of them",
        {"channel": "online"},
        [permit(channels="web;social;email")],
        "unknown",
        [("no_licence", "No licence covers app use in AT, DE")],
        [],
    ),
    (
        "another action",
        {"action": "ai_train"},
        [permit()],
        "unknown",
        [("no_licence", "No licence covers AI training in AT, DE")],
        [],
    ),
    (
        "somebody else's licence",
        {"licensee": "acme"},
        [permit(licensee="zenith")],
        "unknown",
        [("no_licence", "No licence covers web use in AT, DE")],
        [],
    ),
    ("the licensee's own licence", {"licensee": "acme"}, [permit(licensee="acme")], "cleared", [LICENSED], ["L-204"]),
    (
        "a licence for one asset, for another",
        {},
        [permit(asset="spring/b.jpg")],
        "unknown",
        [("no_licence", "No licence covers web use in AT, DE")],
        [],
    ),
    (
        "a prohibition alone",
        {},
        [prohibit(territories="AT", end="2027-01-31", **BERLIN)],
        "restricted",
        [
            ("prohibited", "Prohibition P-9 forbids web use in AT until 31 January 2027"),
            ("no_licence", "No licence covers web use in AT, DE"),
        ],
        ["P-9"],
    ),
    (
        "a file's prohibition beats a contract",
        {},
        [permit(), prohibit(source="embedded", territories="AT")],
        "restricted",
        [("prohibited", "Prohibition P-9 forbids web use in AT")],
        ["P-9"],
    ),
    (
        "contract against contract",
        {},
        [permit(), prohibit(territories="AT")],
        "conflict",
        [
            ("contradictory_grants", "Licence L-204 permits web use in AT, and prohibition P-9 forbids it"),
            ("prohibited", "Prohibition P-9 forbids web use in AT"),
        ],
        ["L-204", "P-9"],
    ),
    ("a prohibition elsewhere", {}, [permit(), prohibit(territories="CH")], "cleared", [LICENSED], ["L-204"]),
    ("a prohibition of yesterday", {}, [permit(), prohibit(end="2026-11-30")], "cleared", [LICENSED], ["L-204"]),
    (
        "somebody else's exclusive right",
        {},
        [permit(), permit("L-9", territories="AT", licensee="acme", exclusive=True)],
        "conflict",
        [("exclusivity_clash", "Licence L-9 gives web use in AT to acme alone")],
        ["L-9"],
    ),
    (
        "a file never clears",
        {},
        [permit(source="embedded")],
        "unknown",
        [("no_licence", "No licence covers web use in AT, DE")],
        [],
    ),
    ("a person clears", {}, [permit(source="manual")], "cleared", [LICENSED], ["L-204"]),
    (
        "not yet",
        {},
        [permit(start="2027-02-01", **BERLIN)],
        "embargoed",
        [("not_started", "Licence L-204 starts on 1 February 2027")],
        ["L-204"],
    ),
    (
        "an embargo binds whatever else permits",
        {},
        [permit("L-1"), permit(embargo="2026-12-24", territories="AT", **BERLIN)],
        "embargoed",
        [("under_embargo", "Licence L-204 is under embargo until 24 December 2026")],
        ["L-204"],
    ),
    (
        "over",
        {},
        [permit(end="2026-11-30", **BERLIN)],
        "expired",
        [("licence_ended", "Licence L-204 ended on 30 November 2026")],
        ["L-204"],
    ),
    (
        "over before the use is",
        {"until_at": at("2027-06-30")},
        [permit(end="2027-03-12", **BERLIN)],
        "expired",
        [("ends_too_early", "Licence L-204 ends on 12 March 2027, before the intended use does")],
        ["L-204"],
    ),
    (
        "over before the use begins",
        {"from_at": at("2027-06-01")},
        [permit(end="2027-03-12", **BERLIN)],
        "expired",
        [("ends_too_early", "Licence L-204 ends on 12 March 2027, before the intended use begins")],
        ["L-204"],
    ),
    (
        "a gap between two licences",
        {"until_at": at("2027-12-31")},
        [permit("L-1", end="2027-03-12"), permit("L-2", start="2027-03-14")],
        "embargoed",
        [("not_started", "Licence L-2 starts on 14 March 2027")],
        ["L-2"],
    ),
    (
        "one licence takes over from the other",
        {"until_at": at("2027-12-31")},
        [permit("L-1", end="2027-03-12"), permit("L-2", start="2027-03-13")],
        "cleared",
        [
            ("licensed", "Licence L-1 covers web use in AT, DE until 12 March 2027"),
            ("licensed", "Licence L-2 covers web use in AT, DE without an end"),
        ],
        ["L-1", "L-2"],
    ),
    (
        "about to lapse",
        {},
        [permit(end="2026-12-24", **BERLIN)],
        "expiring",
        [
            ("licence_ending", "Licence L-204 ends on 24 December 2026"),
            ("licensed", "Licence L-204 covers web use in AT, DE until 24 December 2026"),
        ],
        ["L-204"],
    ),
    (
        "about to lapse, and back only after a gap",
        {},
        [permit(end="2026-12-24"), permit("L-2", start="2027-06-01")],
        "expiring",
        [
            ("licence_ending", "Licence L-204 ends on 24 December 2026"),
            ("licensed", "Licence L-204 covers web use in AT, DE until 24 December 2026"),
        ],
        ["L-204"],
    ),
    (
        "the use ends with the licence, whatever begins later",
        {"until_at": at("2027-03-13")},
        [permit(end="2027-03-12"), permit("L-2", start="2027-06-01")],
        "cleared",
        [("licensed", "Licence L-204 covers web use in AT, DE until 12 March 2027")],
        ["L-204"],
    ),
    (
        "a prohibition that follows a permit contradicts nothing",
        {"until_at": at("2027-12-31")},
        [permit(end="2027-03-12"), prohibit(start="2027-03-13")],
        "restricted",
        [
            ("prohibited", "Prohibition P-9 forbids web use in AT, DE"),
            ("ends_too_early", "Licence L-204 ends on 12 March 2027, before the intended use does"),
        ],
        ["P-9"],
    ),
    (
        "an instant is told in the source's time",
        {},
        [permit(end="2026-12-24T12:00", **BERLIN), permit("L-3", start="2026-12-20")],
        "cleared",
        [("licensed", "Licence L-204 covers web use in AT, DE until 24 December 2026 at 12:00 (Europe/Berlin)")],
        ["L-204"],
    ),
    (
        "a duty that the file does not keep",
        {"credit_line": "A. Berg"},
        [permit(credit_line="Foto: A. Berg")],
        "restricted",
        [
            (
                "credit_line_missing",
                "Licence L-204 asks for the credit line “Foto: A. Berg”, which the file does not carry",
            )
        ],
        ["L-204"],
    ),
    (
        "a duty kept",
        {"credit_line": "foto:  a. berg / Agentur"},
        [permit(credit_line="Foto: A. Berg")],
        "cleared",
        [LICENSED],
        ["L-204"],
    ),
    (
        "another licence without the duty",
        {},
        [permit("L-1", credit_line="Foto: A. Berg"), permit()],
        "cleared",
        [LICENSED],
        ["L-204"],
    ),
    (
        "uses that nobody counts",
        {},
        [permit(max_uses=3)],
        "unknown",
        [("uses_not_counted", "Licence L-204 allows 3 uses, and its uses are not counted")],
        ["L-204"],
    ),
    (
        "people without a release",
        PEOPLE,
        [permit()],
        "restricted",
        [("model_release_missing", "People can be recognised, and no model release covers web use in AT, DE")],
        [],
    ),
    ("people with the licence's release", PEOPLE, [permit(releases="model")], "cleared", [LICENSED], ["L-204"]),
    (
        "people with a release for one country",
        PEOPLE,
        [permit(), permit("L-2", releases="model", territories="DE")],
        "restricted",
        [("model_release_missing", "People can be recognised, and no model release covers web use in AT")],
        [],
    ),
    (
        "a release that only the file claims",
        {**PEOPLE, "embedded_status": "read", "model_release": "http://ns.useplus.org/ldf/vocab/MR-UMR"},
        [permit()],
        "restricted",
        [
            (
                "model_release_missing",
                "People can be recognised, and no model release covers web use in AT, DE; "
                "the file claims one, which a contract or a person has to confirm",
            )
        ],
        [],
    ),
    (
        "people in editorial use",
        {**PEOPLE, "channel": "editorial"},
        [permit(channels="any")],
        "cleared",
        [("licensed", "Licence L-204 covers editorial use in AT, DE without an end")],
        ["L-204"],
    ),
    (
        "limited property releases",
        {"embedded_status": "read", "property_release": "PR-LPR"},
        [permit()],
        "restricted",
        [
            (
                "property_release_missing",
                "Property can be recognised, and no property release covers web use in AT, DE; "
                "the file says that its releases are limited or incomplete",
            )
        ],
        [],
    ),
    (
        "metadata against metadata",
        {"embedded_status": "read", "embedded_conflicts": ["credit_line", "creator"]},
        [permit()],
        "conflict",
        [("metadata_conflict", "The file's XMP and IPTC metadata disagree on creator, credit_line")],
        [],
    ),
    (
        "metadata that nobody could read",
        {"embedded_status": "unparsed"},
        [permit()],
        "unknown",
        [("metadata_unparsed", "The file carries rights metadata that could not be read")],
        [],
    ),
    (
        "the file forbids AI training",
        {"action": "ai_train", "embedded_status": "read", "embedded_prohibits": ["ai_train", "data_mine"]},
        [permit(actions="ai_train")],
        "restricted",
        [("prohibited_by_file", "The file's own metadata forbids AI training")],
        [],
    ),
    (
        "the file forbids what nobody knows",
        {"embedded_status": "read", "embedded_prohibits": ["xyz", "ai_train"]},
        [permit()],
        "unknown",
        [("unknown_code", "The file's own metadata forbids xyz, which is no action that is known here")],
        [],
    ),
    (
        "the file has expired",
        {"embedded_status": "read", "expires_at": at("2026-11-30T23:00")},
        [permit()],
        "expired",
        [("file_expired", "By the file's own metadata its licence ended on 30 November 2026 at 23:00 (UTC)")],
        [],
    ),
    (
        "the file is about to expire",
        {"embedded_status": "read", "expires_at": at("2026-12-05T23:00")},
        [permit()],
        "expiring",
        [
            ("file_expiring", "By the file's own metadata its licence ends on 5 December 2026 at 23:00 (UTC)"),
            LICENSED,
        ],
        [],
    ),
    (
        "unknown codes",
        {"territories": ["DE", "UK"], "channel": "wbe", "action": "pubish"},
        [permit()],
        "unknown",
        [
            ("unknown_code", "UK is no territory that is known here"),
            (
                "unknown_code",
                "pubish is no action that is known here; known are publish, distribute, derive, archive, ai_infer, "
                "ai_train, data_mine",
            ),
            (
                "unknown_code",
                "wbe is no channel that is known here; known are any, online, offline, web, social, email, app, "
                "print, outdoor, broadcast, retail, events, editorial, internal",
            ),
        ],
        [],
    ),
    (
        "no territory",
        {"territories": []},
        [permit()],
        "unknown",
        [("unknown_code", "The intended use names no territory")],
        [],
    ),
    (
        "everywhere",
        {"territories": ["WORLD"]},
        [permit(territories="WORLD", excluded_territories="EUROPE;ASIA;AFRICA;OCEANIA;AMERICAS")],
        "unknown",
        [("no_licence", "No licence covers web use in AD, AE, AF, AG, AI, AL, AM, AO, AR, AS, AT, AU and 236 more")],
        [],
    ),
]


@pytest.mark.parametrize(
    ("facts", "grants", "status", "reasons", "deciding"), [case[1:] for case in CASES], ids=[case[0] for case in CASES]
)
def test_rules_of_the_house(
    facts: dict[str, Any], grants: list[Grant], status: str, reasons: list[tuple[str, str]], deciding: list[str]
) -> None:
    """Each rule gives its status, its reasons in words, and the grants behind it."""
    found = answer(facts, *grants)
    told = [(reason["code"], reason["text"]) for reason in found["reasons"]]
    assert (found["status"], told, found["deciding"]) == (status, reasons, deciding)


def test_all_cases_agree_in_one_batch() -> None:
    """Cases in one batch, each with its own collection, are answered as alone."""
    rows, grants = [], []
    for number, (_, facts, terms, *_rest) in enumerate(CASES):
        rows.append(use(**{**facts, "version_id": number, "collection": f"c{number}", "key": f"{number}/a.jpg"}))
        for grant in terms:
            where = {"asset": f"{number}/b.jpg"} if grant.asset else {"collection": f"c{number}"}
            grants.append(grant.model_copy(update={"id": f"{number}:{grant.id}", **where}))
    found = check_rights(queries(*rows), grants_frame(grants), NOW)
    assert found.schema == CLEARANCE_SCHEMA
    assert found["version_id"].to_list() == list(range(len(CASES)))
    assert found["status"].to_list() == [case[3] for case in CASES]


@pytest.mark.parametrize(
    ("now", "status", "next_change"),
    [
        ("2026-12-31T22:59:59.999999", "embargoed", "2026-12-31T23:00"),
        ("2026-12-31T23:00", "cleared", "2027-02-10T23:00"),
        ("2027-02-10T22:59:59.999999", "cleared", "2027-02-10T23:00"),
        ("2027-02-10T23:00", "expiring", "2027-03-12T23:00"),
        ("2027-03-12T22:59:59.999999", "expiring", "2027-03-12T23:00"),
        ("2027-03-12T23:00", "expired", None),
    ],
)
def test_days_begin_and_end_in_the_source_time_zone(now: str, status: str, next_change: str | None) -> None:
    """A licence from 1 January to 12 March in Berlin holds from the first microsecond to the last of those days."""
    licence = permit(start="2027-01-01", end="2027-03-12", **BERLIN)
    found = answer({}, licence, now=at(now))
    assert (found["status"], found["next_change_at"]) == (status, next_change and at(next_change))


def test_expiring_window_is_an_argument() -> None:
    """A licence lapses soon or not, by what soon means."""
    licence = permit(end="2026-12-24T09:00")
    soon = [answer({}, licence, expiring_within=timedelta(days=23, microseconds=us))["status"] for us in (-1, 0)]
    assert soon == ["cleared", "expiring"]


def test_maximum_uses_counts_other_assets() -> None:
    """Uses by other assets exhaust a licence, the asset's own use does not."""
    uses = pl.DataFrame({"grant_id": ["L-204"] * 2 + ["L-1"], "key": ["spring/a.jpg", "spring/b.jpg", "spring/c.jpg"]})
    assert answer({}, permit(max_uses=2), uses=uses)["status"] == "cleared"
    found = answer({"key": "spring/z.jpg"}, permit(max_uses=2), uses=uses)
    assert (found["status"], found["reasons"]) == (
        "restricted",
        [{"code": "uses_exhausted", "text": "Licence L-204 allows 2 uses, and all of them are taken"}],
    )


def test_digest_changes_when_and_only_when_the_basis_does() -> None:
    """Time, order and grants that do not speak of the use leave a digest alone; a term or an embedded fact does not."""
    base = answer({}, permit(), permit("L-2", end="2020-01-01"))["digest"]
    assert len(base) == 64
    same = [
        answer({}, permit("L-2", end="2020-01-01"), permit())["digest"],
        answer({}, permit(), permit("L-2", end="2020-01-01"), now=NOW + timedelta(days=999))["digest"],
        answer({}, permit(), permit("L-2", end="2020-01-01"), prohibit(territories="CH"))["digest"],
        answer({"version_id": 7, "until_at": at("2026-12-02")}, permit(), permit("L-2", end="2020-01-01"))["digest"],
    ]
    assert same == [base] * 4
    other = [
        answer({}, permit())["digest"],
        answer({}, permit(revision=2), permit("L-2", end="2020-01-01"))["digest"],
        answer({}, permit(end="2030-01-01"), permit("L-2", end="2020-01-01"))["digest"],
        *(
            answer(facts, permit(), permit("L-2", end="2020-01-01"))["digest"]
            for facts in (
                {"embedded_status": "read"},
                {"credit_line": "-"},
                {"credit_line": "x"},
                {"embedded_prohibits": ["ab", "c"]},
                {"embedded_prohibits": ["a", "bc"]},
                {"embedded_conflicts": ["ab", "c"]},
                {"people_detected": False},
                {"expires_at": at("2030-01-01")},
                {"model_release": "MR-UMR"},
                {"property_release": "MR-UMR"},
            )
        ),
    ]
    assert len({base, *other}) == len(other) + 1


def test_a_higher_revision_replaces_the_lower() -> None:
    """Of one id the latest revision alone counts, wherever it stands in the file."""
    assert answer({}, permit(revision=2, territories="FR"), permit(revision=1))["status"] == "unknown"
    assert answer({}, permit(revision=1, territories="FR"), permit(revision=2))["status"] == "cleared"


def test_worst_use_folds_the_uses_of_a_version() -> None:
    """A version stands as its worst use; a single use stays as it is."""
    rows = [use(), use(channel="print"), use(version_id=2), use(version_id=2, territories=["DE"])]
    frame = check_rights(queries(*rows), grants_frame([permit(end="2027-06-30")]), NOW)
    first, second = worst_use(frame).to_dicts()
    assert [first[name] for name in ("version_id", "status", "reasons", "deciding", "next_change_at")] == [
        1,
        "unknown",
        [{"code": "no_licence", "text": "No licence covers print use in AT, DE"}],
        [],
        at("2027-06-01"),
    ]
    assert first["digest"] not in frame["digest"].to_list()
    assert [second[name] for name in ("version_id", "status", "deciding")] == [2, "cleared", ["L-204"]]
    assert [reason["text"] for reason in second["reasons"]] == [
        "Licence L-204 covers web use in AT, DE until 30 June 2027",
        "Licence L-204 covers web use in DE until 30 June 2027",
    ]
    single = frame.filter(pl.int_range(pl.len()) == 0)
    assert worst_use(single).equals(single)
    assert worst_use(frame.clear()).equals(frame.clear())


def test_empty_batches() -> None:
    """No uses give no rows; no grants give the default."""
    assert check_rights(queries().clear(), grants_frame([permit()]), NOW).equals(pl.DataFrame(schema=CLEARANCE_SCHEMA))
    assert check_rights(queries(use()), grants_frame([]), NOW)["status"].to_list() == ["unknown"]


def test_wrong_frames_are_refused() -> None:
    """A naive clock, a missing column and a wrong type are told as what they are."""
    frame, grants = queries(use()), grants_frame([])
    with pytest.raises(QueriesInvalid, match="without a time zone"):
        check_rights(frame, grants, datetime(2026, 12, 1))  # noqa: DTZ001 (the point of the test)
    with pytest.raises(QueriesInvalid, match="lacks channel, licensee"):
        check_rights(frame.drop("channel", "licensee"), grants, NOW)
    with pytest.raises(QueriesInvalid, match="query column version_id has type String, declared is Int64"):
        check_rights(frame.cast({"version_id": pl.String}), grants, NOW)


def test_statuses_are_those_of_the_facts_worst_first() -> None:
    """The order of statuses is the declared one, and every reason has one."""
    assert tuple(ClearanceStatus) == CLEARANCES
    assert [status.rank for status in ClearanceStatus] == list(range(7))
    assert set(STATUS_OF) == set(ReasonCode)
    ranks = [STATUS_OF[code].rank for code in ReasonCode]
    assert ranks == sorted(ranks)


@pytest.mark.parametrize("code", list(ReasonCode))
def test_waivers(code: ReasonCode) -> None:
    """Unknown, and a missing release or duty, can be waived; nothing else, and nothing beside something else."""
    expected = code in {
        *("no_licence", "uses_not_counted", "unknown_code", "metadata_unparsed"),
        *("credit_line_missing", "model_release_missing", "property_release_missing"),
    }
    status = STATUS_OF[code]
    assert waivable(status, [code]) is expected
    assert waivable(status, [code, "licence_ending"]) is expected
    assert waivable(status, [code, "something later"]) is False
    assert (code in WAIVABLE) is expected
    assert waivable("restricted", ["model_release_missing", code]) is (expected or status.rank >= 5)
    assert waivable(status, []) is False
