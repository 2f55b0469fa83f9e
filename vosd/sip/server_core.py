"""What peers ask of us: requests are screened and brought to their dialog (RFC 3261 section 8.2, "UAS core")."""

from collections.abc import Callable

from vosd.base.cause import EndReason, q850_of_status
from vosd.base.clock import Instant
from vosd.base.nat import Nat
from vosd.sip.auth_gate import EXAMINED, AuthGate, Challenged
from vosd.sip.dialog.acceptance import Acceptance, PendingBye
from vosd.sip.dialog.table import CROSSING, DialogTable
from vosd.sip.drops import Drop, Drops, malformed
from vosd.sip.events import (
    AckArrived,
    CancelArrived,
    Event,
    InviteArrived,
    RegisterArrived,
    RequestArrived,
    UnknownSourceIgnored,
)
from vosd.sip.flows import MAGIC, Flows
from vosd.sip.headers.cseq import UNREAD
from vosd.sip.headers.via import Via
from vosd.sip.nat import is_behind_nat
from vosd.sip.screening import CAPABILITIES, objection, objection_to_body
from vosd.sip.settings import SipSettings
from vosd.sip.transaction.finished import Entry, Mark
from vosd.sip.transaction.invite_server import InviteServer
from vosd.sip.transaction.refused import RecentRefusals
from vosd.sip.transaction.server import Server
from vosd.sip.transaction.states import State
from vosd.sip.transaction.store import TransactionStore
from vosd.sip.wire.compose import Datagram, Peer, ResponseStem, encode, named_by_maddr, response, response_stem
from vosd.sip.wire.errors import ParseError
from vosd.sip.wire.lenient import CONFIRMING
from vosd.sip.wire.message import Request, Response
from vosd.sip.wire.stateless import common_invite

SendPendingBye = Callable[[Acceptance, Instant], None]
"""Ends a call whose BYE had to wait for the ACK of our 200."""


class ServerCore:
    """Takes requests."""

    def __init__(
        self,
        store: TransactionStore,
        flows: Flows,
        dialogs: DialogTable,
        settings: SipSettings,
        *,
        token: Callable[[], str],
        knows: Callable[[str, int], bool],
        auth_gate: AuthGate,
        server_header: str,
        send_pending_bye: SendPendingBye,
        dropped: Drops,
    ) -> None:
        self._store = store
        self._flows = flows
        self._dialogs = dialogs
        self._settings = settings
        self._token = token
        self._knows = knows
        self._auth_gate = auth_gate
        self._server_header = server_header
        self._send_pending_bye = send_pending_bye
        self._dropped = dropped
        self._refused = RecentRefusals()

    def take_request(self, request: Request, source: Peer, now: Instant) -> Event | None:
        """Bring a request to its transaction, its dialog, or the endpoint's user.

        Raises:
            ParseError: what was needed of it cannot be read.
        """
        method = request.method
        prefix = _prefix_of(request)
        if method == "ACK":
            return self._take_ack(request, prefix + "INVITE", now)
        key = prefix + method
        known = self._store.servers.get(key)
        if known is not None:
            if known.stem.cseq == (request.header("cseq") or ""):
                known.request_repeated()
            else:
                self._refuse_for_now(request, source)
            return None
        finished = self._store.finished.get(key)
        if finished is not None and not self._reuses_branch(request, finished):
            if isinstance(finished, Datagram):
                self._store.out.append(finished)
            return None
        refused = self._refused.get(key, now.mono)
        if refused is not None:
            self._store.out.append(refused)
            return None
        return self._take_new_request(request, source, prefix, now)

    def _reuses_branch(self, request: Request, finished: Entry) -> bool:
        """Say whether a request that bears the branch of a finished one is another one all the same, by its CSeq."""
        if isinstance(finished, Datagram):
            return encode(f"\r\nCSeq: {request.header('cseq')}\r\n") not in finished.data
        dialog = self._dialogs.find(request)[1] if request.to_tag else None
        return dialog is not None and request.cseq.number > dialog.remote_sequence

    def _refuse_for_now(self, request: Request, source: Peer) -> None:
        """Answer a request that bears the branch of one that is not answered yet (section 14.2), and forget it."""
        stem = self._stem_of(request, source)
        headers = f"{self._server_header}Retry-After: 1\r\n"
        self._store.send(stem.peer, response(stem, 500, self._flows.refusal_tag, headers))

    def _take_new_request(self, request: Request, source: Peer, prefix: str, now: Instant) -> Event | None:
        """Judge what is no repetition; ``prefix`` is what the keys of its transactions begin with."""
        method = request.method
        key = prefix + method
        why = self._why_unheard(request, source, prefix + "INVITE", now)
        if why is not None:
            self._dropped[why] += 1
            invite = request if method == "INVITE" else None
            return UnknownSourceIgnored(source, f"{method} {request.uri}", now, why, invite)
        user = ""
        if method in EXAMINED and not request.to_tag:
            verdict = self._auth_gate.examine(request, source, now)
            if isinstance(verdict, Challenged):
                self._challenge(request, source, verdict)
                if verdict.why is not Drop.UNKNOWN_SOURCE:
                    return None
                return UnknownSourceIgnored(
                    source, f"{method} {request.uri}", now, verdict.why, request, verdict.status
                )
            user = verdict.user
        stem = self._stem_of(request, source)
        if method == "CANCEL":
            return self._take_cancel(request, stem, prefix, key, now)
        refusal = objection(request) if request.fault is None else objection_to_body(request)
        if refusal is not None and not (refusal.status == 420 and self._ends_or_confirms(request)):
            if stem.tagged and not self._dialogs.belongs(request):
                self._forget_with(stem, key, now, refusal.status, refusal.headers)
            else:
                self._answer(stem, key, method, refusal.status, refusal.headers, now)
            return None
        if stem.tagged:
            return self._take_request_in_dialog(request, stem, source, key, now)
        return self._take_request_outside(request, stem, source, user, key, now)

    def expects(self, request: Request) -> bool:
        """Say whether a request with faults that confirms or ends something belongs to what we have, or had just now.

        Raises:
            ParseError: what its transaction is known by cannot be read.
        """
        method, prefix = request.method, _prefix_of(request)
        if self._is_known(prefix + method):
            return True
        if method in {"ACK", "CANCEL"} and self._is_known(prefix + "INVITE"):
            return True
        return self._ends_or_confirms(request)

    def _ends_or_confirms(self, request: Request) -> bool:
        """Say whether a request is heard whatever else it wants: the end of a dialog of ours, or a confirmation."""
        if request.method not in CONFIRMING or request.method == "CANCEL":
            return False
        return self._dialogs.find(request)[1] is not None or self._dialogs.crosses_the_end(request)

    def turn_common_away(self, data: bytes, source: Peer, headers: str, now: Instant) -> Datagram | None:
        """Do as ``turn_away`` does without reading the INVITE, where it is a common one that we do not know."""
        invite = common_invite(data, source)
        if invite is None or self._is_known(invite.key):
            return None
        said = self._refused.get(invite.key, now.mono)
        if said is not None:
            return said
        lines = (self._server_header + headers).encode()
        tag = self._flows.refusal_tag.encode()
        refusal = invite.refused(source, tag, lines, reliable=self._store.reliable[source.flow])
        self._refused.keep(invite.key, refusal, now.mono)
        return refusal

    def turn_away(self, request: Request, source: Peer, headers: str, now: Instant) -> Datagram | Event | None:
        """Return the 503 to a request, without a transaction (section 8.2.7); one that we know goes its way.

        Raises:
            ParseError: what was needed of it cannot be read.
        """
        key = _prefix_of(request) + request.method
        if request.method == "ACK" or self._is_known(key):
            return self.take_request(request, source, now)
        said = self._refused.get(key, now.mono)
        if said is not None:
            return said
        stem = self._stem_of(request, source)
        return self._refusal(stem, key, now, 503, headers)

    def _stem_of(self, request: Request, source: Peer) -> ResponseStem:
        """Gather what responses to a request repeat, and where they go.

        A ``maddr`` is followed where both the source and that place are known (18.2.2): else anybody, a customer too,
        would have us send to whom they name, and a 200 ten times.

        Raises:
            ParseError: the topmost Via cannot be read.
        """
        is_reliable = self._store.reliable[source.flow]
        stem = response_stem(request, source, reliable=is_reliable)
        if "maddr" in request.via.params and not is_reliable and self._knows(source.host, source.port):
            named = named_by_maddr(request.via, source)
            if named is not None and self._knows(named.host, named.port):
                return stem.answered_at(named)
        return stem

    def _is_known(self, key: str) -> bool:
        return key in self._store.servers or self._store.finished.get(key) is not None

    def refuse_malformed(
        self, error: ParseError, message: Request | Response | None, source: Peer, now: Instant
    ) -> None:
        """Answer what RFC 3261 wants answered, without keeping a transaction; drop and count the rest."""
        self._dropped[Drop.NOT_SIP if message is None else malformed(error)] += 1
        if not isinstance(message, Request) or not error.status or message.method == "ACK":
            return
        is_heard = self._settings.answers_unknown_sources or self._knows(source.host, source.port)
        if not is_heard or self._auth_gate.is_shut_to(source, now):
            return
        try:
            stem = self._stem_of(message, source)
        except ParseError:
            return  # without a Via there is nobody to answer
        sent_by = self._flows.listeners[source.flow].sent_by
        headers = f'{self._server_header}Warning: 399 {sent_by} "{error.reason}"\r\n'
        if message.method == "INVITE" and not stem.tagged:
            headers += _reason(error.status)
        self._store.send(stem.peer, response(stem, error.status, self._token(), headers))

    def _why_unheard(self, request: Request, source: Peer, invite_key: str, now: Instant) -> Drop | None:
        """Return what a request is dropped for; None where it is from somebody we know, or who may prove who it is.

        What belongs to a dialog, whose peer may have moved, and to an INVITE that was let in, is heard from anywhere.
        """
        method = request.method
        if request.to_tag and self._dialogs.belongs(request):
            return None
        if method == "CANCEL":
            cancelled = self._store.servers.get(invite_key)
            if isinstance(cancelled, InviteServer) and cancelled.stem.peer.host == source.host:
                return None
        if self._auth_gate.is_shut_to(source, now):
            return Drop.LOCKED_OUT
        if self._settings.answers_unknown_sources or self._knows(source.host, source.port):
            return None
        is_examined = method in EXAMINED and not request.to_tag and self._auth_gate.examines_unknown_sources
        return None if is_examined else Drop.UNKNOWN_SOURCE

    def _challenge(self, request: Request, source: Peer, challenge: Challenged) -> None:
        """Ask who it is, and forget it at once: neither a transaction nor anything else is left (section 8.2.7)."""
        if challenge.why is not None:
            self._dropped[challenge.why] += 1
        stem = self._stem_of(request, source)
        if is_behind_nat(Nat.AUTO, request, source):  # nobody knows yet who it is, and what is configured of him
            stem = stem.answered_at(source)
        headers = self._server_header + challenge.headers
        self._store.send(stem.peer, response(stem, challenge.status, challenge.tag, headers))

    def _take_request_outside(
        self, request: Request, stem: ResponseStem, source: Peer, user: str, key: str, now: Instant
    ) -> InviteArrived | RegisterArrived | None:
        method = request.method
        if method == "INVITE":
            merging = f"{request.call_id} {request.from_tag} {request.cseq.number}"
            if merging in self._store.merging or self._store.finished.get(merging) is not None:
                self._answer(stem, key, method, 482, "", now)  # section 8.2.2.2: one call, however it was forked
                return None
            return InviteArrived(InviteServer(self._store, key, stem, merging), request, source, now, user)
        if method == "REGISTER":
            return RegisterArrived(Server(self._store, key, stem), request, source, now, user)
        if method == "OPTIONS":
            self._answer(stem, key, method, 200, CAPABILITIES, now)
        else:
            self._forget_with(stem, key, now, 481)
        return None

    def _take_request_in_dialog(
        self, request: Request, stem: ResponseStem, source: Peer, key: str, now: Instant
    ) -> RequestArrived | None:
        owner, dialog = self._dialogs.find(request)
        method = request.method
        if owner is None or dialog is None:
            if self._dialogs.belongs(request):  # not yet, or no more: a repetition hears the same all the same
                self._answer(stem, key, method, 200 if self._dialogs.crosses_the_end(request) else 481, "", now)
            else:
                self._forget_with(stem, key, now, 481)
            return None
        # Section 12.2.2, but for BYE: whoever says it regards the call as over, and we would talk and bill on.
        number = request.cseq.number
        if number <= dialog.remote_sequence and method != "BYE" and number != UNREAD:
            self._answer(stem, key, method, 500, "", now)
            return None
        dialog.remote_sequence = max(number, dialog.remote_sequence)
        if dialog.is_behind_nat:
            stem = stem.answered_at(source)
        if source != dialog.peer and (dialog.is_behind_nat or self._both_connected(source, dialog.peer)):
            # Nobody but the peer knows both tags (80 random bits are ours), and no old request comes as far as here.
            dialog.reach_by(source)
            self._dialogs.follow(request.to_tag, dialog)
            owner.moved()
        if isinstance(owner, PendingBye):
            self._answer(stem, key, method, 200 if method in CROSSING else 481, "", now)
            if method == "BYE":
                owner.acceptance.acknowledged()
                self._dialogs.forget(request.to_tag, now)
            return None
        kind = InviteServer if method == "INVITE" else Server
        return RequestArrived(owner, kind(self._store, key, stem), request, dialog, now)

    def _both_connected(self, source: Peer, peer: Peer) -> bool:
        return self._store.reliable[source.flow] and self._store.reliable[peer.flow]

    def _take_ack(self, request: Request, invite_key: str, now: Instant) -> AckArrived | None:
        transaction = self._store.servers.get(invite_key)
        if isinstance(transaction, InviteServer):
            transaction.acknowledged(now)
            return None
        if self._store.finished.get(invite_key) is Mark.ABSORB:  # timer I: the ACK of a failure once more
            return None
        owner, dialog = self._dialogs.find(request)
        if owner is None or dialog is None:
            return None  # an ACK is never answered
        if isinstance(owner, PendingBye):
            if owner.acceptance.is_met_by(request):
                self._send_pending_bye(owner.acceptance, now)
            return None
        return AckArrived(owner, request, now)

    def _take_cancel(
        self, request: Request, stem: ResponseStem, prefix: str, key: str, now: Instant
    ) -> CancelArrived | None:
        """Answer a CANCEL by whether its INVITE is there (section 9.2), and pass it on while that still matters."""
        transaction = self._store.servers.get(prefix + "INVITE")
        found = transaction is not None or self._store.finished.get(prefix + "INVITE") is not None
        owner = transaction.owner if isinstance(transaction, InviteServer) else None
        dialog = owner.dialog if owner is not None else None
        tag = self._token() if dialog is None else dialog.local_tag  # the one that the INVITE is answered with
        Server(self._store, key, stem).respond(200 if found else 481, tag, self._server_header, now)
        if isinstance(transaction, InviteServer) and owner and transaction.state is State.PROCEEDING:
            return CancelArrived(owner, transaction, request, now)
        return None

    def _answer(self, stem: ResponseStem, key: str, method: str, status: int, headers: str, now: Instant) -> None:
        """Give the one and final response to a request that goes no further."""
        kind = InviteServer if method == "INVITE" else Server
        if method == "INVITE" and not stem.tagged:
            headers += _reason(status)
        kind(self._store, key, stem).respond(status, self._token(), self._server_header + headers, now)

    def _forget_with(self, stem: ResponseStem, key: str, now: Instant, status: int, headers: str = "") -> None:
        """Answer what needs no more of us than that, and keep no transaction of it: anybody can make it up (8.2.7)."""
        self._store.out.append(self._refusal(stem, key, now, status, headers))

    def _refusal(self, stem: ResponseStem, key: str, now: Instant, status: int, headers: str) -> Datagram:
        data = response(stem, status, self._flows.refusal_tag, self._server_header + headers)
        refusal = Datagram(stem.peer, data)
        self._refused.keep(key, refusal, now.mono)
        return refusal


def _reason(status: int) -> str:
    """Return the Reason of a call that is refused before its trunk is known (RFC 6432)."""
    reason = EndReason.LOOP if status == 482 else EndReason.UNAVAILABLE
    return f'Reason: Q.850;cause={q850_of_status(status)};text="{reason.text}"\r\n'


def _prefix_of(request: Request) -> str:
    """Return what the keys of a request's transactions begin with (RFC 3261 section 17.2.3).

    Raises:
        ParseError: what they are made of cannot be read.
    """
    if request.cseq.method != request.method:
        raise ParseError(400, "CSeq Method Differs", request)
    via = request.via
    branch = via.branch
    if not branch.startswith(MAGIC) or branch == MAGIC:  # an RFC 2543 peer
        branch = f"{branch}|{request.call_id}|{request.from_tag}|{request.cseq.number}|{request.uri}"
        return f"{branch} {via.host}:{via.port} "
    return key_prefix(via)


def key_prefix(via: Via) -> str:
    """Return what the keys of the transactions begin with whose requests have that topmost Via."""
    return f"{via.branch} {via.host}:{via.port} "
