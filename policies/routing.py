"""Routing: what happens to a version that has been screened, decided for a whole batch at once.

Three outcomes, asked for in this order. *Quarantine*, if a finding of screening says so. *Automatic*, if a rule of the
policy approves and nothing speaks against it. *Review*, with at least one gate, for all else. Unknown counts as true in
what restricts (`stage.when`, `quarantine_when`) and as false in what grants (automatic rules).
"""

from __future__ import annotations

import hashlib
from collections.abc import Collection, Mapping
from enum import StrEnum
from typing import Final

import polars as pl

from policies.document import PolicyDocument
from policies.facts import check_facts
from policies.policy_checks import stages_before
from policies.predicates import Predicate, compile_polars, three_valued
from policies.rule_checks import read_predicate


class Outcome(StrEnum):
    """What happens to a version after screening."""

    QUARANTINE = "quarantine"
    AUTOMATIC = "automatic"
    REVIEW = "review"


class Finding(StrEnum):
    """Why a version is quarantined. A release overrides the findings that it names, and no other."""

    INSPECTION_FAILED = "inspection_failed"
    KIND_NOT_ACCEPTED = "kind_not_accepted"
    TOO_LARGE = "too_large"
    QUARANTINE_WHEN = "quarantine_when"


GATE: Final = pl.Struct(
    {"stage": pl.String(), "step": pl.Int64(), "quorum": pl.Int64(), "reviewers": pl.String(), "signature": pl.String()}
)
"""One gate of a route. Step 0 opens first; a step opens when every gate of lower steps has passed."""

ROUTES_SCHEMA: Final[dict[str, pl.DataType]] = {
    "version_id": pl.Int64(),
    "outcome": pl.String(),
    "rule": pl.String(),  # the automatic rule, or the first finding of a quarantine
    "second_look": pl.Boolean(),
    "gates": pl.List(GATE),  # in the order of their steps; empty unless the outcome is review
    "explanation": pl.String(),  # JSON: every predicate with its text, its result and the values it saw
}

OVERRIDES_SCHEMA: Final[dict[str, pl.DataType]] = {"version_id": pl.Int64(), "finding": pl.String()}
"""Findings that a person's release has overridden, one row each."""


def route_versions(facts: pl.DataFrame, policy: PolicyDocument, overridden: pl.DataFrame | None = None) -> pl.DataFrame:
    """The route of every version in `facts`, as a frame of `ROUTES_SCHEMA` in the same order.

    `facts` has the columns of `FACTS_SCHEMA`, one row a version; `overridden` those of `OVERRIDES_SCHEMA`.

    - A rule approves only if clearance does not block and nothing was found, not even something overridden: what was
      once in quarantine is seen by people.
    - Of what a rule would approve, a sample goes to people instead: outcome `review`, `second_look` true, `rule` set.
      Which versions are sampled depends on policy, rule, key and bytes alone.
    - Where clearance is in `rights.block`, the stage `rights.gate` opens as well. It does not stand in for the default
      stage: who answers for rights has not looked at the content.
    - With four eyes and a submitter that is not known, every quorum is at least 2.

    Raises `FactsInvalid` if the frame does not keep to the schema.
    """
    facts = check_facts(facts)
    routing = _Routing(policy)
    found = _with_overrides(facts.with_columns(routing.findings().alias("findings")), overridden)
    decided = found.with_columns(
        blocked=routing.blocked(),
        rule=pl.when(pl.col("findings").list.len() == 0, ~routing.blocked()).then(routing.automatic_rule()),
    )
    decided = decided.with_columns(second_look=routing.second_looks(decided))
    quarantined = pl.col("standing").list.len() > 0
    automatic = pl.col("rule").is_not_null() & ~pl.col("second_look")
    outcome = pl.when(quarantined).then(pl.lit(Outcome.QUARANTINE.value))
    decided = decided.with_columns(
        outcome=outcome.when(automatic).then(pl.lit(Outcome.AUTOMATIC.value)).otherwise(pl.lit(Outcome.REVIEW.value)),
        rule=pl.when(quarantined).then(pl.col("standing").list.first()).otherwise(pl.col("rule")),
    )
    return routing.with_gates(decided).select(
        *(name for name in ROUTES_SCHEMA if name != "explanation"), explanation=routing.explanation()
    )


def second_look_due(policy: str, rule: str, key: str, sha256: str, share: float) -> bool:
    """Whether a version falls into the sample of `share` (0 to 1) of what `rule` approves that people look at.

    The same version always gets the same answer; over many versions, the share is kept.

    >>> sum(second_look_due("policy", "rule", str(number), "00", 0.05) for number in range(10_000))
    496
    """
    digest = hashlib.sha256("\0".join((policy, rule, key, sha256)).encode("utf-8", "surrogatepass")).digest()
    return int.from_bytes(digest[:8]) < share * 2**64


def gates_of(policy: PolicyDocument, opened: Collection[str], *, strict: bool) -> list[dict[str, str | int]]:
    """Gates of a route that opens the stages `opened`, in the order of their steps; `strict` raises quorums to 2.

    A stage comes one step after the last of those among `opened` that it must wait for, directly or not: a stage that
    does not open holds nobody up, and does not let anybody past those before it either.
    """
    stages = [stage for stage in policy.approval.stages if stage.name in opened]
    before = {stage.name: stages_before(policy, stage.name) & set(opened) for stage in stages}
    steps: dict[str, int] = {}
    for stage in sorted(stages, key=lambda stage: len(before[stage.name])):
        steps[stage.name] = max((steps[name] + 1 for name in before[stage.name]), default=0)
    return [
        {
            "stage": stage.name,
            "step": steps[stage.name],
            "quorum": max(stage.quorum, 2) if strict else stage.quorum,
            "reviewers": stage.reviewers,
            "signature": stage.signature,
        }
        for stage in sorted(stages, key=lambda stage: steps[stage.name])
    ]


def _with_overrides(found: pl.DataFrame, overridden: pl.DataFrame | None) -> pl.DataFrame:
    """Adds `standing`, the findings less those that a release has overridden."""
    if overridden is None:
        return found.with_columns(standing="findings")
    lists = overridden.select(OVERRIDES_SCHEMA.keys()).group_by("version_id").agg(pl.col("finding").alias("lifted"))
    joined = found.join(lists, on="version_id", how="left", maintain_order="left")
    return joined.with_columns(standing=pl.col("findings").list.set_difference(pl.col("lifted").fill_null([])))


class _Routing:
    """The predicates of one policy, compiled once, and the expressions that decide by them."""

    def __init__(self, policy: PolicyDocument) -> None:
        self.policy = policy
        self.when: Mapping[str, Predicate] = {
            stage.name: read_predicate(policy, stage.when) for stage in policy.approval.stages if stage.when is not None
        }
        self.rules: Mapping[str, Predicate] = {
            rule.name: read_predicate(policy, rule.when) for rule in policy.approval.automatic
        }
        text = policy.screening.quarantine_when
        self.quarantine_when = None if text is None else read_predicate(policy, text)

    def findings(self) -> pl.Expr:
        """What speaks for quarantine, as a list of `Finding`."""
        screening = self.policy.screening
        tests: dict[Finding, pl.Expr] = {
            Finding.INSPECTION_FAILED: pl.col("inspection_failed"),
            Finding.KIND_NOT_ACCEPTED: ~pl.col("kind").is_in(list(screening.accept)),
            Finding.TOO_LARGE: pl.col("size") > screening.max_size,
        }
        if self.quarantine_when is not None:
            tests[Finding.QUARANTINE_WHEN] = compile_polars(self.quarantine_when, unknown=True)
        return pl.concat_list(
            pl.when(test).then(pl.lit(finding.value, pl.String())) for finding, test in tests.items()
        ).list.drop_nulls()

    def blocked(self) -> pl.Expr:
        """Whether clearance keeps the version from being published."""
        return pl.col("clearance").is_in(list(self.policy.rights.block))

    def automatic_rule(self) -> pl.Expr:
        """Name of the first rule that approves, NULL if none does."""
        hits = [
            pl.when(compile_polars(predicate, unknown=False)).then(pl.lit(name))
            for name, predicate in self.rules.items()
        ]
        return pl.coalesce(*hits, pl.lit(None, pl.String()))

    def second_looks(self, decided: pl.DataFrame) -> pl.Series:
        """Which of the versions with a `rule` are sampled for people to look at."""
        shares = {rule.name: rule.second_look for rule in self.policy.approval.automatic}
        sampled = [
            rule is not None and second_look_due(self.policy.name, rule, key, sha256, shares[rule])
            for rule, key, sha256 in decided.select("rule", "key", "sha256").iter_rows()
        ]
        return pl.Series(sampled, dtype=pl.Boolean)

    def with_gates(self, decided: pl.DataFrame) -> pl.DataFrame:
        """Adds `gates`: the gates of what goes to review.

        Many versions share few routes: which stages open, and whether quorums are raised. Each is made once.
        """
        names = [stage.name for stage in self.policy.approval.stages]
        strict = pl.col("submitter").is_null() & self.policy.approval.four_eyes
        review = pl.col("outcome") == Outcome.REVIEW.value
        decided = decided.with_columns(
            opened=pl.when(review).then(
                pl.sum_horizontal(self._opens(name).cast(pl.Int64) * 2**bit for bit, name in enumerate(names))
            ),
            strict=strict,
        )
        routes = decided.select("opened", "strict").unique().rows()
        gates = [
            gates_of(self.policy, {name for bit, name in enumerate(names) if (opened or 0) >> bit & 1}, strict=raised)
            for opened, raised in routes
        ]
        made = pl.DataFrame(
            {"opened": [opened for opened, _ in routes], "strict": [raised for _, raised in routes], "gates": gates},
            schema={"opened": pl.Int64(), "strict": pl.Boolean(), "gates": pl.List(GATE)},
        )
        return decided.join(made, on=["opened", "strict"], how="left", nulls_equal=True, maintain_order="left")

    def _opens(self, stage: str) -> pl.Expr:
        if stage == self.policy.default_stage.name:
            taken = [compile_polars(predicate, unknown=True) for predicate in self.when.values()]
            opens = ~pl.any_horizontal(*taken) if taken else pl.lit(value=True)
        else:
            opens = compile_polars(self.when[stage], unknown=True)
        return opens | pl.col("blocked") if stage == self.policy.rights.gate else opens

    def explanation(self) -> pl.Expr:
        """Why, as JSON: what was found, whether clearance blocks, every predicate with its result and what it saw."""
        parts = {
            "findings": pl.col("findings"),
            "overridden": pl.col("findings").list.set_difference("standing"),
            "blocked": pl.struct("clearance", result="blocked", gate=pl.lit(self.policy.rights.gate)),
            "default_stage": pl.lit(self.policy.default_stage.name),
        }
        if self.quarantine_when is not None:
            parts["quarantine_when"] = _seen(self.quarantine_when)
        for title, predicates in (("stages", self.when), ("automatic", self.rules)):
            if predicates:
                parts[title] = pl.struct([_seen(predicate).alias(name) for name, predicate in predicates.items()])
        explanation: pl.Expr = pl.struct([part.alias(name) for name, part in parts.items()]).struct.json_encode()
        return explanation


def _seen(predicate: Predicate) -> pl.Expr:
    return pl.struct(
        text=pl.lit(predicate.text), result=three_valued(predicate), saw=pl.struct(sorted(predicate.names))
    )
