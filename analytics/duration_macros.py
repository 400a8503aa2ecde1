"""How long things take: lead time, cycle time of gates, time in a state, and deadlines kept."""

from __future__ import annotations

from typing import Final

from analytics.macro import COHORT, Macro, began_between, grouping, length_until_now
from analytics.quantiles import quantile_query

ALL_STAYS: Final = Macro(
    "all_stays",
    None,
    "Every stay of a version in a state, open ones included: those last until the moment of the refresh.",
    f"""SELECT version_id, state, round, entered_seq, entered_at, entered_by, from_state, left_at, left_by, next_state,
            length_us, true AS ended
        FROM stays
        UNION ALL
        SELECT version_id, state, round, entered_seq, entered_at, entered_by, from_state, NULL::TIMESTAMP,
            NULL::VARCHAR, NULL::state,
            {length_until_now("entered_at")}, false
        FROM open_stays""",  # noqa: S608 (assembled from this package's own text, here and below)
)

LEAD_TIME: Final = Macro(
    "lead_time",
    f"per := 'all', {COHORT}",
    "How long versions take from their submission to an outcome (published, rejected, superseded, …); open ones count.",
    quantile_query(
        f"""SELECT {grouping("lead_time")}, coalesce(lead_us, {length_until_now("submitted_at")}) AS length_us,
                outcome IS NOT NULL AS ended, outcome
            FROM versions WHERE submitted_at IS NOT NULL AND {began_between("submitted_at")}""",  # noqa: S608
        """count(*) AS versions, count(*) FILTER (outcome = 'published') AS published,
            count(*) FILTER (outcome = 'rejected') AS rejected, count(*) FILTER (outcome = 'superseded') AS superseded,
            count(*) FILTER (outcome NOT IN ('published', 'rejected', 'superseded')) AS other_ends,
            count(*) FILTER (outcome IS NULL) AS open""",
    ),
)

PUBLICATION_TIME: Final = Macro(
    "publication_time",
    f"per := 'all', {COHORT}",
    "How long it took from submission to first publication, of what was published (in since … until) and nothing else.",
    quantile_query(
        f"""SELECT {grouping("publication_time")}, lead_us AS length_us, true AS ended
            FROM versions WHERE outcome = 'published' AND {began_between("published_at")}""",  # noqa: S608
        "count(*) AS published",
    ),
)

CYCLE_TIME: Final = Macro(
    "cycle_time",
    f"per := 'stage', {COHORT}",
    "How long an opened gate takes to be decided; open gates count until now, voided ones until they were voided.",
    quantile_query(
        f"""SELECT {grouping("cycle_time", stage="gates.stage")},
                coalesce(gates.length_us, {length_until_now("gates.opened_at")}) AS length_us,
                coalesce(gates.outcome <> 'voided', false) AS ended, gates.outcome
            FROM gates JOIN versions USING (version_id)
            WHERE gates.opened_at IS NOT NULL AND {began_between("gates.opened_at")}""",  # noqa: S608
        """count(*) AS gates, count(*) FILTER (ended) AS decided, count(*) FILTER (outcome = 'voided') AS voided,
            count(*) FILTER (outcome IS NULL) AS open""",
    ),
)

STATE_TIME: Final = Macro(
    "state_time",
    f"per := 'state', {COHORT}",
    "How long versions stay in a state each time they enter it; present stays count until now.",
    quantile_query(
        f"""SELECT {grouping("state_time", state="all_stays.state::VARCHAR")}, all_stays.length_us, all_stays.ended
            FROM all_stays JOIN versions USING (version_id)
            WHERE {began_between("all_stays.entered_at")}""",  # noqa: S608
        "count(*) AS stays, count(*) FILTER (ended) AS closed, count(*) FILTER (NOT ended) AS open",
    ),
)

DEADLINES: Final = Macro(
    "deadlines",
    f"per := 'stage', {COHORT}",
    "How gates with a deadline did: decided on time, decided late, open in time, open and overdue; voided ones apart.",
    f"""SELECT {grouping("deadlines", stage="gates.stage")}, count(*) AS gates,
            count(*) FILTER (gates.outcome <> 'voided' AND gates.closed_at <= gates.due_at) AS on_time,
            count(*) FILTER (gates.outcome <> 'voided' AND gates.closed_at > gates.due_at) AS late,
            count(*) FILTER (gates.outcome IS NULL AND refreshed_at <= gates.due_at) AS open_in_time,
            count(*) FILTER (gates.outcome IS NULL AND refreshed_at > gates.due_at) AS overdue,
            count(*) FILTER (gates.outcome = 'voided') AS voided
        FROM gates JOIN versions USING (version_id) CROSS JOIN refresh
        WHERE gates.opened_at IS NOT NULL AND gates.due_at IS NOT NULL AND {began_between("gates.opened_at")}
        GROUP BY name ORDER BY name""",  # noqa: S608
)
