"""Random lives of reviews on a real Prefect server: answers, sweeps, absences, newer bytes, lost runs and crashes.

Time is the test's own. Whatever happens in whatever order, what must hold holds after every step; and in the end all
that waited has come to an end, no answer is lost, and every notice went out once.
"""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, suppress
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
import sqlalchemy as sa
from hypothesis import HealthCheck, Phase, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule, run_state_machine_as_test

from ledger.delegations import delegate_part
from ledger.errors import DelegationRefused, LedgerBusy
from tasks.carry_out_effects import carry_out
from tasks.errors import TransientError
from tasks.fire_rungs import fire_rungs
from tasks.follow_absences import follow_absences
from tasks.follow_roster import follow_roster
from tasks.import_grants import import_contracts
from tasks.list_intake import list_intake
from tasks.open_reviews import bundle_reviews
from tasks.park_reviews import park_reviews
from tasks.park_run import resume_run
from tasks.prefect_api import PrefectApi
from tasks.record_answer import ACTOR as DECIDES
from tasks.record_answer import record_answer
from tasks.recover_reviews import recover_reviews
from tasks.resources import Resources
from tasks.screen_shard import screen
from tasks.send_notices import send_notices
from tasks.settings import load_settings
from tasks.tag_runs import tag_runs
from tests.mail_server import Webhook, webhook
from tests.workplace import MakeWorkplace, Workplace, assets_of, reviewers_of

pytestmark = [
    pytest.mark.stack,
    pytest.mark.filterwarnings("ignore::pytest.PytestUnhandledThreadExceptionWarning"),  # a crash may be in a thread
]

POLICY = """
name: histories
calendar: {timezone: Europe/Berlin, days: mon-sun, hours: "06:00-22:00"}
collections:
  - {name: rest, prefix: "", submitter: studio, owner: editors,
     use: [{action: publish, channel: web, territory: [DE]}]}
screening:
  accept: [image, document, text, video, audio]
  max_size: 2 GiB
  quarantine_when: "type_mismatch"
  quarantine: {owner: operations, deadline: {within: 2 days, remind: [50%], finally: reject}}
approval:
  stages:
    - {name: brand, when: "key LIKE 'two/%'", reviewers: brand, quorum: 2, signature: none,
       deadline: {within: 2 days, remind: [50%], escalate: [{to: brand-leads, within: 1 day}], finally: reject}}
    - {name: editor, default: true, reviewers: editors, quorum: 1, signature: none,
       deadline: {within: 1 day, remind: [50%], finally: request_changes}}
    - {name: legal, when: "clearance <> 'cleared'", reviewers: legal, quorum: 1, signature: none,
       deadline: {within: 3 days, finally: reject}}
  four_eyes: true
  review_size: 2
  changes_requested: {within: 4 days, remind: [50%], finally: reject}
rights:
  gate: legal
  expiring_within: 1 days
  block: [conflict, restricted, embargoed, expired, unknown]
  on_expiry: withdraw
archive:
  - {name: old rejects, when: "state = 'rejected'", after: {event: rejected, days: 30}, action: archive}
"""

NEVER: dict[str, str] = {
    "a gate that waits for people without a deadline": """
        SELECT g.gate_id FROM gates g JOIN review_gates c ON c.gate_id = g.gate_id
        JOIN parkings p ON p.review_id = c.review_id AND p.status = 'parked'
        WHERE g.outcome IS NULL AND g.opened_at IS NOT NULL AND g.due_at IS NULL""",
    "a gate that passed without its quorum of distinct people": """
        SELECT g.gate_id FROM gates g WHERE g.outcome = 'passed' AND (
          SELECT COUNT(DISTINCT d.person_id) FROM decisions d
          WHERE d.gate_id = g.gate_id AND d.counted AND d.verdict = 'approve') < g.quorum""",
    "a version approved past an open gate": """
        SELECT e.version_id FROM events e JOIN gates g ON g.version_id = e.version_id AND g.round = e.round
        WHERE e.action = 'approve' AND COALESCE(g.outcome, '') <> 'passed'""",
    "a publication without an approval in its round": """
        SELECT e.version_id FROM events e WHERE e.action = 'publish' AND NOT EXISTS (
          SELECT 1 FROM events a WHERE a.version_id = e.version_id AND a.action = 'approve'
            AND a.round = e.round AND a.seq < e.seq)""",
    "two rounds of a review that wait": """
        SELECT review_id FROM parkings WHERE status IN ('to_park', 'parked') GROUP BY review_id HAVING COUNT(*) > 1""",
    "a decision of who submitted it": """
        SELECT d.decision_id FROM decisions d JOIN people p ON p.person_id = d.person_id WHERE p.handle = 'ruben'""",
}
WAITING = "SELECT key, state FROM versions JOIN assets USING (asset_id) WHERE state IN ({})"
ENDLESS = "'submitted', 'in_review', 'quarantined', 'changes_requested', 'approved'"

KEYS = ["one/a.txt", "two/b.txt", "two/c.txt"]
PEOPLE = ["lea", "tomasz", "amara", "jonas", "mei", "yusuf"]
SWEEP = "system:enforce_deadlines"


class Crash(BaseException):
    """The process dies here: nothing in the product catches it."""


class Lives(RuleBasedStateMachine):
    """What people and sweeps do to the reviews of three assets."""

    def __init__(self, workplace: Workplace, hook: Webhook) -> None:
        """An empty ledger with a policy, a roster and one channel for everybody."""
        super().__init__()
        self.workplace, self.hook = workplace, hook
        self.now = datetime(2026, 11, 24, 8, tzinfo=UTC)
        self.answered: set[str] = set()
        self.delivered: list[str] = []
        self.sender_died = self.died = False

    def resources(self, dies_at: int = 0) -> Resources:
        """As a process of its own has them, now; it dies before its call or commit number `dies_at`."""
        notices = {"channels": {"room": self.hook.address()}, "people": {one: ["room"] for one in PEOPLE}}
        found = Resources(
            load_settings(self.workplace.config, overrides={"clock": self.now.isoformat(), "notices": notices})
        )
        if dies_at:
            left = iter(range(dies_at - 1, -1, -1))

            def tick(*_: Any) -> None:
                if next(left, 1) == 0:
                    self.died = True
                    raise Crash

            found.__dict__["prefect"] = PrefectApi(found.settings.prefect_api, on_call=tick)
            sa.event.listen(found.ledger.engine, "commit", tick)
        return found

    def act(self, work: Callable[[Resources], None], dies_at: int = 0) -> bool:
        """Do some work as one process; True if it died, or left it to the next one because a server was busy."""
        self.died = False
        with closing(self.resources(dies_at)) as resources:
            try:
                work(resources)
            except (Crash, TransientError, LedgerBusy):
                return True
        return self.died  # in a thread of its own, perhaps

    # --- what happens

    @rule(key=st.sampled_from(KEYS), content=st.integers(0, 5), dies_at=st.sampled_from([0, 0, 3, 9]))
    def arrive(self, key: str, content: int, dies_at: int) -> None:
        """Bytes are dropped into the intake, newer ones perhaps, and a batch takes them up or dies of it."""
        self.workplace.put(key, f"The words number {content} of this slogan are plain and waiting.")
        self.act(ingest, dies_at)

    @rule(
        pick=st.integers(0, 5),
        who=st.integers(0, 5),
        said=st.sampled_from([0, 0, 0, 1, 2]),
        otherwise=st.booleans(),
        dies_at=st.sampled_from([0, 0, 0, 1, 2, 4, 7]),
    )
    def answer(self, pick: int, who: int, said: int, otherwise: bool, dies_at: int) -> None:
        """Somebody fills a form and resumes; the run that records it may die, which its worker reports."""
        rows = [row for row in self.workplace.reviews() if row["status"] == "parked"]
        if not rows:
            return
        run_id = rows[pick % len(rows)]["flow_run_id"]
        form = self.workplace.form({"flow_run_id": run_id})
        if not form:
            return
        decisions = form["properties"]["decision"]["enum"]
        people = reviewers_of(form)
        filled: dict[str, Any] = {
            "decision": decisions[min(said, len(decisions) - 1)],
            "reviewer": people[who % len(people)],
            "comment": "so it is",
        }
        if otherwise:
            filled["exceptions"] = [{"asset": assets_of(form)[0], "decision": decisions[-1], "comment": "not this"}]
        if not resume_run(self.workplace.stack.api, run_id, filled).accepted:
            return
        self.answered.add(run_id)
        if self.act(lambda resources: decide(resources, run_id), dies_at):
            self.set_state(run_id, "CRASHED")

    @rule(pick=st.integers(0, 5), how=st.sampled_from(["cancel", "delete", "force"]))
    def lose_a_run(self, pick: int, how: str) -> None:
        """Somebody cancels or deletes a waiting run, or has it go on without an answer."""
        rows = [row for row in self.workplace.reviews() if row["status"] == "parked"]
        if not rows:
            return
        run_id = rows[pick % len(rows)]["flow_run_id"]
        if how == "delete":
            self.workplace.stack.api.call("DELETE", f"flow_runs/{run_id}", allow=(404,))
        elif how == "cancel":
            self.set_state(run_id, "CANCELLED")
        else:
            self.set_state(run_id, "SCHEDULED")
            self.act(lambda resources: decide(resources, run_id))

    @rule(hours=st.integers(1, 40), dies_at=st.sampled_from([0, 0, 2, 5, 8, 13]))
    def time_passes(self, hours: int, dies_at: int) -> None:
        """A sweep comes some hours later, and may die at any call or commit."""
        self.now += timedelta(hours=hours)
        self.act(sweep, dies_at)

    @rule(hours=st.integers(0, 30))
    def sweeps_overlap(self, hours: int) -> None:
        """Two sweeps at the same time."""
        self.now += timedelta(hours=hours)
        with ThreadPoolExecutor(2) as pool:
            for done in [pool.submit(self.act, sweep) for _ in range(2)]:
                done.result()

    @rule(who=st.sampled_from(PEOPLE), for_whom=st.sampled_from(PEOPLE), days=st.integers(1, 3))
    def go_away(self, who: str, for_whom: str, days: int) -> None:
        """Somebody stands in for another, from now on."""
        with (
            closing(self.resources()) as resources,
            suppress(DelegationRefused),
            resources.ledger.writing(resources.origin("operator:people")) as tx,
        ):
            delegate_part(tx, for_whom, who, self.now, self.now + timedelta(days=days))

    @rule(status=st.sampled_from([200, 200, 500]), dies_at=st.sampled_from([0, 0, 1, 2, 3]))
    def send(self, status: int, dies_at: int) -> None:
        """The outbox is sent; the room may not take it, and the sender may die before or after."""
        self.hook.status = status
        before = len(self.hook.calls)
        died = self.act(lambda resources: tell(resources), dies_at)
        if status == 200:
            self.delivered += [str(body["id"]) for _, body in self.hook.calls[before:]]
        self.sender_died |= died

    # --- what holds

    @invariant()
    def nothing_that_must_not_be(self) -> None:
        """No rule of approval is broken, at any moment."""
        for what, question in NEVER.items():
            assert self.workplace.rows(question) == [], what

    @invariant()
    def the_library_holds_what_is_published(self) -> None:
        """The bytes of published versions; of others nothing, unless an effect is half done."""
        published = dict(
            self.workplace.rows(
                "SELECT key, sha256 FROM versions JOIN assets USING (asset_id) WHERE state = 'published'"
            )
        )
        halfway = {key for (key,) in self.workplace.rows(HALFWAY)}
        held = {key: found for key, found in self.workplace.library().items() if key not in halfway}
        assert held == {key: found for key, found in published.items() if key not in halfway}

    def teardown(self) -> None:
        """Everything comes to its end by sweeps alone."""
        try:
            self.act(ingest)
            self.act(sweep)
            recorded = {
                run for (run,) in self.workplace.rows(f"SELECT flow_run_id FROM events WHERE actor = '{DECIDES}'")
            }
            assert self.answered <= recorded, "an answer was lost"
            for _ in range(8):
                self.now += timedelta(days=3)
                self.act(sweep)
            assert self.workplace.rows(WAITING.format(ENDLESS)) == [], "something waits for ever"
            assert self.workplace.reviews() == []
            runs = [run for (run,) in self.workplace.rows("SELECT flow_run_id FROM parkings") if run]
            for start in range(0, len(runs), 100):
                page = self.workplace.stack.api.read_runs(runs[start : start + 100])
                assert not [run for run in page if run.is_parked], "a run waits for nothing"
            self.nothing_that_must_not_be()
            self.the_library_holds_what_is_published()
            self.all_is_told()
        finally:
            empty(self.workplace)

    def all_is_told(self) -> None:
        """Each notice has gone out, once; twice only where its sender died before it could note that."""
        for _ in range(6):
            self.now += timedelta(hours=5)
            self.send(200, 0)
        told = self.workplace.rows(
            "SELECT message, state FROM notices JOIN people USING (person_id) WHERE handle IN ({})".format(
                ", ".join(f"'{one}'" for one in PEOPLE)
            )
        )
        assert {state for _, state in told} <= {"sent", "given_up"}
        times = Counter(self.delivered)
        sent = {message for message, state in told if state == "sent"}
        assert sent <= times.keys(), "sent, it says, but nothing came"
        if not self.sender_died:
            assert {message: count for message, count in times.items() if count > 1} == {}

    def set_state(self, run_id: str, kind: str) -> None:
        """What a worker, or a person with the API, says of a run."""
        body = {"state": {"type": kind}, "force": True}
        self.workplace.stack.api.call("POST", f"flow_runs/{run_id}/set_state", body, allow=(404,))


HALFWAY = "SELECT key FROM effects JOIN versions USING (version_id) JOIN assets USING (asset_id) WHERE status = 'open'"


def ingest(resources: Resources) -> None:
    """What the flow of this name does, without Prefect's engine around it."""
    import_contracts(resources, "system:ingest_assets")
    for shard in list_intake(resources).shards:
        screen(resources, shard)
    bundle_reviews(resources, "system:ingest_assets")
    park_reviews(resources, "system:ingest_assets")
    carry_out(resources, "system:ingest_assets", None)


def decide(resources: Resources, run_id: str) -> None:
    """What a resumed run does."""
    recorded = record_answer(resources, run_id)
    if recorded.decided.approved:
        carry_out(resources, DECIDES, run_id, version_ids=recorded.decided.approved)
    bundle_reviews(resources, DECIDES, run_id)
    park_reviews(resources, DECIDES, run_id)


def sweep(resources: Resources) -> None:
    """What the scheduled sweeps do."""
    follow_roster(resources, SWEEP)
    follow_absences(resources, SWEEP)
    recover_reviews(resources, SWEEP)
    fire_rungs(resources, SWEEP)
    bundle_reviews(resources, SWEEP)
    park_reviews(resources, SWEEP)
    tag_runs(resources)
    carry_out(resources, "system:carry_out_effects", None)


def tell(resources: Resources) -> None:
    """What the sender does."""
    send_notices(resources, "system:send_notices")


def empty(workplace: Workplace) -> None:
    """Take what waits out of Prefect: other tests count runs."""
    for (run_id,) in workplace.rows("SELECT flow_run_id FROM parkings WHERE flow_run_id IS NOT NULL"):
        workplace.stack.api.call("DELETE", f"flow_runs/{run_id}", allow=(404,))


@pytest.fixture
def hook() -> Iterator[Webhook]:
    """The room in which everybody is told."""
    with webhook() as running:
        yield running


def live(make_workplace: MakeWorkplace, hook: Webhook, *, examples: int, steps: int, derandomize: bool) -> None:
    """Live some lives, each on a ledger and in buckets of its own."""

    def begin() -> Any:
        return Lives(make_workplace(policy=POLICY), hook)

    run_state_machine_as_test(
        begin,
        settings=settings(
            max_examples=examples,
            stateful_step_count=steps,
            deadline=None,
            suppress_health_check=list(HealthCheck),
            phases=[Phase.generate],  # a life takes seconds: what was found is told as it was, not made smaller
            derandomize=derandomize,
            print_blob=True,
        ),
    )


def test_random_lives_of_reviews(make_workplace: MakeWorkplace, hook: Webhook) -> None:
    """A few, in a minute."""
    live(make_workplace, hook, examples=3, steps=10, derandomize=True)


@pytest.mark.soak
@pytest.mark.timeout(0)
def test_many_lives_of_reviews(make_workplace: MakeWorkplace, hook: Webhook) -> None:
    """Many and long ones."""
    live(make_workplace, hook, examples=150, steps=40, derandomize=False)


def test_the_bytes_of_a_slogan_are_what_is_published(make_workplace: MakeWorkplace) -> None:
    """The helpers above do what the flows do: an answer through them publishes the bytes that were put."""
    workplace = make_workplace(policy=POLICY)
    workplace.put("one/a.txt", "plain")
    with closing(Resources(load_settings(workplace.config))) as resources:
        ingest(resources)
        (row,) = workplace.reviews()
        form = workplace.form(row)
        answer = {"decision": "approve", "reviewer": reviewers_of(form)[0]}
        assert resume_run(workplace.stack.api, row["flow_run_id"], answer).accepted
        decide(resources, row["flow_run_id"])
    assert workplace.library() == {"one/a.txt": hashlib.sha256(b"plain").hexdigest()}
