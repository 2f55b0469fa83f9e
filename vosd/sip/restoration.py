"""The way back from data: what snapshots describe becomes objects of an endpoint again.

A restoration is one pass over an endpoint that has no calls yet: ``EndpointSnapshot.restored`` begins it, the calls are
restored in between, and ``finish`` sets the timers in the order in which they were set before.
"""

from collections.abc import Callable
from typing import Any, TypeVar

from vosd.base.wheel import Timer
from vosd.sip.dialog.dialog import Dialog
from vosd.sip.dialog.snapshot import AnsweredChallenge, AnswersOf, DialogSnapshot
from vosd.sip.digest.answer import Answers
from vosd.sip.endpoint import Endpoint, UserTimer
from vosd.sip.owners import AlarmOwner
from vosd.sip.transaction.client import Client
from vosd.sip.transaction.client_snapshot import ClientSnapshot, InviteClientSnapshot
from vosd.sip.transaction.invite_client import InviteClient
from vosd.sip.transaction.invite_server import InviteServer
from vosd.sip.transaction.retry import Retry
from vosd.sip.transaction.server import Server
from vosd.sip.transaction.server_snapshot import InviteServerSnapshot, ServerSnapshot
from vosd.sip.transaction.snapshot import TimerSnapshot
from vosd.sip.transaction.store import Sender, TimerOwner

TransactionSnapshot = ClientSnapshot | InviteClientSnapshot | ServerSnapshot | InviteServerSnapshot
Restored = TypeVar("Restored")


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

    def client(self, snapshot: ClientSnapshot) -> Client:
        """Return the transaction."""
        return self._once(snapshot, snapshot.restored)

    def invite_client(self, snapshot: InviteClientSnapshot) -> InviteClient:
        """Return the transaction."""
        return self._once(snapshot, snapshot.restored)

    def asked(self, snapshot: ClientSnapshot | InviteClientSnapshot) -> Client | InviteClient:
        """Return the transaction of a request of ours."""
        return self.client(snapshot) if isinstance(snapshot, ClientSnapshot) else self.invite_client(snapshot)

    def invite_server(self, snapshot: InviteServerSnapshot) -> InviteServer:
        """Return the transaction."""
        return self._once(snapshot, snapshot.restored)

    def server(self, snapshot: ServerSnapshot) -> Server:
        """Return the transaction."""
        return self._once(snapshot, snapshot.restored)

    def answered(self, snapshot: ServerSnapshot | InviteServerSnapshot) -> Server | InviteServer:
        """Return the transaction of a request of a peer."""
        return self.server(snapshot) if isinstance(snapshot, ServerSnapshot) else self.invite_server(snapshot)

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

    def _once(self, snapshot: TransactionSnapshot, restored: "Callable[[Restoration], Restored]") -> Restored:
        key = type(snapshot), snapshot.key
        if key not in self._transactions:
            self._transactions[key] = restored(self)
        found: Restored = self._transactions[key]
        return found
