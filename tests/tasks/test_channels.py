"""Channels: which addresses are taken, what a refusal says of them, and that settings never show one."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tasks.channel_address import SCHEMES
from tasks.channels import open_channel
from tasks.errors import ChannelUnusable, SettingsInvalid
from tasks.settings import load_settings, public_values

ROOT = Path(__file__).parents[2]


@pytest.fixture(autouse=True)
def _empty_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


@pytest.mark.parametrize(
    "scheme",
    ["exec", "file", "syslog", "dbus", "gnome", "windows", "macosx", "xml", "form", "apprise", "https", "x-own"],
)
def test_other_plugins_are_refused(scheme: str) -> None:
    """Nothing but the services that are named: no program, no file, no desktop, no plugin of somebody's own."""
    with pytest.raises(SettingsInvalid) as refused:
        load_settings(overrides={"notices": {"channels": {"room": f"{scheme}://hunter2/token"}}})
    said = str(refused.value)
    assert "flag: notices.channels: channel 'room' has an address" in said
    assert "allowed are env:NAME, file:PATH, or an Apprise URL that begins with discord" in said
    assert "hunter2" not in said
    with pytest.raises(ChannelUnusable, match="channel 'room' has an address"):
        open_channel("room", "env:ROOM", {"ROOM": f"{scheme}://hunter2/token"})


@pytest.mark.parametrize(
    "address", ["hunter2", "xoxb-hunter2", "", "slack:hunter2", "workflows://h/1?template=/etc/passwd"]
)
def test_what_is_no_address_is_refused_without_a_word_of_it(address: str) -> None:
    """A token that was pasted alone is not repeated; a template is a file of this machine."""
    with pytest.raises(SettingsInvalid) as refused:
        load_settings(overrides={"notices.channels": {"room": address}})
    assert "channel 'room' has an address" in str(refused.value)
    assert [word for word in ("hunter2", "passwd") if word in str(refused.value)] == []


@pytest.mark.parametrize(
    ("notices", "said"),
    [
        ({"people": {"lea": ["post"]}}, "'lea' names the channel 'post'; in notices.channels there are: none yet"),
        ({"mail": "post"}, "'mail' names the channel 'post'; in notices.channels there are: none yet"),
        ({"hold_minutes": {"opend": 3}}, "opend = 3; allowed are minutes from 0 for opened, decided"),
        ({"channels": {"room": 5}}, "notices.channels.room: Input should be a valid string"),
    ],
)
def test_refusals_say_what_is_there(notices: dict[str, object], said: str) -> None:
    """What names a channel or a kind that there is not says which there are."""
    with pytest.raises(SettingsInvalid) as refused:
        load_settings(overrides={"notices": notices})
    assert said in str(refused.value)


def test_addresses_are_masked(tmp_path: Path) -> None:
    """`signoff config` names channels and shows none; handles may have dots; a file may say it all."""
    config = tmp_path / "signoff.toml"
    config.write_text(
        '[notices]\nmail = "post"\n[notices.channels]\npost = "mailtos://u:hunter2@mail.example?from=s@e.example"\n'
        'room = "env:ROOM"\n[notices.people]\n"lea.b" = ["post", "room"]\n',
        encoding="utf-8",
    )
    settings = load_settings(config)
    shown = public_values(settings)
    assert "hunter2" not in json.dumps(shown) + repr(settings)
    assert shown["notices.channels"] == "post=**********, room=**********"
    assert shown["notices.people"] == "lea.b=post+room"
    assert settings.origins["notices.channels"] == str(config)


def test_references_are_followed_once(tmp_path: Path) -> None:
    """Into the environment or a file, which must hold an address, not another reference."""
    (tmp_path / "room").write_text("env:OTHER\n", encoding="utf-8")
    for address, said in (
        ("env:ROOM", "channel 'room': the environment variable ROOM is not set where flows run"),
        (f"file:{tmp_path}/none", "channel 'room': its file cannot be read (FileNotFoundError)"),
        (f"file:{tmp_path}/room", "channel 'room' refers on"),
    ):
        with pytest.raises(ChannelUnusable) as refused:
            open_channel("room", address, {})
        assert str(refused.value) == said
    assert open_channel("room", "env:ROOM", {"ROOM": " JSONS://h/p \n"}).scheme == "jsons"
    assert "hunter2" not in repr(open_channel("room", "json://hunter2/p"))
    assert {"mailto", "slack", "workflows", "json", "discord", "mmost", "ntfy", "rocket", "tgram"} <= SCHEMES


def test_the_example_of_the_guide_is_accepted(tmp_path: Path) -> None:
    """What docs/operator.md shows of `[notices]` can be used as it stands; each address it names in a remark, too."""
    text = (ROOT / "docs" / "operator.md").read_text(encoding="utf-8")
    shown = text.partition("## Notices")[2].partition("```toml\n")[2].partition("```")[0]
    (tmp_path / "signoff.toml").write_text(shown, encoding="utf-8")
    settings = load_settings(tmp_path / "signoff.toml").notices
    assert (settings.mail, settings.people["lea"], settings.groups["brand"]) == (
        "post", ("lea-phone", "post"), ("brand-room",),
    )  # fmt: skip
    assert settings.hold("opened").total_seconds() == 3600
    assert settings.hold("receipt").total_seconds() == 0
    remarks = [line.rpartition("# ")[2] for line in shown.splitlines() if "://" in line]
    assert [open_channel("remark", "env:IT", {"IT": one}).scheme for one in remarks] == [
        "mailtos",
        "slack",
        "ntfys",
        "jsons",
    ]
