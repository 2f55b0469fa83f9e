"""One switch on the virtual wire: endpoint, calls and credits as in the daemon, without journal and database."""

from collections.abc import Callable, Collection, Mapping, Sequence, Set
from decimal import Decimal
from itertools import count
from typing import Any, Final

from doubles.memory import MemoryRegistrations
from doubles.sockets.login import Login
from doubles.sockets.loopback import Endpoint as Address
from doubles.virtual.clock import ManualClock
from doubles.virtual.customer import Caller
from doubles.virtual.phone import VirtualPhone
from doubles.virtual.relay import VirtualRelay
from doubles.virtual.request_client import SOON_MS, RequestClient
from doubles.virtual.rtpengines import VirtualRtpEngines
from doubles.virtual.vendor import Script, Vendor
from doubles.virtual.wire import Clockwork, Packet, Wire
from vosd.b2bua.ports import SetupAnswer
from vosd.base.cause import EndReason
from vosd.base.clock import Instant
from vosd.billing.holds import AccountCredit
from vosd.callcontrol.open_call import UNDESCRIBED, Description, OpenCall
from vosd.callcontrol.questions import Asker, Step, Ticket
from vosd.callcontrol.setup import STEPS
from vosd.catalogue.catalogue import Catalogue
from vosd.catalogue.overrides import Override, Overrides, overlaid
from vosd.cdr.record import FORKED, LATE_ANSWER, CallRecord
from vosd.engine.counting import census_of
from vosd.engine.media.media_parts import MediaParts
from vosd.engine.media.rtpengine_calls import RtpEngineCalls
from vosd.engine.media.switch_media import SwitchMedia
from vosd.engine.node import Node, Surroundings
from vosd.engine.settings import TraceSettings
from vosd.engine.turn import Turn
from vosd.routing.access import CountryOf, nowhere
from vosd.sip.auth_gate import AuthGate
from vosd.sip.door.door import Doorkeeper, WaitingMessage
from vosd.sip.flows import Listener, Locator, resolve_no_name
from vosd.sip.settings import SipSettings
from vosd.sip.wire.outgoing import Peer
from vosd.trunks.gateways import Address as GatewayAddress, RoutingGateway
from vosd.trunks.media import MediaAddress

SWITCH: Final = Address("192.0.2.1", 5060)
RESIDUE_MS: Final = 70_000
"""Longest life of a transaction after its call: twice 64·T1, and the resolution of timers."""


class KeptSink:
    """Sink that keeps what journal and recorder would write."""

    def __init__(self) -> None:
        self.refuses_calls = False
        self.takes_answers = True
        """False = writing fails, as with a full disk."""
        self.describe: Callable[[str], Description] = lambda _call_id: UNDESCRIBED
        """Describes a call as it is now."""
        self.moves: dict[str, None] = {}
        """Calls that have changed in this turn."""
        self.hurried: set[str] = set()
        """Calls that were to be written at once."""
        self.acknowledgements: dict[str, int] = {}
        self.open: dict[str, OpenCall] = {}
        self.records: list[CallRecord] = []
        self.all_records: list[CallRecord] = []
        """Those of calls and of late answers, in order: what is booked."""
        self.late_answers: list[CallRecord] = []
        """Records of what late answers cost; a call has its own record beside."""

    def answered(self, call: OpenCall, description: Description) -> bool:
        """Keep an answered call; it comes twice if the caller's 200 waited for a PRACK.

        One that is charged before comes with each attempt as well.
        """
        earlier = self.open.get(call.record.call_id)
        is_first = earlier is None or not earlier.is_answered or earlier.record.answered_at is None
        assert is_first, "answered twice"
        if self.takes_answers:
            self.open[call.record.call_id] = call.described(description)
        return self.takes_answers

    def moved(self, call_id: str, *, at_once: bool = False) -> None:
        """Keep an answered call as it is now."""
        assert call_id in self.open, "moved before it was answered"
        self.moves[call_id] = None
        if at_once:
            self.hurried.add(call_id)

    def acknowledged(self, call_id: str, mono: int) -> None:
        """Keep when a caller has acknowledged its 200."""
        assert call_id in self.open, "acknowledged before it was answered"
        self.acknowledgements[call_id] = mono

    def answered_in_vain(self, call_id: str, sip_call_id: str) -> None:
        """Keep nothing of INVITEs."""

    def has_ended(self, call_id: str) -> bool:
        """Return False: what has ended is booked at once."""
        return False

    def flush(self) -> None:
        """Describe what has changed, as the journal does before datagrams are sent."""
        for call_id in self.moves:
            self.open[call_id] = self.open[call_id].described(self.describe(call_id))
        self.moves.clear()

    def ended(self, record: CallRecord) -> None:
        """Keep an ended call."""
        assert record.call_id not in {kept.call_id for kept in self.records[-100:]}, "ended twice"
        is_open = self.open.pop(record.call_id, None) is not None
        self.moves.pop(record.call_id, None)
        is_charged = record.vendor_answered_at is not None or record.billing_base_ms is not None
        is_late = is_charged and not is_open and any(each.reason in {FORKED, LATE_ANSWER} for each in record.attempts)
        assert is_open == is_charged or is_late or not self.takes_answers
        self.all_records.append(record)
        (self.late_answers if is_late else self.records).append(record)


class _CountedTokens:
    """Tokens in order instead of random ones (``engine.tokens.TokenSource``)."""

    def __init__(self) -> None:
        self._numbers = count(1)

    def token(self) -> str:
        return f"switch{next(self._numbers):08x}"

    def entropy(self) -> bytes:
        return next(self._numbers).to_bytes(10, "big")

    def secret(self) -> bytes:
        return b"sealed"


class _FixedNames:
    """Gateways at their configured addresses; names in dialogs as the test says (``engine.peers.directory``)."""

    def __init__(self, locate: Locator, names: Mapping[str, GatewayAddress]) -> None:
        """``names`` are names of gateways with their addresses; one without an address stays as it is."""
        self.locate = locate
        self._names = names

    def knows(self, gateway: RoutingGateway) -> bool:
        return bool(gateway.addresses)

    def addresses(self, gateway: RoutingGateway) -> Sequence[GatewayAddress]:
        return self.resolved(gateway.addresses)

    def resolved(self, configured: Sequence[GatewayAddress]) -> Sequence[GatewayAddress]:
        return tuple(self._names.get(each.host, each) for each in configured)

    def hosts(self) -> Set[str]:
        return frozenset()

    def names_at(self, host: str) -> Collection[str]:
        return [name for name, address in self._names.items() if address.host == host]


class Exchange:
    """The switch with its clock and its wire."""

    def __init__(
        self,
        catalogue: Catalogue,
        *,
        balances: Mapping[str, Decimal | str] | None = None,
        lateness_ms: int = 0,
        sip: SipSettings | None = None,
        listeners: Sequence[Listener] = (Listener(*SWITCH),),
        trace: TraceSettings | None = None,
        auth_gate: AuthGate | None = None,
        locate: Locator = resolve_no_name,
        names: Mapping[str, GatewayAddress] | None = None,
        steps: tuple[Step, ...] = STEPS,
        asker: Asker | None = None,
        doorkeeper: Doorkeeper | None = None,
        relay: VirtualRelay | None = None,
        rtpengines: VirtualRtpEngines | None = None,
        media_addresses: Sequence[Sequence[MediaAddress]] = (),
        country_of: CountryOf = nowhere,
    ) -> None:
        """``lateness_ms`` is the delay with which every timer of the switch runs.

        ``relay`` has media relayed, and so have ``rtpengines`` in its place.
        """
        self.clock = ManualClock()
        self._configured = catalogue
        self._relay, self._rtpengines, self._media_addresses = relay, rtpengines, media_addresses
        self.wire = Wire(self.clock)
        self.rtp_calls: RtpEngineCalls | None = None
        self.media = self.new_media(listeners)
        self.sink = KeptSink()
        self.credits = {
            account.id: AccountCredit(
                account.id, account.overdraft_limit, Decimal((balances or {}).get(account.id, 0)), 1
            )
            for account in catalogue.accounts.values()
        }
        self._lateness_ms = lateness_ms
        self.waiting_ms = 0
        """Time that each message has waited in the queue when it is processed."""
        self.registered = MemoryRegistrations()
        self.surroundings = Surroundings(
            clock=self.clock,
            tokens=_CountedTokens(),
            names=_FixedNames(locate, names or {}),
            sink=self.sink,
            credits=self.credits,
            registered=self.registered,
            auth_gate=auth_gate,
            draw=_least,
            steps=steps,
            asker=asker,
            doorkeeper=doorkeeper,
            media=self.media,
            country_of=country_of,
        )
        sip = sip or SipSettings(product="vosd/test")
        self.take_node(Node("sw1", sip, trace or TraceSettings(), listeners, catalogue, self.surroundings))
        node = self.node
        node.vendors.adopt(catalogue, self.clock.now())
        self.flush()
        self.wire.attach(SWITCH, self._receive)
        self.wire.drive(Clockwork(self._next_due, self._fire))

    def new_media(self, listeners: Sequence[Listener]) -> SwitchMedia:
        """Return what a process of the switch makes at its start; the relay outlives it."""
        if self._rtpengines is not None:
            self._rtpengines.later = self.wire.after
            self._rtpengines.clock = self.clock
            self.rtp_calls = RtpEngineCalls(self._rtpengines, "vosd-test-", self.clock)
            self.rtp_calls.in_turn = self.in_turn
            self.rtp_calls.sound_failed = self.sound_failed
        parameters, now = self._configured.parameters.media, self.clock.now()
        parts = MediaParts(self._relay, listeners, self._media_addresses, parameters, now, self.rtp_calls)
        media = SwitchMedia(parts)
        media.parts.use_sounds(self._configured.parameters.sounds)
        if self._rtpengines is not None:
            media.calls.all_resumed(now)
        return media

    def in_turn(self, waiting: WaitingMessage, act: Callable[[Instant], None]) -> None:
        """Do something with a message that waits, as ``engine.loop`` does."""
        self.switch.answer_waiting(waiting, act, self.clock.now())
        self.flush()

    def sound_failed(self, port: int) -> None:
        """Handle that the peer of a port is played its sound no more, as ``engine.loop`` does."""
        self.switch.media_events.sound_failed(port, self.clock.now())
        self.flush()

    def poll_rtpengines(self) -> None:
        """Ask for the figures of all calls, and move those that have lost theirs, as ``engine.service`` does."""
        assert self.rtp_calls is not None
        for _ in range(50):
            self.rtp_calls.poll()
        self.media.moves.go_on(self.clock.now())
        self.flush()

    def take_node(self, node: Node) -> None:
        """Replace the node that receives the packets and timers."""
        self.node = node
        self.endpoint, self.switch, self.authenticator = node.endpoint, node.switch, node.authenticator
        self.registrations, self.followers, self.trace = node.registrations, node.followers, node.trace
        self.sink.describe = node.switch.continuation.describe
        self._turn = Turn(node.endpoint, node.switch, node.trace)

    # -- parties ------------------------------------------------------------------------------------------------

    def caller(self, address: Address) -> Caller:
        """Join a customer's trunk."""
        return Caller(self.wire, address, SWITCH)

    def request_client(self, address: Address, number: str = "1001", *, wait_ms: int = SOON_MS) -> RequestClient:
        """Return a client at any address, known or not; a response may take ``wait_ms``."""
        return RequestClient(self.wire, address, SWITCH, number, wait_ms=wait_ms)

    def vendor(self, address: Address, script: Script | None = None) -> Vendor:
        """Join a vendor's trunk."""
        return Vendor(self.wire, address, SWITCH, script)

    def swap_catalogue(self, catalogue: Catalogue) -> None:
        """Reload."""
        self._configured = catalogue
        self.node.swap_catalogue(catalogue, self.clock.now())
        self.flush()
        for _ in self.switch.terms.recount():
            pass

    def override(self, *overrides: Override) -> None:
        """Put these operational overrides in force, and no others."""
        wanted = Overrides(overrides)
        self.switch.terms.override(overlaid(self._configured, wanted), wanted)

    def end_vendor_registrations(self) -> None:
        """Stop OPTIONS to vendors, and remove our registrations."""
        self.node.vendors.end(self.clock.now())
        self.flush()

    def telephone(self, number: str, address: Address, **terms: Any) -> VirtualPhone:
        """Join a phone; its password is that of ``builders.phone``. ``terms`` are what ``VirtualPhone`` takes."""
        return VirtualPhone(self.wire, address, SWITCH, Login(number, "secret"), **terms)

    # -- inspection and control ---------------------------------------------------------------------------------

    @property
    def record(self) -> CallRecord:
        """The record; there must be exactly one."""
        (record,) = self.sink.records
        return record

    def take_answer(self, ticket: Ticket, answer: SetupAnswer) -> None:
        """Pass the switch the answer to a question of a call's set-up, as ``engine.loop`` does."""
        self.switch.take_answer(ticket, answer, self.clock.now())
        self.flush()

    def end_all(self, reason: EndReason) -> None:
        """End every call by order."""
        self.switch.end_calls(self.switch.calls(), reason, self.clock.now())
        self.flush()

    def flush(self) -> None:
        """Send the queued datagrams of the switch."""
        self.sink.flush()
        for datagram in self._turn.datagrams(self.clock.now()):
            peer, data = datagram.peer, datagram.data
            self.wire.send(SWITCH, Address(peer.host, peer.port), data)

    def leftovers(self) -> dict[str, Any]:
        """Return state that a switch without calls must not have: anything here is a leak."""
        found: dict[str, Any] = {name: census_of([self.switch])[name] for name in ("calls", "legs", "dialogs", "holds")}
        found["open in the journal"] = len(self.sink.open)
        if self.media.parts.relays:
            found |= dict(zip(("legs with media", "ports"), self.media.counted(), strict=True))
        found["places"] = self.switch.live.occupancy.total()
        found["callers counted"] = self.switch.live.dynamic_lists.total()
        for account, credit in self.credits.items():
            found[f"reserved of {account}"] = credit.reserved
        return {name: amount for name, amount in found.items() if amount}

    def residue(self) -> dict[str, int]:
        """Let twice 64·T1 pass; return the state that the switch still has."""
        self.wire.run_for(RESIDUE_MS)
        return {name: amount for name, amount in {**census_of([self.switch]), **self.leftovers()}.items() if amount}

    def statement(self, account: str) -> Decimal:
        """Return what the records book on an account, signed."""
        return sum(
            (posting.amount for record in self.sink.all_records for posting in record.postings
             if posting.account == account),
            Decimal(0),
        )  # fmt: skip

    # -- inside -------------------------------------------------------------------------------------------------

    def _receive(self, packet: Packet) -> None:
        at = self.clock.now()
        self._turn.message(packet.data, Peer(0, *packet.source), Instant(at.mono, at.wall, self.waiting_ms))
        self.flush()

    def _next_due(self) -> int | None:
        due = None
        for each in (self.endpoint.next_timer(), self.switch.next_deadline(), self.registrations.next_end()):
            if each is not None and (due is None or each < due):
                due = each
        return None if due is None else due + self._lateness_ms

    def _fire(self) -> None:
        now = self.clock.now()
        self._turn.timers(now)
        while self.registrations.expire(now):
            pass
        self.flush()


def _least(_most: int) -> int:
    """Return 0: what is spread at random starts at once."""
    return 0
