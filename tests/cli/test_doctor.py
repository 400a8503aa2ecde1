"""`signoff doctor` on real parts: what is lost or strange is named, and what is safe to repair is repaired."""

from __future__ import annotations

import json
from typing import Any

import pytest

from tasks.park_reviews import DEPLOYMENT
from tasks.park_run import DESCRIPTION, KEYSET, SCHEMA
from tasks.prefect_api import PrefectApi
from tests.conftest import PrefectServer
from tests.running_stack import settings_of
from tests.workplace import Workplace

pytestmark = pytest.mark.stack

KEY = "text/slogan.txt"


def ask(workplace: Workplace, api_url: str, *options: str) -> tuple[int, Any]:
    """Exit code and document of a check-up under another Prefect server."""
    with settings_of(workplace.config, PREFECT__API_URL=api_url):
        said = workplace.say("doctor", "--json", *options)
    assert said.err == ""
    return said.code, json.loads(said.out)


def parts(document: Any) -> list[str]:
    """Where something was found, without what every test lacks: a worker."""
    return [one["part"] for one in document["findings"] if one["part"] != "worker"]


def test_prefect_lost_its_database(workplace: Workplace, prefect_server: PrefectServer) -> None:
    """An empty server: deployments and runs are gone. `--fix` brings back all of it from the ledger, and no more."""
    workplace.put(KEY, "The words of this slogan are plain and waiting.")
    workplace.put("text/held.jpg", "No picture at all, whatever its name may say of it.")
    workplace.ingest()
    before = workplace.reviews()
    code, found = ask(workplace, prefect_server.api_url)
    assert (code, found["healthy"], sorted(set(parts(found)))) == (1, False, ["prefect", "reviews"])
    assert any("deployments are missing: ingest-assets/signoff" in one["what"] for one in found["findings"])
    assert any(one["what"].startswith("2 reviews have no run that waits: ") for one in found["findings"])
    assert {row["ended_at"] for row in found["sweeps"]} == {None}
    assert workplace.reviews() == before, "a check-up changes nothing"

    code, fixed = ask(workplace, prefect_server.api_url, "--fix")
    assert (code, parts(fixed)) == (1, []), fixed
    assert "2 reviews had lost their run, 2 parked" in fixed["done"]
    with PrefectApi(prefect_server.api_url) as api:
        after = workplace.reviews()
        assert [(row["review"], row["round"]) for row in after] == [(row["review"], 2) for row in before]
        assert {one.type for one in api.read_runs([row["flow_run_id"] for row in after])} == {"PAUSED"}
        assert "was deleted in Prefect" in (api.read_input(after[0]["flow_run_id"], DESCRIPTION) or "")
        assert ask(workplace, prefect_server.api_url, "--fix")[1]["done"] == []
        _strange_runs_and_forms(workplace, api, after[0]["flow_run_id"])
        for run in api.post("flow_runs/filter", {"flow_runs": {"state": {"type": {"any_": ["PAUSED"]}}}}):
            api.call("DELETE", f"flow_runs/{run['id']}")
    _lost_again(workplace, [row["flow_run_id"] for row in before])


def _lost_again(workplace: Workplace, old: list[str]) -> None:
    """Back on the first server, which knows none of the new runs: a sweep alone does it; nothing was ever decided."""
    ((told,),) = workplace.rows("SELECT count(*) FROM events WHERE action = 'lose_run'")
    workplace.enforce()
    api = workplace.stack.api
    assert {one.type for one in api.read_runs(old)} == {"CANCELLED"}
    assert {one.type for one in api.read_runs([row["flow_run_id"] for row in workplace.reviews()])} == {"PAUSED"}
    assert workplace.rows("SELECT count(*) FROM events WHERE action = 'lose_run'") == [(told + 2,)]
    assert workplace.rows("SELECT count(*) FROM decisions") == [(0,)]
    assert workplace.library() == {}


def _strange_runs_and_forms(workplace: Workplace, api: PrefectApi, run: str) -> None:
    """An exchanged form, a run like ours that no round knows, and one of somebody else."""
    key = api.find(f"flow_runs/{run}")["idempotency_key"]
    ours, strange = (_suspend(api, one) for one in (key.replace("-round-2", "-round-9"), "somebody-elses"))
    api.delete_input(run, SCHEMA)
    api.write_input(run, SCHEMA, '{"type": "object"}')
    code, found = ask(workplace, api.url)
    told = [one["what"] for one in found["findings"] if one["part"] == "reviews"]
    review = workplace.reviews()[0]["review"]
    assert told == [
        f"the forms of reviews {review} are not those that they were given",
        f"1 runs wait for an answer that no review wants: {ours}",
        f"1 runs of decide-review wait for reviews that this ledger does not know: {strange}",
    ]
    code, fixed = ask(workplace, api.url, "--fix")
    assert code == 1
    assert [one["what"] for one in fixed["findings"] if one["part"] == "reviews"] == told[2:]
    assert [one.type for one in api.read_runs([ours])] == ["CANCELLED"]
    assert [one.type for one in api.read_runs([strange])] == ["PAUSED"]
    assert workplace.reviews()[0]["flow_run_id"] != run


def _suspend(api: PrefectApi, key: str) -> str:
    details = {"run_input_keyset": KEYSET, "pause_key": key, "pause_reschedule": True}
    body = {"idempotency_key": key, "state": {"type": "PAUSED", "name": "Suspended", "state_details": details}}
    return str(api.post(f"deployments/{api.deployment_id(DEPLOYMENT)}/create_flow_run", body)["id"])


def test_what_is_wrong_in_ledger_and_store(workplace: Workplace, monkeypatch: pytest.MonkeyPatch) -> None:
    """A versioned library, an effect that nobody carries out, and a clock that was set: each is told."""
    workplace.put("notes/one.txt", "A note that a rule approves, as its rights are clear.")
    with monkeypatch.context() as patched:
        patched.setattr("flows.ingest_assets.carry_out", _nothing)
        workplace.ingest()
    library = workplace.buckets.library
    workplace.client.put_bucket_versioning(Bucket=library, VersioningConfiguration={"Status": "Enabled"})
    channels = json.dumps({"post": "mailto://u:p@mail.example?from=s@e.example", "room": "env:NOWHERE_TO_BE_FOUND"})
    with settings_of(workplace.config, CLOCK="+2h", NOTICES__CHANNELS=channels):
        found = json.loads(workplace.say("doctor", "--json").out)["findings"]
    told = [one["what"] for one in found if one["part"] in ("store", "ledger", "notices", "clock")]
    assert told == [
        "1 effects are open for more than an hour: notes/one.txt (nobody has tried to carry them out)",
        f"the bucket {library} is versioned: what is withdrawn stays readable",
        "channel 'room': the environment variable NOWHERE_TO_BE_FOUND is not set where flows run",
        "the setting clock is +2h",
    ]
    workplace.client.put_bucket_versioning(Bucket=library, VersioningConfiguration={"Status": "Suspended"})
    said = workplace.say("doctor")
    assert said.code == 1
    assert "no worker serves the work pool" in said.out


def _nothing(*_: object) -> object:
    from tasks.carry_out_effects import EffectsSummary

    return EffectsSummary()
