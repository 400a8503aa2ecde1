"""What grants and files say against or for a use, each finding with its code and in words that a reviewer reads.

Every function returns rows of `question`, `code`, `text` and `grant_id`, the
grant behind the finding, if one is.
"""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Final

import polars as pl

from policies.clearance import ReasonCode
from policies.grant import CLEARING_SOURCES, Release
from policies.rights_coverage import ALWAYS, Coverage, cover_cells
from policies.rights_questions import CELL

FINDING: Final = ("question", "code", "text", "grant_id")
_NAMED_COUNTRIES: Final = 12
_CELL: Final = list(CELL)


def _findings(rows: pl.DataFrame, code: ReasonCode | pl.Expr, text: pl.Expr) -> pl.DataFrame:
    said = code if isinstance(code, pl.Expr) else pl.lit(str(code))
    grant_id = pl.col("grant_id") if "grant_id" in rows.columns else pl.lit(None, dtype=pl.String)
    return rows.select("question", code=said, text=text, grant_id=grant_id).unique()


def _by_use(rows: pl.DataFrame, *columns: str) -> pl.DataFrame:
    """Rows of cells, one for each question, use and `columns`; `where` names the countries."""
    more = pl.col("country").n_unique().cast(pl.Int64) - _NAMED_COUNTRIES
    named = pl.col("country").unique().sort().head(_NAMED_COUNTRIES).str.join(", ")
    return (
        rows.group_by("question", "use", *columns)
        .agg(named.alias("named"), more.alias("more"))
        .with_columns(
            where=pl.when(pl.col("more") > 0).then(pl.format("{} and {} more", "named", "more")).otherwise("named")
        )
    )


def unmet_terms(questions: pl.DataFrame, matched: pl.DataFrame, uses: pl.DataFrame | None) -> pl.DataFrame:
    """Permits that cannot be used as they stand: `question`, `grant`, `code`, `text` of each duty or number not kept.

    A duty to credit is met if the file's credit line contains the one asked for, case and blanks aside. `uses`
    (`grant_id`, `key`; one row an asset in use) counts against `max_uses`, the asset's own use not included; without
    it, nobody knows how many there are.
    """
    asking = questions.select("question", "asset", "carried")
    terms = (matched.filter("clears").select("question", "grant", "grant_id", "credit_line", "max_uses").unique()).join(
        asking, on="question"
    )
    carried, owed = (
        pl.col(name).str.replace_all(r"\s+", " ").str.to_lowercase() for name in ("carried", "credit_line")
    )
    credit = terms.filter(~carried.str.contains(owed.str.strip_chars(), literal=True).fill_null(value=False))
    credit = credit.filter(pl.col("credit_line").is_not_null())
    credit_text = pl.format(
        "Licence {} asks for the credit line “{}”, which the file does not carry", "grant_id", "credit_line"
    )
    limited = terms.filter(pl.col("max_uses").is_not_null())
    if uses is None:
        code, text = ReasonCode.USES_NOT_COUNTED, "Licence {} allows {} uses, and its uses are not counted"
    else:
        others = limited.join(uses.select("grant_id", "key"), on="grant_id").filter(
            pl.col("key").ne_missing(pl.col("asset"))
        )
        counted = others.group_by("question", "grant").len("others")
        limited = limited.join(counted, on=["question", "grant"]).filter(pl.col("others") >= pl.col("max_uses"))
        code, text = ReasonCode.USES_EXHAUSTED, "Licence {} allows {} uses, and all of them are taken"
    return pl.concat(
        [
            credit.select("question", "grant", code=pl.lit(str(ReasonCode.CREDIT_LINE_MISSING)), text=credit_text),
            limited.select("question", "grant", code=pl.lit(str(code)), text=pl.format(text, "grant_id", "max_uses")),
        ]
    )


def licence_findings(
    cells: pl.DataFrame, matched: pl.DataFrame, unmet: pl.DataFrame, now: datetime, expiring_within: timedelta
) -> pl.DataFrame:
    """Whether permits cover every cell over its whole interval, and what is missing where they do not."""
    permits = matched.filter("clears")
    usable = permits.join(unmet, on=["question", "grant"], how="anti")
    coverage = cover_cells(cells, usable)
    open_cells = cells.join(coverage.covered, on=_CELL, how="anti")
    standing = permits.filter("in_force").join(open_cells, on=_CELL, how="semi").join(unmet, on=["question", "grant"])
    return pl.concat(
        [
            _findings(standing, pl.col("code"), pl.col("text")),
            *_gap_findings(cells, matched, cover_cells(open_cells, permits), now),
            *_cover_findings(usable.join(coverage.covered, on=_CELL), now, expiring_within),
        ]
    )


def _gap_findings(cells: pl.DataFrame, matched: pl.DataFrame, coverage: Coverage, now: datetime) -> list[pl.DataFrame]:
    dates = matched.select("grant", "start_at", "embargo_at", "start_text", "end_text", "embargo_text").unique()
    opening = coverage.opening.join(dates, on="grant")
    embargoed = pl.col("embargo_at") > pl.col("start_at").fill_null(ALWAYS)
    lapsed = coverage.lapsed.join(dates, on="grant")
    over = pl.col("ends_at") <= now
    never = _by_use(coverage.never.join(cells.select(*CELL, "use"), on=_CELL))
    return [
        _findings(
            opening.filter(~embargoed.fill_null(value=False)),
            ReasonCode.NOT_STARTED,
            pl.format("Licence {} starts on {}", "grant_id", "start_text"),
        ),
        _findings(
            lapsed,
            pl.when(over).then(pl.lit(str(ReasonCode.LICENCE_ENDED))).otherwise(pl.lit(str(ReasonCode.ENDS_TOO_EARLY))),
            pl.when(over)
            .then(pl.format("Licence {} ended on {}", "grant_id", "end_text"))
            .when(pl.col("ends_at") <= pl.col("starts_at"))
            .then(pl.format("Licence {} ends on {}, before the intended use begins", "grant_id", "end_text"))
            .otherwise(pl.format("Licence {} ends on {}, before the intended use does", "grant_id", "end_text")),
        ),
        _findings(never, ReasonCode.NO_LICENCE, pl.format("No licence covers {} in {}", "use", "where")),
    ]


def _cover_findings(covering: pl.DataFrame, now: datetime, expiring_within: timedelta) -> list[pl.DataFrame]:
    ending = covering.filter(
        (pl.col("ends_at") == pl.col("covered_until"))
        & pl.col("end_at").is_not_null()
        & (pl.col("covered_until") - pl.lit(now) <= expiring_within)
    )
    covers = _by_use(covering.filter("in_force"), "grant_id", "end_text")
    until = pl.format("Licence {} covers {} in {} until {}", "grant_id", "use", "where", "end_text")
    endless = pl.format("Licence {} covers {} in {} without an end", "grant_id", "use", "where")
    return [
        _findings(ending, ReasonCode.LICENCE_ENDING, pl.format("Licence {} ends on {}", "grant_id", "end_text")),
        _findings(covers, ReasonCode.LICENSED, pl.when(pl.col("end_text").is_null()).then(endless).otherwise(until)),
    ]


def opposing_findings(matched: pl.DataFrame) -> pl.DataFrame:
    """What grants say against a use: embargoes, prohibitions, contradictions, other people's exclusive rights."""
    permits = matched.filter(pl.col("permit") & pl.col("ours"))
    embargoes = permits.filter(pl.col("embargo_at") > pl.col("starts_at"))
    forbidding = matched.filter(~pl.col("permit") & pl.col("ours") & pl.col("in_force"))
    forbidden = _by_use(forbidding, "grant_id", "end_text")
    until = pl.when(pl.col("end_text").is_null()).then(pl.lit("")).otherwise(pl.format(" until {}", "end_text"))
    clashes = _by_use(matched.filter(~pl.col("ours") & pl.col("in_force")), "grant_id", "licensee")
    return pl.concat(
        [
            _findings(
                embargoes,
                ReasonCode.UNDER_EMBARGO,
                pl.format("Licence {} is under embargo until {}", "grant_id", "embargo_text"),
            ),
            _findings(
                forbidden,
                ReasonCode.PROHIBITED,
                pl.format("Prohibition {} forbids {} in {}{}", "grant_id", "use", "where", until),
            ),
            _findings(
                clashes,
                ReasonCode.EXCLUSIVITY_CLASH,
                pl.format("Licence {} gives {} in {} to {} alone", "grant_id", "use", "where", "licensee"),
            ),
            _contradictions(permits.filter("in_force"), forbidding),
        ]
    )


def _contradictions(permits: pl.DataFrame, forbidding: pl.DataFrame) -> pl.DataFrame:
    """Pairs of equal authority that hold at one time in one cell; both grants are behind the finding."""
    authority = pl.col("source").is_in(list(CLEARING_SOURCES)).alias("authority")
    term = pl.struct("begins_at", "ends_at")
    against = forbidding.select(*CELL, authority, pl.col("grant_id").alias("against"), term.alias("their_term"))
    pairs = permits.with_columns(authority).join(against, on=[*CELL, "authority"])
    begin = pl.max_horizontal("begins_at", pl.col("their_term").struct.field("begins_at"), "starts_at")
    end = pl.min_horizontal("ends_at", pl.col("their_term").struct.field("ends_at"), "stops_at")
    said = _by_use(pairs.filter(begin < end), "grant_id", "against")
    text = pl.format(
        "Licence {} permits {} in {}, and prohibition {} forbids it", "grant_id", "use", "where", "against"
    )
    both = _findings(said, ReasonCode.CONTRADICTORY_GRANTS, text)
    other = _findings(said.with_columns(text=text, grant_id="against"), ReasonCode.CONTRADICTORY_GRANTS, pl.col("text"))
    return pl.concat([both, other])


_CLAIMS: Final = {
    Release.MODEL: ("people", "model_claim", "MR-", ReasonCode.MODEL_RELEASE_MISSING, "People can be recognised"),
    Release.PROPERTY: (
        *("property", "property_claim", "PR-", ReasonCode.PROPERTY_RELEASE_MISSING),
        "Property can be recognised",
    ),
}


def release_findings(questions: pl.DataFrame, cells: pl.DataFrame, matched: pl.DataFrame) -> pl.DataFrame:
    """Commercial use of people or property without a licence that brings their release along, and unreadable claims.

    What a file says of its releases (PLUS codes) can show that one is missing; that one exists is for a contract or a
    person to say.
    """
    found = []
    for release, (shown, claim, prefix, code, what) in _CLAIMS.items():
        unlimited = "UMR" if release is Release.MODEL else "UPR"
        limited = "LMR" if release is Release.MODEL else "LPR"
        known = [prefix + end for end in ("NON", "NAP", unlimited, limited)]
        needing = cells.filter("commercial").join(
            questions.filter(shown).select("question", pl.col(claim).alias("claim")), on="question"
        )
        released = matched.filter(pl.col("clears") & pl.col("releases").list.contains(str(release)))
        lacking = needing.join(cover_cells(needing, released).covered, on=_CELL, how="anti")
        hint = (
            pl.when(pl.col("claim") == prefix + unlimited)
            .then(pl.lit("; the file claims one, which a contract or a person has to confirm"))
            .when(pl.col("claim") == prefix + limited)
            .then(pl.lit("; the file says that its releases are limited or incomplete"))
            .otherwise(pl.lit(""))
        )
        text = pl.format(f"{what}, and no {release} release covers {{}} in {{}}{{}}", "use", "where", hint)
        strange = questions.filter(~pl.col(claim).is_in(known))
        unknown = pl.format(f"The file's {release} release status is {{}}, which is not known here", claim)
        found += [
            _findings(_by_use(lacking, "claim"), code, text),
            _findings(strange, ReasonCode.UNKNOWN_CODE, unknown),
        ]
    return pl.concat(found)
