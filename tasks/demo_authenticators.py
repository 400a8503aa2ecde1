"""The authenticators of the demo's people: enrolled at once, their secrets in a file that only a demo has."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Final
from urllib.parse import parse_qs, urlsplit

from ledger.enrolment import EnrolmentRefused
from ledger.roster import present_people
from ledger.signatures import enrolled_people, used_steps
from policies.one_time_code import code_at, step_at
from tasks.enrol_person import begin, confirm
from tasks.errors import PermanentError
from tasks.resources import Resources

FILE: Final = "demo-authenticators.json"


class NoDemo(PermanentError):
    """There are no authenticators here that a program could read: this is no demo, or this person has their own."""


def is_demo(home: Path) -> bool:
    """Whether the people of this home were enrolled by the demo."""
    return (home / FILE).exists()


def enrol_demo_people(resources: Resources) -> int:
    """Enrol everybody of the roster who is not, and keep their secrets where `demo_code` finds them; returns how many.

    For a demo only: whoever reads the file signs as anybody.
    """
    path = resources.settings.home / FILE
    secrets: dict[str, str] = json.loads(path.read_text(encoding="utf-8")) if path.exists() else {}
    with resources.ledger.reading() as connection:
        enrolled = enrolled_people(connection)
        waiting = [one["handle"] for one in present_people(connection) if one["person_id"] not in enrolled]
    count = 0
    for handle in waiting:
        try:
            begun = begin(resources, handle)
        except EnrolmentRefused:  # disowned: two others recover them first, here as anywhere
            continue
        secrets[handle] = parse_qs(urlsplit(begun.uri).query)["secret"][0]
        _keep(path, secrets)
        confirm(resources, handle, code_at(secrets[handle], step_at(resources.clock.now())))
        count += 1
    return count


def demo_code(resources: Resources, handle: str) -> str:
    """The code that the authenticator of a demo's person would show; the next one where that was used.

    Raises `NoDemo`.
    """
    path = resources.settings.home / FILE
    secret = json.loads(path.read_text(encoding="utf-8")).get(handle) if path.exists() else None
    with resources.ledger.reading() as connection:
        ids = {one["handle"]: one["person_id"] for one in present_people(connection)}
        used = used_steps(connection, ids[handle]) if handle in ids else frozenset()
    if secret is None or handle not in ids:
        known = ", ".join(sorted(ids))
        raise NoDemo(f"the demo has enrolled nobody with the handle {handle!r}; the roster has {known}")
    present = step_at(resources.clock.now())
    return code_at(secret, present + 1 if present in used else present)


def _keep(path: Path, secrets: dict[str, str]) -> None:
    unfinished = path.with_suffix(".new")
    with os.fdopen(os.open(unfinished, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w", encoding="utf-8") as file:
        json.dump(secrets, file, indent=1)
    unfinished.replace(path)
