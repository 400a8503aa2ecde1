"""Territories as a tree: the world, its regions and sub-regions (UN M49), the countries of ISO 3166-1 as leaves.

Next to the tree stand a few groups that contracts name (EU, EEA, DACH, …), by the ISO codes of their members only:
what a state holds overseas under a code of its own (RE, GF, PR, …) is named separately. Groups without an agreed
membership (EMEA, APAC), subdivisions (DE-BY) and codes outside ISO 3166-1 (UK, XK) are unknown, and unknown is
reported: a licence for a place that nobody can find covers nothing.

Sources: ISO 3166-1 alpha-2; UN Statistics Division, M49 standard, with TW, which M49 does not list, under Eastern Asia;
EU membership since 2020, EEA agreement, EFTA convention, Benelux treaty, Helsinki treaty of the Nordic countries.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Final

import polars as pl

WORLD: Final = "WORLD"

_REGIONS: Final = {
    "AFRICA": {
        "NORTHERN_AFRICA": "DZ EG EH LY MA SD TN",
        "EASTERN_AFRICA": "BI DJ ER ET IO KE KM MG MU MW MZ RE RW SC SO SS TF TZ UG YT ZM ZW",
        "MIDDLE_AFRICA": "AO CD CF CG CM GA GQ ST TD",
        "SOUTHERN_AFRICA": "BW LS NA SZ ZA",
        "WESTERN_AFRICA": "BF BJ CI CV GH GM GN GW LR ML MR NE NG SH SL SN TG",
    },
    "AMERICAS": {
        "CARIBBEAN": "AG AI AW BB BL BQ BS CU CW DM DO GD GP HT JM KN KY LC MF MQ MS PR SX TC TT VC VG VI",
        "CENTRAL_AMERICA": "BZ CR GT HN MX NI PA SV",
        "SOUTH_AMERICA": "AR BO BR BV CL CO EC FK GF GS GY PE PY SR UY VE",
        "NORTHERN_AMERICA": "BM CA GL PM US",
    },
    "ASIA": {
        "CENTRAL_ASIA": "KG KZ TJ TM UZ",
        "EASTERN_ASIA": "CN HK JP KP KR MN MO TW",
        "SOUTH_EASTERN_ASIA": "BN ID KH LA MM MY PH SG TH TL VN",
        "SOUTHERN_ASIA": "AF BD BT IN IR LK MV NP PK",
        "WESTERN_ASIA": "AE AM AZ BH CY GE IL IQ JO KW LB OM PS QA SA SY TR YE",
    },
    "EUROPE": {
        "EASTERN_EUROPE": "BG BY CZ HU MD PL RO RU SK UA",
        "NORTHERN_EUROPE": "AX DK EE FI FO GB GG IE IM IS JE LT LV NO SE SJ",
        "SOUTHERN_EUROPE": "AD AL BA ES GI GR HR IT ME MK MT PT RS SI SM VA",
        "WESTERN_EUROPE": "AT BE CH DE FR LI LU MC NL",
    },
    "OCEANIA": {
        "AUSTRALIA_AND_NEW_ZEALAND": "AU CC CX HM NF NZ",
        "MELANESIA": "FJ NC PG SB VU",
        "MICRONESIA": "FM GU KI MH MP NR PW UM",
        "POLYNESIA": "AS CK NU PF PN TK TO TV WF WS",
    },
    "ANTARCTICA": {"ANTARCTIC": "AQ"},
}

_EU: Final = "AT BE BG CY CZ DE DK EE ES FI FR GR HR HU IE IT LT LU LV MT NL PL PT RO SE SI SK"
_GROUPS: Final = {
    "EU": _EU,
    "EEA": _EU + " IS LI NO",
    "EFTA": "CH IS LI NO",
    "DACH": "AT CH DE",
    "BENELUX": "BE LU NL",
    "NORDICS": "AX DK FI FO GL IS NO SE",
}
_LATIN_AMERICA: Final = ("CARIBBEAN", "CENTRAL_AMERICA", "SOUTH_AMERICA")
_USUALLY_MEANT: Final = {"UK": "GB", "EL": "GR", "EUROPEAN_UNION": "EU", "WORLDWIDE": WORLD, "GLOBAL": WORLD}


def _tree() -> dict[str, frozenset[str]]:
    sub_regions = {name: frozenset(codes.split()) for subs in _REGIONS.values() for name, codes in subs.items()}
    regions = {name: frozenset[str]().union(*(sub_regions[sub] for sub in subs)) for name, subs in _REGIONS.items()}
    world = frozenset[str]().union(*regions.values())
    return {
        WORLD: world,
        **regions,
        **sub_regions,
        "LATIN_AMERICA": frozenset[str]().union(*(sub_regions[sub] for sub in _LATIN_AMERICA)),
        **{name: frozenset(codes.split()) for name, codes in _GROUPS.items()},
        **{country: frozenset({country}) for country in sorted(world)},
    }


TERRITORIES: Final[Mapping[str, frozenset[str]]] = MappingProxyType(_tree())
"""Every known code → the countries it stands for; a country stands for itself."""

COUNTRIES: Final = TERRITORIES[WORLD]
"""The 249 officially assigned codes of ISO 3166-1 alpha-2."""

AREAS: Final = tuple(code for code in TERRITORIES if code not in COUNTRIES)
"""Codes that stand for more than a country: the world, regions, sub-regions, groups."""

ALLOWED: Final = (
    "ISO 3166-1 country codes such as DE, WORLD, regions of UN M49 such as EUROPE or WESTERN_EUROPE, "
    f"and the groups {', '.join(_GROUPS)}"
)
"""What a territory may be, in words for a message."""


@dataclass(frozen=True, slots=True)
class Expansion:
    """The countries that a list of codes stands for, and the codes that stand for nothing known, as they were given."""

    countries: frozenset[str]
    unknown: tuple[str, ...]


def expand_territories(include: Iterable[str], exclude: Iterable[str] = ()) -> Expansion:
    """Countries of `include` without those of `exclude`: an exclusion beats an inclusion, whichever is narrower.

    >>> sorted(expand_territories(["DACH", "FR"], ["CH"]).countries)
    ['AT', 'DE', 'FR']
    >>> expand_territories(["DE", "UK"]).unknown
    ('UK',)
    """
    included, unknown_included = _look_up(include)
    excluded, unknown_excluded = _look_up(exclude)
    return Expansion(included - excluded, unknown_included + unknown_excluded)


def territory_code(text: str) -> str:
    """`text` as codes are compared: without outer blanks, in capitals.

    >>> territory_code(" dach ")
    'DACH'
    """
    return text.strip().upper()


def meant_territory(code: str) -> str | None:
    """The code that an unknown one usually means, where that is common knowledge.

    >>> meant_territory("UK")
    'GB'
    """
    return _USUALLY_MEANT.get(code)


def territories_frame() -> pl.DataFrame:
    """One row (`code`, `country`) for each country of each known code, to join with."""
    pairs = [(code, country) for code, countries in TERRITORIES.items() for country in sorted(countries)]
    return pl.DataFrame(pairs, schema={"code": pl.String, "country": pl.String}, orient="row")


def _look_up(codes: Iterable[str]) -> tuple[frozenset[str], tuple[str, ...]]:
    given = [(code, TERRITORIES.get(territory_code(code))) for code in codes]
    known = frozenset[str]().union(*(countries for _, countries in given if countries is not None))
    return known, tuple(code for code, countries in given if countries is None)
