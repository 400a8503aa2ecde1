"""Territories: the tree is whole, groups are what they say, unknown codes are reported."""

from __future__ import annotations

from importlib.resources import files

import pytest

from policies.territories import (
    AREAS,
    COUNTRIES,
    TERRITORIES,
    WORLD,
    Expansion,
    expand_territories,
    meant_territory,
    territories_frame,
)

REGIONS = ("AFRICA", "AMERICAS", "ASIA", "EUROPE", "OCEANIA", "ANTARCTICA")


def test_countries_are_those_of_iso_3166() -> None:
    """The leaves are the codes that the time zone database keeps, which follows ISO 3166-1."""
    table = files("tzdata").joinpath("zoneinfo", "iso3166.tab").read_text(encoding="utf-8")
    listed = {line.split("\t")[0] for line in table.splitlines() if line and not line.startswith("#")}
    assert listed == COUNTRIES
    assert len(COUNTRIES) == 249


def test_regions_part_the_world() -> None:
    """Every country is in exactly one region, and regions are exactly their sub-regions."""
    assert sorted(country for region in REGIONS for country in TERRITORIES[region]) == sorted(COUNTRIES)
    others = {WORLD, *REGIONS, "LATIN_AMERICA", "EU", "EEA", "EFTA", "DACH", "BENELUX", "NORDICS"}
    parts = [area for area in AREAS if area not in others]
    assert sorted(country for part in parts for country in TERRITORIES[part]) == sorted(COUNTRIES)
    assert all(any(TERRITORIES[part] <= TERRITORIES[region] for region in REGIONS) for part in parts)


@pytest.mark.parametrize(
    ("code", "countries"),
    [
        ("DACH", "AT CH DE"),
        ("BENELUX", "BE LU NL"),
        ("EFTA", "CH IS LI NO"),
        ("NORDICS", "AX DK FI FO GL IS NO SE"),
        ("EU", "AT BE BG CY CZ DE DK EE ES FI FR GR HR HU IE IT LT LU LV MT NL PL PT RO SE SI SK"),
        ("NORTHERN_AMERICA", "BM CA GL PM US"),
        ("DE", "DE"),
    ],
)
def test_code_stands_for_its_countries(code: str, countries: str) -> None:
    """A group stands for its members, a country for itself."""
    assert sorted(TERRITORIES[code]) == countries.split()


def test_eea_is_eu_and_three() -> None:
    """The EEA adds Iceland, Liechtenstein and Norway, not Switzerland."""
    assert TERRITORIES["EEA"] - TERRITORIES["EU"] == {"IS", "LI", "NO"}
    assert len(TERRITORIES["EU"]) == 27


@pytest.mark.parametrize(
    ("include", "exclude", "expected"),
    [
        (["DACH"], ["CH"], Expansion(frozenset({"AT", "DE"}), ())),
        (["CH"], ["DACH"], Expansion(frozenset(), ())),
        ([" de ", "At"], [], Expansion(frozenset({"AT", "DE"}), ())),
        (["DE", "UK", "DE-BY"], ["XX"], Expansion(frozenset({"DE"}), ("UK", "DE-BY", "XX"))),
        ([], [], Expansion(frozenset(), ())),
        ([""], [], Expansion(frozenset(), ("",))),
    ],
)
def test_exclusions_beat_inclusions(include: list[str], exclude: list[str], expected: Expansion) -> None:
    """An exclusion wins whichever is narrower, and what nobody knows is reported as it was given."""
    assert expand_territories(include, exclude) == expected


def test_frame_holds_the_same_tree() -> None:
    """The frame to join with has each country of each code once."""
    pairs = [(code, country) for code in TERRITORIES for country in sorted(TERRITORIES[code])]
    assert territories_frame().rows() == pairs
    assert len(set(pairs)) == len(pairs)


def test_common_slips_have_a_right_word() -> None:
    """What people write for a known code is known, anything else is not guessed."""
    assert {slip: meant_territory(slip) for slip in ("UK", "EL", "WORLDWIDE", "XX")} == {
        "UK": "GB",
        "EL": "GR",
        "WORLDWIDE": "WORLD",
        "XX": None,
    }
