"""Answers that the endpoint gives by itself, with a transaction or without (RFC 3261 sections 8.2.6 and 8.2.7).

Decides where responses go and what they contain. It does not know why a request is refused.
"""

from collections.abc import Callable

from vosd.base.cause import EndReason, q850_of_status
from vosd.base.clock import Instant
from vosd.base.nat import Nat
from vosd.sip.auth_gate import Challenged
from vosd.sip.dialog.table import DialogTable
from vosd.sip.flows import Flows
from vosd.sip.nat import is_answered_where_seen
from vosd.sip.repetitions import Repetitions
from vosd.sip.transaction.server import InviteServer, Server
from vosd.sip.transaction.store import TransactionStore
from vosd.sip.wire.compose import named_by_maddr, response, response_stem
from vosd.sip.wire.errors import ParseError
from vosd.sip.wire.message import Request
from vosd.sip.wire.outgoing import Datagram, Peer, ResponseStem
from vosd.sip.wire.stateless import CommonInvite


class OwnAnswers:
    """Composes and sends them."""

    def __init__(
        self,
        store: TransactionStore,
        flows: Flows,
        dialogs: DialogTable,
        repetitions: Repetitions,
        *,
        token: Callable[[], str],
        knows: Callable[[str, int], bool],
        nat_at: Callable[[str, int], Nat],
        server_header: str,
    ) -> None:
        self._store = store
        self._flows = flows
        self._dialogs = dialogs
        self._repetitions = repetitions
        self._token = token
        self._knows = knows
        self._nat_at = nat_at
        self._server_header = server_header

    def stem_of(self, request: Request, source: Peer) -> ResponseStem:
        """Gather what responses to a request repeat, and where they go.

        A ``maddr`` is followed only if both the source and the address that it names are known (section 18.2.2).
        Otherwise a request could make us send to any address, and a 200 ten times.

        Raises:
            ParseError: the topmost Via cannot be read.
        """
        is_reliable = self._store.reliable[source.flow]
        stem = response_stem(request, source, reliable=is_reliable)
        via = request.top_via or request.via
        if "maddr" in via.params and not is_reliable and self._knows(source.host, source.port):
            named = named_by_maddr(via, source)
            if named is not None and self._knows(named.host, named.port):
                return stem.answered_at(named)
        return stem

    def own_stem_of(self, request: Request, source: Peer) -> ResponseStem:
        """Return the same for a response that no call and no user decides about.

        Raises:
            ParseError: the topmost Via cannot be read.
        """
        return self.towards(source, request, self.stem_of(request, source))

    def towards(self, source: Peer, request: Request, stem: ResponseStem) -> ResponseStem:
        """Have a response of ours sent where the request came from if its sender is behind NAT (RFC 3581).

        In a dialog that is known already; else as configured for the source.
        """
        if stem.peer == source:
            return stem
        dialog = self._dialogs.find(request)[1] if stem.tagged else None
        if dialog is not None:
            is_behind = dialog.is_behind_nat
        else:
            is_behind = is_answered_where_seen(self._nat_at(source.host, source.port), request, source)
        return stem.answered_at(source) if is_behind else stem

    # -- with a transaction -------------------------------------------------------------------------------------

    def answer(self, stem: ResponseStem, key: str, method: str, status: int, headers: str, now: Instant) -> None:
        """Send the final response to a request that goes no further; its retransmissions get the same."""
        kind = InviteServer if method == "INVITE" else Server
        if method == "INVITE" and not stem.tagged:
            headers += _reason(status)
        kind.received(self._store, key, stem).respond(status, self._token(), self._server_header + headers, now)

    def answer_cancel(self, stem: ResponseStem, key: str, status: int, tag: str | None, now: Instant) -> None:
        """Answer a CANCEL with the ``tag`` of its INVITE's dialog, or one of its own (section 9.2)."""
        Server.received(self._store, key, stem).respond(status, tag or self._token(), self._server_header, now)

    # -- without one --------------------------------------------------------------------------------------------

    def refuse(self, stem: ResponseStem, key: str, status: int, headers: str, now: Instant) -> None:
        """Send a refusal that keeps no transaction: any source can send such requests."""
        self._store.out.append(self.refusal(stem, key, status, headers, now))

    def refusal(self, stem: ResponseStem, key: str, status: int, headers: str, now: Instant) -> Datagram:
        """Return a refusal that keeps no transaction, and remember it for retransmissions."""
        refusal = Datagram(stem.peer, response(stem, status, self._flows.refusal_tag, self._server_header + headers))
        self._repetitions.keep_refusal(key, refusal, now)
        return refusal

    def common_refusal(self, invite: CommonInvite, source: Peer, headers: str, now: Instant) -> Datagram:
        """Return the same for an INVITE that was not parsed."""
        lines, tag = (self._server_header + headers).encode(), self._flows.refusal_tag.encode()
        refusal = invite.refused(source, tag, lines, reliable=self._store.reliable[source.flow])
        self._repetitions.keep_refusal(invite.key, refusal, now)
        return refusal

    def refuse_branch_in_use(self, request: Request, source: Peer) -> None:
        """Refuse a request whose branch belongs to one that is not answered yet (section 14.2)."""
        stem = self.own_stem_of(request, source)
        headers = f"{self._server_header}Retry-After: 1\r\n"
        self._store.send(stem.peer, response(stem, 500, self._flows.refusal_tag, headers))

    def refuse_cancel(self, stem: ResponseStem) -> None:
        """Refuse a CANCEL of an INVITE of another sender, and remember nothing.

        Branches can be guessed: what was kept would be the answer to the CANCEL of the one that has sent the INVITE.
        """
        self._store.send(stem.peer, response(stem, 481, self._flows.refusal_tag, self._server_header))

    def challenge(self, request: Request, source: Peer, challenge: Challenged) -> None:
        """Send a challenge and keep nothing of the request."""
        stem = self.stem_of(request, source)
        # The user is not known yet, so no setting of a gateway applies.
        if stem.peer != source and is_answered_where_seen(Nat.AUTO, request, source):
            stem = stem.answered_at(source)
        headers = self._server_header + challenge.headers
        self._store.send(stem.peer, response(stem, challenge.status, challenge.tag, headers))

    def refuse_malformed(self, error: ParseError, request: Request, source: Peer) -> None:
        """Answer a request that could be read in part; without a readable Via it gets no answer."""
        try:
            stem = self.own_stem_of(request, source)
        except ParseError:
            return
        sent_by = self._flows.listeners[source.flow].sent_by
        headers = self._server_header + warning_of(error, sent_by)
        if request.method == "INVITE" and not stem.tagged:
            headers += _reason(error.status)
        self._store.send(stem.peer, response(stem, error.status, self._token(), headers))


def warning_of(error: ParseError, sent_by: str) -> str:
    """Return the line that names the fault of a request in its refusal (RFC 3261 section 20.43)."""
    return f'Warning: 399 {sent_by} "{error.reason}"\r\n'


def _reason(status: int) -> str:
    """Return the Reason of a call that is refused before its trunk is known (RFC 6432).

    No text but that of a loop: texts are end reasons of calls, and this message has become none.
    """
    text = f';text="{EndReason.LOOP.text}"' if status == 482 else ""
    return f"Reason: Q.850;cause={q850_of_status(status)}{text}\r\n"
