"""Retransmissions of requests: the one place that decides whether a request was received before.

Every request passes ``Repetitions.recognise`` once, before anything else looks at it. Requests that are refused unread
under load have only ``refusal_of`` and ``is_known``. It does not know what new requests mean.
"""

from collections.abc import Callable
from enum import Enum, auto

from vosd.base.clock import Instant
from vosd.sip.dialog.dialog import Dialog
from vosd.sip.dialog.table import DialogTable
from vosd.sip.flows import MAGIC
from vosd.sip.headers.via import sender_of
from vosd.sip.nat import is_answered_where_seen
from vosd.sip.transaction.entries import ABSORB, Entry
from vosd.sip.transaction.server import InviteServer
from vosd.sip.transaction.store import TransactionStore
from vosd.sip.wire.compose import encode, response_stem
from vosd.sip.wire.errors import Flaw, ParseError
from vosd.sip.wire.message import Request
from vosd.sip.wire.outgoing import Datagram, MovedSender, Peer


class Repetition(Enum):
    """Whether a request repeats another one."""

    NEW = auto()
    """It does not."""
    HANDLED = auto()
    """It does: the response was sent again, or the request absorbed."""
    BRANCH_IN_USE = auto()
    """It does not, and has the branch of a request that is not answered yet."""


NEW, HANDLED, BRANCH_IN_USE = Repetition
"""The members as globals, which are read in a tenth of the time of a member."""


class Repetitions:
    """Knowledge of earlier requests: live transactions, finished ones, and refusals that left none."""

    def __init__(
        self, store: TransactionStore, dialogs: DialogTable, is_of_one_trunk: Callable[[Peer, Peer], bool]
    ) -> None:
        self._store = store
        self._dialogs = dialogs
        self._is_of_one_trunk = is_of_one_trunk
        self._refused = store.refused

    def recognise(self, request: Request, source: Peer, prefix: str, now: Instant) -> Repetition:
        """Repeat the response to a retransmission, or absorb it; ``prefix`` is ``prefix_of`` the request."""
        key = prefix + request.method
        if request.method == "ACK":
            # Section 17.2.1, timer I: the ACK of a failure again. The ACK of a 2xx is a request of its dialog, and a
            # live INVITE may have the branch of a finished one.
            invite = f"{prefix}INVITE"
            is_absorbed = self._store.finished.get(invite) is ABSORB and invite not in self._store.servers
            return HANDLED if is_absorbed else NEW
        running = self._store.servers.get(key)
        if running is not None:
            if running.stem.cseq != (request.header("cseq") or ""):
                return BRANCH_IN_USE
            # Sections 17.2.1 and 17.2.2: the latest response again; nothing while there is none.
            self._store.received_again += 1
            if running.stem.peer != source:
                begun = None if request.to_tag or not isinstance(running, InviteServer) else _begun_by(running)
                moved = self._moved(request, source, running.stem.peer, begun)
                if moved is not None and moved.before == running.stem.up_to_tag:
                    running.request_moved(moved)
                    if begun is not None and begun.is_behind_nat:
                        self._follow(begun, source)
            running.request_repeated()
            return HANDLED
        finished = self._store.finished.get(key)
        if finished is not None and not self._reuses_branch(request, finished):
            # Section 17.2.2, timer J: the final response again. RFC 6026 section 7.1, timer L: an INVITE that was
            # answered with 2xx is absorbed, its dialog repeats the 2xx.
            self._store.received_again += 1
            if isinstance(finished, Datagram):
                self._store.out.append(self._readdressed(finished, request, source))
                if request.method == "INFO":
                    self._dialogs.answer_repeated(request, now)
            elif isinstance(finished, str):
                self._move_success(finished, request, source, now)
            return HANDLED
        refusal = self._refused.get(key, now.mono) if self._refused.answers else None
        if refusal is not None:
            # Section 8.2.7: a stateless refusal is the same each time.
            self._store.received_again += 1
            self._store.out.append(self._readdressed(refusal, request, source))
            return HANDLED
        return NEW

    def is_merged(self, merging: str) -> bool:
        """Return whether an INVITE is a copy of another one that came by another path (section 8.2.2.2)."""
        return merging in self._store.merging or self._store.finished.get(merging) is not None

    def is_known(self, key: str) -> bool:
        """Return whether a transaction with the key is live or finished lately."""
        return key in self._store.servers or self._store.finished.get(key) is not None

    def refusal_of(self, key: str, now: Instant) -> Datagram | None:
        """Return the stateless refusal of the request with the key, if it was sent lately."""
        return self._refused.get(key, now.mono)

    def keep_refusal(self, key: str, refusal: Datagram, now: Instant) -> None:
        """Remember a stateless refusal for its retransmissions."""
        self._refused.keep(key, refusal, now.mono)

    def _move_success(self, tag: str, request: Request, source: Peer, now: Instant) -> None:
        """Send the 2xx of an INVITE that came again to its present source, unless it has its ACK.

        Nothing else would tell its sender of the answer: NAT drops what goes to the port from before.
        """
        owner = self._dialogs.owners.get(tag)
        acceptance = None if owner is None else owner.acceptance
        retry = None if acceptance is None or acceptance.invite != request.sequence else acceptance.retry
        if acceptance is None or retry is None or retry.sent.peer == source:
            return
        begun = None if request.to_tag else acceptance.dialog
        moved = self._moved(request, source, retry.sent.peer, begun)
        if moved is None or not retry.sent.data.partition(b"\r\n")[2].startswith(moved.before):
            return
        acceptance.request_moved(moved, now)
        if begun is not None and begun.is_behind_nat:
            self._follow(begun, source)

    def _readdressed(self, response: Datagram, request: Request, source: Peer) -> Datagram:
        """Return a response of a finished transaction as it goes to the source of a retransmission."""
        moved = None if response.peer == source else self._moved(request, source, response.peer)
        if moved is None or not response.data.partition(b"\r\n")[2].startswith(moved.before):
            return response
        return moved.response(response)

    def _moved(self, request: Request, source: Peer, first: Peer, begun: Dialog | None = None) -> MovedSender | None:
        """Return where a retransmission is answered that comes from another source than the request came from.

        NAT may have given its sender another address meanwhile (RFC 3581), or its connection has ended. None = the
        response goes where the first one went. So do those to an INVITE over a connection, and all where the sender may
        be another one: a request within a dialog of a peer behind NAT is proven by its tags (ADR 18), any other has to
        come from the same host and trunk. Without ``rport`` the port changes only where the first response went to
        another one than the Via has, or a dialog says that the sender is behind NAT; ``begun`` is that of an INVITE.
        The caller compares what the responses repeat of both requests.
        """
        via = request.top_via or request.via
        is_over_connection = self._store.reliable[first.flow]
        if source.flow != first.flow or "maddr" in via.params or (is_over_connection and request.method == "INVITE"):
            return None
        is_of_nat = request.to_tag != "" and self._dialogs.is_behind_nat(request)
        if not is_of_nat and not (source.host == first.host and self._is_of_one_trunk(first, source)):
            return None
        if begun is not None:
            is_of_nat = begun.is_behind_nat and is_answered_where_seen(begun.nat, request, source)
        after = response_stem(request, source, reliable=is_over_connection)
        peer = source if is_of_nat or first.port != after.peer.port else after.peer
        return None if peer == first else MovedSender(peer, response_stem(request, first).up_to_tag, after.up_to_tag)

    def _follow(self, dialog: Dialog, source: Peer) -> None:
        """Send requests of the dialog that an INVITE has begun to where that came from again."""
        owner = self._dialogs.owners.get(dialog.local_tag)
        if owner is not None:
            dialog.follow(source)
            self._dialogs.follow(dialog.local_tag, dialog)
            owner.moved()

    def _reuses_branch(self, request: Request, finished: Entry) -> bool:
        """Return whether a request with the branch of a finished one is another one, by its CSeq.

        Some peers use a branch for more than one request of a dialog.
        """
        if isinstance(finished, Datagram):
            return encode(f"\r\nCSeq: {request.header('cseq')}\r\n") not in finished.data
        dialog = self._dialogs.find(request)[1] if request.to_tag else None
        return dialog is not None and request.sequence > dialog.remote_sequence


def _begun_by(invite: InviteServer) -> Dialog | None:
    return None if invite.owner is None else invite.owner.dialog


def prefix_of(request: Request) -> str:
    """Return what the keys of a request's transactions begin with, of a head in any form (RFC 3261 section 17.2.3).

    Raises:
        ParseError: CSeq, Via or another header that the key is made of cannot be read.
    """
    if request.prefix:
        return request.prefix
    if request.cseq.method != request.method:
        raise ParseError(400, Flaw.CSEQ_METHOD_DIFFERS, request)
    via = request.via
    branch = via.branch
    if not branch.startswith(MAGIC) or branch == MAGIC:  # an RFC 2543 peer
        branch = f"{branch}|{request.call_id}|{request.from_tag}|{request.sequence}|{request.uri}"
    return f"{branch} {via.host}:{via.port} "


def key_prefix(via: str) -> str:
    """Return the same for a request of an RFC 3261 peer, of which only the topmost Via was read; empty without it."""
    sender = sender_of(via)
    if sender is None:
        return ""
    host, port, branch = sender
    return f"{branch} {host}:{port} "
