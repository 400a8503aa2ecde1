"""Rules over many versions, side by side with Cedar, with polars written by hand and with a plain loop; and a proof.

    python -m benchmarks.policy [versions]

50 rules are asked about every version. Cedar and the loop are asked about a part of them, and their time is scaled; all
four must give the same answers for that part. The proof is of a policy with 12 stages, 30 rules and 40 people.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Final

import cedarpy
import numpy as np
import polars as pl

from benchmarks.report import Ratio, print_report
from policies.facts import CLEARANCES, FACTS_SCHEMA, KINDS
from policies.policy_proof import prove_text
from policies.predicates import compile_polars, parse_predicate

VERSIONS: Final = 1_000_000
PART: Final = 2_000
RULES: Final = 50
ROUNDS: Final = 5
_MILLION: Final = 1_000_000


@dataclass(frozen=True, slots=True)
class Rule:
    """One rule, said four times."""

    signoff: str
    polars: pl.Expr
    cedar: str
    python: Callable[[dict[str, Any]], bool]


def rules() -> list[Rule]:
    """Five kinds of rules, ten of each, as policies have them. Cedar has no fractions: scores are in millionths."""
    made = []
    for number in range(RULES // 5):
        made += [_small_pictures(number), _sure_labels(number), _copies(number), _formats(number), _dimensions(number)]
    return made


def _small_pictures(number: int) -> Rule:
    most = 50_000 * (number + 1)
    return Rule(
        f"kind = 'image' AND size <= {most} AND clearance = 'cleared'",
        (pl.col("kind") == "image") & (pl.col("size") <= most) & (pl.col("clearance") == "cleared"),
        f'context.kind == "image" && context.size <= {most} && context.clearance == "cleared"',
        lambda row: row["kind"] == "image" and row["size"] <= most and row["clearance"] == "cleared",
    )


def _sure_labels(number: int) -> Rule:
    labels, risk = [f"label {number}", f"label {number + 1}"], 0.01 * (number + 1)
    listed = ", ".join(f"'{label}'" for label in labels)
    cedar = ", ".join(f'"{label}"' for label in labels)
    return Rule(
        f"label IN ({listed}) AND risk <= {risk} AND clearance <> 'conflict'",
        pl.col("label").is_in(labels) & (pl.col("risk") <= risk) & (pl.col("clearance") != "conflict"),
        f"context has label && context has risk && [{cedar}].contains(context.label) && "
        f'context.risk <= {round(risk * _MILLION)} && context.clearance != "conflict"',
        lambda row: (
            row["label"] in labels
            and row["risk"] is not None
            and row["risk"] <= risk
            and row["clearance"] != "conflict"
        ),
    )


def _copies(number: int) -> Rule:
    prefix = f"campaigns/{number}"
    return Rule(
        f"key LIKE '{prefix}%' AND duplicate_of_published",
        pl.col("key").str.starts_with(prefix) & pl.col("duplicate_of_published"),
        f'context.key like "{prefix}*" && context.duplicate_of_published',
        lambda row: row["key"].startswith(prefix) and row["duplicate_of_published"],
    )


def _formats(number: int) -> Rule:
    score = 0.5 + 0.05 * number
    return Rule(
        f"media_type = 'image/png' AND NOT type_mismatch AND score >= {score}",
        (pl.col("media_type") == "image/png") & ~pl.col("type_mismatch") & (pl.col("score") >= score),
        'context.media_type == "image/png" && !context.type_mismatch && context has score && '
        f"context.score >= {round(score * _MILLION)}",
        lambda row: (
            row["media_type"] == "image/png"
            and not row["type_mismatch"]
            and row["score"] is not None
            and row["score"] >= score
        ),
    )


def _dimensions(number: int) -> Rule:
    width, pages = 6_000 - 100 * number, 10 * number
    return Rule(
        f"width > {width} OR pages BETWEEN {pages} AND {pages + 20}",
        (pl.col("width") > width) | ((pl.col("pages") >= pages) & (pl.col("pages") <= pages + 20)),
        f"(context has width && context.width > {width}) || "
        f"(context has pages && context.pages >= {pages} && context.pages <= {pages + 20})",
        lambda row: (
            (row["width"] is not None and row["width"] > width)
            or (row["pages"] is not None and pages <= row["pages"] <= pages + 20)
        ),
    )


def versions(count: int) -> pl.DataFrame:
    """Facts of so many versions, a third of what may be unknown is; scores are whole millionths."""
    random = np.random.default_rng(4)

    def some(values: np.ndarray[Any, Any]) -> pl.Series:
        return pl.Series(values).set(pl.Series(random.random(count) < 1 / 3), None)

    def shares() -> np.ndarray[Any, Any]:
        return random.integers(0, _MILLION, count, endpoint=True) / _MILLION

    def of(texts: Sequence[str]) -> pl.Series:
        return pl.Series(list(texts)).gather(random.integers(0, len(texts), count))

    known = {
        "key": of([f"campaigns/{a}/{b}.png" for a in range(40) for b in range(25)]),
        "kind": of(KINDS),
        "media_type": of(["image/png", "image/jpeg", "application/pdf", "text/plain"]),
        "type_mismatch": pl.Series(random.random(count) < 0.1),
        "size": pl.Series(random.integers(0, 10_000_000, count)),
        "clearance": of(CLEARANCES),
        "duplicate_of_published": pl.Series(random.random(count) < 0.1),
        "label": some(of([f"label {number}" for number in range(12)]).to_numpy()).cast(pl.String),
        "risk": some(shares()),
        "score": some(shares()),
        "width": some(random.integers(100, 8_000, count)),
        "pages": some(random.integers(1, 300, count)),
    }
    return pl.DataFrame(known, schema_overrides={name: FACTS_SCHEMA[name] for name in known})


def by_frame(frame: pl.DataFrame, expressions: Sequence[pl.Expr]) -> pl.DataFrame:
    """A Boolean column for each rule."""
    return frame.select(expression.alias(str(number)) for number, expression in enumerate(expressions))


def by_cedar(rows: Sequence[dict[str, Any]], asked: Sequence[Rule]) -> tuple[list[set[str]], float]:
    """Which rules permit each version, and the seconds it took: policies parsed before, requests in one batch."""
    text = "\n".join(
        f'@id("{number}")\npermit(principal, action, resource) when {{ {rule.cedar} }};'
        for number, rule in enumerate(asked)
    )
    requests = [
        {
            "principal": 'Rule::"all"',
            "action": 'Action::"approve"',
            "resource": 'Version::"one"',
            "context": {name: _for_cedar(name, value) for name, value in row.items() if value is not None},
        }
        for row in rows
    ]
    policies, entities = cedarpy.PolicySet.from_str(text), cedarpy.Entities.from_json_str("[]")
    started = time.perf_counter()
    results = cedarpy.is_authorized_batch(requests, policies, entities)
    spent_s = time.perf_counter() - started
    return [{reason.removeprefix("policy") for reason in one.diagnostics.reasons} for one in results], spent_s


def _for_cedar(name: str, value: Any) -> Any:
    return round(value * _MILLION) if name in ("risk", "score") else value


def by_loop(rows: Sequence[dict[str, Any]], asked: Sequence[Rule]) -> tuple[list[set[str]], float]:
    """The same in a loop over dictionaries."""
    started = time.perf_counter()
    found = [[rule.python(row) for rule in asked] for row in rows]
    spent_s = time.perf_counter() - started
    return [{str(number) for number, holds in enumerate(answers) if holds} for answers in found], spent_s


def large_policy() -> tuple[str, str]:
    """A sound policy with 12 stages and 30 rules, and a roster of 40 people in 12 groups."""
    groups = {f"group-{number}": [f"p{(number * 3 + place) % 40}" for place in range(5)] for number in range(12)}
    stages = [
        f'    - {{name: stage-{number}, when: "{when}", reviewers: group-{number}, quorum: 2, signature: none,\n'
        f"       after: [{f'stage-{number - 1}' if number % 3 else ''}], deadline: {{within: 2 days, "
        f"escalate: [{{to: group-{number + 1}, within: 1 day}}], finally: reject}}}}"
        for number in range(11)
        for when in [f"label = 'label {number}' OR (key LIKE 'area-{number % 6}/%' AND kind = 'image')"]
    ]
    automatic = [
        f'    - {{name: rule {number}, when: "{when}", second_look: 1%}}'
        for number in range(30)
        for when in [
            (
                f"kind = 'text' AND size BETWEEN {number}000 AND {number}900",
                f"label = 'label {number % 11}' AND risk <= 0.0{number % 9 + 1} AND key LIKE 'area-{number % 6}/%'",
                f"duplicate_of_published AND media_type LIKE 'image/%' AND width < {number + 1}00",
            )[number % 3]
            + " AND clearance = 'cleared'"
        ]
    ]
    collections = [
        f'  - {{name: area-{number}, prefix: "{f"area-{number}/" if number else ""}", submitter: group-11, '
        f"owner: group-{number}, use: [{{action: publish, channel: web, territory: [DE]}}]}}"
        for number in range(6)
    ]
    labels = ", ".join(f"label {number}: anything" for number in range(11))
    policy = "\n".join(
        [
            "name: large\ncalendar: {timezone: UTC}\ncollections:",
            *collections,
            "screening: {accept: [image, document, text], max_size: 2 GiB, quarantine_when: type_mismatch,",
            "  quarantine: {owner: group-0, deadline: {within: 2 days, finally: reject}}}",
            f"classification: {{labels: {{{labels}}}}}\napproval:\n  stages:",
            *stages,
            "    - {name: last, default: true, reviewers: group-11, signature: none, quorum: 1,",
            "       deadline: {within: 1 day, escalate: [{to: group-0, within: 1 day}], finally: reject}}",
            "  automatic:",
            *automatic,
            "rights: {gate: stage-0, block: [conflict, restricted, embargoed, expired, unknown]}",
            "archive:",
            "  - {name: rejects, when: \"kind = 'text'\", after: {event: rejected, days: 30}, action: dispose}",
        ]
    )
    people = [f"  - {{handle: p{number}, name: P{number}}}" for number in range(40)]
    listed = [f"  {name}: [{', '.join(dict.fromkeys(members))}]" for name, members in groups.items()]
    return policy, "\n".join(["people:", *people, "groups:", *listed])


def main() -> None:
    """Measure, compare the answers, and print."""
    count = int(sys.argv[1]) if len(sys.argv) > 1 else VERSIONS
    asked = rules()
    frame = versions(count)
    ours = [compile_polars(parse_predicate(rule.signoff), unknown=False) for rule in asked]
    hand = [rule.polars.fill_null(value=False) for rule in asked]
    times: dict[str, list[float]] = {"signoff": [], "polars": []}
    for _ in range(ROUNDS):
        for name, expressions in (("signoff", ours), ("polars", hand)):
            started = time.perf_counter()
            answers = by_frame(frame, expressions)
            times[name].append(time.perf_counter() - started)
            assert answers.height == count
    signoff_s, polars_s = min(times["signoff"]), min(times["polars"])
    part = frame.head(PART)
    rows = part.to_dicts()
    expected = [{name for name, holds in row.items() if holds} for row in by_frame(part, ours).iter_rows(named=True)]
    (cedar, cedar_s), (loop, loop_s) = by_cedar(rows, asked), by_loop(rows, asked)
    assert cedar == expected, "Cedar answers otherwise"
    assert loop == expected, "the loop answers otherwise"
    assert by_frame(part, hand).equals(by_frame(part, ours)), "polars by hand answers otherwise"
    scale = count / len(rows)
    started = time.perf_counter()
    results = prove_text(*(text for pair in zip(large_policy(), ("policy", "roster"), strict=True) for text in pair))
    proof_s = time.perf_counter() - started
    assert all(one.proved for one in results), [one.as_json() for one in results if not one.proved]
    print_report(
        "policy",
        ("50 rules", "versions", "s", "s for all"),
        [
            ("signoff", count, signoff_s, signoff_s),
            ("polars by hand", count, polars_s, polars_s),
            ("plain loop", len(rows), loop_s, loop_s * scale),
            ("cedarpy", len(rows), cedar_s, cedar_s * scale),
            ("proof of 12 stages, 30 rules, 40 people", 1, proof_s, proof_s),
        ],
        [
            Ratio("speed against cedarpy", cedar_s * scale / signoff_s, 200),
            Ratio("speed against polars by hand", polars_s / signoff_s, 0.8),
            Ratio("speed against a plain loop", loop_s * scale / signoff_s, None),
            Ratio("seconds of a proof / 10", proof_s / 10, 1, "lower"),
        ],
    )


if __name__ == "__main__":
    main()
