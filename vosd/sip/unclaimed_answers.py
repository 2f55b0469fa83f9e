"""A 2xx to an INVITE of ours that no call waits for: of another fork, of one that was given up, or after a restart.

It costs money at the vendor: it is acknowledged, released with BYE, and reported to the owner of the INVITE, if that
still exists (RFC 3261 section 13.2.2.4). Any source can send one to an INVITE that is not remembered: then only known
sources are answered, and a next hop is followed only to the host of the source or to another one of the same vendor.
The address of a known source can be forged over UDP: so many answers are released in a second, and no more.
"""

from collections import Counter
from collections.abc import Callable
from typing import Final

from msgspec.structs import replace

from vosd.base.clock import Instant
from vosd.sip.dialog.acceptance import PendingBye
from vosd.sip.dialog.dialog import Dialog
from vosd.sip.dialog.table import DialogTable
from vosd.sip.drops import Drop, Drops
from vosd.sip.events import EarlierAnswer, UnwantedAnswer
from vosd.sip.flows import Flows, hop_of
from vosd.sip.headers.name_addr import tag_of
from vosd.sip.headers.via import branch_of
from vosd.sip.transaction.client import Client
from vosd.sip.transaction.store import TransactionStore
from vosd.sip.wire.classify import top_via
from vosd.sip.wire.compose import parts_acknowledged
from vosd.sip.wire.message import Response
from vosd.sip.wire.outgoing import Datagram, InviteParts, Peer, ProvenAck

COUNTED_EARLY_MAX: Final = 1 << 16
"""Added to the CSeq of a dialog whose early requests (PRACK) are not known any more.

CSeq numbers may have gaps (RFC 3261 section 12.2.2), but a number that was used would be refused.
"""

_OFFERING: Final = (" INVITE", " UPDATE")
"""Ends of keys of transactions that may change a session."""

FORKS_MAX: Final = 16
"""Most forks of one INVITE that are released, beside the answer that counts: each costs a BYE."""

RELEASED_PER_S: Final = 100
"""Most answers from one host to INVITEs that are not remembered that are released in a second.

Each forged one costs the owner of the address an ACK, and as many BYEs as a silent peer is sent: eleven."""
ALL_RELEASED_PER_S: Final = 500
"""Most of all hosts."""

SendBye = Callable[[Dialog, str, Instant], Client]
"""Sends a BYE with more headers; its response is ignored."""

Released = Callable[[Dialog, InviteParts, Client, Instant], bool]
"""Receives a dialog that nothing waits for, the INVITE that made it, and its BYE, before ACK and BYE are sent.

It returns False for a dialog that an earlier process has released, too.
"""


def not_noted(_dialog: Dialog, _invite: InviteParts, _bye: Client, _now: Instant) -> bool:
    """Do nothing (``Released``)."""
    return True


class UnclaimedAnswers:
    """Acknowledges and ends them."""

    def __init__(
        self,
        store: TransactionStore,
        flows: Flows,
        dialogs: DialogTable,
        *,
        dropped: Drops,
        knows: Callable[[str, int], bool],
        are_of_one_vendor: Callable[[str, str], bool],
        send_bye: SendBye,
    ) -> None:
        """``knows`` returns whether a host and port belong to a known source.

        ``are_of_one_vendor`` returns whether two hosts are of the same vendor.
        """
        self._store = store
        self._flows = flows
        self._dialogs = dialogs
        self._dropped = dropped
        self._knows = knows
        self._are_of_one_vendor = are_of_one_vendor
        self._send_bye = send_bye
        self._second = 0
        """The second of the monotonic clock that is counted."""
        self._released = Counter[str]()
        """Answers to INVITEs that are not remembered that were released in it, by host."""
        self.released: Released = not_noted
        """Called for each dialog that is released: the peer of one whose BYE is lost bills it for ever."""

    def acknowledge_again(self, key: str, ack: Datagram, response: Response, now: Instant) -> UnwantedAnswer | None:
        """Send the ACK of a final response again; release the dialog of another fork (section 13.2.2.4)."""
        if response.status < 300 and response.to_tag:
            parts = parts_acknowledged(ack)
            # That of a failure has the branch of its INVITE. Who answers after it has a call that stands.
            is_of_failure = branch_of(top_via(ack.data)) == key.partition(" ")[0] and self._dialog_of(response) is None
            if is_of_failure or response.to_tag != tag_of(parts.to):
                return self.take_fork(key, parts, response, now)
        self._store.send_ack(self._readdressed(ack, response), now)
        return None

    def _readdressed(self, ack: Datagram, answer: Response) -> Datagram:
        """Return an ACK as it goes to where its peer is reached by now: a registered user may have connected again."""
        dialog = self._dialog_of(answer)
        if dialog is None:
            return ack
        by_udp = self._flows.by_udp(ack.peer, dialog.seen_at)
        if by_udp is not None:  # it may have accepted no connection for the first one
            return replace(ack, peer=by_udp, data=self._flows.through(ack.data, ack.peer.flow, by_udp.flow))
        after = dialog.moved_over(ack.peer)
        return ack if after is None else replace(ack, peer=after)

    def _dialog_of(self, answer: Response) -> Dialog | None:
        """Return the live dialog that an answer belongs to."""
        owner = self._dialogs.owners.get(tag_of(answer.header("from") or ""))
        dialog = None if owner is None else owner.dialog
        is_its = dialog is not None and (dialog.call_id, dialog.remote_tag) == (answer.call_id, answer.to_tag)
        return dialog if is_its else None

    def take_unmatched(
        self, key: str, answer: Response, source: Peer, now: Instant
    ) -> EarlierAnswer | UnwantedAnswer | None:
        """Acknowledge a 2xx to an INVITE of ours whose transaction is not known any more, as after a restart.

        Within a live dialog it is repeated because our ACK was lost, or its peer has accepted an offer that was given
        up, perhaps by UPDATE: the owner of the dialog decides. Outside, a BYE follows if the source is known; that of
        another fork is reported to the owner of the first one. Every other response without a transaction is dropped.
        """
        if not (200 <= answer.status < 300 and key.startswith(self._flows.mark) and key.endswith(_OFFERING)):
            self._dropped[Drop.UNMATCHED_RESPONSE] += 1
            return None
        is_invite = key.endswith(" INVITE")
        caller = answer.header("from") or ""
        owner = self._dialogs.owners.get(tag_of(caller))
        dialog = None if owner is None else owner.dialog
        if dialog is not None and (dialog.call_id, dialog.remote_tag) == (answer.call_id, answer.to_tag):
            if is_invite:
                peer = self._flows.by_udp(dialog.peer, dialog.seen_at) or dialog.peer
                request = dialog.request("ACK", self._flows.new_via(peer.flow), answer.cseq.number, "")
                self._store.send(peer, request)
            return self.of_live_dialog(dialog, answer, now)
        # Every peer that has had a request of ours knows how our branches begin, and could make us send a BYE ten times
        # to any address, with a Call-ID and tags of its choice, or connect to it.
        is_complete = bool(answer.to_tag) and hop_of(answer.header("contact") or "")
        if not is_invite or not is_complete or not self._knows(source.host, source.port):
            self._dropped[Drop.UNMATCHED_RESPONSE] += 1
            return None
        # By its tag: of another one with this branch, too, the next hop is judged.
        answered = f"{key} {answer.to_tag}"
        ack = self._store.finished.get(answered)
        if isinstance(ack, Datagram):
            self._store.out.append(ack)
            return None
        if not self._may_release(source.host, now):
            self._dropped[Drop.TOO_MANY_LATE_ANSWERS] += 1
            return None
        called = (answer.header("to") or "").partition(f";tag={answer.to_tag}")[0]
        parts = InviteParts("", answer.header("via") or "", caller, called, answer.call_id, answer.cseq.number, source)
        if dialog is not None and dialog.call_id == answer.call_id:
            return self._take_fork(
                dialog.local_tag, Dialog.of_callee(parts, "", answer, self._known_hop), parts, answer, now
            )
        self._end(answered, Dialog.of_callee(parts, "", answer, self._known_hop), parts, now)
        return None

    def of_live_dialog(self, dialog: Dialog, answer: Response, now: Instant) -> EarlierAnswer | None:
        """Return the event of a 2xx to an offer that was given up; None where its dialog has ended."""
        owner = self._dialogs.owners.get(dialog.local_tag)
        if owner is None or isinstance(owner, PendingBye) or owner.dialog is not dialog:
            return None
        return EarlierAnswer(owner, answer, now)

    def _may_release(self, host: str, now: Instant) -> bool:
        """Count an answer; False = there were too many. Its sender repeats one that is real for 32 seconds."""
        second = now.mono // 1_000
        if second != self._second:
            self._second = second
            self._released.clear()
        if self._released[host] >= RELEASED_PER_S or self._released.total() >= ALL_RELEASED_PER_S:
            return False
        self._released[host] += 1
        return True

    def _known_hop(self, target: str, source: Peer) -> Peer:
        """Return the next hop of a target at the host of the source or of the same vendor, else the source."""
        peer = self._flows.next_hop(target, source)
        return peer if peer.host == source.host or self._are_of_one_vendor(source.host, peer.host) else source

    def take_fork(self, key: str, parts: InviteParts, answer: Response, now: Instant) -> UnwantedAnswer | None:
        """Release another fork, or send its ACK again."""
        return self._take_fork(key, Dialog.of_callee(parts, "", answer, self._flows.next_hop), parts, answer, now)

    def _take_fork(
        self, key: str, dialog: Dialog, parts: InviteParts, answer: Response, now: Instant
    ) -> UnwantedAnswer | None:
        for number in range(FORKS_MAX):
            fork = f"{key} {number}"
            known = self._store.finished.get(fork)
            if not isinstance(known, Datagram):
                is_new, tag = self._end(fork, dialog, parts, now), tag_of(parts.from_)
                owner = self._dialogs.owners.get(tag) or self._dialogs.refused.get(tag)
                if owner is None or isinstance(owner, PendingBye) or not is_new:
                    return None
                return UnwantedAnswer(owner, answer, now)
            if tag_of(parts_acknowledged(known).to) == answer.to_tag:
                self._store.out.append(known)
                return None
        self._dropped[Drop.TOO_MANY_FORKS] += 1
        return None

    def end(self, key: str, parts: InviteParts, answer: Response, now: Instant) -> None:
        """Acknowledge a 2xx that no call waits for, and each of its retransmissions, and send a BYE."""
        self._end(key, Dialog.of_callee(parts, "", answer, self._flows.next_hop), parts, now)

    def _end(self, key: str, dialog: Dialog, parts: InviteParts, now: Instant) -> bool:
        self._dropped[Drop.LATE_ANSWER] += 1
        dialog.local_sequence += COUNTED_EARLY_MAX
        via = self._flows.new_via(dialog.peer.flow)
        written = dialog.request("ACK", via, parts.sequence, parts.credentials)
        ack = ProvenAck.of(dialog.peer, written, dialog.answers, dialog.expected_name)
        self._store.send_ack(ack, now)
        self._store.finished.keep(key, ack, self._store.timers.transaction_ms, now)
        return self.released(dialog, parts, self._send_bye(dialog, "", now), now)
