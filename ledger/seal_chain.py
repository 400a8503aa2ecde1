"""The chain that seals form: which of the objects in a store can be relied on, and what is wrong with the others."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, field

from ledger.seal import BEFORE_THE_FIRST, Seal, StoredSeal, read_seal

Numbered = list[tuple[int, list[Seal]]]
"""Different seals by number, of each number the oldest first."""


@dataclass(frozen=True, slots=True)
class SealChain:
    """The seals that can be relied on, in order, and what is wrong with the rest. `signers` are their public keys."""

    seals: tuple[Seal, ...]
    problems: tuple[str, ...]
    sealed: Mapping[int, str] = field(repr=False)
    """Hash by sequence number of every event that a reliable seal names."""

    @property
    def last(self) -> Seal | None:
        """The newest seal."""
        return self.seals[-1] if self.seals else None

    @property
    def signers(self) -> list[str]:
        """The public keys that signed, in order of first use."""
        return list(dict.fromkeys(seal.public_key for seal in self.seals))


def check_seals(stored: Iterable[StoredSeal], pinned: Collection[str], before: Seal | None = None) -> SealChain:
    """Decide which seals can be relied on when only the public keys in `pinned` are known to be genuine.

    Seals follow one another by number and digest; each is signed by the key of the one before, or by the key that it
    announced, or by a pinned one. A pinned key must have signed at least one of them: the later ones are then vouched
    for by announcements, the earlier ones by digests. Where several seals have one number, those that no pinned key
    leads to are passed over, as anybody can put them there; of the others the longest chain counts (the oldest of two
    as long), and where it forks is a problem. With `before` the seals continue one that is relied on already.
    """
    found, spoilt = _by_number(stored)
    linked = _linked(found, pinned, before)
    vouched = linked if before else _vouched(linked, pinned)
    line = _longest(vouched or linked)
    last = line[-1] if line else before
    relied_on = [*([before] if before else []), *(line if vouched else [])]
    genuine = {*pinned, *(key for seal in relied_on for key in (seal.public_key, seal.key_after))}
    end = last.number if last else 0
    problems = [f"seal {number}: {reason}" for number, reason in sorted(spoilt.items()) if number <= end + 1]
    if vouched:
        problems += _forks(line, linked, vouched, genuine)
    elif line:
        named = ", ".join(dict.fromkeys(seal.public_key for seal in line))
        problems.append(f"no seal was signed with a pinned key; signed was with {named}")
    loose = _loose(found, line, before, genuine, passed=end if relied_on else 0)
    if loose:
        problems.append(f"seal {loose.number}: {_why_loose(loose, line, before, pinned)}")
    seals = tuple(line) if vouched else ()
    sealed = {seal.seq: seal.hash for seal in seals}
    if seals and seals[-1].ledger:
        sealed.setdefault(1, seals[-1].ledger)
    return SealChain(seals, tuple(problems), sealed)


def _by_number(stored: Iterable[StoredSeal]) -> tuple[Numbered, dict[int, str]]:
    """Well signed seals by number, of each the oldest first, and what is wrong where a number has none."""
    found: dict[int, dict[str, Seal]] = {}
    spoilt: dict[int, str] = {}
    for one in stored:
        read = read_seal(one.data)
        if isinstance(read, str):
            spoilt[one.number] = read
        elif read.seal.number != one.number:
            spoilt[one.number] = f"it lies under number {one.number} and says {read.seal.number}"
        elif read.seal.place and one.place and read.seal.place != one.place:
            signed_for = "s3://{}/{}".format(*read.seal.place)
            spoilt[one.number] = f"it was signed for {signed_for}, not for this place"
        else:
            found.setdefault(one.number, {})[read.seal.digest] = read.seal
    for number in spoilt.keys() & found.keys():
        del spoilt[number]
    return [(number, list(found[number].values())) for number in sorted(found)], spoilt


def _linked(found: Numbered, pinned: Collection[str], before: Seal | None) -> dict[str, Seal]:
    """By digest and in order, all seals that hang on the beginning, whoever signed the first of them."""
    linked: dict[str, Seal] = {}
    for _, seals in found:
        for seal in seals:
            if _misfit(seal, linked.get(seal.previous, before), pinned) is None:
                linked[seal.digest] = seal
    return linked


def _vouched(linked: Mapping[str, Seal], pinned: Collection[str]) -> dict[str, Seal]:
    """Those of them that follow a seal of a pinned key, or that one follows."""
    good: set[str] = set()
    for digest, seal in linked.items():
        if seal.public_key in pinned or seal.previous in good:
            good.add(digest)
    for digest in reversed(list(linked)):
        if digest in good:
            good.add(linked[digest].previous)
    return {digest: seal for digest, seal in linked.items() if digest in good}


def _longest(linked: Mapping[str, Seal]) -> list[Seal]:
    """The longest chain; of several the one whose last seal is the oldest."""
    at = max(linked.values(), key=lambda seal: seal.number, default=None)
    line: list[Seal] = []
    while at is not None:
        line.append(at)
        at = linked.get(at.previous)
    return line[::-1]


def _forks(
    line: list[Seal], linked: Mapping[str, Seal], vouched: Mapping[str, Seal], genuine: Collection[str]
) -> list[str]:
    """Where a genuine key signed two seals that follow the same one."""
    rivals = Counter(
        seal.previous for digest, seal in linked.items() if digest in vouched or seal.public_key in genuine
    )
    return [
        f"seal {seal.number}: there are {rivals[seal.previous]} different ones, each well signed"
        for seal in line
        if rivals[seal.previous] > 1
    ]


def _loose(
    found: Numbered, line: list[Seal], before: Seal | None, genuine: Collection[str], *, passed: int
) -> Seal | None:
    """The first genuine seal after number `passed` that hangs on nothing, or one that is next but for its key."""
    last = line[-1] if line else before
    end, digest = (last.number, last.digest) if last else (0, BEFORE_THE_FIRST)
    placed = {seal.digest for seal in line}
    for number, seals in found:
        for seal in seals if number > passed else ():
            is_next = number == end + 1 and seal.previous == digest
            if is_next or (seal.public_key in genuine and seal.digest not in placed):
                return seal
    return None


def _why_loose(seal: Seal, line: list[Seal], before: Seal | None, pinned: Collection[str]) -> str:
    parents = {one.number: one for one in line}
    parent = parents.get(seal.number - 1) or (line[-1] if line else before)
    return _misfit(seal, parent, pinned) or "it does not follow the seal before it"


def _misfit(seal: Seal, before: Seal | None, pinned: Collection[str]) -> str | None:
    expected = before.number + 1 if before else 1
    if seal.number != expected:
        return f"seal {expected} is missing before it"
    if seal.previous != (before.digest if before else BEFORE_THE_FIRST):
        return "it does not follow the seal before it"
    if before is None:
        return None
    if seal.public_key != before.key_after and seal.public_key not in pinned:
        return f"its key {seal.public_key} was announced by no seal before it, and is not pinned"
    if before.ledger not in (None, seal.ledger):
        return "it seals another ledger than the seal before it, or does not say which"
    if seal.seq <= before.seq:
        return "it seals no later event than the seal before it"
    return None
