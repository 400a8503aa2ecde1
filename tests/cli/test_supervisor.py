"""The supervisor against real processes: stale records, early deaths, deaf descendants, lost files; and the ports."""

from __future__ import annotations

import json
import os
import socket
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path

import psutil
import pytest

from cli.errors import ComponentFailed, PortsExhausted, StackBusy
from cli.stack import ports as ports_module
from cli.stack.components import LOOPBACK, Component, Part
from cli.stack.ports import GRPC_DISTANCE, PREFERRED, choose_ports, port_is_free
from cli.stack.state_file import exclusive, remembered_ports, write_stack_file
from cli.stack.supervisor import Supervisor
from tasks.settings import load_settings

DEAF_FAMILY = """
import pathlib, signal, subprocess, sys, time
child = "from signal import *; signal(SIGTERM, SIG_IGN); print('child', flush=True); import time; time.sleep(300)"
subprocess.Popen([sys.executable, "-c", child], start_new_session=True)
pathlib.Path("up").touch()
time.sleep(300)
"""


@pytest.fixture
def supervisor(tmp_path: Path) -> Iterator[Supervisor]:
    """A supervisor of an empty home; whatever it started is ended."""
    owner = Supervisor(tmp_path)
    yield owner
    for part in Part:
        owner.stop(part, 0.2)


def component(home: Path, program: str, *, ready: Callable[[], bool], ready_within_s: float = 20) -> Component:
    """A part that runs a Python program in the folder `home`."""
    argv = (sys.executable, "-c", program)
    return Component(Part.WORKER, argv, os.environ, home, ready, ready_within_s=ready_within_s, stop_within_s=0.5)


def test_a_part_starts_and_stops(tmp_path: Path, supervisor: Supervisor) -> None:
    """A part is awaited by its own condition, leads its own session, is found by another command, and ends."""
    part = component(tmp_path, DEAF_FAMILY, ready=(tmp_path / "up").exists)
    supervisor.start(part)
    supervisor.await_ready(part)
    seen_by_another = Supervisor(tmp_path).running_pid(Part.WORKER)
    assert seen_by_another is not None
    assert os.getsid(seen_by_another) == seen_by_another
    state, _ = supervisor.states([Part.WORKER, Part.OBJECT_STORE])
    assert (state.name, state.pid, state.state) == ("worker", seen_by_another, "running")
    assert supervisor.stop(Part.WORKER, 0.5) is True
    assert supervisor.running_pid(Part.WORKER) is None
    assert supervisor.stop(Part.WORKER, 0.5) is False


def test_descendants_that_ignore_the_signal_are_killed(tmp_path: Path, supervisor: Supervisor) -> None:
    """A grandchild in a session of its own that ignores TERM does not survive `stop`."""
    part = component(tmp_path, DEAF_FAMILY, ready=lambda: "child" in supervisor.log_of(Part.WORKER).read_text())
    supervisor.start(part)
    supervisor.await_ready(part)
    family = supervisor.leftovers()
    assert len(family) == 2
    supervisor.stop(Part.WORKER, 0.5)
    assert [pid for pid in family if psutil.pid_exists(pid) and psutil.Process(pid).status() != "zombie"] == []
    assert supervisor.leftovers() == []


def test_an_early_death_is_told_with_its_log(tmp_path: Path, supervisor: Supervisor) -> None:
    """A part that dies while it starts is an error with the name of its log and the last lines of it."""
    part = component(tmp_path, "raise SystemExit('the disk is full')", ready=lambda: False)
    supervisor.start(part)
    with pytest.raises(ComponentFailed, match=r"worker ended while it was starting\. .*worker\.log") as failure:
        supervisor.await_ready(part)
    assert "| the disk is full" in str(failure.value)


def test_a_part_that_never_serves_is_told_with_its_log(tmp_path: Path, supervisor: Supervisor) -> None:
    """A part that lives but is not ready by its deadline is an error too."""
    part = component(tmp_path, "import time; time.sleep(300)", ready=lambda: False, ready_within_s=0.3)
    supervisor.start(part)
    with pytest.raises(ComponentFailed, match=r"worker was not ready after 0\.3 s"):
        supervisor.await_ready(part)


def test_a_reused_process_id_is_not_mistaken(tmp_path: Path, supervisor: Supervisor) -> None:
    """A record whose id now belongs to another process means: stopped. That process is left alone."""
    record = tmp_path / "run" / "worker.json"
    record.parent.mkdir()
    record.write_text(json.dumps({"pid": os.getpid(), "created_at_s": 1.0}), encoding="utf-8")
    assert supervisor.running_pid(Part.WORKER) is None
    assert supervisor.stop(Part.WORKER, 0.5) is False


@pytest.mark.parametrize("damage", ["", "{", '{"pid": "x"}', None])
def test_a_lost_record_loses_no_process(tmp_path: Path, supervisor: Supervisor, damage: str | None) -> None:
    """A part whose record was cut off or removed is still stopped, by the mark in its environment."""
    part = component(tmp_path, DEAF_FAMILY, ready=(tmp_path / "up").exists)
    supervisor.start(part)
    supervisor.await_ready(part)
    record = tmp_path / "run" / "worker.json"
    record.unlink() if damage is None else record.write_text(damage, encoding="utf-8")
    assert Supervisor(tmp_path).stop(Part.WORKER, 0.5) is True
    assert supervisor.leftovers() == []


def test_a_start_ends_what_a_former_start_left(tmp_path: Path, supervisor: Supervisor) -> None:
    """Two processes never share a folder: starting a part whose record was lost replaces the old process."""
    part = component(tmp_path, "import time; time.sleep(300)", ready=lambda: True)
    supervisor.start(part)
    first = supervisor.running_pid(Part.WORKER)
    (tmp_path / "run" / "worker.json").unlink()
    supervisor.start(part)
    assert supervisor.leftovers() == [supervisor.running_pid(Part.WORKER)]
    assert supervisor.running_pid(Part.WORKER) != first


def test_one_command_at_a_time(tmp_path: Path) -> None:
    """While one command holds the stack, another is refused; afterwards it is let in."""
    with exclusive(tmp_path), pytest.raises(StackBusy, match="right now"), exclusive(tmp_path):
        pass
    with exclusive(tmp_path):
        pass


def test_ports_remembered_preferred_or_free() -> None:
    """A remembered port is kept while it is free; a taken one, or one whose twin is taken, is replaced."""
    with closing(socket.socket()) as listener:
        listener.bind((LOOPBACK, 0))
        listener.listen()
        taken = listener.getsockname()[1]
        assert not port_is_free(taken)
        chosen = choose_ports(["prefect"], {"prefect": taken})
        assert chosen["prefect"] != taken
        assert port_is_free(chosen["prefect"])
        assert choose_ports(["prefect"], chosen) == chosen
        if taken > GRPC_DISTANCE + 1024:
            assert choose_ports(["s3"], {"s3": taken - GRPC_DISTANCE})["s3"] != taken - GRPC_DISTANCE
    four = choose_ports(["master", "volume", "filer", "s3"], dict.fromkeys(PREFERRED, 12_345))
    assert len({*four.values(), *(port + GRPC_DISTANCE for port in four.values())}) == 8


def test_no_free_port_is_an_error(monkeypatch: pytest.MonkeyPatch) -> None:
    """When everything is taken the message says where was looked."""
    monkeypatch.setattr(ports_module, "port_is_free", {}.get)  # None: not free
    with pytest.raises(PortsExhausted, match=r"for s3 after 400 attempts between 12000 and 32000"):
        choose_ports(["s3"], {})


def test_the_stack_file_is_private_and_keeps_its_credentials(tmp_path: Path) -> None:
    """Credentials are made once, differ, stay over restarts, and only the owner can read them; settings find them."""
    first = write_stack_file(tmp_path, {"s3": 8333, "prefect": 4200})
    again = write_stack_file(tmp_path, {"s3": 8444, "prefect": 4200})
    assert (tmp_path / "stack.json").stat().st_mode & 0o777 == 0o600
    assert remembered_ports(tmp_path) == {"s3": 8444, "prefect": 4200}
    names = ("service", "source", "consumer")
    assert [first["s3"][name] for name in names] == [again["s3"][name] for name in names]
    assert len({first["s3"][name]["secret_key"] for name in names}) == 3
    settings = load_settings(overrides={"home": tmp_path})
    assert settings.s3_endpoint == "http://127.0.0.1:8444"
    assert settings.prefect_api == "http://127.0.0.1:4200/api"
    assert settings.s3.consumer is not None
    assert settings.s3.consumer.secret_key.get_secret_value() == first["s3"]["consumer"]["secret_key"]


def test_marks_survive_a_step_of_the_clock(tmp_path: Path, supervisor: Supervisor) -> None:
    """A record whose time of creation no longer fits, because the clock was set, still names our own process."""
    part = component(tmp_path, "import time; time.sleep(300)", ready=lambda: True)
    supervisor.start(part)
    path = tmp_path / "run" / "worker.json"
    record = json.loads(path.read_text())
    path.write_text(json.dumps(record | {"created_at_s": time.time() - 7200}))
    assert supervisor.running_pid(Part.WORKER) == record["pid"]
