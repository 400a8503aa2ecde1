"""Tables of the ledger, for SQLite and PostgreSQL alike. Private to this package: others go through verbs and reader.

Instants are stored as BIGINT microseconds since 1970-01-01 UTC (`Instant` gives and takes aware datetimes).
JSON is stored as canonical text. What the database itself enforces stands beside this file in `triggers/`.
"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import sqlalchemy as sa
from sqlalchemy.engine import Dialect
from sqlalchemy.types import TypeDecorator

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND = timedelta(microseconds=1)
_FIRST, _LAST = ((datetime(year, 1, 1, tzinfo=UTC) - EPOCH) // _MICROSECOND for year in (1, 9999))
"""What is written has to be readable again: 1 January of the year 1 in Berlin lies in no year that Python knows."""


def to_micros(at: datetime) -> int:
    """Microseconds since the epoch of an aware datetime. Raises `OverflowError` outside the years 1 to 9998 of UTC.

    >>> to_micros(datetime(1970, 1, 1, 0, 0, 1, tzinfo=UTC))
    1000000
    """
    micros = (at - EPOCH) // _MICROSECOND
    if not _FIRST <= micros < _LAST:
        raise OverflowError(f"{at.isoformat()} is outside the years 1 to 9998 of UTC, which the ledger can hold")
    return micros


def from_micros(micros: int) -> datetime:
    """Aware UTC datetime of microseconds since the epoch; what an older release wrote beyond all years is their end."""
    try:
        return EPOCH + timedelta(microseconds=micros)
    except OverflowError:
        return EPOCH + timedelta(microseconds=_FIRST if micros < 0 else _LAST)


class Instant(TypeDecorator[datetime]):
    """An aware UTC datetime, stored as BIGINT microseconds."""

    impl = sa.BigInteger
    cache_ok = True

    def process_bind_param(self, value: datetime | None, dialect: Dialect) -> Any:  # noqa: ARG002 (the signature is SQLAlchemy's)
        """Datetime to microseconds."""
        return None if value is None else to_micros(value)

    def process_result_value(self, value: Any | None, dialect: Dialect) -> datetime | None:  # noqa: ARG002
        """Microseconds to datetime."""
        return None if value is None else from_micros(int(value))


Key = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
"""Surrogate key: BIGINT, and INTEGER on SQLite so that it is the rowid."""

metadata = sa.MetaData(
    naming_convention={
        "ix": "ix_%(table_name)s_%(column_0_N_name)s",
        "uq": "uq_%(table_name)s_%(column_0_N_name)s",
        "fk": "fk_%(table_name)s_%(column_0_N_name)s",
        "pk": "pk_%(table_name)s",
        "ck": "ck_%(table_name)s_%(constraint_name)s",
    }
)


def _table(name: str, *parts: sa.schema.SchemaItem) -> sa.Table:
    """A table. On SQLite those without a surrogate key have no hidden rowid, through which REPLACE could take a row."""
    keyed_by_number = any(isinstance(part, sa.Column) and part.primary_key and part.type is Key for part in parts)
    return sa.Table(name, metadata, *parts, sqlite_with_rowid=keyed_by_number)


def _key(name: str) -> sa.Column[Any]:
    """A surrogate key; numbers are given out under the lock of the chain's head, so no sequence is needed."""
    return sa.Column(name, Key, primary_key=True, autoincrement=False)


def _text(name: str, **options: Any) -> sa.Column[Any]:
    options.setdefault("nullable", False)
    return sa.Column(name, sa.Text, **options)


def _int(name: str, **options: Any) -> sa.Column[Any]:
    options.setdefault("nullable", False)
    return sa.Column(name, sa.BigInteger, **options)


def _at(name: str, **options: Any) -> sa.Column[Any]:
    options.setdefault("nullable", False)
    return sa.Column(name, Instant, **options)


def _ref(name: str, target: str, **options: Any) -> sa.Column[Any]:
    options.setdefault("nullable", False)
    return sa.Column(name, sa.BigInteger, sa.ForeignKey(target), **options)


def _one_of(column: str, *values: str) -> sa.CheckConstraint:
    listed = ", ".join(f"'{value}'" for value in values)
    return sa.CheckConstraint(f"{column} IN ({listed})", name=column)


# --- the lifecycle, policies and the roster ---------------------------------------------------------------------------

lifecycle = _table(
    "lifecycle",
    _text("from_state", primary_key=True),
    _text("action", primary_key=True),
    _text("to_state", primary_key=True),
    _text("guard"),
)

policies = _table("policies", _text("sha256", primary_key=True), _text("name"), _text("body"), _at("stored_at"))

policy_rules = _table(  # the automatic rules of each stored policy, so that a trigger can look one up
    "policy_rules",
    sa.Column("policy_sha256", sa.Text, sa.ForeignKey("policies.sha256"), primary_key=True),
    _text("rule", primary_key=True),
)

policy_signatures = _table(  # what each stored policy wants signed besides its stages, for a trigger to look it up
    "policy_signatures",
    sa.Column("policy_sha256", sa.Text, sa.ForeignKey("policies.sha256"), primary_key=True),
    _text("place", primary_key=True),
    _one_of("place", "quarantine"),
)

policy_activations = _table(
    "policy_activations",
    _key("activation_id"),
    sa.Column("policy_sha256", sa.Text, sa.ForeignKey("policies.sha256"), nullable=False),
    _at("activated_at"),
    _text("activated_by"),
    _text("seconded_by", nullable=True),
)

people = _table(
    "people",
    _key("person_id"),
    _text("handle", unique=True),
    _text("name", nullable=True),  # erased when the person is forgotten
    _text("email", nullable=True),
    _at("joined_at"),
    _at("left_at", nullable=True),
)

memberships = _table(
    "memberships",
    _key("membership_id"),
    _text("group_name"),
    _ref("person_id", "people.person_id"),
    _at("added_at"),
    _at("removed_at", nullable=True),
    sa.Index("ix_memberships_group_name", "group_name"),
    sa.Index(
        "uq_memberships_present",
        "group_name",
        "person_id",
        unique=True,
        sqlite_where=sa.text("removed_at IS NULL"),
        postgresql_where=sa.text("removed_at IS NULL"),
    ),
)

delegations = _table(
    "delegations",
    _key("delegation_id"),
    _ref("principal_id", "people.person_id"),
    _ref("delegate_id", "people.person_id"),
    _at("starts_at"),
    _at("ends_at"),
    _at("revoked_at", nullable=True),
    sa.CheckConstraint("principal_id <> delegate_id", name="distinct"),
    sa.CheckConstraint("starts_at < ends_at", name="interval"),
)

# --- signatures -------------------------------------------------------------------------------------------------------

signing_secrets = _table(  # what a person's authenticator has, sealed with the identity key; one active a person
    "signing_secrets",
    _key("secret_id"),
    _ref("person_id", "people.person_id"),
    _text("state"),  # pending: shown, and not yet confirmed by a code
    _text("key_id", nullable=True),
    _text("sealed", nullable=True),  # erased at its end
    _at("made_at"),
    _at("confirmed_at", nullable=True),
    _at("ended_at", nullable=True),
    _text("ended_for", nullable=True),
    _one_of("state", "pending", "active", "ended"),
    sa.CheckConstraint("(state = 'ended') = (sealed IS NULL)", name="sealed"),
    sa.CheckConstraint("(sealed IS NULL) = (key_id IS NULL)", name="key_id"),
    sa.CheckConstraint("(state = 'ended') = (ended_at IS NOT NULL AND ended_for IS NOT NULL)", name="ended"),
    sa.CheckConstraint("state <> 'active' OR confirmed_at IS NOT NULL", name="confirmed_at"),
    sa.CheckConstraint(
        "ended_for IS NULL OR ended_for IN ('replaced', 'unenrolled', 'recovered', 'disowned', 'forgotten', 'dropped')",
        name="ended_for",
    ),
    sa.Index(
        "uq_signing_secrets_present",
        "person_id",
        "state",
        unique=True,
        sqlite_where=sa.text("state <> 'ended'"),
        postgresql_where=sa.text("state <> 'ended'"),
    ),
)

used_codes = _table(  # a code is good once a person and time step (RFC 6238, section 5.2)
    "used_codes",
    _ref("person_id", "people.person_id", primary_key=True),
    _int("step", primary_key=True),
    _at("used_at"),
    _text("purpose"),  # answer, policy, enrol, unenrol, recover
    _ref("review_id", "reviews.review_id", nullable=True),  # the review whose decisions it signs
    sa.CheckConstraint("(purpose = 'answer') = (review_id IS NOT NULL)", name="review_id"),
)

code_failures = _table(  # wrong codes in a row, which slow this person down and nobody else
    "code_failures",
    _ref("person_id", "people.person_id", primary_key=True),
    _int("failures"),
    _at("last_at"),
    _at("looks_again_at"),  # no code of the person is looked at before
)

ledger_secrets = _table(  # secrets of the ledger itself, sealed with the identity key
    "ledger_secrets",
    _text("name", primary_key=True),
    _text("key_id"),
    _text("sealed"),
    _at("made_at"),
)

# --- assets and versions ----------------------------------------------------------------------------------------------

assets = _table(
    "assets",
    _key("asset_id"),
    _text("bucket"),
    _text("key"),
    _at("created_at"),
    sa.UniqueConstraint("bucket", "key"),
)

versions = _table(
    "versions",
    _key("version_id"),
    _ref("asset_id", "assets.asset_id"),
    _int("number"),
    _text("sha256"),
    _int("size_bytes"),
    _text("collection"),
    _text("submitter", nullable=True),  # a group of the roster; NULL: not known
    sa.Column("policy_sha256", sa.Text, sa.ForeignKey("policies.sha256"), nullable=False),
    _text("state", nullable=True),  # NULL only until its `submit` event, in the same transaction
    _int("state_seq", server_default="0"),  # the event that brought the state
    _at("state_since", nullable=True),
    _int("round", server_default="1"),
    _int("arrived_seq", server_default="0"),  # the last `submit` or `reopen`: of two versions the later one is newer
    _text("archived_from", nullable=True),
    sa.UniqueConstraint("asset_id", "number"),
    sa.UniqueConstraint("asset_id", "sha256"),
    sa.Index("ix_versions_state", "state"),
    sa.Index("ix_versions_policy_sha256", "policy_sha256"),
    sa.Index("ix_versions_sha256_prefix", sa.text("substr(sha256, 1, 8)")),  # random places: few pages, fast writes
    sa.Index(
        "uq_versions_published",
        "asset_id",
        unique=True,
        sqlite_where=sa.text("state = 'published'"),
        postgresql_where=sa.text("state = 'published'"),
    ),
)

sightings = _table(  # what the last listing saw under a key, so that an unchanged object costs nothing
    "sightings",
    _text("bucket", primary_key=True),
    _text("key", primary_key=True),
    _text("etag"),
    _int("size_bytes"),
    _at("modified_at"),
    _ref("version_id", "versions.version_id", nullable=True),
    _text("refusal", nullable=True),  # why this object became no version (vanished, unreadable, …)
    _at("seen_at"),
)

custody = _table(
    "custody",
    _key("custody_id"),
    _ref("version_id", "versions.version_id"),
    _text("form"),
    _text("bucket"),
    _text("key"),
    _text("object_version", nullable=True),
    _text("etag"),
    _at("verified_at"),
    _at("released_at", nullable=True),
    _one_of("form", "referenced", "copied", "archived"),
    sa.Index("ix_custody_version_id", "version_id"),
)

# --- screening --------------------------------------------------------------------------------------------------------

inspections = _table(  # by content: the same bytes are inspected once by the same inspector
    "inspections",
    _text("sha256", primary_key=True),
    _text("inspector", primary_key=True),
    _text("media_type"),
    _text("kind"),
    _text("failure", nullable=True),
    _text("perceptual_hash", nullable=True),
    _text("thumbnail", nullable=True),  # key in the workspace bucket
    _text("body"),  # the whole inspection, JSON
    _at("inspected_at"),
)

verdicts = _table(  # by content: the same bytes are never classified twice by the same revision and label set
    "verdicts",
    _key("verdict_id"),
    _text("sha256"),
    _text("classifier"),
    _text("model"),
    _text("revision"),
    _text("label_set"),
    _text("label", nullable=True),
    sa.Column("score", sa.Double, nullable=True),
    sa.Column("margin", sa.Double, nullable=True),
    _text("second_label", nullable=True),
    sa.Column("risk", sa.Double, nullable=True),
    _text("calibration", nullable=True),
    _text("abstained", nullable=True),
    _at("classified_at"),
    sa.UniqueConstraint("sha256", "classifier", "model", "revision", "label_set"),
    sa.CheckConstraint("(label IS NULL) <> (abstained IS NULL)", name="label_or_abstention"),
    sa.CheckConstraint("risk IS NULL OR calibration IS NOT NULL", name="risk_needs_calibration"),
)

grants = _table(
    "grants",
    _key("grant_key"),
    _text("source"),  # where it came from: the contracts object, a person, embedded
    _text("grant_id"),
    _int("revision"),
    _text("body"),  # policies.rights.Grant, JSON
    _text("evidence_sha256", nullable=True),
    _at("imported_at"),
    _at("retired_at", nullable=True),
    sa.UniqueConstraint("source", "grant_id", "revision"),
)

grant_imports = _table(
    "grant_imports",
    _key("import_id"),
    _text("source"),
    _text("etag"),
    _text("sha256"),
    _int("grants"),
    _at("imported_at"),
)

clearances = _table(
    "clearances",
    _key("clearance_id"),
    _ref("version_id", "versions.version_id"),
    _text("intent"),  # the intended use: action, channel, territories, licensee, interval (JSON)
    _text("status"),
    _text("reasons"),  # JSON array of {code, text}
    _text("deciding"),  # JSON array of grant ids
    _text("digest"),
    _at("next_change_at", nullable=True),
    _at("checked_at"),
    sa.Index("ix_clearances_version_id", "version_id"),
    sa.Index("ix_clearances_next_change_at", "next_change_at"),
)

screenings = _table(  # the facts that routed a version in a round, and the route
    "screenings",
    _ref("version_id", "versions.version_id", primary_key=True),
    _int("round", primary_key=True),
    sa.Column("policy_sha256", sa.Text, sa.ForeignKey("policies.sha256"), nullable=False),
    _text("kind"),
    _text("label", nullable=True),
    sa.Column("score", sa.Double, nullable=True),
    _text("clearance"),
    _ref("verdict_id", "verdicts.verdict_id", nullable=True),
    _ref("clearance_id", "clearances.clearance_id", nullable=True),
    _text("facts"),  # policies.facts row, JSON
    _text("route"),  # policies.routing.Route, JSON
    _at("screened_at"),
)

# --- approval ---------------------------------------------------------------------------------------------------------

gates = _table(
    "gates",
    _key("gate_id"),
    _ref("version_id", "versions.version_id"),
    _int("round"),
    _text("stage"),
    _int("step"),  # 0 first; a step opens when every gate of lower steps has passed
    _int("quorum"),
    sa.Column("four_eyes", sa.Boolean, nullable=False),
    _text("signature"),
    _at("opened_at", nullable=True),
    _at("due_at", nullable=True),
    _text("outcome", nullable=True),
    _at("closed_at", nullable=True),
    sa.UniqueConstraint("version_id", "round", "stage"),
    sa.CheckConstraint("quorum >= 1", name="quorum"),
    _one_of("signature", "totp", "none"),
    sa.CheckConstraint(
        "outcome IS NULL OR outcome IN ('passed', 'rejected', 'changes_requested', 'voided')", name="outcome"
    ),
)

gate_eligible = _table(
    "gate_eligible",
    _ref("gate_id", "gates.gate_id", primary_key=True),
    _ref("person_id", "people.person_id", primary_key=True),
    _ref("on_behalf_of", "people.person_id", primary_key=True),
    _text("via"),
    _at("added_at"),
    _at("revoked_at", nullable=True),
    _one_of("via", "group", "escalation", "delegation"),
)

reviews = _table(
    "reviews",
    _key("review_id"),
    _text("purpose"),  # gate, quarantine, or changes_requested
    _text("stage"),
    _text("collection"),
    sa.Column("policy_sha256", sa.Text, sa.ForeignKey("policies.sha256"), nullable=False),
    _at("opened_at"),
    _at("due_at", nullable=True),
    _at("closed_at", nullable=True),
    sa.Index("ix_reviews_closed_at", "closed_at"),
)

review_gates = _table(
    "review_gates",
    _ref("review_id", "reviews.review_id", primary_key=True),
    _int("position", primary_key=True),  # 1 first: the number on the contact sheet
    _ref("gate_id", "gates.gate_id", unique=True),
)

review_versions = _table(  # of a review of what is held or was sent back: the versions that it is about
    "review_versions",
    _ref("review_id", "reviews.review_id", primary_key=True),
    _int("position", primary_key=True),
    _ref("version_id", "versions.version_id"),
    _int("since_seq"),  # the event that brought it into its state
    _text("owner"),  # group whose people decide
    _text("outcome", nullable=True),
    _at("closed_at", nullable=True),
    sa.UniqueConstraint("version_id", "since_seq"),
    sa.CheckConstraint("outcome IS NULL OR outcome IN ('released', 'rejected', 'reopened')", name="outcome"),
    sa.CheckConstraint("(outcome IS NULL) = (closed_at IS NULL)", name="closed_at"),
)

parkings = _table(  # each round of a review is one Prefect flow run
    "parkings",
    _ref("review_id", "reviews.review_id", primary_key=True),
    _int("round", primary_key=True),
    _text("status"),
    _text("reason", nullable=True),  # why it had to be parked again: shown on top of the form
    _text("flow_run_id", nullable=True),
    _text("basis", nullable=True),  # JSON object: gate id → basis hash, of what was shown
    _at("created_at"),
    _at("parked_at", nullable=True),
    _at("closed_at", nullable=True),
    _one_of("status", "to_park", "parked", "answered", "replaced", "closed"),
    sa.Index(
        "uq_parkings_present",
        "review_id",
        unique=True,
        sqlite_where=sa.text("status IN ('to_park', 'parked')"),
        postgresql_where=sa.text("status IN ('to_park', 'parked')"),
    ),
)

round_tokens = _table(  # random, given by a trigger: what run and form of a round are marked with; before 0012 none
    "round_tokens",
    _ref("review_id", "reviews.review_id", primary_key=True),
    _int("round", primary_key=True),
    _text("token"),
)

notes = _table(  # words of people, beside the chain, which holds their salted hashes
    "notes",
    _key("note_id"),
    _text("salt"),
    _text("body", nullable=True),
    _at("erased_at", nullable=True),
)

decisions = _table(
    "decisions",
    _key("decision_id"),
    _ref("gate_id", "gates.gate_id"),
    _ref("person_id", "people.person_id"),
    _ref("on_behalf_of", "people.person_id"),
    _text("verdict"),
    sa.Column("counted", sa.Boolean, nullable=False),  # false: an opinion, given after the gate had closed
    _text("signature"),
    _text("sha256"),  # the bytes decided on
    _text("basis"),
    _ref("note_id", "notes.note_id", nullable=True),
    _at("decided_at"),
    _one_of("verdict", "approve", "request_changes", "reject"),
    _one_of("signature", "totp", "none"),
    sa.Index("ix_decisions_gate_id", "gate_id"),
    sa.Index(
        "uq_decisions_person",
        "gate_id",
        "person_id",
        unique=True,
        sqlite_where=sa.text("counted"),
        postgresql_where=sa.text("counted"),
    ),
    sa.Index(
        "uq_decisions_principal",
        "gate_id",
        "on_behalf_of",
        unique=True,
        sqlite_where=sa.text("counted"),
        postgresql_where=sa.text("counted"),
    ),
)

waivers = _table(  # what an approval at the gate that answers for rights takes upon itself
    "waivers",
    sa.Column("decision_id", Key, sa.ForeignKey("decisions.decision_id"), primary_key=True, autoincrement=False),
    _text("codes"),  # JSON array of codes of findings
)

# --- deadlines --------------------------------------------------------------------------------------------------------

rungs = _table(  # of a deadline's ladder, each as it fired: once, in order
    "rungs",
    _key("rung_id"),
    _ref("version_id", "versions.version_id"),
    _int("round"),
    _ref("gate_id", "gates.gate_id", nullable=True),  # NULL: the version itself waits, in quarantine or for changes
    _int("since_seq"),  # the event that brought the version into the state in which it waits
    _int("number"),  # 0 first
    _text("kind"),
    _text("group_name", nullable=True),  # of an escalation: whom it adds
    _text("outcome", nullable=True),  # of the last rung: how it ends; never approval
    _at("planned_at"),
    _at("fired_at"),
    _one_of("kind", "remind", "escalate", "finally"),
    sa.CheckConstraint("(kind = 'escalate') = (group_name IS NOT NULL)", name="group_name"),
    sa.CheckConstraint(
        "(kind = 'finally') = (outcome IS NOT NULL) AND (outcome IS NULL OR outcome IN ('reject', 'request_changes'))",
        name="outcome",
    ),
    sa.CheckConstraint("planned_at <= fired_at", name="fired_at"),
    sa.Index(
        "uq_rungs_gate",
        "gate_id",
        "number",
        unique=True,
        sqlite_where=sa.text("gate_id IS NOT NULL"),
        postgresql_where=sa.text("gate_id IS NOT NULL"),
    ),
    sa.Index(
        "uq_rungs_version",
        "version_id",
        "since_seq",
        "number",
        unique=True,
        sqlite_where=sa.text("gate_id IS NULL"),
        postgresql_where=sa.text("gate_id IS NULL"),
    ),
)

NOTICE_KINDS = (
    *("remind", "escalate", "finally"),  # the rungs of a deadline
    *("opened", "decided", "changes_requested"),  # to reviewers, and to those who submitted
    *("receipt", "security"),  # to one person about what was done under their name
    "delegated",
    *("policy_broken", "roster_short", "expiring", "withdrawn", "integrity"),  # to owners
)

notices = _table(  # the outbox: what people are to be told, written with what they are told of
    "notices",
    _key("notice_id"),
    _ref("person_id", "people.person_id"),
    _text("kind"),
    _text("occasion"),  # what it is about, so that nobody is told the same twice
    _ref("review_id", "reviews.review_id", nullable=True),
    _ref("version_id", "versions.version_id", nullable=True),
    _text("body"),  # JSON: what the message is made of; no names of people
    _at("created_at"),
    _text("state"),
    _int("attempts", server_default="0"),
    _text("last_error", nullable=True),
    _at("closed_at", nullable=True),
    _at("next_attempt_at", nullable=True),  # not before; NULL: as soon as its kind is due
    _at("claimed_until", nullable=True),  # a sender has it in hand; afterwards another one may take it
    _text("message", nullable=True),  # id of the message that carries it, the same when it is tried again
    _text("channel", nullable=True),  # how it went: mailto, slack; never an address, nor what operators call it
    sa.UniqueConstraint("person_id", "occasion"),
    _one_of("kind", *NOTICE_KINDS),
    _one_of("state", "waiting", "sent", "given_up"),
    sa.CheckConstraint("(state = 'waiting') = (closed_at IS NULL)", name="closed_at"),
    sa.CheckConstraint("review_id IS NULL OR version_id IS NULL", name="about"),
    sa.Index(
        "ix_notices_waiting",
        "notice_id",
        sqlite_where=sa.text("state = 'waiting'"),
        postgresql_where=sa.text("state = 'waiting'"),
    ),
)

offered_people = _table(  # whom the form of a round offers, in a review of versions: at gates `gate_eligible` says it
    "offered_people",
    _ref("review_id", "reviews.review_id", primary_key=True),
    _int("round", primary_key=True),
    _ref("person_id", "people.person_id", primary_key=True),
    _ref("on_behalf_of", "people.person_id", primary_key=True),
)

held_decisions = _table(  # what people said of versions that were held or sent back
    "held_decisions",
    _key("decision_id"),
    _ref("review_id", "reviews.review_id"),
    _ref("version_id", "versions.version_id"),
    _ref("person_id", "people.person_id"),
    _text("verdict"),
    sa.Column("counted", sa.Boolean, nullable=False),  # false: an opinion, given after the outcome
    _text("signature"),
    _text("sha256"),
    _text("basis"),
    _ref("note_id", "notes.note_id"),
    _at("decided_at"),
    _int("on_behalf_of", nullable=True),  # whose part it was, if not the person's own
    _one_of("verdict", "release", "reject", "reopen"),
    _one_of("signature", "totp", "none"),
    sa.Index("ix_held_decisions_version_id", "version_id"),
)

# --- keeping --------------------------------------------------------------------------------------------------------

holds = _table(  # legal holds stack by matter; none has an end date
    "holds",
    _key("hold_id"),
    _ref("version_id", "versions.version_id"),
    _text("matter"),
    _text("placed_by"),
    _at("placed_at"),
    _text("released_by", nullable=True),
    _at("released_at", nullable=True),
    sa.Index("ix_holds_version_id", "version_id"),
)

retentions = _table(  # minimum keeping times; the longest one counts, and rows are only ever added
    "retentions",
    _key("retention_id"),
    _ref("version_id", "versions.version_id"),
    _at("until_at"),
    _text("rule", nullable=True),
    _at("set_at"),
    sa.Index("ix_retentions_version_id", "version_id"),
)

# --- effects and the audit trail --------------------------------------------------------------------------------------

effects = _table(
    "effects",
    _key("effect_id"),
    _ref("version_id", "versions.version_id"),
    _text("kind"),
    _text("sha256"),
    _text("status"),
    _text("reason", nullable=True),
    _text("rule", nullable=True),
    _text("storage_class", nullable=True),
    _text("result", nullable=True),  # JSON: where the bytes went, how they were verified
    _int("attempts", server_default="0"),
    _text("last_error", nullable=True),
    _at("opened_at"),
    _at("closed_at", nullable=True),
    _one_of("kind", "publish", "withdraw", "archive", "restore", "dispose"),
    _one_of("status", "open", "done", "cancelled"),
    sa.Index(
        "uq_effects_open",
        "version_id",
        unique=True,
        sqlite_where=sa.text("status = 'open'"),
        postgresql_where=sa.text("status = 'open'"),
    ),
    sa.Index("ix_effects_version_id", "version_id"),
)

events = _table(
    "events",
    sa.Column("seq", Key, primary_key=True, autoincrement=False),
    _at("at"),
    _text("actor"),  # system:<flow>, operator:<name> or person:<id>; never a person's name
    _text("action"),
    _ref("version_id", "versions.version_id", nullable=True),
    _text("from_state", nullable=True),  # both NULL: an event that changes no state
    _text("to_state", nullable=True),
    _int("round", nullable=True),
    _text("policy_sha256", nullable=True),
    _text("rule", nullable=True),
    _text("reason", nullable=True),
    _ref("effect_id", "effects.effect_id", nullable=True),
    _text("flow_run_id", nullable=True),
    _text("body"),  # canonical JSON (RFC 8785) of the whole event: these are the hashed bytes
    _text("hash"),  # SHA-256 over the previous hash and the body, hex
    sa.Index("ix_events_version_id", "version_id"),
    sa.Index(
        "uq_events_effect_id",
        "effect_id",
        unique=True,
        sqlite_where=sa.text("effect_id IS NOT NULL AND to_state IS NOT NULL"),
        postgresql_where=sa.text("effect_id IS NOT NULL AND to_state IS NOT NULL"),
    ),
)

chain_head = _table(  # one row; its lock is what gives sequence numbers out
    "chain_head",
    sa.Column("one", sa.Integer, primary_key=True, autoincrement=False),
    _int("seq"),
    _text("hash"),
    _int("touched_by", server_default="0"),  # PostgreSQL: the transaction that appends and will settle the head
    sa.CheckConstraint("one = 1", name="one"),
)

seals = _table(  # signed checkpoints of the chain, as put into object storage; verification trusts only those there
    "seals",
    _key("seal_id"),
    _int("seq", unique=True),  # the last event that is sealed
    _text("hash"),  # its hash
    _at("sealed_at"),
    _text("public_key"),
    _text("body"),  # canonical JSON: these bytes are signed
    _text("signature"),
    _text("bucket"),
    _text("key"),
    _text("object_version", nullable=True),
)
