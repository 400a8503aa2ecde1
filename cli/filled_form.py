"""Fill a review's form from what was typed: what the form would refuse is refused before, and says what to type."""

from __future__ import annotations

import sys
from collections.abc import Mapping, Sequence
from typing import Any, Final

import typer

from policies.one_time_code import is_code

VERDICTS: Final = ("approve", "waive", "request_changes", "reject", "release", "reopen", "withdraw")


def filled_form(
    schema: Mapping[str, Any],
    who: tuple[str, str | None],
    verdict: str,
    comment: str | None,
    exceptions: Sequence[str],
) -> dict[str, Any]:
    """The answer to the form `schema`; `who` is a handle, and the name of whom that person stands in for, if anybody.

    Raises `typer.BadParameter`, which names what the form offers.
    """
    properties = schema.get("properties", {})
    reviewers = properties.get("reviewer", {}).get("enum", [])
    of_exceptions = properties.get("exceptions", {}).get("items", {})
    assets = of_exceptions.get("properties", {}).get("asset", {}).get("enum", [])
    _check_verdict(schema, verdict, comment, "VERDICT", "--comment")
    answer: dict[str, Any] = {"decision": verdict, "reviewer": _reviewer(reviewers, *who)}
    if comment:
        answer["comment"] = comment
    if exceptions:
        answer["exceptions"] = [_exception(of_exceptions, text, assets) for text in exceptions]
    return answer


def signed_form(schema: Mapping[str, Any], code: str | None) -> dict[str, str]:
    """The code, where the form asks for one; in a terminal it is asked for, and not shown."""
    if "code" not in schema.get("properties", {}):
        if code is not None:
            raise typer.BadParameter("this review is not signed: leave it out", param_hint="--code")
        return {}
    if code is None:
        if not sys.stdin.isatty():
            raise typer.BadParameter("this stage wants a code of your authenticator app", param_hint="--code")
        code = typer.prompt("Code from your authenticator app", hide_input=True, err=True)
    if not is_code(code.strip()):
        raise typer.BadParameter("a code is six digits", param_hint="--code")
    return {"code": code.strip()}


def _exception(schema: Mapping[str, Any], text: str, assets: Sequence[str]) -> dict[str, str]:
    number, _, rest = text.partition("=")
    verdict, _, comment = rest.partition(":")
    if verdict not in VERDICTS:
        raise typer.BadParameter(
            f"{text!r}; write NUMBER=DECISION:COMMENT, such as 3=reject:blurred", param_hint="--except"
        )
    _check_verdict(schema, verdict, comment, "--except", f"--except '{number}={verdict}:WHY'")
    exception = {"asset": _asset(assets, number), "decision": verdict}
    return exception | ({"comment": comment} if comment else {})


def _check_verdict(schema: Mapping[str, Any], verdict: str, comment: str | None, hint: str, say: str) -> None:
    """Raise unless the form (or its part for exceptions) offers this decision, with the comment that it wants."""
    offered = schema.get("properties", {}).get("decision", {}).get("enum", [verdict])
    if verdict not in offered:
        raise typer.BadParameter(f"{verdict!r} is not offered here; allowed: {', '.join(offered)}", param_hint=hint)
    explained = schema.get("if", {}).get("properties", {}).get("decision", {}).get("enum", [])
    if verdict in explained and not (comment or "").strip():
        raise typer.BadParameter(f"{verdict!r} needs a reason: say why with {say}", param_hint=hint)


def _asset(choices: Sequence[str], number: str) -> str:
    fitting = [choice for choice in choices if choice.split(" · ", 1)[0] == number or choice == number]
    if len(fitting) != 1:
        offered = ", ".join(choice.split(" · ", 1)[0] for choice in choices) or "nothing"
        raise typer.BadParameter(
            f"{number!r} is not offered by this review; it offers {offered}", param_hint="--except"
        )
    return fitting[0]


def _reviewer(choices: Sequence[str], handle: str, principal: str | None) -> str:
    """The line of the form that begins with this handle: their own, unless they act for somebody or have no other.

    >>> offered = ["lea · Lea Brandt", "lea · Lea Brandt, for Max", "tim, for Max"]
    >>> _reviewer(offered, "lea", None), _reviewer(offered, "lea", "Max"), _reviewer(offered, "tim", None)
    ('lea · Lea Brandt', 'lea · Lea Brandt, for Max', 'tim, for Max')
    """
    theirs = [one for one in choices if one == handle or one.startswith((f"{handle} · ", f"{handle}, for "))]
    if not theirs:
        offered = ", ".join(dict.fromkeys(one.split(" · ", 1)[0].split(", for ", 1)[0] for one in choices)) or "nobody"
        raise typer.BadParameter(f"{handle!r} is not offered by this review; it offers {offered}", param_hint="--as")
    own = [one for one in theirs if all(other.startswith(one) for other in theirs)]
    fitting = own or theirs if principal is None else [one for one in theirs if one.endswith(f", for {principal}")]
    if len(fitting) != 1:
        offered = "; ".join(theirs)
        raise typer.BadParameter(f"say for whom, as the form does; it offers {offered}", param_hint="--for")
    return fitting[0]
