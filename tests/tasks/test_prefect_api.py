"""The connection to Prefect: what is tried again and for how long, what is given up at once, what is counted."""

from __future__ import annotations

import json
import pickle
import socket
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING, Any
from uuid import uuid4

import pytest

from tasks.errors import PrefectAway, PrefectRefused, ReviewRunLost
from tasks.prefect_api import PrefectApi, RunState, StateChange

if TYPE_CHECKING:
    from tests.conftest import PrefectServer

RUN = str(uuid4())
FOUND = {"id": RUN, "state": {"type": "PAUSED", "name": "Suspended"}}
LOCKED = (503, {"detail": "(sqlite3.OperationalError) database is locked"})
Script = list[tuple[int, Any]]


@contextmanager
def scripted_server(script: Script) -> Iterator[tuple[str, list[tuple[str, str, dict[str, str]]]]]:
    """A real HTTP server that gives these answers in this order; status 0 hangs up instead."""
    seen: list[tuple[str, str, dict[str, str]]] = []

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def answer(self) -> None:
            self.rfile.read(int(self.headers.get("Content-Length") or 0))
            seen.append((self.command, self.path, dict(self.headers.items())))
            status, body = script.pop(0)
            if status == 0:
                self.close_connection = True
                return
            content = json.dumps(body).encode()
            self.send_response(status)
            self.send_header("Content-Length", str(len(content)))
            self.end_headers()
            self.wfile.write(content)

        do_GET = do_POST = do_DELETE = answer

        def log_message(self, format: str, *args: Any) -> None:  # noqa: A002 - the name is the base class's
            return

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_address[1]}/api", seen
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


@pytest.mark.parametrize(
    "hindrances", [[LOCKED], [LOCKED] * 5, [(500, "locked")], [(429, "slow down")], [(0, None)], [(0, None), LOCKED]]
)
def test_what_passes_is_waited_for(hindrances: Script) -> None:
    """A locked database, a busy server and a lost connection are tried again, each time after a longer wait."""
    waits: list[float] = []
    calls: list[tuple[str, str]] = []
    with (
        scripted_server([*hindrances, (200, FOUND)]) as (url, seen),
        PrefectApi(url, wait=waits.append, on_call=lambda method, path: calls.append((method, path))) as api,
    ):
        assert api.read_run(RUN) == RunState(RUN, "PAUSED", "Suspended")
    assert [(method, path) for method, path, _ in seen] == [("GET", f"/api/flow_runs/{RUN}")] * (len(hindrances) + 1)
    assert calls == [("GET", f"flow_runs/{RUN}")] * (len(hindrances) + 1)
    longest = [0.1, 0.2, 0.4, 0.8, 1.6, 2.0, 2.0][: len(hindrances)]
    assert len(waits) == len(longest)
    assert all(limit / 2 <= wait <= limit for wait, limit in zip(waits, longest, strict=True))


def test_patience_ends() -> None:
    """After the last attempt the error says what was asked, how often, and what came back."""
    waits: list[float] = []
    with (
        scripted_server([LOCKED] * 3) as (url, _),
        PrefectApi(url, attempts=3, wait=waits.append) as api,
        pytest.raises(PrefectAway) as away,
    ):
        api.read_run(RUN)
    assert str(away.value) == (
        f"GET {url}/flow_runs/{RUN}: no answer in 3 attempts (last: HTTP 503: "
        '{"detail": "(sqlite3.OperationalError) database is locked"}); is the server up?'
    )
    assert len(waits) == 2


def test_a_dead_server_is_away() -> None:
    """Nobody listens: the error is transient and names the address."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        unused_port = probe.getsockname()[1]
    with (
        PrefectApi(f"http://127.0.0.1:{unused_port}/api", attempts=2, wait=lambda _: None) as api,
        pytest.raises(PrefectAway, match=rf"GET http://127\.0\.0\.1:{unused_port}/api/flow_runs/.*ConnectError"),
    ):
        api.read_run(RUN)


@pytest.mark.parametrize("status", [400, 401, 404, 405, 409, 422])
def test_a_refusal_is_not_tried_again(status: int) -> None:
    """What the same call will meet again is raised at once, with its status."""
    with (
        scripted_server([(status, {"detail": "no"})]) as (url, seen),
        PrefectApi(url) as api,
        pytest.raises(PrefectRefused) as refused,
    ):
        api.post("deployments/", {"name": "x"})
    assert (str(refused.value), refused.value.status) == (
        f'POST {url}/deployments/: HTTP {status}: {{"detail": "no"}}',
        status,
    )
    assert len(seen) == 1


def test_a_rejected_state_is_an_answer() -> None:
    """The server refuses a state with HTTP 200: only the status in the body tells."""
    details = {"type": "reject_details", "reason": "not that"}
    script = [(201, {"status": "ACCEPT"}), (200, {"status": "REJECT", "details": details}), (200, {"status": "ABORT"})]
    with scripted_server(script) as (url, _), PrefectApi(url) as api:
        changes = [api.set_state(RUN, {"type": "RUNNING"}) for _ in range(3)]
    assert changes == [StateChange(True, None), StateChange(False, "not that"), StateChange(False, "ABORT")]


def test_what_is_not_there_is_none() -> None:
    """A missing run, input or object is no error."""
    with scripted_server([(404, {})] * 4) as (url, _), PrefectApi(url) as api:
        assert api.read_run(RUN) is None
        assert api.read_input(RUN, "response") is None
        assert api.find("/work_pools/none") is None
        assert api.delete_input(RUN, "response") is False


def test_the_shared_password_is_sent() -> None:
    """A server behind its auth string gets it with every call; without one nothing is sent."""
    with scripted_server([(200, FOUND)] * 2) as (url, seen):
        with PrefectApi(url, auth_string="admin:pass") as api:
            api.read_run(RUN)
        with PrefectApi(url) as api:
            api.read_run(RUN)
    assert [headers.get("Authorization") for _, _, headers in seen] == ["Basic YWRtaW46cGFzcw==", None]


def test_a_deployment_is_looked_up_once() -> None:
    """The id behind `flow/deployment` is asked for once; an id needs no question."""
    deployment = str(uuid4())
    with scripted_server([(200, {"id": deployment})]) as (url, seen), PrefectApi(url) as api:
        assert [api.deployment_id("decide-review/a b") for _ in range(3)] == [deployment] * 3
        assert api.deployment_id(deployment) == deployment
    assert [path for _, path, _ in seen] == ["/api/deployments/name/decide-review/a%20b"]


@pytest.mark.parametrize(
    ("ui_url", "link"),
    [
        (None, "http://127.0.0.1:4200/v2/runs/flow-run/r1"),
        ("https://prefect.example/ui/", "https://prefect.example/ui/runs/flow-run/r1"),
    ],
)
def test_links_lead_people_to_the_run(ui_url: str | None, link: str) -> None:
    """The V2 UI of the same server, unless people reach the UI elsewhere."""
    with PrefectApi("http://127.0.0.1:4200/api/", ui_url=ui_url) as api:
        assert api.run_url("r1") == link


@pytest.mark.parametrize("make", [lambda: PrefectRefused("no", 409), lambda: ReviewRunLost("r1", "Crashed")])
def test_errors_survive_the_way_between_processes(make: Callable[[], Exception]) -> None:
    """Pickled and back, message and attributes are the same."""
    error = make()
    back = pickle.loads(pickle.dumps(error))  # noqa: S301 - our own bytes
    assert (type(back), str(back), vars(back)) == (type(error), str(error), vars(error))


def test_importing_the_connection_imports_nothing_heavy() -> None:
    """A resumed run begins with this import: Prefect, polars, SQLAlchemy and torch stay out."""
    heavy = ("prefect", "polars", "sqlalchemy", "torch")
    code = f"import sys, tasks.park_run; print([name for name in {heavy} if name in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


@pytest.mark.stack
def test_a_real_server_answers(prefect_server: PrefectServer) -> None:
    """Against Prefect itself: an unknown run is none, an unknown deployment is refused with 404."""
    with PrefectApi(prefect_server.api_url) as api:
        assert api.read_run(RUN) is None
        with pytest.raises(PrefectRefused) as refused:
            api.deployment_id("no-flow/no-deployment")
    assert refused.value.status == 404
