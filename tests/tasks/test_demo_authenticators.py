"""The demo's people are enrolled, a command shows their codes, and outside a demo there is no such command."""

from __future__ import annotations

import stat
from pathlib import Path

import pytest

from ledger.roster import person_id_of, present_people
from ledger.signatures import Signed, enrolled_people
from policies.one_time_code import step_at
from tasks.demo_authenticators import FILE, enrol_demo_people
from tasks.prepare_ledger import prepare_ledger
from tasks.resources import Resources
from tasks.settings import load_settings
from tasks.sign_act import sign_act
from tests.policies.policy_catalogue import ROSTER, SOUND
from tests.running_stack import say


@pytest.fixture
def config(tmp_path: Path) -> Path:
    """Settings of a ledger with a sound policy and its people, at one moment of March 2026."""
    (tmp_path / "policy.yaml").write_text(SOUND, encoding="utf-8")
    (tmp_path / "roster.yaml").write_text(ROSTER, encoding="utf-8")
    path = tmp_path / "signoff.toml"
    lines = ('home = "home"', 'policy = "policy.yaml"', 'roster = "roster.yaml"', 'clock = "2026-03-02T09:00:10Z"')
    path.write_text("\n".join(lines), encoding="utf-8")
    (tmp_path / "home").mkdir()
    prepare_ledger(load_settings(path))
    return path


def test_a_code_of_the_demo_signs_once(config: Path) -> None:
    """Everybody is enrolled, once. The code of the enrolment is used up, so the next is shown, and it signs."""
    resources = Resources(load_settings(config))
    with resources.ledger.reading() as connection:
        everybody = {one["person_id"] for one in present_people(connection)}
    assert [enrol_demo_people(resources), enrol_demo_people(resources)] == [len(everybody), 0]
    with resources.ledger.reading() as connection:
        assert enrolled_people(connection) == everybody
        ada = person_id_of(connection, "ada")
    assert ada is not None
    assert stat.S_IMODE((resources.settings.home / FILE).stat().st_mode) == 0o600
    said = say(config, "people", "code", "ada")
    assert (said.code, said.err) == (0, "")
    with resources.ledger.writing(resources.origin("operator:test")) as tx:
        signed = sign_act(tx, resources, ada, said.out.strip(), "policy")
    assert signed == Signed(step_at(resources.clock.now()) + 1)
    said = say(config, "people", "code", "nobody")
    assert (said.code, said.out) == (1, "")
    assert "the demo has enrolled nobody with the handle 'nobody'; the roster has ada, ben" in said.err


def test_there_is_no_such_command_elsewhere(config: Path) -> None:
    """Who enrolled by themselves has no secret that a program could read."""
    said = say(config, "people", "code", "ada")
    assert (said.code, said.out) == (2, "")
    assert "No such command 'code'" in said.err
