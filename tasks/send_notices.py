"""Send what waits in the outbox: a message for each person or room, by the first of its channels that takes it."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Final

from ledger.outbox import claim_notices, give_up_notices, load_notices, mark_failed, mark_sent
from ledger.transaction import Origin
from tasks.channels import Refusal, deliver, open_channel, text_limit
from tasks.errors import ChannelUnusable
from tasks.notice_messages import Message, compose, plan_messages, why_pointless
from tasks.resources import Resources

CLAIMED_FOR: Final = timedelta(minutes=15)
"""Longer than a sweep lasts: whoever finds a claim that is over may take its sender for dead."""
_SWEEP_S: Final = 240.0
"""After this a sweep ends; what its channels have still in hand is tried anew when its claim is over."""
_TROUBLES: Final = 3
"""Messages in a row to which a channel does not answer, after which it is left alone until the next sweep."""
_FIRST_RETRY: Final = timedelta(minutes=2)
_LONGEST_RETRY: Final = timedelta(hours=4)


@dataclass(slots=True)
class NoticesSent:
    """What a sweep came to, in notices; `messages` went out. `unreachable`: no channel is set for their person."""

    messages: int = 0
    sent: int = 0
    failed: int = 0
    given_up: int = 0
    unreachable: int = 0
    troubles: set[str] = field(default_factory=set)
    """Channels that could not be used, and why; no address is in it."""


def send_notices(resources: Resources, actor: str, flow_run_id: str | None = None) -> NoticesSent:
    """Send every notice whose time has come, together with those of the same person or room that wait for company.

    What is not sent is tried again later and given up in the end; what has become pointless is given up now. Senders
    that overlap send nothing twice; one that dies between sending and marking has its message sent again, under the
    same id. No channel waits for another one. Raises `LedgerBusy` (transient).
    """
    done = NoticesSent()
    settings, now = resources.settings.notices, resources.clock.now()
    with resources.ledger.reading() as connection:
        waiting = load_notices(connection)
    pointless = {one.notice_id: why for one in waiting if (why := why_pointless(one, settings, now))}
    if pointless:
        with resources.ledger.writing(resources.origin(actor, flow_run_id)) as tx:
            give_up_notices(tx, pointless)
        done.given_up = len(pointless)
    messages, unreachable = plan_messages(resources, waiting)
    done.unreachable = len(unreachable)
    outgoing = _Outgoing(resources, done, lambda: resources.origin(actor, flow_run_id))
    outgoing.send_all(messages)
    return done


def next_attempt(now: datetime, attempts: int) -> datetime:
    """When a message that failed is tried again: after 2 minutes, then twice as long each time, at most 4 hours.

    >>> now = datetime(2026, 11, 24)
    >>> [str(next_attempt(now, attempts) - now) for attempts in (1, 2, 5, 12)]
    ['0:02:00', '0:04:00', '0:32:00', '4:00:00']
    """
    return now + min(_FIRST_RETRY * (1 << min(attempts - 1, 20)), _LONGEST_RETRY)


class _Outgoing:
    """One sweep's messages on their way: a thread for each channel, so that a slow one keeps nobody else waiting."""

    def __init__(self, resources: Resources, done: NoticesSent, origin: Callable[[], Origin]) -> None:
        self._resources, self._done, self._origin = resources, done, origin
        self._lock = threading.Lock()
        self._errors: list[Exception] = []

    def send_all(self, messages: Iterable[Message]) -> None:
        """Send these, and return when all is done or the sweep's time is over. Raises what kept a sender from work."""
        by_channel: dict[str, list[Message]] = {}
        for message in messages:
            by_channel.setdefault(message.route[0][0], []).append(message)
        senders = [
            threading.Thread(target=self._send_in_turn, args=(group,), daemon=True) for group in by_channel.values()
        ]
        for sender in senders:
            sender.start()
        ends_at = time.monotonic() + _SWEEP_S
        for sender in senders:
            sender.join(max(0.0, ends_at - time.monotonic()))
        if self._errors:
            raise self._errors[0]

    def _send_in_turn(self, messages: Iterable[Message]) -> None:
        troubles = 0
        for message in messages:
            try:
                troubles = 0 if self._send(message) else troubles + 1
            except Exception as error:  # noqa: BLE001 (raised by `send_all`, in the thread that waits)
                self._errors.append(error)
                return
            if troubles == _TROUBLES:
                return

    def _send(self, message: Message) -> bool:
        """Claim, send, mark; True unless its channels did not answer."""
        ids = [one.notice_id for one in message.notices]
        with self._resources.ledger.writing(self._origin()) as tx:
            if not claim_notices(tx, ids, message.message_id, tx.origin.at + CLAIMED_FOR):
                return True  # another sweep has it
        scheme, refusal = self._deliver(message)
        with self._resources.ledger.writing(self._origin()) as tx, self._lock:
            if refusal is None:
                mark_sent(tx, ids, message.message_id, scheme)
                self._done.messages += 1
                self._done.sent += len(ids)
            else:
                again = {one.notice_id: next_attempt(tx.origin.at, one.attempts + 1) for one in message.notices}
                mark_failed(tx, again, message.message_id, refusal.reason, perhaps_sent=refusal.perhaps_sent)
                self._done.failed += len(ids)
        return refusal is None or refusal.answered

    def _deliver(self, message: Message) -> tuple[str, Refusal | None]:
        """The kind of channel that took the message, or why the last of them did not."""
        settings = self._resources.settings.notices
        last, perhaps_sent = Refusal("its channel cannot be used"), False
        for name, recipient in message.route:
            try:
                channel = open_channel(name, settings.channels[name].get_secret_value())
                text = compose(self._resources, message, chat=channel.formats, limit=text_limit(channel))
                refusal = deliver(channel, recipient, text, message.message_id, settings.timeout_s)
            except ChannelUnusable as error:
                with self._lock:
                    self._done.troubles.add(str(error))
                continue
            if refusal is None:
                return channel.scheme, None
            last, perhaps_sent = refusal, perhaps_sent or refusal.perhaps_sent
            with self._lock:
                self._done.troubles.add(f"channel {name!r}: {refusal.reason}")
        return "", Refusal(last.reason, perhaps_sent, last.answered)
