"""What a terminal is given: one line a cell, and nothing that it would obey."""

from __future__ import annotations

import json

import pytest

from cli import main
from cli.errors import CliError
from cli.output import print_json, print_table, shown


def test_a_key_cannot_act_on_a_terminal_nor_pretend_to_be_a_row(capsys: pytest.CaptureFixture[str]) -> None:
    """Escapes, line breaks and marks that turn the writing direction are shown, not obeyed; markup is text."""
    key = "a\x1b]0;owned\x07\u202egpj.\n[red]b.jpg  published"
    print_table(("key", "state"), [(key, "rejected")], empty="")
    out = capsys.readouterr().out
    assert r"a\x1b]0;owned\x07\u202egpj.\n[red]b.jpg  published" in out
    assert not any(char in out for char in "\x1b\x07\u202e")
    assert len(out.splitlines()) == 2


def test_json_cannot_act_on_a_terminal_and_says_the_same(capsys: pytest.CaptureFixture[str]) -> None:
    """A control of the second kind, marks of direction, tags, half a pair: escaped, and read back as they are."""
    value = {"key": "a\x9b31m\x1b]0;x\x07\u202egpj\u2028\U000e0041\ud800.jpg", "name": "Müller 👩\u200d💻"}
    print_json(value)
    out = capsys.readouterr().out
    assert json.loads(out) == value
    assert not any(char in out for char in "\x9b\x1b\x07\u202e\u2028\U000e0041\ud800")
    assert "Müller 👩\u200d💻" in out


def test_no_rows_are_said(capsys: pytest.CaptureFixture[str]) -> None:
    """An empty answer is a sentence."""
    print_table(("key",), [], empty="Nothing is new.")
    assert capsys.readouterr().out == "Nothing is new.\n"


def test_values_are_shown_briefly() -> None:
    """Nothing is a dash, numbers have two digits."""
    assert [shown(None), shown(0.12345), shown(3)] == ["–", "0.12", "3"]


def test_an_error_cannot_act_on_a_terminal(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    """Whatever an error quotes, such as the end of a log that names an asset."""

    def fail() -> None:
        raise CliError("the log says:\n  | \x1b]0;owned\x07\x9b31m")

    monkeypatch.setattr(main, "app", fail)
    with pytest.raises(SystemExit):
        main.main()
    assert "error: the log says:\n  | \\x1b]0;owned\\x07\\x9b31m" in capsys.readouterr().err
