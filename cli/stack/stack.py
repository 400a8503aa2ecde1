"""The embedded stack as a whole: start what is not given, stop everything, say where it stands."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final

from cli.errors import LOG_TAIL_LINES, ComponentFailed, LeftRunning, last_lines
from cli.stack.components import Component, ComponentState, Part
from cli.stack.late import late_flows
from cli.stack.ledger import ready_ledger
from cli.stack.ports import choose_ports, one_start_at_a_time
from cli.stack.prefect_server import prefect_server, silence_ui
from cli.stack.recovery import drop_missed_runs, settle_lost_runs
from cli.stack.seal_key import ready_seal_key
from cli.stack.seaweedfs import PORTS, object_store, write_identities
from cli.stack.state_file import exclusive, make_private_folder, remembered_ports, write_stack_file
from cli.stack.supervisor import Supervisor
from cli.stack.worker import worker
from flows.deployments import register_deployments
from tasks.errors import PrefectAway
from tasks.prefect_api import PrefectApi
from tasks.settings import CONFIG_VARIABLE, DEFAULT, STACK_FILE, Settings, hide_password

_PORT_ATTEMPTS: Final = 3
_STOP_WITHIN_S: Final[Mapping[Part, float]] = {Part.WORKER: 10, Part.PREFECT_SERVER: 15, Part.OBJECT_STORE: 6}
"""The store closes its volumes within 2 s, then lingers for 15 s with nothing to do; no write is lost by a kill."""


@dataclass(frozen=True, slots=True)
class StackStatus:
    """Where the stack stands: addresses, buckets, files, and its embedded parts."""

    prefect_ui: str | None
    prefect_api: str | None
    s3_endpoint: str | None
    buckets: dict[str, str]
    ledger: str
    analytics: str
    components: list[ComponentState]
    late: list[str]

    @property
    def healthy(self) -> bool:
        """Whether every embedded part runs and no scheduled flow is late."""
        return not self.late and all(component.state == "running" for component in self.components)

    def to_json(self) -> dict[str, Any]:
        """Return the status as plain values."""
        return asdict(self)


def embedded_parts(settings: Settings) -> list[Part]:
    """Decide which parts are ours to run: those whose address nobody gave, and a worker unless it is switched off."""
    own = (DEFAULT, str(settings.home / STACK_FILE))
    parts = []
    if settings.origins["s3.endpoint"] in own:
        parts.append(Part.OBJECT_STORE)
    if settings.origins["prefect.api_url"] in own:
        parts.append(Part.PREFECT_SERVER)
    if settings.prefect.worker:
        parts.append(Part.WORKER)
    return parts


def start_stack(
    settings: Settings, config: Path | None, reload: Callable[[], Settings], report: Callable[[str], None]
) -> Settings:
    """Start every embedded part that does not run, prepare buckets and deployments, and return the settings to use.

    `config` is the settings file that the worker's runs shall read too; `reload` reads the settings again, once the
    stack's addresses are written; `report` is told each step. Raises `ComponentFailed`, `TaskError` or `StackBusy`.
    """
    make_private_folder(settings.home)
    with exclusive(settings.home):
        supervisor = Supervisor(settings.home)
        parts = embedded_parts(settings)
        started = _start_servers(settings, supervisor, parts, report)
        settings = reload()
        if Part.OBJECT_STORE in started or Part.OBJECT_STORE not in parts:
            from tasks.prepare_buckets import prepare_buckets

            created = prepare_buckets(settings.s3, embedded=Part.OBJECT_STORE in parts)
            report(f"buckets created: {', '.join(created)}" if created else "buckets are in place")
        ready_ledger(settings, report)
        ready_seal_key(settings, report)
        with _prefect(settings.prefect_api) as api:
            _prepare_prefect(settings, config, supervisor, parts, api, report)
    return settings


def stop_stack(home: Path) -> list[str]:
    """Stop the worker, the server, the store, and return the names of those that ran.

    Raises `LeftRunning` when any process of the stack is still there afterwards.
    """
    if not home.exists():
        return []
    with exclusive(home):
        supervisor = Supervisor(home)
        stopped = [part for part in reversed(Part) if supervisor.stop(part, _STOP_WITHIN_S[part])]
        if left := supervisor.leftovers():
            listed = ", ".join(map(str, left))
            raise LeftRunning(f"Processes of the stack in {home} are still there: {listed}; end them by hand")
    return [str(part) for part in stopped]


def stack_status(settings: Settings) -> StackStatus:
    """Say where the stack stands. Raises `PrefectAway` when a server that is not ours does not answer."""
    api_url = settings.prefect.api_url
    parts = embedded_parts(settings)
    states = Supervisor(settings.home).states(parts)
    late: list[str] = []
    if api_url and all(state.state == "running" for state in states if state.name == Part.PREFECT_SERVER):
        try:
            with _prefect(api_url, attempts=1) as api:
                late = late_flows(api, datetime.now(UTC))
        except PrefectAway:
            if Part.PREFECT_SERVER not in parts:
                raise
            states = [_unresponsive(state) if state.name == Part.PREFECT_SERVER else state for state in states]
    return StackStatus(
        prefect_ui=api_url.removesuffix("/api") if api_url else None,
        prefect_api=api_url,
        s3_endpoint=settings.s3.endpoint,
        buckets=settings.s3.buckets.model_dump(),
        ledger=hide_password(settings.database_url),
        analytics=str(settings.analytics_path),
        components=states,
        late=late,
    )


def _start_servers(
    settings: Settings, supervisor: Supervisor, parts: list[Part], report: Callable[[str], None]
) -> list[Part]:
    """Start what does not run and await it; returns the parts that were started.

    A port that somebody else takes between its choice and its use costs another try with other ports.
    """
    started: set[Part] = set()
    for attempt in range(_PORT_ATTEMPTS):
        try:
            with one_start_at_a_time(report):
                started |= _start_once(settings, supervisor, parts, report)
            break
        except ComponentFailed as failure:
            if attempt == _PORT_ATTEMPTS - 1 or not _lost_its_port(failure):
                raise
            report(f"a port of {failure.component} was taken by somebody else; choosing others")
    if Part.PREFECT_SERVER in parts:
        silence_ui(settings.home / "prefect")
    return [part for part in parts if part in started]


def _start_once(
    settings: Settings, supervisor: Supervisor, parts: list[Part], report: Callable[[str], None]
) -> set[Part]:
    ports = _ports(settings.home, supervisor, parts)
    document = write_stack_file(settings.home, ports)
    components: list[Component] = []
    if Part.OBJECT_STORE in parts:
        identities = settings.home / "s3.json"
        write_identities(identities, document["s3"], settings.s3.buckets)
        components.append(object_store(settings.home / "objects", identities, {name: ports[name] for name in PORTS}))
    if Part.PREFECT_SERVER in parts:
        components.append(prefect_server(settings.home / "prefect", ports["prefect"]))
    started = [component for component in components if supervisor.running_pid(component.part) is None]
    for component in started:
        report(f"starting {component.part}")
        supervisor.start(component)
    for component in components:
        supervisor.await_ready(component)
    return {component.part for component in started}


def _lost_its_port(failure: ComponentFailed) -> bool:
    return any("address already in use" in line for line in last_lines(failure.log, LOG_TAIL_LINES))


def _ports(home: Path, supervisor: Supervisor, parts: list[Part]) -> dict[str, int]:
    """Keep the ports of what runs; choose those of what is about to be started."""
    remembered = remembered_ports(home)
    ports: dict[str, int] = {}
    for part, names in ((Part.OBJECT_STORE, PORTS), (Part.PREFECT_SERVER, ("prefect",))):
        if part in parts:
            known = all(name in remembered for name in names) and supervisor.running_pid(part) is not None
            ports |= {name: remembered[name] for name in names} if known else choose_ports(names, remembered)
    return ports


def _prepare_prefect(
    settings: Settings,
    config: Path | None,
    supervisor: Supervisor,
    parts: list[Part],
    api: PrefectApi,
    report: Callable[[str], None],
) -> None:
    embedded = Part.PREFECT_SERVER in parts
    if changed := register_deployments(api, settings, run_environment(settings, config, embedded=embedded)):
        report(f"deployments registered: {', '.join(changed)}")
    if Part.WORKER not in parts or supervisor.running_pid(Part.WORKER) is not None:
        return
    now = datetime.now(UTC)  # Prefect's schedules follow the machine's clock, whatever the workflow's clock says
    if embedded:  # no other worker can be at work on this server
        drop_missed_runs(api, settings.prefect.work_pool, now)
        settle_lost_runs(api, settings.prefect.work_pool, now)
    component = worker(settings, config, api, now, embedded=embedded)
    report(f"starting {component.part}")
    supervisor.start(component)
    supervisor.await_ready(component)


def run_environment(settings: Settings, config: Path | None, *, embedded: bool) -> dict[str, str]:
    """What flow runs find in their environment; workers of an existing server have their own."""
    if not embedded:
        return {}
    return {"SIGNOFF_HOME": str(settings.home)} | ({CONFIG_VARIABLE: str(config)} if config is not None else {})


def _unresponsive(state: ComponentState) -> ComponentState:
    return replace(state, state="unresponsive")


def _prefect(url: str, *, attempts: int = 8) -> PrefectApi:
    return PrefectApi(url, auth_string=os.environ.get("PREFECT_API_AUTH_STRING"), attempts=attempts)
