"""Make Prefect's run list an inbox: reviews that are due today, overdue, reminded or escalated say so.

Stage, collection and the people who are asked are tags from birth: `tasks.park_reviews` gives them.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, tzinfo
from typing import Any, Final
from zoneinfo import ZoneInfo

from ledger.reader import waiting_reviews
from ledger.waits import rungs_of_reviews
from policies.errors import PolicyInvalid
from tasks.errors import NoActivePolicy
from tasks.resources import Resources

REMINDED, DUE_TODAY, OVERDUE, ESCALATED = "reminded", "due-today", "overdue", "escalated"
_MARKS: Final = (REMINDED, DUE_TODAY, OVERDUE, ESCALATED)
_MARKED: Final = re.compile(rf" · ({'|'.join(_MARKS)})$")
_PAGE: Final = 200


def tag_runs(resources: Resources) -> int:
    """Bring tags and names of waiting runs to what the ledger says of their reviews; returns how many had to change.

    One call for 200 such runs and one for each change; reviews that are not due and were not reminded cost none. Today
    is a day of the active policy's calendar.
    Raises `PrefectAway` (transient).
    """
    with resources.ledger.reading() as connection:
        rows, rungs = waiting_reviews(connection), rungs_of_reviews(connection)
    waiting = [row for row in rows if row["status"] == "parked"]
    now = resources.clock.now().astimezone(_zone(resources) if waiting else UTC)
    marked = ((row["flow_run_id"], marks_of(row["due_at"], now, *rungs.get(row["review"], (0, 0)))) for row in waiting)
    wanted = {flow_run_id: marks for flow_run_id, marks in marked if marks}
    ids = list(wanted)
    changed = 0
    for start in range(0, len(ids), _PAGE):
        page = {"flow_runs": {"id": {"any_": ids[start : start + _PAGE]}}, "limit": _PAGE}
        for run in resources.prefect.post("flow_runs/filter", page):
            changed += _mark(resources, run, wanted[run["id"]])
    return changed


def marks_of(due_at: datetime | None, now: datetime, reminders: int, escalations: int) -> tuple[str, ...]:
    """What a review's run is tagged with, the most urgent last: a review that was escalated was overdue once.

    Today is the day that `now` has in its zone.

    >>> now = datetime(2026, 11, 24, 12, tzinfo=UTC)
    >>> marks_of(None, now, reminders=1, escalations=0)
    ('reminded',)
    >>> marks_of(now.replace(hour=17), now, reminders=0, escalations=0), marks_of(now.replace(hour=9), now, 0, 0)
    (('due-today',), ('overdue',))
    """
    late = due_at is not None and due_at < now
    today = due_at is not None and not late and due_at.astimezone(now.tzinfo).date() == now.date()
    holds = (reminders > 0, today, late or escalations > 0, escalations > 0)
    return tuple(mark for mark, holding in zip(_MARKS, holds, strict=True) if holding)


def _zone(resources: Resources) -> tzinfo:
    try:
        return ZoneInfo(resources.active_policy().document.calendar.timezone)
    except (NoActivePolicy, PolicyInvalid):
        return UTC


def marked_name(name: str, marks: Sequence[str]) -> str:
    """The name of a run with its most urgent mark at the end.

    >>> marked_name("review 7 · brand · spring · reminded", ("reminded", "overdue"))
    'review 7 · brand · spring · overdue'
    """
    plain = _MARKED.sub("", name)
    return f"{plain} · {marks[-1]}" if marks else plain


def _mark(resources: Resources, run: Mapping[str, Any], marks: Sequence[str]) -> bool:
    name = marked_name(run["name"], marks)
    tags = sorted({*run["tags"], *marks} - (set(_MARKS) - set(marks)))
    if (name, tags) == (run["name"], sorted(run["tags"])):
        return False
    resources.prefect.call("PATCH", f"flow_runs/{run['id']}", {"name": name, "tags": tags}, allow=(404,))
    return True
