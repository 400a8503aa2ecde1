"""A policy and a roster that the tests of this folder start from."""

from __future__ import annotations

from typing import Any

import polars as pl
import pytest
from hypothesis import strategies as st

from policies.document import PolicyDocument, load_policy
from policies.facts import FACTS, Fact, Use
from policies.roster import RosterDocument, load_roster

POLICY = """\
name: creative-signoff
calendar: {timezone: Europe/Berlin, days: mon-fri, hours: "09:00-17:30", holidays: DE}
collections:
  - {name: spring-campaign, prefix: campaigns/spring/, submitter: agency-x, owner: brand-leads,
     use: [{action: publish, channel: web, territory: [DE, AT, NO]}]}
  - {name: everything-else, prefix: "", owner: operations, use: [{action: publish, channel: web, territory: [DE]}]}
screening:
  accept: [image, document, text, video, audio]
  max_size: 2 GiB
  quarantine_when: "type_mismatch OR unsafe_score >= 0.8"
  quarantine: {owner: operations, deadline: {within: 2 days, finally: reject}}
classification:
  labels: {product photo: "a product on a plain background", portrait: "a person looking at the camera",
           contract: "a signed agreement", other: "anything else"}
approval:
  stages:
    - {name: brand, when: "kind = 'image'", reviewers: brand, quorum: 1, signature: none,
       deadline: {within: 2 days, remind: [50%, 90%], escalate: [{to: brand-leads, within: 1 day}], finally: reject}}
    - {name: legal, when: "clearance <> 'cleared' OR label IN ('contract', 'portrait')", reviewers: legal,
       quorum: 2, signature: none, after: [brand], deadline: {within: 3 days, finally: reject}}
    - {name: editor, default: true, reviewers: editors, signature: none,
       deadline: {within: 1 week, finally: request_changes}}
  automatic:
    - {name: routine product shots, when: "label = 'product photo' AND risk <= 0.02 AND clearance = 'cleared'",
       second_look: 5%}
    - {name: byte copies of published assets, when: "duplicate_of_published AND clearance = 'cleared'",
       second_look: 1%}
  four_eyes: true
  review_size: 24
rights: {gate: legal, expiring_within: 30 days, block: [conflict, restricted, embargoed, expired, unknown],
         on_expiry: withdraw}
archive:
  - {name: old rejects, when: "state = 'rejected'", after: {event: rejected, days: 30}, action: dispose}
  - {name: cold masters, when: "state = 'withdrawn'", after: {event: withdrawn, days: 90}, action: archive,
     storage_class: GLACIER, retain: 7 years}
"""

ROSTER = """\
people:
  - {handle: lea, name: Lea Brandt, email: lea@example.org}
  - {handle: tom, name: Tom Okafor, email: tom@example.org}
  - {handle: mia, name: Mia Svensson}
  - {handle: zoe, name: Zoe Martin}
groups:
  brand: [lea, tom]
  brand-leads: [mia]
  legal: [mia, tom]
  editors: [lea, mia]
  operations: [tom]
  agency-x: [zoe]
delegations:
  - {principal: lea, delegate: mia, from: 2026-12-01T00:00:00+01:00, until: 2026-12-15T00:00:00+01:00}
"""


@pytest.fixture(scope="session")
def policy_text() -> str:
    """Text of the sample policy."""
    return POLICY


@pytest.fixture(scope="session")
def policy(policy_text: str) -> PolicyDocument:
    """The sample policy, read."""
    return load_policy(policy_text, "policy.yaml")


@pytest.fixture(scope="session")
def roster_text() -> str:
    """Text of the sample roster."""
    return ROSTER


@pytest.fixture(scope="session")
def roster(roster_text: str) -> RosterDocument:
    """The sample roster, read."""
    return load_roster(roster_text, "roster.yaml")


# --- random predicates and rows of facts ------------------------------------------------------------------------------

_WORDS = ("a", "b", "image", "text", "campaigns/spring/x.jpg", "campaigns/y", "it's", "50%", "line\nbreak", "Ä_ß", "")
_PATTERNS = ("%", "campaigns/%", "%.jpg", "%/%", "_", "it's", "50%", "%\n%", "Ä%_", "", "a%b", "__%")
_COMPARED = ("=", "<>", "!=", "<", "<=", ">", ">=")


def _quoted(text: str) -> str:
    return "'" + text.replace("'", "''") + "'"


def _values(fact: Fact) -> st.SearchStrategy[Any]:
    """Values that a fact can have, few enough for comparisons to hit."""
    if fact.values is not None:
        return st.sampled_from(fact.values)
    if fact.dtype == pl.Boolean():
        return st.booleans()
    if fact.dtype == pl.Int64():
        return st.sampled_from([0, 1, 2, 1000, 2**31, 2**53 + 1])
    if fact.dtype == pl.Float64():
        return st.sampled_from([0.0, 0.02, 0.5, 0.8, 1.0])
    if fact.dtype == pl.List(pl.String()):
        return st.lists(st.sampled_from(["no_grant", "release_missing", "it's"]), max_size=2)
    return st.sampled_from(_WORDS)


@st.composite
def _conditions(draw: st.DrawFn) -> str:
    """One condition about one fact, as text."""
    fact = draw(st.sampled_from([fact for fact in FACTS.values() if fact.use is Use.EVERYWHERE]))
    if fact.nullable and draw(st.integers(0, 4)) == 0:
        return f"{fact.name} IS {draw(st.sampled_from(['', 'NOT ']))}NULL"
    if fact.dtype == pl.Boolean():
        return draw(st.sampled_from([fact.name, f"{fact.name} = TRUE", f"{fact.name} <> TRUE", f"FALSE = {fact.name}"]))
    negated = draw(st.sampled_from(["", "NOT "]))
    if fact.dtype == pl.List(pl.String()):
        return f"{negated}array_contains({fact.name}, {_quoted(draw(st.sampled_from(['no_grant', 'x', chr(39)])))})"
    number = fact.dtype.is_numeric()
    written = [
        repr(value) if number else _quoted(value) for value in draw(st.lists(_values(fact), min_size=2, max_size=3))
    ]
    forms = [f"{fact.name} {negated}IN ({', '.join(written)})"]
    forms.append(f"{fact.name} {draw(st.sampled_from(_COMPARED if number else _COMPARED[:3]))} {written[0]}")
    forms.append(f"{written[0]} {draw(st.sampled_from(_COMPARED if number else _COMPARED[:3]))} {fact.name}")
    if number:
        forms.append(f"{fact.name} {negated}BETWEEN {written[0]} AND {written[1]}")
    elif fact.values is None:
        forms.append(f"{fact.name} {negated}LIKE {_quoted(draw(st.sampled_from(_PATTERNS)))}")
    return draw(st.sampled_from(forms))


def _combined(inner: st.SearchStrategy[str]) -> st.SearchStrategy[str]:
    joined = st.tuples(inner, st.sampled_from(["AND", "OR"]), inner).map(" ".join)
    return joined | joined.map("({})".format) | inner.map("NOT ({})".format) | inner.map("NOT {}".format)


@pytest.fixture(scope="session")
def predicate_texts() -> st.SearchStrategy[str]:
    """Strategy for texts of predicates."""
    return st.recursive(_conditions(), _combined, max_leaves=8)


@pytest.fixture(scope="session")
def fact_rows() -> st.SearchStrategy[list[dict[str, Any]]]:
    """Strategy for rows of facts in which whatever may be NULL sometimes is."""
    columns = {
        fact.name: st.none() | _values(fact) if fact.nullable else _values(fact)
        for fact in FACTS.values()
        if fact.use is Use.EVERYWHERE
    }
    row = st.fixed_dictionaries({"sha256": st.sampled_from(["aa", "bb"]), **columns})
    return st.lists(row, min_size=1, max_size=5).map(
        lambda rows: [{"version_id": number, **row} for number, row in enumerate(rows, start=1)]
    )
