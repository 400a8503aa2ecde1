"""Bring the facts of a batch together in one frame and route it by the policy."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import polars as pl

from classifiers.inspection import Inspection
from classifiers.media_types import is_mismatch, media_type_of_name
from ledger.gates import GateTerms
from ledger.held import overrides_of
from ledger.reader import Unscreened, copies_of, perceptual_hashes
from ledger.screen import Screened, VerdictRecord
from policies.document import PolicyDocument
from policies.facts import FACTS_SCHEMA
from policies.routing import OVERRIDES_SCHEMA, route_versions
from tasks.check_rights import Clearance, collection_of
from tasks.resources import Resources

NEAR_BITS = 31
"""Hamming distance of two 256-bit PDQ hashes at which pictures look alike (the threshold of the PDQ paper)."""

_HASH_WORDS = 4
_BLOCK = 256


@dataclass(frozen=True, slots=True)
class Screening:
    """Everything that screening found about one version."""

    version: Unscreened
    inspection: Inspection
    verdict: VerdictRecord | None
    abstention: str | None
    clearance: Clearance


def route_contents(resources: Resources, screenings: Sequence[Screening], policy: PolicyDocument) -> list[Screened]:
    """Decide for each version: quarantine, automatic approval by a rule, or review by which gates."""
    if not screenings:
        return []
    facts = _facts(resources, screenings)
    with resources.ledger.reading() as connection:
        released = overrides_of(connection, (one.version.version_id for one in screenings))
    overridden = pl.DataFrame(released, schema=OVERRIDES_SCHEMA, orient="row") if released else None
    routes = route_versions(pl.DataFrame(facts, schema=FACTS_SCHEMA), policy, overridden)
    return [
        _screened(one, fact, route, policy)
        for one, fact, route in zip(screenings, facts, routes.iter_rows(named=True), strict=True)
    ]


def _facts(resources: Resources, screenings: Sequence[Screening]) -> list[dict[str, Any]]:
    with resources.ledger.reading() as connection:
        copies = copies_of(connection, (one.version.sha256 for one in screenings))
        seen = perceptual_hashes(connection)
    alike = near_duplicates([(one.inspection.perceptual_hash, one.version.key) for one in screenings], seen)
    twins: dict[str, list[Any]] = {}
    for row in copies:
        twins.setdefault(row.sha256, []).append(row)
    return [_fact(one, twins.get(one.version.sha256, []), alike.get(one.version.key)) for one in screenings]


def _fact(one: Screening, twins: Sequence[Any], alike: str | None) -> dict[str, Any]:
    version, seen, verdict = one.version, one.inspection, one.verdict
    others = [row for row in twins if row.key != version.key]
    earlier = [row.key for row in others if row.version_id < version.version_id]
    return {
        "version_id": version.version_id,
        "sha256": version.sha256,
        "key": version.key,
        "collection": version.collection,
        "submitter": version.submitter,
        "version": version.number,
        "kind": str(seen.kind),
        "media_type": seen.media_type,
        "type_mismatch": is_mismatch(seen.media_type, media_type_of_name(version.key)),
        "size": version.size_bytes,
        "width": seen.width,
        "height": seen.height,
        "pages": seen.pages,
        "duration": seen.duration_s,
        "inspection_failed": seen.failure is not None,
        "label": verdict.label if verdict else None,
        "score": verdict.score if verdict else None,
        "margin": verdict.margin if verdict else None,
        "second_label": verdict.second_label if verdict else None,
        "risk": verdict.risk if verdict else None,
        "unsafe_score": None,
        "language": seen.language,
        "clearance": one.clearance.status,
        "clearance_reasons": list(one.clearance.codes),
        "duplicate_of": earlier[0] if earlier else None,
        "duplicate_of_published": any(row.state == "published" for row in others),
        "near_duplicate_of": None if earlier else alike,
        "people_detected": seen.people_detected,
    }


def _screened(one: Screening, fact: dict[str, Any], route: Mapping[str, Any], policy: PolicyDocument) -> Screened:
    verdict = one.verdict
    failure = one.inspection.failure if fact["inspection_failed"] else None
    return Screened(
        version_id=one.version.version_id,
        round=one.version.round,
        policy_sha256=one.version.policy_sha256,
        kind=fact["kind"],
        clearance=fact["clearance"],
        facts={**fact, "failure": failure, "abstained": verdict.abstained if verdict else one.abstention},
        explanation=route["explanation"],
        outcome=route["outcome"],
        rule=_why_quarantined(fact, route["rule"], failure) if route["outcome"] == "quarantine" else route["rule"],
        gates=tuple(
            GateTerms(
                stage=gate["stage"],
                step=gate["step"],
                quorum=gate["quorum"],
                four_eyes=policy.approval.four_eyes,
                signature=gate["signature"],
                reviewers=gate["reviewers"],
                owner=collection_of(policy, one.version.collection, one.version.key).owner,
            )
            for gate in route["gates"]
        ),
        label=fact["label"],
        score=fact["score"],
        verdict_key=(
            (verdict.sha256, verdict.classifier, verdict.model, verdict.revision, verdict.label_set)
            if verdict
            else None
        ),
    )


def _why_quarantined(fact: Mapping[str, Any], rule: str, failure: str | None) -> str:
    """The rule that quarantined a version, and what was found, for the people who have to look at it."""
    found = [failure] if failure else []
    if fact["type_mismatch"]:
        found.append(f"the content is {fact['media_type']}, the name says {media_type_of_name(fact['key'])}")
    return ": ".join([rule, "; ".join(found)] if found else [rule])


def near_duplicates(fresh: Sequence[tuple[str | None, str]], seen: Sequence[tuple[str, str, int]]) -> dict[str, str]:
    """Key → key of the oldest other asset that looks alike, for each of `fresh` that has one.

    `fresh` are (hash, key), `seen` (hash, key, asset id), oldest first; hashes are 256 bits in hex. Distances of a
    block of hashes against all are counted at once: 256 × 20,000 in about 10 ms.
    """
    asked = [(digest, key) for digest, key in fresh if digest]
    if not asked or not seen:
        return {}
    known = _words([digest for digest, _, _ in seen])
    found: dict[str, str] = {}
    for start in range(0, len(asked), _BLOCK):
        block = asked[start : start + _BLOCK]
        ours = _words([digest for digest, _ in block])
        distances = np.bitwise_count(ours[:, None, :] ^ known[None, :, :]).sum(axis=2, dtype=np.uint16)
        for row, column in np.argwhere(distances <= NEAR_BITS):
            key, other = block[row][1], seen[column][1]
            if key != other:
                found.setdefault(key, other)
    return found


def _words(digests: Sequence[str]) -> np.ndarray[Any, np.dtype[np.uint64]]:
    """Shape (n, 4), uint64: each 256-bit hash as four words."""
    raw = bytes.fromhex("".join(digests))
    return np.frombuffer(raw, dtype=np.uint64).reshape(len(digests), _HASH_WORDS)
