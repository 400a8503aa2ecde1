"""Prove of a policy what must hold of every one, or find the version of which it does not.

Each claim is asked on its own. What needs no search is decided directly (ladders, groups, the lifecycle); what depends
on predicates is asked of a solver over every version there can be, so that "proved" means no version at all.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Final

from policies import approval_claims, archive_claims, route_claims, waiting_claims
from policies.claims import Claim, ClaimResult, CounterExample
from policies.document import PolicyDocument, read_policy
from policies.errors import PolicyInvalid, Problem, ProofUndecided, RosterInvalid
from policies.language_claims import claim_of, in_other_words
from policies.proof import Proof, in_order
from policies.roster import RosterDocument, load_roster, undefined_groups

_PROOFS: Final[Mapping[Claim, tuple[Callable[[Proof], Iterator[CounterExample]], ...]]] = {
    Claim.APPROVAL: (approval_claims.unapproved_publications,),
    Claim.DEADLINE: (waiting_claims.approving_deadlines,),
    Claim.AUTOMATIC: (approval_claims.overruled_rights,),
    Claim.ROUTE: (route_claims.routeless_versions,),
    Claim.WAITING: (waiting_claims.endless_waits,),
    Claim.PEOPLE: (),
    Claim.WAY_OUT: (waiting_claims.dead_ends, route_claims.circular_stages),
    Claim.RULES: (route_claims.idle_rules, archive_claims.idle_archive_rules),
    Claim.ARCHIVE: (archive_claims.contradictory_archiving,),
}
ROSTER_CLAIMS: Final = (Claim.WAITING, Claim.PEOPLE)
"""What depends on who is in which group: asked again when the roster changes."""

_NO_ROSTER: Final = "no roster was given: who is in the groups is not known"
_UNDECIDED: Final = "the solver could not decide it; say the same with simpler predicates"
_UNREADABLE: Final = "the file breaks the language elsewhere; correct that first"


def prove_policy(
    policy: PolicyDocument, roster: RosterDocument | None, claims: Sequence[Claim] = tuple(Claim)
) -> tuple[ClaimResult, ...]:
    """What becomes of `claims` for a policy that can be read and the people there are.

    Raises `PolicyTooWide` if it tells more texts apart than can be gone through.
    """
    proof = Proof(policy, roster)
    missing = () if roster is None else tuple(map(_nobody_there, undefined_groups(policy, roster)))
    return tuple(_result(claim, proof, missing if claim is Claim.PEOPLE else ()) for claim in claims)


def prove_text(
    text: str, filename: str, roster_text: str | None = None, roster_name: str = "roster"
) -> tuple[ClaimResult, ...]:
    """The same for files, also where what is wrong with them already answers a claim.

    Raises `PolicyInvalid` or `RosterInvalid` for whatever is wrong with the files and answers none.
    """
    broken: list[tuple[Claim, CounterExample]] = []
    roster: RosterDocument | None = None
    if roster_text is not None:
        try:
            roster = load_roster(roster_text, roster_name)
        except RosterInvalid as error:
            broken += _answers(error.problems, RosterInvalid)
    policy, problems = read_policy(text, filename)
    if policy is None:
        broken += _answers(problems, PolicyInvalid)
        return tuple(_unread(claim, [story for about, story in broken if about is claim]) for claim in Claim)
    broken += _answers(problems, PolicyInvalid)
    proved = prove_policy(policy, roster)
    return tuple(_joined(one, [story for about, story in broken if about is one.claim]) for one in proved)


def refuted(results: Sequence[ClaimResult]) -> tuple[ClaimResult, ...]:
    """Those that do not hold, or could not be shown to."""
    return tuple(one for one in results if one.proved is False)


def _result(claim: Claim, proof: Proof, missing: Sequence[CounterExample]) -> ClaimResult:
    try:
        stories = [story for prove in _PROOFS[claim] for story in prove(proof)]
        if claim is Claim.PEOPLE and proof.roster is not None:
            stories += missing or waiting_claims.short_groups(proof, proof.roster)
    except ProofUndecided as error:
        return ClaimResult(claim, False, because=f"{_UNDECIDED} ({error})")
    if claim is Claim.PEOPLE and proof.roster is None:
        return ClaimResult(claim, None, because=_NO_ROSTER)
    return ClaimResult(claim, not stories, in_order(stories))


def _joined(result: ClaimResult, stories: Sequence[CounterExample]) -> ClaimResult:
    """What a proof found tells more than what the language says; where it found nothing, the language has its say."""
    if result.counterexamples or not stories:
        return result
    return ClaimResult(result.claim, False, in_order(stories))


def _unread(claim: Claim, stories: Sequence[CounterExample]) -> ClaimResult:
    return ClaimResult(claim, False, in_order(stories)) if stories else ClaimResult(claim, None, because=_UNREADABLE)


def _answers(
    problems: Sequence[Problem], error: type[PolicyInvalid | RosterInvalid]
) -> list[tuple[Claim, CounterExample]]:
    claims = [(claim_of(problem), problem) for problem in problems]
    if any(claim is None for claim, _ in claims):
        raise error(tuple(problems))
    return [(claim, in_other_words(problem)) for claim, problem in claims if claim is not None]


def _nobody_there(problem: Problem) -> CounterExample:
    return CounterExample(
        problem.value,
        problem.field,
        problem.line,
        (
            f"Something waits for {problem.value}.",
            "The roster has no such group" + (f"; {problem.nearest!r} may be meant." if problem.nearest else "."),
            "Nobody is asked, and nobody may decide.",
        ),
    )
