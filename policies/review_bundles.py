"""Which open gates share a review: equal stage, collection, policy, terms and eligible people, up to a size."""

from __future__ import annotations

from collections.abc import Hashable, Iterable, Mapping
from typing import Protocol, TypeVar


class Bundled(Protocol):
    """What is asked of a gate here."""

    @property
    def stage(self) -> str:
        """Name of its stage."""
        ...

    @property
    def collection(self) -> str:
        """Collection of its version."""
        ...

    @property
    def policy_sha256(self) -> str:
        """Policy that its version is pinned to."""
        ...

    @property
    def quorum(self) -> int:
        """Approvals that it needs."""
        ...

    @property
    def signature(self) -> str:
        """Signature that it wants."""
        ...

    @property
    def rights(self) -> str:
        """What its version's rights ask of a decision."""
        ...

    @property
    def eligible(self) -> Hashable:
        """Who may decide, and for whom."""
        ...


G = TypeVar("G", bound=Bundled)


def bundle_gates(gates: Iterable[G], sizes: Mapping[str, int], *, only_full: bool = False) -> list[list[G]]:
    """Bundle gates into reviews, in the order they come; `sizes` gives the largest review by policy SHA-256.

    Gates of one review have the same terms, so that one answer means the same for each of its assets. With `only_full`
    a bundle that more gates may still join is left out.
    """
    bundles: dict[Hashable, list[list[G]]] = {}
    for gate in gates:
        of_gate = (gate.stage, gate.quorum, gate.signature, gate.eligible)
        terms = (gate.collection, gate.policy_sha256, gate.rights, *of_gate)
        of_terms = bundles.setdefault(terms, [])
        if not of_terms or len(of_terms[-1]) >= sizes[gate.policy_sha256]:
            of_terms.append([])
        of_terms[-1].append(gate)
    return [
        bundle
        for of_terms in bundles.values()
        for bundle in of_terms
        if not only_full or len(bundle) >= sizes[bundle[0].policy_sha256]
    ]
