"""The door of a leg: a message may wait there for an answer from outside, and those behind it leave after it.

Without a doorkeeper a leg has no door. A message that waits has not begun for the network: it starts no timer, and an
INVITE is withdrawn without a trace. For the call it counts as sent.
"""

import re
from collections.abc import Callable
from typing import Final, Protocol

import msgspec

from vosd.base.clock import Instant
from vosd.base.wheel import Timer, TimerWheel
from vosd.sip.door.messages import (
    Outgoing,
    OutgoingAck,
    OutgoingBye,
    OutgoingCancel,
    OutgoingInvite,
    OutgoingReinvite,
    OutgoingReliable,
    OutgoingRequest,
    OutgoingResponse,
    OutgoingSuccess,
)
from vosd.sip.events import AlarmFired
from vosd.sip.transaction.client import Client, InviteClient
from vosd.sip.transaction.states import TransactionState
from vosd.sip.transaction.store import TimerOwner

WAIT_MAX_MS: Final = 3_000
"""A message waits no longer than this, whatever its doorkeeper asks for: a start after a kill repeats a BYE that is not
older than 4 seconds."""
_LINE: Final = re.compile(r"[A-Za-z0-9.!%*_+`'~-]+:[^\r\n]*\r\n")
_OURS: Final = frozenset(
    {
        "via", "v", "from", "f", "to", "t", "call-id", "i", "cseq", "max-forwards", "route", "content-length", "l",
        "authorization", "proxy-authorization",
    }
)  # fmt: skip
"""Headers that are added where the bytes are written."""
_UNTRACKED: Final = frozenset({OutgoingResponse, OutgoingAck, OutgoingBye})
"""Messages about which nothing is to be done if they leave at once."""
_MAY_FAIL: Final = frozenset({OutgoingInvite, OutgoingReinvite, OutgoingSuccess, OutgoingAck})
"""Messages about whose failure something of the call is to be done, beside some requests and responses."""


class MessageChange(msgspec.Struct, frozen=True, gc=False):
    """Headers and body in place of those of a message; None = as they are."""

    headers: str | None = None
    body: bytes | None = None

    @property
    def is_fit(self) -> bool:
        """Whether the headers are whole lines, and none of those that are added where the bytes are written."""
        if self.headers is None:
            return True
        lines = _LINE.findall(self.headers)
        return "".join(lines) == self.headers and all(each.split(":", 1)[0].lower() not in _OURS for each in lines)


class MessageWait(msgspec.Struct, frozen=True, gc=False):
    """A message waits for ``WaitingMessage.answer``, at most for ``ms``.

    ``may_leave``: without an answer it leaves as it is; else a request, an ACK, or a 200 to an INVITE or with a session
    description, fails. Other responses always leave, as ``Doorkeeper.forget`` has changed them.
    """

    ms: int
    may_leave: bool = True


class Doorkeeper(Protocol):
    """Examines the messages of a leg before they leave, but those that pass; returns at once.

    An error of ``examine`` or ``forget`` ends no call and keeps no message: the one that it examined leaves as it is.
    """

    def passes(self, message: Outgoing, owner: "DoorOwner") -> bool:
        """Return whether a message leaves as it is; else it is examined."""

    def examine(self, waiting: "WaitingMessage", now: Instant) -> MessageChange | MessageWait | None:
        """Change a message, let it wait for an answer, or let it leave as it is (None)."""

    def forget(self, waiting: "WaitingMessage") -> None:
        """Ask no more for the answer: the message was withdrawn, or its time is over."""

    def number_of_leg(self) -> int:
        """Return a number for a new leg, by which its session descriptions name it as their author; 0 = none."""

    def leg_over(self, owner: "DoorOwner", now: Instant) -> None:
        """Note that a leg has ended; for some legs it is called more than once."""

    def refuses(
        self, session: bytes, author: "DoorOwner", reader: "DoorOwner", now: Instant, *, is_final: bool = False
    ) -> bool:
        """Return whether a description cannot be sent to another leg; it is examined again when it leaves.

        ``is_final``: it is that of a gateway that has answered, before the answer is journalled. Then what it changes
        of both legs belongs to them from now on; else nothing is changed.
        """

    def session_returned(self, author: "DoorOwner", reader: "DoorOwner", now: Instant) -> None:
        """Note that the latest description of a caller holds with the gateway that has answered, its reader.

        Early dialogs with others have ended, and what was agreed there is not in force any more.
        """

    def answer_kept(self, author: "DoorOwner", reader: "DoorOwner", now: Instant) -> None:
        """Note that the other leg is not sent the latest answer of a leg."""

    def offer_forgotten(self, owner: "DoorOwner", now: Instant) -> None:
        """Note that an offer of a leg, if it has one that is open, gets no final response."""


class DoorOwner(Protocol):
    """The leg whose messages leave by a door."""

    @property
    def call(self) -> object:
        """The call that is ended after an error here."""

    def send(self, message: Outgoing, now: Instant, *, is_examined: bool = False) -> None:
        """Hand a message that was examined to its transaction."""

    def sent(self, message: Outgoing, now: Instant) -> None:
        """Note that a message has left which did not at once."""

    def not_sent(self, message: Outgoing, now: Instant) -> None:
        """Handle that a message that may fail was not let out."""


KeeperFailed = Callable[["WaitingMessage", Exception, Instant], None]
"""Receiver of errors of a doorkeeper, with the message that it was given."""


class Doors:
    """The doors of an endpoint's legs."""

    def __init__(
        self,
        keeper: Doorkeeper,
        wheel: TimerWheel[TimerOwner],
        placed: Callable[[InviteClient], None],
        failed: KeeperFailed,
    ) -> None:
        """``placed`` is called for every INVITE that waits: a start after a kill has to refuse its caller."""
        self.placed = placed
        self.keeper = keeper
        self.failed = failed
        self.wheel = wheel
        self.waiting: dict[Door, None] = {}
        """Doors at which messages wait."""

    @property
    def awaits_answers(self) -> bool:
        """Whether messages wait for answers, INVITEs of attempts apart: the process that goes on sends those."""
        return any(door.awaits_answer for door in self.waiting)

    def open(self, now: Instant) -> None:
        """Let all messages leave, or fail, as if their time were over: the process stops.

        The INVITE of an attempt stays: the process that goes on with the call sends it.
        """
        for door in tuple(self.waiting):
            door.open(now)


class Door(msgspec.Struct, eq=False):
    """The messages of one leg that have not left, in the order in which they will."""

    _doors: Doors
    keeper: Doorkeeper
    queue: list["WaitingMessage"] = []

    def take(self, message: Outgoing, owner: DoorOwner, now: Instant) -> bool:
        """Return whether a message leaves at once; else it leaves when it was answered and those before it have left.

        Most are the only ones at their door, and do not wait: for them nothing else is done.
        """
        if not self.queue and type(message) in _UNTRACKED and self.keeper.passes(message, owner):
            return True
        # ``isinstance`` asks the metaclass of a struct: too dear for the messages of every call.
        if type(message) is OutgoingInvite:
            message.transaction.prepare(message.parts)
        elif type(message) is OutgoingCancel:
            if self.withdraw(message.transaction, now) is not None:
                return False
            if message.is_abandoned:
                message.transaction.disown(message.witness)
        waiting = WaitingMessage(self, message, owner)
        self.queue.append(waiting)
        try:
            waits = self._examine(waiting, now)
        except Exception as error:  # noqa: BLE001  the boundary: a message that stayed would keep all those behind it
            self._doors.failed(waiting, error, now)
            waits = False
        if not waits:
            if self.queue == [waiting]:
                self.queue.clear()
                return True
            waiting.is_ready = True
            self.go_on(now)
        if type(message) is OutgoingInvite and waiting in self.queue:
            self._doors.placed(message.transaction)
        return False

    def withdraw(self, transaction: object, now: Instant) -> Outgoing | None:
        """Take a message that waits out of the queue, by its transaction or acceptance; None = it has left."""
        for waiting in self.queue:
            message = waiting.message
            if isinstance(message, OutgoingSuccess):
                found = message.acceptance is transaction
            else:
                found = (
                    isinstance(message, OutgoingInvite | OutgoingReinvite | OutgoingRequest)
                    and message.transaction is transaction
                )
            if found:
                self._remove(waiting, now)
                if isinstance(transaction, Client | InviteClient):
                    transaction.withdraw()
                self.go_on(now)
                return message
        return None

    def overdue(self, waiting: "WaitingMessage", now: Instant) -> None:
        """Let a message leave without an answer, or fail."""
        self._forget(waiting, now)
        self._stop(waiting)
        if waiting.may_leave:
            waiting.is_ready = True
        else:
            self._remove(waiting, now)
            waiting.owner.not_sent(waiting.message, now)
        self.go_on(now)

    def take_back(self) -> None:
        """Let descriptions that wait, and may be left out of their messages, shape no later one."""
        for waiting in reversed(self.queue):
            if not waiting.is_ready and waiting.message.left_out is not None:
                waiting.message.left_out()

    @property
    def awaits_answer(self) -> bool:
        """Whether a message waits for its answer that is not the INVITE of an attempt."""
        return any(not each.is_ready and not isinstance(each.message, OutgoingInvite) for each in self.queue)

    def open(self, now: Instant) -> None:
        """Let everything leave, or fail, as if its time were over.

        An answer to an UPDATE or PRACK that the other side has agreed to leaves, at worst without its description: a
        failure would end the call, which another process goes on with.
        """
        for waiting in tuple(self.queue):
            message = waiting.message
            if not waiting.is_ready and waiting in self.queue and not isinstance(message, OutgoingInvite):
                if isinstance(message, OutgoingResponse) and message.agreed_in is not None:
                    waiting.may_leave = True
                self.overdue(waiting, now)

    def go_on(self, now: Instant) -> None:
        """Let the messages leave that nothing keeps any more."""
        while self.queue and self.queue[0].is_ready:
            waiting = self.queue.pop(0)
            if _is_needed(waiting.message):
                waiting.owner.send(waiting.message, now, is_examined=True)
                waiting.owner.sent(waiting.message, now)
        if not self.queue:
            self._doors.waiting.pop(self, None)

    def answered(self, waiting: "WaitingMessage", now: Instant) -> None:
        """Let a message leave that has its answer, when those before it have left."""
        self._stop(waiting)
        waiting.is_ready = True
        self.go_on(now)

    def _stop(self, waiting: "WaitingMessage") -> None:
        timer, waiting.timer = waiting.timer, None
        if timer is not None:
            self._doors.wheel.cancel(timer)

    def _remove(self, waiting: "WaitingMessage", now: Instant) -> None:
        self.queue.remove(waiting)
        if not waiting.is_ready:
            self._stop(waiting)
            self._forget(waiting, now)

    def _examine(self, waiting: "WaitingMessage", now: Instant) -> bool:
        """Have a message examined, and changed; return whether it waits."""
        verdict = self.keeper.examine(waiting, now)
        if isinstance(verdict, MessageWait):
            waiting.timer = self._doors.wheel.schedule(now.mono + min(verdict.ms, WAIT_MAX_MS), waiting)
            waiting.may_leave = verdict.may_leave or not _may_fail(waiting.message)
            self._doors.waiting[self] = None
            return True
        if verdict is not None:
            waiting.change(verdict)
        return False

    def _forget(self, waiting: "WaitingMessage", now: Instant) -> None:
        try:
            self.keeper.forget(waiting)
        except Exception as error:  # noqa: BLE001  the boundary: the message is withdrawn, leaves or fails all the same
            self._doors.failed(waiting, error, now)


class WaitingMessage(msgspec.Struct, eq=False):
    """A message that has not left; the doorkeeper may keep it, and answer later."""

    _door: Door
    message: Outgoing
    owner: DoorOwner
    is_ready: bool = False
    """Whether nothing is asked any more: it leaves when those before it have left."""
    may_leave: bool = True
    timer: Timer[TimerOwner] | None = None

    @property
    def call(self) -> object:
        """The call that is ended after an error here."""
        return self.owner.call

    def change(self, change: MessageChange) -> bool:
        """Change the message; False = the change is not fit to be sent, and nothing is changed."""
        if change.headers is not None and not change.is_fit:
            return False
        if change.headers is not None:
            self.message.headers = change.headers
        if change.body is not None:
            self.message.body = change.body
            if not change.body and isinstance(self.message, OutgoingReliable):
                self.message.provisional.has_session = False  # it settles nothing
            if not change.body and self.message.left_out is not None:
                self.message.left_out()
        return True

    def answer(self, change: MessageChange | None, now: Instant) -> bool:
        """Take the answer; None = there is none. False = it came too late, or is not fit to be sent.

        After an answer that is not fit the message does not wait any longer.
        """
        if self.is_ready or self not in self._door.queue:
            return False
        if change is not None and self.change(change):
            self._door.answered(self, now)
            return True
        self._door.overdue(self, now)
        return False

    def timer_due(self, now: Instant) -> AlarmFired:
        """Report that the time for an answer is over."""
        self.timer = None
        return AlarmFired(self, now)

    def alarm_fired(self, event: AlarmFired) -> None:
        """Wait no longer."""
        if self in self._door.queue:
            self._door.overdue(self, event.at)


def _may_fail(message: Outgoing) -> bool:
    """Return whether something of the call handles that a message was not sent; all others leave always."""
    if type(message) is OutgoingRequest:
        return message.transaction.owner is not None
    if type(message) is OutgoingResponse:
        return message.is_answer
    return type(message) in _MAY_FAIL


def _is_needed(message: Outgoing) -> bool:
    """Return whether a message that has waited is still to be sent."""
    # ``match`` asks the metaclass of a struct for each class: too dear for the messages of every call.
    if type(message) is OutgoingInvite:
        return True
    if type(message) is OutgoingSuccess or type(message) is OutgoingResponse:
        return message.transaction.state is TransactionState.PROCEEDING
    match message:
        case OutgoingReliable():
            return message.provisional.is_wanted and message.transaction.state is TransactionState.PROCEEDING
        case OutgoingCancel():
            return message.transaction.state in {TransactionState.CALLING, TransactionState.PROCEEDING}
        case OutgoingBye(acceptance=acceptance) if acceptance is not None:
            return acceptance.retry is not None and acceptance.bye_headers is not None
        case _:
            return True
