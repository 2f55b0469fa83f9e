"""Processing of requests from peers (RFC 3261 section 8.2, "UAS core").

A request is a retransmission (``repetitions``), is dropped, refused or challenged (``own_answers``), or becomes an
event for its dialog or for the endpoint's user.
"""

from collections.abc import Callable
from typing import Final

from vosd.base.clock import Instant
from vosd.base.nat import Nat
from vosd.sip.auth_gate import BY_ADDRESS, EXAMINED, Accepted, AuthGate, Challenged, SourceRefusal, Waiting
from vosd.sip.dialog.acceptance import Acceptance, PendingBye
from vosd.sip.dialog.dialog import Dialog
from vosd.sip.dialog.table import DialogTable, is_prack_of
from vosd.sip.drops import Drop, Drops
from vosd.sip.events import (
    AckArrived,
    CancelArrived,
    Event,
    InviteArrived,
    InviteRefused,
    RegisterArrived,
    RequestArrived,
    StandaloneArrived,
    UnknownSourceIgnored,
)
from vosd.sip.flows import Flows, hop_of
from vosd.sip.headers.cseq import UNREAD
from vosd.sip.own_answers import OwnAnswers
from vosd.sip.owners import DialogOwner
from vosd.sip.repetitions import BRANCH_IN_USE, NEW, Repetitions, prefix_of
from vosd.sip.screening import CAPABILITIES, Objection, claims_tls, objection, objection_to_body
from vosd.sip.settings import SipSettings
from vosd.sip.transaction.server import InviteServer, Server
from vosd.sip.transaction.states import TransactionState
from vosd.sip.transaction.store import TransactionStore
from vosd.sip.wire.errors import ParseError
from vosd.sip.wire.lenient import CONFIRMING
from vosd.sip.wire.message import Request, Response
from vosd.sip.wire.outgoing import Datagram, Peer, ResponseStem
from vosd.sip.wire.stateless import common_invite
from vosd.sip.wire.status import phrase
from vosd.sip.wire.uri import SECURE

_OFFERS: Final = frozenset({"INVITE", "UPDATE"})
"""Requests that change a session: one that comes again asks for the same once more."""
_TAKEN_LATE: Final = frozenset({"BYE", "PRACK"})
"""Requests that are answered also where a later one of their side has come before them."""

SendPendingBye = Callable[[Acceptance, Instant], None]
"""Ends a call whose BYE waits for the ACK of our 200."""


class ServerCore:
    """Processes requests."""

    def __init__(
        self,
        store: TransactionStore,
        flows: Flows,
        dialogs: DialogTable,
        settings: SipSettings,
        *,
        token: Callable[[], str],
        knows: Callable[[str, int], bool],
        nat_at: Callable[[str, int], Nat],
        is_of_one_trunk: Callable[[Peer, Peer], bool],
        auth_gate: AuthGate,
        server_header: str,
        send_pending_bye: SendPendingBye,
        dropped: Drops,
    ) -> None:
        self._store = store
        self._dialogs = dialogs
        self._settings = settings
        self._knows = knows
        self._is_of_one_trunk = is_of_one_trunk
        self._auth_gate = auth_gate
        self._is_tls = tuple(each.transport in SECURE for each in flows.listeners)
        self._sips_refused = tuple(
            Objection(480, f'Warning: 380 {each.sent_by} "SIPS Not Allowed"\r\n') for each in flows.listeners
        )
        """By flow: what a request by ``sips:`` gets that came without TLS (RFC 5630 section 6)."""
        self._send_pending_bye = send_pending_bye
        self._dropped = dropped
        self._repetitions = Repetitions(store, dialogs, is_of_one_trunk)
        self.passed_bodies: frozenset[str] = frozenset()
        """Types of bodies that some trunk is sent, beside session descriptions; an INVITE may require those."""
        self._relayed: frozenset[str] = frozenset()
        self._examined = EXAMINED
        """Methods that need a verdict of the authentication gate."""
        self._answers = OwnAnswers(
            store,
            flows,
            dialogs,
            self._repetitions,
            token=token,
            knows=knows,
            nat_at=nat_at,
            server_header=server_header,
        )

    def relay(self, methods: frozenset[str]) -> None:
        """Take requests of these methods outside of dialogs; a NOTIFY is judged by its address alone."""
        self._relayed = methods
        self._examined = EXAMINED | (methods - {"NOTIFY"})

    def take_request(self, request: Request, source: Peer, now: Instant) -> Event | None:
        """Process a request; return the event for its dialog or for the endpoint's user, if any.

        Raises:
            ParseError: what was needed of it cannot be read.
        """
        prefix = request.prefix or prefix_of(request)
        repetition = self._repetitions.recognise(request, source, prefix, now)
        if repetition is not NEW:
            if repetition is BRANCH_IN_USE:
                self._answers.refuse_branch_in_use(request, source)
            return None
        if request.method == "ACK":
            return self._take_ack(request, source, f"{prefix}INVITE", now)
        refusal_of = self._auth_gate.refusal_of
        if refusal_of is not None and not request.to_tag and request.method != "CANCEL":
            blocked = refusal_of(source)
            if blocked is not None:
                return self._refuse_source(request, source, blocked, prefix + request.method, now)
        return self._take_new_request(request, source, prefix, now)

    def refuse_common_invite(self, data: bytes, source: Peer, headers: str, now: Instant) -> Datagram | None:
        """Do the same as ``refuse_overload`` for an INVITE in the common form; None if it must be parsed."""
        invite = common_invite(data, source)
        if invite is None or self._repetitions.is_known(invite.key):
            return None
        earlier = self._repetitions.refusal_of(invite.key, now)
        return earlier or self._answers.common_refusal(invite, source, headers, now)

    def refuse_overload(self, request: Request, source: Peer, headers: str, now: Instant) -> Datagram | Event | None:
        """Return a 503 that keeps no transaction (section 8.2.7); process what belongs to a known transaction.

        Raises:
            ParseError: what was needed of it cannot be read.
        """
        key = prefix_of(request) + request.method
        if request.method == "ACK" or self._repetitions.is_known(key):
            return self.take_request(request, source, now)
        earlier = self._repetitions.refusal_of(key, now)
        return earlier or self._answers.refusal(self._answers.own_stem_of(request, source), key, 503, headers, now)

    def _take_new_request(self, request: Request, source: Peer, prefix: str, now: Instant) -> Event | None:
        """Process a request that is no retransmission; ``prefix`` is ``prefix_of`` it."""
        method, to_tag = request.method, request.to_tag
        key = prefix + method
        # Requests of a dialog, whose peer may have moved, are taken from any source.
        is_of_dialog = to_tag in self._dialogs.owners or (to_tag != "" and self._dialogs.has(to_tag))
        why = None if is_of_dialog else self._reason_to_drop(request, source, prefix + "INVITE", now)
        if why is not None:
            self._dropped[why] += 1
            invite = request if method == "INVITE" else None
            return UnknownSourceIgnored(source, f"{method} {request.uri}", now, why, invite)
        is_relayed = method in self._relayed and not is_of_dialog and (not to_tag or method != "MESSAGE")
        accepted = BY_ADDRESS
        if (not to_tag or is_relayed) and self._auth_gate.examines and method in self._examined:
            verdict = self._auth_gate.examine(request, source, now)
            if not isinstance(verdict, Accepted):
                return self._turn_away(request, source, verdict, now)
            accepted = verdict
        stem = self._answers.stem_of(request, source)
        if method == "CANCEL":
            return self._take_cancel(request, source, stem, prefix, key, now)
        try:
            passed = self.passed_bodies
            refusal = (
                objection(request, passed, is_relayed=is_relayed)
                if request.fault is None
                else objection_to_body(request, passed)
            )
        except ParseError as error:
            error.user = accepted.user
            raise
        if refusal is None and not to_tag and (method == "REGISTER" or request.uri[3:4] in "sS"):
            refusal = None if self._is_tls[source.flow] or not claims_tls(request) else self._sips_refused[source.flow]
        if refusal is not None and not (refusal.status == 420 and self._ends_or_confirms(request)):
            status, headers = refusal
            self._answer_here(request, stem, source, key, status, headers, now, is_of_dialog=is_of_dialog)
            return None if method != "INVITE" or to_tag else _refused(request, source, refusal, accepted.user, now)
        if stem.tagged and not is_relayed:
            return self._take_request_in_dialog(request, stem, source, key, now, is_of_dialog=is_of_dialog)
        return self._take_request_outside(request, stem, source, accepted, key, now)

    def _turn_away(
        self, request: Request, source: Peer, verdict: Challenged | Waiting, now: Instant
    ) -> UnknownSourceIgnored | None:
        """Answer a request that is not accepted, and keep no state; one that waits for a verdict gets no answer."""
        if isinstance(verdict, Waiting):
            return None
        if verdict.why is not None:
            self._dropped[verdict.why] += 1
        self._answers.challenge(request, source, verdict)
        if verdict.why is not Drop.UNKNOWN_SOURCE:
            return None
        return UnknownSourceIgnored(
            source, f"{request.method} {request.uri}", now, verdict.why, request, verdict.status
        )

    def expects(self, request: Request) -> bool:
        """Return whether a request with faults belongs to a transaction or dialog that is live, or was until lately.

        Raises:
            ParseError: what the key of its transaction is made of cannot be read.
        """
        method, prefix = request.method, prefix_of(request)
        if self._repetitions.is_known(prefix + method):
            return True
        if method in {"ACK", "CANCEL"} and self._repetitions.is_known(prefix + "INVITE"):
            return True
        return self._ends_or_confirms(request)

    def _ends_or_confirms(self, request: Request) -> bool:
        """Return whether a request confirms or ends a dialog of ours, and is processed whatever else it requires."""
        if request.method not in CONFIRMING or request.method == "CANCEL":
            return False
        return self._dialogs.find(request)[1] is not None or self._dialogs.crosses_the_end(request)

    def refuse_malformed(
        self, error: ParseError, message: Request | Response | None, source: Peer, now: Instant
    ) -> InviteRefused | None:
        """Count a malformed message, and answer a request without keeping a transaction.

        Return the event of an INVITE that was answered.
        """
        self._dropped[Drop.NOT_SIP if message is None else error.reason] += 1
        if not isinstance(message, Request) or not error.status or message.method == "ACK":
            return None
        is_answered = self._settings.answers_unknown_sources or self._knows(source.host, source.port)
        if not is_answered or self._auth_gate.is_locked_out(source, now):
            return None
        self._answers.refuse_malformed(error, message, source)
        if message.method != "INVITE" or message.to_tag:
            return None
        return InviteRefused(message, source, now, error.status, str(error), error.user)

    def _refuse_source(
        self, request: Request, source: Peer, blocked: SourceRefusal, key: str, now: Instant
    ) -> InviteRefused | None:
        """Refuse a request for the address that it comes from, whatever it is."""
        self._dropped[Drop.BLOCKED_BY_RULE] += 1
        self._answers.refuse(self._answers.own_stem_of(request, source), key, 403, blocked.headers, now)
        if request.method != "INVITE":
            return None
        return InviteRefused(request, source, now, 403, blocked.why, is_blocked=True)

    def _reason_to_drop(self, request: Request, source: Peer, invite_key: str, now: Instant) -> Drop | None:
        """Return why a request of no dialog is dropped; None if its source is known, or may authenticate.

        The CANCEL of an accepted INVITE is taken from where that came from.
        """
        method, gate = request.method, self._auth_gate
        if method == "CANCEL":
            cancelled = self._store.servers.get(invite_key)
            if isinstance(cancelled, InviteServer) and self._is_cancelled_by(request, source, cancelled):
                return None
        is_examined = gate.has_users and method in self._examined and (not request.to_tag or method == "SUBSCRIBE")
        if gate.locked and gate.is_locked_out(source, now) and not (is_examined and gate.may_prove(source, now)):
            return Drop.LOCKED_OUT
        if self._settings.answers_unknown_sources or self._knows(source.host, source.port):
            return None
        # Elsewhere a challenge would say no more than that a switch is here.
        return None if is_examined and gate.may_have_user_at(source) else Drop.UNKNOWN_SOURCE

    def _take_request_outside(
        self, request: Request, stem: ResponseStem, source: Peer, accepted: Accepted, key: str, now: Instant
    ) -> InviteArrived | RegisterArrived | StandaloneArrived | None:
        method = request.method
        if method == "INVITE":
            merging = f"{request.call_id} {request.from_tag} {request.sequence}"
            if self._repetitions.is_merged(merging):
                self._answer_here(request, stem, source, key, 482, "", now, is_of_dialog=False)
                return None
            transaction = InviteServer.received(self._store, key, stem, merging)
            return InviteArrived(transaction, request, source, now, *accepted)
        if method == "REGISTER":
            return RegisterArrived(Server.received(self._store, key, stem), request, source, now, accepted.user)
        if not (accepted.user and method in self._relayed):  # the user of the endpoint knows what its setting is
            stem = self._answers.towards(source, request, stem)
        if method in self._relayed:
            return StandaloneArrived(Server.received(self._store, key, stem), request, source, now, accepted.user)
        if method == "OPTIONS":
            self._answers.answer(stem, key, method, 200, CAPABILITIES, now)
        else:
            self._answers.refuse(stem, key, 481, "", now)
        return None

    def _take_request_in_dialog(
        self, request: Request, stem: ResponseStem, source: Peer, key: str, now: Instant, *, is_of_dialog: bool
    ) -> RequestArrived | None:
        owner, dialog = self._dialogs.find(request)
        method = request.method
        if owner is None or dialog is None:  # it has ended, is not confirmed yet, or is none of ours
            status = 200 if is_of_dialog and self._dialogs.crosses_the_end(request) else 481
            self._answer_here(request, stem, source, key, status, "", now, is_of_dialog=is_of_dialog)
            return None
        # Section 12.2.2 refuses a lower CSeq. A BYE is taken all the same: its sender has ended the call, and refusing
        # it would bill a call that is over. So is a PRACK, whose RAck says what it is for: the answer waits for it.
        if dialog.is_behind_nat:
            stem = stem.answered_at(source)
        number = request.sequence
        # The journal of a killed switch has the number of an offer that was agreed, but not the response to it. To
        # refuse its repetition would leave this side with the session of before, and the other with the new one.
        resumed = self._dialogs.resumed
        is_again = request.to_tag in resumed and number == dialog.remote_sequence and method in _OFFERS
        is_late = number <= dialog.remote_sequence and number != UNREAD and not is_again
        if is_late and method not in _TAKEN_LATE:
            self._answers.answer(stem, key, method, 500, "", now)
            return None
        dialog.remote_sequence = max(dialog.remote_sequence, number)
        resumed.discard(request.to_tag)
        is_elsewhere = source.host != dialog.seen_at.host and method in _OFFERS and self._is_alike(dialog, source)
        if is_elsewhere or (source != dialog.peer and not is_late and self._has_moved(dialog, request, source)):
            # Only the peer knows both tags (80 random bits are ours), and the CSeq shows that the request is not old.
            self._follow(owner, dialog, request, source)
        if isinstance(owner, PendingBye):
            self._take_request_at_the_end(request, stem, owner.acceptance, key, now)
            return None
        kind = InviteServer if method == "INVITE" else Server
        return RequestArrived(owner, kind.received(self._store, key, stem), request, dialog, now)

    def _take_request_at_the_end(
        self, request: Request, stem: ResponseStem, acceptance: Acceptance, key: str, now: Instant
    ) -> None:
        """Answer a request within a dialog that gets our BYE as soon as our 200 has its ACK."""
        is_bye = request.method == "BYE"
        crosses = is_bye or is_prack_of(request, acceptance.overtaken)
        self._answers.answer(stem, key, request.method, 200 if crosses else 481, "", now)
        if is_bye:
            acceptance.acknowledged()
            self._dialogs.forget(request.to_tag, now, acceptance.overtaken)

    def _answer_here(
        self, request: Request, stem: ResponseStem, source: Peer, key: str, status: int, headers: str, now: Instant,
        *, is_of_dialog: bool,
    ) -> None:  # fmt: skip
        """Send the final response to a request that goes no further; one of an unknown dialog leaves no transaction."""
        stem = self._answers.towards(source, request, stem)
        if stem.tagged and not is_of_dialog:
            self._answers.refuse(stem, key, status, headers, now)
        else:
            self._answers.answer(stem, key, request.method, status, headers, now)

    def _has_moved(self, dialog: Dialog, request: Request, source: Peer) -> bool:
        """Return whether the peer of a dialog is reached where it has sent a request from.

        One request over a connection moves no dialog from UDP: it may only have been large (section 18.1.1), and the
        connection is closed soon. It does where the Contact names that transport.
        """
        reliable = self._store.reliable
        if not reliable[source.flow] or reliable[dialog.peer.flow]:
            return dialog.is_behind_nat or reliable[source.flow]
        hop = hop_of(request.header("contact") or "")
        return dialog.is_behind_nat and hop is not None and hop.transport not in {None, "udp"}

    def _is_alike(self, dialog: Dialog, source: Peer) -> bool:
        """Return whether a peer has sent a request over the same kind of transport as before.

        What it offers then holds where it is now, also if requests go to its Contact: a private address in its session
        description is one behind this address.
        """
        reliable = self._store.reliable
        return reliable[source.flow] is reliable[dialog.seen_at.flow]

    def _follow(self, owner: DialogOwner | PendingBye, dialog: Dialog, request: Request, source: Peer) -> None:
        """Send requests of a dialog to another address of its peer."""
        name = dialog.server_name
        dialog.follow(source, keeps_name=name != "" and self._auth_gate.has_shown(source, name))
        self._dialogs.follow(request.to_tag, dialog)
        owner.moved()

    def _take_ack(self, request: Request, source: Peer, invite_key: str, now: Instant) -> AckArrived | None:
        transaction = self._store.servers.get(invite_key)
        if isinstance(transaction, InviteServer):
            transaction.acknowledged(now)
            return None
        owner, dialog = self._dialogs.find(request)
        if owner is None or dialog is None:
            return None  # an ACK is never answered
        if dialog.is_behind_nat and source.flow != dialog.peer.flow and source.host == dialog.peer.host:
            reliable = self._store.reliable
            is_on_udp = reliable[dialog.peer.flow] and not reliable[source.flow]  # only the INVITE was large
            if is_on_udp:
                self._follow(owner, dialog, request, source)
        if isinstance(owner, PendingBye):
            if owner.acceptance.is_acknowledged_by(request):
                self._send_pending_bye(owner.acceptance, now)
            return None
        return AckArrived(owner, request, now)

    def _take_cancel(
        self, request: Request, source: Peer, stem: ResponseStem, prefix: str, key: str, now: Instant
    ) -> CancelArrived | None:
        """Answer a CANCEL (section 9.2); return the event if its INVITE has, or may have had, no final response.

        The response goes where those to the INVITE go: that may follow from ``nat`` of the phone that sent it. One that
        is not of the sender of its INVITE has no effect: it gets 481.
        """
        transaction = self._store.servers.get(prefix + "INVITE")
        finished = self._store.finished.get(prefix + "INVITE")
        found = transaction is not None or finished is not None
        if isinstance(transaction, InviteServer) and not self._is_cancelled_by(request, source, transaction):
            self._answers.refuse_cancel(self._answers.towards(source, request, stem))
            return None
        owner = transaction.owner if isinstance(transaction, InviteServer) else None
        accepted = self._accepted(finished, request, source)
        dialog = accepted.dialog if accepted is not None else None if owner is None else owner.dialog
        tag = None if dialog is None else dialog.local_tag  # the one that the INVITE is answered with
        answered_at = None if accepted is None or not accepted.dialog.is_behind_nat else accepted.dialog.seen_at
        is_seen = source == (answered_at if transaction is None else transaction.stem.peer)
        stem = stem.answered_at(source) if is_seen else self._answers.towards(source, request, stem)
        self._answers.answer_cancel(stem, key, 200 if found else 481, tag, now)
        if isinstance(transaction, InviteServer) and owner and transaction.state is TransactionState.PROCEEDING:
            return CancelArrived(owner, transaction, request, now)
        if now.waited_ms and accepted is not None and accepted.owner is not None:
            return CancelArrived(accepted.owner, None, request, now)
        return None

    def _accepted(self, finished: object, cancel: Request, source: Peer) -> Acceptance | None:
        """Return the 2xx that waits for its ACK where a CANCEL is of the sender of its INVITE; None = there is none."""
        keeper = self._dialogs.owners.get(finished) if isinstance(finished, str) else None  # by our tag
        accepted = None if keeper is None else keeper.acceptance
        if accepted is None or accepted.invite != cancel.sequence:
            return None
        dialog = accepted.dialog
        is_of_invite = (dialog.call_id, dialog.remote_tag) == (cancel.call_id, cancel.from_tag)
        return accepted if is_of_invite and self._is_of_hop(cancel, source, dialog.seen_at, dialog) else None

    def _is_cancelled_by(self, cancel: Request, source: Peer, invite: InviteServer) -> bool:
        """Return whether a CANCEL is of the sender of its INVITE: it is never challenged (section 22.1).

        Branches can be guessed where they are counted. The CANCEL repeats Call-ID and From, too (section 9.1).
        """
        dialog = None if invite.owner is None else invite.owner.dialog
        return invite.stem.is_of_call(cancel.call_id, cancel.from_tag) and (
            self._answers.stem_of(cancel, source).peer == invite.stem.peer
            or self._is_of_hop(cancel, source, invite.stem.peer, dialog)
        )

    def _is_of_hop(self, cancel: Request, source: Peer, first: Peer, dialog: Dialog | None) -> bool:
        """Return whether a CANCEL comes from the trunk of its INVITE, or is proven by its tags: behind NAT (ADR 18)."""
        if self._is_of_one_trunk(first, source):
            return True
        return dialog is not None and (dialog.is_behind_nat or cancel.to_tag == dialog.local_tag)


def _refused(request: Request, source: Peer, refusal: Objection, user: str, now: Instant) -> InviteRefused:
    why = f"{refusal.status} {phrase(refusal.status)}: {'; '.join(refusal.headers.splitlines())}"
    return InviteRefused(request, source, now, refusal.status, why, user)
