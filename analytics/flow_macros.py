"""What flows through: work in process, its age, and what comes in and goes out day by day."""

from __future__ import annotations

from typing import Final

from analytics.macro import WORK_STATES, Macro, grouping, length_until_now

WIP: Final = Macro(
    "wip",
    "per := 'state'",
    "How many versions are in process now, and how long they have been in their state (median and longest).",
    f"""SELECT {grouping("wip", state="open_stays.state::VARCHAR")}, count(*) AS versions,
            quantile_disc({length_until_now("open_stays.entered_at")}, 0.5) / 1e6 AS median_age_s,
            max({length_until_now("open_stays.entered_at")}) / 1e6 AS oldest_age_s
        FROM open_stays JOIN versions USING (version_id) WHERE open_stays.state IN {WORK_STATES}
        GROUP BY name ORDER BY name""",  # noqa: S608 (assembled from this package's own text, here and below)
)

AGEING: Final = Macro(
    "ageing",
    None,
    "Every version in process, longest in its state first, beside what 85 of 100 stays in that state do not exceed.",
    f"""SELECT version_id, assets.key, versions.collection, versions.label, stays_now.state, stages, due_at,
            stays_now.length_us / 1e6 AS age_s,
            {length_until_now("versions.submitted_at")} / 1e6 AS since_submitted_s,
            usual.p85_s AS state_p85_s, stays_now.length_us / 1e6 > usual.p85_s AS beyond_p85
        FROM (FROM all_stays WHERE NOT ended AND state IN {WORK_STATES}) AS stays_now
        JOIN versions USING (version_id) LEFT JOIN assets USING (asset_id)
        LEFT JOIN (
            SELECT version_id, list(stage ORDER BY step, stage) AS stages, min(due_at) AS due_at
            FROM gates WHERE opened_at IS NOT NULL AND closed_at IS NULL GROUP BY version_id
        ) USING (version_id)
        LEFT JOIN state_time(per := 'state') AS usual ON usual.name = stays_now.state::VARCHAR
        ORDER BY age_s DESC, version_id""",  # noqa: S608
)

THROUGHPUT: Final = Macro(
    "throughput",
    "every := 'day', per := 'all'",
    "What came into process and left it in each day, week or month (UTC), and how much was in process at its end.",
    f"""WITH moves AS (
            SELECT {grouping("throughput")}, entered_at, all_stays.state, from_state,
                all_stays.state IN {WORK_STATES} AS is_in, coalesce(from_state IN {WORK_STATES}, false) AS was_in
            FROM all_stays JOIN versions USING (version_id)),
        counted AS (
            SELECT name, date_trunc(every, entered_at)::TIMESTAMP AS starts_at,
                count(*) FILTER (is_in AND from_state IS NULL) AS arrived,
                count(*) FILTER (is_in AND from_state IS NOT NULL AND NOT was_in) AS returned,
                count(*) FILTER (was_in AND state = 'published') AS published,
                count(*) FILTER (was_in AND state = 'rejected') AS rejected,
                count(*) FILTER (was_in AND state = 'superseded') AS superseded,
                count(*) FILTER (was_in AND NOT is_in) AS departed
            FROM moves GROUP BY ALL),
        periods AS (
            SELECT unnest(generate_series(
                (SELECT min(starts_at) FROM counted),
                greatest((SELECT max(starts_at) FROM counted), date_trunc(every, refreshed_at)::TIMESTAMP),
                CASE WHEN every = 'day' THEN INTERVAL 1 DAY WHEN every = 'week' THEN INTERVAL 7 DAY
                    WHEN every = 'month' THEN INTERVAL 1 MONTH
                    ELSE error('throughput: every is ' || every || '; allowed are day, week, month') END
            )) AS starts_at FROM refresh),
        grid AS (SELECT name, starts_at FROM (SELECT DISTINCT name FROM counted) CROSS JOIN periods)
        SELECT starts_at, name, coalesce(arrived, 0) AS arrived, coalesce(returned, 0) AS returned,
            coalesce(published, 0) AS published, coalesce(rejected, 0) AS rejected,
            coalesce(superseded, 0) AS superseded, coalesce(departed, 0) AS departed,
            (sum(coalesce(arrived + returned - departed, 0)) OVER (PARTITION BY name ORDER BY starts_at))::BIGINT AS wip
        FROM grid LEFT JOIN counted USING (name, starts_at) ORDER BY starts_at, name""",  # noqa: S608
)
