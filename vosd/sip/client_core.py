"""Sending of requests and processing of their responses (RFC 3261 section 8.1, "UAC core").

A 2xx that no call waits for is left to ``unclaimed_answers``.
"""

from collections.abc import Callable
from typing import Final, NamedTuple

from msgspec.structs import replace

from vosd.base.clock import Instant
from vosd.base.host import is_address
from vosd.sip.dialog.dialog import Dialog
from vosd.sip.dialog.table import DialogTable
from vosd.sip.digest.answer import Answers
from vosd.sip.draft import CHALLENGES, InviteDraft, RequestDraft
from vosd.sip.drops import Drops
from vosd.sip.events import EarlierAnswer, Event, UnwantedAnswer
from vosd.sip.flows import LARGEST_DATAGRAM, Flows, hop_of
from vosd.sip.headers.cseq import COMMON_METHODS
from vosd.sip.headers.name_addr import tag_of
from vosd.sip.headers.via import branch_of
from vosd.sip.owners import ClientOwner
from vosd.sip.transaction.bye_to_user import WAIT_MS, ByeToUser
from vosd.sip.transaction.client import Client, InviteClient
from vosd.sip.transaction.entries import Unacknowledged
from vosd.sip.transaction.store import TransactionStore
from vosd.sip.unclaimed_answers import UnclaimedAnswers
from vosd.sip.wire.compose import invite
from vosd.sip.wire.message import Response
from vosd.sip.wire.outgoing import Datagram, InviteParts, Peer, ProvenAck
from vosd.sip.wire.uri import DEFAULT_PORTS

_METHODS: Final = COMMON_METHODS | {"NOTIFY"}
"""Methods of our requests."""

Placed = Callable[[InviteClient], None]


def not_noted(_transaction: InviteClient) -> None:
    """Do nothing (``Placed``)."""


class _Written(NamedTuple):
    """An encoded INVITE, and a spare one by another transport in case the first fails."""

    parts: InviteParts
    data: bytes
    spare: tuple[InviteParts, bytes] | None


class ClientCore:
    """Sends requests and processes responses; answers challenges if it has credentials (section 8.1.3.5)."""

    def __init__(
        self,
        store: TransactionStore,
        flows: Flows,
        dialogs: DialogTable,
        *,
        agent_header: str,
        dropped: Drops,
        token: Callable[[], str],
        knows: Callable[[str, int], bool],
        are_of_one_vendor: Callable[[str, str], bool],
        placed: Placed,
    ) -> None:
        """``placed`` is called for every INVITE that begins a dialog, before it is sent."""
        self._placed = placed
        self._store = store
        self._flows = flows
        self._dialogs = dialogs
        self._agent_header = agent_header
        self._token = token
        self.unclaimed: Final = UnclaimedAnswers(
            store,
            flows,
            dialogs,
            dropped=dropped,
            knows=knows,
            are_of_one_vendor=are_of_one_vendor,
            send_bye=self.send_bye,
        )

    # -- requests -----------------------------------------------------------------------------------------------

    def send_invite(
        self,
        parts: InviteParts,
        max_forwards: int,
        headers: str,
        body: bytes,
        owner: ClientOwner,
        now: Instant,
        *,
        is_fixed: bool = True,
    ) -> InviteClient:
        """Send an INVITE outside of a dialog; if it is too large for UDP, by TCP unless the transport ``is_fixed``."""
        transaction = InviteClient(store=self._store, owner=owner)
        self.begin_invite(transaction, parts, max_forwards, headers, body, now, is_fixed=is_fixed)
        return transaction

    def begin_invite(
        self,
        transaction: InviteClient,
        parts: InviteParts,
        max_forwards: int,
        headers: str,
        body: bytes,
        now: Instant,
        *,
        is_fixed: bool,
    ) -> None:
        """Send the INVITE of a transaction that was made for it."""
        draft = None
        if parts.answers is not None:
            draft = InviteDraft(self._with_proof(parts, body), max_forwards, headers, body, is_fixed)
            parts = draft.parts
        data, spare = invite(parts, max_forwards, headers, body), None
        if len(data) > LARGEST_DATAGRAM and not is_fixed:
            parts, data, spare = self._write_large(parts, data, max_forwards, headers, body, now)
        transaction.begin(f"{parts.via.rpartition('=')[2]} INVITE", parts, data, now, spare, draft)
        self._placed(transaction)

    def begin_reinvite(
        self, transaction: InviteClient, dialog: Dialog, headers: str, body: bytes, now: Instant, *, is_fixed: bool
    ) -> None:
        """Send a re-INVITE (section 14); if it is too large for UDP, by TCP unless the transport ``is_fixed``."""
        parts = self._with_proof(dialog.invite_parts(self._flows.new_via(dialog.peer.flow)), body)
        draft = InviteDraft(parts, 70, headers, body, is_fixed, dialog=dialog)
        key, (parts, data, spare) = f"{branch_of(parts.via)} INVITE", self._write_invite(draft, now)
        transaction.begin(key, parts, data, now, spare, None if parts.answers is None else draft)

    def send_request(
        self, dialog: Dialog, method: str, headers: str, body: bytes, owner: ClientOwner | None, now: Instant
    ) -> Client:
        """Send a request other than INVITE and ACK within a dialog; without ``owner`` its response is ignored."""
        client = Client(store=self._store, owner=owner)
        self.begin_request(client, dialog, method, headers, body, now, is_fixed=True)
        return client

    def begin_request(
        self, client: Client, dialog: Dialog, method: str, headers: str, body: bytes, now: Instant, *, is_fixed: bool
    ) -> None:
        """Send the request of a transaction; if it is too large for UDP, by TCP unless the transport ``is_fixed``."""
        answers = dialog.answers
        draft = None
        if answers is not None:
            draft = RequestDraft(dialog, method, headers, body, is_proven=answers.are_wanted, is_fixed=is_fixed)
        self._send(client, dialog, self._write(dialog, method, headers, body, now), draft, now, is_fixed=is_fixed)

    def send_ack(self, transaction: InviteClient, dialog: Dialog, headers: str, body: bytes) -> None:
        """Acknowledge a 2xx, and each of its retransmissions."""
        peer, parts = dialog.peer, transaction.parts
        if peer in self._store.unreachable:
            peer = self._flows.by_udp(peer, dialog.seen_at) or peer
        via = self._flows.vias[peer.flow] + self._token()
        ack = dialog.request("ACK", via, parts.sequence, parts.credentials + headers, body)
        if len(ack) > LARGEST_DATAGRAM and not self._store.reliable[peer.flow]:
            peer, ack = self._large_ack(peer, ack, parts.peer)
        answers = dialog.answers
        if answers is None and not dialog.server_name:  # most peers have neither, and a property costs a call
            transaction.acknowledge(Datagram(peer, ack))
        else:
            transaction.acknowledge(ProvenAck.of(peer, ack, answers, dialog.expected_name))

    def send_bye(self, dialog: Dialog, headers: str, now: Instant, body: bytes = b"") -> Client:
        """Send a BYE; its response is ignored. Over a connection of a registered user it waits for the next one.

        Any other one that finds no connection is sent again for as long as over UDP: the peer may be starting.
        """
        if headers[:12] != "User-Agent: ":  # some trunks see another product
            headers = self._agent_header + headers
        registers = dialog.user and not dialog.server_name  # a trunk that is known by its certificate does not
        is_over_connection = registers and self._store.reliable[dialog.peer.flow] and not dialog.routes
        bye = (
            ByeToUser(
                store=self._store,
                user=dialog.user,
                contact=dialog.target,
                device=dialog.device,
                until=now.mono + WAIT_MS,
                is_guess=dialog.is_guessed,
            )
            if is_over_connection
            else Client(store=self._store)
        )
        answers = dialog.answers
        draft = None if answers is None else RequestDraft(dialog, "BYE", headers, body, is_proven=answers.are_wanted)
        key, peer, data, spare, spare_data = self._write(dialog, "BYE", headers, body, now)
        if dialog.server_name:  # most peers have none, and a property costs a call
            bye.server_name = dialog.expected_name
        last = None if is_over_connection or spare is None else self._flows.by_datagrams(dialog.next_stop, peer)
        if last is not None:
            spare_data = self._for_udp(data, peer.flow, last.flow)
        if spare is not None and not is_over_connection:
            bye.again_until = now.mono + self._store.timers.give_up_ms
        bye.begin(key, peer, data, now, spare, draft, spare_data, last)
        return bye

    def end_left_over(self, dialog: Dialog, invite_sequence: int, headers: str, now: Instant) -> Client:
        """Release a dialog of an earlier run, return its BYE; if the INVITE was ours, its 2xx may still need an ACK."""
        if invite_sequence:
            ack = dialog.request("ACK", self._flows.new_via(dialog.peer.flow), invite_sequence, self._agent_header)
            self._store.send_ack(ProvenAck.of(dialog.peer, ack, dialog.answers, dialog.expected_name), now)
        return self.send_bye(dialog, headers, now)

    def take_left_over(self, parts: InviteParts) -> InviteClient:
        """Wait for the final response to an INVITE of an earlier run; a callee that answers is released.

        The run before may have kept its transaction, which waits for that already.
        """
        key = f"{branch_of(parts.via)} INVITE"
        kept = self._store.clients.get(key)
        return kept if isinstance(kept, InviteClient) else InviteClient.left_over(self._store, key, parts)

    # -- responses ----------------------------------------------------------------------------------------------

    def take_response(self, message: Response, source: Peer, now: Instant) -> Event | None:
        """Process a response; return the event for the endpoint's user, if any."""
        # Section 8.1.3.3 says to discard a response with several Vias. Our branch on top identifies our request anyway,
        # and to discard a 200 would leave a call that the vendor bills.
        key = message.key or f"{branch_of(message.header('via') or '')} {message.cseq.method}"
        transaction = self._store.clients.get(key)
        if transaction is None:
            finished = self._store.finished.get(key)
            if isinstance(finished, Datagram):
                if message.status >= 200:
                    return self.unclaimed.acknowledge_again(key, finished, message, now)
            elif isinstance(finished, Unacknowledged):
                if 200 <= message.status < 300 and message.to_tag not in {"", finished.to_tag}:
                    return self.unclaimed.take_fork(key, finished.parts, message, now)
            elif finished is None:
                return self.unclaimed.take_unmatched(key, message, source, now)
            return None
        if message.status in CHALLENGES and transaction.draft is not None:
            return self._take_challenge(transaction, message, now)
        event = transaction.response_came(message, now)
        if event is not None:
            return event
        if isinstance(transaction, InviteClient) and 200 <= message.status < 300:
            return self._take_unwanted(transaction, message, now)
        if message.status == 481 and key.endswith(" CANCEL"):
            self._note_unknown(key, now)
        return None

    def _take_unwanted(
        self, transaction: InviteClient, answer: Response, now: Instant
    ) -> EarlierAnswer | UnwantedAnswer | None:
        """Acknowledge a 2xx to an INVITE that was given up; a BYE follows unless that was within a dialog."""
        if transaction.dialog is not None:
            self.send_ack(transaction, transaction.dialog, "", b"")
            return self.unclaimed.of_live_dialog(transaction.dialog, answer, now)
        self.unclaimed.end(transaction.key, transaction.parts, answer, now)
        witness, transaction.witness = transaction.witness, None
        return None if witness is None else UnwantedAnswer(witness, answer, now)

    def _note_unknown(self, cancel_key: str, now: Instant) -> None:
        """Tell an INVITE that its CANCEL got 481."""
        cancelled = self._store.clients.get(f"{cancel_key[:-6]}INVITE")
        if isinstance(cancelled, InviteClient):
            cancelled.peer_knows_none(now)

    def expects(self, response: Response) -> bool:
        """Return whether a response with faults is to a request of ours; without CSeq, the branch decides.

        A branch alone does not distinguish the responses to a CANCEL and to its INVITE.
        """
        branch = branch_of(response.header("via") or "")
        known = [method for method in _METHODS if self._is_known(f"{branch} {method}")]
        if response.cseq.method in known:
            return True
        if len(known) == 1:
            response.settle(response.fault or "", cseq=response.cseq._replace(method=known[0]))
        return len(known) == 1

    def _is_known(self, key: str) -> bool:
        return key in self._store.clients or self._store.finished.get(key) is not None

    # -- writing ------------------------------------------------------------------------------------------------

    def _with_proof(self, parts: InviteParts, body: bytes) -> InviteParts:
        """Add credentials to an INVITE if its peer has challenged before."""
        if parts.answers is None:
            return parts
        return replace(parts, credentials=parts.answers.lines("INVITE", parts.uri, body, self._token()))

    def _write_invite(self, draft: InviteDraft, now: Instant) -> _Written:
        parts, hops, headers, body = draft.parts, draft.max_forwards, draft.headers, draft.body
        data = invite(parts, hops, headers, body)
        if draft.dialog is not None:
            peer = None if draft.is_fixed else self._by_tcp(draft.dialog, data, now)
            if peer is not None:
                by_tcp = replace(parts, via=self._flows.same_branch(parts.via, peer.flow), peer=peer)
                return _Written(by_tcp, self._flows.through(data, parts.peer.flow, peer.flow), (parts, data))
            by_udp = self._flows.by_udp(parts.peer, draft.dialog.seen_at)
            if by_udp is not None:
                other = replace(parts, via=self._flows.same_branch(parts.via, by_udp.flow), peer=by_udp)
                fallback = other, self._for_udp(data, parts.peer.flow, by_udp.flow)
                may_connect = self._store.may_connect(parts.peer, now)
                return _Written(parts, data, fallback) if may_connect else _Written(*fallback, None)
            beside = self._flows.beside(draft.dialog.next_stop, parts.peer)
            return _Written(parts, data, None if beside is None else (replace(parts, peer=beside), data))
        if len(data) > LARGEST_DATAGRAM and not draft.is_fixed:
            return self._write_large(parts, data, hops, headers, body, now)
        return _Written(parts, data, None)

    def _write_large(
        self, parts: InviteParts, data: bytes, hops: int, headers: str, body: bytes, now: Instant
    ) -> _Written:
        """Write an INVITE for TCP where the peer may accept a connection; ``data`` is what goes over UDP."""
        flow = self._flows.for_large(parts.peer.flow)
        if flow is None or not self._store.may_connect(parts.peer._replace(flow=flow), now):
            return _Written(parts, data, None)
        headers = headers.replace(self._flows.contacts[parts.peer.flow], self._flows.contacts[flow], 1)
        via = self._flows.same_branch(parts.via, flow)
        other = replace(parts, via=via, peer=parts.peer._replace(flow=flow))
        return _Written(other, invite(other, hops, headers, body), (parts, data))

    def _by_tcp(self, dialog: Dialog, data: bytes, now: Instant) -> Peer | None:
        """Return where a request within a dialog goes by TCP: it is too large for UDP (section 18.1.1).

        None where it is not, where the peer has named UDP in its Contact or Record-Route, or is not reached there
        itself (NAT, another address family), and where it has taken no connection lately.
        """
        peer = dialog.peer
        if len(data) <= LARGEST_DATAGRAM or self._store.reliable[peer.flow] or dialog.is_behind_nat:
            return None
        flow, hop = self._flows.for_large(peer.flow), hop_of(dialog.next_stop)
        if flow is None or hop is None or hop.transport is not None:
            return None
        if is_address(hop.host) and (hop.host, hop.port or DEFAULT_PORTS["udp"]) != peer[1:]:
            return None
        by_tcp = peer._replace(flow=flow)
        return by_tcp if self._store.may_connect(by_tcp, now) else None

    def _for_udp(self, data: bytes, old: int, flow: int) -> bytes:
        """Return a request for a connection as it goes by a UDP flow: our Contact names that, too."""
        contacts = self._flows.contacts
        return self._flows.through(data, old, flow).replace(contacts[old].encode(), contacts[flow].encode(), 1)

    def _large_ack(self, peer: Peer, ack: bytes, asked: Peer) -> tuple[Peer, bytes]:
        """Return an ACK that is too large for UDP: over the connection of its INVITE, if that had one."""
        if not self._store.reliable[asked.flow] or asked[1:] != peer[1:]:
            return peer, ack
        return asked, self._flows.through(ack, peer.flow, asked.flow)

    def _send(
        self,
        client: Client,
        dialog: Dialog,
        written: tuple[str, Peer, bytes, Peer | None, bytes],
        draft: RequestDraft | None,
        now: Instant,
        *,
        is_fixed: bool,
    ) -> None:
        """Send a request as it was written, or by TCP if it is too large."""
        key, peer, data, spare, spare_data = written
        client.server_name = dialog.expected_name
        if len(data) > LARGEST_DATAGRAM and not is_fixed:
            other = self._by_tcp(dialog, data, now)
            if other is not None:
                client.begin(key, other, self._flows.through(data, peer.flow, other.flow), now, peer, draft, data)
                return
        client.begin(key, peer, data, now, spare, draft, spare_data)

    def _write(
        self, dialog: Dialog, method: str, headers: str, body: bytes, now: Instant
    ) -> tuple[str, Peer, bytes, Peer | None, bytes]:
        """Return the key of a request within a dialog, where it goes and what it is, and the same of its spare."""
        dialog.local_sequence += 1
        if dialog.answers is not None:
            headers = dialog.answers.lines(method, dialog.request_uri, body, self._token()) + headers
        peer, token = dialog.peer, self._token()
        via = self._flows.vias[peer.flow] + token
        key = f"{self._flows.mark}{token} {method}"
        data = dialog.request(method, via, dialog.local_sequence, headers, body)
        if not self._store.reliable[peer.flow]:
            return key, peer, data, None, b""
        by_udp = self._flows.by_udp(peer, dialog.seen_at)
        if by_udp is not None:
            other = self._for_udp(data, peer.flow, by_udp.flow)
            may_connect = self._store.may_connect(peer, now)
            return (key, peer, data, by_udp, other) if may_connect else (key, by_udp, other, None, b"")
        # What is outside a dialog goes to a Contact alone: its owner repeats it, and has other addresses.
        beside = self._flows.beside if dialog.remote_tag else self._flows.elsewhere
        return key, peer, data, beside(dialog.next_stop, peer), b""

    # -- proof --------------------------------------------------------------------------------------------------

    def _take_challenge(self, transaction: Client | InviteClient, challenge: Response, now: Instant) -> Event | None:
        """Send a challenged request again with credentials, or return the challenge as an event."""
        if isinstance(transaction, InviteClient):
            return self._take_challenge_to_invite(transaction, challenge, now)
        draft = transaction.draft
        event = transaction.response_came(challenge, now)
        if draft is None or not _can_prove(draft.dialog.answers, draft.rounds, challenge, is_proven=draft.is_proven):
            return event
        written = self._write(draft.dialog, draft.method, draft.headers, draft.body, now)
        again = replace(draft, rounds=draft.rounds + 1, is_proven=True)
        self._send(transaction, draft.dialog, written, again, now, is_fixed=draft.is_fixed)
        return None

    def _take_challenge_to_invite(self, transaction: InviteClient, challenge: Response, now: Instant) -> Event | None:
        draft, owner, is_wanted = transaction.draft, transaction.owner, transaction.is_wanted
        event = transaction.response_came(challenge, now)
        if draft is None or owner is None or not is_wanted:
            return event
        if not _can_prove(draft.parts.answers, draft.rounds, challenge, is_proven=bool(draft.parts.credentials)):
            return event
        draft = draft.again(self._flows.new_via(draft.parts.peer.flow), self._counted(draft))
        draft = replace(draft, parts=self._with_proof(draft.parts, draft.body))
        parts, data, spare = self._write_invite(draft, now)
        transaction.owner = owner
        transaction.begin(f"{branch_of(parts.via)} INVITE", parts, data, now, spare, draft)
        if draft.dialog is None:
            self._placed(transaction)
        return None

    def _counted(self, draft: InviteDraft) -> int:
        """Return the greatest CSeq number of an INVITE and of the requests in its early dialogs."""
        keeper = None if draft.dialog is not None else self._dialogs.owners.get(tag_of(draft.parts.from_))
        forks = () if keeper is None else keeper.forks.values()
        return max((draft.parts.sequence, *(fork.local_sequence for fork in forks)))


def _can_prove(answers: Answers | None, rounds: int, challenge: Response, *, is_proven: bool) -> bool:
    """Return whether a challenge can be answered (again), and remember what it requires."""
    return answers is not None and answers.learn(challenge, rounds, is_proven=is_proven)
