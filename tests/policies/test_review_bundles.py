"""Which gates share a review."""

from __future__ import annotations

from dataclasses import dataclass, replace

import pytest

from policies.review_bundles import bundle_gates


@dataclass(frozen=True)
class Gate:
    """A gate as bundling sees it."""

    number: int
    stage: str = "brand"
    collection: str = "spring"
    policy_sha256: str = "p"
    quorum: int = 1
    signature: str = "none"
    rights: str = ""
    eligible: tuple[tuple[int, int], ...] = ((1, 1), (2, 2))


def numbers(bundles: list[list[Gate]]) -> list[list[int]]:
    """What is in each bundle."""
    return [[gate.number for gate in bundle] for bundle in bundles]


def test_gates_fill_reviews_in_the_order_they_come() -> None:
    """Seven gates of equal terms in reviews of three: two full ones and what is left."""
    assert numbers(bundle_gates([Gate(n) for n in range(7)], {"p": 3})) == [[0, 1, 2], [3, 4, 5], [6]]


def test_only_full_reviews_are_made_while_more_may_come() -> None:
    """What is not full yet is left out, whatever its terms."""
    gates = [Gate(n) for n in range(7)] + [Gate(7, stage="legal")]
    assert numbers(bundle_gates(gates, {"p": 3}, only_full=True)) == [[0, 1, 2], [3, 4, 5]]
    assert bundle_gates([], {"p": 3}, only_full=True) == []


@pytest.mark.parametrize(
    "other",
    [
        replace(Gate(1), stage="legal"),
        replace(Gate(1), collection="autumn"),
        replace(Gate(1), policy_sha256="q"),
        replace(Gate(1), quorum=2),
        replace(Gate(1), signature="totp"),
        replace(Gate(1), rights="waive"),
        replace(Gate(1), eligible=((1, 1),)),
    ],
    ids=lambda gate: next(name for name in gate.__dict__ if getattr(gate, name) != getattr(Gate(1), name)),
)
def test_gates_of_other_terms_never_share_a_review(other: Gate) -> None:
    """One answer must mean the same for every asset of a review."""
    assert numbers(bundle_gates([Gate(0), other, Gate(2)], {"p": 3, "q": 3})) == [[0, 2], [1]]
