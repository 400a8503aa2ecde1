"""`signoff people enrol`, `recover`, `unenrol`, `rekey`, `disown`: what people sign with, and what was not them."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from cli.errors import CliError
from cli.options import ConfigOption, HomeOption, JsonOption, read_settings
from cli.output import print_json

if TYPE_CHECKING:
    from tasks.resources import Resources

_HandleArgument = Annotated[str, typer.Argument(help="Whose: the handle in the roster.")]


class PictureInTheWay(CliError):
    """A file exists where the QR code should be written."""

    def __init__(self, path: Path) -> None:
        super().__init__(f"{path} exists and is not overwritten; name another file. Nothing was changed")
        self.path = path


def enrol(
    handle: _HandleArgument,
    confirm: Annotated[
        str | None, typer.Option("--confirm", help="A code of the authenticator that was begun before.")
    ] = None,
    old_code: Annotated[
        str | None, typer.Option("--old-code", help="A code of the authenticator that is to be replaced.")
    ] = None,
    png: Annotated[
        Path | None, typer.Option("--png", help="Write the QR code into this file, readable by you only.")
    ] = None,
    config: ConfigOption = None,
    home: HomeOption = None,
    as_json: JsonOption = False,
) -> None:
    """Enrol an authenticator app: shows the QR code, and takes a code of it before it counts.

    In a terminal it asks for that code at once; elsewhere, or later: `--confirm CODE`.
    """
    from tasks import enrol_person
    from tasks.sign_act import signs_with_a_code

    resources = _resources(config, home)
    if confirm is not None:
        enrol_person.confirm(resources, handle, confirm)
        _say({"handle": handle, "enrolled": True}, f"{handle} signs with this authenticator now.", as_json=as_json)
        return
    if png is not None and png.exists():
        raise PictureInTheWay(png)
    if old_code is None and not as_json and sys.stdin.isatty() and signs_with_a_code(resources, handle):
        old_code = _ask("Code of the authenticator that is to be replaced")
    begun = enrol_person.begin(resources, handle, old_code)
    if png is not None:
        _write_png(png, begun.uri)
    if as_json:
        print_json({"handle": handle, "enrolled": False, "uri": begun.uri, "replaces": begun.replaces})
        return
    _show(begun.uri, png)
    if sys.stdin.isatty():
        enrol_person.confirm(resources, handle, _ask("Code that the app shows now"))
        typer.echo(f"{handle} signs with this authenticator now.")
    else:
        typer.echo(f"It counts once confirmed: `signoff people enrol {handle} --confirm CODE`, with a code of it.")


def recover(
    handle: _HandleArgument,
    by: Annotated[str, typer.Option("--by", help="Handle of one of the group that owns the quarantine.")],
    second: Annotated[str, typer.Option("--second", help="Handle of another person.")],
    code: Annotated[str | None, typer.Option("--code", help="Code of the first, when enrolled.")] = None,
    second_code: Annotated[str | None, typer.Option("--second-code", help="Code of the second, when enrolled.")] = None,
    config: ConfigOption = None,
    home: HomeOption = None,
    as_json: JsonOption = False,
) -> None:
    """Take somebody's authenticator out, by two others, for who has lost it: the person enrols anew after that."""
    from tasks import enrol_person
    from tasks.sign_act import signs_with_a_code

    resources = _resources(config, home)
    codes: dict[str, str] = {}
    for helper, given in ((by, code), (second, second_code)):
        asked = given
        if given is None and sys.stdin.isatty() and signs_with_a_code(resources, helper):
            asked = _ask(f"Code of {helper}")
        codes |= {} if asked is None else {helper: asked}
    enrol_person.recover(resources, handle, by, second, codes)
    said = f"{handle} has no authenticator now; `signoff people enrol {handle}` enrols one."
    _say({"handle": handle, "enrolled": False}, said, as_json=as_json)


def unenrol(
    handle: _HandleArgument,
    code: Annotated[str | None, typer.Option("--code", help="A code of the authenticator.")] = None,
    config: ConfigOption = None,
    home: HomeOption = None,
    as_json: JsonOption = False,
) -> None:
    """Take an authenticator out, for a code of it. Who has lost it is recovered by two others instead."""
    from tasks import enrol_person

    given = _ask("Code that the app shows now") if code is None and sys.stdin.isatty() else code
    enrol_person.end(_resources(config, home), handle, given or "")
    _say({"handle": handle, "enrolled": False}, f"{handle} has no authenticator now.", as_json=as_json)


def code(handle: _HandleArgument, config: ConfigOption = None, home: HomeOption = None) -> None:
    """In a demo: print the code that the authenticator of this person would show now."""
    from tasks.demo_authenticators import demo_code, is_demo

    resources = _resources(config, home)
    if not is_demo(resources.settings.home):
        raise typer.BadParameter("No such command 'code': it is of the demo, where programs hold the authenticators.")
    typer.echo(demo_code(resources, handle))


def rekey(config: ConfigOption = None, home: HomeOption = None, as_json: JsonOption = False) -> None:
    """Exchange the identity key and seal every secret with the new one; authenticators stay as they are."""
    from tasks.enrol_person import rekey as exchange

    done = exchange(_resources(config, home))
    said = f"Identity key {done.key_id} seals everything now; {done.secrets} secrets were sealed anew."
    _say({"key": done.key_id, "secrets": done.secrets}, said, as_json=as_json)


def disown(
    token: Annotated[str, typer.Argument(help="The token of the receipt, as its message has it.")],
    config: ConfigOption = None,
    home: HomeOption = None,
    as_json: JsonOption = False,
) -> None:
    """Say of a receipt “this was not me”: what it published is withdrawn, what it settled is asked again."""
    from tasks.receipts import disown_decision

    done = disown_decision(_resources(config, home), token)
    document = {
        "decisions": done.decisions,
        "withdrawn": len(done.withdrawn),
        "asked_again": len(done.asked_again),
        "reopened": len(done.reopened),
        "doubted": len(done.doubted),
        "held_again": len(done.held_again),
        "unchanged": len(done.unchanged),
        "authenticator_ended": done.ended,
    }
    if not done.decisions:
        _say(document, "These decisions were disowned before; nothing was changed.", as_json=as_json)
        return
    anew = " Your authenticator is trusted no longer: two others recover it." if done.ended else ""
    said = (
        f"{done.decisions} decisions are disowned: {document['withdrawn']} versions will be withdrawn, "
        f"{document['asked_again']} are reviewed again, {document['reopened']} are reopened, {document['doubted']} "
        f"will be asked again before they are published, {document['held_again']} go back into quarantine, "
        f"{document['unchanged']} stay as they are; their owners are told.{anew}"
    )
    _say(document, said, as_json=as_json)


def _resources(config: Any, home: Any) -> Resources:
    from ledger.schema import check_ledger
    from tasks.resources import Resources

    resources = Resources(read_settings(config, home))
    check_ledger(resources.ledger)
    return resources


def _ask(what: str) -> str:
    answer: str = typer.prompt(what, hide_input=True, err=True)
    return answer.strip()


def _say(document: dict[str, Any], sentence: str, *, as_json: bool) -> None:
    if as_json:
        print_json(document)
    else:
        typer.echo(sentence)


def _show(uri: str, png: Path | None) -> None:
    import segno

    if png is not None:
        typer.echo(f"The QR code is in {png}: delete the file once it was read.")
        return
    segno.make(uri, error="m").terminal(out=sys.stdout, compact=True)
    typer.echo(f"Or type it into the app: {uri}")


def _write_png(path: Path, uri: str) -> None:
    import segno

    with os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as file:
        segno.make(uri, error="m").save(file, kind="png", scale=8)
