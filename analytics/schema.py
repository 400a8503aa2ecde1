"""What the warehouse holds: its tables, which of them mirror the ledger, and how a missed change is noticed.

Instants are TIMESTAMP in UTC, lengths BIGINT microseconds, keys BIGINT or ENUM. Everything but the table `refresh` is
a function of the ledger alone, so a warehouse built at once and one built bit by bit hold the same rows.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from types import MappingProxyType
from typing import Final

from policies.facts import CLEARANCES
from policies.lifecycle import State

STORAGE_VERSION: Final = "v1.0.0"
"""DuckDB's file format: what every DuckDB from 1.0 on can read."""

IN_PROCESS: Final = (State.SUBMITTED, State.QUARANTINED, State.IN_REVIEW, State.CHANGES_REQUESTED, State.APPROVED)
"""States in which a version is work in process: it waits for a machine or a person, and its outcome is open."""

ENUMS: Final = MappingProxyType(
    {
        "state": tuple(str(state) for state in State),
        "clearance_status": CLEARANCES,
        "gate_outcome": ("passed", "rejected", "changes_requested", "voided"),
        "decision_verdict": ("approve", "request_changes", "reject"),
    }
)
"""Closed sets of words, stored as ENUM; a word that is in none of them stops a refresh instead of being lost."""


def words_list(words: Sequence[str]) -> str:
    """Words as SQL literals.

    >>> words_list(["a", "b"])
    "'a', 'b'"
    """
    return ", ".join(f"'{word}'" for word in words)


def length_between(start: str, end: str) -> str:
    """SQL of the µs between two instants: NULL where one is unknown, 0 where a clock was set back in between.

    >>> length_between("a", "b")
    'CASE WHEN b >= a THEN epoch_us(b) - epoch_us(a) WHEN b < a THEN 0 END'
    """
    return f"CASE WHEN {end} >= {start} THEN epoch_us({end}) - epoch_us({start}) WHEN {end} < {start} THEN 0 END"


@dataclass(frozen=True, slots=True)
class Mirror:
    """A table copied from the ledger: which columns are read, and which are compared to notice a missed change.

    `checked` are integers and instants of which one changes whenever a row does; the first of `key` is an integer.
    `select` and `source` say what is stored, in the order of the warehouse's columns: `incoming` is what was read,
    joined with tables written before this one.
    """

    table: str
    columns: tuple[str, ...]
    checked: tuple[str, ...]
    key: tuple[str, ...]
    select: str
    source: str = "incoming"


_HISTORY: Final = f"""
    SELECT version_id, submitted_at, published_at, coalesce(published_at, last_one.ended_at) AS ended_at,
        CASE WHEN published_at IS NOT NULL THEN 'published' ELSE last_one.next_state END AS outcome
    FROM (
        SELECT version_id, arg_min(entered_at, entered_seq) AS submitted_at,
            arg_min(entered_at, entered_seq) FILTER (WHERE state = 'published') AS published_at,
            arg_max({{'ended_at': left_at, 'next_state': next_state}}, entered_seq)
                FILTER (WHERE state IN ({words_list(IN_PROCESS)})) AS last_one
        FROM (FROM stays UNION ALL BY NAME FROM open_stays)
        WHERE version_id IN (SELECT version_id FROM incoming)
        GROUP BY version_id
    )"""  # noqa: S608 (assembled from this module's own text)
"""When each version came in and what became of it: its first publication, or else what its last open stay led to."""

_SCREENED: Final = """
    SELECT version_id, arg_max_null(kind, round) AS kind, arg_max_null(label, round) AS label,
        arg_max_null(score, round) AS score, arg_max_null(clearance, round) AS clearance
    FROM screenings WHERE version_id IN (SELECT version_id FROM incoming) GROUP BY version_id"""
"""What the latest screening of each version saw."""

EVENT_COLUMNS: Final = (
    "seq", "at", "actor", "action", "version_id", "from_state", "to_state", "round", "rule", "reason", "flow_run_id",
)  # fmt: skip

MIRRORS: Final = (
    Mirror("assets", ("asset_id", "bucket", "key"), ("asset_id",), ("asset_id",), "asset_id, bucket, key"),
    Mirror(
        "verdicts",
        ("verdict_id", "sha256", "classifier", "model", "revision", "label_set", "label", "score", "margin",
         "second_label", "risk", "abstained", "classified_at"),
        ("verdict_id",),
        ("verdict_id",),
        """verdict_id, sha256, classifier, model, revision, label_set, label, score, margin, second_label, risk,
           abstained, classified_at""",
    ),
    Mirror(
        "clearances",
        ("clearance_id", "version_id", "intent", "status", "reasons", "next_change_at", "checked_at"),
        ("clearance_id",),
        ("clearance_id",),
        """clearance_id, version_id, intent, status, json_extract_string(reasons, '$[*].code'), next_change_at,
           checked_at""",
    ),
    Mirror(
        "screenings",
        ("version_id", "round", "policy_sha256", "kind", "label", "score", "clearance", "verdict_id", "clearance_id",
         "screened_at"),
        ("version_id", "round", "screened_at"),
        ("version_id", "round"),
        "version_id, round, policy_sha256, kind, label, score, clearance, verdict_id, clearance_id, screened_at",
    ),
    Mirror(
        "gates",
        ("gate_id", "version_id", "round", "stage", "step", "quorum", "four_eyes", "signature", "opened_at", "due_at",
         "outcome", "closed_at"),
        ("gate_id", "quorum", "opened_at", "due_at", "closed_at"),
        ("gate_id",),
        """gate_id, version_id, round, stage, step, quorum, four_eyes, signature, opened_at, due_at, outcome,
           closed_at, """
        + length_between("opened_at", "closed_at"),
    ),
    Mirror(
        "decisions",
        ("decision_id", "gate_id", "person_id", "on_behalf_of", "verdict", "counted", "signature", "decided_at"),
        ("decision_id",),
        ("decision_id",),
        """decision_id, gate_id, gates.version_id, gates.stage, person_id, on_behalf_of, verdict, counted,
           incoming.signature, decided_at""",
        "incoming LEFT JOIN gates USING (gate_id)",
    ),
    Mirror(
        "versions",
        ("version_id", "asset_id", "number", "sha256", "size_bytes", "collection", "submitter", "policy_sha256",
         "state", "state_seq", "state_since", "round"),
        ("version_id", "state_seq", "round"),
        ("version_id",),
        """version_id, asset_id, number, sha256, size_bytes, collection, submitter, policy_sha256, state, state_seq,
           state_since, round, screened.kind, screened.label, screened.score, screened.clearance, submitted_at,
           published_at, ended_at, outcome, """
        + length_between("submitted_at", "ended_at"),
        f"incoming LEFT JOIN ({_HISTORY}) USING (version_id) LEFT JOIN ({_SCREENED}) AS screened USING (version_id)",
    ),
)  # fmt: skip
"""In the order in which they are written: a later one may read an earlier one."""

TABLES: Final = MappingProxyType(
    {
        "events": """seq BIGINT, happened_at TIMESTAMP, actor VARCHAR, action VARCHAR, version_id BIGINT,
            from_state state, to_state state, round BIGINT, rule VARCHAR, reason VARCHAR, flow_run_id VARCHAR""",
        "stays": """version_id BIGINT, state state, round BIGINT, entered_seq BIGINT, entered_at TIMESTAMP,
            entered_by VARCHAR, from_state state, left_seq BIGINT, left_at TIMESTAMP, left_by VARCHAR,
            next_state state, length_us BIGINT""",
        "open_stays": """version_id BIGINT, state state, round BIGINT, entered_seq BIGINT, entered_at TIMESTAMP,
            entered_by VARCHAR, from_state state""",
        "assets": "asset_id BIGINT, bucket VARCHAR, key VARCHAR",
        "verdicts": """verdict_id BIGINT, sha256 VARCHAR, classifier VARCHAR, model VARCHAR, revision VARCHAR,
            label_set VARCHAR, label VARCHAR, score DOUBLE, margin DOUBLE, second_label VARCHAR, risk DOUBLE,
            abstained VARCHAR, classified_at TIMESTAMP""",
        "clearances": """clearance_id BIGINT, version_id BIGINT, intent VARCHAR, status clearance_status,
            reasons VARCHAR[], next_change_at TIMESTAMP, checked_at TIMESTAMP""",
        "screenings": """version_id BIGINT, round BIGINT, policy_sha256 VARCHAR, kind VARCHAR, label VARCHAR,
            score DOUBLE, clearance clearance_status, verdict_id BIGINT, clearance_id BIGINT, screened_at TIMESTAMP""",
        "gates": """gate_id BIGINT, version_id BIGINT, round BIGINT, stage VARCHAR, step BIGINT, quorum BIGINT,
            four_eyes BOOLEAN, signature VARCHAR, opened_at TIMESTAMP, due_at TIMESTAMP, outcome gate_outcome,
            closed_at TIMESTAMP, length_us BIGINT""",
        "decisions": """decision_id BIGINT, gate_id BIGINT, version_id BIGINT, stage VARCHAR, person_id BIGINT,
            on_behalf_of BIGINT, verdict decision_verdict, counted BOOLEAN, signature VARCHAR, decided_at TIMESTAMP""",
        "versions": """version_id BIGINT, asset_id BIGINT, number BIGINT, sha256 VARCHAR, size_bytes BIGINT,
            collection VARCHAR, submitter VARCHAR, policy_sha256 VARCHAR, state state, state_seq BIGINT,
            state_since TIMESTAMP, round BIGINT, kind VARCHAR, label VARCHAR, score DOUBLE,
            clearance clearance_status, submitted_at TIMESTAMP, published_at TIMESTAMP, ended_at TIMESTAMP,
            outcome state, lead_us BIGINT""",
    }
)
"""Every table that a refresh fills, in DuckDB's own words."""

_REFRESH: Final = """CREATE TABLE refresh (schema_digest VARCHAR, watermark_seq BIGINT, watermark_hash VARCHAR,
    refreshed_at TIMESTAMP, rebuilt_because VARCHAR, events_added BIGINT)"""


def table_statements() -> tuple[str, ...]:
    """The statements that make an empty warehouse, without its views and macros."""
    enums = (f"CREATE TYPE {name} AS ENUM ({words_list(words)})" for name, words in ENUMS.items())
    tables = (f"CREATE TABLE {name} ({columns})" for name, columns in TABLES.items())
    return (*enums, *tables, _REFRESH)


def schema_digest() -> str:
    """SHA-256 of what decides the stored rows; a warehouse with another one is built anew."""
    decided = (*table_statements(), *EVENT_COLUMNS, *(repr(mirror) for mirror in MIRRORS), *IN_PROCESS)
    return hashlib.sha256("\n".join(decided).encode()).hexdigest()
