"""The check-up behind `signoff doctor`: every part of an installation, and what can be put right without asking."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime
from pathlib import Path
from typing import Any, Final

import httpx

from cli.stack.components import Part
from cli.stack.late import late_flows
from cli.stack.stack import embedded_parts, run_environment, stack_status
from flows.deployments import declared_deployments, register_deployments
from tasks.errors import PermanentError, TaskError, TransientError
from tasks.findings import Finding, skewed, some
from tasks.resources import Resources
from tasks.settings import Settings

ACTOR: Final = "operator:doctor"
HEARD_WITHIN: Final = timedelta(minutes=2)
_ENDS: Final = ["COMPLETED", "FAILED", "CRASHED"]
_AWAY: Final = (TransientError, PermanentError)

Checks = list[tuple[str, Callable[[], list[Finding]]]]


def check_up(resources: Resources, report: Callable[[str], None]) -> list[Finding]:
    """Look at every part; what cannot be looked at is a finding itself. `report` is told each step. Changes nothing."""
    from tasks.examine_ledger import examine_ledger
    from tasks.examine_reviews import examine_reviews

    checks: Checks = [
        ("parts", lambda: examine_parts(resources.settings)),
        ("ledger", lambda: examine_ledger(resources)),
        ("store", lambda: examine_store(resources.settings)),
        ("prefect", lambda: examine_prefect(resources)),
        ("reviews", lambda: examine_reviews(resources)),
        ("notices", lambda: examine_channels(resources.settings)),
        ("clock", lambda: examine_clocks(resources.settings)),
        ("clock", lambda: examine_database_clock(resources)),
    ]
    found: list[Finding] = []
    for name, check in checks:
        report(name)
        try:
            found += check()
        except _AWAY as error:
            found.append(Finding(name, str(error), "It cannot be looked at.", "See that it runs: `signoff status`."))
    return found


def put_right(resources: Resources, config: Path | None) -> Iterator[str]:
    """Do what is safe, in the code of the sweeps, and say it: deployments, lost reviews, orphans, open effects.

    What cannot be done now is said too, and stops nothing else.
    """
    steps: list[Callable[[], str | None]] = [
        lambda: _register(resources, config),
        lambda: _park_again(resources),
        lambda: _close_orphans(resources),
        lambda: _carry_out(resources),
    ]
    for step in steps:
        try:
            if said := step():
                yield said
        except TaskError as error:
            yield f"not done: {error}"


def examine_parts(settings: Settings) -> list[Finding]:
    """Embedded parts that do not run."""
    down = [state for state in stack_status(settings).components if state.state != "running"]
    why = "Flows need it."
    return [Finding("parts", f"{one.name} is {one.state}, log {one.log}", why, "`signoff up`") for one in down]


def examine_store(settings: Settings) -> list[Finding]:
    """Buckets that are missing, open, versioned or not locked."""
    from tasks.prepare_buckets import bucket_flaws

    seals = settings.audit.bucket or settings.s3.buckets.archive
    why = "Content must be where it belongs, read by whom it is meant for, and kept while it must be kept."
    do = "Put it right in the store; the guide for operators says what each bucket must be."
    return [Finding("store", f"the bucket {name} {flaw}", why, do) for name, flaw in bucket_flaws(settings.s3, seals)]


def examine_prefect(resources: Resources) -> list[Finding]:
    """Deployments that are missing, changed, paused or late, sweeps that failed, and a pool that nobody serves."""
    api, settings = resources.prefect, resources.settings
    now = datetime.now(UTC)  # Prefect's own instants follow the machine's clock
    present = {
        row["entrypoint"]: row
        for row in api.post("/deployments/filter", {"deployments": {"name": {"any_": ["signoff"]}}, "limit": 200})
    }
    found: list[Finding] = []
    declared = declared_deployments(settings.schedules)
    if missing := [one.path for one in declared if one.entrypoint not in present]:
        what, why = f"deployments are missing: {some(missing, 10)}", "What they do is not done."
        found.append(Finding("prefect", what, why, "`signoff up` registers them.", True))
    for one in declared:
        row = present.get(one.entrypoint)
        if row is None:
            continue
        if row["paused"]:
            what = f"the deployment {one.path} is paused"
            found.append(Finding("prefect", what, "It does not run.", "Resume it in Prefect if nobody meant it."))
        elif one.cron and not any(schedule["active"] for schedule in row["schedules"]):
            what = f"the schedule of {one.path} is switched off"
            found.append(Finding("prefect", what, "It does not run.", "Switch it on if nobody meant it."))
        last = last_run(resources, row["id"])
        if last and last["state"]["type"] != "COMPLETED":
            what = f"the last run of {one.path} ended as {last['state']['type']}: {api.run_url(last['id'])}"
            found.append(Finding("prefect", what, "What it does may be half done.", "Its log says why."))
    if late := late_flows(api, now):
        what, why = f"due more than three intervals ago and not started: {some(late, 10)}", "Nothing goes on."
        found.append(Finding("prefect", what, why, "See that a worker runs and has room."))
    return found + _examine_pool(resources, now)


def last_run(resources: Resources, deployment_id: str) -> dict[str, Any] | None:
    """The last run of a deployment that ended, as Prefect tells it."""
    wanted = {
        "deployments": {"id": {"any_": [deployment_id]}},
        "flow_runs": {"state": {"type": {"any_": _ENDS}}},
        "sort": "END_TIME_DESC",
        "limit": 1,
    }
    runs: list[dict[str, Any]] = resources.prefect.post("/flow_runs/filter", wanted)
    return runs[0] if runs else None


def sweeps(resources: Resources) -> list[dict[str, Any]]:
    """Each scheduled flow, and when and how its last run ended (None: it never did). Raises `PrefectAway`."""
    named = {"deployments": {"name": {"any_": ["signoff"]}}, "limit": 200}
    present = {row["entrypoint"]: row["id"] for row in resources.prefect.post("/deployments/filter", named)}
    told = []
    for one in declared_deployments(resources.settings.schedules):
        last = last_run(resources, present[one.entrypoint]) if one.entrypoint in present else None
        ended = None if last is None else datetime.fromisoformat(last["end_time"])
        told.append({"flow": one.flow, "ended_at": ended, "state": None if last is None else last["state"]["type"]})
    return told


def _examine_pool(resources: Resources, now: datetime) -> list[Finding]:
    name = resources.settings.prefect.work_pool
    pool = resources.prefect.find(f"/work_pools/{name}")
    if pool is None:
        what = f"the work pool {name} is missing"
        return [Finding("worker", what, "No flow can run.", "`signoff up` makes it.", repairable=True)]
    if pool["is_paused"]:
        return [Finding("worker", f"the work pool {name} is paused", "No flow runs.", "Resume it in Prefect.")]
    workers = resources.prefect.post(f"/work_pools/{name}/workers/filter", {})
    heard = [datetime.fromisoformat(row["last_heartbeat_time"]) for row in workers if row["last_heartbeat_time"]]
    if any(now - one < HEARD_WITHIN for one in heard):
        return []
    last = f"the last one was heard of at {max(heard):%Y-%m-%d %H:%M} UTC" if heard else "none ever was"
    what = f"no worker serves the work pool {name}: {last}"
    return [Finding("worker", what, "Answers and sweeps wait.", "`signoff up`, or start a worker on this pool.")]


def examine_clocks(settings: Settings) -> list[Finding]:
    """Machines whose clock is far from this one's, told from the dates of their answers (to the second)."""
    found = []
    if settings.clock != "system":
        why = "Deadlines and rights follow it, not the time of day."
        found.append(Finding("clock", f"the setting clock is {settings.clock}", why, "Unset it outside of trials."))
    for name, address in (("the object store", settings.s3_endpoint), ("Prefect", f"{settings.prefect_api}/health")):
        try:
            answer = httpx.get(address, trust_env=False, timeout=10)
        except httpx.HTTPError:
            continue  # that it is away is said elsewhere
        if "date" not in answer.headers:
            continue
        found += skewed(name, parsedate_to_datetime(answer.headers["date"]) - datetime.now(UTC))
    return found


def examine_database_clock(resources: Resources) -> list[Finding]:
    """A database on a machine whose clock is far from this one's."""
    from ledger.examine import database_now

    with resources.ledger.reading() as connection:
        there = database_now(connection)
        return [] if there is None else skewed("the ledger's database", there - datetime.now(UTC))


def examine_channels(settings: Settings) -> list[Finding]:
    """Channels of notices that cannot be used, as the settings are here; nothing is sent."""
    from tasks.channels import open_channel
    from tasks.errors import ChannelUnusable

    found = []
    for name, address in settings.notices.channels.items():
        try:
            open_channel(name, address.get_secret_value())
        except ChannelUnusable as error:
            why = "Who is to be told by it is told later, or not at all."
            do = "Put it right where flows run; `signoff notices test HANDLE` sends a test."
            found.append(Finding("notices", str(error), why, do))
    return found


def _register(resources: Resources, config: Path | None) -> str | None:
    embedded = Part.PREFECT_SERVER in embedded_parts(resources.settings)
    environment = run_environment(resources.settings, config, embedded=embedded)
    changed = register_deployments(resources.prefect, resources.settings, environment)
    return f"deployments registered: {', '.join(changed)}" if changed else None


def _park_again(resources: Resources) -> str | None:
    from tasks.examine_reviews import replace_forged
    from tasks.open_reviews import bundle_reviews
    from tasks.park_reviews import park_reviews
    from tasks.recover_reviews import recover_reviews

    replace_forged(resources)
    lost = recover_reviews(resources, ACTOR)
    bundle_reviews(resources, ACTOR)
    parked = park_reviews(resources, ACTOR)
    return f"{lost} reviews had lost their run, {len(parked)} parked" if lost or parked else None


def _close_orphans(resources: Resources) -> str | None:
    from tasks.examine_reviews import close_orphans

    closed = close_orphans(resources)
    return f"{closed} runs closed that no review wants" if closed else None


def _carry_out(resources: Resources) -> str | None:
    from tasks.carry_out_effects import carry_out

    done = carry_out(resources, ACTOR).done
    return f"carried out: {', '.join(f'{count} {kind}' for kind, count in done.items())}" if done else None
