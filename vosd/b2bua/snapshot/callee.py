"""Snapshot of the leg of a vendor: an attempt in progress, or the one that was answered."""

from collections.abc import Iterator, Mapping
from itertools import chain, repeat

import msgspec

from vosd.b2bua.attempt import GatewayAttempt
from vosd.b2bua.attempt_progress import AttemptProgress
from vosd.b2bua.call import Call
from vosd.b2bua.early_dialogs import EarlyDialogs, Pracking
from vosd.b2bua.leg_facts import LegSessions
from vosd.b2bua.outgoing.invitation import Invitation
from vosd.b2bua.snapshot.facts import facts_in, named
from vosd.b2bua.snapshot.leg import DialectOf, KeypadSnapshot, LegSnapshot
from vosd.b2bua.snapshot.session import NO_SESSION, SessionSnapshot
from vosd.billing.rates import AppliedRate
from vosd.routing.pipeline import RouteChoice
from vosd.routing.ring_groups import in_group
from vosd.sip.dialog.snapshot import DialogSnapshot, PeerSnapshot, text_of
from vosd.sip.endpoint import Endpoint
from vosd.sip.restoration import Restoration
from vosd.sip.transaction.client import InviteClient
from vosd.sip.transaction.client_snapshot import ClientSnapshot, InviteClientSnapshot, PartsSnapshot, dialog_with_login
from vosd.sip.wire.compose import encode
from vosd.trunks.gateways import THEN_THE_PHONE, Address, RoutingGateway
from vosd.trunks.ringing import RingGroup
from vosd.trunks.scope import SharedLimit

Gateways = Mapping[str, RoutingGateway]


class ChoiceSnapshot(msgspec.Struct, frozen=True, array_like=True):
    """Snapshot of a route: name of the gateway, outgoing numbers, and terms."""

    gateway: str
    prefix: str
    callee_out: bytes
    caller_out: bytes
    terms: AppliedRate | None
    is_last_resort: bool
    is_redirected: bool = False
    priority: int = 1
    weight: int = 100
    limits: tuple[SharedLimit, ...] = ()
    routing_number: str = ""
    protect_times: tuple[int, ...] = ()
    ring_group: RingGroup | None = None
    hides_caller: bool = False
    awaits_number: bool = False
    is_before_phone: bool = False
    """Whether the gateway is the redirect server of a phone, which is called after it."""
    denies_prefix: bool = False
    is_at_rest: bool = False

    @classmethod
    def of(cls, choice: RouteChoice) -> "ChoiceSnapshot":
        """Return the snapshot of a route."""
        terms = choice.terms
        if terms is not None and not isinstance(terms, AppliedRate):
            raise TypeError(f"{choice.gateway.name} has terms that cannot be written down")
        return cls(
            choice.gateway.name,
            choice.prefix,
            encode(choice.callee_out),
            encode(choice.caller_out),
            terms,
            choice.is_last_resort,
            choice.is_redirected,
            choice.priority,
            choice.weight,
            choice.limits,
            choice.routing_number,
            choice.protect_times,
            choice.gateway.ring_group,
            choice.hides_caller,
            choice.awaits_number,
            choice.gateway.failover_codes is THEN_THE_PHONE,
            choice.denies_prefix,
            choice.is_at_rest,
        )

    def restored(self, gateways: Gateways) -> RouteChoice:
        """Return the route; raises KeyError if the gateway is no longer configured."""
        gateway, group = gateways[self.gateway], self.ring_group
        if self.is_before_phone:
            gateway = gateway.before_phone
        return RouteChoice(
            gateway if group is None else in_group(gateway, group),
            self.prefix,
            text_of(self.callee_out),
            text_of(self.caller_out),
            self.terms,
            self.is_last_resort,
            self.is_redirected,
            self.priority,
            self.weight,
            self.limits,
            routing_number=self.routing_number,
            protect_times=self.protect_times,
            hides_caller=self.hides_caller,
            awaits_number=self.awaits_number,
            denies_prefix=self.denies_prefix,
            is_at_rest=self.is_at_rest,
        )


class InvitationSnapshot(msgspec.Struct, frozen=True, array_like=True):
    """Snapshot of the INVITE of an attempt, which is sent again after 422."""

    parts: PartsSnapshot
    hops: int
    headers: bytes
    content: bytes
    body: bytes
    is_fixed: bool

    @classmethod
    def of(cls, invitation: Invitation, endpoint: Endpoint) -> "InvitationSnapshot":
        """Describe an INVITE."""
        parts = PartsSnapshot.of(invitation.parts, endpoint.flows)
        headers, content = encode(invitation.headers), encode(invitation.content)
        return cls(parts, invitation.hops, headers, content, bytes(invitation.body), invitation.is_fixed)

    def restored(self, restoration: Restoration) -> Invitation:
        """Return the INVITE."""
        parts, headers = self.parts.restored(restoration), text_of(self.headers)
        return Invitation(parts, self.hops, headers, text_of(self.content), self.body, self.is_fixed)


class EarlySnapshot(msgspec.Struct, frozen=True, omit_defaults=True):
    """Snapshot of the fields of an attempt without a final response."""

    tag: str
    """Ours."""
    invitation: InvitationSnapshot | None = None
    dialogs: tuple[DialogSnapshot, ...] | None = None
    rseqs: tuple[tuple[bytes, int], ...] = ()
    """The latest number of a reliable response, by the tag of who sent it."""
    sessions: tuple[tuple[bytes, SessionSnapshot], ...] = ()
    pracking: tuple[DialogSnapshot, str] | None = None
    said: tuple[SessionSnapshot, ...] = ()
    """The latest description that each fork of ``sessions`` was sent."""
    offered: SessionSnapshot = NO_SESSION
    settled: tuple[bytes, ...] = ()
    held_back: tuple[bytes, ...] = ()
    changed: tuple[bytes, ...] = ()
    given_up: tuple[SessionSnapshot, ...] = ()
    """The description in an offer that was given up, of each fork of ``sessions``."""
    updating: tuple[ClientSnapshot | None, ...] = ()
    """The UPDATE of each fork with that offer, where it has no response."""
    refused: tuple[SessionSnapshot, ...] = ()
    """The description in an offer that each fork of ``sessions`` has refused."""

    def restored(self, attempt: GatewayAttempt, speaker: str | None, restoration: Restoration) -> EarlyDialogs:
        """Return the forks; ``speaker`` is the tag of the one whose session the caller was sent."""
        pracking, dialogs = self.pracking, [restoration.dialog(each) for each in self.dialogs or ()]
        return EarlyDialogs(
            restoration.flows,
            attempt.tag,
            attempt.peer,
            attempt.transaction,
            attempt.progress,
            None if self.invitation is None else self.invitation.restored(restoration),
            {dialog.remote_tag: dialog for dialog in dialogs},
            {},
            {text_of(tag): number for tag, number in self.rseqs},
            self._sessions(attempt, speaker, restoration),
            None if pracking is None else Pracking(restoration.dialog(pracking[0]), pracking[1]),
            speaker,
            attempt.leg.sessions.said if self.offered == NO_SESSION and not self.said else self.offered.restored(),
            {*map(text_of, self.settled), *([speaker] if speaker is not None and attempt.progress.is_settled else ())},
            set(map(text_of, self.held_back)),
            set(map(text_of, self.changed)),
        )

    def _sessions(
        self, attempt: GatewayAttempt, speaker: str | None, restoration: Restoration
    ) -> dict[str, LegSessions]:
        """Return the descriptions of each fork; the current one has those of the leg."""
        sessions, current = {}, attempt.leg.sessions
        said: Iterator[SessionSnapshot | None] = chain(self.said, repeat(None))
        given_up, updating = chain(self.given_up, repeat(NO_SESSION)), chain(self.updating, repeat(None))
        refused = chain(self.refused, repeat(NO_SESSION))
        forks = zip(self.sessions, said, given_up, updating, refused, strict=False)
        for (tag, remote), sent, unsure, update, not_taken in forks:
            if text_of(tag) == speaker:
                sessions[text_of(tag)] = current
                continue
            latest = current.said if sent is None else sent.restored()
            client = None if update is None else restoration.once(update)
            sessions[text_of(tag)] = LegSessions(
                remote.restored(), b"", latest, unsure.restored(), client, not_taken.restored()
            )
        return sessions


class CalleeLegSnapshot(AttemptProgress, kw_only=True, omit_defaults=True):
    """The leg of a vendor."""

    leg: LegSnapshot
    choice: ChoiceSnapshot
    peer: PeerSnapshot
    address: Address
    invite: InviteClientSnapshot | None = None
    """Until its 2xx has its ACK."""
    early: EarlySnapshot | None = None
    speaker: bytes | None = None
    answer: SessionSnapshot = NO_SESSION
    keypad: KeypadSnapshot | None = None

    @classmethod
    def of(cls, callee: GatewayAttempt, call: Call) -> "CalleeLegSnapshot":
        """Describe an attempt."""
        flows, early = call.endpoint.flows, callee.leg.early
        invite = None if callee.progress.acknowledged else InviteClientSnapshot.of(callee.transaction, flows)
        leg = LegSnapshot.of(callee.leg, call, callee.invite_sequence)
        if callee.progress.has_left:  # its dialog names the leg; there is nothing that it waits for
            leg = msgspec.structs.replace(leg, acceptance=None, moving=None, updating=None, supervision=None)
        return cls(
            leg=leg,
            choice=ChoiceSnapshot.of(callee.choice),
            peer=PeerSnapshot.of(callee.peer, flows),
            address=callee.address,
            invite=invite,
            early=None if early is None else _early(early, call.endpoint),
            speaker=None if early is None or early.speaker is None else encode(early.speaker),
            answer=SessionSnapshot.of(callee.answer),
            keypad=KeypadSnapshot.of(callee.leg, call.endpoint),
            **named(callee.progress),
        )

    def restored(
        self, call: Call, dialect_of: DialectOf, gateways: Gateways, restoration: Restoration
    ) -> GatewayAttempt:
        """Return the attempt; responses and requests within its dialogs find it and its leg."""
        endpoint, described = restoration.endpoint, self.leg.dialog
        is_acknowledged = self.invite is None and described is not None
        callee = GatewayAttempt(
            endpoint, call, self.choice.restored(gateways), self.address, facts_in(self, AttemptProgress),
            invite_sequence=described.invite_sequence if is_acknowledged and described is not None else 0,
        )  # fmt: skip
        leg = callee.leg
        if self.newcomer:
            leg.sent_as = dialect_of(self.newcomer).sent_as
        self.leg.restore(leg, restoration)
        callee.transaction = self._restored_invite(callee, restoration)
        callee.peer = self.peer.restored(restoration.flows)
        callee.answer = self.answer.restored()

        if self.keypad is not None:
            leg.keypad = self.keypad.restored(leg, dialect_of(callee.trunk), restoration)
        if described is not None:
            leg.dialog = restoration.dialog(described)
            callee.tag = leg.dialog.local_tag
            if not self.has_left:
                endpoint.dialogs.adopt(callee.tag, leg)
        elif self.early is not None:
            callee.tag = self.early.tag
            speaker = None if self.speaker is None else text_of(self.speaker)
            leg.early = early = self.early.restored(callee, speaker, restoration)
            if early.dialogs:
                endpoint.dialogs.adopt(callee.tag, leg)
        return callee

    def _restored_invite(self, callee: GatewayAttempt, restoration: Restoration) -> InviteClient:
        """Return the transaction of its INVITE; of one whose 2xx has its ACK only the number is left."""
        if self.invite is None:
            return restoration.endpoint.acknowledged_invite
        invite = restoration.once(self.invite)
        invite.owner = callee if self.invite.is_live or invite.is_unsent else None
        return invite


def _early(early: EarlyDialogs, endpoint: Endpoint) -> EarlySnapshot:
    flows, invitation, dialogs, pracking = endpoint.flows, early.invitation, early.forks, early.pracking
    return EarlySnapshot(
        early.tag,
        None if invitation is None else InvitationSnapshot.of(invitation, endpoint),
        None if not dialogs else tuple(dialog_with_login(each, flows) for each in dialogs.values()),
        tuple((encode(tag), number) for tag, number in early.rseqs.items()),
        tuple((encode(tag), SessionSnapshot.of(each.remote)) for tag, each in early.sessions.items()),
        None if pracking is None else (dialog_with_login(pracking.dialog, flows), pracking.rack),
        tuple(SessionSnapshot.of(each.said) for each in early.sessions.values()),
        SessionSnapshot.of(early.offered),
        tuple(map(encode, early.settled)),
        tuple(map(encode, early.held_back)),
        tuple(map(encode, early.changed)),
        tuple(SessionSnapshot.of(each.given_up) for each in early.sessions.values()),
        tuple(
            None if each.updating is None or each.updating.is_over else ClientSnapshot.of(each.updating, flows)
            for each in early.sessions.values()
        ),
        tuple(SessionSnapshot.of(each.refused) for each in early.sessions.values()),
    )
