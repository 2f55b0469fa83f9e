"""The way back from data: what snapshots describe becomes objects of an endpoint again.

A restoration is one pass over an endpoint that has no calls yet: ``EndpointSnapshot.restored`` begins it, the calls are
restored in between, and ``finish`` sets the timers in the order in which they were set before.
"""

from typing import Any, Protocol, TypeVar

from vosd.base.wheel import Timer
from vosd.sip.dialog.dialog import Dialog
from vosd.sip.dialog.snapshot import AnsweredChallenge, AnswersOf, DialogSnapshot
from vosd.sip.digest.answer import Answers
from vosd.sip.endpoint import Endpoint, UserTimer
from vosd.sip.owners import AlarmOwner
from vosd.sip.transaction.retry import Retry
from vosd.sip.transaction.store import Sender, TimerOwner
from vosd.sip.transaction.timer_snapshot import TimerSnapshot

Restored = TypeVar("Restored")
Transaction_co = TypeVar("Transaction_co", covariant=True)


class TransactionSnapshot(Protocol[Transaction_co]):
    """Snapshot of a transaction."""

    @property
    def key(self) -> bytes:
        """The key of the transaction."""

    def restored(self, restoration: "Restoration") -> Transaction_co:
        """Return the transaction."""


class Restoration:
    """One restoration of an endpoint: what several snapshots describe becomes one object again."""

    def __init__(self, endpoint: Endpoint, answers_of: AnswersOf) -> None:
        self.endpoint = endpoint
        self.flows = endpoint.flows
        self.store = endpoint.store
        self._answers_of = answers_of
        self._answers: dict[bytes, Answers | None] = {}
        self._dialogs: dict[tuple[bytes, bytes], Dialog] = {}
        self._transactions: dict[tuple[type, bytes], Any] = {}
        self._timers: list[tuple[TimerSnapshot, Timer[TimerOwner], TimerOwner]] = []

    def answers(self, call_id: bytes, gateway: str, asked: tuple[AnsweredChallenge, ...]) -> Answers | None:
        """Return what proves us within a leg: one count of answers for its dialogs and requests."""
        if call_id not in self._answers:
            answers = self._answers[call_id] = self._answers_of(gateway) if gateway else None
            if answers is not None:
                answers.go_on_from(each.restored() for each in asked)
        return self._answers[call_id]

    def dialog(self, snapshot: DialogSnapshot) -> Dialog:
        """Return the dialog; requests and legs that share it share it again."""
        key = snapshot.local, snapshot.remote
        dialog = self._dialogs.get(key)
        if dialog is None:
            answers = self.answers(snapshot.call_id, snapshot.gateway, snapshot.asked)
            dialog = self._dialogs[key] = snapshot.restored(self.flows, answers)
        return dialog

    def once(self, snapshot: TransactionSnapshot[Restored]) -> Restored:
        """Return the transaction of a snapshot; what shares it shares it again."""
        key = type(snapshot), snapshot.key
        if key not in self._transactions:
            self._transactions[key] = snapshot.restored(self)
        found: Restored = self._transactions[key]
        return found

    def timer(self, snapshot: TimerSnapshot | None, owner: TimerOwner) -> Timer[TimerOwner] | None:
        """Return a timer, which is set when the restoration is finished; None where it has fired."""
        if snapshot is None:
            return None
        timer: Timer[TimerOwner] = Timer(snapshot.tick)
        self._timers.append((snapshot, timer, owner))
        return timer

    def wait(self, retry: Retry, timer: TimerSnapshot | None, owner: Sender) -> None:
        """Let a message wait for its answer; its timer is set when the restoration is finished."""
        if timer is not None:
            self._timers.append((timer, retry, owner))
        if retry.is_reliable:
            self.store.streams.setdefault(retry.sent.peer, {})[owner] = None

    def alarm(self, snapshot: TimerSnapshot | None, owner: AlarmOwner) -> Timer[TimerOwner] | None:
        """Return the timer of an alarm (``Endpoint.set_alarm``)."""
        return self.timer(snapshot, UserTimer(owner))

    def finish(self) -> None:
        """Set the timers, in the order in which they were set before."""
        for _, timer, owner in sorted(self._timers, key=lambda each: (each[0].tick, each[0].place)):
            self.store.wheel.add(timer, owner)
        self._timers = []
