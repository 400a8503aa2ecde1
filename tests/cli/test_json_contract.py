"""docs/json.md is what commands print with --json: every table there is held against real output; so are exit codes."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
import time
from collections.abc import Mapping
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest

from ledger.submit import Refused, refuse
from tests.workplace import Workplace

pytestmark = pytest.mark.stack

ROOT = Path(__file__).parents[2]
SHOWN = "text/kept.txt"
SCHEDULED_WITHIN_S = 60.0


def documented() -> dict[str, dict[str, str]]:
    """`command` or `command/section` → key → type, as the tables of docs/json.md have them."""
    tables: dict[str, dict[str, str]] = {}
    command = name = ""
    for line in (ROOT / "docs" / "json.md").read_text(encoding="utf-8").splitlines():
        if line.startswith("## "):
            command = name = line[3:].removeprefix("signoff ")
        elif line.startswith("### "):
            name = f"{command}/{line[4:]}"
        elif row := re.fullmatch(r"\| (`.*?`) \| (.*?) \| .* \|", line):
            for key in re.findall(r"`(\w+)`", row[1]):
                known = tables["ls"][key] if row[2] == "as in ls" else row[2]
                tables.setdefault(name, {})[key] = known
    return tables


CONTRACT = documented()


def offences(table: str, found: Mapping[str, Any]) -> list[str]:
    """Where an object is not what its table says: keys, then types."""
    promised = CONTRACT[table]
    wrong = [f"{table}: {key} is not documented" for key in found.keys() - promised.keys()]
    wrong += [f"{table}: {key} is missing" for key in promised.keys() - found.keys()]
    wrong += [
        f"{table}: {key} is {found[key]!r}, promised is {promised[key]}"
        for key in promised.keys() & found.keys()
        if not fits(found[key], promised[key])
    ]
    return wrong


def fits(value: Any, promised: str) -> bool:
    """Whether a JSON value is of a type of docs/json.md."""
    kind, _, optional = promised.partition(" or ")
    if value is None:
        return optional == "null" or kind == "any"
    if kind == "instant":
        return isinstance(value, str) and value.endswith("Z") and datetime.fromisoformat(value).tzinfo is not None
    if kind.startswith("list of "):
        inner = kind.removeprefix("list of ").removesuffix("s")
        return isinstance(value, list) and all(fits(one, inner) for one in value)
    if kind in ("integer", "number", "boolean") and isinstance(value, bool):
        return kind == "boolean"
    types = {"text": str, "integer": int, "number": int | float, "object": dict, "any": object}
    return isinstance(value, types[kind])


def read(workplace: Workplace, *command: str) -> Any:
    """The document that a command prints; it goes well and says nothing else."""
    said = workplace.say(*command, "--json")
    assert (said.code, said.err) == (0, "")
    return json.loads(said.out)


def test_listings_and_stories_are_as_documented(workplace: Workplace) -> None:
    """`ingest --dry-run`, `ls`, `reviews` and `show` of a ledger in which everything has happened once."""
    workplace.put(SHOWN, "The first words of a text that is kept and replaced.")
    workplace.put("text/dropped.txt", "The words of a text that nobody will want to keep.")
    plan = read(workplace, "ingest", "--dry-run")
    wrong = offences("ingest --dry-run", plan)
    wrong += [one for row in plan["objects"] for one in offences("ingest --dry-run/objects", row)]
    assert [row["key"] for row in plan["objects"]] == ["text/dropped.txt", SHOWN]
    workplace.ingest()
    workplace.decide(workplace.reviews()[0], exceptions={"dropped": "reject"})
    workplace.put(SHOWN, "The second words of a text that is kept and replaced.")
    workplace.ingest()
    listed, versions, reviews = read(workplace, "ls"), read(workplace, "ls", "--versions"), read(workplace, "reviews")
    assert (len(listed), len(versions), len(reviews)) == (2, 3, 1)
    wrong += [one for row in listed + versions for one in offences("ls", row)]
    wrong += [one for row in reviews for one in offences("reviews", row)]
    with workplace.resources.ledger.writing(workplace.resources.origin("system:test")) as tx:
        refuse(tx, [Refused(workplace.buckets.intake, "bad/key", "e", 1, tx.origin.at, "its key cannot be listed")])
    refused = read(workplace, "ls", "--refused")
    assert [row["key"] for row in refused] == ["bad/key"]
    wrong += [one for row in refused for one in offences("ls --refused", row)]
    told = read(workplace, "show", SHOWN)
    wrong += offences("show", told)
    sections = [name for name, kind in CONTRACT["show"].items() if kind == "list of objects"]
    assert {name for name in sections if not told[name]} == {"verdicts"}, "models are off here: only names are held"
    columns = {name for (name,) in workplace.rows("SELECT name FROM pragma_table_info('verdicts')")}
    assert columns | {"version"} == CONTRACT["show/verdicts"].keys()
    wrong += [one for row in told["versions"] for one in offences("ls", _without_id(row))]
    for name in set(sections) - {"versions"}:
        wrong += [one for row in told[name] for one in offences(f"show/{name}", row)]
    assert wrong == []


def test_status_and_config_are_as_documented(workplace: Workplace) -> None:
    """Every key of the stack's status and of the settings, and no secret among them."""
    said = workplace.stack.say("status", "--json")
    found = json.loads(said.out)
    assert said.code == 0
    wrong = offences("status", found) + [
        one for row in found["components"] for one in offences("status/components", row)
    ]
    settings = read(workplace, "config")
    wrong += [one for row in settings.values() for one in offences("config", row)]
    assert wrong == []
    service = workplace.stack.settings.s3.service
    assert service is not None
    assert service.secret_key.get_secret_value() not in json.dumps(settings)


def test_a_decision_is_reported_as_documented(workplace: Workplace) -> None:
    """`signoff decide` waits for the run that it resumed, and says what came of each asset."""
    workplace.put(SHOWN, "The first words of a text that is kept and replaced.")
    workplace.ingest()
    (row,) = workplace.reviews()
    arguments = ["decide", str(row["review"]), "approve", "--as", "mei", "--json", "--config", str(workplace.config)]
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    with subprocess.Popen(
        [sys.executable, "-m", "cli.main", *arguments],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        env=environment,
        text=True,
    ) as process:
        _await_resumed(workplace, row["flow_run_id"])
        workplace.go_on(row["flow_run_id"])
        out, err = process.communicate()
    assert (process.returncode, err) == (0, "")
    found = json.loads(out)
    assert offences("decide", found) == []
    assert [one for asset in found["assets"] for one in offences("decide/assets", asset)] == []
    assert found == {
        "review": row["review"],
        "round": 1,
        "closed": True,
        "again": None,
        "counted": 1,
        "opinions": 0,
        "refused": [],
        "assets": [{"position": 1, "key": SHOWN, "outcome": "passed", "state": found["assets"][0]["state"]}],
    }


def test_exit_codes(workplace: Workplace) -> None:
    """0 done, 1 failed with one message and no traceback, 2 typed wrongly; nothing is printed on the wrong stream."""
    expected = {
        ("ls",): 0,
        ("show", "no/such.txt"): 1,
        ("decide", "4711", "approve", "--as", "lea"): 1,
        ("ls", "--state", "publisht"): 2,
        ("decide", "1", "perhaps", "--as", "lea"): 2,
        ("reviews", "--nonsense"): 2,
    }
    said = {command: workplace.say(*command) for command in expected}
    assert {command: answer.code for command, answer in said.items()} == expected
    for command, answer in said.items():
        if expected[command]:
            assert (answer.out, "Traceback" in answer.err) == ("", False)
            assert answer.err
    assert said["show", "no/such.txt"].err.startswith("error: no asset has the key 'no/such.txt'; `signoff ls")


def _without_id(row: Mapping[str, Any]) -> dict[str, Any]:
    assert isinstance(row["version_id"], int)
    return {name: value for name, value in row.items() if name != "version_id"}


def _await_resumed(workplace: Workplace, flow_run_id: str) -> None:
    deadline = time.monotonic() + SCHEDULED_WITHIN_S
    while (run := workplace.stack.api.read_run(flow_run_id)) is None or run.type != "SCHEDULED":
        assert time.monotonic() < deadline, "the command did not resume the run"
        time.sleep(0.1)  # between two looks at the run


def test_a_check_up_is_as_documented(workplace: Workplace) -> None:
    """`doctor` finds at least that no worker serves these tests."""
    said = workplace.say("doctor", "--json")
    found = json.loads(said.out)
    assert (said.code, said.err, found["healthy"]) == (1, "", False)
    assert found["sweeps"]
    wrong = offences("doctor", found)
    wrong += [one for row in found["findings"] for one in offences("doctor/findings", row)]
    wrong += [one for row in found["sweeps"] for one in offences("doctor/sweeps", row)]
    assert wrong == []
