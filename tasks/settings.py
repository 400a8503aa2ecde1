"""One typed settings object, and where each of its values came from.

Precedence: flags, then the environment (`SIGNOFF_S3__ENDPOINT`), then `signoff.toml`, then what `signoff up` wrote
into `<home>/stack.json`, then the defaults of `tasks.settings_schema`. A section of the embedded stack is used as a
whole or not at all: its credentials are never sent to an endpoint that somebody else configured.
"""

from __future__ import annotations

import difflib
import json
import os
import tomllib
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, Final, Literal

from pydantic import BaseModel, ValidationError
from pydantic_settings import EnvSettingsSource, SettingsError

from tasks.errors import SettingProblem, SettingsInvalid
from tasks.settings_schema import (
    DEFAULT,
    Buckets,
    Credentials,
    IngestSettings,
    ModelSettings,
    NoticeSettings,
    PrefectSettings,
    S3Settings,
    ScheduleSettings,
    Settings,
    hide_password,
    public_values,
)

__all__ = [
    "CONFIG_VARIABLE",
    "DEFAULT",
    "STACK_FILE",
    "Buckets",
    "Credentials",
    "IngestSettings",
    "ModelSettings",
    "NoticeSettings",
    "PrefectSettings",
    "S3Settings",
    "ScheduleSettings",
    "Settings",
    "config_path",
    "hide_password",
    "load_settings",
    "public_values",
    "read_stack_file",
]

CONFIG_VARIABLE: Final = "SIGNOFF_CONFIG"
"""Environment variable that names the settings file, so that a worker's runs read the same one."""

DEFAULT_CONFIG: Final = "signoff.toml"
STACK_FILE: Final = "stack.json"
_NOT_SETTINGS: Final = ("SIGNOFF_CONFIG", "SIGNOFF_STACK_", "SIGNOFF_TEST_")
_SECRET: Final = (
    "s3.service", "s3.source", "s3.consumer", "audit.key", "audit.previous_key", "identity", "notices.channels",
)  # fmt: skip
_TABLES: Final = ("notices.channels", "notices.people", "notices.groups", "notices.hold_minutes")
"""Sections whose keys the operator chooses (a handle may have dots): the highest source that has one decides it."""

FLAG: Final = "flag"


def load_settings(config: Path | None = None, overrides: Mapping[str, Any] | None = None) -> Settings:
    """Decide every setting from flags, environment, settings file, embedded stack and defaults, in this precedence.

    `config` names the settings file; without it `SIGNOFF_CONFIG`, then `signoff.toml` in the working directory if there
    is one. `overrides` are the flags, nested or with dotted names; None means "not given". Relative paths in the
    settings file are relative to it. Raises `SettingsInvalid` with every problem, each with its origin.
    """
    _refuse_unknown_variables()
    chosen = config_path(config)
    layers: list[tuple[str, dict[str, Any]]] = [
        (FLAG, _nest(overrides or {})),
        ("environment", _read_environment()),
    ]
    if chosen is not None:
        layers.append((str(chosen), _read_config(chosen)))
    home = next((Path(values["home"]) for _, values in layers if "home" in values), Path(".signoff"))
    stack = home.expanduser() / STACK_FILE
    layers.append((str(stack), _stack_sections(stack, [values for _, values in layers])))
    return _validated(layers)


def read_stack_file(path: Path) -> dict[str, Any]:
    """Return what `signoff up` wrote about the embedded stack, or nothing when there is none."""
    try:
        document = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        return {}
    except (json.JSONDecodeError, OSError) as error:
        raise _refused(str(path), "file", f"cannot be read ({error}); run `signoff down`, then move it away") from error
    return document if isinstance(document, dict) else {}


def _validated(layers: list[tuple[str, dict[str, Any]]]) -> Settings:
    merged: dict[str, Any] = {}
    origins: dict[str, str] = {}
    for origin, values in reversed(layers):
        for name, value in _leaves(values):
            _put(merged, name, value)
            origins[name] = _variable(name) if origin == "environment" else origin
    try:
        settings = Settings(**merged)
    except ValidationError as error:
        raise SettingsInvalid([_problem(item, origins) for item in error.errors()]) from None
    settings._origins.update(origins)
    return settings


def _problem(item: Any, origins: Mapping[str, str]) -> SettingProblem:
    name = ".".join(str(part) for part in item["loc"])
    below = (where for field, where in origins.items() if f"{field}.".startswith(f"{name}.") or _is_in(name, field))
    parent = name.rpartition(".")[0]
    beside = (where for field, where in origins.items() if parent and field.startswith(f"{parent}."))
    origin = next(below, None) or next(beside, DEFAULT)
    if item["type"] == "extra_forbidden":
        return SettingProblem(origin, name, "is no setting of Signoff", _nearest(name, _known_names()))
    message = str(item["msg"]).removeprefix("Value error, ")
    silent = item["type"] in {"missing", "value_error"} or name.startswith(_SECRET)
    return SettingProblem(origin, name, message if silent else f"{message} (found {item['input']!r})")


def _is_in(name: str, table: str) -> bool:
    return table in _TABLES and name.startswith(f"{table}.")


def _read_environment() -> dict[str, Any]:
    try:
        return EnvSettingsSource(Settings)()
    except SettingsError as error:
        raise _refused("environment", "SIGNOFF_*", f"{error}; a section is written as JSON") from error


def _refuse_unknown_variables() -> None:
    known = {_variable(name) for name in _known_names(with_sections=True)}
    unknown = [
        name
        for name in sorted(os.environ)
        if name.startswith("SIGNOFF_") and not name.startswith(_NOT_SETTINGS) and name.upper() not in known
    ]
    if unknown:
        raise SettingsInvalid(
            [SettingProblem("environment", name, "is no setting of Signoff", _nearest(name, known)) for name in unknown]
        )


def config_path(config: Path | None) -> Path | None:
    """Decide which settings file is read: the named one, that of `SIGNOFF_CONFIG`, `signoff.toml` here, or none."""
    named = config or (Path(os.environ[CONFIG_VARIABLE]) if os.environ.get(CONFIG_VARIABLE) else None)
    if named is None:
        return Path(DEFAULT_CONFIG).resolve() if Path(DEFAULT_CONFIG).is_file() else None
    if not named.is_file():
        raise _refused(str(named), "file", "there is no such settings file")
    return named.resolve()


def _read_config(path: Path) -> dict[str, Any]:
    try:
        values = tomllib.loads(path.read_text(encoding="utf-8"))
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise _refused(str(path), "file", f"is not TOML: {error}") from error
    for name in ("home", "policy", "roster"):
        if isinstance(values.get(name), str):
            values[name] = str(path.parent / Path(values[name]).expanduser())
    models = values.get("models")
    for model in models.values() if isinstance(models, dict) else ():
        if isinstance(model, dict) and isinstance(model.get("folder"), str):
            model["folder"] = str(path.parent / Path(model["folder"]).expanduser())
    return values


def _stack_sections(path: Path, above: list[dict[str, Any]]) -> dict[str, Any]:
    """Return the sections of the embedded stack whose endpoint nobody set in a source above it."""
    document = read_stack_file(path)
    deciding: tuple[tuple[Literal["s3", "prefect"], str], ...] = (("s3", "endpoint"), ("prefect", "api_url"))
    return {
        section: document[section]
        for section, endpoint in deciding
        if section in document and not any((values.get(section) or {}).get(endpoint) for values in above)
    }


def _nest(flags: Mapping[str, Any]) -> dict[str, Any]:
    nested: dict[str, Any] = {}
    for name, value in _leaves(dict(flags)):
        if value is not None:
            _put(nested, name, value)
    return nested


def _leaves(values: Mapping[str, Any], prefix: str = "") -> Iterator[tuple[str, Any]]:
    for name, value in values.items():
        if isinstance(value, Mapping) and prefix + name not in _TABLES:
            yield from _leaves(value, f"{prefix}{name}.")
        else:
            yield prefix + name, value


def _put(nested: dict[str, Any], dotted: str, value: Any) -> None:
    *sections, name = dotted.split(".")
    for section in sections:
        inner = nested.get(section)
        if not isinstance(inner, dict):
            inner = nested[section] = {}
        nested = inner
    nested[name] = value


def _known_names(*, with_sections: bool = False) -> list[str]:
    return list(_declared(Settings, with_sections=with_sections))


def _declared(section: type[BaseModel], prefix: str = "", *, with_sections: bool) -> Iterator[str]:
    for name, field in section.model_fields.items():
        kinds = [field.annotation, *getattr(field.annotation, "__args__", ())]
        inner = next((kind for kind in kinds if isinstance(kind, type) and issubclass(kind, BaseModel)), None)
        if inner is None or with_sections:
            yield prefix + name
        if inner is not None:
            yield from _declared(inner, f"{prefix}{name}.", with_sections=with_sections)


def _variable(name: str) -> str:
    return "SIGNOFF_" + name.replace(".", "__").upper()


def _nearest(name: str, known: list[str] | set[str]) -> str | None:
    return next(iter(difflib.get_close_matches(name, sorted(known), n=1, cutoff=0.5)), None)


def _refused(origin: str, field: str, problem: str) -> SettingsInvalid:
    return SettingsInvalid([SettingProblem(origin, field, problem)])
