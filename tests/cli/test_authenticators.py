"""`signoff people enrol`, `recover`, `unenrol` and `rekey`: what they do, ask for, refuse, and never keep."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest
import sqlalchemy as sa

from policies.one_time_code import code_at, step_at
from tasks.identity_keys import KEY_FILE, PREVIOUS_FILE, exchange_key
from tasks.prepare_ledger import prepare_ledger
from tasks.resources import Resources
from tasks.settings import load_settings
from tests.running_stack import SAMPLES, Said, say
from tests.workplace import policy_text


@dataclass
class Office:
    """A ledger with the sample roster and a clock that goes on by a minute with each command; nothing else runs."""

    folder: Path
    now: datetime = datetime(2026, 11, 24, 9, tzinfo=UTC)

    @property
    def config(self) -> Path:
        """Its settings, as of now."""
        path = self.folder / "signoff.toml"
        path.write_text(
            f'home = "state"\npolicy = "policy.yaml"\nroster = "{SAMPLES / "roster.yaml"}"\n'
            f'clock = "{self.now.isoformat()}"\n',
            encoding="utf-8",
        )
        return path

    def say(self, *arguments: str) -> Said:
        """Run `signoff people …`, a minute after the last one."""
        self.now += timedelta(minutes=1)
        return say(self.config, "people", *arguments)

    def read(self, *arguments: str) -> Any:
        """The document that a command prints."""
        said = self.say(*arguments, "--json")
        assert (said.code, said.err) == (0, "")
        return json.loads(said.out)

    def rows(self, statement: str) -> list[tuple[Any, ...]]:
        """Answer of the ledger's database."""
        resources = Resources(load_settings(self.config))
        with resources.ledger.reading() as connection:
            found = [tuple(row) for row in connection.execute(sa.text(statement))]
        resources.close()
        return found

    def begin(self, handle: str, *more: str) -> str:
        """Begin an enrolment; returns the secret."""
        begun = self.read("enrol", handle, *more)
        (secret,) = parse_qs(urlsplit(begun["uri"]).query)["secret"]
        return secret

    def code(self, secret: str, minutes: int = 1) -> str:
        """The code that an authenticator will show at the next command."""
        return code_at(secret, step_at(self.now + timedelta(minutes=minutes)))

    def enrol(self, handle: str, *more: str) -> str:
        """Enrol somebody; returns the secret."""
        secret = self.begin(handle, *more)
        assert self.read("enrol", handle, "--confirm", self.code(secret)) == {"handle": handle, "enrolled": True}
        return secret

    def enrolled(self) -> list[str]:
        """Handles of those who can sign."""
        return [one["handle"] for one in self.read("list") if one["enrolled"]]


@pytest.fixture
def office(tmp_path: Path) -> Office:
    """An office in which nobody is enrolled."""
    (tmp_path / "policy.yaml").write_text(policy_text(), encoding="utf-8")
    (tmp_path / "state").mkdir()
    made = Office(tmp_path)
    prepare_ledger(load_settings(made.config))
    return made


def test_an_authenticator_counts_once_it_is_confirmed(office: Office) -> None:
    """Shown, confirmed by a code, replaced for a code of the old one, taken out for a code; all of it audited."""
    first = office.begin("lea")
    assert office.enrolled() == []
    wrong = next(code for number in range(731_900, 732_000) if (code := str(number)) != office.code(first))
    refused = office.say("enrol", "lea", "--confirm", wrong)
    assert (refused.code, refused.out) == (1, "")
    assert refused.err.startswith("error: That code is not right. The next code is looked at from 2026-11-24 09:")
    assert refused.err.endswith("UTC on. Nothing was changed\n")
    assert office.read("enrol", "lea", "--confirm", office.code(first)) == {"handle": "lea", "enrolled": True}
    assert office.enrolled() == ["lea"]
    assert "an authenticator is enrolled already; say --old-code" in office.say("enrol", "lea").err
    second = office.begin("lea", "--old-code", office.code(first))
    assert office.enrolled() == ["lea"]
    assert office.say("enrol", "lea", "--confirm", office.code(second)).code == 0
    assert "That code is not right" in office.say("unenrol", "lea", "--code", office.code(first)).err
    assert office.read("unenrol", "lea", "--code", office.code(second)) == {"handle": "lea", "enrolled": False}
    assert office.enrolled() == []
    told = [action for (action,) in office.rows("SELECT action FROM events WHERE action LIKE '%enrol%' ORDER BY seq")]
    begin, confirm, end = "begin_enrolment", "confirm_enrolment", "end_enrolment"
    assert told == [begin, confirm, begin, end, confirm, end]
    assert office.rows("SELECT reason FROM events WHERE action = 'refuse_code'") == [("wrong code",)] * 2
    assert office.rows("SELECT sealed, ended_for FROM signing_secrets") == [(None, "replaced"), (None, "unenrolled")]
    assert office.rows("SELECT kind, COUNT(*) FROM notices") == [("security", 3)]
    kept = (office.folder / "state" / "ledger.db").read_bytes()
    assert not [secret for secret in (first, second) if secret.encode() in kept]


def test_nobody_is_enrolled_who_is_not_there(office: Office) -> None:
    """A stranger, and an enrolment that was never begun: one message each, and nothing is written."""
    assert "nobody in the roster has the handle 'eve'" in office.say("enrol", "eve").err
    assert "no enrolment waits to be confirmed" in office.say("enrol", "lea", "--confirm", "123456").err
    assert office.rows("SELECT COUNT(*) FROM signing_secrets") == [(0,)]


def test_a_recovery_takes_two_others(office: Office) -> None:
    """One of the group that owns the quarantine and another, each with a code when enrolled; then lea enrols anew."""
    lost = office.enrol("lea")
    helper = office.enrol("mei")
    by_mei = ("recover", "lea", "--by", "mei", "--second", "tomasz")
    assert (
        "claire is not in the group operations" in office.say("recover", "lea", "--by", "claire", "--second", "mei").err
    )
    assert "two people beside" in office.say("recover", "mei", "--by", "mei", "--second", "tomasz").err
    assert "two people beside" in office.say("recover", "lea", "--by", "jonas", "--second", "jonas").err
    assert "Nothing was changed" in office.say(*by_mei).err
    assert "Nothing was changed" in office.say(*by_mei, "--code", office.code(lost)).err
    assert office.enrolled() == ["lea", "mei"]
    assert office.read(*by_mei, "--code", office.code(helper)) == {"handle": "lea", "enrolled": False}
    assert (
        "has no authenticator that would have to be recovered"
        in office.say("recover", "lea", "--by", "jonas", "--second", "tomasz").err
    )
    again = office.enrol("lea")
    assert again != lost
    ((body,),) = office.rows("SELECT body FROM events WHERE action = 'recover_person'")
    ids = dict(office.rows("SELECT handle, person_id FROM people"))
    assert json.loads(body)["details"] == {
        "person": ids["lea"], "by": ids["mei"], "second": ids["tomasz"], "signed_by_code": [ids["mei"]],
    }  # fmt: skip


def test_the_key_is_exchanged(office: Office) -> None:
    """Everything is sealed anew and opens; the file is its owner's; an exchange that was cut off is gone on with."""
    home = office.folder / "state"
    secret = office.enrol("lea")
    before = (home / KEY_FILE).read_text()
    assert (home / KEY_FILE).stat().st_mode & 0o777 == 0o600
    done = office.read("rekey")
    assert done == {"key": office.rows("SELECT key_id FROM signing_secrets")[0][0], "secrets": 1}
    assert (home / KEY_FILE).read_text() != before
    assert not (home / PREVIOUS_FILE).exists()
    second = office.begin("lea", "--old-code", office.code(secret))
    exchange_key(load_settings(office.config))  # and then the machine went off
    cut_off = (home / KEY_FILE).read_text()
    assert office.say("enrol", "lea", "--confirm", office.code(second)).code == 0
    assert office.read("rekey")["secrets"] == 1
    assert (home / KEY_FILE).read_text() == cut_off
    assert not (home / PREVIOUS_FILE).exists()
    (home / KEY_FILE).chmod(0o644)
    assert "can be read by others" in office.say("rekey").err
    (home / KEY_FILE).unlink()
    assert "Codes cannot be checked here" in office.say("unenrol", "lea", "--code", office.code(second)).err


def test_the_picture_is_for_one_person(office: Office) -> None:
    """`--png` writes the QR code for its owner only, and over no other file; a terminal is shown blocks."""
    picture = office.folder / "lea.png"
    said = office.say("enrol", "lea", "--png", str(picture))
    assert (said.code, "otpauth" in said.out) == (0, False)
    assert picture.read_bytes().startswith(b"\x89PNG")
    assert picture.stat().st_mode & 0o777 == 0o600
    assert "exists and is not overwritten" in office.say("enrol", "lea", "--png", str(picture)).err
    shown = office.say("enrol", "mei").out
    assert "█" in shown
    assert "otpauth://totp/Signoff:mei?secret=" in shown


def test_a_signed_stage_needs_enrolled_people(office: Office) -> None:
    """The list says which stage of the active policy nobody can sign, until somebody can."""
    changed = office.folder / "next.yaml"
    changed.write_text(policy_text(signature="totp"), encoding="utf-8")
    assert office.say("list").err == ""
    for handle in ("mei", "tomasz"):
        assert say(office.config, "policy", "activate", str(changed), "--as", handle).code == 0
    assert office.say("list").err == (
        "Not to be passed yet: stage editor wants 1 signed by people of editors, of whom 0 are enrolled; "
        "`signoff people enrol` enrols them.\n"
    )
    office.enrol("lea")
    assert office.say("list").err == ""


def documented(command: str) -> Mapping[str, str]:
    """The keys that docs/json.md promises of a command."""
    from tests.cli.test_json_contract import CONTRACT

    return CONTRACT[command]


def test_what_they_print_is_as_documented(office: Office) -> None:
    """Every key, and no other."""
    begun = office.read("enrol", "lea")
    assert begun.keys() == documented("people enrol").keys()
    assert office.read("list")[0].keys() == documented("people list").keys()
    assert office.read("rekey").keys() == documented("people rekey").keys()
    office.enrol("mei")
    recovered = office.read("recover", "mei", "--by", "jonas", "--second", "tomasz")
    assert recovered.keys() == documented("people recover").keys()


def test_policies_are_signed_by_who_is_enrolled(office: Office) -> None:
    """Who proposes and who confirms give a code each; without it nothing is proposed; the events say by which step."""
    secret = office.enrol("lea")
    changed = office.folder / "next.yaml"
    changed.write_text(policy_text().replace("max_size: 2 GiB", "max_size: 3 GiB"), encoding="utf-8")

    def activate(*more: str) -> Said:
        office.now += timedelta(minutes=1)
        return say(office.config, "policy", "activate", str(changed), *more)

    assert "A code has six digits" in activate("--as", "lea").err
    assert office.rows("SELECT COUNT(*) FROM events WHERE action = 'propose_policy'") == [(0,)]
    assert office.rows("SELECT reason FROM events WHERE action = 'refuse_code'") == [("no code",)]
    code = office.code(secret)
    assert "is proposed by person:" in activate("--as", "lea", "--code", code).out
    assert "is active: it routes" in activate("--as", "tomasz").out
    told = office.rows(
        "SELECT action, body FROM events WHERE action IN ('propose_policy', 'activate_policy') ORDER BY seq"
    )
    signed = [(action, json.loads(body).get("details", {}).get("signed_step")) for action, body in told]
    step = step_at(office.now - timedelta(minutes=1))
    assert signed == [("activate_policy", None), ("propose_policy", step), ("activate_policy", None)]
