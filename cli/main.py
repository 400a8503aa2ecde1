"""The command `signoff`: its groups, and how errors and exit codes look.

Command modules import nothing heavy at the top; whatever a command needs is imported inside it. Exit codes: 0 done,
1 failed, 2 wrong usage.
"""

from __future__ import annotations

import os
import sys
from typing import Annotated, Final

import typer

from cli import absences, assets, demo, doctor, ingest, ledger, metrics, notices, people, reviews, up
from cli.audit import app as audit_app
from cli.policy import app as policy_app

_PACKAGES: Final = ("cli", "flows", "tasks", "ledger", "analytics", "classifiers", "policies")
_OWN_ERRORS: Final = frozenset(f"{package}.errors" for package in _PACKAGES)

app = typer.Typer(
    name="signoff",
    help="Content approval on Prefect: screen, review, publish, archive, and know who decided what.",
    no_args_is_help=True,
    add_completion=True,
    pretty_exceptions_enable=False,
)


@app.callback()
def _signoff(
    debug: Annotated[bool, typer.Option("--debug", help="Show the traceback of an error.")] = False,
) -> None:
    del debug  # read by `main`, which outlives the command


for _command in (
    demo.demo,
    up.up,
    up.down,
    up.status,
    up.config,
    doctor.doctor,
    ingest.ingest,
    reviews.reviews,
    reviews.decide,
    assets.ls,
    assets.show,
):
    app.command()(_command)
app.add_typer(audit_app, name="audit")
app.add_typer(ledger.app, name="ledger")
app.add_typer(metrics.app, name="metrics")
app.add_typer(policy_app, name="policy")
app.add_typer(notices.app, name="notices")
for _absence in (absences.delegate, absences.undelegate, absences.away, absences.load):
    people.app.command()(_absence)
app.add_typer(people.app, name="people")


def main() -> None:
    """Run the command that was typed; our own errors become one message and exit code 1."""
    _bypass_proxy()
    try:
        app()
    except Exception as error:  # the outermost place: what is not ours is raised again
        if "--debug" in sys.argv or not _is_own(error):
            raise
        from cli.output import harmless  # it may quote a name, or a log that does

        typer.secho(f"error: {harmless(str(error))}", err=True, fg="red")
        sys.exit(1)


def _is_own(error: Exception) -> bool:
    return any(base.__module__ in _OWN_ERRORS for base in type(error).__mro__)


def _bypass_proxy() -> None:
    """Keep a proxy of the environment away from the stack, which is on the loopback address."""
    listed = os.environ.get("NO_PROXY") or os.environ.get("no_proxy")
    bypass = ",".join(filter(None, [listed, "127.0.0.1", "localhost"]))
    os.environ["NO_PROXY"] = os.environ["no_proxy"] = bypass


if __name__ == "__main__":
    main()
