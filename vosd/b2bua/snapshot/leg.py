"""Snapshots of the two legs of a call."""

from collections.abc import Callable
from copy import copy
from itertools import chain, repeat
from typing import NamedTuple

import msgspec

from vosd.b2bua.call import Call
from vosd.b2bua.caller import Caller
from vosd.b2bua.invite_progress import InviteProgress, ShownFork
from vosd.b2bua.keypad import Keypad, KeypadFacts
from vosd.b2bua.leg import Leg, Move
from vosd.b2bua.leg_facts import LegFacts, LegSessions
from vosd.b2bua.ports import Switchboard
from vosd.b2bua.prack_queue import PrackQueue
from vosd.b2bua.snapshot.facts import facts_in, named
from vosd.b2bua.snapshot.requests import AnsweredSnapshot, SupervisionSnapshot, answered_restored, answered_snapshot
from vosd.b2bua.snapshot.session import NO_SESSION, SessionSnapshot, identity_as_bytes, identity_of
from vosd.sip.dialog.session_timer import SessionTimer
from vosd.sip.dialog.snapshot import DialogSnapshot, text_of
from vosd.sip.dialog.waits import AcceptanceSnapshot, ReliableSnapshot
from vosd.sip.endpoint import Endpoint
from vosd.sip.restoration import Restoration
from vosd.sip.transaction.client_snapshot import ClientSnapshot, dialog_with_login
from vosd.sip.transaction.server import InviteServer
from vosd.sip.transaction.server_snapshot import InviteServerSnapshot, ServerSnapshot
from vosd.sip.transaction.states import TransactionState
from vosd.sip.transaction.timer_snapshot import TimerSnapshot
from vosd.sip.wire.compose import encode
from vosd.sip.wire.errors import ParseError
from vosd.sip.wire.message import Message, Request
from vosd.sip.wire.parse import parse_message
from vosd.trunks.dialect import CallerDialect

DialectOf = Callable[[str], CallerDialect]
"""Return how a mapping gateway or phone speaks SIP, by its name."""


class MoveSnapshot(msgspec.Struct, frozen=True, array_like=True):
    """Snapshot of a target refresh request; its Contact holds once it is accepted."""

    transaction: AnsweredSnapshot
    dialog: DialogSnapshot
    request: bytes


class LegSnapshot(LegFacts, kw_only=True, omit_defaults=True):
    """Snapshot of the fields of both kinds of leg."""

    timer: SessionTimer
    dialog: DialogSnapshot | None = None
    remote_session: SessionSnapshot = NO_SESSION
    remote_session_before_hold: SessionSnapshot = NO_SESSION
    said: SessionSnapshot = NO_SESSION
    given_up: SessionSnapshot = NO_SESSION
    refused: SessionSnapshot = NO_SESSION
    acceptance: AcceptanceSnapshot | None = None
    moving: MoveSnapshot | None = None
    updating: ClientSnapshot | None = None
    supervision: SupervisionSnapshot | None = None

    @classmethod
    def of(cls, leg: Leg, call: Call, invite_sequence: int = 0) -> "LegSnapshot":
        """Describe a leg; ``invite_sequence`` is that of our INVITE, 0 where the INVITE was the peer's."""
        endpoint, moving, acceptance, sessions = call.endpoint, leg.moving, leg.acceptance, leg.sessions
        if moving is not None and moving.transaction.state is not TransactionState.PROCEEDING:
            moving = None  # it has its answer, and has no effect any more
        return cls(
            timer=copy(leg.timer),
            dialog=None if leg.dialog is None else dialog_with_login(leg.dialog, endpoint.flows, invite_sequence),
            remote_session=SessionSnapshot.of(sessions.remote),
            remote_session_before_hold=SessionSnapshot.of(sessions.before_hold),
            said=SessionSnapshot.of(sessions.said),
            given_up=SessionSnapshot.of(sessions.given_up),
            refused=SessionSnapshot.of(sessions.refused),
            acceptance=None if acceptance is None else AcceptanceSnapshot.of(acceptance, endpoint.flows),
            moving=None if moving is None else MoveSnapshot(
                answered_snapshot(moving.transaction, endpoint),
                dialog_with_login(moving.dialog, endpoint.flows),
                moving.request.raw,
            ),
            updating=None
            if sessions.updating is None or sessions.updating.is_over
            else ClientSnapshot.of(sessions.updating, endpoint.flows),
            supervision=None if leg.supervision is None else SupervisionSnapshot.of(leg.supervision, call),
            **named(leg.facts),
        )  # fmt: skip

    def restore(self, leg: Leg, restoration: Restoration) -> None:
        """Let a leg go on that was just made."""
        leg.timer = copy(self.timer)
        leg.facts = facts_in(self, LegFacts)
        leg.sessions = LegSessions(
            self.remote_session.restored(),
            self.remote_session_before_hold.restored(),
            self.said.restored(),
            self.given_up.restored(),
            None if self.updating is None else restoration.once(self.updating),
            self.refused.restored(),
        )
        leg.acceptance = None if self.acceptance is None else self.acceptance.restored(leg, restoration)
        leg.moving = None if self.moving is None else self._move(self.moving, leg, restoration)
        leg.supervision = None if self.supervision is None else self.supervision.restored(leg, restoration)

    def _move(self, moving: MoveSnapshot, leg: Leg, restoration: Restoration) -> Move:
        request = parse_message(moving.request)
        if not isinstance(request, Request):
            raise TypeError("a proposal was no request")
        transaction = answered_restored(moving.transaction, restoration)
        if isinstance(transaction, InviteServer):
            transaction.owner = leg
        return Move(transaction, restoration.dialog(moving.dialog), request)


def forwarded_in(raw: bytes) -> Message | None:
    """Return a message whose headers rules may pass; None for none, and for one that was taken in spite of faults."""
    try:
        return parse_message(raw) if raw else None
    except ParseError:
        return None


class KeypadSnapshot(KeypadFacts, array_like=True):
    """Snapshot of the keys that a side has pressed."""

    alarm: TimerSnapshot | None = None

    @classmethod
    def of(cls, leg: Leg, endpoint: Endpoint) -> "KeypadSnapshot | None":
        """Describe the keypad of a leg; None if it has none."""
        keypad = leg.keypad
        if not isinstance(keypad, Keypad):
            return None
        return cls(**named(keypad.facts), alarm=TimerSnapshot.of(keypad.alarm, endpoint.store))

    def restored(self, leg: Leg, dialect: CallerDialect, restoration: Restoration) -> Keypad | None:
        """Return the keypad; None if the trunk has no transfer keys any more."""
        keys = dialect.transfer_keys
        if keys is None:
            return None
        keypad = Keypad(restoration.endpoint, leg, dialect, keys, facts_in(self, KeypadFacts))
        keypad.alarm = restoration.alarm(self.alarm, keypad)
        return keypad


class ShownForkSnapshot(NamedTuple):
    """Snapshot of an early dialog that the caller has while another one is current."""

    tag: str
    remote_sequence: int
    said: SessionSnapshot
    is_settled: bool
    remote: SessionSnapshot = NO_SESSION
    given_up: SessionSnapshot = NO_SESSION
    refused: SessionSnapshot = NO_SESSION

    @classmethod
    def of(cls, fork: ShownFork) -> "ShownForkSnapshot":
        """Describe an early dialog."""
        said, remote = SessionSnapshot.of(fork.sessions.said), SessionSnapshot.of(fork.sessions.remote)
        given_up, refused = SessionSnapshot.of(fork.sessions.given_up), SessionSnapshot.of(fork.sessions.refused)
        return cls(fork.tag, fork.remote_sequence, said, fork.is_settled, remote, given_up, refused)

    def restored(self) -> ShownFork:
        """Return the early dialog."""
        said, given_up = self.said.restored(), self.given_up.restored()
        sessions = LegSessions(self.remote.restored(), b"", said, given_up, refused=self.refused.restored())
        return ShownFork(self.tag, self.remote_sequence, sessions, self.is_settled)


def customer_of(board: Switchboard) -> str:
    """Return the name of the trunk that a call came from."""
    return "" if board.customer is None else board.customer.name


class CallerLegSnapshot(InviteProgress, kw_only=True, omit_defaults=True):
    """A caller and its leg."""

    leg: LegSnapshot
    invite: InviteServerSnapshot | None = None
    """Until its INVITE has a final response."""
    identity: bytes = b""
    offer: SessionSnapshot = NO_SESSION
    keypad: KeypadSnapshot | None = None
    unacknowledged: ReliableSnapshot | None = None
    shown: tuple[tuple[bytes, ShownForkSnapshot], ...] = ()
    waiting_rings: tuple[tuple[int, SessionSnapshot], ...] = ()
    waiting_forwarded: tuple[bytes, ...] = ()
    """The response that each of ``waiting_rings`` forwards; empty = none."""
    waiting_answer: SessionSnapshot | None = None
    proposing: ServerSnapshot | None = None
    expiry: TimerSnapshot | None = None
    invite_message: bytes = b""
    """The INVITE, until the final response."""

    @classmethod
    def of(cls, caller: Caller, call: Call) -> "CallerLegSnapshot":
        """Describe a caller."""
        endpoint, invite, pracks, leg = call.endpoint, caller.invite, caller.pracks, caller.leg
        return cls(
            leg=LegSnapshot.of(leg, call),
            invite=InviteServerSnapshot.of(invite, endpoint.flows)
            if invite.state is TransactionState.PROCEEDING
            else None,
            identity=identity_as_bytes(caller.caller_identity),
            offer=SessionSnapshot.of(caller.offer),
            keypad=KeypadSnapshot.of(leg, endpoint),
            unacknowledged=None
            if pracks is None or pracks.unacknowledged is None
            else ReliableSnapshot.of(pracks.unacknowledged, endpoint.flows),
            shown=tuple((encode(tag), ShownForkSnapshot.of(fork)) for tag, fork in (caller.shown or {}).items()),
            waiting_rings=()
            if pracks is None
            else tuple((status, SessionSnapshot.of(session)) for status, session, _ in pracks.rings),
            waiting_forwarded=()
            if pracks is None
            else tuple(b"" if forwarded is None else forwarded.raw for _, _, forwarded in pracks.rings),
            waiting_answer=None if pracks is None or pracks.answer is None else SessionSnapshot.of(pracks.answer),
            proposing=None if leg.proposing is None else ServerSnapshot.of(leg.proposing, endpoint.flows),
            expiry=TimerSnapshot.of(caller.expiry, endpoint.store),
            invite_message=b"" if caller.invite_message is None else caller.invite_message.raw,
            **named(caller.progress),
        )

    def restored(self, board: Switchboard, dialect_of: DialectOf, restoration: Restoration) -> Caller:
        """Return the caller, which has no call yet; requests within its dialog find it."""
        endpoint, newcomer = restoration.endpoint, self.newcomer
        dialect = dialect_of(customer_of(board) if newcomer is None else newcomer.trunk)
        if self.leg.dialog is None:
            raise ValueError("a caller without a dialog")
        dialog = restoration.dialog(self.leg.dialog)
        # After the final response the transaction of its INVITE sends nothing any more.
        invite = endpoint.answered_invite if self.invite is None else restoration.once(self.invite)
        progress = facts_in(self, InviteProgress)
        caller = Caller(endpoint, invite, dialog, dialect, progress, identity_of(self.identity))
        if self.invite is not None:
            invite.owner = caller
        leg = caller.leg
        self.leg.restore(leg, restoration)
        caller.offer = self.offer.restored()
        invite_message = parse_message(self.invite_message) if self.invite_message else None
        caller.invite_message = invite_message if isinstance(invite_message, Request) else None
        leg.keypad = None if self.keypad is None else self.keypad.restored(leg, dialect, restoration)
        caller.pracks = self._pracks(caller, restoration)
        caller.shown = {text_of(tag): fork.restored() for tag, fork in self.shown} or None
        leg.proposing = None if self.proposing is None else restoration.once(self.proposing)
        caller.expiry = restoration.alarm(self.expiry, caller)
        endpoint.dialogs.adopt(dialog.local_tag, leg)
        if progress.last_tag is not None:
            endpoint.dialogs.adopt(progress.last_tag, leg)
        return caller

    def _pracks(self, caller: Caller, restoration: Restoration) -> PrackQueue | None:
        """Return the responses that wait for PRACKs; None = none does."""
        if self.unacknowledged is None and not self.waiting_rings and self.waiting_answer is None:
            return None
        pracks = PrackQueue()
        if self.unacknowledged is not None:
            pracks.unacknowledged = self.unacknowledged.restored(caller, restoration)
        forwarded = chain(map(forwarded_in, self.waiting_forwarded), repeat(None))
        rings = zip(self.waiting_rings, forwarded, strict=False)
        pracks.rings = [(status, session.restored(), message) for (status, session), message in rings]
        pracks.answer = None if self.waiting_answer is None else self.waiting_answer.restored()
        return pracks
