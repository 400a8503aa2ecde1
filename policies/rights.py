"""The rights check: may this version be used like this, there, by them, then, and why.

`check_rights` joins a batch of intended uses with the grants and with what the files say about themselves. Default
deny; a prohibition beats a permit; what a file says may restrict and never clear; a permit must cover every country and
channel over the whole interval that is still ahead, alone or together with others. The worst finding is the status.
"""

from __future__ import annotations

import hashlib
from datetime import UTC, datetime, timedelta
from typing import Final

import polars as pl

from policies.clearance import CLEARANCE_SCHEMA, REASON_DTYPE, STATUS_OF, ClearanceStatus, ReasonCode, waivable
from policies.rights_coverage import match_grants
from policies.rights_embedded import embedded_findings, embedded_text
from policies.rights_findings import licence_findings, opposing_findings, release_findings, unmet_terms
from policies.rights_questions import INSTANT, QUERY_SCHEMA, ask, cells_of, unknown_codes

__all__ = ["CLEARANCE_SCHEMA", "QUERY_SCHEMA", "ClearanceStatus", "ReasonCode", "check_rights", "waivable", "worst_use"]

EXPIRING_WITHIN: Final = timedelta(days=30)
_RANKS: Final = {str(status): status.rank for status in ClearanceStatus}
_RANK_OF: Final = {str(code): status.rank for code, status in STATUS_OF.items()}
_ORDER_OF: Final = {str(code): order for order, code in enumerate(STATUS_OF)}


def check_rights(
    queries: pl.DataFrame,
    grants: pl.DataFrame,
    now: datetime,
    *,
    expiring_within: timedelta = EXPIRING_WITHIN,
    uses: pl.DataFrame | None = None,
) -> pl.DataFrame:
    """Decide the clearance of each intended use: a frame of `CLEARANCE_SCHEMA`, a row a query, in the same order.

    `queries` has the columns of `QUERY_SCHEMA`, `grants` comes from `grants_frame`. `expiring_within` is how long
    before its end a licence counts as about to lapse. `uses` (`grant_id`, `key`; one row an asset in use) is counted
    against grants with a maximum; without it such a grant leaves the use unknown.

    `deciding` names the grants behind the findings that give the status. `digest` is the SHA-256 of the grants that
    speak of this use at whatever time and of the embedded facts: time alone never changes it. `next_change_at` is the
    earliest instant after `now` at which the status could change by time alone.

    Raises `QueriesInvalid` if `queries` does not keep to its schema or `now` is naive.
    """
    known = grants.with_row_index("grant")
    asked = ask(queries, grants, uses, now)
    now = now.astimezone(UTC)
    cells = cells_of(asked.questions)
    matched = match_grants(asked.questions, cells, known)
    unmet = unmet_terms(asked.questions, matched, uses)
    strange = unknown_codes(asked.questions).with_columns(
        code=pl.lit(str(ReasonCode.UNKNOWN_CODE)), grant_id=pl.lit(None, dtype=pl.String)
    )
    of_questions = pl.concat(
        [
            licence_findings(cells, matched, unmet, now, expiring_within),
            opposing_findings(matched),
            release_findings(asked.questions, cells, matched),
            strange.select("question", "code", "text", "grant_id"),
        ]
    ).unique()
    of_cases = asked.cases.select("case", "question").join(of_questions, on="question").drop("question")
    findings = pl.concat([of_cases, embedded_findings(asked.cases, now, expiring_within)])
    answers = _decide(findings).join(_basis(asked.cases, matched, now, expiring_within), on="case")
    decided = asked.rows.join(answers, on="case", how="left", maintain_order="left")
    return decided.select(pl.col(name).cast(dtype) for name, dtype in CLEARANCE_SCHEMA.items())


def _decide(findings: pl.DataFrame) -> pl.DataFrame:
    """The worst finding is the status; what clears is told only where nothing blocks. Every case has a finding."""
    cleared, expiring = ClearanceStatus.CLEARED.rank, ClearanceStatus.EXPIRING.rank
    ranked = findings.with_columns(
        rank=pl.col("code").replace_strict(_RANK_OF, return_dtype=pl.Int64),
        order=pl.col("code").replace_strict(_ORDER_OF, return_dtype=pl.Int64),
    ).with_columns(worst=pl.col("rank").min().over("case"))
    told = ranked.filter((pl.col("rank") < cleared) | (pl.col("worst") >= expiring)).sort("case", "order", "text")
    reason = pl.struct("code", "text").cast(REASON_DTYPE)
    deciding = pl.col("grant_id").filter(pl.col("rank") == pl.col("worst")).drop_nulls().unique().sort()
    status = (
        pl.col("worst").first().replace_strict({rank: name for name, rank in _RANKS.items()}, return_dtype=pl.String)
    )
    return told.group_by("case").agg(reasons=reason.unique(maintain_order=True), deciding=deciding, status=status)


def _basis(cases: pl.DataFrame, matched: pl.DataFrame, now: datetime, expiring_within: timedelta) -> pl.DataFrame:
    """What each answer rests on (`digest`) and when time may change it (`next_change_at`), by `case`."""
    window = pl.lit(expiring_within)
    moments = pl.concat_list("start_at", "end_at", "embargo_at", pl.when("clears").then(pl.col("end_at") - window))
    after = pl.element().filter(pl.element() > pl.lit(now, dtype=INSTANT)).min()
    of_grants = (
        matched.unique(["question", "grant"])
        .sort("question", "sha256")
        .group_by("question", maintain_order=True)
        .agg(spoken=pl.col("sha256").str.join(" "), turns_at=moments.explode().filter(moments.explode() > now).min())
    )
    file_turns = pl.concat_list("expires_at", pl.col("expires_at") - window).list.eval(after).list.first()
    basis = cases.join(of_grants, on="question", how="left").select(
        "case",
        next_change_at=pl.min_horizontal("turns_at", file_turns),
        basis=pl.format("grants {}\nfile {}", pl.col("spoken").fill_null(""), embedded_text()),
    )
    return basis.join(_digests(basis.get_column("basis")), on="basis").drop("basis")


def _digests(texts: pl.Series) -> pl.DataFrame:
    """SHA-256 of each distinct text; polars has no cryptographic hash of its own."""
    distinct = texts.unique()
    digests = [hashlib.sha256(text.encode()).hexdigest() for text in distinct]
    return pl.DataFrame({"basis": distinct, "digest": digests}, schema={"basis": pl.String, "digest": pl.String})


def worst_use(clearances: pl.DataFrame) -> pl.DataFrame:
    """One row a version of a frame of `CLEARANCE_SCHEMA`: how it stands over all its intended uses.

    Status and deciding grants are those of the worst use. Reasons are those of every use that is blocked, or all if
    none is. The digest covers every use; the next change is the earliest one.
    """
    numbered = clearances.with_columns(first=pl.int_range(pl.len()).min().over("version_id"))
    several = pl.len().over("version_id") > 1
    folded = _fold_uses(numbered.filter(several))
    whole = pl.concat([numbered.filter(~several).select(folded.columns), folded]).sort("first")
    return whole.select(pl.col(name).cast(dtype) for name, dtype in CLEARANCE_SCHEMA.items())


def _fold_uses(clearances: pl.DataFrame) -> pl.DataFrame:
    ranked = clearances.with_columns(rank=pl.col("status").replace_strict(_RANKS, return_dtype=pl.Int64)).with_columns(
        worst=pl.col("rank").min().over("version_id")
    )
    expiring = ClearanceStatus.EXPIRING.rank
    reason = pl.col("reasons").struct
    told = (
        ranked.filter((pl.col("rank") < expiring) | (pl.col("worst") >= expiring))
        .select("version_id", "reasons")
        .explode("reasons")
        .unique()
        .sort(reason.field("code").replace_strict(_ORDER_OF, return_dtype=pl.Int64), reason.field("text"))
        .group_by("version_id", maintain_order=True)
        .agg("reasons")
    )
    at_worst = pl.col("rank") == pl.col("worst")
    folded = ranked.group_by("version_id").agg(
        pl.col("first").first(),
        status=pl.col("status").filter(at_worst).first(),
        deciding=pl.col("deciding").filter(at_worst).explode().drop_nulls().unique().sort(),
        basis=pl.col("digest").sort().str.join(" "),
        next_change_at=pl.col("next_change_at").min(),
    )
    joined = folded.join(_digests(folded.get_column("basis")), on="basis").join(told, on="version_id")
    return joined.select("first", *CLEARANCE_SCHEMA)
