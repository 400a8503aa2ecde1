"""Settings: precedence, origins, secrets and refusals; and the clocks that a setting names."""

from __future__ import annotations

import json
import pickle
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from pydantic import SecretStr

from tasks.clock import FrozenClock, OffsetClock, SystemClock, clock_from
from tasks.errors import ClockUnreadable, SettingsInvalid
from tasks.settings import Credentials, load_settings, public_values


@pytest.fixture(autouse=True)
def _empty_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    for name in ("SIGNOFF_HOME", "SIGNOFF_CONFIG", "SIGNOFF_CLOCK"):
        monkeypatch.delenv(name, raising=False)


def write_stack(home: Path) -> None:
    """Write what a running embedded stack leaves for others to read."""
    home.mkdir(parents=True, exist_ok=True)
    identity = {"access_key": "svc", "secret_key": "embedded-secret"}
    stack = {
        "s3": {"endpoint": "http://127.0.0.1:8333", "service": identity},
        "prefect": {"api_url": "http://127.0.0.1:4200/api"},
    }
    (home / "stack.json").write_text(json.dumps(stack), encoding="utf-8")


def test_defaults_are_absolute_and_embedded(tmp_path: Path) -> None:
    """Without any source the ledger is SQLite in an absolute home, and every origin is `default`."""
    settings = load_settings()
    assert settings.home == tmp_path / ".signoff"
    assert settings.database_url == f"sqlite:///{tmp_path}/.signoff/ledger.db"
    assert set(settings.origins.values()) == {"default"}


def test_precedence_and_origins(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Flags beat the environment, which beats the file, which beats the stack, which beats the defaults."""
    write_stack(tmp_path / "state")
    config = tmp_path / "signoff.toml"
    config.write_text(
        'home = "state"\nclock = "+1d"\n[ingest]\nprefix = "file/"\nshard_size = 10\nprocesses = 1\n', encoding="utf-8"
    )
    monkeypatch.setenv("SIGNOFF_INGEST__PREFIX", "environment/")
    monkeypatch.setenv("SIGNOFF_INGEST__SHARD_SIZE", "20")
    settings = load_settings(overrides={"ingest": {"prefix": "flag/"}, "clock": None})
    origins = settings.origins
    assert settings.ingest.prefix == "flag/"
    assert settings.ingest.shard_size == 20
    assert settings.ingest.processes == 1
    assert settings.clock == "+1d"
    assert settings.home == tmp_path / "state"
    assert settings.prefect.api_url == "http://127.0.0.1:4200/api"
    assert {name: origin for name, origin in origins.items() if origin != "default"} == {
        "home": str(config),
        "clock": str(config),
        "s3.endpoint": str(tmp_path / "state" / "stack.json"),
        "s3.service.access_key": str(tmp_path / "state" / "stack.json"),
        "s3.service.secret_key": str(tmp_path / "state" / "stack.json"),
        "prefect.api_url": str(tmp_path / "state" / "stack.json"),
        "ingest.prefix": "flag",
        "ingest.shard_size": "SIGNOFF_INGEST__SHARD_SIZE",
        "ingest.processes": str(config),
    }


def test_embedded_credentials_stay_with_the_embedded_endpoint(tmp_path: Path) -> None:
    """An endpoint that somebody else set never gets the embedded store's credentials."""
    write_stack(tmp_path / ".signoff")
    settings = load_settings(overrides={"s3.endpoint": "https://s3.example.test"})
    assert settings.s3.service is None
    assert settings.prefect.api_url == "http://127.0.0.1:4200/api"
    assert load_settings().s3.service == Credentials(access_key="svc", secret_key=SecretStr("embedded-secret"))


def test_secrets_are_never_shown(tmp_path: Path) -> None:
    """What is printed holds neither secret keys nor the passwords inside addresses."""
    write_stack(tmp_path / ".signoff")
    settings = load_settings(overrides={"database.url": "postgresql://signoff:hunter2@db/ledger"})
    shown = json.dumps(public_values(settings))
    assert "embedded-secret" not in shown
    assert "hunter2" not in shown
    assert public_values(settings)["database.url"] == "postgresql://signoff:***@db/ledger"
    assert settings.database_url == "postgresql://signoff:hunter2@db/ledger"


@pytest.mark.parametrize(
    ("overrides", "said"),
    [
        ({"s3.endpont": "x"}, "flag: s3.endpont: is no setting of Signoff (did you mean s3.endpoint?)"),
        ({"ingest.shard_size": 0}, "flag: ingest.shard_size: Input should be greater than or equal to 1 (found 0)"),
        ({"s3.service": "hunter2"}, "flag: s3.service: Input should be a valid dictionary or instance of Credentials"),
        ({"s3.service.access_key": "a"}, "flag: s3.service.secret_key: Field required"),
        (
            {"schedules.ingest_assets": "often"},
            "flag: schedules.ingest_assets: is 'often'; a cron expression has five fields, such as '*/5 * * * *'",
        ),
    ],
)
def test_refusals_name_origin_field_and_remedy(overrides: dict[str, object], said: str) -> None:
    """A refused setting is named with its origin, what was found and what is allowed."""
    with pytest.raises(SettingsInvalid) as refused:
        load_settings(overrides=overrides)
    assert [str(problem) for problem in refused.value.problems] == [said]
    assert pickle.loads(pickle.dumps(refused.value)).problems == refused.value.problems  # noqa: S301 - our own bytes


def test_a_misspelt_variable_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    """A SIGNOFF_ variable that is no setting is an error, not silently nothing."""
    monkeypatch.setenv("SIGNOFF_INGEST__PREFX", "a/")
    with pytest.raises(SettingsInvalid, match=r"did you mean SIGNOFF_INGEST__PREFIX\?"):
        load_settings()


def test_a_broken_section_variable_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    """A section that is given as one variable must be JSON."""
    monkeypatch.setenv("SIGNOFF_S3", "not json")
    with pytest.raises(SettingsInvalid, match="a section is written as JSON"):
        load_settings()


def test_a_missing_or_broken_file_is_refused(tmp_path: Path) -> None:
    """A settings file that is named but absent, or is not TOML, is an error that names it."""
    with pytest.raises(SettingsInvalid, match="there is no such settings file"):
        load_settings(tmp_path / "absent.toml")
    broken = tmp_path / "broken.toml"
    broken.write_text("home = \n", encoding="utf-8")
    with pytest.raises(SettingsInvalid, match=r"broken\.toml: file: is not TOML"):
        load_settings(broken)


@pytest.mark.parametrize(
    ("text", "clock"),
    [
        ("system", SystemClock()),
        ("+3d", OffsetClock(timedelta(days=3))),
        ("-90m", OffsetClock(timedelta(minutes=-90))),
        ("+1.5h", OffsetClock(timedelta(minutes=90))),
        ("2026-11-24T10:00:00+01:00", FrozenClock(datetime(2026, 11, 24, 9, tzinfo=UTC))),
    ],
)
def test_clocks_by_name(text: str, clock: SystemClock | OffsetClock | FrozenClock) -> None:
    """Each way of naming a clock gives that clock, and its now is aware."""
    assert clock_from(text) == clock
    assert clock.now().tzinfo is UTC


@pytest.mark.parametrize("text", ["", "now", "3d", "+3", "2026-11-24T10:00:00", "+99999999999w"])
def test_unreadable_clocks_are_refused(text: str) -> None:
    """A time without a zone, a bare number or a word is no clock."""
    with pytest.raises(ClockUnreadable, match="allowed are 'system'"):
        clock_from(text)
