"""The sample intake: the same day gives the same bytes, and every special case that is promised is really there."""

from __future__ import annotations

import hashlib
import importlib.util
import os
import subprocess
import sys
import unicodedata
from collections.abc import Callable
from datetime import UTC, date, datetime
from pathlib import Path
from types import ModuleType
from typing import Any

import polars as pl
import pytest

from classifiers.inspection import Inspection
from classifiers.sandbox import Sandbox
from policies.document import PolicyDocument, collection_for, load_policy
from policies.facts import FACTS_SCHEMA
from policies.grants import grants_frame, parse_grants
from policies.rights import QUERY_SCHEMA, check_rights
from policies.roster import load_roster, undefined_groups, unreachable_quorums
from policies.routing import route_versions

EXAMPLE = Path(__file__).resolve().parents[2] / "examples" / "creative-signoff"
TODAY = date(2026, 11, 24)
NOW = datetime(2026, 11, 24, 9, 0, tzinfo=UTC)

BLOCKED = {
    "a second version follows": "cleared",
    "no contract covers it": "unknown",
    "under embargo": "embargoed",
    "the licence has ended": "expired",
    "the licence ends soon": "expiring",
    "licensed for only one of two countries": "unknown",
    "a contract forbids the use": "restricted",
    "the credit line that the contract asks for is missing": "restricted",
    "the file itself says that its rights have ended": "expired",
    "its two forms of metadata contradict each other": "conflict",
}
"""Feature → what the rights check says; whatever has none of these is cleared."""


@pytest.fixture(scope="module")
def maker() -> ModuleType:
    """The generator, loaded by its path as the demo loads it."""
    spec = importlib.util.spec_from_file_location("make_assets", EXAMPLE / "make_assets.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture(scope="module")
def manifest(maker: ModuleType, tmp_path_factory: pytest.TempPathFactory) -> Any:
    """The samples of one day."""
    return maker.make_assets(tmp_path_factory.mktemp("samples"), TODAY)


@pytest.fixture(scope="module")
def policy() -> PolicyDocument:
    """The policy of the example."""
    return load_policy((EXAMPLE / "policy.yaml").read_text(), "policy.yaml")


@pytest.fixture(scope="module")
def inspections(manifest: Any) -> dict[str, Inspection]:
    """What inspection finds in each sample, by key."""
    with Sandbox() as sandbox:
        found = sandbox.inspect([(sample.path, sample.key) for sample in manifest.intake])
    return {sample.key: inspection for sample, inspection in zip(manifest.intake, found, strict=True)}


@pytest.fixture(scope="module")
def clearances(manifest: Any, inspections: dict[str, Inspection], policy: PolicyDocument) -> dict[str, str]:
    """What the rights check says of each sample on the day, by key."""
    grants = grants_frame(parse_grants(manifest.contracts.read_bytes(), "contracts.csv"))
    asked = [_query(number, key, found, policy) for number, (key, found) in enumerate(inspections.items())]
    answers = check_rights(pl.DataFrame(asked, schema=QUERY_SCHEMA), grants, NOW)
    return dict(zip(inspections, answers.get_column("status"), strict=True))


def _query(number: int, key: str, found: Inspection, policy: PolicyDocument) -> dict[str, object]:
    collection, embedded = collection_for(policy, key), found.embedded
    (use,) = collection.use
    return {
        "version_id": number,
        "key": key,
        "collection": collection.name,
        "kind": str(found.kind),
        "action": use.action,
        "channel": use.channel,
        "territories": list(use.territory),
        "embedded_status": str(embedded.status),
        "embedded_prohibits": list(embedded.prohibits),
        "embedded_conflicts": list(embedded.conflicts),
        "expires_at": embedded.expires_at,
        "model_release": embedded.model_release,
        "property_release": embedded.property_release,
        "people_detected": found.people_detected,
        "credit_line": embedded.credit_line,
    }


def _keys(manifest: Any, *features: str) -> set[str]:
    return {sample.key for sample in manifest.intake if sample.features & set(features)}


def _sha256s(folder: Path) -> dict[str, str]:
    files = sorted(path for path in folder.rglob("*") if path.is_file())
    return {str(path.relative_to(folder)): hashlib.sha256(path.read_bytes()).hexdigest() for path in files}


def test_the_same_day_gives_the_same_bytes(manifest: Any, tmp_path: Path) -> None:
    """A second process, with another hash seed, writes exactly the same files."""
    script = [sys.executable, str(EXAMPLE / "make_assets.py"), str(tmp_path / "again"), "--today", TODAY.isoformat()]
    said = subprocess.run(
        script, env={**os.environ, "PYTHONHASHSEED": "7"}, capture_output=True, text=True, timeout=240, check=True
    )
    assert _sha256s(tmp_path / "again") == _sha256s(manifest.contracts.parent)
    assert f"{len(manifest.intake)} files, {len(manifest.replacements)} replacements" in said.stdout


def test_the_intake_is_large_enough_and_fits_everywhere(manifest: Any) -> None:
    """There are many files of every kind, small in all, under keys that S3 and a file system take."""
    keys = [sample.key for sample in manifest.intake]
    assert len(keys) == len(set(keys)) >= 60
    assert sum(sample.path.stat().st_size for sample in manifest.intake) < 12_000_000
    assert max(len(key.encode()) for key in keys) <= 1024
    assert max(len(part.encode()) for key in keys for part in key.split("/")) <= 255
    assert all(sample.path == manifest.contracts.parent / "intake" / sample.key for sample in manifest.intake)
    assert all(sample.purpose for sample in manifest.intake)


def test_every_feature_is_shown(manifest: Any) -> None:
    """Each special case that the manifest knows has at least one sample."""
    from sample_assets.manifest import Feature  # type: ignore[import-not-found]  # beside the generator

    assert {feature for sample in manifest.intake for feature in sample.features} == set(Feature)


def test_kinds_are_what_they_look_like(inspections: dict[str, Inspection]) -> None:
    """Inspection reads everything but what is broken on purpose, and finds every kind of content."""
    assert {str(found.kind) for found in inspections.values()} == {"image", "document", "text", "video", "audio"}
    pages = {key: found.pages for key, found in inspections.items() if key.endswith(".pdf")}
    assert pages == {
        "press/releases/spring-collection.pdf": 2,
        "press/releases/design-award.pdf": 1,
        "press/kit/brochure.pdf": 4,
        "legal/contracts/agency-x-frame-agreement.pdf": 3,
        "legal/contracts/model-release-amelie.pdf": 1,
    }
    for key in ("press/kit/fact-sheet.docx", "press/kit/collection-deck.pptx", "product/price-list.xlsx"):
        assert inspections[key].text, key
    assert inspections["campaigns/spring/video/spring-teaser.mp4"].duration_s == pytest.approx(3.0, abs=0.1)
    assert inspections["campaigns/spring/audio/spring-jingle.wav"].duration_s == pytest.approx(2.5, abs=0.1)


def test_broken_and_lying_files_are_found(manifest: Any, inspections: dict[str, Inspection]) -> None:
    """The upload that was cut off cannot be read, and two names lie about their type; nothing else does."""
    broken = {key for key, found in inspections.items() if found.failure}
    assert broken == _keys(manifest, "cut off in the middle") == {"product/home/candle-cedar.jpg"}
    lying = {key: found.media_type for key, found in inspections.items() if found.type_mismatch}
    assert lying == {"product/scent/mint.jpg": "text/html", "product/accessories/notebook-clay.jpg": "image/png"}


def test_duplicates_are_exact_and_near(manifest: Any, inspections: dict[str, Inspection]) -> None:
    """One pair has the same bytes, another pair only looks the same."""
    by_bytes: dict[str, set[str]] = {}
    for key, found in inspections.items():
        by_bytes.setdefault(found.sha256, set()).add(key)
    same = [keys for keys in by_bytes.values() if len(keys) > 1]
    assert same == [{"product/tableware/mug-terracotta.jpg", "campaigns/spring/products/mug-terracotta.jpg"}]
    assert same == [_keys(manifest, "the same bytes under another key")]
    first, second = (
        inspections[key].perceptual_hash
        for key in ("product/pantry/rosemary-oil.jpg", "campaigns/spring/products/rosemary-oil-web.jpg")
    )
    assert first is not None
    assert second is not None
    assert (int(first, 16) ^ int(second, 16)).bit_count() <= 31


@pytest.mark.parametrize(
    "claim",
    [
        pytest.param(lambda key: " " in key and "(" in key, id="spaces"),
        pytest.param(lambda key: "🎉" in key, id="emoji"),
        pytest.param(lambda key: "%" in key and "+" in key, id="percent and plus"),
        pytest.param(lambda key: "#" in key and "?" in key and "'" in key, id="hash and question mark"),
        pytest.param(lambda key: "%2e%2e%2f" in key, id="looks encoded"),
        pytest.param(lambda key: unicodedata.normalize("NFC", key) != key, id="NFD"),
        pytest.param(lambda key: len(key.encode()) > 900, id="long"),
    ],
)
def test_odd_keys_are_there(manifest: Any, claim: Callable[[str], bool]) -> None:
    """Each sort of odd key that an upload can bring is in the intake."""
    assert any(claim(sample.key) for sample in manifest.intake)


def test_names_that_look_the_same_are_two_assets(manifest: Any) -> None:
    """A key in NFC and one in NFD stand beside each other, with different bytes."""
    looks = [sample for sample in manifest.intake if "Zoë" in unicodedata.normalize("NFC", sample.key)]
    assert len({sample.key for sample in looks}) == 2
    assert len({unicodedata.normalize("NFC", sample.key) for sample in looks}) == 1
    assert len({sample.path.read_bytes() for sample in looks}) == 2


def test_embedded_rights_say_what_was_promised(inspections: dict[str, Inspection]) -> None:
    """Releases, prohibitions, an expiry and a contradiction are found by an independent reader."""
    root = "campaigns/spring"
    amelie = inspections[f"{root}/portraits/potter-amelie.jpg"].embedded
    assert (amelie.creator, amelie.credit_line) == ("Noor El-Sayed", "Noor El-Sayed / Agency X")
    assert amelie.copyright_notice == "© 2026 Noor El-Sayed, Agency X"
    assert (amelie.model_release, amelie.prohibits) == ("MR-UMR", ())
    assert inspections[f"{root}/portraits/gardener-idris.jpg"].embedded.prohibits == ("ai_train", "data_mine")
    assert inspections[f"{root}/portraits/baker-henning.jpg"].embedded.model_release == "MR-NON"
    ended = inspections[f"{root}/hero/valley-archive.jpg"].embedded.expires_at
    assert ended is not None
    assert ended.date() == date(2026, 11, 4)
    assert inspections[f"{root}/hero/ridge-evening.jpg"].embedded.conflicts == ("credit_line",)
    assert inspections["press/releases/spring-collection.pdf"].embedded.credit_line == "nordlicht"
    assert inspections["press/charts/visitors.png"].embedded.credit_line == "nordlicht"


def test_contracts_clear_all_but_the_special_ones(manifest: Any, clearances: dict[str, str]) -> None:
    """Each sample has exactly the clearance that it is there to show, and most are cleared."""
    expected = {
        sample.key: next((BLOCKED[feature] for feature in sample.features if feature in BLOCKED), "cleared")
        for sample in manifest.intake
    }
    assert clearances == expected
    assert list(clearances.values()).count("cleared") > len(clearances) / 2


def test_contracts_keep_their_meaning_on_another_day(maker: ModuleType) -> None:
    """Dates of the contracts move with the day of the demo, over a leap day too."""
    from sample_assets.campaign_assets import spring_assets  # type: ignore[import-not-found]  # beside the generator
    from sample_assets.contracts import contracts_csv  # type: ignore[import-not-found]

    leap_day = date(2028, 2, 29)
    table = contracts_csv(list(spring_assets(leap_day)), leap_day, "0" * 64)
    ends = {grant.asset: grant.end for grant in parse_grants(table, "contracts.csv")}
    assert ends["campaigns/spring/hero/alps-noon.jpg"] == date(2028, 2, 19)
    assert ends["campaigns/spring/hero/coast-noon.jpg"] == date(2028, 3, 12)
    assert ends["campaigns/spring/hero/meadow-morning.jpg"] == date(2028, 9, 16)


def test_policy_and_roster_belong_together(policy: PolicyDocument) -> None:
    """The roster has every group that the policy names, with enough people for every quorum."""
    roster = load_roster((EXAMPLE / "roster.yaml").read_text(), "roster.yaml")
    assert undefined_groups(policy, roster) == []
    assert unreachable_quorums(policy, roster) == []
    assert "lea" in {person.handle for person in roster.people}


def test_first_ingest_has_every_outcome(
    manifest: Any, inspections: dict[str, Inspection], clearances: dict[str, str], policy: PolicyDocument
) -> None:
    """An automatic rule fires at once, what cannot be trusted is quarantined, all else has a gate."""
    facts = pl.DataFrame(
        [
            _facts(number, key, found, clearances[key], policy)
            for number, (key, found) in enumerate(inspections.items())
        ],
        schema=FACTS_SCHEMA,
    )
    routes = dict(zip(inspections, route_versions(facts, policy).iter_rows(named=True), strict=True))
    automatic = {key for key, route in routes.items() if route["outcome"] == "automatic"}
    assert automatic == _keys(manifest, "an automatic rule of the policy approves it")
    quarantined = {key for key, route in routes.items() if route["outcome"] == "quarantine"}
    assert quarantined == _keys(manifest, "cut off in the middle", "not the type its name says")
    assert all(route["gates"] for route in routes.values() if route["outcome"] == "review")
    assert {gate["stage"] for route in routes.values() for gate in route["gates"]} == {"brand", "legal", "editor"}


def _facts(number: int, key: str, found: Inspection, clearance: str, policy: PolicyDocument) -> dict[str, object]:
    collection = collection_for(policy, key)
    return {
        "version_id": number,
        "sha256": found.sha256,
        "key": key,
        "collection": collection.name,
        "submitter": collection.submitter,
        "version": 1,
        "kind": str(found.kind),
        "media_type": found.media_type,
        "type_mismatch": found.type_mismatch,
        "size": found.size_bytes,
        "inspection_failed": found.failure is not None,
        "label": None if found.kind in ("video", "audio") else "other",
        "clearance": clearance,
        "clearance_reasons": [],
        "duplicate_of_published": False,
    }


def test_replacements_are_other_bytes_of_the_same_keys(manifest: Any, inspections: dict[str, Inspection]) -> None:
    """Each file to be uploaded later replaces a sample and differs from it; all of them can be read."""
    with Sandbox() as sandbox:
        later = sandbox.inspect([(sample.path, sample.key) for sample in manifest.replacements])
    assert [found.failure for found in later] == [None] * 3
    assert {sample.key for sample in manifest.replacements} <= set(inspections)
    for sample, found in zip(manifest.replacements, later, strict=True):
        assert found.sha256 != inspections[sample.key].sha256
    assert _keys(manifest, "a second version follows") <= {sample.key for sample in manifest.replacements}
