"""The settings themselves: every value that can be configured, typed, described and with its default."""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import timedelta
from pathlib import Path
from typing import Any, Final, Literal

from pydantic import BaseModel, ConfigDict, Field, PrivateAttr, SecretStr, field_validator, model_validator
from pydantic_settings import BaseSettings, PydanticBaseSettingsSource, SettingsConfigDict

from classifiers.model_source import ModelSource, source_problem
from tasks.channel_address import address_problem
from tasks.clock import Clock, clock_from
from tasks.errors import StackDown

DEFAULT: Final = "default"
"""The origin of a value that nobody set."""


LOCAL_PROCESSES: Final = "processes"
"""The task runner that needs nothing but this machine."""


HOLD_MINUTES: Final = {
    **dict.fromkeys(("opened", "decided", "changes_requested", "finally", "expiring", "withdrawn"), 15),
    **dict.fromkeys(("remind", "escalate", "delegated", "receipt", "security"), 0),
    **dict.fromkeys(("policy_broken", "roster_short", "integrity"), 0),
}
"""Kind of notice → minutes that it waits for others by default, so that an hour of work is one message."""

_PASSWORD_BEFORE_HOST: Final = re.compile(r"(://[^:/@\s]*):\S*@")
_PASSWORD_IN_QUERY: Final = re.compile(r"(?i)([?&]\w*(?:password|passwd|secret)=)[^&#]*")


class _Section(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class Credentials(_Section):
    """One S3 identity."""

    access_key: str
    secret_key: SecretStr


class Buckets(_Section):
    """The four buckets of Signoff."""

    intake: str = Field(default="intake", description="the source; never written to")
    workspace: str = Field(default="workspace", description="private: masters, thumbnails, exports")
    library: str = Field(default="library", description="what consumers read: published versions and nothing else")
    archive: str = Field(default="archive", description="withdrawn and retained masters; the seals")


class S3Settings(_Section):
    """The object store. Without credentials the usual AWS sources (profile, role, environment) are used."""

    endpoint: str | None = Field(default=None, description="address of the S3 service; none: the embedded one")
    region: str = Field(default="us-east-1", description="S3 region, signed into every request")
    service: Credentials | None = Field(default=None, description="identity of Signoff itself")
    source: Credentials | None = Field(default=None, description="identity of submitters: the intake bucket only")
    consumer: Credentials | None = Field(default=None, description="identity of consumers: reads the library only")
    buckets: Buckets = Buckets()


class DatabaseSettings(_Section):
    """The ledger's database."""

    url: str | None = Field(default=None, description="SQLAlchemy address; none: SQLite in <home>/ledger.db")


class PrefectSettings(_Section):
    """The Prefect server and the work pool whose workers run the flows."""

    api_url: str | None = Field(default=None, description="address of the Prefect API; none: the embedded server")
    work_pool: str = Field(default="signoff", description="work pool of the deployments")
    worker: bool = Field(default=True, description="whether `signoff up` starts a process worker on this machine")
    worker_limit: int = Field(default=8, ge=1, description="flow runs that the embedded worker executes at once")


class IngestSettings(_Section):
    """What is listed, and how the listing is cut into shards."""

    prefix: str = Field(default="", description="only keys of the intake bucket that begin so")
    shard_size: int = Field(default=1000, ge=1, description="assets a shard, at most")
    shard_bytes: int = Field(
        default=512 * 1024**2, ge=1, description="bytes a shard, at most; one larger asset is a shard"
    )
    task_runner: str = Field(
        default=LOCAL_PROCESSES, description="processes, or module:Class of a Prefect task runner for a cluster"
    )
    processes: int = Field(default=2, ge=1, description="shards screened at once on this machine")
    inspect: bool = Field(
        default=True,
        description="off: nothing is looked into, and as no rights are known, every version goes to people",
    )


class ScheduleSettings(_Section):
    """When the deployments run, as cron in UTC. The minutes are staggered: never do more than two begin together."""

    ingest_assets: str = Field(default="*/5 * * * *", description="list, screen, route, park")
    carry_out_effects: str = Field(default="1-59/2 * * * *", description="publish, withdraw, archive what is open")
    enforce_deadlines: str = Field(default="2-59/5 * * * *", description="park again what lost its run")
    apply_archive_policy: str = Field(default="36 2 * * *", description="plan, and apply what is approved")
    refresh_metrics: str = Field(default="18 * * * *", description="ledger to DuckDB")
    seal_ledger: str = Field(default="48 * * * *", description="sign the audit trail and put the seal away")
    send_notices: str = Field(default="4-59/5 * * * *", description="tell people what waits for them")

    @field_validator("*")
    @classmethod
    def _five_fields(cls, value: str) -> str:
        if len(value.split()) != 5:
            raise ValueError(f"is {value!r}; a cron expression has five fields, such as '*/5 * * * *'")
        return value


class AuditSettings(_Section):
    """The seals of the audit trail: who signs, where they lie, whom a verification relies on."""

    key: SecretStr | None = Field(
        default=None, description="signing key, Ed25519: PEM or 64 hexadecimal digits; none: the file <home>/seal-key"
    )
    previous_key: SecretStr | None = Field(
        default=None, description="the signing key before, while the present one is still to be announced"
    )
    trusted_keys: tuple[str, ...] = Field(
        default=(), description="public keys that a verification relies on; none: those of the signing keys here"
    )
    bucket: str | None = Field(default=None, description="bucket with object lock for the seals; none: the archive")
    prefix: str = Field(default="seals/", description="keys of the seals begin so; one ledger, one prefix")
    lock: Literal["COMPLIANCE", "GOVERNANCE"] = Field(
        default="COMPLIANCE", description="mode of the lock; under COMPLIANCE nobody can take a seal away"
    )
    keep_days: int = Field(default=3653, ge=1, description="days for which a seal is locked")

    @field_validator("trusted_keys")
    @classmethod
    def _public_keys(cls, value: tuple[str, ...]) -> tuple[str, ...]:
        if wrong := [one for one in value if not re.fullmatch("[0-9a-f]{64}", one)]:
            raise ValueError(
                f"{wrong[0]!r} is no public key: 64 hexadecimal digits, as `signoff audit key` prints them"
            )
        return value

    @field_validator("prefix")
    @classmethod
    def _folder(cls, value: str) -> str:
        if not re.fullmatch(r"([\w.-]+/)+", value, re.ASCII) or ".." in value:
            raise ValueError("is no prefix: letters, digits and -._ between slashes, with one at the end")
        return value


class ModelChoice(_Section):
    """A model in the Hugging Face format, with safetensors and without code of its own: `folder`, or `name` with
    `revision`."""

    folder: Path | None = Field(default=None, description="local folder that holds config.json and model.safetensors")
    name: str | None = Field(default=None, description="name on the hub, such as owner/model")
    revision: str | None = Field(default=None, description="the hub's commit, 40 hexadecimal digits")

    @field_validator("folder")
    @classmethod
    def _absolute(cls, value: Path | None) -> Path | None:
        return None if value is None else value.expanduser().resolve()

    @model_validator(mode="after")
    def _names_one_model(self) -> ModelChoice:
        if problem := source_problem(self.folder, self.name, self.revision):
            raise ValueError(problem)
        return self

    @property
    def source(self) -> ModelSource:
        """The checkpoint that is named."""
        return ModelSource(self.folder, self.name, self.revision)


class IdentitySettings(_Section):
    """The key that the secrets of people's authenticators are sealed with; the same on every machine that decides."""

    key: SecretStr | None = Field(
        default=None, description="identity key, 64 hexadecimal digits; none: the file <home>/identity-key"
    )
    previous_key: SecretStr | None = Field(
        default=None, description="the identity key before, until `signoff people rekey` has sealed everything anew"
    )


class ModelSettings(_Section):
    """Whether content is classified by models, and by which."""

    enabled: bool = Field(default=True, description="off: every version is routed to people unclassified")
    text: ModelChoice | None = Field(default=None, description="model that reads texts; none: the built-in MiniLM")
    image: ModelChoice | None = Field(default=None, description="model that sees images; none: the built-in one")
    download: bool = Field(default=False, description="whether models may be fetched from a hub")


class NoticeSettings(_Section):
    """By which channels people are told what waits for them. Without any, notices are kept and nothing is sent."""

    channels: Mapping[str, SecretStr] = Field(
        default={},
        description="name → address: an Apprise URL, env:NAME or file:PATH where it stands; never shown, never stored",
    )
    people: Mapping[str, tuple[str, ...]] = Field(
        default={}, description="handle → channels; the first one that takes a message has it"
    )
    groups: Mapping[str, tuple[str, ...]] = Field(
        default={}, description="group → channels of its room, for those of its people who have none of their own"
    )
    mail: str | None = Field(
        default=None, description="a mail channel that reaches everybody else at the address in the roster"
    )
    hold_minutes: Mapping[str, int] = Field(
        default={}, description="kind of notice → minutes that it may wait for others, to go in one message"
    )
    attempts: int = Field(default=12, ge=1, le=30, description="how often a message is tried before it is given up")
    keep_days: int = Field(default=14, ge=1, description="days after which a notice that no channel takes is given up")
    timeout_s: float = Field(default=10.0, gt=0, le=60, description="how long a channel may keep silent")

    @field_validator("channels")
    @classmethod
    def _allowed(cls, value: Mapping[str, SecretStr]) -> Mapping[str, SecretStr]:
        for name, address in value.items():
            if problem := address_problem(address.get_secret_value()):
                raise ValueError(f"channel {name!r} {problem}")
        return value

    @field_validator("hold_minutes")
    @classmethod
    def _known_kinds(cls, value: Mapping[str, int]) -> Mapping[str, int]:
        for kind, minutes in value.items():
            if kind not in HOLD_MINUTES or minutes < 0:
                raise ValueError(f"{kind} = {minutes}; allowed are minutes from 0 for {', '.join(HOLD_MINUTES)}")
        return value

    @model_validator(mode="after")
    def _named_channels(self) -> NoticeSettings:
        lists = [*self.people.items(), *self.groups.items(), *([("mail", (self.mail,))] if self.mail else [])]
        for owner, names in lists:
            if missing := [name for name in names if name not in self.channels]:
                there = ", ".join(self.channels) or "none yet"
                raise ValueError(f"{owner!r} names the channel {missing[0]!r}; in notices.channels there are: {there}")
        return self

    def hold(self, kind: str) -> timedelta:
        """How long a notice of this kind may wait for others."""
        return timedelta(minutes=self.hold_minutes.get(kind, HOLD_MINUTES[kind]))


class Settings(BaseSettings):
    """Everything that can be configured. Made by `load_settings`, which knows the sources; immutable."""

    model_config = SettingsConfigDict(
        env_prefix="SIGNOFF_", env_nested_delimiter="__", extra="forbid", frozen=True, validate_default=True
    )

    home: Path = Field(default=Path(".signoff"), description="folder of the embedded stack's and the ledger's state")
    clock: str = Field(default="system", description="system, an instant (time stands still) or an offset such as +3d")
    policy: Path | None = Field(default=None, description="policy file to activate")
    roster: Path | None = Field(default=None, description="roster file to import")
    contracts: str = Field(default="contracts/grants.csv", description="contracts table: key in the workspace bucket")
    database: DatabaseSettings = DatabaseSettings()
    s3: S3Settings = S3Settings()
    prefect: PrefectSettings = PrefectSettings()
    ingest: IngestSettings = IngestSettings()
    schedules: ScheduleSettings = ScheduleSettings()
    models: ModelSettings = ModelSettings()
    audit: AuditSettings = AuditSettings()
    identity: IdentitySettings = IdentitySettings()
    notices: NoticeSettings = NoticeSettings()

    _origins: dict[str, str] = PrivateAttr(default_factory=dict)

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,
        file_secret_settings: PydanticBaseSettingsSource,
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        """Read nothing behind the caller's back: `load_settings` merges the sources itself, to know the origins."""
        del settings_cls, env_settings, dotenv_settings, file_secret_settings
        return (init_settings,)

    @field_validator("clock")
    @classmethod
    def _names_a_clock(cls, value: str) -> str:
        clock_from(value)
        return value

    @field_validator("home", "policy", "roster")
    @classmethod
    def _absolute(cls, value: Path | None) -> Path | None:
        return None if value is None else value.expanduser().resolve()

    @property
    def origins(self) -> Mapping[str, str]:
        """Where each value came from: dotted field name → flag, an environment variable, a file, or `default`."""
        return {name: self._origins.get(name, DEFAULT) for name in flatten_values(self)}

    @property
    def database_url(self) -> str:
        """SQLAlchemy address of the ledger, the embedded SQLite file included."""
        return self.database.url or f"sqlite:///{self.home / 'ledger.db'}"

    @property
    def prefect_api(self) -> str:
        """Address of the Prefect API. Raises `StackDown` when no server is configured and no stack was started."""
        if self.prefect.api_url is None:
            raise StackDown("Prefect", "prefect.api_url")
        return self.prefect.api_url

    @property
    def s3_endpoint(self) -> str:
        """Address of the object store. Raises `StackDown` when none is configured and no stack was started."""
        if self.s3.endpoint is None:
            raise StackDown("The object store", "s3.endpoint")
        return self.s3.endpoint

    @property
    def looks_into_contents(self) -> bool:
        """Whether anything wants the bytes of a version after they were hashed."""
        return self.ingest.inspect or self.models.enabled

    @property
    def analytics_path(self) -> Path:
        """The DuckDB file that analysts open."""
        return self.home / "analytics.duckdb"

    def make_clock(self) -> Clock:
        """Return the clock that `clock` names."""
        return clock_from(self.clock)


def flatten_values(section: BaseModel, prefix: str = "") -> dict[str, Any]:
    """Return every leaf of a settings section under its dotted name, in the order of declaration."""
    values: dict[str, Any] = {}
    for name in type(section).model_fields:
        value = getattr(section, name)
        if isinstance(value, BaseModel):
            values.update(flatten_values(value, f"{prefix}{name}."))
        else:
            values[prefix + name] = value
    return values


def public_values(settings: Settings) -> dict[str, str | int | float | bool | None]:
    """Return every value as it may be shown: secrets masked, passwords taken out of addresses."""
    shown: dict[str, str | int | float | bool | None] = {}
    for name, value in flatten_values(settings).items():
        if isinstance(value, str):
            shown[name] = hide_password(value)
        elif value is None or isinstance(value, bool | int | float):
            shown[name] = value
        elif isinstance(value, Mapping):
            shown[name] = ", ".join(f"{one}={_masked(value[one])}" for one in value)
        else:
            shown[name] = str(value)
    return shown


def _masked(value: Any) -> str:
    return "+".join(map(str, value)) if isinstance(value, tuple) else str(value)


def hide_password(address: str) -> str:
    """Return an address without its password, wherever it stands; one with odd characters that nobody escaped too.

    >>> hide_password("postgresql://signoff:s3/cr@et@db/ledger")
    'postgresql://signoff:***@db/ledger'
    >>> hide_password("postgresql://db/ledger?user=signoff&password=s3cret")
    'postgresql://db/ledger?user=signoff&password=***'
    """
    return _PASSWORD_IN_QUERY.sub(r"\1***", _PASSWORD_BEFORE_HOST.sub(r"\1:***@", address))
