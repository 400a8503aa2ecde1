"""A sound policy and roster, and what is changed in them to plant one fault, or to make another sound policy."""

# ruff: noqa: E501 - a fault is easiest to see where the replaced line stands whole
from __future__ import annotations

from dataclasses import dataclass, field

SOUND = """\
name: catalogue
calendar: {timezone: Europe/Berlin, days: mon-fri, hours: "09:00-17:30", holidays: DE}
collections:
  - {name: spring, prefix: spring/, submitter: agency, owner: leads,
     use: [{action: publish, channel: web, territory: [DE]}]}
  - {name: rest, prefix: "", owner: operations, use: [{action: publish, channel: web, territory: [DE]}]}
screening:
  accept: [image, document, text]
  max_size: 2 GiB
  quarantine_when: "type_mismatch"
  quarantine: {owner: operations, deadline: {within: 2 days, finally: reject}}
classification:
  labels: {product: "a product", portrait: "a person", contract: "an agreement", other: "anything else"}
approval:
  stages:
    - {name: brand, when: "kind = 'image'", reviewers: brand, quorum: 1, signature: none,
       deadline: {within: 2 days, remind: [50%], escalate: [{to: leads, within: 1 day}], finally: reject}}
    - {name: legal, when: "clearance <> 'cleared' OR label = 'contract'", reviewers: legal, quorum: 2, signature: none,
       after: [brand], deadline: {within: 3 days, escalate: [{to: leads, within: 1 day}], finally: reject}}
    - {name: editor, default: true, reviewers: editors, quorum: 1, signature: none,
       deadline: {within: 5 days, finally: request_changes}}
  automatic:
    - {name: products, when: "label = 'product' AND risk <= 0.02 AND clearance = 'cleared'", second_look: 5%}
    - {name: copies, when: "duplicate_of_published AND clearance = 'cleared'", second_look: 1%}
  four_eyes: true
  changes_requested: {within: 10 days, finally: reject}
rights: {gate: legal, block: [conflict, restricted, embargoed, expired, unknown]}
archive:
  - {name: rejects, when: "state = 'rejected'", after: {event: rejected, days: 30}, action: dispose}
  - {name: masters, when: "state = 'withdrawn'", after: {event: withdrawn, days: 90}, action: archive, retain: 7 years}
"""

ROSTER = """\
people:
  - {handle: ada, name: Ada}
  - {handle: ben, name: Ben}
  - {handle: cem, name: Cem}
  - {handle: dia, name: Dia}
  - {handle: eli, name: Eli}
  - {handle: fay, name: Fay}
  - {handle: gus, name: Gus}
  - {handle: zoe, name: Zoe}
groups:
  brand: [ada, ben, cem]
  leads: [dia, eli]
  legal: [fay, gus, ada]
  editors: [ben, cem, eli]
  operations: [fay, gus]
  agency: [zoe]
"""

_QUARANTINE = "quarantine: {owner: operations, deadline: {within: 2 days, finally: reject}}"
_BRAND_LADDER = "escalate: [{to: leads, within: 1 day}], finally: reject}}\n    - {name: legal"
_PRODUCTS = "label = 'product' AND risk <= 0.02 AND clearance = 'cleared'"
_COPIES = "duplicate_of_published AND clearance = 'cleared'"
_BLOCK = "block: [conflict, restricted, embargoed, expired, unknown]"
_MASTERS = (
    "  - {name: masters, when: \"state = 'withdrawn'\", after: {event: withdrawn, days: 90}, action: archive, "
    "retain: 7 years}\n"
)
_REJECTS = "{name: rejects, when: \"state = 'rejected'\", after: {event: rejected, days: 30}, action: dispose}"


@dataclass(frozen=True)
class Change:
    """What is replaced in the sound policy and roster; for a fault, the claim it breaks and a word of its story."""

    name: str
    claim: str | None
    story: str
    policy: dict[str, str] = field(default_factory=dict)
    roster: dict[str, str] = field(default_factory=dict)

    @property
    def texts(self) -> tuple[str, str]:
        """The policy and the roster, changed."""
        return _changed(SOUND, self.policy), _changed(ROSTER, self.roster)


def _changed(text: str, edits: dict[str, str]) -> str:
    for old, new in edits.items():
        assert text.count(old) == 1, f"{old!r} stands {text.count(old)} times in the text"
        text = text.replace(old, new)
    return text


def _fault(name: str, claim: str, story: str, old: str, new: str) -> Change:
    return Change(name, claim, story, {old: new})


def _people(name: str, claim: str, story: str, old: str, new: str) -> Change:
    return Change(name, claim, story, {}, {old: new})


def _delegations(*rows: str) -> str:
    return "  agency: [zoe]\ndelegations:\n" + "".join(f"  - {{{row}}}\n" for row in rows)


DEFECTS = (
    # nothing is published without an approval for its bytes
    _fault("trusted folder", "approval", "any other bytes", _COPIES, "collection = 'spring' AND clearance = 'cleared'"),
    _fault("later versions", "approval", "any other bytes", _COPIES, "version > 1 AND clearance = 'cleared'"),
    _fault(
        "look-alikes", "approval", "any other bytes", _COPIES, "near_duplicate_of IS NOT NULL AND clearance = 'cleared'"
    ),
    _fault(
        "unapproved copies", "approval", "any other bytes", _COPIES, "duplicate_of LIKE '%' AND clearance = 'cleared'"
    ),
    _fault("cleared is enough", "approval", "any other bytes", _COPIES, "clearance = 'cleared'"),
    _fault(
        "every kind",
        "approval",
        "any other bytes",
        _COPIES,
        "kind IN ('image', 'document', 'text') AND clearance = 'cleared'",
    ),
    _fault("as large as allowed", "approval", "any other bytes", _COPIES, "size <= '2 GiB' AND clearance = 'cleared'"),
    _fault(
        "a gate without approvals",
        "approval",
        "before anybody has looked",
        "reviewers: brand, quorum: 1",
        "reviewers: brand, quorum: 0",
    ),
    # no approval by deadline
    _fault(
        "stage approves in the end",
        "deadline",
        "because nobody looked",
        _BRAND_LADDER,
        _BRAND_LADDER.replace("reject", "approve"),
    ),
    _fault(
        "quarantine publishes in the end",
        "deadline",
        "because nobody looked",
        _QUARANTINE,
        _QUARANTINE.replace("reject", "publish"),
    ),
    # automatic rules and rights
    _fault("label without risk", "automatic", "guessed", _PRODUCTS, "label = 'product' AND clearance = 'cleared'"),
    _fault(
        "score is not risk",
        "automatic",
        "guessed",
        _PRODUCTS,
        "label = 'product' AND score >= 0.99 AND clearance = 'cleared'",
    ),
    _fault("risk of a coin", "automatic", "its risk is 0.6", _PRODUCTS, _PRODUCTS.replace("0.02", "0.6")),
    _fault(
        "risk on one branch",
        "automatic",
        "guessed",
        _PRODUCTS,
        "(risk <= 0.02 OR label = 'product') AND clearance = 'cleared'",
    ),
    _fault(
        "second label without risk",
        "automatic",
        "guessed",
        _PRODUCTS,
        "second_label = 'product' AND clearance = 'cleared'",
    ),
    _fault("no second look", "automatic", "0.1000%", "second_look: 1%", "second_look: 0.1%"),
    _fault(
        "conflicts do not block",
        "automatic",
        "against its rights",
        _BLOCK,
        "block: [restricted, embargoed, expired, unknown]",
    ),
    Change(
        "approved with unknown rights",
        "automatic",
        "no person has waived",
        {
            _BLOCK: "block: [conflict, restricted, embargoed, expired]",
            _COPIES: "duplicate_of_published AND clearance <> 'expiring'",
        },
    ),
    # every version matches a route
    _fault(
        "no default stage",
        "route",
        "no stage opens",
        "{name: editor, default: true,",
        "{name: editor, when: \"kind = 'text'\",",
    ),
    _fault(
        "default with a condition",
        "route",
        "no stage opens",
        "{name: editor, default: true,",
        "{name: editor, default: true, when: \"kind = 'text'\",",
    ),
    _fault(
        "keys without a collection",
        "route",
        "No collection takes it",
        '{name: rest, prefix: ""',
        "{name: rest, prefix: rest/",
    ),
    _fault(
        "everything quarantined",
        "route",
        "as for every other",
        '"type_mismatch"',
        '"type_mismatch OR NOT type_mismatch"',
    ),
    _fault("quarantine unless it is nothing", "route", "as for every other", '"type_mismatch"', '"size >= 0"'),
    # whatever waits has an owner, a deadline and an end
    _fault(
        "ladder ends in waiting", "waiting", "waits for ever", _BRAND_LADDER, _BRAND_LADDER.replace("reject", "wait")
    ),
    _fault(
        "ladder without an end",
        "waiting",
        "waits for ever",
        _BRAND_LADDER,
        _BRAND_LADDER.replace(", finally: reject", ""),
    ),
    _fault(
        "stage without a deadline",
        "waiting",
        "until when",
        "signature: none,\n       deadline: {within: 5 days, finally: request_changes}}",
        "signature: none}",
    ),
    _fault("quarantine without an owner", "waiting", "until when", "quarantine: {owner: operations, ", "quarantine: {"),
    _fault(
        "escalation in a circle",
        "waiting",
        "which was asked before",
        "escalate: [{to: leads, within: 1 day}], finally: reject}}\n    - {name: legal",
        "escalate: [{to: leads, within: 1 day}, {to: leads, within: 1 day}], finally: reject}}\n    - {name: legal",
    ),
    _fault(
        "escalation to those who wait",
        "waiting",
        "which was asked before",
        _BRAND_LADDER,
        _BRAND_LADDER.replace("to: leads", "to: brand"),
    ),
    _people(
        "escalation to the same people",
        "waiting",
        "everybody there is in legal",
        "leads: [dia, eli]",
        "leads: [fay, gus]",
    ),
    # enough people, whoever is away
    _fault(
        "quorum of three in a group of two",
        "people",
        "2 of 3 approvals",
        "reviewers: legal, quorum: 2, signature: none,\n       after: [brand], deadline: {within: 3 days, escalate: [{to: leads, within: 1 day}], finally: reject}}",
        "reviewers: operations, quorum: 3, signature: none,\n       after: [brand], deadline: {within: 3 days, finally: reject}}",
    ),
    _people("one editor", "people", "is away", "editors: [ben, cem, eli]", "editors: [ben]"),
    _people("the reviewers submit", "people", "not agency, who submits", "agency: [zoe]", "agency: [ben, cem, eli]"),
    _people("nobody known to submit", "people", "two at least", "editors: [ben, cem, eli]", "editors: [ben, cem]"),
    _people("one person in operations", "people", "fay is away", "operations: [fay, gus]", "operations: [fay]"),
    _people("a group that is not there", "people", "no such group", "  leads: [dia, eli]\n", ""),
    _people("an empty group", "people", "Nobody is in it", "leads: [dia, eli]", "leads: []"),
    _people(
        "delegation in a circle",
        "people",
        "belongs to nobody",
        "  agency: [zoe]\n",
        _delegations(
            "principal: ben, delegate: cem, from: 2026-12-01T00:00:00Z, until: 2026-12-10T00:00:00Z",
            "principal: cem, delegate: ben, from: 2026-12-05T00:00:00Z, until: 2026-12-12T00:00:00Z",
        ),
    ),
    _people(
        "delegates who have a seat themselves",
        "people",
        "handed their part over",
        "  agency: [zoe]\n",
        _delegations(
            "principal: ben, delegate: cem, from: 2026-12-01T00:00:00Z, until: 2026-12-10T00:00:00Z",
            "principal: eli, delegate: cem, from: 2026-12-01T00:00:00Z, until: 2026-12-10T00:00:00Z",
        ),
    ),
    _people(
        "delegation to who submits",
        "people",
        "handed their part over",
        "  agency: [zoe]\n",
        _delegations(
            "principal: ben, delegate: zoe, from: 2026-12-01T00:00:00Z, until: 2026-12-10T00:00:00Z",
            "principal: cem, delegate: zoe, from: 2026-12-01T00:00:00Z, until: 2026-12-10T00:00:00Z",
        ),
    ),
    # every state has a way out
    _fault("stage after itself", "way-out", "never opens", "after: [brand]", "after: [legal]"),
    Change(
        "stages in a circle",
        "way-out",
        "never opens",
        {
            "after: [brand]": "after: [editor]",
            "{name: editor, default: true,": "{name: editor, default: true, after: [legal],",
        },
    ),
    _fault(
        "changes end in changes",
        "way-out",
        "for ever",
        "changes_requested: {within: 10 days, finally: reject}",
        "changes_requested: {within: 10 days, finally: request_changes}",
    ),
    _fault(
        "quarantine ends in changes",
        "way-out",
        "for ever",
        _QUARANTINE,
        _QUARANTINE.replace("reject", "request_changes"),
    ),
    # no rule without effect
    _fault(
        "stage for nothing",
        "rules",
        "kind = 'image' and kind = 'text'",
        "kind = 'image'",
        "kind = 'image' AND kind = 'text'",
    ),
    _fault(
        "stage for what is not known",
        "rules",
        "opens only where that cannot be known",
        "kind = 'image'",
        "score > 0.8 AND score < 0.5",
    ),
    _fault(
        "prefixes exclude each other",
        "rules",
        "never true",
        "kind = 'image'",
        "key LIKE 'spring/%' AND key LIKE '%.jpg' AND NOT key LIKE 's%'",
    ),
    _fault(
        "folder of another collection",
        "rules",
        "never true",
        "kind = 'image'",
        "key LIKE 'spring/%' AND collection = 'rest'",
    ),
    _fault(
        "submitter of another collection",
        "rules",
        "never true",
        "kind = 'image'",
        "submitter = 'agency' AND collection = 'rest'",
    ),
    _fault(
        "rule shadowed by another",
        "rules",
        "“products” comes first",
        _COPIES,
        "label = 'product' AND risk <= 0.01 AND clearance = 'cleared'",
    ),
    Change(
        "rule shadowed by two",
        "rules",
        "comes first",
        {
            _PRODUCTS: "kind = 'text' AND size < 1000 AND clearance = 'cleared'",
            _COPIES: "kind = 'text' AND size BETWEEN 10 AND 5000 AND clearance = 'cleared'",
            '", second_look: 1%}\n': "\", second_look: 1%}\n    - {name: third, when: \"kind = 'text' AND size < 2000 AND clearance = 'cleared'\", second_look: 1%}\n",
        },
    ),
    _fault(
        "rule for what is quarantined",
        "rules",
        "It is quarantined",
        _COPIES,
        "duplicate_of_published AND type_mismatch AND clearance = 'cleared'",
    ),
    _fault(
        "rule for what blocks",
        "rules",
        "in `rights.block`",
        _COPIES,
        "duplicate_of_published AND clearance = 'unknown'",
    ),
    _fault(
        "rule that never holds",
        "rules",
        "never approves",
        _COPIES,
        "duplicate_of_published AND pages > 10 AND pages < 10",
    ),
    _fault("quarantine of what never is", "rules", "never true", '"type_mismatch"', '"width > 500 AND width < 400"'),
    _fault("quarantine of what is too large", "rules", "before anybody asks", '"type_mismatch"', "\"size > '3 GiB'\""),
    # archive rules
    _fault(
        "archive rule of another state",
        "rules",
        "never does anything",
        "when: \"state = 'withdrawn'\"",
        "when: \"state = 'rejected'\"",
    ),
    _fault(
        "too young to be that old", "rules", "never does anything", "when: \"state = 'withdrawn'\"", 'when: "age < 10"'
    ),
    _fault(
        "archive rule overtaken",
        "rules",
        "comes first",
        _MASTERS,
        _MASTERS + _MASTERS.replace("name: masters", "name: again").replace("days: 90", "days: 120"),
    ),
    _fault(
        "destroyed and kept",
        "archive",
        "wants it kept",
        _REJECTS,
        _REJECTS
        + "\n  - {name: keep, when: \"kind = 'image'\", after: {event: rejected, days: 60}, action: archive, retain: 1 year}",
    ),
    _fault(
        "destroyed before it is archived",
        "archive",
        "finds nothing to keep",
        _REJECTS,
        _REJECTS + "\n  - {name: keep, when: \"kind = 'image'\", after: {event: rejected, days: 60}, action: archive}",
    ),
    _fault(
        "retention cut short",
        "archive",
        "before that time is over",
        _REJECTS,
        _REJECTS + '\n  - {name: clear out, when: "size > 5000", after: {event: archived, days: 365}, action: dispose}',
    ),
    _fault(
        "disposal from quarantine",
        "archive",
        "lifecycle knows no such step",
        "state = 'rejected'\", after: {event: rejected, days: 30}",
        "kind = 'image'\", after: {event: quarantined, days: 30}",
    ),
    _fault(
        "disposal that retains",
        "archive",
        "keep what it destroys",
        "days: 30}, action: dispose}",
        "days: 30}, action: dispose, retain: 1 year}",
    ),
)
"""Policies with one planted fault each."""


def _sound(name: str, policy: dict[str, str] | None = None, roster: dict[str, str] | None = None) -> Change:
    return Change(name, None, "", policy or {}, roster or {})


_EDITOR = "{name: editor, default: true, reviewers: editors, quorum: 1, signature: none,"

VARIATIONS = (
    _sound("as it is"),
    _sound(
        "without automatic rules",
        {
            f'    - {{name: products, when: "{_PRODUCTS}", second_look: 5%}}\n': "",
            f'    - {{name: copies, when: "{_COPIES}", second_look: 1%}}\n': "",
            "  automatic:\n": "",
        },
    ),
    _sound("one approver is enough", {"four_eyes: true": "four_eyes: false"}),
    _sound("without quarantine by condition", {'  quarantine_when: "type_mismatch"\n': ""}),
    _sound("quarantine by known scores", {'"type_mismatch"': '"unsafe_score IS NOT NULL AND unsafe_score >= 0.8"'}),
    _sound("texts by size", {_COPIES: "kind = 'text' AND size <= '16 KiB' AND clearance = 'cleared'"}),
    _sound("expiring is good enough", {_COPIES: "duplicate_of_published AND clearance IN ('cleared', 'expiring')"}),
    _sound(
        "rights gate by rights alone",
        {"clearance <> 'cleared' OR label = 'contract'": "clearance IN ('unknown', 'restricted')"},
    ),
    _sound(
        "stages in three steps",
        {_EDITOR: "{name: editor, default: true, reviewers: editors, after: [legal], quorum: 1, signature: none,"},
    ),
    _sound("side by side", {"       after: [brand], ": "       "}),
    _sound("by folder and name", {"kind = 'image'": "key LIKE 'spring/%' AND NOT key LIKE '%.txt'"}),
    _sound("by folders that overlap", {"kind = 'image'": "key LIKE '%/raw/%' OR key LIKE 'spring/raw/%'"}),
    _sound(
        "longer ladder",
        {
            _BRAND_LADDER: "escalate: [{to: leads, within: 1 day}, {to: operations, within: 1 day}], finally: reject}}\n    - {name: legal"
        },
    ),
    _sound("changes instead of rejection", {_BRAND_LADDER: _BRAND_LADDER.replace("reject", "request_changes")}),
    _sound("rules that overlap", {_COPIES: "kind = 'text' AND language = 'de' AND clearance = 'cleared'"}),
    _sound(
        "archive in two classes",
        {
            _MASTERS: _MASTERS.replace("state = 'withdrawn'", "kind = 'image'")
            + _MASTERS.replace("name: masters", "name: cold")
            .replace("state = 'withdrawn'", "kind <> 'image'")
            .replace("retain: 7 years", "storage_class: GLACIER")
        },
    ),
    _sound(
        "dispose after the retention",
        {
            _REJECTS: _REJECTS
            + '\n  - {name: clear out, when: "size > 5000", after: {event: archived, days: 3000}, action: dispose}'
        },
    ),
    _sound(
        "keep some, destroy others",
        {
            _REJECTS: _REJECTS.replace("state = 'rejected'", "kind = 'text'")
            + "\n  - {name: keep, when: \"kind = 'image'\", after: {event: rejected, days: 60}, action: archive, retain: 1 year}"
        },
    ),
    _sound("nothing is archived", {_MASTERS: "", f"  - {_REJECTS}\n": "", "archive:\n": ""}),
    _sound(
        "delegation to somebody new",
        None,
        {
            "  agency: [zoe]\n": _delegations(
                "principal: ben, delegate: ada, from: 2026-12-01T00:00:00Z, until: 2026-12-10T00:00:00Z"
            )
        },
    ),
    _sound(
        "delegations in turn",
        None,
        {
            "  agency: [zoe]\n": _delegations(
                "principal: ada, delegate: dia, from: 2026-12-01T00:00:00Z, until: 2026-12-10T00:00:00Z",
                "principal: dia, delegate: ada, from: 2026-12-10T00:00:00Z, until: 2026-12-20T00:00:00Z",
            )
        },
    ),
    _sound(
        "reasons and duplicates",
        {"kind = 'image'": "array_contains(clearance_reasons, 'no_licence') OR duplicate_of IS NULL"},
    ),
    _sound(
        "risk well bounded",
        {_PRODUCTS: "label IN ('product', 'portrait') AND margin > 0.2 AND risk < 0.05 AND clearance = 'cleared'"},
    ),
)
"""Policies that are sound, each in another way."""
