"""Tell Prefect what happened to reviews, as events that its automations can act on: few calls, whatever happened."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import Any, Final
from uuid import NAMESPACE_URL, uuid5

from ledger.review_news import ReviewNews, ledger_id, review_news
from tasks.resources import Resources

PREFIX: Final = "signoff.review."
_A_CALL: Final = 200
_FIRST_LOOK: Final = timedelta(days=1)
"""How far back is told where Prefect has heard of nothing yet, or of nothing for a week."""
_LABELS: Final = ("signoff.ledger", "signoff.seq")


def tell_prefect(resources: Resources) -> int:
    """Send what happened to reviews since Prefect last heard of any; returns how many events.

    Two calls, and one for each 200 events. How far Prefect was told is asked of Prefect: nothing is kept here. Told
    again after a failure, an event has the same id. Raises `PrefectAway`, `PrefectRefused`.
    """
    with resources.ledger.reading() as connection:
        ledger = ledger_id(connection)
    if ledger is None:
        return 0
    heard = _heard(resources, ledger)
    with resources.ledger.reading() as connection:
        news = review_news(connection, heard, resources.clock.now() - _FIRST_LOOK)
    for start in range(0, len(news), _A_CALL):
        told = [_event(ledger, one) for one in news[start : start + _A_CALL]]
        resources.prefect.post("events", told)
    return len(news)


def _heard(resources: Resources, ledger: str) -> int | None:
    """The last event of this ledger's audit trail that Prefect was told of."""
    wanted = {
        "filter": {
            "event": {"prefix": [PREFIX]},
            "resource": {"labels": {_LABELS[0]: [ledger]}},
            "order": "DESC",
        },
        "limit": 50,
    }
    found = resources.prefect.post("events/filter", wanted)["events"]
    return max((int(one["resource"][_LABELS[1]]) for one in found), default=None)


def _event(ledger: str, news: ReviewNews) -> Mapping[str, Any]:
    """An event as the server takes it. No names of people, no comments."""
    name = f"{PREFIX}{news.name}"
    return {
        "id": str(uuid5(NAMESPACE_URL, f"{news.hash} {news.review_id} {name}")),
        "occurred": _occurred(news.at).isoformat(),
        "event": name,
        "resource": {
            "prefect.resource.id": f"{PREFIX}{news.review_id}",
            "prefect.resource.name": f"review {news.review_id} · {news.stage} · {news.collection}",
            _LABELS[0]: ledger,
            _LABELS[1]: str(news.seq),
        },
        "related": [
            _related("stage", f"signoff.stage.{news.stage}", news.stage),
            _related("collection", f"signoff.collection.{news.collection}", news.collection),
            *([_related("flow-run", f"prefect.flow-run.{news.flow_run_id}")] if news.flow_run_id else []),
        ],
        "payload": {
            "review": news.review_id,
            "round": news.round,
            "stage": news.stage,
            "collection": news.collection,
            "due_at": news.due_at.isoformat() if news.due_at else None,
            "verdicts": dict(news.verdicts),
        },
    }


def _related(role: str, resource_id: str, name: str | None = None) -> Mapping[str, str]:
    labels = {"prefect.resource.id": resource_id, "prefect.resource.role": role}
    return labels | ({"prefect.resource.name": name} if name else {})


def _occurred(at: datetime) -> datetime:
    """The moment by the server's clock, which is the system's: what another clock says is told as of now."""
    now = datetime.now(UTC)
    return at if now - _FIRST_LOOK < at <= now else now
