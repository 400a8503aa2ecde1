"""A policy and a roster that the tests of this folder start from."""

from __future__ import annotations

import pytest

from policies.document import PolicyDocument, load_policy
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
groups:
  brand: [lea, tom]
  brand-leads: [mia]
  legal: [mia, tom]
  editors: [lea, mia]
  operations: [tom]
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
