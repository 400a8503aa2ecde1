"""The few calls of the Prefect REST API that Signoff needs, retried while the server is away or its database locked.

Importing this costs an HTTP client and nothing of Prefect: a resumed run begins with this import.
"""

from __future__ import annotations

import random
import time
from base64 import b64encode
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from types import TracebackType
from typing import Any
from urllib.parse import quote, urlsplit
from uuid import UUID

import httpx

from tasks.errors import PrefectAway, PrefectRefused

RETRIED_STATUSES = frozenset({408, 429, 500, 502, 503, 504})
"""500 too: that is how the server says “database is locked” where it does not recognise it."""

NO_STATE = "NONE"
RUNS_A_CALL = 100
"""The most that the server makes in one call."""

Body = Mapping[str, Any] | Sequence[Mapping[str, Any]]

FIRST_WAIT_S, LONGEST_WAIT_S = 0.1, 2.0
_TEXT_LIMIT = 500


@dataclass(frozen=True, slots=True)
class RunState:
    """Where a flow run stands: `type` is Prefect's (PAUSED, SCHEDULED, …), `name` what the UI shows.

    `since` is when it came there, by the server's clock; `inputs` are the keys of the inputs that it waits with;
    `deployment_id` names what it was made from, which may be gone.
    """

    flow_run_id: str
    type: str
    name: str
    message: str | None = None
    since: datetime | None = field(default=None, compare=False)
    inputs: Mapping[str, str] | None = field(default=None, compare=False)
    deployment_id: str | None = field(default=None, compare=False)

    @property
    def is_parked(self) -> bool:
        """Whether it waits for a person."""
        return self.type == "PAUSED"

    @property
    def is_lost(self) -> bool:
        """Whether it ended, or is ending, without having done its work; a run that never got a state does nothing."""
        return self.type in {"CANCELLED", "CANCELLING", "CRASHED", "FAILED", NO_STATE}


@dataclass(frozen=True, slots=True)
class NewRun:
    """A flow run to be made in a given state; made again under the same idempotency key, it is the same run."""

    idempotency_key: str
    name: str
    tags: Sequence[str]
    state: Mapping[str, Any]

    def body(self) -> dict[str, Any]:
        """What the server wants to hear."""
        return {
            "name": self.name,
            "tags": list(self.tags),
            "idempotency_key": self.idempotency_key,
            "state": dict(self.state),
        }


@dataclass(frozen=True, slots=True)
class StateChange:
    """What the server did with a proposed state: `accepted`, or not and why (`reason`)."""

    accepted: bool
    reason: str | None


class PrefectApi:
    """A connection to one Prefect server; usable from several threads, closed by leaving its context.

    `url` ends in `/api`; `ui_url` is where people find the UI, by default the V2 UI of the same server (a link without
    `/v2` opens the V1 UI whatever the server's default). `auth_string` is the server's shared `user:password`.
    `attempts` bounds how often one call is tried; `on_call` hears method and path of every attempt; `wait` sleeps.
    """

    def __init__(
        self,
        url: str,
        *,
        ui_url: str | None = None,
        auth_string: str | None = None,
        timeout_s: float = 30.0,
        attempts: int = 8,
        on_call: Callable[[str, str], None] | None = None,
        wait: Callable[[float], None] = time.sleep,
        transport: httpx.BaseTransport | None = None,
    ) -> None:
        self.url = url.rstrip("/")
        self.ui_url = (ui_url or f"{self.url.removesuffix('/api')}/v2").rstrip("/")
        self._attempts, self._on_call, self._wait = attempts, on_call, wait
        self._deployments: dict[str, str] = {}
        basic = {} if auth_string is None else {"Authorization": f"Basic {b64encode(auth_string.encode()).decode()}"}
        loopback = urlsplit(self.url).hostname in {"127.0.0.1", "localhost", "::1"}
        self._client = httpx.Client(headers=basic, timeout=timeout_s, trust_env=not loopback, transport=transport)

    def __enter__(self) -> PrefectApi:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Give the connections back."""
        self._client.close()

    def run_url(self, flow_run_id: str) -> str:
        """Where a person opens this run."""
        return f"{self.ui_url}/runs/flow-run/{flow_run_id}"

    def deployment_id(self, deployment: str) -> str:
        """Find the id of a deployment by `flow/deployment`, or pass an id through; asked once per name."""
        if _is_uuid(deployment):
            return deployment
        if deployment not in self._deployments:
            flow, _, name = deployment.partition("/")
            path = f"deployments/name/{quote(flow, safe='')}/{quote(name, safe='')}"
            self._deployments[deployment] = str(self.call("GET", path).json()["id"])
        return self._deployments[deployment]

    def create_run(self, deployment: str, run: NewRun) -> tuple[RunState, bool]:
        """Create a run of a deployment, or find the one that has its key; True if it is new."""
        answer = self.call("POST", f"deployments/{self.deployment_id(deployment)}/create_flow_run", run.body())
        return _run_state(answer.json()), answer.status_code == httpx.codes.CREATED

    def create_runs(self, deployment: str, runs: Sequence[NewRun]) -> list[str]:
        """Create runs of a deployment, or find those that have their keys, 100 in a call; their ids in order.

        Where the server's database was taken by another writer it makes none of a call: once more then, and what is
        left one by one. Raises PrefectAway, PrefectRefused.
        """
        path = f"deployments/{self.deployment_id(deployment)}/create_flow_run/bulk"
        made: dict[int, str] = {}
        for _ in range(2):
            left = [place for place in range(len(runs)) if place not in made]
            for start in range(0, len(left), RUNS_A_CALL):
                batch = left[start : start + RUNS_A_CALL]
                body = [runs[place].body() for place in batch]
                answer = self.call("POST", path, body, allow=(404, 405))
                if not answer.is_success:
                    break  # a server from before runs could be made together
                results = answer.json()["results"]
                answers = zip(batch, results, strict=True)
                made.update({place: str(one["flow_run_id"]) for place, one in answers if one["status"] == "CREATED"})
        return [
            made[place] if place in made else self.create_run(deployment, run)[0].flow_run_id
            for place, run in enumerate(runs)
        ]

    def start_run(self, deployment: str, *, name: str | None = None) -> str:
        """Schedule a run of a deployment for now and return its id."""
        body: dict[str, Any] = {"state": {"type": "SCHEDULED", "message": "asked for by an operator"}}
        if name is not None:
            body["name"] = name
        return str(self.post(f"deployments/{self.deployment_id(deployment)}/create_flow_run", body)["id"])

    def read_run(self, flow_run_id: str) -> RunState | None:
        """Where a run stands, None if the server has no such run."""
        run = self.find(f"flow_runs/{flow_run_id}")
        return None if run is None else _run_state(run)

    def read_runs(self, flow_run_ids: Sequence[str]) -> list[RunState]:
        """Where these runs stand, at most 200; those that the server does not have are left out."""
        wanted = {"flow_runs": {"id": {"any_": list(flow_run_ids)}}, "limit": 200}
        return [_run_state(run) for run in self.post("flow_runs/filter", wanted)] if flow_run_ids else []

    def set_state(self, flow_run_id: str, state: Mapping[str, Any]) -> StateChange:
        """Propose a state under the server's rules."""
        return _state_change(self.call("POST", f"flow_runs/{flow_run_id}/set_state", {"state": dict(state)}))

    def resume(self, flow_run_id: str, run_input: Mapping[str, Any]) -> StateChange:
        """Resume a suspended run with a filled form, as the UI does; the server checks it against the form's schema."""
        return _state_change(self.call("POST", f"flow_runs/{flow_run_id}/resume", {"run_input": dict(run_input)}))

    def write_input(self, flow_run_id: str, key: str, value: str) -> bool:
        """Store an input of a run; False if it has one under this key already, which stays as it is."""
        answer = self.call("POST", f"flow_runs/{flow_run_id}/input", {"key": key, "value": value}, allow=(409,))
        return answer.status_code != httpx.codes.CONFLICT

    def read_input(self, flow_run_id: str, key: str) -> str | None:
        """The text of an input of a run, None if there is none."""
        answer = self.call("GET", f"flow_runs/{flow_run_id}/input/{key}", allow=(404,))
        return None if answer.status_code == httpx.codes.NOT_FOUND else answer.text

    def list_inputs(self, flow_run_id: str, limit: int = 50) -> dict[str, tuple[str, datetime]]:
        """Text and time of writing, by the server's clock, of a run's inputs by key, the oldest first."""
        found = self.post(f"flow_runs/{flow_run_id}/input/filter", {"prefix": "", "limit": limit})
        return {row["key"]: (row["value"], datetime.fromisoformat(row["created"])) for row in found}

    def state_history(self, flow_run_id: str) -> list[Mapping[str, Any]]:
        """Every state that a run has had, oldest first, as the server has them."""
        states: list[Mapping[str, Any]] = self.call("GET", f"flow_run_states/?flow_run_id={flow_run_id}").json()
        return sorted(states, key=lambda state: str(state["timestamp"]))

    def delete_input(self, flow_run_id: str, key: str) -> bool:
        """Remove an input of a run; False if there was none."""
        answer = self.call("DELETE", f"flow_runs/{flow_run_id}/input/{key}", allow=(404,))
        return answer.status_code != httpx.codes.NOT_FOUND

    def find(self, path: str) -> Any:
        """What the server has at `path`, as JSON; None if there is nothing."""
        answer = self.call("GET", path, allow=(404,))
        return None if answer.status_code == httpx.codes.NOT_FOUND else answer.json()

    def post(self, path: str, body: Body) -> Any:
        """Send `body` to `path` and return the answer, as JSON; for calls that may be sent twice."""
        answer = self.call("POST", path, body)
        return answer.json() if answer.content else None

    def call(self, method: str, path: str, body: Body | None = None, *, allow: Sequence[int] = ()) -> httpx.Response:
        """One API call, tried again while the server is away or too busy.

        Every call here may be sent twice: creation has a key, inputs are unique, states have rules. `allow` are the
        error statuses that the caller understands. Raises PrefectAway, PrefectRefused.
        """
        url, last = f"{self.url}/{path.removeprefix('/')}", "not tried"
        for attempt in range(self._attempts):
            if attempt:
                longest = min(FIRST_WAIT_S * 2 ** (attempt - 1), LONGEST_WAIT_S)
                self._wait(longest * random.uniform(0.5, 1.0))  # noqa: S311 - spreads retries, keeps no secret
            if self._on_call is not None:
                self._on_call(method, path)
            try:
                answer = self._client.request(method, url, json=body)
            except httpx.TransportError as error:
                last = f"{type(error).__name__}: {error}"
                continue
            if answer.is_success or answer.status_code in allow:
                return answer
            found = answer.text[:_TEXT_LIMIT]
            if answer.status_code not in RETRIED_STATUSES:
                raise PrefectRefused(f"{method} {url}: HTTP {answer.status_code}: {found}", answer.status_code)
            last = f"HTTP {answer.status_code}: {found}"
        raise PrefectAway(f"{method} {url}: no answer in {self._attempts} attempts (last: {last}); is the server up?")


def _run_state(run: Mapping[str, Any]) -> RunState:
    state = run.get("state") or {}
    return RunState(
        flow_run_id=str(run["id"]),
        type=str(state.get("type", NO_STATE)),
        name=str(state.get("name", "none")),
        message=state.get("message"),
        since=datetime.fromisoformat(state["timestamp"]) if state.get("timestamp") else None,
        inputs=(state.get("state_details") or {}).get("run_input_keyset"),
        deployment_id=run.get("deployment_id"),
    )


def _state_change(answer: httpx.Response) -> StateChange:
    body = answer.json()  # a refusal is HTTP 200 too: only `status` tells
    if body["status"] == "ACCEPT":
        return StateChange(accepted=True, reason=None)
    return StateChange(accepted=False, reason=str((body.get("details") or {}).get("reason") or body["status"]))


def _is_uuid(text: str) -> bool:
    try:
        UUID(text)
    except ValueError:
        return False
    return True
