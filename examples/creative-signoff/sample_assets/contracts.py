"""The contracts table that belongs to the samples; its dates count from the day of the demo, to keep their meaning."""

from __future__ import annotations

import csv
from collections.abc import Iterator, Mapping
from datetime import date, timedelta
from io import StringIO

from sample_assets.house_rights import AGENCY_CREDIT
from sample_assets.manifest import Feature, Recipe

COLUMNS = (
    "id",
    "effect",
    "asset",
    "collection",
    "actions",
    "channels",
    "territories",
    "timezone",
    "start",
    "end",
    "embargo",
    "credit_line",
    "releases",
    "evidence_sha256",
)

FRAME_AGREEMENT = "legal/contracts/agency-x-frame-agreement.pdf"
"""The contract behind the agency's licences: its SHA-256 is their evidence."""

_FREE_PHOTOGRAPHS = {
    "campaigns/spring/hero/dahlia.jpg": "vultilion, CC BY 2.0",
    "campaigns/spring/hero/palace-garden.jpg": "danielbuechele, CC BY 2.0",
}
_USE = "publish;ai_infer"
_WITHOUT_METADATA = (".md", ".txt", ".docx", ".mp4", ".wav")
"""Files that cannot carry a credit line, so that the contract does not ask for one."""

Row = Mapping[str, str]


def contracts_csv(recipes: list[Recipe], today: date, evidence_sha256: str) -> bytes:
    """Give the table as CSV: a row for each licensed asset, and one for each collection that is licensed as a whole."""
    out = StringIO()
    writer = csv.DictWriter(out, COLUMNS, restval="", lineterminator="\n")
    writer.writeheader()
    writer.writerows(_collections(today))
    licensed = [one for one in recipes if Feature.NO_CONTRACT not in one.features]
    for number, one in enumerate(sorted(licensed, key=lambda one: one.key), start=1):
        writer.writerows(_asset(one, number, today, evidence_sha256))
    return out.getvalue().encode()


def _collections(today: date) -> Iterator[Row]:
    house = {"effect": "permit", "actions": _USE, "territories": "WORLD", "timezone": "Europe/Berlin"}
    opening = today + timedelta(days=21)
    yield {**house, "id": "NL-PRESS", "collection": "press", "channels": "editorial;web"}
    yield {**house, "id": "NL-CONTRACTS", "collection": "contracts", "channels": "internal", "territories": "DE"}
    yield {**house, "id": "NL-TEXTS", "collection": "product-texts", "channels": "any"}
    # Nobody may see the summer campaign before six in the morning of its first day.
    yield {
        **house,
        "id": "NL-SUMMER",
        "collection": "summer-campaign",
        "channels": "online",
        "territories": "DACH",
        "embargo": f"{opening}T06:00",
    }


def _asset(one: Recipe, number: int, today: date, evidence_sha256: str) -> Iterator[Row]:
    everywhere = {"asset": one.key, "channels": "any", "territories": "WORLD"}
    house_made = one.key.startswith(("product/", "campaigns/spring/products/"))
    if Feature.AUTOMATIC in one.features:
        return  # their collection is licensed as a whole
    if Feature.PROHIBITED in one.features:
        since = str(today - timedelta(days=40))
        yield {**everywhere, "id": f"NL-{number:03}", "effect": "prohibit", "actions": "publish", "start": since}
    elif one.key in _FREE_PHOTOGRAPHS:
        credit = _FREE_PHOTOGRAPHS[one.key]
        yield {**everywhere, "id": f"CC-{number:03}", "effect": "permit", "actions": _USE, "credit_line": credit}
    elif house_made:
        yield {**everywhere, "id": f"NL-{number:03}", "effect": "permit", "actions": _USE, "releases": "property"}
    elif one.key.startswith("campaigns/spring/"):
        yield _agency_licence(one, number, today, evidence_sha256)
    if Feature.AI_PROHIBITED in one.features:
        forbidden = {"effect": "prohibit", "actions": "ai_infer;ai_train;data_mine"}
        yield {**everywhere, **forbidden, "id": f"AX-{number:03}-AI", "evidence_sha256": evidence_sha256}


def _agency_licence(one: Recipe, number: int, today: date, evidence_sha256: str) -> Row:
    days_left = -10 if Feature.EXPIRED in one.features else 12 if Feature.EXPIRING in one.features else 200
    released = "/portraits/" in one.key and Feature.NO_MODEL_RELEASE not in one.features
    return {
        "id": f"AX-{number:03}",
        "effect": "permit",
        "asset": one.key,
        "actions": _USE,
        "channels": "online",
        "territories": "DE" if Feature.TERRITORY_SHORT in one.features else "DE;AT",
        "timezone": "Europe/Berlin",
        "start": str(today - timedelta(days=90)),
        "end": str(today + timedelta(days=days_left)),
        "credit_line": "" if one.key.endswith(_WITHOUT_METADATA) else AGENCY_CREDIT,
        "releases": "model" if released else "",
        "evidence_sha256": evidence_sha256,
    }
