"""A port that somebody else takes between its choice and its use."""

from __future__ import annotations

from pathlib import Path

import pytest

from cli.errors import ComponentFailed
from cli.stack import stack as stack_module
from cli.stack.components import Part
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
