"""Baseline: tables, the lifecycle as data, the chain's head, and the triggers that enforce the rules.

Frozen: it creates what the first release had, whatever `ledger.tables` and `policies.lifecycle` say later.
"""

from __future__ import annotations

from pathlib import Path

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None

_TRIGGERS = Path(__file__).parent.parent / "triggers"
_KEY = sa.BigInteger().with_variant(sa.Integer(), "sqlite")

_LIFECYCLE = (
    ("", "submit", "submitted", "the bytes are in custody and their SHA-256 is recorded"),
    ("submitted", "quarantine", "quarantined", "inspection failed, or quarantine_when holds"),
    ("quarantined", "release", "submitted", "a person of the owner group, with a reason"),
    ("submitted", "open_gates", "in_review", "the route has at least one gate"),
    ("submitted", "approve", "approved", "an automatic rule of the pinned policy holds"),
    ("in_review", "approve", "approved", "every gate of the route passed in this round"),
    ("in_review", "request_changes", "changes_requested", "a decision, or a deadline's outcome"),
    ("in_review", "reject", "rejected", "a decision, or a deadline's outcome"),
    ("quarantined", "reject", "rejected", "a decision, or a deadline's outcome"),
    ("changes_requested", "reject", "rejected", "a decision, or a deadline's outcome"),
    ("rejected", "reopen", "submitted", "another person, or the submitter once"),
    ("changes_requested", "reopen", "submitted", "another person, or the submitter once"),
    ("approved", "publish", "published", "its publish effect is done; same SHA-256; clearance good"),
    ("approved", "review_again", "in_review", "clearance turned worse, or a person asks"),
    ("withdrawn", "review_again", "in_review", "clearance turned worse, or a person asks"),
    ("published", "withdraw", "withdrawn", "with a reason: rights, takedown, superseded, person"),
    ("withdrawn", "republish", "published", "withdrawn for rights, which are good again"),
    ("submitted", "supersede", "superseded", "a newer version has left screening without quarantine"),
    ("quarantined", "supersede", "superseded", "a newer version has left screening without quarantine"),
    ("in_review", "supersede", "superseded", "a newer version has left screening without quarantine"),
    ("changes_requested", "supersede", "superseded", "a newer version has left screening without quarantine"),
    ("approved", "supersede", "superseded", "a newer version has left screening without quarantine"),
    ("withdrawn", "archive", "archived", "the copy in the archive read back equal"),
    ("rejected", "archive", "archived", "the copy in the archive read back equal"),
    ("superseded", "archive", "archived", "the copy in the archive read back equal"),
    ("changes_requested", "archive", "archived", "the copy in the archive read back equal"),
    ("quarantined", "archive", "archived", "the copy in the archive read back equal"),
    ("archived", "restore", "withdrawn", "to the state before archiving"),
    ("archived", "restore", "rejected", "to the state before archiving"),
    ("archived", "restore", "superseded", "to the state before archiving"),
    ("archived", "restore", "changes_requested", "to the state before archiving"),
    ("archived", "restore", "quarantined", "to the state before archiving"),
    ("archived", "dispose", "disposed", "no hold, retention over, plan approved by a second person"),
    ("rejected", "dispose", "disposed", "no hold, retention over, plan approved by a second person"),
    ("superseded", "dispose", "disposed", "no hold, retention over, plan approved by a second person"),
    ("withdrawn", "dispose", "disposed", "no hold, retention over, plan approved by a second person"),
)


def upgrade() -> None:
    """Create everything in an empty database."""
    _create_tables()
    _fill()
    _create_triggers()


def _fill() -> None:
    lifecycle = sa.table("lifecycle", *(sa.column(name) for name in ("from_state", "action", "to_state", "guard")))
    op.bulk_insert(lifecycle, [dict(zip(lifecycle.columns.keys(), row, strict=True)) for row in _LIFECYCLE])
    head = sa.table("chain_head", *(sa.column(name) for name in ("one", "seq", "hash")))
    op.bulk_insert(head, [{"one": 1, "seq": 0, "hash": "0" * 64}])


def _create_triggers() -> None:
    connection = op.get_bind()
    script = (_TRIGGERS / f"0001_{connection.dialect.name}.sql").read_text(encoding="utf-8")
    if connection.dialect.paramstyle in ("format", "pyformat"):
        script = script.replace("%", "%%")
    for statement in script.split("\n--;\n"):
        connection.exec_driver_sql(statement)


def _create_tables() -> None:
    op.create_table(
        "assets",
        sa.Column("asset_id", _KEY, autoincrement=False, nullable=False),
        sa.Column("bucket", sa.Text(), nullable=False),
        sa.Column("key", sa.Text(), nullable=False),
        sa.Column("created_at", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("asset_id", name=op.f("pk_assets")),
        sa.UniqueConstraint("bucket", "key", name=op.f("uq_assets_bucket_key")),
    )
    op.create_table(
        "chain_head",
        sa.Column("one", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("seq", sa.BigInteger(), nullable=False),
        sa.Column("hash", sa.Text(), nullable=False),
        sa.CheckConstraint("one = 1", name=op.f("ck_chain_head_one")),
        sa.PrimaryKeyConstraint("one", name=op.f("pk_chain_head")),
        sqlite_with_rowid=False,
    )
    op.create_table(
        "grant_imports",
        sa.Column("import_id", _KEY, autoincrement=False, nullable=False),
        sa.Column("source", sa.Text(), nullable=False),
        sa.Column("etag", sa.Text(), nullable=False),
        sa.Column("sha256", sa.Text(), nullable=False),
        sa.Column("grants", sa.BigInteger(), nullable=False),
        sa.Column("imported_at", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("import_id", name=op.f("pk_grant_imports")),
    )
    op.create_table(
        "grants",
        sa.Column("grant_key", _KEY, autoincrement=False, nullable=False),
        sa.Column("source", sa.Text(), nullable=False),
        sa.Column("grant_id", sa.Text(), nullable=False),
        sa.Column("revision", sa.BigInteger(), nullable=False),
        sa.Column("body", sa.Text(), nullable=False),
        sa.Column("evidence_sha256", sa.Text(), nullable=True),
        sa.Column("imported_at", sa.BigInteger(), nullable=False),
        sa.Column("retired_at", sa.BigInteger(), nullable=True),
        sa.PrimaryKeyConstraint("grant_key", name=op.f("pk_grants")),
        sa.UniqueConstraint("source", "grant_id", "revision", name=op.f("uq_grants_source_grant_id_revision")),
    )
    op.create_table(
        "inspections",
        sa.Column("sha256", sa.Text(), nullable=False),
        sa.Column("inspector", sa.Text(), nullable=False),
        sa.Column("media_type", sa.Text(), nullable=False),
        sa.Column("kind", sa.Text(), nullable=False),
        sa.Column("failure", sa.Text(), nullable=True),
        sa.Column("perceptual_hash", sa.Text(), nullable=True),
        sa.Column("thumbnail", sa.Text(), nullable=True),
        sa.Column("body", sa.Text(), nullable=False),
        sa.Column("inspected_at", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("sha256", "inspector", name=op.f("pk_inspections")),
        sqlite_with_rowid=False,
    )
    op.create_table(
        "lifecycle",
        sa.Column("from_state", sa.Text(), nullable=False),
        sa.Column("action", sa.Text(), nullable=False),
        sa.Column("to_state", sa.Text(), nullable=False),
        sa.Column("guard", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("from_state", "action", "to_state", name=op.f("pk_lifecycle")),
        sqlite_with_rowid=False,
    )
    op.create_table(
        "notes",
        sa.Column("note_id", _KEY, autoincrement=False, nullable=False),
        sa.Column("salt", sa.Text(), nullable=False),
        sa.Column("body", sa.Text(), nullable=True),
        sa.Column("erased_at", sa.BigInteger(), nullable=True),
        sa.PrimaryKeyConstraint("note_id", name=op.f("pk_notes")),
    )
    op.create_table(
        "people",
        sa.Column("person_id", _KEY, autoincrement=False, nullable=False),
        sa.Column("handle", sa.Text(), nullable=False),
        sa.Column("name", sa.Text(), nullable=True),
        sa.Column("email", sa.Text(), nullable=True),
        sa.Column("joined_at", sa.BigInteger(), nullable=False),
        sa.Column("left_at", sa.BigInteger(), nullable=True),
        sa.PrimaryKeyConstraint("person_id", name=op.f("pk_people")),
        sa.UniqueConstraint("handle", name=op.f("uq_people_handle")),
    )
    op.create_table(
        "policies",
        sa.Column("sha256", sa.Text(), nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("body", sa.Text(), nullable=False),
        sa.Column("stored_at", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("sha256", name=op.f("pk_policies")),
        sqlite_with_rowid=False,
    )
    op.create_table(
        "verdicts",
        sa.Column("verdict_id", _KEY, autoincrement=False, nullable=False),
        sa.Column("sha256", sa.Text(), nullable=False),
        sa.Column("classifier", sa.Text(), nullable=False),
        sa.Column("model", sa.Text(), nullable=False),
        sa.Column("revision", sa.Text(), nullable=False),
        sa.Column("label_set", sa.Text(), nullable=False),
        sa.Column("label", sa.Text(), nullable=True),
        sa.Column("score", sa.Double(), nullable=True),
        sa.Column("margin", sa.Double(), nullable=True),
        sa.Column("second_label", sa.Text(), nullable=True),
        sa.Column("risk", sa.Double(), nullable=True),
        sa.Column("calibration", sa.Text(), nullable=True),
        sa.Column("abstained", sa.Text(), nullable=True),
        sa.Column("classified_at", sa.BigInteger(), nullable=False),
        sa.CheckConstraint("(label IS NULL) <> (abstained IS NULL)", name=op.f("ck_verdicts_label_or_abstention")),
        sa.CheckConstraint("risk IS NULL OR calibration IS NOT NULL", name=op.f("ck_verdicts_risk_needs_calibration")),
        sa.PrimaryKeyConstraint("verdict_id", name=op.f("pk_verdicts")),
        sa.UniqueConstraint(
            "sha256",
            "classifier",
            "model",
            "revision",
            "label_set",
            name=op.f("uq_verdicts_sha256_classifier_model_revision_label_set"),
        ),
    )
    op.create_table(
        "delegations",
        sa.Column("delegation_id", _KEY, autoincrement=False, nullable=False),
        sa.Column("principal_id", sa.BigInteger(), nullable=False),
        sa.Column("delegate_id", sa.BigInteger(), nullable=False),
        sa.Column("starts_at", sa.BigInteger(), nullable=False),
        sa.Column("ends_at", sa.BigInteger(), nullable=False),
        sa.Column("revoked_at", sa.BigInteger(), nullable=True),
        sa.CheckConstraint("principal_id <> delegate_id", name=op.f("ck_delegations_distinct")),
        sa.CheckConstraint("starts_at < ends_at", name=op.f("ck_delegations_interval")),
        sa.ForeignKeyConstraint(["delegate_id"], ["people.person_id"], name=op.f("fk_delegations_delegate_id")),
        sa.ForeignKeyConstraint(["principal_id"], ["people.person_id"], name=op.f("fk_delegations_principal_id")),
        sa.PrimaryKeyConstraint("delegation_id", name=op.f("pk_delegations")),
    )
    op.create_table(
        "memberships",
        sa.Column("membership_id", _KEY, autoincrement=False, nullable=False),
        sa.Column("group_name", sa.Text(), nullable=False),
        sa.Column("person_id", sa.BigInteger(), nullable=False),
        sa.Column("added_at", sa.BigInteger(), nullable=False),
        sa.Column("removed_at", sa.BigInteger(), nullable=True),
        sa.ForeignKeyConstraint(["person_id"], ["people.person_id"], name=op.f("fk_memberships_person_id")),
        sa.PrimaryKeyConstraint("membership_id", name=op.f("pk_memberships")),
    )
    op.create_index("ix_memberships_group_name", "memberships", ["group_name"], unique=False)
    op.create_index(
        "uq_memberships_present",
        "memberships",
        ["group_name", "person_id"],
        unique=True,
        sqlite_where=sa.text("removed_at IS NULL"),
        postgresql_where=sa.text("removed_at IS NULL"),
    )
    op.create_table(
        "policy_activations",
        sa.Column("activation_id", _KEY, autoincrement=False, nullable=False),
        sa.Column("policy_sha256", sa.Text(), nullable=False),
        sa.Column("activated_at", sa.BigInteger(), nullable=False),
        sa.Column("activated_by", sa.Text(), nullable=False),
        sa.Column("seconded_by", sa.Text(), nullable=True),
        sa.ForeignKeyConstraint(
            ["policy_sha256"], ["policies.sha256"], name=op.f("fk_policy_activations_policy_sha256")
        ),
        sa.PrimaryKeyConstraint("activation_id", name=op.f("pk_policy_activations")),
    )
    op.create_table(
        "policy_rules",
        sa.Column("policy_sha256", sa.Text(), nullable=False),
        sa.Column("rule", sa.Text(), nullable=False),
        sa.ForeignKeyConstraint(["policy_sha256"], ["policies.sha256"], name=op.f("fk_policy_rules_policy_sha256")),
        sa.PrimaryKeyConstraint("policy_sha256", "rule", name=op.f("pk_policy_rules")),
        sqlite_with_rowid=False,
    )
    op.create_table(
        "reviews",
        sa.Column("review_id", _KEY, autoincrement=False, nullable=False),
        sa.Column("purpose", sa.Text(), nullable=False),
        sa.Column("stage", sa.Text(), nullable=False),
        sa.Column("collection", sa.Text(), nullable=False),
        sa.Column("policy_sha256", sa.Text(), nullable=False),
        sa.Column("opened_at", sa.BigInteger(), nullable=False),
        sa.Column("due_at", sa.BigInteger(), nullable=True),
        sa.Column("closed_at", sa.BigInteger(), nullable=True),
        sa.ForeignKeyConstraint(["policy_sha256"], ["policies.sha256"], name=op.f("fk_reviews_policy_sha256")),
        sa.PrimaryKeyConstraint("review_id", name=op.f("pk_reviews")),
    )
    op.create_index("ix_reviews_closed_at", "reviews", ["closed_at"], unique=False)
    op.create_table(
        "versions",
        sa.Column("version_id", _KEY, autoincrement=False, nullable=False),
        sa.Column("asset_id", sa.BigInteger(), nullable=False),
        sa.Column("number", sa.BigInteger(), nullable=False),
        sa.Column("sha256", sa.Text(), nullable=False),
        sa.Column("size_bytes", sa.BigInteger(), nullable=False),
        sa.Column("collection", sa.Text(), nullable=False),
        sa.Column("submitter", sa.Text(), nullable=True),
        sa.Column("policy_sha256", sa.Text(), nullable=False),
        sa.Column("state", sa.Text(), nullable=True),
        sa.Column("state_seq", sa.BigInteger(), server_default="0", nullable=False),
        sa.Column("state_since", sa.BigInteger(), nullable=True),
        sa.Column("round", sa.BigInteger(), server_default="1", nullable=False),
        sa.Column("arrived_seq", sa.BigInteger(), server_default="0", nullable=False),
        sa.Column("archived_from", sa.Text(), nullable=True),
        sa.ForeignKeyConstraint(["asset_id"], ["assets.asset_id"], name=op.f("fk_versions_asset_id")),
        sa.ForeignKeyConstraint(["policy_sha256"], ["policies.sha256"], name=op.f("fk_versions_policy_sha256")),
        sa.PrimaryKeyConstraint("version_id", name=op.f("pk_versions")),
        sa.UniqueConstraint("asset_id", "number", name=op.f("uq_versions_asset_id_number")),
        sa.UniqueConstraint("asset_id", "sha256", name=op.f("uq_versions_asset_id_sha256")),
    )
    op.create_index("ix_versions_policy_sha256", "versions", ["policy_sha256"], unique=False)
    op.create_index("ix_versions_sha256", "versions", ["sha256"], unique=False)
    op.create_index("ix_versions_state", "versions", ["state"], unique=False)
    op.create_index(
        "uq_versions_published",
        "versions",
        ["asset_id"],
        unique=True,
        sqlite_where=sa.text("state = 'published'"),
        postgresql_where=sa.text("state = 'published'"),
    )
    op.create_table(
        "clearances",
        sa.Column("clearance_id", _KEY, autoincrement=False, nullable=False),
        sa.Column("version_id", sa.BigInteger(), nullable=False),
        sa.Column("intent", sa.Text(), nullable=False),
        sa.Column("status", sa.Text(), nullable=False),
        sa.Column("reasons", sa.Text(), nullable=False),
        sa.Column("deciding", sa.Text(), nullable=False),
        sa.Column("digest", sa.Text(), nullable=False),
        sa.Column("next_change_at", sa.BigInteger(), nullable=True),
        sa.Column("checked_at", sa.BigInteger(), nullable=False),
        sa.ForeignKeyConstraint(["version_id"], ["versions.version_id"], name=op.f("fk_clearances_version_id")),
        sa.PrimaryKeyConstraint("clearance_id", name=op.f("pk_clearances")),
    )
    op.create_index("ix_clearances_next_change_at", "clearances", ["next_change_at"], unique=False)
    op.create_index("ix_clearances_version_id", "clearances", ["version_id"], unique=False)
    op.create_table(
        "custody",
        sa.Column("custody_id", _KEY, autoincrement=False, nullable=False),
        sa.Column("version_id", sa.BigInteger(), nullable=False),
        sa.Column("form", sa.Text(), nullable=False),
        sa.Column("bucket", sa.Text(), nullable=False),
        sa.Column("key", sa.Text(), nullable=False),
        sa.Column("object_version", sa.Text(), nullable=True),
        sa.Column("etag", sa.Text(), nullable=False),
        sa.Column("verified_at", sa.BigInteger(), nullable=False),
        sa.Column("released_at", sa.BigInteger(), nullable=True),
        sa.CheckConstraint("form IN ('referenced', 'copied', 'archived')", name=op.f("ck_custody_form")),
        sa.ForeignKeyConstraint(["version_id"], ["versions.version_id"], name=op.f("fk_custody_version_id")),
        sa.PrimaryKeyConstraint("custody_id", name=op.f("pk_custody")),
    )
    op.create_index("ix_custody_version_id", "custody", ["version_id"], unique=False)
    op.create_table(
        "effects",
        sa.Column("effect_id", _KEY, autoincrement=False, nullable=False),
        sa.Column("version_id", sa.BigInteger(), nullable=False),
        sa.Column("kind", sa.Text(), nullable=False),
        sa.Column("sha256", sa.Text(), nullable=False),
        sa.Column("status", sa.Text(), nullable=False),
        sa.Column("reason", sa.Text(), nullable=True),
        sa.Column("rule", sa.Text(), nullable=True),
        sa.Column("storage_class", sa.Text(), nullable=True),
        sa.Column("result", sa.Text(), nullable=True),
        sa.Column("attempts", sa.BigInteger(), server_default="0", nullable=False),
        sa.Column("last_error", sa.Text(), nullable=True),
        sa.Column("opened_at", sa.BigInteger(), nullable=False),
        sa.Column("closed_at", sa.BigInteger(), nullable=True),
        sa.CheckConstraint(
            "kind IN ('publish', 'withdraw', 'archive', 'restore', 'dispose')", name=op.f("ck_effects_kind")
        ),
        sa.CheckConstraint("status IN ('open', 'done', 'cancelled')", name=op.f("ck_effects_status")),
        sa.ForeignKeyConstraint(["version_id"], ["versions.version_id"], name=op.f("fk_effects_version_id")),
        sa.PrimaryKeyConstraint("effect_id", name=op.f("pk_effects")),
    )
    op.create_index("ix_effects_version_id", "effects", ["version_id"], unique=False)
    op.create_index(
        "uq_effects_open",
        "effects",
        ["version_id"],
        unique=True,
        sqlite_where=sa.text("status = 'open'"),
        postgresql_where=sa.text("status = 'open'"),
    )
    op.create_table(
        "gates",
        sa.Column("gate_id", _KEY, autoincrement=False, nullable=False),
        sa.Column("version_id", sa.BigInteger(), nullable=False),
        sa.Column("round", sa.BigInteger(), nullable=False),
        sa.Column("stage", sa.Text(), nullable=False),
        sa.Column("step", sa.BigInteger(), nullable=False),
        sa.Column("quorum", sa.BigInteger(), nullable=False),
        sa.Column("four_eyes", sa.Boolean(), nullable=False),
        sa.Column("signature", sa.Text(), nullable=False),
        sa.Column("opened_at", sa.BigInteger(), nullable=True),
        sa.Column("due_at", sa.BigInteger(), nullable=True),
        sa.Column("outcome", sa.Text(), nullable=True),
        sa.Column("closed_at", sa.BigInteger(), nullable=True),
        sa.CheckConstraint(
            "outcome IS NULL OR outcome IN ('passed', 'rejected', 'changes_requested', 'voided')",
            name=op.f("ck_gates_outcome"),
        ),
        sa.CheckConstraint("signature IN ('totp', 'none')", name=op.f("ck_gates_signature")),
        sa.CheckConstraint("quorum >= 1", name=op.f("ck_gates_quorum")),
        sa.ForeignKeyConstraint(["version_id"], ["versions.version_id"], name=op.f("fk_gates_version_id")),
        sa.PrimaryKeyConstraint("gate_id", name=op.f("pk_gates")),
        sa.UniqueConstraint("version_id", "round", "stage", name=op.f("uq_gates_version_id_round_stage")),
    )
    op.create_table(
        "holds",
        sa.Column("hold_id", _KEY, autoincrement=False, nullable=False),
        sa.Column("version_id", sa.BigInteger(), nullable=False),
        sa.Column("matter", sa.Text(), nullable=False),
        sa.Column("placed_by", sa.Text(), nullable=False),
        sa.Column("placed_at", sa.BigInteger(), nullable=False),
        sa.Column("released_by", sa.Text(), nullable=True),
        sa.Column("released_at", sa.BigInteger(), nullable=True),
        sa.ForeignKeyConstraint(["version_id"], ["versions.version_id"], name=op.f("fk_holds_version_id")),
        sa.PrimaryKeyConstraint("hold_id", name=op.f("pk_holds")),
    )
    op.create_index("ix_holds_version_id", "holds", ["version_id"], unique=False)
    op.create_table(
        "parkings",
        sa.Column("review_id", sa.BigInteger(), nullable=False),
        sa.Column("round", sa.BigInteger(), nullable=False),
        sa.Column("status", sa.Text(), nullable=False),
        sa.Column("reason", sa.Text(), nullable=True),
        sa.Column("flow_run_id", sa.Text(), nullable=True),
        sa.Column("basis", sa.Text(), nullable=True),
        sa.Column("created_at", sa.BigInteger(), nullable=False),
        sa.Column("parked_at", sa.BigInteger(), nullable=True),
        sa.Column("closed_at", sa.BigInteger(), nullable=True),
        sa.CheckConstraint(
            "status IN ('to_park', 'parked', 'answered', 'replaced', 'closed')", name=op.f("ck_parkings_status")
        ),
        sa.ForeignKeyConstraint(["review_id"], ["reviews.review_id"], name=op.f("fk_parkings_review_id")),
        sa.PrimaryKeyConstraint("review_id", "round", name=op.f("pk_parkings")),
        sqlite_with_rowid=False,
    )
    op.create_index(
        "uq_parkings_present",
        "parkings",
        ["review_id"],
        unique=True,
        sqlite_where=sa.text("status IN ('to_park', 'parked')"),
        postgresql_where=sa.text("status IN ('to_park', 'parked')"),
    )
    op.create_table(
        "retentions",
        sa.Column("retention_id", _KEY, autoincrement=False, nullable=False),
        sa.Column("version_id", sa.BigInteger(), nullable=False),
        sa.Column("until_at", sa.BigInteger(), nullable=False),
        sa.Column("rule", sa.Text(), nullable=True),
        sa.Column("set_at", sa.BigInteger(), nullable=False),
        sa.ForeignKeyConstraint(["version_id"], ["versions.version_id"], name=op.f("fk_retentions_version_id")),
        sa.PrimaryKeyConstraint("retention_id", name=op.f("pk_retentions")),
    )
    op.create_index("ix_retentions_version_id", "retentions", ["version_id"], unique=False)
    op.create_table(
        "sightings",
        sa.Column("bucket", sa.Text(), nullable=False),
        sa.Column("key", sa.Text(), nullable=False),
        sa.Column("etag", sa.Text(), nullable=False),
        sa.Column("size_bytes", sa.BigInteger(), nullable=False),
        sa.Column("modified_at", sa.BigInteger(), nullable=False),
        sa.Column("version_id", sa.BigInteger(), nullable=True),
        sa.Column("refusal", sa.Text(), nullable=True),
        sa.Column("seen_at", sa.BigInteger(), nullable=False),
        sa.ForeignKeyConstraint(["version_id"], ["versions.version_id"], name=op.f("fk_sightings_version_id")),
        sa.PrimaryKeyConstraint("bucket", "key", name=op.f("pk_sightings")),
        sqlite_with_rowid=False,
    )
    op.create_table(
        "decisions",
        sa.Column("decision_id", _KEY, autoincrement=False, nullable=False),
        sa.Column("gate_id", sa.BigInteger(), nullable=False),
        sa.Column("person_id", sa.BigInteger(), nullable=False),
        sa.Column("on_behalf_of", sa.BigInteger(), nullable=False),
        sa.Column("verdict", sa.Text(), nullable=False),
        sa.Column("counted", sa.Boolean(), nullable=False),
        sa.Column("signature", sa.Text(), nullable=False),
        sa.Column("sha256", sa.Text(), nullable=False),
        sa.Column("basis", sa.Text(), nullable=False),
        sa.Column("note_id", sa.BigInteger(), nullable=True),
        sa.Column("decided_at", sa.BigInteger(), nullable=False),
        sa.CheckConstraint("signature IN ('totp', 'none')", name=op.f("ck_decisions_signature")),
        sa.CheckConstraint("verdict IN ('approve', 'request_changes', 'reject')", name=op.f("ck_decisions_verdict")),
        sa.ForeignKeyConstraint(["gate_id"], ["gates.gate_id"], name=op.f("fk_decisions_gate_id")),
        sa.ForeignKeyConstraint(["note_id"], ["notes.note_id"], name=op.f("fk_decisions_note_id")),
        sa.ForeignKeyConstraint(["on_behalf_of"], ["people.person_id"], name=op.f("fk_decisions_on_behalf_of")),
        sa.ForeignKeyConstraint(["person_id"], ["people.person_id"], name=op.f("fk_decisions_person_id")),
        sa.PrimaryKeyConstraint("decision_id", name=op.f("pk_decisions")),
    )
    op.create_index(
        "uq_decisions_person",
        "decisions",
        ["gate_id", "person_id"],
        unique=True,
        sqlite_where=sa.text("counted"),
        postgresql_where=sa.text("counted"),
    )
    op.create_index(
        "uq_decisions_principal",
        "decisions",
        ["gate_id", "on_behalf_of"],
        unique=True,
        sqlite_where=sa.text("counted"),
        postgresql_where=sa.text("counted"),
    )
    op.create_table(
        "events",
        sa.Column("seq", _KEY, autoincrement=False, nullable=False),
        sa.Column("at", sa.BigInteger(), nullable=False),
        sa.Column("actor", sa.Text(), nullable=False),
        sa.Column("action", sa.Text(), nullable=False),
        sa.Column("version_id", sa.BigInteger(), nullable=True),
        sa.Column("from_state", sa.Text(), nullable=True),
        sa.Column("to_state", sa.Text(), nullable=True),
        sa.Column("round", sa.BigInteger(), nullable=True),
        sa.Column("policy_sha256", sa.Text(), nullable=True),
        sa.Column("rule", sa.Text(), nullable=True),
        sa.Column("reason", sa.Text(), nullable=True),
        sa.Column("effect_id", sa.BigInteger(), nullable=True),
        sa.Column("flow_run_id", sa.Text(), nullable=True),
        sa.Column("body", sa.Text(), nullable=False),
        sa.Column("hash", sa.Text(), nullable=False),
        sa.ForeignKeyConstraint(["effect_id"], ["effects.effect_id"], name=op.f("fk_events_effect_id")),
        sa.ForeignKeyConstraint(["version_id"], ["versions.version_id"], name=op.f("fk_events_version_id")),
        sa.PrimaryKeyConstraint("seq", name=op.f("pk_events")),
    )
    op.create_index("ix_events_version_id", "events", ["version_id"], unique=False)
    op.create_index(
        "uq_events_effect_id",
        "events",
        ["effect_id"],
        unique=True,
        sqlite_where=sa.text("effect_id IS NOT NULL AND to_state IS NOT NULL"),
        postgresql_where=sa.text("effect_id IS NOT NULL AND to_state IS NOT NULL"),
    )
    op.create_table(
        "gate_eligible",
        sa.Column("gate_id", sa.BigInteger(), nullable=False),
        sa.Column("person_id", sa.BigInteger(), nullable=False),
        sa.Column("on_behalf_of", sa.BigInteger(), nullable=False),
        sa.Column("via", sa.Text(), nullable=False),
        sa.Column("added_at", sa.BigInteger(), nullable=False),
        sa.Column("revoked_at", sa.BigInteger(), nullable=True),
        sa.CheckConstraint("via IN ('group', 'escalation', 'delegation')", name=op.f("ck_gate_eligible_via")),
        sa.ForeignKeyConstraint(["gate_id"], ["gates.gate_id"], name=op.f("fk_gate_eligible_gate_id")),
        sa.ForeignKeyConstraint(["on_behalf_of"], ["people.person_id"], name=op.f("fk_gate_eligible_on_behalf_of")),
        sa.ForeignKeyConstraint(["person_id"], ["people.person_id"], name=op.f("fk_gate_eligible_person_id")),
        sa.PrimaryKeyConstraint("gate_id", "person_id", "on_behalf_of", name=op.f("pk_gate_eligible")),
        sqlite_with_rowid=False,
    )
    op.create_table(
        "review_gates",
        sa.Column("review_id", sa.BigInteger(), nullable=False),
        sa.Column("position", sa.BigInteger(), nullable=False),
        sa.Column("gate_id", sa.BigInteger(), nullable=False),
        sa.ForeignKeyConstraint(["gate_id"], ["gates.gate_id"], name=op.f("fk_review_gates_gate_id")),
        sa.ForeignKeyConstraint(["review_id"], ["reviews.review_id"], name=op.f("fk_review_gates_review_id")),
        sa.PrimaryKeyConstraint("review_id", "position", name=op.f("pk_review_gates")),
        sa.UniqueConstraint("gate_id", name=op.f("uq_review_gates_gate_id")),
        sqlite_with_rowid=False,
    )
    op.create_table(
        "screenings",
        sa.Column("version_id", sa.BigInteger(), nullable=False),
        sa.Column("round", sa.BigInteger(), nullable=False),
        sa.Column("policy_sha256", sa.Text(), nullable=False),
        sa.Column("kind", sa.Text(), nullable=False),
        sa.Column("label", sa.Text(), nullable=True),
        sa.Column("score", sa.Double(), nullable=True),
        sa.Column("clearance", sa.Text(), nullable=False),
        sa.Column("verdict_id", sa.BigInteger(), nullable=True),
        sa.Column("clearance_id", sa.BigInteger(), nullable=True),
        sa.Column("facts", sa.Text(), nullable=False),
        sa.Column("route", sa.Text(), nullable=False),
        sa.Column("screened_at", sa.BigInteger(), nullable=False),
        sa.ForeignKeyConstraint(["clearance_id"], ["clearances.clearance_id"], name=op.f("fk_screenings_clearance_id")),
        sa.ForeignKeyConstraint(["policy_sha256"], ["policies.sha256"], name=op.f("fk_screenings_policy_sha256")),
        sa.ForeignKeyConstraint(["verdict_id"], ["verdicts.verdict_id"], name=op.f("fk_screenings_verdict_id")),
        sa.ForeignKeyConstraint(["version_id"], ["versions.version_id"], name=op.f("fk_screenings_version_id")),
        sa.PrimaryKeyConstraint("version_id", "round", name=op.f("pk_screenings")),
        sqlite_with_rowid=False,
    )
