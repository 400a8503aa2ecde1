"""A port that somebody else takes between its choice and its use."""

from __future__ import annotations

from pathlib import Path
from queue import Queue
from threading import Event, Thread

import pytest

from cli.errors import ComponentFailed
from cli.stack import stack as stack_module
from cli.stack.components import Part
from cli.stack.ports import one_start_at_a_time
from tasks.settings import load_settings

LOST = "filer.go:454 Filer listener error: listen tcp 127.0.0.1:8888: bind: address already in use"


class Starts:
    """Starting the parts, which fails as often as there are log lines left, each time with the next one."""

    def __init__(self, log: Path, *lines: str) -> None:
        self.log, self.lines, self.calls = log, list(lines), 0

    def __call__(self, *_: object) -> set[Part]:
        """Fail with the next line in the log, or start the store."""
        self.calls += 1
        if self.lines:
            self.log.write_text(self.lines.pop(0), encoding="utf-8")
            raise ComponentFailed("object-store", "ended while it was starting", self.log)
        return {Part.OBJECT_STORE}


def start(starts: Starts, home: Path, monkeypatch: pytest.MonkeyPatch) -> list[Part]:
    """Start the store by the loop under test."""
    monkeypatch.setattr(stack_module, "_start_once", starts)
    settings = load_settings(None, {"home": home})
    return stack_module._start_servers(settings, stack_module.Supervisor(home), [Part.OBJECT_STORE], lambda _: None)


def test_a_lost_port_costs_another_try(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Twice the port is gone; the third choice holds."""
    starts = Starts(tmp_path / "log", LOST, LOST)
    assert start(starts, tmp_path, monkeypatch) == [Part.OBJECT_STORE]
    assert starts.calls == 3


@pytest.mark.parametrize(("lines", "calls"), [((LOST, LOST, LOST), 3), (("disk full",), 1)], ids=["ever", "other"])
def test_tries_are_bounded_and_for_ports_only(
    lines: tuple[str, ...], calls: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Ports that are lost again and again, or any other failure, are told with the log."""
    starts = Starts(tmp_path / "log", *lines)
    with pytest.raises(ComponentFailed, match="ended while it was starting"):
        start(starts, tmp_path, monkeypatch)
    assert starts.calls == calls


def test_two_stacks_choose_their_ports_one_after_the_other() -> None:
    """While one starts, the other says what it waits for, and goes on when the first has its ports."""
    told: Queue[str] = Queue()
    inside = Event()

    def other() -> None:
        with one_start_at_a_time(told.put):
            inside.set()

    with one_start_at_a_time(told.put):
        thread = Thread(target=other)
        thread.start()
        assert told.get(timeout=10) == "another stack is being started; waiting for it"
        assert not inside.is_set()
    thread.join(timeout=10)
    assert inside.is_set()
    assert told.empty()
