"""What a macro of the warehouse is, and the pieces of SQL that several of them share."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Final

from analytics.schema import IN_PROCESS, length_between, words_list


@dataclass(frozen=True, slots=True)
class Macro:
    """One thing to ask: how it is called, what it says in a sentence, and its SQL. `parameters` None: a view."""

    name: str
    parameters: str | None
    sentence: str
    query: str

    @property
    def call(self) -> str:
        """How it is written after FROM."""
        return self.name if self.parameters is None else f"{self.name}({self.parameters})"

    @property
    def statement(self) -> str:
        """The statement that creates it."""
        if self.parameters is None:
            return f"CREATE OR REPLACE VIEW {self.name} AS {self.query}"
        return f"CREATE OR REPLACE MACRO {self.name}({self.parameters}) AS TABLE {self.query}"


WORK_STATES: Final = f"({words_list(IN_PROCESS)})"
"""The states of `IN_PROCESS` as a list in SQL."""

COHORT: Final = "since := NULL, until := NULL"
"""Parameters that pick items by when they began, half-open."""

_OF_VERSION: Final = MappingProxyType(
    {
        "label": "coalesce(versions.label, '(none)')",
        "collection": "versions.collection",
        "kind": "coalesce(versions.kind, '(none)')",
        "clearance": "coalesce(versions.clearance::VARCHAR, '(none)')",
        "submitter": "coalesce(versions.submitter, '(unknown)')",
        "policy": "versions.policy_sha256",
    }
)


def grouping(macro: str, **extra: str) -> str:
    """SQL of the column `name`: what `per` names (of `extra`, or of `versions`), or an error that says what may be."""
    known: Mapping[str, str] = {"all": "'all'", **extra, **_OF_VERSION}
    cases = " ".join(f"WHEN per = '{word}' THEN {column}" for word, column in known.items())
    return f"CASE {cases} ELSE error('{macro}: per is ' || per || '; allowed are {', '.join(known)}') END AS name"


def began_between(column: str) -> str:
    """SQL that holds for an item of the cohort `since` … `until`."""
    return f"(since IS NULL OR {column} >= since::TIMESTAMP) AND (until IS NULL OR {column} < until::TIMESTAMP)"


def length_until_now(column: str) -> str:
    """SQL of the µs from an instant to the last refresh: NULL if unknown, 0 if a clock was set back in between."""
    return length_between(column, "(SELECT refreshed_at FROM refresh)")
