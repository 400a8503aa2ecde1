"""Options that many commands share, and the settings they lead to."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

if TYPE_CHECKING:
    from tasks.settings import Settings

ConfigOption = Annotated[
    Path | None, typer.Option("--config", help="Settings file; without it SIGNOFF_CONFIG, then signoff.toml here.")
]
HomeOption = Annotated[Path | None, typer.Option("--home", help="Folder of the state; without it .signoff here.")]
JsonOption = Annotated[bool, typer.Option("--json", help="Print one JSON object instead of text.")]


def read_settings(config: Path | None, home: Path | None, **flags: Any) -> Settings:
    """Return the settings; `flags` are further overrides by dotted name with `__` for the dot, None: not given."""
    from tasks.settings import load_settings

    return load_settings(config, {"home": home} | {name.replace("__", "."): value for name, value in flags.items()})
