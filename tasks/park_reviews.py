"""Park reviews: a suspended flow run each, made without a process, and marked in the ledger afterwards."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

from ledger.announce import announce_opened
from ledger.decide import note_lost_run
from ledger.errors import StaleVersion
from ledger.review import Review, load_reviews
from ledger.rounds import close_emptied_reviews, close_round, is_waiting, mark_parked, parkings_to_do, tokens_of_rounds
from ledger.transaction import Transaction
from policies.review_form import form_description, form_schema
from tasks.draw_review import draw_review, due_of
from tasks.errors import PrefectAway, ReviewRunLost, TaskError, TransientError
from tasks.form_marks import is_own_schema, key_mark, marked_schema
from tasks.link_rounds import link_rounds
from tasks.park_run import Form, ParkedRun, close_run, park_runs
from tasks.resources import Resources

DEPLOYMENT: Final = "decide-review/signoff"
_ATTEMPTS: Final = 3
_TOGETHER: Final = 16
"""Reviews that are drawn, made runs of in one call, and marked in one transaction."""


@dataclass(frozen=True, slots=True)
class ParkedReview:
    """A round that now waits for its reviewers in Prefect."""

    review_id: int
    round: int
    stage: str
    collection: str
    assets: int
    due_at: datetime
    flow_run_id: str
    url: str


def park_reviews(resources: Resources, actor: str, flow_run_id: str | None = None) -> list[ParkedReview]:
    """Park every round that the ledger notes as `to park`, after closing the reviews that have become empty.

    At most three calls to Prefect's API a review, however many assets it holds, and one more from its second round on:
    the run before links to the new one. A crash anywhere is mended by the next
    call: the run's idempotency key is (review, round). A round whose run was ended in Prefect before it was marked is
    parked as the next round instead. What keeps one review from being parked stops no other: it is raised at the end,
    what may pass (`PrefectAway`) first, with those reviews still to park.
    """
    close_emptied(resources, actor, flow_run_id)
    parked: list[ParkedReview] = []
    errors: list[Exception] = []
    tried: set[tuple[int, int]] = set()
    for _ in range(_ATTEMPTS):
        with resources.ledger.reading() as connection:
            waiting = [one for one in parkings_to_do(connection) if one not in tried]
        if not waiting:
            break
        tried.update(waiting)
        groups = [waiting[start : start + _TOGETHER] for start in range(0, len(waiting), _TOGETHER)]
        for drawn in _drawn_ahead(resources, groups):
            errors.extend(one for one in drawn if isinstance(one, Exception))
            ready = [one for one in drawn if isinstance(one, _Drawn)]
            parked.extend(_park_group(resources, ready, errors, actor, flow_run_id))
            if any(isinstance(error, PrefectAway) for error in errors):
                break
    if errors:
        raise next((error for error in errors if isinstance(error, TransientError)), errors[0])
    return parked


def _drawn_ahead(
    resources: Resources, groups: Iterable[Sequence[tuple[int, int]]]
) -> Iterator[list[_Drawn | Exception]]:
    """Draw one group while the calls of the one before are under way: calls at once only wait for each other."""
    with ThreadPoolExecutor(1, thread_name_prefix="draw") as pool:
        following: Future[list[_Drawn | Exception]] | None = None
        for group in groups:
            drawn, following = following, pool.submit(_draw_group, resources, group)
            if drawn is not None:
                yield drawn.result()
        if following is not None:
            yield following.result()


def close_emptied(resources: Resources, actor: str, flow_run_id: str | None = None) -> Sequence[str]:
    """Close reviews none of whose gates is open (superseded, voided), here and in Prefect; returns their run ids."""
    with resources.ledger.writing(resources.origin(actor, flow_run_id)) as tx:
        runs = close_emptied_reviews(tx)
    for run in runs:
        close_run(resources.prefect, run, "Nothing is left to decide in this review: its assets moved on.")
    return runs


@dataclass(frozen=True, slots=True)
class _Drawn:
    """A review with its form, ready to be parked."""

    review: Review
    token: str | None
    due_at: datetime
    form: Form


def _draw_group(resources: Resources, rounds: Sequence[tuple[int, int]]) -> list[_Drawn | Exception]:
    with resources.ledger.reading() as connection:
        reviews = load_reviews(connection, rounds, now=resources.clock.now())
        tokens = tokens_of_rounds(connection, rounds)
    return [
        _or_error(resources, one, tokens.get((one.review_id, one.round)))
        for one in reviews
        if one.status == "to_park" and one.open_items
    ]


def _or_error(resources: Resources, review: Review, token: str | None) -> _Drawn | Exception:
    try:
        return _draw(resources, review, token)
    except Exception as error:  # noqa: BLE001 — raised when the other reviews are parked
        error.add_note(f"while review {review.review_id} was drawn")
        return error


def _park_group(
    resources: Resources, drawn: Sequence[_Drawn], errors: list[Exception], actor: str, flow_run_id: str | None
) -> list[ParkedReview]:
    """Park some rounds together; what somebody else parked or closed meanwhile is left to them."""
    runs = [
        _unless_forged(resources, one, run)
        for one, run in zip(drawn, park_runs(resources.prefect, DEPLOYMENT, [one.form for one in drawn]), strict=True)
    ]
    held = [(one, run) for one, run in zip(drawn, runs, strict=True) if isinstance(run, ParkedRun)]
    try:
        with resources.ledger.writing(resources.origin(actor, flow_run_id)) as tx:
            for one, run in held:
                _mark(tx, one, run)
            announce_opened(tx, [one.review for one, _ in held])
    except StaleVersion:
        held = [(one, run) for one, run in held if _mark_alone(resources, one, run, actor, flow_run_id)]
    for one, lost in zip(drawn, runs, strict=True):
        if isinstance(lost, ReviewRunLost):
            with resources.ledger.writing(resources.origin(actor, flow_run_id)) as tx:
                reason = f"The run before was {lost.state}."
                if is_waiting(tx.connection, one.review.review_id, one.review.round):
                    why = "ended before it could be answered"
                    note_lost_run(tx, one.review.review_id, one.review.round, lost.flow_run_id, why)
                close_round(tx, one.review.review_id, one.review.round, "replaced", reason)
        elif not isinstance(lost, ParkedRun):
            errors.append(lost)
    link_rounds(resources.prefect, _asked_again(held))
    return [_parked(one, run) for one, run in held]


def _asked_again(held: Sequence[tuple[_Drawn, ParkedRun]]) -> Iterator[tuple[int, int, str, str]]:
    for one, run in held:
        if one.review.previous_flow_run_id is not None:
            yield one.review.review_id, one.review.round, one.review.previous_flow_run_id, run.url


def _draw(resources: Resources, review: Review, token: str | None) -> _Drawn:
    sheet = draw_review(resources, review)
    description = form_description(sheet)
    form = Form(
        idempotency_key=idempotency_key(review, token),
        name=run_name(review),
        tags=["signoff", f"stage:{review.stage}", f"collection:{review.collection}", *_for_whom(review)],
        schema=marked_schema(token, form_schema(sheet), description),
        description=description,
    )
    return _Drawn(review, token, due_of(resources, review, resources.policy(review.policy_sha256)), form)


def _unless_forged(resources: Resources, one: _Drawn, run: ParkedRun | TaskError) -> ParkedRun | TaskError:
    """A parked run; it is given up if somebody exchanged its form between an earlier attempt and this one."""
    if not isinstance(run, ParkedRun) or run.schema is None or is_own_schema(one.token, run.schema):
        return run
    close_run(resources.prefect, run.flow_run_id, "Its form was exchanged by somebody else.")
    return ReviewRunLost(run.flow_run_id, "given another form by somebody else")


def _for_whom(review: Review) -> list[str]:
    """A tag for each person whose decision is awaited, so that everybody can filter the run list by their handle."""
    return [f"for:{handle}" for handle in sorted({one.handle for one in review.people if not one.has_decided})]


def _mark(tx: Transaction, one: _Drawn, run: ParkedRun) -> None:
    basis = shown_basis(run.schema) or {item.gate_id: item.basis for item in one.review.open_items}
    mark_parked(
        tx, one.review.review_id, one.review.round, run.flow_run_id, basis, one.due_at, _offered(one.review, run)
    )


def _offered(review: Review, run: ParkedRun) -> list[tuple[int, int]]:
    """Whom the form offers, in a review of versions; nobody for sure if an earlier attempt may have written it."""
    known = review.is_of_versions and run.created
    return [(one.person_id, one.on_behalf_of) for one in review.people] if known else []


def _mark_alone(resources: Resources, one: _Drawn, run: ParkedRun, actor: str, flow_run_id: str | None) -> bool:
    """Mark a round by itself; False if somebody else parked or closed it meanwhile."""
    try:
        with resources.ledger.writing(resources.origin(actor, flow_run_id)) as tx:
            _mark(tx, one, run)
            announce_opened(tx, [one.review])
    except StaleVersion:
        close_run(resources.prefect, run.flow_run_id, "This round of the review ended before its form was complete.")
        return False
    return True


def _parked(one: _Drawn, run: ParkedRun) -> ParkedReview:
    return ParkedReview(
        review_id=one.review.review_id,
        round=one.review.round,
        stage=one.review.stage,
        collection=one.review.collection,
        assets=len(one.review.open_items),
        due_at=one.due_at,
        flow_run_id=run.flow_run_id,
        url=run.url,
    )


def idempotency_key(review: Review, token: str | None) -> str:
    """Names this round of this review in this ledger for Prefect; `token` is the round's.

    The opening time is part of it: a ledger that was begun anew must not find the runs of the one before. So is a mark
    that nobody can know before the run exists: otherwise a stranger could make the run, with a form of their own.
    """
    key = f"signoff-review-{review.review_id}-{review.opened_at:%Y%m%dT%H%M%S.%f}-round-{review.round}"
    return key if token is None else f"{key}-{key_mark(token)}"


def parse_idempotency_key(key: str) -> tuple[int, int] | None:
    """(review, round) that a key names, None if it is not one of ours.

    >>> parse_idempotency_key("signoff-review-12-20261124T080000.000000-round-3")
    (12, 3)
    """
    found = re.fullmatch(r"signoff-review-(\d{1,15})-[\dT.]+-round-(\d{1,9})(?:-[0-9a-f]+)?", key)
    return None if found is None else (int(found[1]), int(found[2]))


def run_name(review: Review) -> str:
    """What the run list shows."""
    again = f" · round {review.round}" if review.round > 1 else ""
    return f"review {review.review_id} · {review.stage} · {review.collection}{again}"


def shown_basis(schema: Mapping[str, Any] | None) -> dict[int, str]:
    """Gate id → basis, of what a form in Prefect shows; an earlier attempt than the present one may have written it."""
    shown = (schema or {}).get("x-signoff", {}).get("basis", {})
    return {int(gate_id): str(basis) for gate_id, basis in shown.items()}
