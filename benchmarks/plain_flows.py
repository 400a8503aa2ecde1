"""Flows that know nothing of Signoff, as anybody writes them for Prefect: what benchmarks/reviews.py compares with."""

from __future__ import annotations

from typing import Literal

from prefect import flow, suspend_flow_run
from prefect.input import RunInput


class Decision(RunInput):
    """What the plain way asks a person."""

    decision: Literal["approve", "request_changes", "reject"]
    reviewer: str
    comment: str = ""


@flow(name="bare", retries=0, persist_result=False)
def bare() -> None:
    """Do nothing: what is measured is how a run of it is started."""


@flow(name="plain-review", persist_result=False)
def plain_review() -> None:
    """Wait for a person in the way of Prefect's own documentation: a run is started, which then suspends itself."""
    suspend_flow_run(wait_for_input=Decision, timeout=365 * 24 * 3600)
