"""`signoff notices`: listing, sending, trying again and trying a person's channels, as docs/json.md says."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner, Result

from cli.main import app
from ledger.engine import Ledger
from ledger.errors import UnknownName
from ledger.notices import write_notices
from ledger.schema import upgrade_ledger
from tests.cli.test_json_contract import offences
from tests.ledger.approval_world import ApprovalWorld
from tests.mail_server import mail_server, webhook


@pytest.fixture
def world(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> ApprovalWorld:
    """A ledger with something to tell lea, kim and ole, since an hour."""
    monkeypatch.chdir(tmp_path)
    ledger = Ledger(f"sqlite:///{tmp_path / 'ledger.db'}")
    upgrade_ledger(ledger)
    made = ApprovalWorld(ledger)
    made.now = datetime.now(UTC) - timedelta(hours=1)
    with made.writing() as tx:
        write_notices(tx, "decided", "first", map(made.person, ("lea", "kim", "ole")), {"text": "words"})
    return made


def settings(folder: Path, *lines: str) -> None:
    """Write `signoff.toml`."""
    (folder / "signoff.toml").write_text("\n".join(['home = "."', *lines]), encoding="utf-8")


def run(*arguments: str) -> Result:
    """What a command does."""
    return CliRunner().invoke(app, ["notices", *arguments], catch_exceptions=False)


def read(*arguments: str, code: int = 0) -> Any:
    """The document that a command prints."""
    result = run(*arguments, "--json")
    assert result.exit_code == code, result.output
    return json.loads(result.stdout)


def test_what_is_printed_is_as_documented(world: ApprovalWorld, tmp_path: Path) -> None:
    """A plan, a sending, what is left, a retry, and a test, in one life of three notices."""
    with mail_server() as box, webhook() as hook:
        settings(
            tmp_path,
            *(
                "[notices]",
                "attempts = 1",
                "[notices.channels]",
                f'post = "{box.address()}"',
                f'room = "{hook.address()}"',
            ),
            *("[notices.people]", 'lea = ["post", "room"]', 'kim = ["room"]'),
        )
        plan = read("send", "--dry-run")
        wrong = offences("notices send --dry-run", plan)
        wrong += [one for row in plan["messages"] for one in offences("notices send --dry-run/messages", row)]
        assert plan == {
            "messages": [
                {"people": ["lea"], "channels": ["post", "room"], "notices": [1]},
                {"people": ["kim"], "channels": ["room"], "notices": [2]},
            ],
            "unreachable": ["ole"],
        }
        assert (box.letters, hook.calls) == ([], [])
        hook.status = 503
        done = read("send")
        wrong += offences("notices send", done)
        assert done == {
            "messages": 1, "sent": 1, "failed": 1, "given_up": 0, "unreachable": 1,
            "troubles": ["channel 'room': it refused: status 503"],
        }  # fmt: skip
        assert read("send")["given_up"] == 1
        rows = read("list", "--state", "all")
        wrong += [one for row in rows for one in offences("notices list", row)]
        told = {row["person"]: (row["state"], row["channel"], row["error"]) for row in rows}
        assert told == {
            "lea": ("sent", "mailto", None),
            "kim": ("given_up", None, "1 attempt failed: it refused: status 503"),
            "ole": ("waiting", None, None),
        }
        assert [row["person"] for row in read("list")] == sorted(("kim", "ole"), key=lambda one: world.person(one))
        hook.status = 200
        given_up = next(row["notice"] for row in rows if row["person"] == "kim")
        again = read("retry", str(given_up))
        wrong += offences("notices retry", again)
        assert again == {"notice": 4, "anew": True}
        with pytest.raises(UnknownName, match=f"notice {given_up} waits anew"):
            run("retry", str(given_up))
        assert read("retry", "4") == {"notice": 4, "anew": False}
        world.now = datetime.now(UTC)
        tried = read("test", "lea")
        wrong += [one for row in tried for one in offences("notices test", row)]
        assert tried == [
            {"channel": "post", "kind": "mailto", "taken": True, "reason": None},
            {"channel": "room", "kind": "json", "taken": True, "reason": None},
        ]
        assert read("test", "ole", code=1) == []
        assert (len(box.letters), len(hook.calls)) == (2, 2)
    assert wrong == []


def test_what_is_typed_wrongly(world: ApprovalWorld, tmp_path: Path) -> None:
    """States and people that there are not; what was sent is not sent again."""
    settings(tmp_path)
    assert run("list", "--state", "open").exit_code == 2
    with pytest.raises(UnknownName, match="there is no notice 77; `signoff notices list` shows those there are"):
        run("retry", "77")
    with pytest.raises(UnknownName, match="nobody in the roster has the handle 'zoe'"):
        run("test", "zoe")
    assert "No channel is set for kim, lea, ole." in run("send", "--dry-run").stdout
    assert "3 are for people without a channel" in run("send").stdout
    assert "decided" in run("list").stdout
    assert world.ask("SELECT count(*) FROM notices WHERE state = 'waiting'") == [(3,)]
