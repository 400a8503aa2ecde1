"""A ledger and buckets of a test's own on the session's stack, and what people and flows do there."""

from __future__ import annotations

import csv
import hashlib
import io
import json
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from uuid import UUID, uuid4

import sqlalchemy as sa
from prefect.client.orchestration import get_client
from prefect.flow_engine import run_flow
from prefect.settings import PREFECT_API_URL, temporary_settings

from cli.reviews import waiting
from flows.apply_archive_policy import apply_archive_policy
from flows.carry_out_effects import carry_out_effects
from flows.decide_review import decide_review
from flows.enforce_deadlines import enforce_deadlines
from flows.ingest_assets import ingest_assets
from ledger.reader import listing, story
from ledger.review_items import CHANGES, QUARANTINE
from tasks.park_run import SCHEMA, resume_run
from tasks.prepare_buckets import prepare_buckets
from tasks.prepare_ledger import prepare_ledger
from tasks.resources import Resources
from tasks.settings import load_settings
from tests.running_stack import SAMPLES, RunningStack, Said, say, settings_of

POLICY = """
name: whole-way
calendar: {timezone: Europe/Berlin, days: mon-fri, hours: "09:00-17:30", holidays: DE}
collections:
  - {name: notes, prefix: notes/, submitter: studio, owner: editors,
     use: [{action: publish, channel: web, territory: [DE]}]}
  - {name: secret, prefix: secret/, submitter: studio, owner: editors,
     use: [{action: publish, channel: web, territory: [DE]}]}
  - {name: rest, prefix: "", submitter: studio, owner: editors,
     use: [{action: publish, channel: web, territory: [DE]}]}
screening:
  accept: [image, document, text, video, audio]
  max_size: 2 GiB
  quarantine_when: "type_mismatch"
  quarantine: {owner: operations, deadline: {within: 2 days, finally: reject}}
approval:
  stages:
    - {name: legal, when: "clearance <> 'cleared'", reviewers: legal, quorum: 1, signature: none,
       deadline: {within: 3 days, finally: reject}}
    - {name: editor, default: true, reviewers: editors, quorum: 1, signature: EDITOR_SIGNATURE,
       deadline: EDITOR_DEADLINE}
  automatic:
    - {name: notes, when: "collection = 'notes' AND size <= '1 GiB' AND clearance = 'cleared'", second_look: 1%}
  four_eyes: true
  review_size: REVIEW_SIZE
rights:
  gate: legal
  expiring_within: 1 days
  block: [conflict, restricted, embargoed, expired, unknown]
  on_expiry: withdraw
archive:
  - {name: old rejects, when: "state = 'rejected'", after: {event: rejected, days: 30}, action: archive}
"""
"""Notes are approved by a rule, whatever lacks rights goes to legal, the rest to an editor."""

EDITOR_DEADLINE = "{within: 2 days, finally: request_changes}"

CLEARED = (
    {"id": "C-REST", "collection": "rest"},
    {"id": "C-NOTES", "collection": "notes"},
)
_SECRETS = ("service", "source", "consumer")


@dataclass
class Workplace:
    """One ledger with four buckets of its own. Flows run in this process, under the stack's Prefect server."""

    stack: RunningStack
    config: Path
    resources: Resources

    @property
    def buckets(self) -> Any:
        """The names of its buckets."""
        return self.resources.settings.s3.buckets

    @property
    def client(self) -> Any:
        """The store, with Signoff's own identity."""
        return self.resources.storage.client

    def put(self, key: str, data: bytes | str) -> str:
        """Drop an object into the intake; returns the SHA-256 of its bytes."""
        body = data.encode() if isinstance(data, str) else data
        self.client.put_object(Bucket=self.buckets.intake, Key=key, Body=body)
        return hashlib.sha256(body).hexdigest()

    def wait_for_another_second(self) -> None:
        """Until a write can be told from the last one by its time: stores tell some times to the second."""
        time.sleep(1.1)

    def put_contracts(self, *grants: Mapping[str, str]) -> None:
        """Replace the contracts table: permits to publish everywhere, unless a grant says otherwise."""
        usual = {"effect": "permit", "actions": "publish;ai_infer", "channels": "any", "territories": "WORLD"}
        names = ["id", "asset", "collection", "timezone", "start", "end", "embargo", *usual]
        out = io.StringIO()
        writer = csv.DictWriter(out, names, restval="", lineterminator="\n")
        writer.writeheader()
        writer.writerows(usual | dict(grant) for grant in grants)
        self.put_contracts_file(out.getvalue().encode())

    def put_contracts_file(self, data: bytes) -> None:
        """Replace the contracts table by these bytes."""
        key = self.resources.settings.contracts
        self.client.put_object(Bucket=self.buckets.workspace, Key=key, Body=data)

    @contextmanager
    def at_work(self, **variables: str) -> Iterator[None]:
        """While inside, flows of this process belong here; `variables` are settings such as `CLOCK="+31d"`."""
        api_url = variables.pop("api_url", self.stack.settings.prefect_api)
        with settings_of(self.config, **variables), temporary_settings({PREFECT_API_URL: api_url}):
            yield

    def run(self, flow: Callable[[], Any], **variables: str) -> None:
        """Run a flow here, now."""
        with self.at_work(**variables):
            flow()

    def ingest(self, **variables: str) -> None:
        """List, screen, route, park, publish."""
        self.run(ingest_assets, **variables)

    def sweep(self, **variables: str) -> None:
        """Carry out what is open."""
        self.run(carry_out_effects, **variables)

    def enforce(self, **variables: str) -> None:
        """Park again what lost its run."""
        self.run(enforce_deadlines, **variables)

    def archive(self, **variables: str) -> None:
        """Put away what the archive rules are due for."""
        self.run(apply_archive_policy, **variables)

    def say(self, *arguments: str) -> Said:
        """Run a `signoff` command here."""
        return say(self.config, *arguments)

    def reviews(self) -> list[dict[str, Any]]:
        """The reviews that wait."""
        return waiting(self.resources)

    def review_of(self, key: str) -> dict[str, Any]:
        """The waiting review that shows this asset."""
        return next(row for row in self.reviews() if any(one.startswith(f"{key} ") for one in self._shown(row)))

    def _shown(self, row: Mapping[str, Any]) -> list[str]:
        return [choice.split(" · ", 1)[1] + " " for choice in assets_of(self.form(row))]

    def form(self, row: Mapping[str, Any]) -> Any:
        """The form of a waiting review."""
        return json.loads(self.stack.api.read_input(row["flow_run_id"], SCHEMA) or "{}")

    def decide(
        self,
        row: Mapping[str, Any],
        decision: str = "approve",
        *,
        comment: str | None = None,
        exceptions: Mapping[str, str] | None = None,
        **variables: str,
    ) -> None:
        """Answer a review as the first person that its form offers; `exceptions`: key → another decision."""
        form = self.form(row)
        if decision == "approve" and "approve" not in form["properties"]["decision"]["enum"]:
            decision, comment = "waive", comment or "we know where it comes from"
        answer: dict[str, Any] = {"decision": decision, "reviewer": reviewers_of(form)[0]}
        if comment:
            answer["comment"] = comment
        if exceptions:
            answer["exceptions"] = [
                {"asset": choice, "decision": said, "comment": "because"}
                for key, said in exceptions.items()
                for choice in assets_of(form)
                if key in choice
            ]
        change = resume_run(self.stack.api, row["flow_run_id"], answer)
        assert change.accepted, change.reason
        self.go_on(row["flow_run_id"], **variables)

    def go_on(self, flow_run_id: str, **variables: str) -> None:
        """Run a resumed review in this process, as a worker would."""
        with self.at_work(**variables):
            with get_client(sync_client=True) as client:
                run = client.read_flow_run(UUID(flow_run_id))
            run_flow(decide_review, flow_run=run)

    def decide_all(self, **variables: str) -> None:
        """Approve whatever can be approved, until nothing else waits."""
        while rows := [row for row in self.reviews() if row["stage"] not in (QUARANTINE, CHANGES)]:
            for row in rows:
                self.decide(row, **variables)

    def versions(self) -> dict[tuple[str, int], str]:
        """(key, number) → state of every version."""
        with self.resources.ledger.reading() as connection:
            return {(row["key"], row["version"]): row["state"] for row in listing(connection, every_version=True)}

    def states(self) -> dict[str, str]:
        """Key → state of each asset's last version."""
        with self.resources.ledger.reading() as connection:
            return {row["key"]: row["state"] for row in listing(connection)}

    def story(self, key: str) -> dict[str, Any]:
        """Everything the ledger knows of an asset."""
        with self.resources.ledger.reading() as connection:
            return story(connection, key)

    def actions(self, key: str) -> list[str]:
        """What happened to an asset, in order."""
        return [event["action"] for event in self.story(key)["events"]]

    def rows(self, statement: str) -> list[tuple[Any, ...]]:
        """Answer of the ledger's database to a question in SQL."""
        with self.resources.ledger.reading() as connection:
            return [tuple(row) for row in connection.execute(sa.text(statement))]

    def objects(self, bucket: str) -> dict[str, str]:
        """Key → SHA-256 of everything in a bucket."""
        found = {}
        for page in self.client.get_paginator("list_objects_v2").paginate(Bucket=bucket):
            for one in page.get("Contents", []):
                body = self.client.get_object(Bucket=bucket, Key=one["Key"])["Body"].read()
                found[one["Key"]] = hashlib.sha256(body).hexdigest()
        return found

    def library(self) -> dict[str, str]:
        """Key → SHA-256 of everything that consumers can read."""
        return self.objects(self.buckets.library)


def assets_of(form: Mapping[str, Any]) -> Sequence[str]:
    """The assets that a form offers for exceptions."""
    found: Sequence[str] = form["properties"]["exceptions"]["items"]["properties"]["asset"]["enum"]
    return found


def reviewers_of(form: Mapping[str, Any]) -> Sequence[str]:
    """The people that a form offers."""
    found: Sequence[str] = form["properties"]["reviewer"]["enum"]
    return found


MakeWorkplace = Callable[..., Workplace]
"""Makes workplaces: `review_size` assets a review, `versioned` intake or not, `editor_deadline` as in a policy, the
`signature` of its editors, a `policy` instead of the usual one, and `ingest` settings by name."""


def policy_text(review_size: int = 24, editor_deadline: str = EDITOR_DEADLINE, signature: str = "none") -> str:
    """The policy file of a workplace; `signature` is what its editors sign with."""
    sized = POLICY.replace("REVIEW_SIZE", str(review_size)).replace("EDITOR_SIGNATURE", signature)
    return sized.replace("EDITOR_DEADLINE", editor_deadline)


@contextmanager
def open_workplaces(stack: RunningStack, folder: Path) -> Iterator[MakeWorkplace]:
    """Makes workplaces on the stack, with their files under `folder`; afterwards their buckets are gone."""
    made: list[Workplace] = []

    def make(
        *,
        review_size: int = 24,
        versioned: bool = True,
        editor_deadline: str = EDITOR_DEADLINE,
        signature: str = "none",
        policy: str | None = None,
        **ingest: Any,
    ) -> Workplace:
        place = folder / f"workplace-{len(made)}"
        (place / "state").mkdir(parents=True)
        config = place / "signoff.toml"
        config.write_text(_settings_file(stack, ingest), encoding="utf-8")
        text = policy or policy_text(review_size, editor_deadline, signature)
        (place / "policy.yaml").write_text(text, encoding="utf-8")
        settings = load_settings(config)
        client, intake = stack.client(settings.s3.service), settings.s3.buckets.intake
        client.create_bucket(Bucket=intake)
        if versioned:
            client.put_bucket_versioning(Bucket=intake, VersioningConfiguration={"Status": "Enabled"})
        prepare_buckets(settings.s3, embedded=False)
        prepare_ledger(settings)
        made.append(Workplace(stack, config, Resources(settings)))
        made[-1].put_contracts(*CLEARED)
        return made[-1]

    yield make
    for one in made:
        for bucket in one.buckets.model_dump().values():
            one.client.delete_bucket(Bucket=bucket)  # a bucket takes room in the store, even an empty one
        one.resources.close()


def _settings_file(stack: RunningStack, ingest: Mapping[str, Any]) -> str:
    """The settings of a place that uses an existing store and an existing Prefect: the stack's."""
    s3, name = stack.settings.s3, uuid4().hex[:8]
    lines = [
        'home = "state"',
        'policy = "policy.yaml"',
        f'roster = "{SAMPLES / "roster.yaml"}"',
        "[models]\nenabled = false",
        f'[prefect]\napi_url = "{stack.settings.prefect_api}"\nworker = false',
        "[ingest]\n"
        + "\n".join(f"{key} = {json.dumps(value)}" for key, value in ({"processes": 1} | dict(ingest)).items()),
        f'[s3]\nendpoint = "{s3.endpoint}"',
        "[s3.buckets]\n"
        + "\n".join(f'{one} = "{one}-{name}"' for one in ("intake", "workspace", "library", "archive")),
    ]
    for identity in _SECRETS:
        keys = getattr(s3, identity)
        lines.append(
            f'[s3.{identity}]\naccess_key = "{keys.access_key}"\nsecret_key = "{keys.secret_key.get_secret_value()}"'
        )
    return "\n".join(lines) + "\n"
