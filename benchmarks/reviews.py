"""Reviews against plain Prefect: how one comes to wait, what waits with it, and how long a decision takes to show.

`python -m benchmarks.reviews [--quick]` starts an embedded stack with its worker in a scratch folder, puts so many
texts into the intake, none of which a rule approves, and measures in one run:

- *opened*: all reviews of the ledger drawn, parked in Prefect and marked; against *plain*: flow runs that call
  `suspend_flow_run(wait_for_input=...)`, as many at once as the worker takes;
- *calls*: what the ingest asks of Prefect's API for each review, counted by a relay;
- *processes*: how many more there are while all assets wait than before any did;
- *resume to published*: from the click until the assets of the review stand in the library, and what this is made of;
  against *bare*: a flow that does nothing, parked and resumed in the same way, until it is completed. Both take turns.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from statistics import median
from typing import TYPE_CHECKING, Any, Final, cast
from uuid import uuid4

import sqlalchemy as sa

from benchmarks.ingest import ROSTER
from benchmarks.report import Ratio, print_report
from tests.flows.counting_relay import relay_to

if TYPE_CHECKING:
    from tasks.prefect_api import PrefectApi
    from tasks.resources import Resources

REVIEW_SIZE: Final = 24
WITHIN_S: Final = 180.0
POLL_S: Final = 0.25
NEVER: Final = "0 0 29 2 *"
OWN: Final = "signoff"  # the deployments' name
PLAIN: Final = "plain"

POLICY = f"""
name: benchmark
calendar: {{timezone: UTC, days: mon-fri, hours: "09:00-17:00"}}
collections:
  - {{name: rest, prefix: "", submitter: authors, owner: owners,
     use: [{{action: publish, channel: web, territory: [DE]}}]}}
screening:
  accept: [image, document, text, video, audio, other]
  max_size: 2 GiB
  quarantine: {{owner: owners, deadline: {{within: 2 days, finally: reject}}}}
approval:
  stages:
    - {{name: editor, default: true, reviewers: editors, signature: none,
       deadline: {{within: 2 days, finally: reject}}}}
  four_eyes: true
  review_size: {REVIEW_SIZE}
rights: {{gate: editor, block: [conflict, restricted, embargoed, expired]}}
"""
CONTRACTS = "id,effect,collection,actions,channels,territories\nT-1,permit,rest,publish,any,WORLD\n"


@dataclass(frozen=True, slots=True)
class Sizes:
    """How much is measured: assets that wait, runs of the plain way, turns of resuming."""

    assets: int
    plain: int
    turns: int


WHOLE, QUICK = Sizes(5_000, 16, 7), Sizes(240, 4, 3)


@dataclass(frozen=True, slots=True)
class Turn:
    """One resumed run: seconds from the click until a worker took it, its flow began, decided, and was done."""

    taken_s: float
    begun_s: float
    decided_s: float | None
    done_s: float


@dataclass(frozen=True, slots=True)
class Found:
    """Everything that was measured."""

    assets: int
    reviews: int
    ingest_s: float
    calls: Counter[str]
    processes: int
    opened_s: float
    plain: int
    plain_s: float
    turns: Mapping[str, Sequence[Turn]]


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true", help="a small size, to try it")
    sizes = QUICK if parser.parse_args().quick else WHOLE
    os.environ["OMP_NUM_THREADS"] = "1"
    from cli.stack.stack import stop_stack

    with tempfile.TemporaryDirectory(prefix="signoff-benchmark-") as scratch:
        home = Path(scratch) / "stack"
        try:
            found = measure(start(Path(scratch)), home, sizes)
        finally:
            stop_stack(home)
    report(found)


def start(folder: Path) -> Resources:
    """An embedded stack with its worker and no schedules, and the plain flows as deployments beside Signoff's own."""
    from cli.stack.stack import start_stack
    from tasks.resources import Resources
    from tasks.settings import CONFIG_VARIABLE, ScheduleSettings, load_settings

    (folder / "policy.yaml").write_text(POLICY)
    (folder / "roster.yaml").write_text(ROSTER)
    config = folder / "signoff.toml"
    seldom = "".join(f'{name} = "{NEVER}"\n' for name in ScheduleSettings.model_fields)
    config.write_text(
        'home = "stack"\npolicy = "policy.yaml"\nroster = "roster.yaml"\n'
        f"[ingest]\nprocesses = 2\ninspect = false\n[models]\nenabled = false\n[schedules]\n{seldom}"
    )
    os.environ[CONFIG_VARIABLE] = str(config)
    resources = Resources(start_stack(load_settings(config), config, lambda: load_settings(config), report=say))
    pool = resources.settings.prefect.work_pool
    for name, flow in (("bare", "bare"), ("plain-review", "plain_review")):
        flow_id = resources.prefect.post("flows/", {"name": name})["id"]
        named = {"name": PLAIN, "flow_id": flow_id, "work_pool_name": pool}
        resources.prefect.post("deployments/", named | {"entrypoint": f"benchmarks.plain_flows.{flow}"})
    variables = own_deployment(resources.prefect)["job_variables"]
    flow_id = resources.prefect.post("flows/", {"name": "bare"})["id"]
    named = {"name": OWN, "flow_id": flow_id, "work_pool_name": pool, "job_variables": variables}
    resources.prefect.post("deployments/", named | {"entrypoint": "benchmarks.plain_flows.bare"})
    return resources


def own_deployment(api: PrefectApi) -> dict[str, Any]:
    """The deployment that reviews are runs of, as `signoff up` registered it."""
    return cast("dict[str, Any]", api.find(f"deployments/name/decide-review/{OWN}"))


def measure(resources: Resources, home: Path, sizes: Sizes) -> Found:
    """All of it, one after the other, on one stack."""
    fill(resources, sizes.assets)
    before = count_processes(home)
    say(f"ingesting {sizes.assets} assets")
    with relay_to(resources.settings.prefect_api) as relay:
        ingest_s = timed(lambda: run_ingest(relay.url))
    states = rows(resources, "SELECT state, count(*) FROM versions GROUP BY state")
    assert states == [("in_review", sizes.assets)], states
    processes = count_processes(home) - before
    reviews = len(waiting_runs(resources))
    assert reviews == -(-sizes.assets // REVIEW_SIZE)
    say(f"{reviews} reviews wait; opening each of them once more")
    opened_s = open_again(resources)
    say(f"{sizes.plain} runs that suspend themselves")
    plain_s = suspend_plainly(resources.prefect, sizes.plain)
    turns = take_turns(resources, sizes.turns)
    return Found(sizes.assets, reviews, ingest_s, relay.counts, processes, opened_s, sizes.plain, plain_s, turns)


def fill(resources: Resources, count: int) -> None:
    """Put texts of which no two are equal into the intake, and the contracts into the workspace."""
    import obstore

    storage, buckets = resources.storage, resources.settings.s3.buckets
    intake = storage._store(buckets.intake)
    with ThreadPoolExecutor(16) as pool:
        list(
            pool.map(
                lambda number: obstore.put(
                    intake, f"texts/{number:06}.txt", f"Notice {number}.\n".encode(), use_multipart=False
                ),
                range(count),
            )
        )
    storage.put(buckets.workspace, resources.settings.contracts, CONTRACTS.encode(), "text/csv")


def run_ingest(api_url: str) -> None:
    """The flow as a flow run, in a process of its own whose calls to Prefect's API pass the relay."""
    environment = os.environ | {"PREFECT_API_URL": api_url, "SIGNOFF_PREFECT__API_URL": api_url}
    code = "from flows.ingest_assets import ingest_assets; ingest_assets()"
    subprocess.run([sys.executable, "-c", code], env=environment, check=True, capture_output=True)


def count_processes(home: Path) -> int:
    """How many processes of the stack there are, what they started included; a run that just ended is waited for."""
    import psutil

    from cli.stack.supervisor import STACK_HOME

    found = 0
    for process in psutil.process_iter():
        try:
            found += process.environ().get(STACK_HOME) == str(home) and process.status() != psutil.STATUS_ZOMBIE
        except (psutil.Error, OSError):  # of another user, or gone
            continue
    return found


def open_again(resources: Resources) -> float:
    """End the round of every review and park the next one; seconds for drawing, parking and marking all of them."""
    from ledger.rounds import close_round
    from tasks.park_reviews import park_reviews

    open_rounds = waiting_runs(resources)
    with resources.ledger.writing(resources.origin("operator:benchmark")) as tx:
        for review_id, number in open_rounds.values():
            close_round(tx, review_id, number, "replaced", None)
    seconds = timed(lambda: park_reviews(resources, "operator:benchmark"))
    assert len(waiting_runs(resources)) == len(open_rounds)
    return seconds


def suspend_plainly(api: PrefectApi, count: int) -> float:
    """Start so many runs that suspend themselves at once; seconds until the last of them waits."""
    began = time.perf_counter()
    runs = [api.start_run(f"plain-review/{PLAIN}") for _ in range(count)]
    until(lambda: all(run.is_parked for run in api.read_runs(runs)), "runs to suspend themselves")
    return time.perf_counter() - began


def take_turns(resources: Resources, turns: int) -> dict[str, list[Turn]]:
    """Resume a review, then bare flows, and so on; by what was resumed."""
    found: dict[str, list[Turn]] = {"review": [], "bare": [], "bare, started as reviews are": []}
    for number, run_id in enumerate(list(waiting_runs(resources))[:turns]):
        say(f"resuming, turn {number + 1} of {turns}")
        found["review"].append(resume_review(resources, run_id))
        found["bare"].append(resume_bare(resources.prefect, PLAIN))
        found["bare, started as reviews are"].append(resume_bare(resources.prefect, OWN))
    return found


def resume_review(resources: Resources, run_id: str) -> Turn:
    """Approve a review through the door that the UI uses; published is what the ledger says is in the library."""
    from tasks.park_run import SCHEMA, read_schema

    schema = read_schema(resources.prefect, run_id)
    assert schema is not None, SCHEMA
    answer = {"decision": "approve", "reviewer": schema["properties"]["reviewer"]["enum"][0]}
    clicked, times = resume(resources.prefect, run_id, answer)
    events = rows(
        resources,
        "SELECT action, count(*), max(at) FROM events"
        f" WHERE flow_run_id = '{run_id}' AND action IN ('decide', 'publish') GROUP BY action",
    )
    counts = {action: count for action, count, _ in events}
    assert counts == {"decide": REVIEW_SIZE, "publish": REVIEW_SIZE}, counts
    at = {action: moment / 1e6 - clicked for action, _, moment in events}
    return Turn(times["PENDING"], times["RUNNING"], at["decide"], at["publish"])


def resume_bare(api: PrefectApi, deployment: str) -> Turn:
    """Resume a run that was parked as a review is, and does nothing."""
    from tasks.park_run import Form, park_run

    schema = {"type": "object", "properties": {"decision": {"type": "string"}}, "required": ["decision"]}
    form = Form(str(uuid4()), "bare", [], schema, "Nothing is asked.")
    _, times = resume(api, park_run(api, f"bare/{deployment}", form).flow_run_id, {"decision": "approve"})
    return Turn(times["PENDING"], times["RUNNING"], None, times["COMPLETED"])


def resume(api: PrefectApi, run_id: str, answer: Mapping[str, Any]) -> tuple[float, dict[str, float]]:
    """Resume a run and wait for its end; when it was clicked, and seconds from there to each state that it reached."""
    from tasks.park_run import resume_run

    clicked = time.time()
    change = resume_run(api, run_id, answer)
    assert change.accepted, change.reason
    until(lambda: ended(api, run_id), f"run {run_id} to end")
    states = cast("list[dict[str, Any]]", api.find(f"flow_run_states/?flow_run_id={run_id}"))
    times = {one["type"]: datetime.fromisoformat(one["timestamp"]).astimezone(UTC).timestamp() for one in states}
    return clicked, {name: moment - clicked for name, moment in times.items()}


def ended(api: PrefectApi, run_id: str) -> bool:
    """Whether a run is done; one that failed ends the measurement."""
    run = api.read_run(run_id)
    assert run is not None, run_id
    assert not run.is_lost, run
    return run.type == "COMPLETED"


def waiting_runs(resources: Resources) -> dict[str, tuple[int, int]]:
    """(review, round) by flow run id, of what waits; full reviews first, in their order."""
    from ledger.rounds import parked_runs

    with resources.ledger.reading() as connection:
        return dict(sorted(parked_runs(connection).items(), key=lambda item: item[1]))


def rows(resources: Resources, statement: str) -> list[tuple[Any, ...]]:
    """Answer of the ledger's database."""
    with resources.ledger.reading() as connection:
        return [tuple(row) for row in connection.execute(sa.text(statement))]


def until(condition: Callable[[], bool], what: str) -> None:
    """Wait for a condition, looking seldom: looking costs what is measured."""
    deadline = time.monotonic() + WITHIN_S
    while not condition():
        if time.monotonic() > deadline:
            raise TimeoutError(f"waited {WITHIN_S:.0f} s for {what}")
        time.sleep(POLL_S)


def timed(work: Callable[[], Any]) -> float:
    """Seconds that `work` takes."""
    began = time.perf_counter()
    work()
    return time.perf_counter() - began


def say(text: str) -> None:
    """Tell how far it is."""
    print(f"… {text}", file=sys.stderr, flush=True)


def report(found: Found) -> None:
    """The tables and the ratios."""
    parking = sum(count for what, count in found.calls.items() if "create_flow_run" in what or "/input" in what)
    done = {name: median(turn.done_s for turn in turns) for name, turns in found.turns.items()}
    opened_s, plain_s = found.opened_s / found.reviews, found.plain_s / found.plain
    lines: list[tuple[object, ...]] = [
        ("opened by Signoff", found.reviews, found.opened_s, opened_s),
        ("opened by the whole ingest", found.reviews, found.ingest_s, found.ingest_s / found.reviews),
        ("opened in the plain way", found.plain, found.plain_s, plain_s),
    ]
    for name, turns in found.turns.items():
        lines += [(f"resumed {name}: {part}", len(turns), sum(times), median(times)) for part, times in parts(turns)]
    print_report(
        "reviews",
        ("what", "count", "seconds", "seconds each"),
        lines,
        [
            Ratio("opening a review against the plain way", plain_s / opened_s, 10),
            Ratio("API calls a review", found.calls.total() / found.reviews, None, "lower"),
            Ratio("API calls a review, of its parking", parking / found.reviews, None, "lower"),
            Ratio(f"processes while {found.assets} assets wait", found.processes, 0, "lower"),
            Ratio("resume to published against a bare flow run", done["review"] / done["bare"], 1.5, "lower"),
            Ratio(
                "resume to published against a bare flow run that is started as reviews are",
                done["review"] / done["bare, started as reviews are"],
                None,
                "lower",
            ),
            Ratio("seconds from resume to published, median", done["review"], None, "lower"),
        ],
    )


def parts(turns: Sequence[Turn]) -> list[tuple[str, list[float]]]:
    """What the time of these turns is made of, part by part, and the whole."""
    found = [
        ("until a worker takes it", [one.taken_s for one in turns]),
        ("process, Prefect, imports", [one.begun_s - one.taken_s for one in turns]),
    ]
    decided = [(one, one.decided_s) for one in turns if one.decided_s is not None]
    if decided:
        found += [
            ("answer read and recorded", [at - one.begun_s for one, at in decided]),
            ("copied, read back, published", [one.done_s - at for one, at in decided]),
        ]
    else:
        found.append(("flow and its end", [one.done_s - one.begun_s for one in turns]))
    return [*found, ("altogether", [one.done_s for one in turns])]


if __name__ == "__main__":
    main()
